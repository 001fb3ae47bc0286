"""Conversions between voxels, tokens, a network's pixels and cells: the only file with a half.

One axis at a time. Voxel k is the interval [k - 1/2, k + 1/2] and an integer coordinate is its
centre; token i of an axis that was cut into steps of s voxels is centred on
(i + 1/2) s - 1/2. Interpolation is linear between token centres and constant beyond the
outermost ones, which is what `align_corners=False` means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

SAME_SIZE = 0.01
"""The part by which two statements of one voxel or pixel size may differ."""
ROUNDING = 1e-9
"""A size that is a whole number of steps but for rounding takes no further token."""


@dataclass(frozen=True)
class TokenAxis:
    """Tokens in a row along one axis of a tomogram.

    Attributes:
        size: voxels along the axis.
        count: tokens along the axis; the last may reach beyond the last voxel.
        step: voxels from one token centre to the next.
    """

    size: int
    count: int
    step: float

    @property
    def centres(self) -> np.ndarray:
        """(count,) voxel coordinate of each token's centre."""
        return (np.arange(self.count) + 0.5) * self.step - 0.5

    def interpolation(self, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Linear interpolation between tokens at the given voxel coordinates.

        Args:
            voxels: (...) voxel coordinates.

        Returns:
            lower (...) int64 and fraction (...) float64: the value at a voxel is
            `(1 - fraction) * token[lower] + fraction * token[lower + 1]`. With a single token
            the fraction is 0, and `lower + 1` must not be read.
        """
        position = (np.asarray(voxels, dtype=np.float64) + 0.5) / self.step - 0.5
        position = np.clip(position, 0, self.count - 1)
        lower = np.minimum(np.floor(position).astype(np.int64), max(self.count - 2, 0))
        return lower, position - lower

    def weights(self, voxels: np.ndarray) -> np.ndarray:
        """(n, count) float64 matrix that interpolates token values at (n,) voxel coordinates."""
        lower, fraction = self.interpolation(voxels)
        rows = np.arange(len(lower))
        matrix = np.zeros((len(lower), self.count))
        matrix[rows, lower] = 1 - fraction
        matrix[rows, np.minimum(lower + 1, self.count - 1)] += fraction
        return matrix

    def spans(self, first: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The tokens that runs of voxels are interpolated from, and their weights.

        Args:
            first: (n,) voxels of the axis.
            count: voxels from each on, at least 1; weights beyond the axis mean nothing.

        Returns:
            (n, t) int64 tokens, and (n, count, t) float32 their weights.
        """
        lower, fraction = self.interpolation(first[:, None] + np.arange(count))
        start = lower[:, :1]
        width = int((lower - start).max(initial=0)) + 2
        matrix = np.zeros((*lower.shape, width), np.float32)
        runs, rows = np.ogrid[: len(lower), :count]
        matrix[runs, rows, lower - start] = 1 - fraction
        matrix[runs, rows, lower - start + 1] = fraction
        return np.minimum(start + np.arange(width), self.count - 1), matrix


@dataclass(frozen=True)
class TokenGrid:
    """The tokens of one plane: rows and columns."""

    rows: TokenAxis
    columns: TokenAxis

    @classmethod
    def fitted(cls, plane_shape: tuple[int, int], count: int) -> TokenGrid:
        """Square tokens, `count` along the longer side and as many as it takes along the other."""
        longer = max(plane_shape)
        rows, columns = (
            TokenAxis(size, -(-size * count // longer), longer / count) for size in plane_shape
        )
        return cls(rows, columns)

    @classmethod
    def square(cls, plane_shape: tuple[int, int], count: int) -> TokenGrid:
        """`count` tokens along either side: oblong where the plane is."""
        rows, columns = (TokenAxis(size, count, size / count) for size in plane_shape)
        return cls(rows, columns)

    @classmethod
    def spaced(cls, plane_shape: tuple[int, int], step: float) -> TokenGrid:
        """Square tokens of `step` voxels, as many as it takes."""
        rows, columns = (
            TokenAxis(size, math.ceil(size / step - ROUNDING), step) for size in plane_shape
        )
        return cls(rows, columns)


@dataclass(frozen=True)
class PixelAxis:
    """One axis of a network's input: every token has `patch` pixels.

    Pixel j is centred on voxel (j + 1/2) p - 1/2, where p = step / patch, so that the centre of
    a token's pixels is the token's.
    """

    tokens: TokenAxis
    patch: int

    @property
    def count(self) -> int:
        """Number of pixels."""
        return self.tokens.count * self.patch

    @property
    def pitch(self) -> float:
        """Voxels from one pixel to the next."""
        return self.tokens.step / self.patch

    @property
    def filled(self) -> int:
        """Number of pixels whose centre lies on the axis; those after them are padding."""
        return min(math.floor(self.tokens.size / self.pitch + 0.5), self.count)

    def resampling(self) -> np.ndarray:
        """(count, size) float32 matrix from voxels to pixels.

        Linear interpolation; where pixels are larger than voxels the triangle is as wide as they
        are, against aliasing. Constant beyond the edges of the axis.
        """
        centres = np.minimum((np.arange(self.count) + 0.5) * self.pitch, self.tokens.size)
        offsets = np.arange(self.tokens.size) + 0.5 - centres[:, None]
        weights = np.maximum(1 - np.abs(offsets) / max(self.pitch, 1), 0)
        return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class CellAxis:
    """One axis cut into cells of `ratio` voxels, the grid of a pyramid level (eq. 5).

    The last cell is smaller where the ratio does not divide the size.
    """

    size: int
    ratio: int

    @property
    def count(self) -> int:
        """Number of cells."""
        return -(-self.size // self.ratio)

    @property
    def edges(self) -> np.ndarray:
        """(count + 1,) first voxel of each cell, and the size."""
        return np.minimum(np.arange(self.count + 1) * self.ratio, self.size)

    @property
    def centres(self) -> np.ndarray:
        """(count,) voxel coordinate of each cell's centre, the mean of its voxels."""
        edges = self.edges
        return (edges[:-1] + edges[1:] - 1) / 2

    def cell_of(self, voxels: np.ndarray) -> np.ndarray:
        """(...) int64, the cell that holds each of (...) voxel coordinates; clipped to the axis."""
        return np.clip(nearest_voxel(voxels), 0, self.size - 1) // self.ratio


def nearest_voxel(coordinates: np.ndarray) -> np.ndarray:
    """(...) int64, the voxel that holds each of (...) coordinates; one half-way goes up.

    >>> nearest_voxel(np.array([-0.5, 0.49, 0.5]))
    array([0, 0, 1])
    """
    return np.floor(from_edge(coordinates)).astype(np.int64)


def from_edge(coordinates: np.ndarray) -> np.ndarray:
    """(...) float64, how far (...) coordinates lie from the outer edge of voxel 0, in voxels.

    >>> from_edge(np.array([-0.5, 0.0]))
    array([0. , 0.5])
    """
    return np.asarray(coordinates, dtype=np.float64) + 0.5


def outer_faces(first: int, count: int) -> tuple[float, float]:
    """Where a row of voxels begins and ends."""
    return first - 0.5, first + count - 0.5


def binned_coordinate(coordinates: np.ndarray, binning: int) -> np.ndarray:
    """(...) float64, where (...) voxel coordinates lie on a grid that is binned from voxel 0 on.

    >>> binned_coordinate(np.array([0.5, 2.5]), 2)
    array([0., 1.])
    """
    return from_edge(coordinates) / binning - 0.5


def unbinned_coordinate(coordinates: np.ndarray, binning: int) -> np.ndarray:
    """(...) float64, where (...) binned coordinates lie; the inverse of `binned_coordinate`.

    >>> unbinned_coordinate(np.array([0.0, 1.0]), 2)
    array([0.5, 2.5])
    """
    return from_edge(coordinates) * binning - 0.5


def as_typed(point_zyx: np.ndarray) -> str:
    """A point, (3,) voxels z y x, as people type it: "X,Y,Z"."""
    return ",".join(f"{value:g}" for value in point_zyx[::-1])


def in_plane_axes(axis: int) -> tuple[int, int]:
    """The axes of the planes across `axis`, rows first: 0 -> (1, 2), 1 -> (0, 2), 2 -> (0, 1)."""
    rows, columns = (other for other in range(3) if other != axis)
    return rows, columns


def runs(planes: Sequence[int]) -> list[tuple[int, int]]:
    """Planes that ascend, as runs of neighbours: the first of each, and one past its last.

    Neighbours are read together, as their voxels share pages of a file.
    """
    breaks = [i for i, (a, b) in enumerate(pairwise(planes), 1) if b > a + 1]
    return [(planes[a], planes[b - 1] + 1) for a, b in pairwise([0, *breaks, len(planes)])]
