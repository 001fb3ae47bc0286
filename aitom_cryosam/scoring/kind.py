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
from itertools import product

import numpy as np
from scipy.linalg import eigh, solve_triangular

from aitom_cryosam.scoring.lists import Cut
from aitom_cryosam.scoring.mixture import bell, best_mixture, joined
from aitom_cryosam.scoring.span import spanned
from aitom_cryosam.threads import mapped

FEWEST = 12
"""Fewer candidates than this are not clustered: each is a pick."""
DIMENSIONS = (8, 10, 12, 15)
"""Numbers of principal axes to cluster in. One choice alone now and then splits or joins what
it should not; the mean over all of them does so less."""
SMALLEST = 5
"""A cluster of fewer members around the prompts is an accident of the clustering."""
BACKGROUND_SHRINKAGE = 0.3
SHRINKAGE = 0.5
ROUNDING = 1e-20
"""Variance of features of length 1 that is none."""
PROMPT_WEIGHT = 3.0
"""A prompt counts as much as this many picks: it is certain, but seen through the same noise."""


@dataclass(frozen=True)
class Verdict:
    """What became of n proposals.

    Attributes:
        scores: (n,) larger is better: how probable the kind is if anything is of it
            (`scoring.odds`), or Fisher's discriminant, of which 0 is the typical background and 1
            the typical pick, or where there are too few candidates for that, the similarities.
        candidates: (n,) bool, stands out from chance.
        kept: (n,) bool, of the prompted kind. A proposal at chance level can be: once the kind
            is known from the candidates, the features tell more than the similarity.
        probabilities: (n,) of the prompted kind, by `scoring.odds`; None where these know nothing
            of the features.
        against_odds: clusters decided which are kept, and not the probabilities that there are.
        presence: probability that anything is like the prompts; likewise.
        cut: what is expected of lists of any length; None where that was not asked.
    """

    scores: np.ndarray
    candidates: np.ndarray
    kept: np.ndarray
    probabilities: np.ndarray | None = None
    against_odds: bool = False
    presence: float | None = None
    cut: Cut | None = None

    @property
    def expected(self) -> float:
        """F1 of the best list of picks, if anything is; 0 where that was not asked."""
        return self.cut.expected if self.cut is not None else 0.0


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
    features = np.concatenate([unit(proposals), unit(background)])
    dimensions = features.shape[1]
    features, clicked = spanned(features, unit(prompts))
    scores, member = _parted(features, member, clicked, dimensions)
    n = len(proposals)
    kept = member[:n] > 0.5
    # A prompt so unlike the rest that it stays alone has no kind: only chance is left out then.
    return Verdict(scores[:n], candidates, kept if kept.sum() >= SMALLEST else candidates)


