"""How good picks are: one-to-one matching with the truth within a radius."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Picks against truth.

    Attributes:
        n_picks: number of picks.
        n_truth: number of true particles.
        pairs: (m, 2) int64, index of pick and of true particle, each at most once.
        distances: (m,) Å, between the two of each pair.
        curve_recall: (n_picks,) of the best k picks, k = 1 to n_picks; empty if a pick has no
            score.
        curve_precision: (n_picks,) likewise.
        scores: (n_picks,) as they came.
    """

    n_picks: int
    n_truth: int
    pairs: np.ndarray
    distances: np.ndarray
    curve_recall: np.ndarray
    curve_precision: np.ndarray
    scores: np.ndarray

    @cached_property
    def ranked(self) -> np.ndarray:
        """(n_picks,) scores with the other sign, the best pick's first."""
        return np.sort(-self.scores)

    @cached_property
    def hits(self) -> np.ndarray:
        """(n_picks,) bool, likewise: whether each finds one more; empty without a curve."""
        return np.diff(self.curve_recall * self.n_truth, prepend=0.0) > 0.5

    @property
    def precision(self) -> float:
        """Share of the picks that are true; NaN without picks."""
        return len(self.pairs) / self.n_picks if self.n_picks else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true particles that are picked; NaN without true particles."""
        return len(self.pairs) / self.n_truth if self.n_truth else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without picks."""
        return self.f_beta(1)

    def f_beta(self, beta: float) -> float:
        """Weighted harmonic mean: recall counts beta times as much as precision.

        0 if there are only picks or only true particles, NaN if there is neither.

        Raises:
            InputError: beta is not above 0.
        """
        if not 0 < beta < math.inf:
            raise InputError(f"Expected a beta above 0, got {beta:g}.")
        weight = self.n_picks + beta**2 * self.n_truth
        return (1 + beta**2) * len(self.pairs) / weight if weight else float("nan")

    @property
    def average_precision(self) -> float:
        """Precision summed over the steps of recall, not interpolated.

        NaN without scores or without true particles.
        """
        if len(self.curve_recall) < self.n_picks or not self.n_truth:
            return float("nan")
        steps = np.diff(self.curve_recall, prepend=0.0)
        return float(np.sum(steps * self.curve_precision))

    @property
    def localisation_error(self) -> float:
        """Å, median over the pairs; NaN without any."""
        return float(np.median(self.distances)) if len(self.distances) else float("nan")

    @property
    def paired(self) -> np.ndarray:
        """(n_picks,) bool, whether the pick has a true particle."""
        return np.isin(np.arange(self.n_picks), self.pairs[:, 0])


def evaluate(
    picks: Picks, truth: Picks, *, radius: float, voxel_size: float, empty_truth: bool = False
) -> Evaluation:
    """Match picks with true particles, one to one.

    Of all matchings within the radius, the largest; of those, the one with the smallest sum of
    distances. For the curve the picks come in the order of their scores (equal scores in their
    own order), and a pick counts as true if it makes the largest matching larger: the
    curve ends at the precision and recall of all picks.

    Args:
        picks: n of them, whether kept or not.
        truth: at least one.
        radius: Å, a pair may be as far apart as this.
        voxel_size: Å.
        empty_truth: take a truth without particles too: every pick is false then.

    Raises:
        InputError: there is no true particle, or the radius is not above 0.
    """
    if not len(truth) and not empty_truth:
        raise InputError("The truth holds no particles; there is nothing to compare with.")
    if not 0 < radius < math.inf:
        raise InputError(f"Expected a radius above 0 Å, got {radius:g}.")
    tree = cKDTree(truth.points_zyx)
    near: list[list[int]] = [
        sorted(found) for found in tree.query_ball_point(picks.points_zyx, radius / voxel_size)
    ]
    pairs = _nearest_matching(near, picks.points_zyx, truth.points_zyx)
    apart = picks.points_zyx[pairs[:, 0]] - truth.points_zyx[pairs[:, 1]]
    ranked = np.argsort(-picks.scores, kind="stable")
    hits = _hits(near, ranked if np.isfinite(picks.scores).all() else ranked[:0])
    return Evaluation(
        len(picks),
        len(truth),
        pairs,
        np.linalg.norm(apart, axis=1) * voxel_size,
        *curve(hits, len(truth)),
        picks.scores,
    )


def curve(hits: np.ndarray, n_truth: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) recall and (n,) precision of the best k picks, k from 1.

    Args:
        hits: (n,) bool, whether each pick is right, best first.
        n_truth: true particles.
    """
    found = np.cumsum(hits)
    return found / max(n_truth, 1), found / np.arange(1, len(found) + 1)


def _nearest_matching(
    near: list[list[int]], points_zyx: np.ndarray, truth_zyx: np.ndarray
) -> np.ndarray:
    """(m, 2) pick and true particle, sorted; `near` are the true ones in reach of each pick."""
    picks = np.repeat(np.arange(len(near)), [len(row) for row in near])
    trues = np.array([true for row in near for true in row], dtype=np.int64)
    distances = np.linalg.norm(points_zyx[picks] - truth_zyx[trues], axis=1)
    # One more pair is worth more than any sum of distances.
    worth = (distances.max(initial=0) + 1) * (len(points_zyx) + len(truth_zyx))
    return best_matching(picks, trues, worth - distances)


def best_matching(rows: np.ndarray, columns: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """The one-to-one matching with the largest sum of gains.

    Args:
        rows: (e,) non-negative integers, one end of each possible pair.
        columns: (e,) non-negative integers, the other end; no pair comes twice.
        gains: (e,) above 0.

    Returns:
        (m, 2) int64, row and column of the pairs, sorted.
    """
    if not len(rows):
        return np.zeros((0, 2), np.int64)
    # Groups that no pair connects are matched on their own: the tables stay small.
    n, m = int(rows.max()) + 1, int(columns.max()) + 1
    graph = coo_matrix((np.ones(len(rows)), (rows, n + columns)), shape=(n + m, n + m))
    groups = connected_components(graph, directed=False)[1][rows]
    pairs = []
    for edges in np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1]):
        if not len(edges):
            continue
        row_names, row = np.unique(rows[edges], return_inverse=True)
        column_names, column = np.unique(columns[edges], return_inverse=True)
        gain = np.zeros((len(row_names), len(column_names)))
        gain[row, column] = gains[edges]
        a, b = linear_sum_assignment(gain, maximize=True)
        possible = gain[a, b] > 0
        pairs.append(np.column_stack((row_names[a[possible]], column_names[b[possible]])))
    together = np.concatenate(pairs)
    return together[np.argsort(together[:, 0])]


def _hits(near: list[list[int]], order: np.ndarray) -> np.ndarray:
    """(n,) bool in the given order: whether the pick makes the largest matching larger.

    By augmenting paths: a pick may take a true particle whose pick finds another one.
    """
    pick_of: dict[int, int] = {}
    true_of: dict[int, int] = {}
    hits = np.zeros(len(order), bool)
    for rank, pick in enumerate(order.tolist()):
        reached_from: dict[int, int] = {}
        queue = deque([pick])
        while queue and not hits[rank]:
            asking = queue.popleft()
            for true in near[asking]:
                if true in reached_from:
                    continue
                reached_from[true] = asking
                if true in pick_of:
                    queue.append(pick_of[true])
                    continue
                hits[rank] = True
                free: int | None = true
                while free is not None:  # back along the path, each pick moves on by one
                    owner = reached_from[free]
                    given_up = true_of.get(owner)
                    pick_of[free], true_of[owner] = owner, free
                    free = given_up
                break
    return hits
