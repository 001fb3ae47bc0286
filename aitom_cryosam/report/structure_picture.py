"""A picture of structures: the clicks, what was found, and the points, in one slice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.report.picture import CLICK, MASK, PICK, show_image, slab, write_figure
from aitom_cryosam.targets.base import Structures
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.wording import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEAR = 3.0  # half widths: clicks and points so near to the slice are shown
_ARROW = 60.0  # Å


def write_structure_picture(
    path: str | Path, tomogram: Tomogram, found: Structures, labels: np.ndarray
) -> None:
    """Write a PNG of the plane across z that meets most of the clicks: bare, mask, points.

    Args:
        path: to write.
        tomogram: (D, H, W).
        found: in it.
        labels: (D, H, W) of `found`.

    Raises:
        InputError: the file exists or cannot be written.
    """
    from matplotlib.figure import Figure

    depth, height, width = tomogram.shape
    clicks = found.prompts.points_zyx
    z = int(np.clip(nearest_voxel(np.median(clicks[:, 0])), 0, depth - 1)) if len(clicks) else 0
    reach = _NEAR * found.half_width_angstrom / tomogram.voxel_size
    figure = Figure(figsize=(15, 5 * height / width + 0.5), layout="constrained")
    panels = figure.subplots(1, 3)
    thick = max(1, int(found.half_width_angstrom / tomogram.voxel_size / 2))
    image, _ = slab(tomogram, 0, z, thick)
    for axes in panels:
        show_image(axes, image)
        axes.set_axis_off()
    near = np.abs(clicks[:, 0] - z) <= reach
    panels[0].plot(clicks[near, 2], clicks[near, 1], "+", color=CLICK, ms=13, mew=2.4)
    panels[0].set_title(f"{plural(len(clicks), 'click')}, z = {z}")
    if (labels[z] > 0).any():
        panels[1].contourf(labels[z] > 0, levels=[0.5, 1], colors=[MASK], alpha=0.45)
    panels[1].set_title(plural(found.count, "structure"))
    _show_points(panels[2], tomogram, found, z, reach)
    panels[2].set_title(plural(int(found.points.kept.sum()), "point"))
    write_figure(path, figure)


def _show_points(axes: Axes, tomogram: Tomogram, found: Structures, z: int, reach: float) -> None:
    """Arrows from the points near the slice, along their own z axis."""
    points = found.points
    chosen = points.kept & (np.abs(points.points_zyx[:, 0] - z) <= reach)
    if points.rotations is None or not chosen.any():
        return
    y, x = points.points_zyx[chosen, 1:].T
    along = points.rotations[chosen].apply([0, 0, 1]) * _ARROW / tomogram.voxel_size
    axes.quiver(
        x,
        y,
        along[:, 0],
        along[:, 1],
        color=PICK,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.004,
    )
    axes.plot(x, y, ".", color=PICK, ms=5)
