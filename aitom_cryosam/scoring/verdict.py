"""Verdict: which proposals are picks, in which order and where."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.models import JUDGED
from aitom_cryosam.picks import Picks, suppressed
from aitom_cryosam.scoring.cut import lists
from aitom_cryosam.scoring.kind import FEWEST, Verdict, judge, parted
from aitom_cryosam.scoring.network import shipped
from aitom_cryosam.scoring.odds import Compared, compared
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.settings import Settings

logger = logging.getLogger(__name__)

EMPTY_HANDED = 2
"""Clusters that leave no more picks have failed, or there is nothing."""
TOO_FEW = 30
"""Candidates that do not make clusters."""
TOO_MANY = 0.8
"""Share of the proposals that cannot all stand out from the rest: they are the rest."""
BEST = 5
"""Places by which it is told whether anything is like the clicks."""
LIKELY = 0.65
"""Mean probability of these from which on the odds decide."""
SURE = 0.93
"""The same where hardly any place stands out from chance, as where dark spots of noise were clicked
and are like each other: they reach 0.87."""
WORTH, WORTH_OF_MOST = 0.5, 0.75
"""F1 that a list must be expected to have where hardly any place stands out and the odds are not
sure; and that a list of more than half of all places must have. Dark spots of noise make such
lists, and reach 0.69."""
WORTH_OF_ALL, FEW_OF_ALL = 0.6, 0.2
"""Where nearly all places stand out and the odds are not sure, the first verdict holds from this
expected F1 on; below, the list if it has so small a share of the places, or nothing."""
NOTHING = 0.45
"""Below it nothing is like the clicks: so 104 of 150 tomograms without a particle, and 46 of 518
clicks on one, none of which had clusters with an F1 above 0.3."""
TRUST = 0.25
"""In the number of picks that clusters find, against that of the best list."""
SAME = 0.5
"""A proposal is the clicked particle itself within so many diameters."""
Position = Literal["mask", "proposal", "halfway"]
_SHARES: dict[Position, float] = {"proposal": 0.0, "halfway": 0.5, "mask": 1.0}


def judged(
    places: Places,
    clicked: np.ndarray,
    own: np.ndarray,
    shapes: np.ndarray,
    encoder: str | None = None,
) -> Verdict:
    """Compare the proposals with the clicked instances and with the background.

    Two verdicts on how many are of the kind, by clusters or odds and by what was learned of whole
    lists of picks, between which the number lies; the places that come first by spreading fill it.
    By clusters alone where nothing was learned with these features.

    Args:
        places: n proposals, and background.
        clicked: (p, k, 3C) instances of the prompts, of this tomogram or others.
        own: (n,) bool, proposals that are a prompted particle itself.
        shapes: (p, h) of the prompts, as `harmonics.powers`; none if they were not measured.
        encoder: that the features come from.
    """
    n = len(own)
    learned = encoder == JUDGED and len(shapes) == len(clicked)
    if not learned or min(n, len(places.background)) < FEWEST:
        return _by_clusters(places, clicked)
    beside = compared(places, clicked, own, shapes, shipped("embedding"), shipped("odds"))
    verdict = replace(one_by_one(places, clicked, own, beside), probabilities=beside.probabilities)
    few, best = verdict.candidates.sum() < TOO_FEW, _best(beside, own)
    if few and best < NOTHING:
        return verdict
    possible = lists(beside.likeness, beside.found, beside.probabilities, own, verdict.kept)
    length, expected = possible.best()
    sure = best >= SURE
    if verdict.candidates.sum() > TOO_MANY * n:
        if sure or expected >= WORTH_OF_ALL:
            return verdict
        count = length if length <= FEW_OF_ALL * n else 0
    else:
        worth = WORTH if length <= n / 2 else WORTH_OF_MOST
        if _hardly_any(verdict.candidates, own) and not sure and expected < worth:
            return verdict
        trust = 0 if few else TRUST
        found = max(int(verdict.kept.sum()), 1)
        count = round(found**trust * length ** (1 - trust))
    kept = own.copy()
    kept[possible.order[:count]] = True
    return replace(verdict, scores=np.where(own, 1, beside.found.walks[:n]), kept=kept)


def one_by_one(places: Places, clicked: np.ndarray, own: np.ndarray, beside: Compared) -> Verdict:
    """By clusters (`scoring.kind`), or by the odds of each place.

    The latter where candidates are too few for clusters, or nearly all, or where the clusters
    keep hardly more than the click.

    Args:
        places: n proposals, and background.
        clicked: (p, k, 3C) instances of the prompts.
        own: (n,) bool, proposals that are a prompted particle itself.
        beside: the same, compared.
    """
    n = len(own)
    candidates = places.similarities[:n] >= places.chance
    if not TOO_FEW <= candidates.sum() <= TOO_MANY * n and (
        by_odds := _by_odds(beside, candidates, own)
    ):
        return by_odds
    verdict = _by_clusters(places, clicked)
    if verdict.kept.sum() > EMPTY_HANDED:
        return verdict
    return _by_odds(beside, candidates, own) or replace(verdict, kept=verdict.kept | own)


def _by_clusters(places: Places, clicked: np.ndarray) -> Verdict:
    similarities = places.similarities[: len(places.instances)]
    return judge(similarities, places.chance, places.instances, clicked, places.background)


def _by_odds(beside: Compared, candidates: np.ndarray, own: np.ndarray) -> Verdict | None:
    """None where the odds are neither sure of some place nor of none."""
    n, likeness = len(own), beside.likeness
    best = _best(beside, own)
    if NOTHING <= best < (SURE if _hardly_any(candidates, own) else LIKELY) or own.all():
        return None
    member = np.zeros(len(likeness.places))
    member[:n] = beside.probabilities
    scores, member = parted(likeness.places, member, likeness.clicks, likeness.places.shape[1])
    found_some = best >= NOTHING
    return Verdict(scores[:n], candidates, own | (found_some & (member[:n] > 0.5)))


def _hardly_any(candidates: np.ndarray, own: np.ndarray) -> bool:
    """Whether hardly any place beside the clicked stands out."""
    return bool((candidates & ~own).sum() < FEWEST)


def _best(beside: Compared, own: np.ndarray) -> float:
    """How probable the best others than the clicked are."""
    others = np.sort(beside.probabilities[~own])[-BEST:]
    return float(others.mean()) if len(others) else 0.0


def same(points_zyx: np.ndarray, others_zyx: np.ndarray, diameter_voxels: float) -> np.ndarray:
    """(n,) bool, which points, (n, 3) voxels, lie on the particle under one of others, (m, 3)."""
    if not len(others_zyx):
        return np.zeros(len(points_zyx), bool)
    return np.asarray(cKDTree(others_zyx).query(points_zyx)[0] < SAME * diameter_voxels)


def scored(proposals: Picks, verdict: Verdict) -> Picks:
    """Proposals, n, with the scores and probabilities of the verdict on them."""
    return replace(proposals, scores=verdict.scores, probabilities=verdict.probabilities)


def decided(proposals: Picks, verdict: Verdict, settings: Settings) -> Picks:
    """Proposals with the reason of each that is not a pick.

    Args:
        proposals: n, with the probabilities of the verdict.
        verdict: on them.
        settings: `cut` and `fdr`.
    """
    cut = settings.cut
    if cut == "none":
        return proposals
    if settings.fdr is not None:
        if proposals.probabilities is not None:
            return proposals.reject(proposals.beyond(settings.fdr), "below the cut")
        logger.warning("There are too few places to count false picks; the automatic cut decides.")
    if cut == "auto":
        proposals = proposals.reject(~verdict.kept & ~verdict.candidates, "chance")
        return proposals.reject(~verdict.kept, "another kind")
    return proposals.reject(proposals.scores < cut, "below the cut")


def ranked(
    proposals: Picks, masks: list[ParticleMask], distance: float, position: Position
) -> tuple[Picks, list[ParticleMask]]:
    """Best first, at their final positions, numbered; and the masks of the picks.

    Args:
        proposals: n.
        masks: n.
        distance: voxels between two picks, at least.
        position: of `Settings`.
    """
    proposals = replace(proposals, points_zyx=_positions(proposals, masks, _SHARES[position]))
    chosen = np.flatnonzero(proposals.kept)
    alive = suppressed(proposals.points_zyx[chosen], proposals.scores[chosen], distance)
    proposals = proposals.reject(np.setdiff1d(chosen, chosen[alive]), "duplicate")
    order = np.argsort(-proposals.scores, kind="stable")
    ids = np.arange(1, len(order) + 1)
    proposals = replace(proposals.take(order), ids=ids)
    numbered = (replace(masks[old], id=int(new)) for new, old in zip(ids, order, strict=True))
    return proposals, [mask for mask, kept in zip(numbered, proposals.kept, strict=True) if kept]


def _positions(proposals: Picks, masks: list[ParticleMask], share: float) -> np.ndarray:
    """(n, 3), by this share of the way from the proposal to the middle of its mask."""
    centres = np.array([mask.centroid_zyx for mask in masks]).reshape(-1, 3)
    found = np.isfinite(centres[:, :1])
    points = proposals.points_zyx
    return np.where(found, (1 - share) * points + share * centres, points)
