"""Hierarchical feature matching (paper section 2.3): coarse to fine, then maxima."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from aitom_cryosam.features import Query, TriplanarFeatures
from aitom_cryosam.picks import Picks, suppressed


class HierarchicalMatcher:
    """Find the places whose features resemble a query.

    Args:
        ratios: pyramid levels, coarse to fine (eq. 5). (1,) is the paper's naive matching.
        tau_sim: a cell below this similarity is dropped, with all that lies in it.
        distance: voxels between two proposals, for the non-maximum suppression.
    """

    def __init__(self, *, ratios: Sequence[int], tau_sim: float, distance: float) -> None:
        self.ratios = tuple(ratios)
        self.tau_sim = tau_sim
        self.distance = distance

    def match(self, features: TriplanarFeatures, vector: np.ndarray) -> Picks:
        """The maxima for a query vector (3C,), best first, with their cosine similarity."""
        ratio, cells, values = self.similar_cells(features, vector)
        grid = features.cells(ratio)
        similarity = np.full([axis.count for axis in grid], -np.inf, np.float32)
        similarity[tuple(cells.T)] = values
        peaks = _maxima(similarity, cells)
        scores = similarity[tuple(peaks.T)].astype(np.float64)
        centres = [axis.centres[peaks[:, i]] for i, axis in enumerate(grid)]
        points = np.stack(centres, axis=1) + ratio * _parabolic_offsets(similarity, peaks)
        points = np.clip(points, 0, np.array(features.shape) - 1)
        kept = suppressed(points, scores, self.distance)
        return Picks.from_points(points[kept], scores[kept])

    def similar_cells(
        self, features: TriplanarFeatures, vector: np.ndarray
    ) -> tuple[int, np.ndarray, np.ndarray]:
        """The cells of the finest level that pass every level (eq. 6).

        Returns:
            The finest ratio, (n, 3) int64 cell indices z y x, and (n,) float32 similarities.
        """
        query = Query(features, vector)
        cells = np.argwhere(np.ones([axis.count for axis in features.cells(self.ratios[0])], bool))
        values = query.similarity(self.ratios[0], cells)
        for coarse, fine in zip(self.ratios, self.ratios[1:], strict=False):
            alive = np.zeros([axis.count for axis in features.cells(coarse)], bool)
            alive[tuple(cells[values >= self.tau_sim].T)] = True
            parents = [
                parent.cell_of(child.centres)
                for parent, child in zip(features.cells(coarse), features.cells(fine), strict=True)
            ]
            cells = np.argwhere(alive[np.ix_(*parents)])
            values = query.similarity(fine, cells)
        kept = values >= self.tau_sim
        return self.ratios[-1], cells[kept], values[kept]


def _maxima(similarity: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """(m, 3) those of the cells that no neighbour exceeds, of the 26 around."""
    highest = ndimage.maximum_filter(similarity, size=3, mode="constant", cval=-np.inf)
    index = tuple(cells.T)
    return cells[similarity[index] == highest[index]]


def _parabolic_offsets(similarity: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """(m, 3) cells, -1/2 to 1/2: the vertex of the parabola through a peak and its neighbours.

    0 along an axis where a neighbour is missing: at the border, or below the threshold.
    """
    offsets = np.zeros(peaks.shape)
    padded = np.pad(similarity, 1, constant_values=-np.inf)
    middle = similarity[tuple(peaks.T)]
    for axis, step in enumerate(np.eye(3, dtype=np.int64)):
        before = padded[tuple((peaks + 1 - step).T)]
        after = padded[tuple((peaks + 1 + step).T)]
        usable = np.isfinite(before) & np.isfinite(after) & (before + after < 2 * middle)
        left, peak, right = before[usable], middle[usable], after[usable]
        offsets[usable, axis] = (left - right) / (2 * (left - 2 * peak + right))
    return offsets
