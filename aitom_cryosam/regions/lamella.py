"""Slab: the sample between the empty ice above and below it, found in the tomogram itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.tomogram import Tomogram

_COLUMN = 64  # voxels along the edge of the columns in which top and bottom are sought
_THINNEST = 0.1  # of the height: a slab is no thinner
_BIN = 4  # voxels that are averaged along y and x, so that noise counts less than structures
_STEP = 0.25  # the sample's log variance is at least this much above that of the ice
_ROUNDS = 10  # of the robust plane fit


@dataclass(frozen=True, eq=False)
class Slab:
    """The sample between two planes.

    Attributes:
        bottom: (3,) the lower surface in voxels, z = bottom[0] + bottom[1] y + bottom[2] x.
        top: (3,) the upper surface.
    """

    bottom: np.ndarray
    top: np.ndarray

    def contains(self, points_zyx: np.ndarray) -> np.ndarray:
        """(n,) bool, whether each point (z y x, voxels) lies between the planes."""
        z, places = points_zyx[:, 0], _with_one(points_zyx[:, 1:])
        return (places @ self.bottom <= z) & (z <= places @ self.top)


def find_slab(tomogram: Tomogram) -> Slab | None:
    """The slab in which the tomogram varies most; None if it does so from end to end.

    In columns of 64 voxels the variance of every plane across z, binned by 4, is compared with
    the one before it: two steps that explain most of it are the surfaces there, and a plane is
    fitted to those of all columns, without the odd ones.

    Args:
        tomogram: thin in z, as the field keeps them.
    """
    places, ends = [], []
    depth, height, width = tomogram.shape
    for y in _starts(height):
        for x in _starts(width):
            upper = (depth, min(y + _COLUMN, height), min(x + _COLUMN, width))
            box = tomogram.box((0, y, x), upper)  # (D, h, w)
            found = _two_steps(_log_variances(box))
            if found is not None:
                places.append(((y + upper[1] - 1) / 2, (x + upper[2] - 1) / 2))
                ends.append(found)
    columns = len(_starts(height)) * len(_starts(width))
    if len(ends) <= columns / 2:
        return None
    at = _with_one(np.array(places))  # (n, 3)
    bottoms, tops = np.array(ends, np.float64).T  # (n,), (n,)
    return Slab(_plane(at, bottoms - 0.5), _plane(at, tops + 0.5))


def _starts(size: int) -> range:
    return range(0, max(size - _COLUMN // 2, 1), _COLUMN)


def _log_variances(box: np.ndarray) -> np.ndarray:
    """(D,) of each plane across z, binned, and smoothed over three."""
    depth, height, width = box.shape
    rows, columns = max(height // _BIN, 1), max(width // _BIN, 1)
    edge_y, edge_x = height // rows, width // columns
    cut = box[:, : rows * edge_y, : columns * edge_x]
    binned = cut.reshape(depth, rows, edge_y, columns, edge_x).mean(axis=(2, 4), dtype=np.float64)
    variances = binned.var(axis=(1, 2))
    padded = np.pad(variances, 1, mode="edge")
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return np.log(np.maximum(smooth, 1e-12))


def _two_steps(values: np.ndarray) -> tuple[int, int] | None:
    """First and last index of the middle part where a low, a high and a low level fit best."""
    n = len(values)
    thinnest = max(3, math.ceil(_THINNEST * n))
    sums = np.concatenate([[0], np.cumsum(values)])
    best, found = -np.inf, None
    for first in range(n - thinnest + 1):
        lasts = np.arange(first + thinnest, n + 1)  # one past the last
        inner, outer = lasts - first, n - (lasts - first)
        middle = sums[lasts] - sums[first]
        rest = sums[-1] - middle
        safe = np.maximum(outer, 1)
        # What the two levels explain, and only if the middle is the higher one.
        gain = middle**2 / inner + np.where(outer > 0, rest**2 / safe, 0)
        gain[(outer > 0) & (middle / inner - rest / safe < _STEP)] = -np.inf
        gain[outer == 0] = sums[-1] ** 2 / n + 1e-9
        if gain.max() > best:
            best, found = gain.max(), (first, int(lasts[gain.argmax()]) - 1)
    return None if found is None or found == (0, n - 1) else found


def _with_one(points_yx: np.ndarray) -> np.ndarray:
    """(n, 3): 1, y, x."""
    return np.column_stack([np.ones(len(points_yx)), points_yx])


def _plane(at: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """(3,) the plane through most of the heights: least absolute deviations, reweighted."""
    weights = np.ones(len(heights))
    plane = np.array([np.median(heights), 0.0, 0.0])
    if len(heights) < 4:  # no slope can be told
        return plane
    for _ in range(_ROUNDS):
        scaled = np.sqrt(weights)
        plane = np.linalg.lstsq(at * scaled[:, None], heights * scaled, rcond=None)[0]
        weights = 1 / np.maximum(np.abs(heights - at @ plane), 0.5)
    return plane
