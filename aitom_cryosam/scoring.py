"""Which proposals are particles: their scores, and the cut between picks and background.

Similarity with the query finds the proposals, but look-alikes of the prompted particle grade
into it without a gap. The proposals' own features, averaged over each instance as eq. 4 does
over the prompted ones, tell more: those of one kind form a cluster. Three steps, nothing learned
beyond the one tomogram:

1. Chance: most maxima of the similarity are background. What does not stand out from their
   bulk is not a candidate, so that a tomogram without the particle gives few or no picks.
2. Kind: the candidates are clustered; those of the cluster that holds the prompts, and of
   clusters that no valley parts from it, are of the prompted kind.
3. Cut: Fisher's linear discriminant between that kind and all else gives the score, and a
   mixture of two Gaussians the point between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

CHANCE = 3.0
"""Spreads above the bulk of all maxima where chance ends."""
RESAMPLES = 31
FEWEST = 12
"""Fewer candidates than this are not clustered: each is a pick."""
DIMENSIONS = (8, 10, 12, 15)
"""Numbers of principal axes to cluster in. One choice alone now and then splits or joins what
it should not; the mean over all of them does so less."""
MOST_CLUSTERS = 7
SMALLEST = 5
"""A cluster of fewer members around the prompts is an accident of the clustering."""
VALLEY = 0.8
"""Two clusters are two kinds if the density between them falls below this share of the lower."""
BANDWIDTH = 0.5
BACKGROUND_SHRINKAGE = 0.3
SHRINKAGE = 0.5
PROMPT_WEIGHT = 3.0
"""A prompt counts as much as this many picks: it is certain, but seen through the same noise."""


@dataclass(frozen=True)
class Verdict:
    """What became of n proposals.

    Attributes:
        scores: (n,) 0 is the typical background, 1 the typical pick. Where there are too few
            candidates for that, the similarities.
        candidates: (n,) bool, stands out from chance.
        kept: (n,) bool, of the prompted kind. A proposal at chance level can be: once the kind
            is known from the candidates, the features tell more than the similarity.
    """

    scores: np.ndarray
    candidates: np.ndarray
    kept: np.ndarray


def chance_level(similarities: np.ndarray) -> float:
    """The similarity above which a maximum is not chance.

    Args:
        similarities: (n,) of all maxima of the tomogram, most of which are background.
    """
    if len(similarities) == 0:
        return np.inf
    mode, spread = _bulk(similarities)
    return mode + CHANCE * spread


def judge(
    similarities: np.ndarray,
    chance: float,
    proposals: np.ndarray,
    prompts: np.ndarray,
    background: np.ndarray,
) -> Verdict:
    """Score the proposals and decide which are picks.

    Features come in parts, (..., k, d): pooled over k regions of an instance, the core first.

    Args:
        similarities: (n,) with the query.
        chance: from `chance_level`.
        proposals: (n, k, d) features of the proposals.
        prompts: (p, k, d) of the prompted instances.
        background: (m, k, d) of maxima that do not stand out.
    """
    candidates = similarities >= chance
    if candidates.sum() < FEWEST or len(background) < FEWEST:
        return Verdict(similarities, candidates, candidates)
    member = np.zeros(len(proposals) + len(background))
    member[: len(proposals)][candidates] = _membership(prompts, proposals[candidates], background)
    features = np.concatenate([_unit(proposals), _unit(background)])
    for _ in range(2):
        scores = _discriminant(features, member, _unit(prompts))
        member = _upper_of_two(scores, member)
    low, high = (np.average(scores, weights=w + 1e-9) for w in (1 - member, member))
    scores = (scores - low) / max(high - low, 1e-12)
    n = len(proposals)
    kept = member[:n] > 0.5
    # A prompt so unlike the rest that it stays alone has no kind: only chance is left out then.
    return Verdict(scores[:n], candidates, kept if kept.sum() >= SMALLEST else candidates)


def _membership(prompts: np.ndarray, candidates: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(n,) 0 to 1, how far each candidate is of the prompted kind: the mean of many clusterings."""
    found = []
    for parts in range(1, prompts.shape[1] + 1):
        whiten = _whitening(_unit(background[:, :parts]))
        clicks, points = (_unit(x[:, :parts]) @ whiten for x in (prompts, candidates))
        centre = points.mean(axis=0)
        _, _, axes = np.linalg.svd(points - centre, full_matrices=False)
        for dimensions in DIMENSIONS:
            project = axes[:dimensions].T
            member = _prompted_cluster((clicks - centre) @ project, (points - centre) @ project)
            if member.sum() >= SMALLEST:
                found.append(member)
    return np.mean(found, axis=0) if found else np.ones(len(candidates))


def _prompted_cluster(clicks: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n,) the share of each point that belongs to the prompts' cluster."""
    mixture = _best_mixture(points)
    home = int(mixture.log_densities(clicks).mean(axis=0).argmax())
    return np.clip(mixture.shares(points)[:, _joined(mixture, points, home)].sum(axis=1), 0, 1)


@dataclass(frozen=True)
class _Mixture:
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
        """(n, k) log of weight times density."""
        flat, centres = points @ self.root.T, self.means @ self.root.T
        squares = ((flat[:, None] - centres) ** 2).sum(axis=2)
        volume = np.log(np.diag(self.root)).sum() - len(self.root) / 2 * np.log(2 * np.pi)
        return np.log(np.maximum(self.weights, 1e-300)) + volume - squares / 2

    def shares(self, points: np.ndarray) -> np.ndarray:
        """(n, k) probability that a point is of each Gaussian."""
        logs = self.log_densities(points)
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def log_likelihood(self, points: np.ndarray) -> float:
        """Of all points together."""
        return float(np.logaddexp.reduce(self.log_densities(points), axis=1).sum())


