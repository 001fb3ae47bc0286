"""Mixture: clusters of one shape in feature space, and which of them are one kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_CLUSTERS = 7
STARTS = 4
"""Fits of each number of clusters, of which the best counts."""


VALLEY = 0.8
"""Two clusters are two kinds if the density between them falls below this share of the lower."""


BANDWIDTH = 0.5


ROUNDS = 60
SETTLED = 1e-3
"""A fit is done when no point's share of a cluster changes by more."""
NONE = -1e30  # log of the weight of a cluster that is not there


@dataclass(frozen=True)
class Mixture:
    """k Gaussians of one covariance; or several such mixtures, which makes all shapes (s, ...).

    Attributes:
        means: (k, d).
        weights: (k,), of sum 1.
        root: (d, d), turns the covariance into a unit sphere.
    """

    means: np.ndarray
    weights: np.ndarray
    root: np.ndarray

    def __getitem__(self, index: int | np.ndarray) -> Mixture:
        """One or some of several."""
        return Mixture(self.means[index], self.weights[index], self.root[index])

    def log_densities(self, points: np.ndarray) -> np.ndarray:
        """(n, k) log of weight times density at points (n, d)."""
        turn = np.swapaxes(self.root, -1, -2)
        flat, centres = points @ turn, self.means @ turn
        # |f - c|² term by term: the differences themselves would be n k d numbers.
        squares = flat @ np.swapaxes(-2 * centres, -1, -2)  # (n, k)
        squares += np.einsum("...nd,...nd->...n", flat, flat)[..., None]
        squares += np.einsum("...kd,...kd->...k", centres, centres)[..., None, :]
        volume = np.log(np.diagonal(self.root, axis1=-2, axis2=-1)).sum(axis=-1)
        volume -= points.shape[-1] / 2 * np.log(2 * np.pi)
        above = np.log(np.maximum(self.weights, 1e-300)) + volume[..., None]  # (k,)
        return np.asarray(above[..., None, :] - squares / 2)

    def shares(self, points: np.ndarray) -> np.ndarray:
        """(n, k) probability that a point of (n, d) is of each Gaussian."""
        logs = self.log_densities(points)
        shares = np.exp(logs - logs.max(axis=-1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=-1, keepdims=True))

    def log_likelihood(self, points: np.ndarray) -> np.ndarray:
        """Of all points (n, d) together; (s,) of several mixtures."""
        return np.asarray(np.logaddexp.reduce(self.log_densities(points), axis=-1).sum(axis=-1))


def bell(values: np.ndarray, middle: np.ndarray | float, deviation: float) -> np.ndarray:
    """The density of a Gaussian, but for a factor: scipy.stats would take 0.6 s to import.

    Args:
        values: (...).
        middle: (...) of the Gaussian, or one for all.
        deviation: in units of the values.

    Returns:
        (...).
    """
    return np.asarray(np.exp(-(((values - middle) / deviation) ** 2) / 2) / deviation)


def best_mixture(points: np.ndarray) -> Mixture:
    """Clusters of points (n, d), as many as the Bayesian information criterion says."""
    n, d = points.shape
    rng = np.random.default_rng(0)
    counts = [k for k in range(1, MOST_CLUSTERS + 1) if k == 1 or k * (d + 1) <= n]
    starts = [_far_apart(points, k, rng) for k in counts for _ in range(STARTS)]
    mixtures = fitted(points, starts)

    def criterion(mixture: Mixture) -> float:
        k = len(mixture.weights)
        parameters = k * d + k - 1 + d * (d + 1) / 2
        return float(parameters * np.log(n) - 2 * mixture.log_likelihood(points))

    return min(mixtures, key=criterion)


def _far_apart(points: np.ndarray, k: int, rng: np.random.Generator) -> list[int]:
    """Which k of points (n, d) to start from."""
    chosen = [int(rng.integers(len(points)))]
    gaps = np.full(len(points), np.inf)
    while len(chosen) < k:
        gaps = np.minimum(gaps, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(rng.choice(len(points), p=gaps / gaps.sum())))
    return chosen


