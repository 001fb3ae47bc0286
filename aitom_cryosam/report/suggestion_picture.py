"""A picture of the suggestions: central slices of each place, to say yes or no by."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aitom_cryosam.geometry import as_typed, nearest_voxel
from aitom_cryosam.picks import Picks
from aitom_cryosam.report.images import limits
from aitom_cryosam.report.picture import PICK, THICKNESS, slab
from aitom_cryosam.tomogram import Tomogram

MOST = 30
"""Places that one picture shows."""
_SIDE = 3.0  # diameters that a slice shows
_INCHES = 2.2  # of a slice


def write_suggestions(path: Path, tomogram: Tomogram, picks: Picks, diameter_voxels: float) -> None:
    """Write a PNG: slices across z, y and x through each place, with a circle of the diameter.

    Args:
        path: to write.
        tomogram: that was searched; shown in its own contrast.
        picks: the suggestions, the most useful first; no more than `MOST` are shown.
        diameter_voxels: of the particle.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    picks = picks.take(np.arange(min(len(picks), MOST)))
    half = max(round(_SIDE * diameter_voxels / 2), 4)
    lines = max(len(picks), 1)
    figure = Figure(figsize=(3 * _INCHES, lines * (_INCHES + 0.25) + 0.4))
    figure.suptitle(f"{tomogram.name}: is it one of them?", fontsize=11)
    grid = figure.subplots(lines, 3, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (point, line) in enumerate(zip(picks.points_zyx, grid, strict=False), 1):
        line[0].set_title(f"{number}:  {as_typed(point.round(1))}", fontsize=9, loc="left")
        for axis, axes in enumerate(line):
            image = _slice(tomogram, axis, point, half, diameter_voxels)
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, origin="lower")
            axes.add_patch(
                Circle((half, half), diameter_voxels / 2, fill=False, color=PICK, lw=0.8)
            )
            axes.text(0.5, 0.5, f"across {'zyx'[axis]}", color=PICK, fontsize=7)
    figure.tight_layout()
    figure.savefig(path, format="png", dpi=100)


def _slice(
    tomogram: Tomogram, axis: int, point_zyx: np.ndarray, half: int, diameter_voxels: float
) -> np.ndarray:
    """(2 half + 1, 2 half + 1) around a point, of the plane's 0 to 1; nothing outside of it."""
    voxel = nearest_voxel(point_zyx)
    image, _ = slab(tomogram, axis, int(voxel[axis]), int(THICKNESS * diameter_voxels / 2))
    low, high = limits(image)
    image = np.pad((image - low) / max(high - low, 1e-12), half, constant_values=np.nan)
    row, column = np.delete(voxel, axis)
    side = 2 * half + 1
    return image[row : row + side, column : column + side]
