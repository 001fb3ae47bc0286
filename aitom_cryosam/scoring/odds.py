"""Odds: from the evidence at each place to the probability that it is of the prompted kind.

How much each piece of evidence weighs was learned on simulated tomograms of kinds that exist
nowhere (`benchmarks/verdict_training.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from scipy.special import expit

from aitom_cryosam.scoring.evidence import Evidence


@dataclass(frozen=True)
class Weights:
    """What was learned: a network of one hidden layer.

    Attributes:
        middle: (e + c,) of the evidence and the context that was learned from.
        spread: (e + c,) of it.
        reach: spreads from the middle beyond which evidence counts no more.
        hidden: (e + c, h) weights of the hidden layer.
        hidden_bias: (h,) of the same.
        out: (h,) weights of its output.
        out_bias: of the same.
    """

    middle: np.ndarray
    spread: np.ndarray
    reach: float
    hidden: np.ndarray
    hidden_bias: np.ndarray
    out: np.ndarray
    out_bias: float

    def log_odds(self, found: Evidence) -> np.ndarray:
        """(n + m,) at each place."""
        context = np.tile(found.context, (len(found.rows), 1))
        rows = np.concatenate([found.rows, context], axis=1)
        scaled = np.clip((rows - self.middle) / self.spread, -self.reach, self.reach)
        hidden = np.tanh(scaled @ self.hidden + self.hidden_bias)
        return np.asarray(hidden @ self.out + self.out_bias)

    def probabilities(self, found: Evidence) -> np.ndarray:
        """(n + m,) 0 to 1, of each place."""
        return np.asarray(expit(self.log_odds(found)))


@cache
def learned() -> Weights:
    """What comes with the package."""
    with files("aitom_cryosam.scoring").joinpath("odds.npz").open("rb") as file, np.load(file) as a:
        stored = {name: a[name].astype(np.float64) for name in a.files}
    values: dict[str, Any] = {k: v if v.ndim else float(v) for k, v in stored.items()}
    return Weights(**values)