def _best_mixture(points: np.ndarray) -> _Mixture:
    """The number of clusters by the Bayesian information criterion, four starts for each."""
    n, d = points.shape
    rng = np.random.default_rng(0)
    best: tuple[float, _Mixture] | None = None
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


def _fit(points: np.ndarray, k: int, rng: np.random.Generator) -> _Mixture:
    """Expectation maximisation from k points that lie far apart."""
    n, d = points.shape
    chosen = [int(rng.integers(n))]
    while len(chosen) < k:
        gaps = ((points[:, None] - points[chosen]) ** 2).sum(axis=2).min(axis=1)
        chosen.append(int(rng.choice(n, p=gaps / gaps.sum())))
    covariance = np.cov(points.T).reshape(d, d) / 2 + 1e-9 * np.eye(d)
    mixture = _Mixture(points[chosen], np.full(k, 1 / k), _root(covariance))
    for _ in range(60):
        shares = mixture.shares(points)
        totals = np.maximum(shares.sum(axis=0), 1e-9)
        means = shares.T @ points / totals[:, None]
        within = (points.T @ points - (means * totals[:, None]).T @ means) / n
        within = 0.7 * within + 0.3 * np.diag(np.diag(within)) + 1e-6 * np.eye(d)
        mixture = _Mixture(means, totals / n, _root(within))
    return mixture


def _root(covariance: np.ndarray) -> np.ndarray:
    return np.linalg.inv(np.linalg.cholesky(covariance))


def _joined(mixture: _Mixture, points: np.ndarray, home: int) -> list[int]:
    """The home cluster, and all that a chain of clusters without a valley links to it."""
    owner = mixture.shares(points).argmax(axis=1)
    joined, frontier = {home}, [home]
    while frontier:
        here = frontier.pop()
        for other in set(range(len(mixture.means))) - joined:
            if _no_valley(mixture, points[(owner == here) | (owner == other)], here, other):
                joined.add(other)
                frontier.append(other)
    return sorted(joined)


def _no_valley(mixture: _Mixture, points: np.ndarray, one: int, other: int) -> bool:
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


def _discriminant(features: np.ndarray, member: np.ndarray, prompts: np.ndarray) -> np.ndarray:
    """(n,) projections on Fisher's linear discriminant between members and the rest."""
    weight = PROMPT_WEIGHT * len(prompts)
    rest = 1 - member
    inside = (weight * prompts.mean(axis=0) + member @ features) / (weight + member.sum())
    outside = rest @ features / max(rest.sum(), 1e-9)
    spread_in, spread_out = features - inside, features - outside
    covariance = (spread_in.T * member) @ spread_in + (spread_out.T * rest) @ spread_out
    shrunk = _shrunk(covariance / len(features), SHRINKAGE)
    return features @ np.linalg.solve(shrunk, inside - outside)


def _upper_of_two(scores: np.ndarray, member: np.ndarray) -> np.ndarray:
    """(n,) probability of the upper of two Gaussians, fitted from a first guess."""
    for _ in range(5):
        upper, lower = max(member.sum(), 1e-9), max((1 - member).sum(), 1e-9)
        high, low = member @ scores / upper, (1 - member) @ scores / lower
        variances = np.array(
            [member @ (scores - high) ** 2 / upper, (1 - member) @ (scores - low) ** 2 / lower]
        )
        # Half-way to their mean: neither side may shrink to a spike and lose its neighbours.
        wide, narrow = np.sqrt((variances + variances.mean()) / 2) + 1e-12
        above, below = upper * norm.pdf(scores, high, wide), lower * norm.pdf(scores, low, narrow)
        member = above / np.maximum(above + below, 1e-300)
        member = np.where(scores > high, 1.0, np.where(scores < low, 0.0, member))
    return member


def _unit(features: np.ndarray) -> np.ndarray:
    """(n, k, d) to (n, k d) of length 1."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)


def _shrunk(covariance: np.ndarray, shrinkage: float) -> np.ndarray:
    """A covariance mixed with the sphere of the same trace."""
    sphere = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return (1 - shrinkage) * covariance + shrinkage * sphere


def _whitening(background: np.ndarray) -> np.ndarray:
    """(d, d) matrix that turns the background into a unit sphere."""
    centred = background - background.mean(axis=0)
    covariance = _shrunk(centred.T @ centred / len(centred), BACKGROUND_SHRINKAGE)
    values, vectors = np.linalg.eigh(covariance)
    return (vectors / np.sqrt(values)) @ vectors.T


def _bulk(values: np.ndarray) -> tuple[float, float]:
    """Mode and spread of what lies below it; the mode as the median over resamples of the values.

    A mode hangs on few values: that of a single sample moves by more than the spread now and then.
    """
    rng, values = np.random.default_rng(0), np.sort(values)
    mode = float(np.median([_mode(rng.choice(values, len(values))) for _ in range(RESAMPLES)]))
    below = mode - values[values < mode]
    return mode, float(1.4826 * np.median(below)) if len(below) else 0.0


def _mode(values: np.ndarray) -> float:
    """By halving to the densest half, over and over."""
    densest = np.sort(values)
    while len(densest) > 20:
        half = len(densest) // 2
        start = int((densest[half:] - densest[: len(densest) - half]).argmin())
        densest = densest[start : start + half]
    return float(densest.mean())
