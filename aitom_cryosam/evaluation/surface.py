"""How far the outlines of two masks lie apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from aitom_cryosam.errors import InputError


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distances between the surfaces of a mask and the true one; NaN where one is empty.

    A surface are the voxels of a mask with a neighbour outside, of the six across a face; the
    faces of the volume are no outside.

    Attributes:
        to_truth: (n,) Å, from each voxel of the found surface to the nearest of the true one.
        from_truth: (m,) Å, the other way.
        precision: share of the found voxels within the tolerance of a true one.
        recall: share of the true voxels within the tolerance of a found one.
    """

    to_truth: np.ndarray
    from_truth: np.ndarray
    precision: float
    recall: float

    @property
    def mean(self) -> float:
        """Å, of both ways together: the average symmetric surface distance."""
        both = np.concatenate([self.to_truth, self.from_truth])
        return float(both.mean()) if len(both) else float("nan")

    @property
    def percentile95(self) -> float:
        """Å, the larger of the two ways' 95th percentiles (a robust Hausdorff distance)."""
        if not len(self.to_truth):
            return float("nan")
        return float(max(np.percentile(d, 95) for d in (self.to_truth, self.from_truth)))


def surface_distances(
    found: np.ndarray, truth: np.ndarray, *, voxel_size: float, tolerance: float = 0.0
) -> SurfaceDistances:
    """Compare two masks by their surfaces.

    Args:
        found: (D, H, W) bool.
        truth: (D, H, W) bool.
        voxel_size: Å.
        tolerance: Å, within which a voxel counts as found in `precision` and `recall`.

    Raises:
        InputError: the tolerance is no length.
    """
    if not 0 <= tolerance < math.inf:
        raise InputError(f"Expected a tolerance of 0 Å or more, got {tolerance:g}.")
    if not (found.any() and truth.any()):
        share = float("nan") if not found.any() else 0.0
        return SurfaceDistances(np.zeros(0), np.zeros(0), share, 0.0 if truth.any() else np.nan)
    to_truth, within = _distances(found, truth, voxel_size, tolerance)
    from_truth, covered = _distances(truth, found, voxel_size, tolerance)
    return SurfaceDistances(to_truth, from_truth, within, covered)


def _distances(
    mask: np.ndarray, other: np.ndarray, voxel_size: float, tolerance: float
) -> tuple[np.ndarray, float]:
    """From the surface of a mask to the other's, and the share of the mask near the other."""
    surface = cKDTree(_surface(other))
    distances = surface.query(_surface(mask))[0] * voxel_size
    outside = np.argwhere(mask & ~other)
    near = surface.query(outside)[0] * voxel_size <= tolerance if len(outside) else np.zeros(0)
    total = int(np.count_nonzero(mask))
    return distances, (total - len(outside) + int(np.count_nonzero(near))) / total


def _surface(mask: np.ndarray) -> np.ndarray:
    """(n, 3) voxels with a neighbour outside of the mask."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask, border_value=1))
