"""Surroundings: the box around a point, coarser than the tomogram where the particle is large."""

from __future__ import annotations

import numpy as np

from aitom_cryosam.binning import binned
from aitom_cryosam.tomogram import Tomogram


def binned_box(tomogram: Tomogram, first: np.ndarray, side: int, bin_: int) -> np.ndarray:
    """Means of bin_³ voxels from one on, less the mean of them all.

    What lies outside the tomogram is 0, as the background.

    Args:
        tomogram: the tomogram.
        first: (3,) z, y, x of the first voxel; it may lie outside.
        side: of the box, in binned voxels.
        bin_: voxels along an axis that become one.

    Returns:
        (side, side, side) float32.
    """
    lower = np.clip(first, 0, tomogram.shape)
    upper = np.clip(first + side * bin_, lower, tomogram.shape)
    inside = tomogram.box(lower.tolist(), upper.tolist())
    box = np.zeros((side * bin_,) * 3, np.float32)
    cut = tuple(slice(a, b) for a, b in zip(lower - first, upper - first, strict=True))
    box[cut] = inside - (inside.mean() if inside.size else 0)
    return binned(box, bin_)
