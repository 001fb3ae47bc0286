"""Cut: how many of the most probable proposals are picks.

The ranking is better than what a fixed level makes of it: how probable the last copy is depends on
the tomogram. So each length that the list of picks could have is compared with all others: by the
evidence at the places where the list would end, and by the odds of all places. A network that was
trained on simulated tomograms (`benchmarks/verdict_training.py`) estimates the F1 of each list;
where copies end, or another kind begins, the evidence falls off. The list of the best F1 is picked.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from aitom_cryosam.scoring.lists import Cut
from aitom_cryosam.scoring.network import shipped_sequence
from aitom_cryosam.scoring.odds import ProposalOdds, SampleOdds

LENGTHS = 48
"""Lengths that are compared, evenly spaced on a log scale, besides all short ones."""
SHORT = 32
TAIL = 8
"""One in so many of a list's places is at its end."""
SURE = 10.0
"""Log odds beyond which a place is no surer."""


def cut(odds: ProposalOdds) -> Cut:
    """What is expected of each length, on average over the samples of the background."""
    lengths = list_lengths(odds.is_prompt)
    rows = [list_rows(sample, odds.is_prompt, lengths) for sample in odds.decisive]
    f1 = [expit(shipped_sequence("cut")(some)) for some in rows]
    return Cut(lengths, np.mean(f1, axis=0))


def list_lengths(is_prompt: np.ndarray) -> np.ndarray:
    """(l,) lengths of lists of proposals, of which the prompted, (n,) bool, head every one."""
    n, prompted = len(is_prompt), max(int(is_prompt.sum()), 1)
    short = np.arange(prompted, min(SHORT, n) + 1)
    return np.unique([*short, *np.geomspace(prompted, n, LENGTHS).round().astype(int)])


def list_rows(sample: SampleOdds, is_prompt: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(l, r) input of the network: what speaks for and against lists of these lengths.

    Args:
        sample: n proposals, against one sample of the background.
        is_prompt: (n,) bool, proposals that are a prompted particle itself.
        lengths: (l,) of the lists.
    """
    n = len(is_prompt)
    log_odds = np.where(is_prompt, SURE, np.clip(sample.log_odds, -SURE, SURE))
    order = np.argsort(-np.where(is_prompt, np.inf, sample.log_odds), kind="stable")
    log_odds, likely = log_odds[order], np.cumsum(expit(log_odds[order]))
    sums = np.cumsum(np.column_stack([sample.rows[order], log_odds]), axis=0)
    sums = np.concatenate([np.zeros_like(sums[:1]), sums])
    first = np.maximum(lengths - np.maximum(2, lengths // TAIL), 0)
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
