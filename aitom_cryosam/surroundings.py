"""Surroundings: the box around a point, coarser than the tomogram where the particle is large."""

from __future__ import annotations

import numpy as np

from aitom_cryosam.binning import binned
from aitom_cryosam.tomogram import Tomogram

FINE = 6
"""Binned voxels of a particle's radius, at least: as precise for its size as a small one's."""

_AT_ONCE = 1 << 20  # voxels of boxes that are looked at together


def bin_of(radius_voxels: float) -> int:
    """Voxels along an axis that become one around a particle."""
    return max(1, int(radius_voxels // FINE))


def binned_boxes(
    tomogram: Tomogram, points_zyx: np.ndarray, half: int, bin_: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means of bin_³ voxels around points, less the mean of all that are around a point.

    What lies outside the tomogram is 0, as the background.

    Args:
        tomogram: the tomogram.
        points_zyx: (n, 3) voxels; the middle of a box is the nearest place to its point.
        half: of a box's side beside its middle, in binned voxels.
        bin_: voxels along an axis that become one.

    Returns:
        (n, side, side, side) float32, side = 2 half + 1; and (n, 3) z, y, x of the middle of the
        first binned voxel of each.
    """
    side, inset = (2 * half + 1) * bin_, (bin_ - 1) / 2
    first = np.round(points_zyx - inset).astype(int) - bin_ * half  # (n, 3)
    made = np.empty((len(first), *(2 * half + 1,) * 3), np.float32)
    step = max(1, _AT_ONCE // side**3)
    for start in range(0, len(first), step):
        some = slice(start, start + step)
        made[some] = binned(_boxes(tomogram, first[some], side), bin_)
    return made, first + inset


def _boxes(tomogram: Tomogram, first: np.ndarray, side: int) -> np.ndarray:
    """(n, side, side, side) float32, voxels from the first of each on, (n, 3), less their mean."""
    lower = np.clip(first, 0, tomogram.shape)
    upper = np.clip(first + side, lower, tomogram.shape)
    whole = (upper - lower == side).all(axis=1)
    inside = tomogram.boxes(lower[whole], side)
    inside -= inside.mean(axis=(1, 2, 3), keepdims=True)
    if whole.all():
        return inside
    boxes = np.zeros((len(first), side, side, side), np.float32)
    boxes[whole] = inside
    for row in np.flatnonzero(~whole):
        part = tomogram.box(lower[row].tolist(), upper[row].tolist())
        z, y, x = map(slice, lower[row] - first[row], upper[row] - first[row])
        boxes[row, z, y, x] = part - (part.mean() if part.size else 0)
    return boxes
