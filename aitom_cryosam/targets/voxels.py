"""Voxels of structures that are known by points on their middle, and the distance from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from aitom_cryosam.geometry import binned_coordinate, nearest_voxel, unbinned_coordinate
from aitom_cryosam.targets.ridges import Ridges

_NEAR = 5  # cells: so near, distances are those from the points, beyond from their cells
_SPREAD = 1.3  # cells: a point stands for the ridge up to there


def structure_labels(
    ridges: Ridges, labels: np.ndarray, half_width: float, shape: Sequence[int]
) -> np.ndarray:
    """The structures with their thickness, as one volume.

    Args:
        ridges: n points on the middle of the structures.
        labels: (n,) from 1, of each.
        half_width: voxels, from the middle to the surface.
        shape: (D, H, W) of the tomogram.

    Returns:
        (D, H, W) int16, 0 elsewhere.
    """
    volume = np.zeros(tuple(shape), np.int16)
    if not len(ridges):
        return volume
    points = ridges.points_zyx
    tree = cKDTree(points)
    reach = float(np.hypot(half_width, _SPREAD * ridges.binning))
    near = ndimage.distance_transform_edt(~_holding(ridges)) <= reach / ridges.binning + 2
    for cell in np.flatnonzero(near.any(axis=(1, 2))).tolist():
        first = cell * ridges.binning
        last = shape[0] if cell == len(near) - 1 else first + ridges.binning  # one past it
        wanted = _enlarged(near[cell], ridges.binning, shape[1:])
        voxels = np.argwhere(np.broadcast_to(wanted, (last - first, *wanted.shape)))
        voxels[:, 0] += first
        distances, nearest = tree.query(voxels, distance_upper_bound=reach)
        found = np.isfinite(distances)
        voxels, nearest = voxels[found], nearest[found]
        offsets = voxels - points[nearest]
        along = (offsets * ridges.directions_zyx[nearest]).sum(axis=1) ** 2
        beside = (offsets**2).sum(axis=1) - along
        if ridges.kind == "line":
            along, beside = beside, along
        inside = (along <= half_width**2) & (beside <= (_SPREAD * ridges.binning) ** 2)
        volume[tuple(voxels[inside].T)] = labels[nearest[inside]]
    return volume


def distance_angstrom(ridges: Ridges, shape: Sequence[int], voxel_size: float) -> np.ndarray:
    """(D, H, W) float32, Å from the middle of the nearest structure; infinite without any.

    Exact to a part of the cells that the ridges were sought in, and far away to one of them: a
    search for the nearest point takes the longer the farther it lies.

    Args:
        ridges: points on the middle of the structures.
        shape: (D, H, W) of the tomogram.
        voxel_size: Å.
    """
    if not len(ridges):
        return np.full(tuple(shape), np.inf, np.float32)
    holding = _holding(ridges)
    coarse = ndimage.distance_transform_edt(~holding).astype(np.float32) * ridges.binning
    near = np.argwhere(coarse <= _NEAR * ridges.binning)
    tree = cKDTree(ridges.points_zyx)
    coarse[tuple(near.T)] = tree.query(unbinned_coordinate(near, ridges.binning))[0]
    coarse *= voxel_size
    places = [binned_coordinate(np.arange(size), ridges.binning) for size in shape]
    fine = np.empty(tuple(shape), np.float32)
    lines = np.stack(np.meshgrid(*places[1:], indexing="ij"))  # (2, H, W)
    for z, plane in zip(places[0], fine, strict=True):
        z = float(np.clip(z, 0, len(coarse) - 1))
        lower = min(int(z), max(len(coarse) - 2, 0))
        upper = min(lower + 1, len(coarse) - 1)
        between = coarse[lower] + np.float32(z - lower) * (coarse[upper] - coarse[lower])
        plane[:] = ndimage.map_coordinates(between, lines, order=1, mode="nearest")
    return fine


def _holding(ridges: Ridges) -> np.ndarray:
    """(d, h, w) bool: the cells that a point lies in."""
    cells = np.zeros(ridges.shape, bool)
    holding = nearest_voxel(binned_coordinate(ridges.points_zyx, ridges.binning))
    cells[tuple(np.clip(holding, 0, np.array(cells.shape) - 1).T)] = True
    return cells


def _enlarged(cells: np.ndarray, binning: int, shape: Sequence[int]) -> np.ndarray:
    """(h, w) bool of cells to (H, W) of voxels; the last cells reach to the far faces."""
    rows, columns = (
        np.minimum(np.arange(size) // binning, count - 1)
        for size, count in zip(shape, cells.shape, strict=True)
    )
    return cells[np.ix_(rows, columns)]
