"""How good picks are: one-to-one matching with the truth within a radius."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

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
        curve_precision: likewise.
    """

    n_picks: int
    n_truth: int
    pairs: np.ndarray
    distances: np.ndarray
    curve_recall: np.ndarray
    curve_precision: np.ndarray

    @property
    def precision(self) -> float:
        """Share of the picks that are true; NaN without picks."""
        return len(self.pairs) / self.n_picks if self.n_picks else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true particles that are picked."""
        return len(self.pairs) / self.n_truth

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without picks."""
        return 2 * len(self.pairs) / (self.n_picks + self.n_truth)

    @property
    def average_precision(self) -> float:
        """Precision summed over the steps of recall, not interpolated; NaN without scores."""
        if len(self.curve_recall) < self.n_picks:
            return float("nan")
        steps = np.diff(self.curve_recall, prepend=0.0)
        return float(np.sum(steps * self.curve_precision))

    @property
    def localisation_error(self) -> float:
        """Å, median over the pairs; NaN without any."""
        return float(np.median(self.distances)) if len(self.distances) else float("nan")


def evaluate(picks: Picks, truth: Picks, *, radius: float, voxel_size: float) -> Evaluation:
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

    Raises:
        InputError: there is no true particle, or the radius is not above 0.
    """
    if not len(truth):
        raise InputError("The truth holds no particles; there is nothing to compare with.")
    if not radius > 0:
        raise InputError(f"Expected a radius above 0 Å, got {radius:g}.")
    tree = cKDTree(truth.points_zyx)
    near: list[list[int]] = [
        sorted(found) for found in tree.query_ball_point(picks.points_zyx, radius / voxel_size)
    ]
    pairs = _largest_matching(near, picks.points_zyx, truth.points_zyx)
    apart = picks.points_zyx[pairs[:, 0]] - truth.points_zyx[pairs[:, 1]]
    ranked = np.argsort(-picks.scores, kind="stable")
    found = np.cumsum(_hits(near, ranked if np.isfinite(picks.scores).all() else ranked[:0]))
    return Evaluation(
        n_picks=len(picks),
        n_truth=len(truth),
        pairs=pairs,
        distances=np.linalg.norm(apart, axis=1) * voxel_size,
        curve_recall=found / len(truth),
        curve_precision=found / np.arange(1, len(found) + 1),
    )


def _largest_matching(
    near: list[list[int]], points_zyx: np.ndarray, truth_zyx: np.ndarray
) -> np.ndarray:
    """(m, 2) pick and true particle, sorted; `near` are the true ones in reach of each pick."""
    picks = np.repeat(np.arange(len(near)), [len(row) for row in near])
    trues = np.array([true for row in near for true in row], dtype=np.int64)
    if not len(picks):
        return np.zeros((0, 2), np.int64)
    distances = np.linalg.norm(points_zyx[picks] - truth_zyx[trues], axis=1)
    # Groups that no pair connects are matched on their own: the tables stay small.
    n, m = len(points_zyx), len(truth_zyx)
    graph = coo_matrix((np.ones(len(picks)), (picks, n + trues)), shape=(n + m, n + m))
    groups = connected_components(graph, directed=False)[1][picks]
    pairs = []
    for edges in np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1]):
        if not len(edges):
            continue
        rows, row = np.unique(picks[edges], return_inverse=True)
        columns, column = np.unique(trues[edges], return_inverse=True)
        # A pair out of reach costs more than all others together, so it is the last resort.
        far = (distances[edges].max() + 1) * (len(rows) + len(columns))
        cost = np.full((len(rows), len(columns)), far)
        cost[row, column] = distances[edges]
        a, b = linear_sum_assignment(cost)
        reached = cost[a, b] < far
        pairs.append(np.column_stack((rows[a[reached]], columns[b[reached]])))
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
