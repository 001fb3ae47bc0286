"""Reciprocity: whether what is like the clicks is more like something else.

A particle of another kind may be as like a click as a copy is that is seen from another side. But
it has likes of its own: it is more like these than like the clicks, and they do not come first.
So it is counted how many places are more like a place than the clicks are, and where its nearest
rank (Qin et al., "Hello neighbor: accurate object retrieval with k-reciprocal nearest
neighbors", 2011).
"""

from __future__ import annotations

import numpy as np

from aitom_cryosam.scoring.kind import unit
from aitom_cryosam.scoring.likeness import Likeness

NEAREST = (3, 6, 12, 24)
"""Numbers of places most like a place, whose mean likeness tells how near its likes are."""
CORE = 6
"""First places, the clicked among them, that stand for the kind."""
RANKED = 8
"""Places most like a place, of which it counts where they rank."""
RECIPROCAL = len(NEAREST) + 10
"""Numbers at each place."""


def reciprocity(likeness: Likeness, walks: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(n, q) numbers at each proposal, by the embedding.

    Args:
        likeness: of n proposals, m places of background and p clicks, embedded.
        walks: (n,) by which the proposals rank.
        own: (n,) bool, clicked instances, which come first.
    """
    alike, to_clicks = by_embedding(likeness)
    order = np.argsort(-np.where(own, np.inf, walks), kind="stable")
    ranks = np.argsort(order)
    core = order[: max(CORE, int(own.sum()))]
    to_core = alike[:, core]  # (n, c)
    others = len(core) - (ranks < len(core))  # of the core, beside a place itself
    np.fill_diagonal(alike, -1)
    near = -np.sort(-alike, axis=1)
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, :RANKED]
    ahead_of_clicks, ahead_of_core = _ahead(alike, to_clicks), _ahead(alike, to_core)
    columns = [
        *(near[:, :count].mean(axis=1) for count in NEAREST),
        ahead_of_clicks.mean(axis=1),
        ahead_of_clicks.min(axis=1),
        _behind(to_clicks).mean(axis=1),
        to_clicks.max(axis=1),
        (to_core.sum(axis=1) - (ranks < len(core))) / np.maximum(others, 1),
        np.median(ahead_of_core, axis=1),
        np.sort(ahead_of_core, axis=1)[:, :2][:, -1],
        np.median(_behind(to_core), axis=1),
        np.log1p(np.median(ranks[nearest], axis=1)),
        np.log1p(ranks[nearest].max(axis=1)),
    ]
    return np.stack(columns, axis=1)


def by_embedding(likeness: Likeness) -> tuple[np.ndarray, np.ndarray]:
    """(n, n) how alike n proposals are, and (n, p) how like the clicks, by the embedding."""
    part = slice(likeness.ends[-2], None)
    places, clicks = (
        unit(likeness.places[: likeness.proposals, part]),
        unit(likeness.clicks[:, part]),
    )
    return places @ places.T, places @ clicks.T


def neighbours(likeness: Likeness, count: int) -> np.ndarray:
    """(n, count) those most like each of n proposals, nearest first; again the last if few."""
    alike, _ = by_embedding(likeness)
    np.fill_diagonal(alike, -1)
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, : max(min(count, len(alike) - 1), 1)]
    return np.pad(nearest, ((0, 0), (0, count - nearest.shape[1])), mode="edge")


def _ahead(alike: np.ndarray, to_some: np.ndarray) -> np.ndarray:
    """(n, c) log of how many others are more alike to each of n places, (n, n), than c are."""
    return np.log1p(np.stack([(alike > one[:, None]).sum(axis=1) for one in to_some.T], axis=1))


def _behind(to_some: np.ndarray) -> np.ndarray:
    """(n, c) log of the rank of each of n places among those most like each of c."""
    return np.log1p(len(to_some) - 1 - np.argsort(np.argsort(to_some, axis=0), axis=0))
