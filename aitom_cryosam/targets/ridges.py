"""Ridges: points on sheets or lines in a tomogram, and which of them are next to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from aitom_cryosam.geometry import binned_coordinate, nearest_voxel, unbinned_coordinate

_REACH = 3  # cells between neighbours on a ridge
_BEND = np.cos(np.radians(30))  # of the directions of two neighbours
_OFF = 0.45  # of their distance: a neighbour lies no further beside the ridge
_GAP = 6.0  # cells: a line is followed over a gap that is no longer
_STRAIGHT = np.cos(np.radians(20))  # of a line in a gap


@dataclass(frozen=True, eq=False)
class Ridges:
    """Points on the crests of ridges.

    Attributes:
        kind: of `RidgeShape`.
        cells_zyx: (n, 3) int64, the cell of each.
        binning: voxels along a cell.
        offsets: (n, 3) float32, cells, from the cell's middle to the crest.
        directions_zyx: (n, 3) float32, unit vectors; their sign means nothing.
        responses: (n,) float32, in standard deviations of the noise in their direction.
        contrasts: (n,) float32, the responses in the tomogram's own values: in the directions that
            the missing wedge hides, little is much above the noise.
        cells: (d, h, w) float32, what the tomogram has in the cells, protein positive.
    """

    kind: Literal["sheet", "line"]
    cells_zyx: np.ndarray
    binning: int
    offsets: np.ndarray
    directions_zyx: np.ndarray
    responses: np.ndarray
    contrasts: np.ndarray
    cells: np.ndarray

    def __len__(self) -> int:
        return len(self.cells_zyx)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the grid."""
        return self.cells.shape

    @property
    def places_zyx(self) -> np.ndarray:
        """(n, 3) float64, cells."""
        return self.cells_zyx + self.offsets.astype(np.float64)

    @property
    def points_zyx(self) -> np.ndarray:
        """(n, 3) float64, voxels of the tomogram."""
        cells = self.places_zyx
        return unbinned_coordinate(cells, self.binning)

    @cached_property
    def neighbours(self) -> csr_array:
        """(n, n) symmetric, the distance in cells of points next to each other on one ridge.

        They run the same way, and neither lies beside the other's ridge.
        """
        index = np.full(self.shape, -1, np.int64)
        index[tuple(self.cells_zyx.T)] = np.arange(len(self))
        rows, columns, lengths = [], [], []
        for step in _steps(_REACH):
            length = np.linalg.norm(step)
            there = self.cells_zyx + step
            inside = ((there >= 0) & (there < self.shape)).all(axis=1)
            one = np.flatnonzero(inside)
            other = index[tuple(there[inside].T)]
            one, other = one[other >= 0], other[other >= 0]
            first, second = self.directions_zyx[one], self.directions_zyx[other]
            alike = np.abs((first * second).sum(axis=1)) > _BEND
            along = np.stack([first @ step, second @ step])
            limit = max(_OFF * length, 0.75)
            if self.kind == "sheet":
                near = (np.abs(along) < limit).all(axis=0)
            else:
                near = (np.sqrt(np.maximum(length**2 - along**2, 0)) < limit).all(axis=0)
            rows.append(one[alike & near])
            columns.append(other[alike & near])
            lengths.append(np.full(len(rows[-1]), length, np.float32))
        i, j, value = map(np.concatenate, (rows, columns, lengths))
        both = np.concatenate([value, value]), (np.concatenate([i, j]), np.concatenate([j, i]))
        return csr_array(both, shape=(len(self), len(self)))

    def graph(self, chosen: np.ndarray) -> csr_array:
        """Which of some points are next to each other; on a line, also across gaps in it.

        Args:
            chosen: (m,) indices or (n,) booleans.

        Returns:
            (m, m) symmetric, their distances in cells.
        """
        steps = self.neighbours[chosen][:, chosen]
        if self.kind == "sheet":
            return steps
        places = (self.cells_zyx + self.offsets)[chosen]
        along = self.directions_zyx[chosen]
        i, j = cKDTree(places).query_pairs(_GAP, output_type="ndarray").T
        step = places[j] - places[i]
        length = np.linalg.norm(step, axis=1)
        nearest = _STRAIGHT * length
        ahead = (np.abs((step * along[i]).sum(axis=1)) > nearest) & (
            np.abs((step * along[j]).sum(axis=1)) > nearest
        )
        ahead &= np.abs((along[i] * along[j]).sum(axis=1)) > _STRAIGHT
        i, j, length = i[ahead], j[ahead], length[ahead]
        both = np.concatenate([length, length]), (np.concatenate([i, j]), np.concatenate([j, i]))
        return steps.maximum(csr_array(both, shape=steps.shape))

    def costs(self, chosen: np.ndarray, least: float) -> csr_array:
        """What the steps between neighbours cost: their length, and the more the less support.

        Args:
            chosen: (m,) indices.
            least: support with which a step costs its length.

        Returns:
            (m, m) symmetric, cells.
        """
        costs: csr_array = self.neighbours[chosen][:, chosen]
        weight = least / self.support[chosen]
        rows = np.repeat(np.arange(len(chosen)), np.diff(costs.indptr))
        costs.data = costs.data * (weight[rows] + weight[costs.indices]) / 2
        return costs

    @cached_property
    def support(self) -> np.ndarray:
        """(n,) the responses of a point and its neighbours together: high on an even ridge."""
        return self.responses + self.linked @ self.responses

    def at(self, points_zyx: np.ndarray, directions_zyx: np.ndarray) -> Ridges:
        """Other points, on the same grid.

        Args:
            points_zyx: (m, 3) voxels of the tomogram.
            directions_zyx: (m, 3) unit vectors.
        """
        cells = binned_coordinate(points_zyx, self.binning)
        nearest = np.clip(nearest_voxel(cells), 0, np.array(self.shape) - 1)
        offsets = (cells - nearest).astype(np.float32)
        ones = np.ones(len(cells), np.float32)
        return Ridges(
            self.kind, nearest, self.binning, offsets, directions_zyx, ones, ones, self.cells
        )

    @property
    def linked(self) -> csr_array:
        """(n, n) 1 for each two neighbours."""
        linked = self.neighbours.copy()
        linked.data[:] = 1
        return linked

    def take(self, index: np.ndarray) -> Ridges:
        """The points of (m,) indices or (n,) booleans."""
        return replace(
            self,
            cells_zyx=self.cells_zyx[index],
            offsets=self.offsets[index],
            directions_zyx=self.directions_zyx[index],
            responses=self.responses[index],
            contrasts=self.contrasts[index],
        )


def across(along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (n, 3) square to unit vectors (n, 3), and to each other."""
    helper = np.eye(3, dtype=along.dtype)[np.argmin(np.abs(along), axis=1)]
    first = np.cross(along, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(along, first)


def way_back(before: np.ndarray, end: int, start: int) -> list[int]:
    """From an end back to the start of shortest paths, by the predecessors (n,) of `dijkstra`."""
    way = [end]
    while way[-1] != start:
        way.append(int(before[way[-1]]))
    return way


def _steps(reach: int) -> Iterator[np.ndarray]:
    """Half of the cells around one, z y x: of two opposite ones only the later."""
    for step in np.ndindex(*(2 * reach + 1,) * 3):
        offset = np.array(step) - reach
        if tuple(offset) > (0, 0, 0) and offset @ offset <= reach**2:
            yield offset
