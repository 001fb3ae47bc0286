"""Suggestions: the places whose yes or no would help most.

A sure place teaches nothing, and two places that look alike teach the same. A yes is one more
click and teaches more than a no. So of the places that are likely picks, but not sure ones, those
are taken that together stand for all of these: mutually unlike, but no loners.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import logit

from aitom_cryosam.picks import Picks
from aitom_cryosam.scoring.kind import unit
from aitom_cryosam.scoring.log_odds import log_odds
from aitom_cryosam.scoring.places import Places

COLUMN = "cryosamSuggestion"
"""Of a STAR file: 1 is the most useful place, none is no suggestion."""
NONE = "none"
LIKELY = 0.88
"""Probability of a place that is asked about, as nearly as there are any."""
CHOICE = 2
"""Times as many as are wanted are chosen from."""


def doubt(picks: Picks, cut: float | None = None) -> np.ndarray:
    """(n,) how far each place is from being undecided: 0 is on the cut; infinite if none decides.

    By the probability where there is one, else by the score.

    Args:
        picks: n, with their verdict.
        cut: the least score of a pick, in place of the verdict's.
    """
    if picks.probabilities is not None:
        away = np.abs(picks.probabilities - 0.5)
    else:
        kept = picks.scores[picks.kept]
        if cut is None:
            cut = kept.min(initial=np.inf) if len(kept) else picks.scores.max(initial=-np.inf)
        away = np.abs(picks.scores - cut)
    return np.where(picks.cut_decides & np.isfinite(picks.scores), away, np.inf)


def suggested(
    picks: Picks, places: Places, clicked: np.ndarray, settled: np.ndarray, count: int
) -> Picks:
    """The same with a column of which places to ask about.

    Args:
        picks: n proposals, with their verdict.
        places: the same, and background.
        clicked: (p, k, 3C) instances of the prompts.
        settled: (n,) bool, not to be asked about: prompted particles, and what is cut off.
        count: of suggestions, at most; 0 leaves the column out.
    """
    if not count:
        return picks
    away = np.where(settled, np.inf, _away(picks))
    rows = np.argsort(away, kind="stable")[: CHOICE * count]
    rows = rows[np.isfinite(away[rows])]
    words = [NONE] * len(picks)
    if len(rows):
        for number, row in enumerate(_standing(rows, places, clicked, count), 1):
            words[row] = str(number)
    return replace(picks, extra={**picks.extra, COLUMN: tuple(words)})


def unasked(picks: Picks) -> Picks:
    """The same without a suggestion among them."""
    if COLUMN not in picks.extra:
        return picks
    return replace(picks, extra={**picks.extra, COLUMN: (NONE,) * len(picks)})


def _away(picks: Picks) -> np.ndarray:
    """(n,) how far each place is from being one to ask about; infinite if it is none.

    In log odds from `LIKELY` where there are probabilities, else `doubt`.
    """
    away = doubt(picks)
    if picks.probabilities is None:
        return away
    return np.where(
        np.isfinite(away), np.abs(log_odds(picks.probabilities) - logit(LIKELY)), np.inf
    )


def rows_of(picks: Picks) -> np.ndarray:
    """(m,) rows of the suggestions among picks, the most useful first."""
    words = picks.extra.get(COLUMN, ())
    numbers = {int(word): row for row, word in enumerate(words) if word.isdigit()}
    return np.array([numbers[number] for number in sorted(numbers)], np.int64)


def _standing(rows: np.ndarray, places: Places, clicked: np.ndarray, count: int) -> list[int]:
    """Of rows of the places, those that together stand for the most of them, the clicks left out.

    Greedily: each adds the most to how alike every row is to the nearest of those chosen.
    """
    candidates, known = map(unit, places.whitened(places.instances[rows], clicked))
    alike = candidates @ candidates.T  # (m, m)
    nearest = np.clip((candidates @ known.T).max(axis=1), 0, None)  # (m,)
    chosen: list[int] = []
    for _ in range(min(count, len(rows))):
        gain = np.clip(alike - nearest, 0, None).sum(axis=1)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        nearest = np.maximum(nearest, alike[chosen[-1]])
    return [int(rows[i]) for i in chosen]
