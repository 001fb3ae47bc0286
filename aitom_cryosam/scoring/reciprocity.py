"""Reciprocity: whether what is like the clicks is more like something else.

A particle of another kind may be as like a click as a copy is that is seen from another side. But
it has likes of its own: it is more like these than like the clicks, and they do not come first.
So it is counted how many places are more like a place than the clicks are, and where its nearest
rank (Qin et al., "Hello neighbor: accurate object retrieval with k-reciprocal nearest
neighbors", 2011).
"""

from __future__ import annotations

import numpy as np

from aitom_cryosam.scoring.likeness import Likeness

NEAREST = (3, 6, 12, 24)
"""Numbers of places most like a place, whose mean likeness tells how near its likes are."""
CORE = 6
"""First places, the clicked among them, that stand for the kind."""
RANKED = 8
"""Places most like a place, of which it counts where they rank."""
RECIPROCAL = len(NEAREST) + 10
"""Numbers at each place."""


def reciprocity(
    likeness: Likeness, walks: np.ndarray, is_prompt: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers at each proposal, and the others that are most like it, by the embedding.

    Args:
        likeness: of n proposals, m places of background and p clicks, embedded.
        walks: (n,) by which the proposals rank.
        is_prompt: (n,) bool, proposals that are a prompted particle itself, which come first.
        count: of the others.

    Returns:
        (n, q) numbers, and (n, count) proposals, nearest first; again the last if there are few.
    """
    clicks, places = likeness.by_embedding
    places = places[: likeness.proposals]
    alike, to_clicks = places @ places.T, places @ clicks.T  # (n, n), (n, p)
    order = np.argsort(-np.where(is_prompt, np.inf, walks), kind="stable")
    ranks = np.argsort(order)
    core = order[: max(CORE, int(is_prompt.sum()))]
    to_core = alike[:, core]  # (n, c)
    others = len(core) - (ranks < len(core))  # of the core, beside a place itself
    np.fill_diagonal(alike, -1)
    by_likeness = np.argsort(-alike, axis=1, kind="stable")
    near = np.take_along_axis(alike, by_likeness, axis=1)
    nearest = by_likeness[:, :RANKED]
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
    neighbours = by_likeness[:, : max(min(count, len(alike) - 1), 1)]
    neighbours = np.pad(neighbours, ((0, 0), (0, count - neighbours.shape[1])), mode="edge")
    return np.stack(columns, axis=1), neighbours


def _ahead(alike: np.ndarray, to_some: np.ndarray) -> np.ndarray:
    """(n, c) log of how many others are more alike to each of n places, (n, n), than c are."""
    return np.log1p(np.stack([(alike > one[:, None]).sum(axis=1) for one in to_some.T], axis=1))


def _behind(to_some: np.ndarray) -> np.ndarray:
    """(n, c) log of the rank of each of n places among those most like each of c."""
    return np.log1p(len(to_some) - 1 - np.argsort(np.argsort(to_some, axis=0), axis=0))
