"""Hierarchical feature matching (paper section 2.3): coarse to fine, then maxima."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from aitom_cryosam.features.query import Query
from aitom_cryosam.picks import Picks, suppressed
from aitom_cryosam.settings import Settings
from aitom_cryosam.targets import PARTICLE


class HierarchicalMatcher:
    """Find the places whose features resemble a query.

    Args:
        ratios: pyramid levels, coarse to fine (eq. 5). (1,) is the paper's naive matching.
        tau_sim: a cell below this similarity is dropped, with all that lies in it.
        distance: voxels between two proposals, for the non-maximum suppression.
        finest: whether `tau_sim` holds for the finest level, too.
        subcell: whether a maximum is placed finer than its cell.
    """

    def __init__(
        self,
        *,
        ratios: Sequence[int],
        tau_sim: float,
        distance: float,
        finest: bool = True,
        subcell: bool = True,
    ) -> None:
        self.ratios = tuple(ratios)
        self.tau_sim = tau_sim
        self.distance = distance
        self.finest = finest
        self.subcell = subcell

    @classmethod
    def of(cls, settings: Settings, diameter_voxels: float) -> HierarchicalMatcher:
        """As the settings have it, for particles of a diameter, voxels."""
        return cls(
            ratios=settings.levels(diameter_voxels),
            tau_sim=settings.tau_sim,
            distance=PARTICLE.spacing * diameter_voxels,
            finest=settings.tau_sim_finest,
            subcell=settings.subcell,
        )

    @property
    def everywhere(self) -> HierarchicalMatcher:
        """That finds all maxima of the finest level, background too."""
        return HierarchicalMatcher(
            ratios=self.ratios[-1:], tau_sim=-1, distance=self.distance, subcell=self.subcell
        )

    def match(self, query: Query) -> Picks:
        """The maxima of a query's similarity, best first, with their cosine similarity."""
        ratio, features = self.ratios[-1], query.features
        similarity = self.similar(query)
        peaks = _maxima(similarity)
        scores = similarity[tuple(peaks.T)].astype(np.float64)
        centres = [axis.centres[peaks[:, i]] for i, axis in enumerate(features.cells(ratio))]
        points = np.stack(centres, axis=1)  # (m, 3)
        if self.subcell:
            points = points + ratio * _parabolic_offsets(similarity, peaks)
        points = np.clip(points, 0, np.array(features.shape) - 1)
        kept = suppressed(points, scores, self.distance)
        return Picks.from_points(points[kept], scores[kept])

    def similar(self, query: Query) -> np.ndarray:
        """The similarity of the finest level's cells that pass every level (eq. 6).

        Returns:
            (cells z, y, x) float32; -inf for a cell that is dropped.
        """
        alive: np.ndarray | None = None
        for level, ratio in enumerate(self.ratios):
            similarity = query.similarity(ratio)
            last = level == len(self.ratios) - 1
            passed = similarity >= (self.tau_sim if self.finest or not last else -np.inf)
            if alive is not None:
                grids = (query.features.cells(one) for one in self.ratios[level - 1 : level + 1])
                parents = [
                    parent.cell_of(child.centres) for parent, child in zip(*grids, strict=True)
                ]
                passed &= alive[np.ix_(*parents)]
            alive = passed
        return np.where(passed, similarity, np.float32(-np.inf))


def _maxima(similarity: np.ndarray) -> np.ndarray:
    """(m, 3) int64 cells that no neighbour exceeds, of the 26 around."""
    highest = ndimage.maximum_filter(similarity, size=3, mode="constant", cval=-np.inf)
    return np.argwhere((similarity == highest) & np.isfinite(similarity))


def _parabolic_offsets(similarity: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """(m, 3) cells, -1/2 to 1/2: the vertex of the parabola through a peak and its neighbours.

    0 along an axis where a neighbour is missing: at the border, or below the threshold.
    """
    offsets = np.zeros(peaks.shape)
    middle = similarity[tuple(peaks.T)]
    for axis, step in enumerate(np.eye(3, dtype=np.int64)):
        inside = (peaks[:, axis] > 0) & (peaks[:, axis] < similarity.shape[axis] - 1)
        # What wraps around the border is not used.
        before = similarity[tuple((peaks - step).T)]
        after = similarity[tuple(((peaks + step) % similarity.shape).T)]
        usable = inside & np.isfinite(before) & np.isfinite(after) & (before + after < 2 * middle)
        left, peak, right = before[usable], middle[usable], after[usable]
        offsets[usable, axis] = (left - right) / (2 * (left - 2 * peak + right))
    return offsets
