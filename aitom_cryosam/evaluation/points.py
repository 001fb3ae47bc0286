"""How good picks are: one-to-one matching with the truth within a radius."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks

METRICS = ("precision", "recall", "f1", "average_precision", "localisation_error")
LEVEL = 0.95
"""Of the confidence intervals."""


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


@dataclass(frozen=True)
class Summary:
    """Several tomograms together. Metrics by name: `METRICS` and "f_beta".

    Attributes:
        total: all picks against all true particles (micro average).
        mean: of each metric over the tomograms that have it (macro average).
        total_interval: low and high end of each metric of the total, from resampled tomograms;
            None with one tomogram.
        mean_interval: likewise of the mean.
    """

    total: Evaluation
    mean: dict[str, float]
    total_interval: dict[str, tuple[float, float]] | None
    mean_interval: dict[str, tuple[float, float]] | None


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
        *_curve(hits, len(truth)),
        picks.scores,
    )


def pooled(evaluations: Sequence[Evaluation]) -> Evaluation:
    """All tomograms as one: indices count on from one tomogram to the next.

    The picks of all tomograms make one curve, in the order of their scores.

    Args:
        evaluations: at least one.
    """
    offsets = np.cumsum([(0, 0), *((one.n_picks, one.n_truth) for one in evaluations)], axis=0)
    scores = np.concatenate([one.scores for one in evaluations])
    hits = np.zeros(0, bool)
    if all(len(one.curve_recall) == one.n_picks for one in evaluations):
        ranked = np.concatenate([np.sort(-one.scores) for one in evaluations])
        found = [np.diff(one.curve_recall * one.n_truth, prepend=0.0) > 0.5 for one in evaluations]
        hits = np.concatenate(found)[np.argsort(ranked, kind="stable")]
    n_picks, n_truth = (int(count) for count in offsets[-1])
    return Evaluation(
        n_picks,
        n_truth,
        np.concatenate([one.pairs + at for one, at in zip(evaluations, offsets, strict=False)]),
        np.concatenate([one.distances for one in evaluations]),
        *_curve(hits, n_truth),
        scores,
    )


def summarise(
    evaluations: Sequence[Evaluation], *, beta: float = 1.0, resamples: int = 1000, seed: int = 0
) -> Summary:
    """Total, mean and their 95 % confidence intervals over tomograms.

    Args:
        evaluations: one a tomogram, at least one.
        beta: of the metric "f_beta".
        resamples: how often as many tomograms are drawn, with replacement (bootstrap).
        seed: of the draws.

    Raises:
        InputError: fewer than 1 resample, a seed below 0, or beta is not above 0.
    """
    total = pooled(evaluations)
    table = np.array([list(metrics(one, beta).values()) for one in evaluations])
    names = metrics(total, beta)
    mean = dict(zip(names, masked_mean(table).tolist(), strict=True))
    draws = _draws(len(evaluations), resamples, seed)
    if len(evaluations) < 2:
        return Summary(total, mean, None, None)
    totals = [metrics(pooled([evaluations[i] for i in draw]), beta) for draw in draws]
    return Summary(
        total,
        mean,
        _intervals(names, np.array([list(row.values()) for row in totals])),
        _intervals(names, np.array([masked_mean(table[draw]) for draw in draws])),
    )


def metrics(evaluation: Evaluation, beta: float = 1.0) -> dict[str, float]:
    """Every metric by its name, those of `METRICS` and "f_beta"; NaN where there is no number."""
    values = {name: float(getattr(evaluation, name)) for name in METRICS}
    return values | {"f_beta": evaluation.f_beta(beta)}


def masked_mean(table: np.ndarray) -> np.ndarray:
    """(k,) mean of each column of (n, k) over the rows that have a number; NaN if none has."""
    return np.asarray(np.ma.masked_invalid(table).mean(axis=0).filled(np.nan))


def _draws(n: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, n) indices of tomograms."""
    if resamples < 1:
        raise InputError(f"Expected at least 1 resample, got {resamples}.")
    if seed < 0:
        raise InputError(f"Expected a seed of 0 or more, got {seed}.")
    return np.random.default_rng(seed).integers(n, size=(resamples, n))


def _intervals(names: Iterable[str], drawn: np.ndarray) -> dict[str, tuple[float, float]]:
    """Percentiles of each column of (resamples, k), of the resamples that have a number."""
    ends = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    columns = [column[np.isfinite(column)] for column in drawn.T]
    pairs = [np.quantile(one, ends).tolist() if len(one) else [np.nan] * 2 for one in columns]
    return {name: (low, high) for name, (low, high) in zip(names, pairs, strict=True)}


def _curve(hits: np.ndarray, n_truth: int) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision of the best k picks from (n,) hits, best first."""
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
