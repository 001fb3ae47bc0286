"""Outlines: membranes and filaments followed by a network's masks, from plane to plane."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from aitom_cryosam.propagator.embeddings import PlaneEmbeddings
from aitom_cryosam.segmenters.base import PlaneSegmenter, Segmentation
from aitom_cryosam.targets.ridges import Ridges, way_back
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

PROMPTS = 5
"""Points along the ridge that a mask is asked for with."""
AXES = 2
"""Across which the planes' masks must agree on a point."""
_REACH = 12.0  # cells: so far to both sides they lie


class Outlines:
    """Six walks from each click, as those of a particle (section 2.1), along a ridge.

    On a plane the network is prompted with points on the minimal path along the ridge, on the next
    one with the path through the best point where the ridge goes on, and the logits before (eq. 2).
    Its mask may be wider than a membrane, or a whole vesicle. What counts are the points of the
    ridge in it that hang together with the prompts: as thin as the filters see them, but also where
    they are too weak to be trusted alone. A walk ends at a face, where no ridge goes on, where the
    mask holds none of the prompts, and where another walk has been. A point counts that planes
    across two axes agree on: what touches a vesicle seldom looks like it from two sides.

    The planes are those of the cells that the filters work on.

    Args:
        segmenter: makes one that takes several points a prompt, for planes of so many cells.
        name: of the network.
        budget_bytes: for the embeddings held at once.
    """

    def __init__(
        self, segmenter: Callable[[int], PlaneSegmenter], name: str, budget_bytes: float
    ) -> None:
        self.segmenter = segmenter
        self.name = name
        self.budget_bytes = budget_bytes

    def outlined(self, ridges: Ridges, seeds: np.ndarray, least: float) -> np.ndarray:
        """(n,) bool: the points that the masks hold; see `Outliner.outlined`.

        Args:
            ridges: n points.
            seeds: (p,) points at the clicks.
            least: support that a point must have.
        """
        able = np.flatnonzero(ridges.support >= least)
        starts = np.searchsorted(able, np.intersect1d(seeds, able))
        costs = ridges.costs(able, least)
        segmenter = self.segmenter(max(ridges.shape))
        cells = Tomogram.from_array(ridges.cells, voxel_size=1.0, contrast="bright")
        times = np.zeros(len(ridges), np.int64)
        for axis in range(3):
            planes = PlaneEmbeddings(segmenter, cells, axis)
            times[able] += self._walked(planes, _Across(ridges, able, costs, axis), starts)
        held = times >= AXES
        if not held.any():
            logger.warning(
                "%s outlines nothing at the clicks; filters alone follow the structure.", self.name
            )
        return held

    def _walked(self, planes: PlaneEmbeddings, across: _Across, starts: np.ndarray) -> np.ndarray:
        """(m,) bool: the points that walks from (p,) starts reach."""
        reached = np.zeros(len(across.planes), bool)
        prompts: list[int] = starts.tolist()
        ways: list[tuple[int, ...]] = [(-1, 1)] * len(starts)
        before = None
        while prompts:
            paths = [across.path(prompt) for prompt in prompts]
            needed, rows = np.unique(across.planes[prompts], return_inverse=True)
            points = np.stack([across.along(path) for path in paths])  # (n, PROMPTS, 2)
            embeddings = planes.at(needed, min(self.budget_bytes, planes.segmenter.held_bytes))
            masks = planes.segmenter.segment(embeddings, rows, points, before)
            held = [across.held(masks, row, path) for row, path in enumerate(paths)]
            going = [
                (row, way, onward)
                for row, points_held in enumerate(held)
                if not reached[points_held].all()
                for way in ways[row]
                if (onward := across.onward(points_held, way)) is not None
            ]
            for points_held in held:
                reached[points_held] = True
            prompts, ways = [one[2] for one in going], [(one[1],) for one in going]
            before = masks.take(np.array([one[0] for one in going], np.int64))
        return reached


class _Across:
    """The points of ridges as the planes across an axis meet them; a point is its row, 0 to m - 1.

    Args:
        ridges: n points.
        able: (m,) those that count.
        costs: (m, m) of the steps between them.
        axis: 0, 1, 2 for planes across z, y, x.
    """

    def __init__(self, ridges: Ridges, able: np.ndarray, costs: csr_array, axis: int) -> None:
        cells = ridges.cells_zyx[able]
        self.planes = cells[:, axis]
        self.pixels_yx = np.delete(cells, axis, axis=1)
        self.places_yx = np.delete(ridges.places_zyx[able], axis, axis=1)
        self.support = ridges.support[able]
        self.costs = costs
        rows, columns = costs.tocoo().coords
        same = self.planes[rows] == self.planes[columns]
        within = costs.data[same], (rows[same], columns[same])
        self.within = csr_array(within, shape=costs.shape)

    def path(self, point: int) -> np.ndarray:
        """(k,) points of the minimal path on its plane through a point, from end to end."""
        lengths, before = dijkstra(self.within, indices=point, return_predecessors=True)
        steps = self.places_yx - self.places_yx[point]
        near = np.isfinite(lengths) & ((steps**2).sum(axis=1) <= _REACH**2)
        near[point] = True
        rows = np.flatnonzero(near)
        ends = [rows[np.argmax(lengths[rows])]]
        behind = rows[steps[rows] @ steps[ends[0]] < 0]
        ends.append(behind[np.argmax(lengths[behind])] if len(behind) else point)
        halves = [way_back(before, int(end), point) for end in ends]
        return np.array([*halves[0], *halves[1][-2::-1]])

    def along(self, path: np.ndarray) -> np.ndarray:
        """(PROMPTS, 2) places on the plane, evenly along a path."""
        at = np.linspace(0, len(path) - 1, PROMPTS)
        places = self.places_yx[path]
        return np.stack([np.interp(at, np.arange(len(path)), axis) for axis in places.T], axis=1)

    def held(self, masks: Segmentation, row: int, path: np.ndarray) -> np.ndarray:
        """The points in a mask that hang together with those of a path that are in it."""
        on = np.flatnonzero(self.planes == self.planes[path[0]])
        mask, pixels = masks.masks[row], self.pixels_yx[on] - masks.offsets_yx[row]
        seen = ((pixels >= 0) & (pixels < mask.shape)).all(axis=1)
        on, pixels = on[seen], pixels[seen]
        on = on[mask[tuple(pixels.T)]]
        _, piece = connected_components(self.within[on][:, on], directed=False)
        return on[np.isin(piece, piece[np.isin(on, path)])]

    def onward(self, points: np.ndarray, way: int) -> int | None:
        """The best supported point next to others, on the plane after (1) or before (-1) theirs."""
        next_to = self.costs[points].indices
        if not len(next_to):
            return None
        next_to = next_to[self.planes[next_to] == self.planes[points[0]] + way]
        return int(next_to[np.argmax(self.support[next_to])]) if len(next_to) else None