def fitted(points: np.ndarray, starts: Sequence[Sequence[int]]) -> list[Mixture]:
    """Expectation maximisation from several starts side by side, each as if it were alone.

    Shares are in single precision, which takes half of the time and moves them by far less than
    what counts as settled.

    Args:
        points: (n, d).
        starts: s times the points that are the first means, of any number.

    Returns:
        s mixtures.
    """
    (n, d), s = points.shape, len(starts)
    counts = np.array([len(start) for start in starts])
    there = np.arange(counts.max()) < counts[:, None]  # (s, k), of the start with most of them
    means, weights = np.zeros((*there.shape, d)), there / counts[:, None]
    means[there] = points[np.concatenate(starts)]
    sphere, total = np.eye(d), points.T @ points
    covariances = np.tile(np.cov(points.T).reshape(d, d) / 2 + 1e-9 * sphere, (s, 1, 1))
    raised = np.column_stack([points, np.ones(n)]).astype(np.float32)  # (n, d + 1)
    going, shares = np.arange(s), np.full((*there.shape, n), np.inf, np.float32)
    for _ in range(ROUNDS):  # s are those that have not settled
        # Of one shape, Gaussians' logs differ by what is linear in a point: a row of d + 1 each.
        lines = np.linalg.solve(covariances[going], means[going].transpose(0, 2, 1))
        lines = lines.transpose(0, 2, 1)  # (s, k, d)
        offsets = np.log(np.maximum(weights[going], 1e-300))  # (s, k)
        offsets -= np.einsum("skd,skd->sk", lines, means[going]) / 2
        offsets[~there[going]] = NONE
        lines = np.concatenate([lines, offsets[..., None]], axis=2).astype(np.float32)
        now = (lines.reshape(-1, d + 1) @ raised.T).reshape(shares.shape)  # (s, k, n)
        now -= now.max(axis=1, keepdims=True)
        np.exp(now, out=now)
        now /= now.sum(axis=1, keepdims=True)
        shares -= now
        moves = np.abs(shares, out=shares).max(axis=(1, 2)) >= SETTLED
        going, shares = going[moves], now[moves]
        if not len(going):
            break
        sums = (shares.reshape(-1, n) @ raised).reshape(*shares.shape[:2], d + 1)
        sums = sums.astype(np.float64)
        totals = np.maximum(sums[..., d:], 1e-9)  # (s, k, 1)
        centres = sums[..., :d] / totals
        within = (total - (centres * totals).transpose(0, 2, 1) @ centres) / n
        means[going], weights[going] = centres, totals[..., 0] / n
        covariances[going] = 0.7 * within + (0.3 * within + 1e-6) * sphere
    roots = np.linalg.inv(np.linalg.cholesky(covariances))
    fits = zip(counts.tolist(), means, weights, roots, strict=True)
    return [Mixture(mean[:k], weight[:k], root) for k, mean, weight, root in fits]


def joined(mixture: Mixture, points: np.ndarray, home: int) -> list[int]:
    """The home cluster of points (n, d), and all that a chain without a valley links to it."""
    owner = mixture.shares(points).argmax(axis=1)
    joined, frontier = {home}, [home]
    while frontier:
        here = frontier.pop()
        for other in set(range(len(mixture.means))) - joined:
            if _no_valley(mixture, points[(owner == here) | (owner == other)], here, other):
                joined.add(other)
                frontier.append(other)
    return sorted(joined)


def _no_valley(mixture: Mixture, points: np.ndarray, one: int, other: int) -> bool:
    """Whether the members' density along the line between two means stays up."""
    start = mixture.means[one] @ mixture.root.T
    step = mixture.means[other] @ mixture.root.T - start
    length = float(np.linalg.norm(step))
    if len(points) < 4 or length < 1e-9:
        return True
    along = (points @ mixture.root.T - start) @ step / length
    line = np.linspace(0, length, 25)
    density = bell(line[:, None], along, BANDWIDTH).sum(axis=1)
    return bool(density.min() > VALLEY * min(density[:8].max(), density[-8:].max()))
