"""Odds: from the evidence at each place to the probability that it is of the prompted kind.

How much each piece of evidence weighs was learned on simulated tomograms of kinds that exist
nowhere (`benchmarks/verdict_training.py`). How many of the places are of the kind differs from
tomogram to tomogram, and is told from all the places together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from scipy.special import expit

CERTAIN = 8.0
"""Log odds of a clicked instance."""
DOUBT = 0.2
"""A place that is less probable is no pick, however few there are."""
CHANCE_DOUBT = 0.8
"""The same for a place at chance level where hardly any stands out: perhaps there is none."""
USUAL = 0.06  # share of the proposals that are of the kind, before they have been seen
USUAL_WEIGHT = 0.05  # how much that counts, in all proposals of the tomogram
ROUNDS = 40
BEST = 5
"""Places whose mean log odds say how alike the most similar copies are."""


@dataclass(frozen=True)
class Weights:
    """What was learned.

    A network of one hidden layer turns the evidence at a place into log odds at even chances; a
    linear model turns these, and what all places of the tomogram say, into those that hold.

    Attributes:
        middle: (e,) of the evidence that was learned from.
        spread: (e,) of it.
        reach: spreads from the middle beyond which evidence counts no more.
        hidden: (e, h) weights of the hidden layer.
        hidden_bias: (h,) of the same.
        out: (h,) weights of its output.
        out_bias: of the same.
        context_low: (c,) below which a context counts no more.
        context_high: (c,) above which it counts no more.
        context: (c,) weights of the context.
        slope: of the log odds.
        bias: that is added.
    """

    middle: np.ndarray
    spread: np.ndarray
    reach: float
    hidden: np.ndarray
    hidden_bias: np.ndarray
    out: np.ndarray
    out_bias: float
    context_low: np.ndarray
    context_high: np.ndarray
    context: np.ndarray
    slope: float
    bias: float

    def log_odds(self, evidence: np.ndarray) -> np.ndarray:
        """(n, e) to (n,), where one place in two is of the kind."""
        scaled = np.clip((evidence - self.middle) / self.spread, -self.reach, self.reach)
        return np.asarray(
            np.tanh(scaled @ self.hidden + self.hidden_bias) @ self.out + self.out_bias
        )

    def probabilities(
        self, log_odds: np.ndarray, own: np.ndarray, outstanding: np.ndarray
    ) -> np.ndarray:
        """(n,) 0 to 1, in this tomogram.

        Args:
            log_odds: (n,) of the proposals at even chances.
            own: (n,) bool, the clicked instances.
            outstanding: (n,) bool, stands out from chance.
        """
        here = np.clip(context(log_odds, own, outstanding), self.context_low, self.context_high)
        return np.where(own, 1.0, expit(self.slope * log_odds + here @ self.context + self.bias))


@cache
def learned() -> Weights:
    """What comes with the package."""
    with files("aitom_cryosam.scoring").joinpath("odds.npz").open("rb") as file, np.load(file) as a:
        stored = {name: a[name].astype(np.float64) for name in a.files}
    values: dict[str, Any] = {k: v if v.ndim else float(v) for k, v in stored.items()}
    return Weights(**values)


def context(log_odds: np.ndarray, own: np.ndarray, outstanding: np.ndarray) -> np.ndarray:
    """What all places together say about how many are of the kind.

    Args:
        log_odds: (n,), and `own` and `outstanding`: as for `Weights.probabilities`.
        own: (n,) bool.
        outstanding: (n,) bool.

    Returns:
        (3,): log odds of the share that fits the log odds best, log of the share that stands
        out, mean log odds of the best.
    """
    n = max(len(log_odds), 1)
    share = USUAL
    for _ in range(ROUNDS):
        found = expit(log_odds + np.log(share / (1 - share)))
        share = (found.sum() + USUAL_WEIGHT * USUAL * n + 0.5) / ((1 + USUAL_WEIGHT) * n + 10)
    best = np.sort(log_odds[~own])[::-1][:BEST]
    return np.array(
        [
            np.log(share / (1 - share)),
            np.log((outstanding & ~own).sum() / n + 0.01),
            best.mean() if len(best) else 0.0,
        ]
    )


def best_cut(probabilities: np.ndarray) -> float:
    """The probability from which on places are picks, for the highest expected F1.

    Args:
        probabilities: (n,).

    Returns:
        At least `DOUBT`. The best cut is half of the best F1 that can be expected.
    """
    if not len(probabilities):
        return DOUBT
    ranked = np.sort(probabilities)[::-1]
    picked = np.arange(1, len(ranked) + 1)
    expected = 2 * np.cumsum(ranked) / (picked + ranked.sum())
    return max(float(expected.max()) / 2, DOUBT)
