"""Cut: how many of the places of the best odds are picks.

The ranking is better than what a fixed level makes of it: how probable the last copy is depends on
the tomogram. So each length that the list of picks could have is looked at beside all others: what
speaks for the places at its end, and what the odds expect of it. A network that was trained on
simulated tomograms (`benchmarks/verdict_training.py`) goes along these lengths and says which F1
each list would have: where copies end, or another kind begins, evidence falls off. As many places
as the best list has are picked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from aitom_cryosam.scoring.network import shipped_sequence
from aitom_cryosam.scoring.odds import Compared, Seen

LENGTHS = 48
"""That are looked at, evenly spaced on a log scale, beside all short ones."""
SHORT = 32
TOO_SHORT = 2
"""First lists, of hardly more than the clicked: none says how many others there are."""
END = 8
"""One in so many of a list's places is at its end."""
SURE = 10.0
"""Log odds beyond which a place is no surer."""


@dataclass(frozen=True, eq=False)
class Cut:
    """What is expected of the lists of the places of the best odds.

    Attributes:
        lengths: (l,) of the lists.
        every: (l,) about the F1 of each.
    """

    lengths: np.ndarray
    every: np.ndarray

    @property
    def length(self) -> int:
        """Of the list of the best F1."""
        first = min(TOO_SHORT, len(self.lengths) - 1)
        every = np.pad(self.every[first:], 1, mode="edge")  # a peak, not a spike
        return int(self.lengths[first:][np.argmax(every[:-2] + 2 * every[1:-1] + every[2:])])

    @property
    def expected(self) -> float:
        """About the F1 of the best list."""
        return float(self.every.max())

    def expected_of(self, count: int) -> float:
        """About the F1 of so many places."""
        return float(np.interp(np.log(max(count, 1)), np.log(self.lengths), self.every))


def cut(beside: Compared) -> Cut:
    """What is expected of each length, on average over the samples of the background."""
    lengths = possible(beside.own)
    rows = [ends(one, beside.own, lengths) for one in beside.seen]
    every = [expit(shipped_sequence("cut")(some)) for some in rows]
    return Cut(lengths, np.mean(every, axis=0))


def possible(own: np.ndarray) -> np.ndarray:
    """(l,) lengths of lists of proposals, of which the clicked, (n,) bool, head every one."""
    n, clicked = len(own), max(int(own.sum()), 1)
    short = np.arange(clicked, min(SHORT, n) + 1)
    return np.unique([*short, *np.geomspace(clicked, n, LENGTHS).round().astype(int)])


def ends(seen: Seen, own: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(l, r) what speaks for and against lists of these lengths.

    Args:
        seen: n proposals, beside one sample of the background.
        own: (n,) bool, clicked instances.
        lengths: (l,) of the lists.
    """
    n = len(own)
    log_odds = np.where(own, SURE, np.clip(seen.log_odds, -SURE, SURE))
    order = np.argsort(-np.where(own, np.inf, seen.log_odds), kind="stable")
    log_odds, likely = log_odds[order], np.cumsum(expit(log_odds[order]))
    sums = np.cumsum(np.column_stack([seen.rows[order], log_odds]), axis=0)
    sums = np.concatenate([np.zeros_like(sums[:1]), sums])
    first = np.maximum(lengths - np.maximum(2, lengths // END), 0)
    right, in_all = likely[lengths - 1], likely[-1]
    return np.column_stack(
        [
            np.log(lengths),
            np.log(lengths / n),
            (sums[lengths] - sums[first]) / (lengths - first)[:, None],
            log_odds[lengths - 1],
            log_odds[np.minimum(lengths, n - 1)],
            right / lengths,
            2 * right / (lengths + in_all),
            np.log(in_all / lengths),
        ]
    )
