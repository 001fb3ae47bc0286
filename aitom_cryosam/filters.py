"""Filters: several filters of one width along an axis of planes, all of them at once."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy import ndimage

from aitom_cryosam.scratch import Scratch

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

    def __len__(self) -> int:
        return len(self.taps)

    def both(self, planes: np.ndarray, scratch: Scratch) -> list[np.ndarray]:
        """Filter i along the columns, then filter j along the rows, for all i + j < k.

        Args:
            planes: (..., h, w) float32.
            scratch: that holds what is returned, until it is used again.

        Returns:
            (..., h, w) float32 each, in the order of i, then j; of k derivatives all that are of a
            lower order than k.
        """
        *other, height, width = planes.shape
        count, block = _blocks(width)
        wide = self._down(planes, count * block, scratch)
        self._fill_beyond(wide, width)
        pairs = [(i, j) for i in range(len(self)) for j in range(len(self) - i)]
        made = scratch("both", len(pairs), *other, height, count * block)
        for (i, j), out in zip(pairs, made, strict=True):
            self._across(wide[i, ..., :height, :], self._matrices(block)[j], out)
        return list(made[..., :width])

    def _down(self, planes: np.ndarray, columns: int, scratch: Scratch) -> np.ndarray:
        """(k, ..., h or more, columns + 2 r), of which the first and last columns are not set."""
        *other, height, width = planes.shape
        count, block = _blocks(height)
        tall = scratch("tall", *other, count * block + 2 * self.reach, width)
        tall[..., self.reach : self.reach + height, :] = planes
        self._fill_beyond(np.swapaxes(tall, -1, -2), height)
        made = scratch("wide", len(self), *other, count, block, columns + 2 * self.reach)
        *steps, row, column = tall.strides
        blocks = as_strided(
            tall,
            (*other, count, block + 2 * self.reach, width),
            (*steps, block * row, row, column),
        )
        for matrix, out in zip(self._matrices(block), made, strict=True):
            np.matmul(matrix, blocks, out=out[..., self.reach : self.reach + width])
        return made.reshape(len(self), *other, count * block, -1)

    def _across(self, wide: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
        """wide: (..., h, n block + 2 r). matrix: (block, block + 2 r). out: (..., h, n block)."""
        *other, height, columns = out.shape
        block = len(matrix)
        *steps, row, column = wide.strides
        blocks = as_strided(
            wide,
            (*other, columns // block, height, block + 2 * self.reach),
            (*steps, block * column, row, column),
        )
        cut = out.reshape(*other, height, columns // block, block)
        np.matmul(blocks, matrix.T, out=np.moveaxis(cut, -2, -3))

    def _fill_beyond(self, lines: np.ndarray, size: int) -> None:
        """lines: (..., n), of which `size` pixels from the reach on are set: sets the others."""
        before, after = _beyond(size, self.reach, lines.shape[-1] - 2 * self.reach, self.beyond)
        pixels = lines[..., self.reach : self.reach + size]
        lines[..., : self.reach] = pixels[..., before]
        lines[..., self.reach + size :] = pixels[..., after]

    def _matrices(self, block: int) -> np.ndarray:
        """(k, block, block + 2 r): each filter at every pixel of a block."""
        if block not in self._made:
            matrices = np.zeros((len(self), block, block + 2 * self.reach), np.float32)
            for pixel in range(block):
                matrices[:, pixel, pixel : pixel + self.taps.shape[1]] = self.taps
            self._made[block] = matrices
        return self._made[block]


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
