"""Query: the exact cosine similarity of a tomogram with one vector, at any resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitom_cryosam.features.level import Level
from aitom_cryosam.features.triplanar import TriplanarFeatures
from aitom_cryosam.geometry import TokenAxis
from aitom_cryosam.threads import mapped, side_by_side

CELLS_AT_ONCE = 1 << 18


class Query:
    """A query vector projected onto every token, one number each, and its similarity maps.

    Args:
        features: of the tomogram to search.
        vector: (3C,) F_Q; its length does not matter.
    """

    def __init__(self, features: TriplanarFeatures, vector: np.ndarray) -> None:
        self.features = features
        unit = vector.astype(np.float32) / np.linalg.norm(vector)
        parts = zip(features.views, np.split(unit, 3), strict=True)
        self._projections = [view.project(part) for view, part in parts]
        self._maps: dict[int, np.ndarray] = {}

    def similarity(self, ratio: int) -> np.ndarray:
        """Cosine similarity S^r of eq. 6 with every cell of a pyramid level.

        Args:
            ratio: of the level; 1 for single voxels.

        Returns:
            (cells along z, y, x) float32, as `TriplanarFeatures.cells(ratio)`; 0 where F is 0.
            Computed once for a ratio.
        """
        if ratio not in self._maps:
            self._maps[ratio] = self._similarity(ratio)
        return self._maps[ratio]

    def _similarity(self, ratio: int) -> np.ndarray:
        grid = self.features.cells(ratio)
        centres = [axis.centres for axis in grid]
        levels = self.features.level(ratio)

        def surface(view: int) -> _Surface:
            level = levels[view]
            return _Surface.of(level, level.average(self._projections[view]), centres)

        surfaces = mapped(surface, range(len(levels)))
        result = np.empty([axis.count for axis in grid], np.float32)
        step = max(1, CELLS_AT_ONCE * len(result) // result.size)

        def fill(start: int) -> None:
            planes = slice(start, start + step)
            dots, norms = np.sum([surface.at(planes) for surface in surfaces], axis=0)
            result[planes] = dots / np.sqrt(np.maximum(norms, 1e-12))

        side_by_side(fill, range(0, len(result), step))
        return result


@dataclass(frozen=True)
class _Line:
    """Linear interpolation at the cells of one axis of arrays (z, y, x)."""

    axis: int
    lower: np.ndarray  # (cells,) index of a token
    upper: np.ndarray
    fraction: np.ndarray  # (cells,) float32, weight of the upper

    @classmethod
    def of(cls, axis: int, tokens: TokenAxis, centres: np.ndarray) -> _Line:
        lower, fraction = tokens.interpolation(centres)
        # A single token has no neighbour; its fraction is 0, any index will do.
        upper = np.minimum(lower + 1, tokens.count - 1)
        return cls(axis, lower, upper, fraction.astype(np.float32))

    def cut(self, cells: slice) -> _Line:
        return _Line(self.axis, self.lower[cells], self.upper[cells], self.fraction[cells])

    def linear(self, values: np.ndarray) -> np.ndarray:
        """Interpolated values."""
        lower, upper = self._weights()
        return lower * values.take(self.lower, self.axis) + upper * values.take(
            self.upper, self.axis
        )

    def squared(self, squares: np.ndarray, products: np.ndarray) -> np.ndarray:
        """|v|^2 of interpolated vectors v, from |t|^2 and <t, next t> of the tokens' t."""
        lower, upper = self._weights()
        result = lower**2 * squares.take(self.lower, self.axis)
        result += upper**2 * squares.take(self.upper, self.axis)
        result += 2 * lower * upper * products.take(self.lower, self.axis)
        return result

    def _weights(self) -> tuple[np.ndarray, np.ndarray]:
        shape = [1, 1, 1]
        shape[self.axis] = -1
        upper = self.fraction.reshape(shape)
        return 1 - upper, upper


@dataclass(frozen=True)
class _Surface:
    """One view's share of the dot product with the query and of |F|^2."""

    maps: np.ndarray  # (5, z, y, x): tokens in the plane, cells across it
    rows: _Line
    columns: _Line

    @classmethod
    def of(cls, level: Level, projection: np.ndarray, centres: list[np.ndarray]) -> _Surface:
        """projection: (cells, gh, gw). centres: of the cells along z, y, x."""
        own, right, down, diagonal, anti = level.products
        maps = np.stack([projection, own, right, down, (diagonal + anti) / 2])
        view = level.view
        _, rows, columns = view.order
        return cls(
            np.ascontiguousarray(np.transpose(maps, (0, *(1 + np.argsort(view.order))))),
            _Line.of(rows, view.rows, centres[rows]),
            _Line.of(columns, view.columns, centres[columns]),
        )

    def at(self, planes: slice) -> tuple[np.ndarray, np.ndarray]:
        """(z, y, x) dot products and squared norms of some cells along z."""
        across = self.rows.axis != 0
        maps = self.maps[:, planes] if across else self.maps
        rows = self.rows if across else self.rows.cut(planes)
        projection, own, right, down, crossed = maps
        return (
            self.columns.linear(rows.linear(projection)),
            self.columns.squared(rows.squared(own, down), rows.squared(right, crossed)),
        )
