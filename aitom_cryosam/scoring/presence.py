"""Presence: whether anything in a tomogram is like the clicks.

In noise, too, some places are more like a click than others, and an end of a ranking looks like
the end of a list. But what chance has made alike is alike in few ways: the places that come first
are no copies of each other, and no group apart. Profiles of likenesses by rank show that whatever
the tomogram; a network that was trained on simulated tomograms with particles and on ones without
(`benchmarks/verdict_training.py`) reads them.
"""

from __future__ import annotations

import numpy as np

from aitom_cryosam.scoring.evidence import Evidence
from aitom_cryosam.scoring.likeness import Likeness, mutual

RANKS = np.array([1, 2, 3, 5, 8, 12, 20, 32, 50, 80, 120, 200])
GROUPS = (3, 6, 12, 24, 48, 96)
"""Numbers of first places that are compared with each other."""
BACKGROUND_SHARES = (0.5, 0.9, 0.98, 1.0)
AXES = (6, 4)
"""Principal axes whose shares are looked at: of proposals, and of background."""
FAINT = 1e-3  # share of an axis


def signs(likeness: Likeness, found: Evidence, is_prompt: np.ndarray) -> np.ndarray:
    """(s,) numbers that tell particles from noise.

    Args:
        likeness: of n proposals, m places of background and the clicks, with an embedding.
        found: evidence on the n + m.
        is_prompt: (n,) bool, proposals that are a prompted particle itself.
    """
    n, walks = likeness.proposals, found.log_walks
    _, places = likeness.by_embedding  # as `alike`
    *_, alike = likeness.by_part()
    others = np.flatnonzero(~is_prompt)
    first = others[np.argsort(-walks[others], kind="stable")]
    sums = np.cumsum(places[first], axis=0)
    count = len(first)
    groups = [min(size, count) for size in (*GROUPS, count)]
    return np.concatenate(
        [
            _profile(walks[first]),
            np.quantile(walks[n:], BACKGROUND_SHARES),
            _profile(alike[others]),
            np.quantile(alike[n:], BACKGROUND_SHARES),
            [mutual(sums[size - 1], size) for size in groups],
            _shares(places[first], AXES[0]),
            _shares(places[n:], AXES[1]),
        ]
    )


def _profile(values: np.ndarray) -> np.ndarray:
    """(r,) of the values, (n,), those of `RANKS`."""
    return -np.sort(-values)[np.minimum(RANKS, len(values)) - 1]


def _shares(directions: np.ndarray, axes: int) -> np.ndarray:
    """(axes,) log of the share of the variance of (n, a) that lies on each first axis."""
    variances = np.linalg.svd(directions - directions.mean(axis=0), compute_uv=False) ** 2
    shares = variances / max(variances.sum(), FAINT)
    return np.log(np.pad(shares, (0, axes))[:axes] + FAINT)
