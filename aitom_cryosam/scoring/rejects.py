"""Rejects: which picks are more like a place that the user rejected than like the clicks.

Look-alikes differ from the clicked particle by less than the noise of one instance. So labels
spread from the clicks and the rejected places over the picks' own likeness to one another, from
neighbour to neighbour, and each pick takes the one that reaches it more strongly. Likeness is by
the learned embedding, in which copies lie close and look-alikes apart, or else by the features.
"""

from __future__ import annotations

import numpy as np

from aitom_cryosam.picks import Picks
from aitom_cryosam.scoring.kind import FEWEST
from aitom_cryosam.scoring.likeness import Likeness
from aitom_cryosam.scoring.network import shipped
from aitom_cryosam.scoring.places import Places

BY_HAND = "rejected by hand"
"""Why a place that the user rejected was left out."""
LIKE_REJECTED = "like a rejected place"
"""Why a place that is more like these than like the clicks was left out."""
DIMENSIONS = 8
"""Principal axes in which picks are compared."""
NEIGHBOURS = 12
"""A label spreads between two places that are among each other's so many most similar."""
SPREADING = 0.7
"""Share of its label that a place takes from its neighbours, 0 to 1."""
BEST, BEST_BY_EMBEDDING = 0.5, 0.2
"""Share of the picks, those of the highest scores, that together count as much as the clicks."""


def without_like(
    rejected: np.ndarray,
    picks: Picks,
    places: Places,
    clicked: np.ndarray,
    is_prompt: np.ndarray,
    shapes: tuple[np.ndarray, np.ndarray] | None = None,
) -> Picks:
    """Proposals with the reason of those that are more like a rejected place than like the clicks.

    Args:
        rejected: (r, k, 3C) instances of rejected places, of this tomogram or others.
        picks: n proposals, with the scores and the decisions of the verdict.
        places: the same, and background.
        clicked: (p, k, 3C) instances of the prompts, of this tomogram or others.
        is_prompt: (n,) bool, proposals that are a prompted particle itself: they stay.
        shapes: (p, h) of the prompts and (r, h) of the rejected, as `harmonics.powers`; None where
            no embedding was learned with these features.
    """
    kept = picks.kept
    if not len(rejected) or not kept.any():
        return picks
    n, p = int(kept.sum()), len(clicked)
    few = len(places.background) < FEWEST
    if few or shapes is None or [len(rows) for rows in shapes] != [p, len(rejected)]:
        points = _principal(*places.whitened(places.instances[kept], clicked, rejected))
        share = BEST
    else:
        points = _embedded(places, clicked, rejected, shapes, kept)
        share = BEST_BY_EMBEDDING
    labels = np.zeros((len(points), 2))  # of the kind, of something else
    best = picks.scores[kept] >= np.quantile(picks.scores[kept], 1 - share)
    labels[:n, 0] = best / best.sum()
    labels[n : n + p, 0] = 1 / p
    labels[n + p :, 1] = 1 / len(rejected)
    reached = _spread(points, labels)[:n]
    fallen = np.flatnonzero(kept)[reached[:, 1] > reached[:, 0]]
    return picks.reject(np.setdiff1d(fallen, np.flatnonzero(is_prompt)), LIKE_REJECTED)


def _embedded(
    places: Places,
    clicked: np.ndarray,
    rejected: np.ndarray,
    shapes: tuple[np.ndarray, np.ndarray],
    kept: np.ndarray,
) -> np.ndarray:
    """All in one, (m, d), as the embedding sees them: picks, clicked, rejected."""
    n = len(kept)
    likeness = Likeness.of(
        (np.concatenate([places.instances, rejected]), places.background, clicked),
        (np.concatenate([places.shapes[:n], shapes[1]]), places.shapes[n:], shapes[0]),
    ).embedded(shipped("embedding"))
    clicks, seen = likeness.by_embedding
    return np.concatenate([seen[:n][kept], clicks, seen[n : likeness.proposals]])


def _principal(picks: np.ndarray, clicked: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """All in one, (m, d), on the axes along which picks and clicks differ the most."""
    middle = picks.mean(axis=0)
    _, _, axes = np.linalg.svd(np.concatenate([picks, clicked]) - middle, full_matrices=False)
    return (np.concatenate([picks, clicked, rejected]) - middle) @ axes[:DIMENSIONS].T


def _spread(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Labels (m, l) of points (m, d), after they went from neighbour to neighbour to the end.

    Zhou et al., "Learning with local and global consistency", 2004. Only mutual neighbours are
    linked: a rejected loner, which is near to nothing, takes nothing with it.
    """
    m = len(points)
    squares = ((points[:, None] - points) ** 2).sum(axis=2)  # (m, m)
    np.fill_diagonal(squares, np.inf)
    order = np.argsort(squares, axis=1)[:, : min(NEIGHBOURS, m - 1)]
    near = np.zeros((m, m), bool)
    np.put_along_axis(near, order, True, axis=1)
    usual = np.median(squares[np.arange(m), order[:, -1]])
    weights = np.exp(-squares / (usual + 1e-12)) * (near & near.T)
    total = np.sqrt(weights.sum(axis=1, keepdims=True)) + 1e-12
    return np.linalg.solve(np.eye(m) - SPREADING * weights / (total * total.T), labels)
