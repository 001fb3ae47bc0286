"""Tri-planar features (paper section 2.2) and exact similarities without ever forming them.

F = [Z, Y, X] has 3C channels for every voxel: far too much to store. Only the tokens of the
planes of each view are kept. Interpolation is linear, so a dot product with F is interpolated
from one number a token, and |F|^2 from five: <t, t> and t with its right, lower and two
diagonal neighbours. Both are exact.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from aitom_cryosam.encoders.base import PlaneEncoder
from aitom_cryosam.geometry import CellAxis, TokenAxis, in_plane_axes
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.tomogram import Tomogram

POINTS_AT_ONCE = 1 << 18
PLANES_AT_ONCE = 8
STATISTICS_PLANES = 32
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Whitening:
    """A linear map of one view's channels: standardise, then decorrelate.

    Attributes:
        mean: (C,) float32, the tomogram's own mean token.
        matrix: (C, C) float32; a token t becomes (t - mean) @ matrix.
    """

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def fit(cls, tokens: np.ndarray, shrinkage: float) -> Whitening:
        """From sample tokens (n, C).

        Args:
            tokens: (n, C).
            shrinkage: 0..1, the share of the mean eigenvalue mixed into each eigenvalue of the
                correlation matrix; 1 standardises only.
        """
        samples = tokens.astype(np.float64)
        mean = samples.mean(axis=0)
        deviation = samples.std(axis=0)
        deviation[deviation == 0] = 1
        scaled = (samples - mean) / deviation
        values, vectors = np.linalg.eigh(scaled.T @ scaled / len(scaled))
        values = (1 - shrinkage) * np.maximum(values, 0) + shrinkage * values.mean()
        matrix = (vectors / np.sqrt(values)) @ vectors.T / deviation[:, None]
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    def apply(self, tokens: np.ndarray) -> np.ndarray:
        """(..., C) tokens, mapped; float32."""
        return (tokens - self.mean) @ self.matrix


@dataclass(frozen=True)
class View:
    """The tokens of all planes across one axis.

    Attributes:
        axis: the tomogram axis the planes are stacked along.
        tokens: (n, gh, gw, C) float16.
        slices, rows, columns: where the tokens lie along the stack and in the plane.
    """

    axis: int
    tokens: np.ndarray
    slices: TokenAxis
    rows: TokenAxis
    columns: TokenAxis

    @property
    def axes(self) -> tuple[TokenAxis, TokenAxis, TokenAxis]:
        """Token axes in the order of the array: stack, rows, columns."""
        return self.slices, self.rows, self.columns

    @property
    def order(self) -> tuple[int, int, int]:
        """Tomogram axes in the order of the array."""
        return self.axis, *in_plane_axes(self.axis)


class Level:
    """One view of one pyramid level: tokens averaged along the stack, as five scalar maps.

    F^r is the mean over the r planes of a cell and interpolated in the plane (eq. 5).
    """

    def __init__(self, view: View, ratio: int) -> None:
        self.view = view
        self.cells = CellAxis(view.slices.size, ratio)
        self._means = _cell_means(view.slices, self.cells)
        shape = (self.cells.count, view.rows.count, view.columns.count)
        self._norms = np.zeros((5, *shape), np.float32)
        for index in range(self.cells.count):
            self._norms[:, index] = _neighbour_products(self._averaged(index))

    def _averaged(self, index: int) -> np.ndarray:
        """(gh, gw, C) float32, the mean token plane of one cell."""
        first, weights = self._means[index]
        planes = self.view.tokens[first : first + len(weights)].astype(np.float32)
        if len(weights) == 1:
            return planes[0]
        return np.tensordot(weights, planes, axes=1)

    def average_scalar(self, values: np.ndarray) -> np.ndarray:
        """(n, gh, gw) one number a token, averaged along the stack: (cells, gh, gw)."""
        return np.stack(
            [
                np.tensordot(weights, values[first : first + len(weights)], axes=1)
                for first, weights in self._means
            ]
        )

    def sample(
        self, projection: np.ndarray, cells: np.ndarray, in_plane: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Dot product with the query and squared norm at n points.

        Args:
            projection: (cells, gh, gw) from `average_scalar`.
            cells: (n,) index along the stack.
            in_plane: (n, 2) voxel coordinates along rows and columns.

        Returns:
            (n,) dot products and (n,) squared norms, float32.
        """
        y, fy = self.view.rows.interpolation(in_plane[:, 0])
        x, fx = self.view.columns.interpolation(in_plane[:, 1])
        # A single token in a row has no lower neighbour; its weight is 0, any index will do.
        y1 = np.minimum(y + 1, self.view.rows.count - 1)
        x1 = np.minimum(x + 1, self.view.columns.count - 1)
        fy, fx = fy.astype(np.float32), fx.astype(np.float32)
        w00, w01, w10, w11 = (1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx
        own, right, down, diagonal, anti = self._norms
        c = cells
        dots = (
            w00 * projection[c, y, x]
            + w01 * projection[c, y, x1]
            + w10 * projection[c, y1, x]
            + w11 * projection[c, y1, x1]
        )
        norms = (
            w00**2 * own[c, y, x]
            + w01**2 * own[c, y, x1]
            + w10**2 * own[c, y1, x]
            + w11**2 * own[c, y1, x1]
        )
        norms += 2 * (w00 * w01 * right[c, y, x] + w10 * w11 * right[c, y1, x])
        norms += 2 * (w00 * w10 * down[c, y, x] + w01 * w11 * down[c, y, x1])
        norms += 2 * (w00 * w11 * diagonal[c, y, x] + w01 * w10 * anti[c, y, x])
        return dots, norms


class TriplanarFeatures:
    """F of eq. 3 for one tomogram, kept as tokens.

    Args:
        views: one View for each of the axes z, y, x.
        ratios: the pyramid levels to prepare; others are prepared when first asked for.
    """

    def __init__(self, views: Sequence[View], ratios: Sequence[int] = ()) -> None:
        self.views = tuple(views)
        self.shape = tuple(view.slices.size for view in self.views)
        self._levels: dict[int, list[Level]] = {}
        for ratio in ratios:
            self.level(ratio)

    @classmethod
    def extract(
        cls,
        tomogram: Tomogram,
        encoder: PlaneEncoder,
        *,
        slab: int = 1,
        shrinkage: float | None = None,
        ratios: Sequence[int] = (),
        progress: Progress | None = None,
    ) -> TriplanarFeatures:
        """Encode every plane of the three views.

        Args:
            tomogram: (D, H, W).
            encoder: planes to tokens.
            slab: planes averaged into one before they are encoded; 1 as in the paper.
            shrinkage: whiten every view over the tomogram (see Whitening); None leaves the
                tokens as the encoder gives them.
            ratios: pyramid levels to prepare.
            progress: called with the number of planes encoded since the last call.
        """
        # Batches of planes run side by side; BLAS threads below them would only fight.
        with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
            views = [
                _extract_view(tomogram, encoder, axis, slab, shrinkage, progress, pool)
                for axis in range(3)
            ]
            return cls(views, ratios)

    @property
    def channels(self) -> int:
        """C, of one view."""
        return int(self.views[0].tokens.shape[-1])

    def level(self, ratio: int) -> list[Level]:
        """The three views at a pyramid level; ratio 1 is every voxel."""
        if ratio not in self._levels:
            self._levels[ratio] = [Level(view, ratio) for view in self.views]
        return self._levels[ratio]

    def cells(self, ratio: int) -> tuple[CellAxis, CellAxis, CellAxis]:
        """The grid of a pyramid level, z y x."""
        z, y, x = (CellAxis(size, ratio) for size in self.shape)
        return z, y, x

    def sample(self, points_zyx: np.ndarray) -> np.ndarray:
        """F at points, eq. 3, explicitly. points_zyx: (n, 3) voxels. Returns (n, 3C) float32."""
        parts = []
        for view in self.views:
            corners = [
                axis.interpolation(points_zyx[:, order])
                for axis, order in zip(view.axes, view.order, strict=True)
            ]
            total = np.zeros((len(points_zyx), view.tokens.shape[-1]), np.float32)
            for corner in np.ndindex(2, 2, 2):
                weight = np.ones(len(points_zyx), np.float32)
                index = []
                for side, (lower, fraction), axis in zip(corner, corners, view.axes, strict=True):
                    weight = weight * (fraction if side else 1 - fraction)
                    index.append(np.minimum(lower + side, axis.count - 1))
                total += weight[:, None].astype(np.float32) * view.tokens[tuple(index)]
            parts.append(total)
        return np.concatenate(parts, axis=1)

    def masked_mean(self, masks: Sequence[ParticleMask]) -> np.ndarray:
        """F_Q of eq. 4: the mean of F over all voxels of all masks, (3C,) float32.

        Raises:
            ValueError: no mask has a voxel.
        """
        filled = [mask for mask in masks if mask.volume]
        if not filled:
            raise ValueError("Expected at least one mask with voxels.")
        total = np.sum([self._masked_sum(mask) for mask in filled], axis=0)
        return (total / sum(mask.volume for mask in filled)).astype(np.float32)

    def _masked_sum(self, mask: ParticleMask) -> np.ndarray:
        """(3C,) float64, the sum of F over the voxels of one mask."""
        parts = []
        for view in self.views:
            weights = np.transpose(mask.mask, view.order).astype(np.float64)
            box = []
            for axis, order in zip(view.axes, view.order, strict=True):
                first = int(mask.offset_zyx[order])
                matrix = axis.weights(first + np.arange(mask.mask.shape[order]))
                used = np.flatnonzero(matrix.any(axis=0))
                box.append(slice(used[0], used[-1] + 1))
                # Each contraction moves its axis to the end, so three restore the order.
                weights = np.tensordot(weights, matrix[:, box[-1]], axes=(0, 0))
            tokens = view.tokens[tuple(box)].astype(np.float64)
            parts.append(np.tensordot(weights, tokens, axes=3))
        return np.concatenate(parts)

    def query(self, vector: np.ndarray) -> Query:
        """Prepare a query (3C,) for `similarity`."""
        return Query(self, vector)


class Query:
    """A query vector projected onto every token: one number each.

    Args:
        features: of the tomogram to search.
        vector: (3C,) F_Q; its length does not matter.
    """

    def __init__(self, features: TriplanarFeatures, vector: np.ndarray) -> None:
        self._features = features
        unit = vector.astype(np.float32) / np.linalg.norm(vector)
        self._projections = [
            _project(view.tokens, part)
            for view, part in zip(features.views, np.split(unit, 3), strict=True)
        ]
        self._averaged: dict[int, list[np.ndarray]] = {}

    def similarity(self, ratio: int, cells_zyx: np.ndarray) -> np.ndarray:
        """Cosine similarity S^r of eq. 6 at cells of a pyramid level.

        Args:
            ratio: of the level; 1 for single voxels.
            cells_zyx: (n, 3) int64, indices into the grid of `TriplanarFeatures.cells(ratio)`.

        Returns:
            (n,) float32; 0 where F is 0.
        """
        levels = self._features.level(ratio)
        if ratio not in self._averaged:
            self._averaged[ratio] = [
                level.average_scalar(values)
                for level, values in zip(levels, self._projections, strict=True)
            ]
        centres = [axis.centres for axis in self._features.cells(ratio)]
        result = np.empty(len(cells_zyx), np.float32)
        for start in range(0, len(cells_zyx), POINTS_AT_ONCE):
            cells = cells_zyx[start : start + POINTS_AT_ONCE]
            dots = np.zeros(len(cells), np.float32)
            norms = np.zeros(len(cells), np.float32)
            for level, projection in zip(levels, self._averaged[ratio], strict=True):
                stack, rows, columns = level.view.order
                in_plane = np.stack(
                    [centres[rows][cells[:, rows]], centres[columns][cells[:, columns]]], axis=1
                )
                dot, norm = level.sample(projection, cells[:, stack], in_plane)
                dots += dot
                norms += norm
            result[start : start + len(cells)] = dots / np.sqrt(np.maximum(norms, 1e-12))
        return result


def _extract_view(
    tomogram: Tomogram,
    encoder: PlaneEncoder,
    axis: int,
    slab: int,
    shrinkage: float | None,
    progress: Progress | None,
    pool: ThreadPoolExecutor,
) -> View:
    size = tomogram.shape[axis]
    rows, columns = (tomogram.shape[other] for other in in_plane_axes(axis))
    grid = encoder.grid((rows, columns))
    slices = TokenAxis(size, -(-size // slab), slab)

    def encode(batch: tuple[int, int]) -> np.ndarray:
        return encoder.encode(_slabs(tomogram, axis, *batch, slab))

    whitening = None
    if shrinkage is not None:
        chosen = np.unique(np.linspace(0, slices.count - 1, STATISTICS_PLANES).round().astype(int))
        sample = np.concatenate(list(pool.map(encode, [(int(i), int(i) + 1) for i in chosen])))
        whitening = Whitening.fit(sample.reshape(-1, sample.shape[-1]), shrinkage)

    def fill(batch: tuple[int, int]) -> None:
        tokens = encode(batch)
        result[slice(*batch)] = tokens if whitening is None else whitening.apply(tokens)
        if progress is not None:
            progress(min(batch[1] * slab, size) - batch[0] * slab)

    result = np.empty(
        (slices.count, grid.rows.count, grid.columns.count, encoder.channels), np.float16
    )
    for _ in pool.map(fill, _batches(slices.count)):
        pass
    return View(axis, result, slices, grid.rows, grid.columns)


def _slabs(tomogram: Tomogram, axis: int, start: int, stop: int, slab: int) -> np.ndarray:
    """(stop - start, h, w) float32, means of `slab` planes; the last of all may have fewer."""
    size = tomogram.shape[axis]
    planes = tomogram.planes(axis, start * slab, min(stop * slab, size))
    if slab == 1:
        return planes
    return np.stack([planes[i : i + slab].mean(axis=0) for i in range(0, len(planes), slab)])


def _batches(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, PLANES_AT_ONCE):
        yield start, min(start + PLANES_AT_ONCE, count)


def _cell_means(slices: TokenAxis, cells: CellAxis) -> list[tuple[int, np.ndarray]]:
    """For each cell its first token along the stack, and the weights that average its voxels."""
    means = []
    for start, stop in zip(cells.edges[:-1], cells.edges[1:], strict=True):
        weights = slices.weights(np.arange(start, stop)).mean(axis=0).astype(np.float32)
        used = np.flatnonzero(weights)
        means.append((int(used[0]), weights[used[0] : used[-1] + 1]))
    return means


def _neighbour_products(tokens: np.ndarray) -> np.ndarray:
    """(5, gh, gw): <t,t>, t with its right, lower, and lower-right neighbour, right with lower.

    Entries whose neighbour does not exist are 0; their interpolation weight is 0 as well.
    """
    products = np.zeros((5, *tokens.shape[:2]), np.float32)
    products[0] = np.einsum("yxc,yxc->yx", tokens, tokens)
    products[1, :, :-1] = np.einsum("yxc,yxc->yx", tokens[:, :-1], tokens[:, 1:])
    products[2, :-1] = np.einsum("yxc,yxc->yx", tokens[:-1], tokens[1:])
    products[3, :-1, :-1] = np.einsum("yxc,yxc->yx", tokens[:-1, :-1], tokens[1:, 1:])
    products[4, :-1, :-1] = np.einsum("yxc,yxc->yx", tokens[:-1, 1:], tokens[1:, :-1])
    return products


def _project(tokens: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(n, gh, gw) float32, tokens times query, a few planes at a time."""
    result = np.empty(tokens.shape[:3], np.float32)
    for start, stop in _batches(len(tokens)):
        result[start:stop] = tokens[start:stop].astype(np.float32) @ query
    return result
