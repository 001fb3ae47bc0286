"""Spreading: from the clicks to their likes, to the likes of these, and so on.

One click shows its particle from one side. Another copy from another side may be no more like it
than a particle of another kind is; but it is like a third copy that is like the click. So places
are linked to the places most like them, and a place is of the kind as far as a walk from it,
along links, comes to a click before it ends (Zhu, Ghahramani and Lafferty, "Semi-supervised
learning using Gaussian fields and harmonic functions", 2003). Any walk may end, and one that
comes by the background does so sooner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitom_cryosam.scoring.likeness import Likeness

NEIGHBOURS = (18, 30)
"""Places are linked where each is among so many that are most like the other; from the first
number to the second a link grows weaker, so that rounding makes and breaks none."""
STEEPNESS = 3
"""Power of the likeness that is the weight of a link."""
END = 0.01
"""Chance that a walk ends at a place."""
END_IN_BACKGROUND = 0.2
FLOOR = 1e-6  # weight of a place that nothing is like


@dataclass(frozen=True, eq=False)
class Walks:
    """Walks from every place, n proposals and m of background.

    Attributes:
        chances: (n + m,) that a walk comes to a click.
        totals: (n + m,) the sum of a place's links.
        to_background: (n + m,) the share of them that leads to the background.
    """

    chances: np.ndarray
    totals: np.ndarray
    to_background: np.ndarray


def reached(likeness: Likeness) -> Walks:
    """Walks from every place.

    Args:
        likeness: of n proposals, m places of background and p clicks.
    """
    p, n = len(likeness.clicks), likeness.proposals
    links = _links(np.concatenate([likeness.clicks, likeness.places]), p)
    totals = links.sum(axis=1) + FLOOR
    steps = links / totals[:, None]
    on = np.full(len(links), 1 - END)
    on[p + n :] = 1 - END_IN_BACKGROUND
    free = slice(p, None)
    within = np.eye(len(links) - p) - on[free, None] * steps[free, free]
    chances = np.linalg.solve(within, on[free] * steps[free, :p].sum(axis=1))
    to_background = steps[free, p + n :].sum(axis=1)
    return Walks(chances, totals[free], to_background)


def _links(directions: np.ndarray, clicks: int) -> np.ndarray:
    """(l, l) weights of links between l directions, the clicks first."""
    alike = directions @ directions.T
    np.fill_diagonal(alike, 0)
    weights = np.maximum(alike, 0) ** STEEPNESS
    near = _nearness(alike)
    links = weights * np.minimum(near, near.T)
    for click in range(clicks):  # nobody's neighbour, perhaps, and yet the start of all
        links[click] = links[:, click] = np.maximum(links[click], weights[click] * near[click])
    return links


def _nearness(alike: np.ndarray) -> np.ndarray:
    """(l, l) 1 for those that are most like the place of a row, 0 for those that are not."""
    most, fewest = (min(count, len(alike)) for count in NEIGHBOURS)
    ordered = np.partition(alike, [-fewest, -most], axis=1)
    least, sure = ordered[:, -fewest, None], ordered[:, -most, None]
    return np.asarray(np.clip((alike - least) / np.maximum(sure - least, 1e-9), 0, 1))
