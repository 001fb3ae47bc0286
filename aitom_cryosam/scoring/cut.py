"""Cut: how many of the places most like the clicks are picks.

The ranking by spreading is better than what a fixed level makes of it: how likely a walk comes
to a click depends on the tomogram. So each length that the list of picks could have is looked at
as a whole: how alike the places within are, how far those beyond fall off, what the odds expect,
what the clusters have found. A network that was trained on simulated tomograms
(`benchmarks/verdict_training.py`) says from that which F1 the list would have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from aitom_cryosam.scoring.evidence import Evidence, bulk
from aitom_cryosam.scoring.likeness import Likeness
from aitom_cryosam.scoring.network import shipped

LENGTHS = 48
"""That are looked at, evenly spaced on a log scale, beside all short ones."""
SHORT = 32
EDGE = 8
"""Every so manieth of a list's places are at its edge."""
FIRST = 5
"""Places of which the level is that of copies."""
COPIES = 6
"""First places whose likeness is that of copies."""
LEAST = 0.05  # of it
BACKGROUND = 20
"""Places of background, which the first places are unlike."""


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of the first places of a ranking.

    Attributes:
        order: (n,) proposals, best first.
        lengths: (l,) of the lists.
        rows: (l, r) what speaks for and against each.
    """

    order: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray

    def best(self) -> tuple[int, float]:
        """The length of the list that the network expects most of, and how much: about its F1."""
        expected = expit(shipped("cut")(self.rows))
        padded = np.pad(expected, 1, mode="edge")  # a peak, not a spike
        most = np.argmax(padded[:-2] + 2 * padded[1:-1] + padded[2:])
        return int(self.lengths[most]), float(expected[most])


def lists(
    likeness: Likeness,
    found: Evidence,
    probabilities: np.ndarray,
    own: np.ndarray,
    chosen: np.ndarray,
) -> Lists:
    """What speaks for each length.

    Args:
        likeness: of n proposals, m places of background and the clicks.
        found: evidence on the n + m.
        probabilities: (n,) by the odds; 1 of those clicked.
        own: (n,) bool, clicked instances, which head every list.
        chosen: (n,) bool, what another verdict keeps.
    """
    n, clicked = likeness.proposals, max(int(own.sum()), 1)
    walks, of_background = found.log_walks[:n], found.log_walks[n:]
    order = np.argsort(-np.where(own, np.inf, walks), kind="stable")
    short = np.arange(clicked, min(SHORT, n) + 1)
    lengths = np.unique([*short, *np.geomspace(clicked, n, LENGTHS).round().astype(int)])
    levels = np.where(own, walks[~own].max(initial=walks.min()), walks)[order]
    odds = probabilities[order]
    likely, shared = np.cumsum(odds), np.cumsum(chosen[order])
    directions = likeness.places[:n][order]
    sums = np.cumsum(directions, axis=0)
    copies = max(_alike(sums[:COPIES][-1], min(COPIES, n)), LEAST)
    unlike = directions[:COPIES] @ likeness.places[n:][:BACKGROUND].T
    middle, spread = bulk(unlike)
    rows = []
    for k in lengths:
        edge = max(2, k // EDGE)
        above, below = slice(max(0, k - edge), k), slice(min(k, n - 1), min(k, n - 1) + edge)
        half = max(k // 2, min(3, n))
        alike_above, alike_below = (
            float(directions[part].mean(axis=0) @ sums[half - 1] / half) for part in (above, below)
        )
        alike = _alike(sums[k - 1], k) if k > 1 else copies
        within = k * levels[:k].var() + (n - k) * levels[k:].var() if k < n else n * levels.var()
        within = within / n + 1e-3
        beyond = levels[k:].mean() if k < n else levels[-1]
        least = levels[above].mean()
        false = (of_background >= levels[k - 1]).sum()
        rows.append(
            [
                np.log(k),
                np.log(k / n),
                likely[k - 1] / k,
                (likely[-1] - likely[k - 1]) / k,
                2 * likely[k - 1] / (k + likely[-1]),
                odds[above].mean(),
                least,
                least - levels[below].mean(),
                levels[:FIRST].mean() - least,
                (levels[:k].mean() - beyond) / np.sqrt(within),
                within / (levels.var() + 1e-3),
                np.log((false + 0.5) / (len(of_background) + 1)),
                alike / copies,
                alike_above / copies,
                alike_below / copies,
                (alike - middle) / spread,
                (alike_above - middle) / spread,
                copies,
                (copies - middle) / spread,
                2 * shared[k - 1] / (k + max(shared[-1], 1)),
                shared[k - 1] / k,
                shared[k - 1] / max(shared[-1], 1),
                np.log(k / max(shared[-1], 1)),
                *found.context,
            ]
        )
    return Lists(order, lengths, np.array(rows))


def _alike(summed: np.ndarray, count: int) -> float:
    """Mean likeness of two among so many unit vectors of sum (a,)."""
    return float((summed @ summed - count) / max(count * (count - 1), 1))
