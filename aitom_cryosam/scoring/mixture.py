"""Mixture: clusters of one shape in feature space, and which of them are one kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

MOST_CLUSTERS = 7


VALLEY = 0.8
"""Two clusters are two kinds if the density between them falls below this share of the lower."""


BANDWIDTH = 0.5


ROUNDS = 60
SETTLED = 1e-3
"""A fit is done when no point's share of a cluster changes by more."""


@dataclass(frozen=True)
class Mixture:
    """k Gaussians of one covariance.

    Attributes:
        means: (k, d).
        weights: (k,), of sum 1.
        root: (d, d), turns the covariance into a unit sphere.
    """

    means: np.ndarray
    weights: np.ndarray
    root: np.ndarray

    def log_densities(self, points: np.ndarray) -> np.ndarray:
        """(n, k) log of weight times density at points (n, d)."""
        flat, centres = points @ self.root.T, self.means @ self.root.T
        squares = ((flat[:, None] - centres) ** 2).sum(axis=2)
        volume = np.log(np.diag(self.root)).sum() - len(self.root) / 2 * np.log(2 * np.pi)
        return np.log(np.maximum(self.weights, 1e-300)) + volume - squares / 2

    def shares(self, points: np.ndarray) -> np.ndarray:
        """(n, k) probability that a point of (n, d) is of each Gaussian."""
        logs = self.log_densities(points)
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def log_likelihood(self, points: np.ndarray) -> float:
        """Of all points (n, d) together."""
        return float(np.logaddexp.reduce(self.log_densities(points), axis=1).sum())


def best_mixture(points: np.ndarray) -> Mixture:
    """Clusters of points (n, d), as many as the Bayesian information criterion says."""
    n, d = points.shape
    rng = np.random.default_rng(0)
    best: tuple[float, Mixture] | None = None
    for k in range(1, MOST_CLUSTERS + 1):
        if k > 1 and k * (d + 1) > n:
            break
        parameters = k * d + k - 1 + d * (d + 1) / 2
        for _ in range(4):
            mixture = _fit(points, k, rng)
            criterion = parameters * np.log(n) - 2 * mixture.log_likelihood(points)
            if best is None or criterion < best[0]:
                best = criterion, mixture
    assert best is not None
    return best[1]


def _fit(points: np.ndarray, k: int, rng: np.random.Generator) -> Mixture:
    """Expectation maximisation from k points that lie far apart."""
    n, d = points.shape
    chosen = [int(rng.integers(n))]
    while len(chosen) < k:
        gaps = ((points[:, None] - points[chosen]) ** 2).sum(axis=2).min(axis=1)
        chosen.append(int(rng.choice(n, p=gaps / gaps.sum())))
    covariance = np.cov(points.T).reshape(d, d) / 2 + 1e-9 * np.eye(d)
    mixture = Mixture(points[chosen], np.full(k, 1 / k), _root(covariance))
    shares = np.full((n, k), np.inf)
    for _ in range(ROUNDS):
        before, shares = shares, mixture.shares(points)
        if np.abs(shares - before).max() < SETTLED:
            break
        totals = np.maximum(shares.sum(axis=0), 1e-9)
        means = shares.T @ points / totals[:, None]
        within = (points.T @ points - (means * totals[:, None]).T @ means) / n
        within = 0.7 * within + 0.3 * np.diag(np.diag(within)) + 1e-6 * np.eye(d)
        mixture = Mixture(means, totals / n, _root(within))
    return mixture


def _root(covariance: np.ndarray) -> np.ndarray:
    return np.linalg.inv(np.linalg.cholesky(covariance))


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
    density = norm.pdf((line[:, None] - along) / BANDWIDTH).sum(axis=1)
    return bool(density.min() > VALLEY * min(density[:8].max(), density[-8:].max()))
