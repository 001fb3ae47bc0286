"""Level: one view of one pyramid level, ready for similarities that never form a voxel's features.

Interpolation is linear, so a dot product with F is interpolated from one number a token, and
|F|^2 from five: <t, t> and t with its right, lower and two diagonal neighbours. Both are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from aitom_cryosam.features.half import single
from aitom_cryosam.features.token_files import release
from aitom_cryosam.features.view import BLOCK, View
from aitom_cryosam.geometry import CellAxis
from aitom_cryosam.threads import side_by_side


class Level:
    """Tokens averaged over the cells along the stack: F^r of eq. 5, interpolated in the plane.

    Args:
        view: of the tomogram.
        ratio: voxels along a cell.

    Attributes:
        weights: (cells, n) float32, what averages the tokens along the stack.
        products: (5, cells, gh, gw) float32: the averaged tokens times themselves, their right,
            lower and lower-right neighbours, and right times lower; 0 without a neighbour.
            Made by `prepare`.
    """

    def __init__(self, view: View, ratio: int) -> None:
        self.view = view
        self.cells = CellAxis(view.slices.size, ratio)
        edges = zip(self.cells.edges[:-1], self.cells.edges[1:], strict=True)
        self.weights = np.array(
            [view.slices.weights(np.arange(*edge)).mean(axis=0) for edge in edges], np.float32
        )
        shape = (self.cells.count, view.rows.count, view.columns.count)
        self.products = np.zeros((5, *shape), np.float32)

    @staticmethod
    def prepare(view: View, ratios: Sequence[int]) -> list[Level]:
        """The levels of some ratios, from as few passes over the tokens as they allow.

        One pass is enough if all ratios divide the largest.
        """
        levels = {ratio: Level(view, ratio) for ratio in ratios}
        left = sorted(levels, reverse=True)
        while left:
            nested = [ratio for ratio in left if left[0] % ratio == 0]
            left = [ratio for ratio in left if ratio not in nested]
            _fill_products([levels[ratio] for ratio in nested])
        return [levels[ratio] for ratio in ratios]

    def average(self, values: np.ndarray) -> np.ndarray:
        """(n, gh, gw) one number a token, averaged along the stack: (cells, gh, gw) float32."""
        result = np.empty(self.products.shape[1:], np.float32)
        for cell, weights in enumerate(self.weights):
            tokens = _used(weights)
            result[cell] = np.tensordot(weights[tokens], values[tokens], axes=1)
        return result


def _fill_products(levels: Sequence[Level]) -> None:
    """One pass over the tokens for levels of one view; the first ratio is a multiple of all."""
    view = levels[0].view

    def fill(job: tuple[int, slice]) -> None:
        cell, rows = job
        used = _used(levels[0].weights[cell])
        # One row more, for the lower neighbours.
        tokens = single(view.tokens[used, rows.start : rows.stop + 1])
        for level in levels:
            inside = levels[0].cells.ratio // level.cells.ratio
            cells = slice(cell * inside, (cell + 1) * inside)
            means = np.tensordot(level.weights[cells, used], tokens, axes=1)
            _fill_neighbours(level.products[:, cells, rows], means)

    side_by_side(fill, product(range(levels[0].cells.count), _row_runs(levels[0])))
    release(view.tokens)


def _row_runs(level: Level) -> Iterator[slice]:
    """Rows of tokens of which a cell's planes hold `BLOCK` numbers, or one."""
    planes = max(np.count_nonzero(weights) for weights in level.weights)
    _, rows, columns, channels = level.view.tokens.shape
    step = max(1, BLOCK // (planes * columns * channels))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _used(weights: np.ndarray) -> slice:
    """Where the weights (n,) are not 0; there are none in between."""
    used = np.flatnonzero(weights)
    return slice(used[0], used[-1] + 1)


def _fill_neighbours(products: np.ndarray, tokens: np.ndarray) -> None:
    """products: (5, cells, rows, gw). tokens: (cells, rows or one more, gw, C)."""
    rows = products.shape[2]
    lower = tokens[:, 1:]
    upper = tokens[:, : lower.shape[1]]
    own, right, down, diagonal, anti = products
    own[:] = _dot(tokens[:, :rows], tokens[:, :rows])
    right[..., :-1] = _dot(tokens[:, :rows, :-1], tokens[:, :rows, 1:])
    down[:, : lower.shape[1]] = _dot(upper, lower)
    diagonal[:, : lower.shape[1], :-1] = _dot(upper[:, :, :-1], lower[:, :, 1:])
    anti[:, : lower.shape[1], :-1] = _dot(upper[:, :, 1:], lower[:, :, :-1])


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.einsum("zyxc,zyxc->zyx", one, other)
