"""Cut: how many of the places most like the clicks are picks.

The ranking by spreading is better than what a fixed level makes of it: how likely a walk comes
to a click depends on the tomogram. So each length that the list of picks could have is looked at
as a whole: how alike the places within are, how far those beyond fall off, what the odds expect,
how few links lead out of it. A network that was trained on simulated tomograms
(`benchmarks/verdict_training.py`) says from that which F1 the list would have. As many places as
the best list has, those of the best odds, are picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from aitom_cryosam.scoring.evidence import bulk
from aitom_cryosam.scoring.likeness import mutual
from aitom_cryosam.scoring.network import shipped
from aitom_cryosam.scoring.odds import Compared, Seen

LENGTHS = 48
"""That are looked at, evenly spaced on a log scale, beside all short ones."""
SHORT = 32
TOO_SHORT = 2
"""First lists, of hardly more than the clicked: none says how many others there are."""
EDGE = 8
"""Every so manieth of a list's places are at its edge."""
FIRST = 5
"""Places of which the level is that of copies."""
COPIES = 6
"""First places whose likeness is that of copies."""
LEAST = 0.05  # of it
BY_ODDS = 4
"""Column of the F1 that the odds of the places expect."""
SHARE = 0.25
"""That the odds have in the length."""
UNSURE = 0.5
"""Where the network expects less than this of any list, none is shorter than the odds have it."""
BACKGROUND = 20
"""Places of background, which the first places are unlike."""


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of the first places of a ranking, beside one sample of the background.

    Attributes:
        lengths: (l,) of the lists.
        rows: (l, r) what speaks for and against each.
    """

    lengths: np.ndarray
    rows: np.ndarray

    @property
    def best(self) -> int:
        """Length of the list of the best F1.

        It lies between the one of which the network expects most and the one that the odds of the
        places do, which may be less right but never follow an accident of one list.
        """
        seen = slice(min(TOO_SHORT, len(self.lengths) - 1), None)
        lengths, rows = self.lengths[seen], self.rows[seen]
        expected = np.pad(self.expected[seen], 1, mode="edge")  # a peak, not a spike
        of_list = lengths[np.argmax(expected[:-2] + 2 * expected[1:-1] + expected[2:])]
        of_places = int(lengths[np.argmax(rows[:, BY_ODDS])])
        between = round(of_places**SHARE * of_list ** (1 - SHARE))
        return max(between, of_places if expected.max() < UNSURE else 0)

    @cached_property
    def expected(self) -> np.ndarray:
        """(l,) about the F1 of each list, by the network."""
        return np.asarray(expit(shipped("cut")(self.rows)))

    def expected_of(self, count: int) -> float:
        """The same of the list that is of so many places, or nearly."""
        return float(np.interp(np.log(max(count, 1)), np.log(self.lengths), self.expected))


@dataclass(frozen=True)
class Cut:
    """How many of the places of the best odds are picks.

    Attributes:
        lists: beside each sample of the background.
    """

    lists: Sequence[Lists]

    @property
    def length(self) -> int:
        """The geometric mean of what is best beside each sample."""
        return round(float(np.exp(np.mean([np.log(one.best) for one in self.lists]))))

    @property
    def expected(self) -> float:
        """About the F1 of the best list."""
        return float(np.mean([one.expected.max() for one in self.lists]))

    def expected_of(self, count: int) -> float:
        """About the F1 of so many places."""
        return float(np.mean([one.expected_of(count) for one in self.lists]))


def cut(beside: Compared) -> Cut:
    """What speaks for each length; the clicked instances head every list."""
    return Cut([lists(one, beside.own) for one in beside.seen])


def lists(seen: Seen, own: np.ndarray) -> Lists:
    """The same beside one sample of the background, by the ranking by spreading.

    Args:
        seen: n proposals.
        own: (n,) bool, clicked instances.
    """
    n, clicked = len(own), max(int(own.sum()), 1)
    short = np.arange(clicked, min(SHORT, n) + 1)
    lengths = np.unique([*short, *np.geomspace(clicked, n, LENGTHS).round().astype(int)])
    likeness, found = seen.likeness, seen.found
    walks, of_background = found.log_walks[:n], found.log_walks[n:]
    order = np.argsort(-np.where(own, np.inf, walks), kind="stable")
    levels = np.where(own, walks[~own].max(initial=walks.min()), walks)[order]
    odds = np.where(own, 1, expit(seen.log_odds))[order]
    likely = np.cumsum(odds)
    links = found.links[np.ix_(order, order)]
    held, ours = 2 * np.tril(links).sum(axis=1).cumsum(), found.totals[order].cumsum()
    outward, others = ours - held, found.totals.sum() - ours
    inward = np.cumsum(links, axis=1) / found.totals[order, None]
    directions = likeness.places[:n][order]
    sums = np.cumsum(directions, axis=0)
    copies = max(mutual(sums[:COPIES][-1], min(COPIES, n)), LEAST)
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
        alike = mutual(sums[k - 1], k) if k > 1 else copies
        within = k * levels[:k].var() + (n - k) * levels[k:].var() if k < n else n * levels.var()
        within = within / n + 1e-3
        beyond = levels[k:].mean() if k < n else levels[-1]
        lowest = levels[above].mean()
        false = (of_background >= levels[k - 1]).sum()
        rows.append(
            [
                np.log(k),
                np.log(k / n),
                likely[k - 1] / k,
                (likely[-1] - likely[k - 1]) / k,
                2 * likely[k - 1] / (k + likely[-1]),
                odds[above].mean(),
                lowest,
                lowest - levels[below].mean(),
                levels[:FIRST].mean() - lowest,
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
                outward[k - 1] / ours[k - 1],
                outward[k - 1] / others[k - 1],
                inward[above, k - 1].mean(),
                inward[below, k - 1].mean(),
                *found.context,
            ]
        )
    return Lists(lengths, np.array(rows))
