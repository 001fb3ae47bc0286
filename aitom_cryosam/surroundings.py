"""Surroundings: the box around a point, coarser than the tomogram where the particle is large."""

from __future__ import annotations

import numpy as np

from aitom_cryosam.binning import binned
from aitom_cryosam.tomogram import Tomogram

FINE = 6
"""Binned voxels of a particle's radius, at least: as precise for its size as a small one's."""


def bin_of(radius_voxels: float) -> int:
    """Voxels along an axis that become one around a particle."""
    return max(1, int(radius_voxels // FINE))


def binned_box(
    tomogram: Tomogram, point_zyx: np.ndarray, half: int, bin_: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means of bin_³ voxels around a point, less the mean of them all.

    What lies outside the tomogram is 0, as the background.

    Args:
        tomogram: the tomogram.
        point_zyx: (3,) voxels; the middle of the box is the nearest place to it.
        half: of the box's side beside its middle, in binned voxels.
        bin_: voxels along an axis that become one.

    Returns:
        (2 half + 1,)³ float32, and (3,) z, y, x of the middle of its first binned voxel.
    """
    side, inset = 2 * half + 1, (bin_ - 1) / 2
    first = np.round(point_zyx - inset).astype(int) - bin_ * half
    lower = np.clip(first, 0, tomogram.shape)
    upper = np.clip(first + side * bin_, lower, tomogram.shape)
    inside = tomogram.box(lower.tolist(), upper.tolist())
    box = np.zeros((side * bin_,) * 3, np.float32)
    cut = tuple(slice(a, b) for a, b in zip(lower - first, upper - first, strict=True))
    box[cut] = inside - (inside.mean() if inside.size else 0)
    return binned(box, bin_), first + inset
