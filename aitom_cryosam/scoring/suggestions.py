"""Suggestions: the places whose yes or no would help most.

A sure place teaches nothing, and two places that look alike teach the same. So the least certain
are taken, one after the other, each as unlike the clicks and those taken before as it can be.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aitom_cryosam.picks import Picks
from aitom_cryosam.scoring.kind import FEWEST, unit, whitening
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.scoring.span import spanned

COLUMN = "cryosamSuggestion"
"""Of a STAR file: 1 is the most useful place, none is no suggestion."""
NONE = "none"
DOUBTFUL = 8
"""Times as many of the least certain as are wanted are chosen from."""


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
    picks: Picks, places: Places, clicked: np.ndarray, own: np.ndarray, count: int
) -> Picks:
    """The same with a column of which places to ask about.

    Args:
        picks: n proposals, with their verdict.
        places: the same, and background.
        clicked: (p, k, 3C) instances of the prompts.
        own: (n,) bool, proposals that are a prompted particle itself.
        count: of suggestions, at most.
    """
    away = np.where(own, np.inf, doubt(picks))
    order = np.argsort(away, kind="stable")
    rows = order[: DOUBTFUL * count][np.isfinite(away[order[: DOUBTFUL * count]])]
    words = [NONE] * len(picks)
    if len(rows) and count:
        for number, row in enumerate(_unlike(rows, places, clicked, count), 1):
            words[row] = str(number)
    return replace(picks, extra={**picks.extra, COLUMN: tuple(words)})


def _unlike(rows: np.ndarray, places: Places, clicked: np.ndarray, count: int) -> list[int]:
    """Of rows of the places, those that are each the least like all before, and the clicks."""
    sets = [unit(places.instances[rows]), unit(clicked)]
    if len(places.background) >= FEWEST:
        background, *inside = spanned(unit(places.background), *sets)
        white = whitening(background, sets[0].shape[1])
        sets = [unit(((one - background.mean(axis=0)) @ white)[:, None]) for one in inside]
    candidates, known = sets
    alike = (candidates @ known.T).max(axis=1)  # (m,) with the nearest that is known
    chosen: list[int] = []
    for _ in range(min(count, len(rows))):
        alike[chosen] = np.inf
        chosen.append(int(alike.argmin()))
        alike = np.maximum(alike, candidates @ candidates[chosen[-1]])
    return [int(rows[i]) for i in chosen]
