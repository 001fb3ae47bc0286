"""Networks of a few hidden layers, learned on simulated tomograms, that come with the package.

`benchmarks/verdict_training.py` makes them, from tomograms of kinds that exist nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

NEAREST = 6
"""Neighbours that a place hears apart from the others."""


def scaled(rows: np.ndarray, middle: np.ndarray, spread: np.ndarray, reach: float) -> np.ndarray:
    """(n, r) rows as every network takes them: in spreads from the middle, so many at most.

    Args:
        rows: (n, r).
        middle: (r,) of what was learned from.
        spread: (r,) of it.
        reach: spreads from the middle beyond which a number counts no more.
    """
    return np.clip((rows - middle) / spread, -reach, reach)


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
        values = scaled(rows, self.middle, self.spread, self.reach)
        hidden = np.tanh(values @ self.hidden + self.hidden_bias)
        return np.asarray(hidden @ self.out + self.out_bias)


@dataclass(frozen=True)
class GraphNetwork:
    """From r numbers at each place of a tomogram to one, by places that listen to their likes.

    What a place is depends on what those most like it are (Scarselli et al., "The graph neural
    network model", 2009). A second hidden layer hears the first one of the place, the means of its
    nearest and of all its neighbours, and the mean of all places. The mean of g such networks.

    Attributes:
        middle: (r,) of what was learned from.
        spread: (r,) of it.
        reach: spreads from the middle beyond which a number counts no more.
        hidden: (g, r, h) weights of the first hidden layer.
        hidden_bias: (g, 1, h) of the same.
        heard: (g, 4h, h) weights of the second.
        heard_bias: (g, 1, h) of the same.
        out: (g, h) weights of the output.
        out_bias: of the same.
    """

    middle: np.ndarray
    spread: np.ndarray
    reach: float
    hidden: np.ndarray
    hidden_bias: np.ndarray
    heard: np.ndarray
    heard_bias: np.ndarray
    out: np.ndarray
    out_bias: float

    def __call__(self, rows: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
        """(n,) output at each place.

        Args:
            rows: (n, r).
            neighbours: (n, k) of each place, nearest first.
        """
        values = scaled(rows, self.middle, self.spread, self.reach)
        every = np.zeros(len(rows))
        for first, first_bias, second, second_bias, out in zip(
            self.hidden, self.hidden_bias, self.heard, self.heard_bias, self.out, strict=True
        ):
            seen = np.tanh(values @ first + first_bias)  # (n, h)
            near = [seen[neighbours[:, :k]].mean(axis=1) for k in (NEAREST, neighbours.shape[1])]
            mean = np.broadcast_to(seen.mean(axis=0), seen.shape)
            told = np.tanh(np.concatenate([seen, *near, mean], axis=1) @ second + second_bias)
            every += told @ out
        return np.asarray(every / len(self.out) + self.out_bias)


@dataclass(frozen=True)
class SequenceNetwork:
    """From r numbers at each of a sequence to one, by a net that sees what comes before and after.

    A layer that sees each by itself, layers that also see w of the sequence around it and the mean
    of all (a residual convolution each), and the output. The mean of g such networks.

    Attributes:
        middle: (r,) of what was learned from.
        spread: (r,) of it.
        reach: spreads from the middle beyond which a number counts no more.
        alone: (g, r, h) weights of the first layer.
        alone_bias: (g, h) of the same.
        around: (g, c, w, h, h) weights of the c others, of what is around.
        around_bias: (g, c, h) of the same.
        whole: (g, c, h, h) weights of the mean of all.
        out: (g, h) weights of the output.
        out_bias: (g,) of the same.
    """

    middle: np.ndarray
    spread: np.ndarray
    reach: float
    alone: np.ndarray
    alone_bias: np.ndarray
    around: np.ndarray
    around_bias: np.ndarray
    whole: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(l,) output along a sequence, (l, r); beyond its ends there is nothing."""
        values = scaled(rows, self.middle, self.spread, self.reach)
        hidden = np.tanh(values @ self.alone + self.alone_bias[:, None])  # (g, l, h)
        reach = self.around.shape[2] // 2
        for layer in range(self.around.shape[1]):
            padded = np.pad(hidden, ((0, 0), (reach, reach), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
            seen = np.einsum("glhw,gwhk->glk", windows, self.around[:, layer], optimize=True)
            of_all = hidden.mean(axis=1, keepdims=True) @ self.whole[:, layer]
            hidden = hidden + np.tanh(seen + of_all + self.around_bias[:, layer, None])
        every = np.einsum("glh,gh->gl", hidden, self.out) + self.out_bias[:, None]
        return np.asarray(every.mean(axis=0))


def shipped(name: str) -> Network:
    """The one of this name: "embedding" or "presence"."""
    return Network(**_stored(name))


def shipped_graph(name: str) -> GraphNetwork:
    """The one of this name: "odds"."""
    return GraphNetwork(**_stored(name))


def shipped_sequence(name: str) -> SequenceNetwork:
    """The one of this name: "cut"."""
    return SequenceNetwork(**_stored(name))


@cache
def _stored(name: str) -> dict[str, Any]:
    path = files("aitom_cryosam.scoring").joinpath(f"{name}.npz")
    with path.open("rb") as file, np.load(file) as arrays:
        stored = {name: arrays[name].astype(np.float64) for name in arrays.files}
    return {name: value if value.ndim else float(value) for name, value in stored.items()}
