"""Networks of one hidden layer, learned on simulated tomograms, which come with the package.

`benchmarks/verdict_training.py` makes them, from tomograms of kinds that exist nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Network:
    """From r numbers to one, or to o.

    Attributes:
        middle: (r,) of what was learned from.
        spread: (r,) of it.
        reach: spreads from the middle beyond which a number counts no more.
        hidden: (r, h) weights of the hidden layer.
        hidden_bias: (h,) of the same.
        out: (h,) weights of its output; (h, o) of o outputs.
        out_bias: of the same; (o,) of o.
    """

    middle: np.ndarray
    spread: np.ndarray
    reach: float
    hidden: np.ndarray
    hidden_bias: np.ndarray
    out: np.ndarray
    out_bias: float | np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(n,) output, or (n, o), of each of the rows, (n, r)."""
        scaled = np.clip((rows - self.middle) / self.spread, -self.reach, self.reach)
        hidden = np.tanh(scaled @ self.hidden + self.hidden_bias)
        return np.asarray(hidden @ self.out + self.out_bias)


@cache
def shipped(name: str) -> Network:
    """The one of this name: "embedding", "odds" or "cut"."""
    path = files("aitom_cryosam.scoring").joinpath(f"{name}.npz")
    with path.open("rb") as file, np.load(file) as arrays:
        stored = {name: arrays[name].astype(np.float64) for name in arrays.files}
    values: dict[str, Any] = {k: v if v.ndim else float(v) for k, v in stored.items()}
    return Network(**values)
