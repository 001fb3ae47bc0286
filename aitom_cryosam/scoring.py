"""Which proposals are particles: a cut between the scores of picks and of background."""

from __future__ import annotations

import numpy as np

CERTAIN = 3.5
TYPICAL_EDGE = 2.5
DEPTH = 0.5
BEST = 10


def background_cut(scores: np.ndarray, prompts: int) -> float:
    """The score from which on a proposal is believed.

    Args:
        scores: (n,) of all similarity maxima of the tomogram, most of which are background.
        prompts: number of prompts; as many of the best scores are their own.
    """
    if len(scores) == 0:
        return np.inf
    centre, spread = _bulk(scores)
    best = np.sort(scores)[::-1][prompts : prompts + BEST]
    edge = centre + TYPICAL_EDGE * spread
    level = edge + DEPTH * (best.mean() - edge) if len(best) else -np.inf
    return float(max(centre + CERTAIN * spread, level))


def _bulk(scores: np.ndarray) -> tuple[float, float]:
    """Mode (by repeated halving to the densest half) and spread of what lies below it."""
    ordered = np.sort(scores)
    densest = ordered
    while len(densest) > 20:
        half = len(densest) // 2
        widths = densest[half:] - densest[: len(densest) - half]
        start = int(widths.argmin())
        densest = densest[start : start + half]
    mode = float(densest.mean())
    below = mode - ordered[ordered < mode]
    return mode, float(1.4826 * np.median(below)) if len(below) else 0.0
