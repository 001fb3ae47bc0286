"""Filters: several filters of one width along an axis of planes, all of them at once."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy import ndimage

TRUNCATE = 3.0
"""Standard deviations: a Gaussian ends there."""
Beyond = Literal["symmetric", "edge"]
BLOCK = 16
"""Pixels of a line that one small product of matrices makes. More would multiply more zeros."""


class Filters:
    """Filters that reach equally far, along the rows or columns of planes.

    A line is cut into short blocks: each is the product of a small matrix and the pixels under
    it, which BLAS does several times faster than a loop over the taps.

    Args:
        taps: (k, 2 r + 1) float32, k filters as they are laid over the pixels.
        beyond: the plane's edges: "symmetric" for its reflection, "edge" for its last pixel.
    """

    def __init__(self, taps: np.ndarray, beyond: Beyond = "symmetric") -> None:
        self.taps = np.asarray(taps, np.float32)
        self.beyond = beyond
        self.reach = self.taps.shape[1] // 2
        self._made: dict[int, np.ndarray] = {}
        self._firsts: dict[int, Filters] = {}

    def __len__(self) -> int:
        return len(self.taps)

    def first(self, count: int) -> Filters:
        """The first few of them."""
        if count not in self._firsts:
            self._firsts[count] = Filters(self.taps[:count], self.beyond)
        return self._firsts[count]

    def down(self, planes: np.ndarray) -> np.ndarray:
        """Along the columns: planes (..., h, w) float32 to (k, ..., h, w)."""
        *other, height, width = planes.shape
        count, block = _blocks(height)
        made = np.empty((len(self), *other, count * block, width), np.float32)
        padded = self._padded(planes, axis=-2, size=count * block)
        *steps, row, column = padded.strides
        blocks = as_strided(
            padded,
            (*other, count, block + 2 * self.reach, width),
            (*steps, block * row, row, column),
        )
        for matrix, out in zip(self._matrices(block), made, strict=True):
            np.matmul(matrix, blocks, out=out.reshape(*other, count, block, width))
        return made[..., :height, :]

    def across(self, planes: np.ndarray) -> np.ndarray:
        """Along the rows: planes (..., h, w) float32 to (k, ..., h, w)."""
        *other, height, width = planes.shape
        count, block = _blocks(width)
        made = np.empty((len(self), *other, height, count * block), np.float32)
        padded = self._padded(planes, axis=-1, size=count * block)
        *steps, row, column = padded.strides
        blocks = as_strided(
            padded,
            (*other, count, height, block + 2 * self.reach),
            (*steps, block * column, row, column),
        )
        for matrix, out in zip(self._matrices(block), made, strict=True):
            cut = out.reshape(*other, height, count, block)
            np.matmul(blocks, matrix.T, out=np.moveaxis(cut, -2, -3))
        return made[..., :width]

    def _matrices(self, block: int) -> np.ndarray:
        """(k, block, block + 2 r): each filter at every pixel of a block."""
        if block not in self._made:
            matrices = np.zeros((len(self), block, block + 2 * self.reach), np.float32)
            for pixel in range(block):
                matrices[:, pixel, pixel : pixel + self.taps.shape[1]] = self.taps
            self._made[block] = matrices
        return self._made[block]

    def _padded(self, planes: np.ndarray, axis: int, size: int) -> np.ndarray:
        """Planes with what lies beyond their edges, up to a whole number of blocks."""
        before, after = _beyond(planes.shape[axis], self.reach, size, self.beyond)
        shape = list(planes.shape)
        shape[axis] += len(before) + len(after)
        padded = np.empty(shape, np.float32)
        along, source = (np.swapaxes(array, axis, 0) for array in (padded, planes))
        along[len(before) : len(along) - len(after)] = source
        along[: len(before)] = source[before]
        along[len(along) - len(after) :] = source[after]
        return padded


@lru_cache(maxsize=256)
def _beyond(count: int, reach: int, size: int, beyond: Beyond) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of a line stand before and after it, up to `size` and the reach of a filter."""
    source = np.pad(np.arange(count), (reach, reach + size - count), mode=beyond)
    return source[:reach], source[reach + count :]


@lru_cache(maxsize=64)
def gaussians(sigma: float, orders: int = 1, beyond: Beyond = "symmetric") -> Filters:
    """A Gaussian and its first derivatives.

    Args:
        sigma: pixels.
        orders: 1 for the Gaussian alone, 2 with its first derivative, 3 with its second.
        beyond: as for `Filters`.
    """
    point = np.zeros(2 * int(TRUNCATE * sigma + 0.5) + 1)
    point[len(point) // 2] = 1
    made = [
        ndimage.gaussian_filter1d(point, sigma, order=order, mode="constant", truncate=TRUNCATE)
        for order in range(orders)
    ]
    # The response to a point is the filter turned round.
    return Filters(np.stack(made)[:, ::-1], beyond)


def _blocks(size: int) -> tuple[int, int]:
    """How many blocks a line of pixels is cut into, and of how many pixels."""
    count = -(-size // BLOCK)
    return count, -(-size // count)
