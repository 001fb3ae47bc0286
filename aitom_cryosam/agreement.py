"""Agreement: one verdict from searches at diameters that are a little apart.

Features of one particle are noisy, and so are the places that are proposed by them and what
networks make of these. Features at diameters a little apart see the same particles through other
noise: the mean of their log odds, each weighing as much as the F1 that it expects, ranks places
better than those of any one of them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import expit

from aitom_cryosam.errors import InputError
from aitom_cryosam.messages import held
from aitom_cryosam.particle_size import ASIDE
from aitom_cryosam.picks import Picks, joined, suppressed
from aitom_cryosam.scoring.kind import Verdict
from aitom_cryosam.scoring.lists import Cut
from aitom_cryosam.scoring.log_odds import log_odds
from aitom_cryosam.scoring.suggestions import unasked
from aitom_cryosam.scoring.verdict import PRESENT, decided, scored
from aitom_cryosam.search import Found
from aitom_cryosam.settings import Settings
from aitom_cryosam.targets import PARTICLE

logger = logging.getLogger(__name__)

Look = Callable[[float], Found]

HARDLY = 0.02
"""Probability that anything is like the prompts below which that is not in doubt."""
SURE = 0.95
"""F1 expected of the picks from which on diameters aside are not asked."""
GROWTH, MORE = 1.15, 5
"""Where a larger diameter has more picks by this ratio and by so many, the other may be too small:
among crowded copies it then tells those that lie alike from the rest."""
CLEAR = 0.75
"""F1 that both expect, at least: they cannot both be right."""
STEPS = 2
"""To larger diameters, at most."""
UNSEEN = -6.0
"""Log odds of a place by a search that did not propose it."""
TRUST = 4
"""Searches weigh by this power of the F1 that they expect in where the list ends: of several ends,
the one of which most is expected is the likeliest. In how good the list is, all count alike."""
FALL, NEARBY = 1.0, 1.6
"""Where the log odds fall by more than the first from one place to the next, the list ends, if it
would end within this ratio of there: all searches see an end more sharply than one does."""


def surer(found: Found, look: Look, settings: Settings, sure: float, *, grow: bool) -> Found:
    """The same, or where much is open, with the verdict that diameters aside agree on.

    Args:
        found: at some diameter.
        look: searches at a diameter in voxels.
        settings: `looks`, and how a verdict decides.
        sure: F1 expected of the picks from which on no other is asked.
        grow: whether all may go on to larger diameters where these find many more.
    """
    presence = found.verdict.presence
    doubtful = presence is not None and presence >= HARDLY and found.promise < sure
    if settings.looks == 1 or not doubtful:
        return found
    logger.info("The picks are not certain: two more searches, at diameters slightly apart, follow")
    found = found.alone()
    smaller, larger = (quietly(look, found.diameter_voxels * ratio) for ratio in ASIDE)
    for _ in range(STEPS):
        if not grow or larger is None or not _too_small(found, larger):
            break
        logger.info("A larger diameter has many more picks: one more search, at the next, follows")
        smaller, found, larger = found, larger, quietly(look, larger.diameter_voxels * ASIDE[1])
    judged = [one for one in (smaller, larger) if one and one.verdict.presence is not None]
    return agreed([found, *judged], settings)


def quietly(look: Look, diameter_voxels: float) -> Found | None:
    """What a diameter leads to, with what was said of it kept back; None if it is no diameter."""
    with held() as messages:
        try:
            return replace(look(diameter_voxels).alone(), messages=messages)
        except InputError:
            return None


def _too_small(one: Found, larger: Found) -> bool:
    """Whether both are clear about their picks, and the larger diameter has many more."""
    few, many = (int(each.verdict.kept.sum()) for each in (one, larger))
    grown = many > max(GROWTH * few, few + MORE)
    return grown and min(one.promise, larger.promise) >= CLEAR


def agreed(searches: Sequence[Found], settings: Settings) -> Found:
    """The first search with the verdict of all: on the places of each, at their mean positions.

    How many of them are picks is what is best on average over the searches that see any, or nearly
    so, where the log odds fall off.

    Args:
        searches: s, at least one, each with probabilities; of the same prompts.
        settings: `top_k`, `cut` and `fdr`.
    """
    first, *others = searches
    verdicts = [one.verdict for one in searches]
    every = joined([first.proposals, *(unasked(other.proposals) for other in others)])  # m
    is_prompt = np.concatenate([one.is_prompt for one in searches])  # (m,)
    candidates = np.concatenate([one.candidates for one in verdicts])  # (m,)
    odds = np.concatenate([_log_odds(one) for one in verdicts])  # (m,)
    rows = _rows_at_places(searches, every, odds)  # (s, n), -1 for none
    known = np.take_along_axis(rows, (rows >= 0).argmax(axis=0)[None], axis=0)[0]  # (n,)
    seen = np.where(rows >= 0, odds[rows], UNSEEN)  # (s, n)
    mean = np.average(seen, axis=0, weights=[one.expected for one in verdicts])  # (n,)
    mean[is_prompt[known]] = np.inf
    best = np.argsort(-mean, kind="stable")[: settings.top_k]
    rows, known, if_present = rows[:, best], known[best], expit(mean[best])
    presence = _presence(verdicts)
    verdict = Verdict(
        scores=if_present,
        candidates=candidates[known],
        kept=is_prompt[known],
        probabilities=np.where(is_prompt[known], 1, presence * if_present),
        presence=presence,
    )
    if presence >= PRESENT:
        sighted = [one.verdict for one in searches if one.promise] or verdicts
        cuts = [one.cut for one in sighted if one.cut is not None]
        count = _count(sighted, Cut.mean(cuts, TRUST))
        verdict.kept[: _at_fall(count, mean[best])] = True
        verdict = replace(verdict, cut=Cut.mean(cuts))
    points_zyx = np.where(rows[..., None] >= 0, every.points_zyx[rows], np.nan)  # (s, n, 3)
    proposals = replace(every.take(known), points_zyx=np.nanmean(points_zyx, axis=0)).reopened()
    proposals = decided(scored(proposals, verdict), verdict, settings)
    query = replace(first.query, aside=tuple(other.query for other in others))
    return replace(
        first, query=query, proposals=proposals, is_prompt=is_prompt[known], verdict=verdict
    )


def _presence(verdicts: Sequence[Verdict]) -> float:
    """That anything is like the prompts, by all: the better the expected lists, the likelier.

    Args:
        verdicts: of the searches.
    """
    presences = np.array([one.presence or 0.0 for one in verdicts])  # (s,)
    expected = np.array([one.expected for one in verdicts])
    mean = log_odds(presences).mean() + log_odds(expected.mean(keepdims=True))
    return float(expit(mean[0]))


def _count(verdicts: Sequence[Verdict], cut: Cut) -> int:
    """How many picks there are.

    Args:
        verdicts: of searches that found any.
        cut: what these expect on average.
    """
    if 2 * sum(one.against_odds for one in verdicts) <= len(verdicts):
        return cut.length
    counts = [np.log(one.kept.sum()) for one in verdicts]  # clusters decide, and have no list
    return round(np.exp(np.mean(counts)))


def _at_fall(count: int, ranked: np.ndarray) -> int:
    """The length of a list, or one that is nearly as long, where the log odds fall off.

    Args:
        count: of places in the list.
        ranked: (n,) log odds of all places, the highest first; infinite for prompts.
    """
    prompts = int(np.isinf(ranked).sum())
    first, last = max(math.ceil(count / NEARBY), prompts + 1), int(count * NEARBY)
    lengths = np.arange(first, min(last + 1, len(ranked)))
    falls = ranked[lengths - 1] - ranked[lengths]
    if falls.max(initial=0) <= FALL:
        return count
    return int(lengths[falls.argmax()])


def _log_odds(verdict: Verdict) -> np.ndarray:
    """(n,) of each proposal to be of the prompted kind, if the tomogram holds any."""
    assert verdict.probabilities is not None
    assert verdict.presence is not None
    if_present = verdict.probabilities / max(verdict.presence, np.finfo(np.float64).tiny)
    return log_odds(if_present)


def _rows_at_places(searches: Sequence[Found], every: Picks, odds: np.ndarray) -> np.ndarray:
    """(s, n) which of all proposals each search has at each place, the most probable; -1: none.

    Args:
        searches: s of them.
        every: m, all their proposals.
        odds: (m,) of these, log odds.
    """
    distance = PARTICLE.spacing * searches[0].diameter_voxels
    places = every.points_zyx[suppressed(every.points_zyx, odds, distance)]  # (n, 3)
    _, nearest = cKDTree(places).query(every.points_zyx)
    search = np.repeat(np.arange(len(searches)), [len(one.proposals) for one in searches])
    rows = np.full((len(searches), len(places)), -1)
    for row in np.argsort(odds, kind="stable"):  # the most probable last
        rows[search[row], nearest[row]] = row
    return rows