def _membership(prompts: np.ndarray, candidates: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(n,) 0 to 1, how far each candidate is of the prompted kind: the mean of many clusterings."""
    sets = (background, prompts, candidates)

    def space(parts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _principal(*(unit(one[:, :parts]) for one in sets))

    # The longest come first, so that no thread waits for another at the end.
    spaces = mapped(space, range(1, prompts.shape[1] + 1)[::-1])[::-1]

    def member(case: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], int]) -> np.ndarray:
        (clicks, points, axes), dimensions = case
        project = axes[:dimensions].T
        return _prompted_cluster(clicks @ project, points @ project)

    members = mapped(member, list(product(spaces, DIMENSIONS))[::-1])[::-1]
    found = [one for one in members if one.sum() >= SMALLEST]
    return np.mean(found, axis=0) if found else np.ones(len(candidates))


def _principal(
    background: np.ndarray, prompts: np.ndarray, candidates: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prompts and candidates around the candidates' mean, the background a unit sphere.

    Args:
        background: (m, d) of unit length, as all.
        prompts: (p, d).
        candidates: (n, d).

    Returns:
        (p, r), (n, r), and (a, r) first principal axes of the candidates, a up to the most of
        `DIMENSIONS`.
    """
    outside, *inside = spanned(background, prompts, candidates)
    root = np.linalg.cholesky(_covariance(outside, background.shape[1]))
    # What `whitening` gives, but for a rotation, which no distance sees: in a third of the time.
    clicks, points = (solve_triangular(root, rows.T, lower=True).T for rows in inside)
    centre = points.mean(axis=0)
    points = points - centre
    size = points.shape[1]
    count = min(*points.shape, max(DIMENSIONS))
    _, axes = eigh(points.T @ points, subset_by_index=[size - count, size - 1])
    return clicks - centre, points, axes.T[::-1]


def _prompted_cluster(clicks: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n,) the share of each point that belongs to the prompts' cluster."""
    mixture = best_mixture(points)
    home = int(mixture.log_densities(clicks).mean(axis=0).argmax())
    return np.clip(mixture.shares(points)[:, joined(mixture, points, home)].sum(axis=1), 0, 1)


def _parted(
    features: np.ndarray, member: np.ndarray, prompts: np.ndarray, dimensions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Members and the rest as they are told apart best, from a first guess.

    Args:
        features: (n, d).
        member: (n,) probability that each is one, by that guess.
        prompts: (p, d), of members.
        dimensions: of the space that `features` span, at most d.

    Returns:
        (n,) scores, 0 for the typical rest and 1 for the typical member, and (n,) probabilities.
    """
    for _ in range(2):
        scores = discriminant(features, member, prompts, dimensions)
        member = _upper_of_two(scores, member)
    low, high = (np.average(scores, weights=w + 1e-9) for w in (1 - member, member))
    return (scores - low) / max(high - low, 1e-12), member


def discriminant(
    features: np.ndarray, member: np.ndarray, prompts: np.ndarray, dimensions: int
) -> np.ndarray:
    """Projections on Fisher's linear discriminant between members and the rest.

    Args:
        features: (n, d).
        member: (n,) probability that each is one.
        prompts: (p, d), of members.
        dimensions: of the space that `features` span, at most d.

    Returns:
        (n,), larger for members.
    """
    weight = PROMPT_WEIGHT * len(prompts)
    rest = 1 - member
    inside = (weight * prompts.mean(axis=0) + member @ features) / (weight + member.sum())
    outside = rest @ features / max(rest.sum(), 1e-9)
    spread_in, spread_out = features - inside, features - outside
    covariance = (spread_in.T * member) @ spread_in + (spread_out.T * rest) @ spread_out
    shrunk = _shrunk(covariance / len(features), SHRINKAGE, dimensions)
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
        above, below = upper * bell(scores, high, wide), lower * bell(scores, low, narrow)
        member = above / np.maximum(above + below, 1e-300)
        member = np.where(scores > high, 1.0, np.where(scores < low, 0.0, member))
    return member


def unit(features: np.ndarray) -> np.ndarray:
    """(n, k, d) to (n, k d) of length 1; (n, d) as well."""
    rows = flat(features)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def flat(features: np.ndarray) -> np.ndarray:
    """(n, k, d) to (n, k d)."""
    return features.reshape(len(features), -1).astype(np.float64)


def _shrunk(covariance: np.ndarray, shrinkage: float, dimensions: int) -> np.ndarray:
    """A covariance, (r, r) within a span, mixed with the sphere of the same trace.

    Args:
        covariance: of features.
        shrinkage: share of the sphere, 0 to 1.
        dimensions: of the features, r or more.
    """
    sphere = _mean_variance(np.trace(covariance), dimensions) * np.eye(len(covariance))
    return (1 - shrinkage) * covariance + shrinkage * sphere


def _mean_variance(total: float, dimensions: int) -> float:
    """Of a direction; 1 where all places are alike, as without noise, and none is known."""
    return total / dimensions if total > ROUNDING else 1.0


def whitening(background: np.ndarray, dimensions: int) -> np.ndarray:
    """(r, r) matrix that turns the background, (n, r) within a span, into a unit sphere."""
    count, width = background.shape
    if count >= width:
        values, vectors = np.linalg.eigh(_covariance(background, dimensions))
        return (vectors / np.sqrt(values)) @ vectors.T
    # Across what so few places span, the covariance is the sphere's: their own axes are enough.
    centred = background - background.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T / count)
    sphere = BACKGROUND_SHRINKAGE * _mean_variance(values.sum(), dimensions)
    rest, share = np.sqrt(sphere), 1 - BACKGROUND_SHRINKAGE
    roots = np.sqrt(sphere + share * np.maximum(values, 0))
    axes = centred.T @ vectors  # of lengths √(count values)
    # 1 / roots - 1 / rest, over the squared lengths, which are 0 for some.
    weights = -share / (count * roots * rest * (roots + rest))
    return np.eye(width) / rest + (axes * weights) @ axes.T


def _covariance(background: np.ndarray, dimensions: int) -> np.ndarray:
    """(r, r) of the background, (n, r) within a span, shrunk."""
    centred = background - background.mean(axis=0)
    return _shrunk(centred.T @ centred / len(centred), BACKGROUND_SHRINKAGE, dimensions)
