"""Chance: the similarity that background reaches by itself."""

from __future__ import annotations

import numpy as np

CHANCE = 3.0
"""Spreads above the bulk of all maxima where chance ends."""
RESAMPLES = 31
_LARGEST = 1 - 1e-9
"""Cosine: what is closer to 1 is 1, but for rounding."""


def chance_level(similarities: np.ndarray) -> float:
    """The similarity above which a maximum is not chance.

    Args:
        similarities: (n,) of all maxima of the tomogram, most of which are background.
    """
    if len(similarities) == 0:
        return np.inf
    mode, spread = _bulk(similarities)
    level = mode + CHANCE * spread
    if level < 1:
        return level
    # Raw tokens of a network share a large part, and their cosines pile up below 1, where no
    # level would be left. As Fisher's z they have no upper end.
    mode, spread = _bulk(np.arctanh(np.clip(similarities, -_LARGEST, _LARGEST)))
    return float(np.tanh(mode + CHANCE * spread))


def _bulk(values: np.ndarray) -> tuple[float, float]:
    """Mode and spread of what lies below it; the mode as the median over resamples of the values.

    A mode hangs on few values: that of a single sample moves by more than the spread now and then.
    """
    rng, values = np.random.default_rng(0), np.sort(values)
    mode = float(np.median([_mode(rng.choice(values, len(values))) for _ in range(RESAMPLES)]))
    below = mode - values[values < mode]
    return mode, float(1.4826 * np.median(below)) if len(below) else 0.0


def _mode(values: np.ndarray) -> float:
    """By halving to the densest half, over and over."""
    densest = np.sort(values)
    while len(densest) > 20:
        half = len(densest) // 2
        start = int((densest[half:] - densest[: len(densest) - half]).argmin())
        densest = densest[start : start + half]
    return float(densest.mean())
