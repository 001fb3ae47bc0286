"""Verdict: which proposals are picks, in which order and where."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.picks import Picks, suppressed
from aitom_cryosam.scoring.evidence import evidence
from aitom_cryosam.scoring.kind import FEWEST, Verdict, judge
from aitom_cryosam.scoring.odds import CERTAIN, CHANCE_DOUBT, best_cut, learned
from aitom_cryosam.scoring.places import Places

LEARNED = "filterbank"
"""The encoder whose instances the odds were learned on."""
EMPTY_HANDED = 2
"""Clusters that leave no more picks have failed, or there is nothing: learned odds decide."""
SAME = 0.5
"""A proposal is the clicked particle itself within so many diameters."""
Position = Literal["mask", "proposal", "halfway"]
_SHARES: dict[Position, float] = {"proposal": 0.0, "halfway": 0.5, "mask": 1.0}


def judged(
    places: Places,
    clicked: np.ndarray,
    own: np.ndarray,
    encoder: str | None = None,
) -> Verdict:
    """Compare the proposals' features with the clicked ones and with the background's.

    By clusters (`scoring.kind`) and, where these keep hardly more than the click, by odds that
    were learned on other tomograms (`scoring.odds`).

    Args:
        places: n proposals, and background.
        clicked: (p, k, 3C) instances of the prompts, of this tomogram or others.
        own: (n,) bool, proposals that are a prompted particle itself.
        encoder: that the features come from.
    """
    n, background = len(places.instances), places.background
    verdict = judge(places.similarities[:n], places.chance, places.instances, clicked, background)
    if not n or encoder != LEARNED or len(background) < FEWEST or verdict.kept.sum() > EMPTY_HANDED:
        return verdict
    found = evidence(places.instances, clicked, background, places.similarities, places.maxima, own)
    log_odds = np.where(own, CERTAIN, learned().log_odds(found[:n]))
    candidates = verdict.candidates
    probable = learned().probabilities(log_odds, own, candidates)
    kept = probable >= best_cut(probable)
    if (candidates & ~own).sum() < FEWEST:
        kept &= candidates | (probable >= CHANCE_DOUBT)
    least, most = (np.average(log_odds, weights=w + 1e-9) for w in (1 - probable, probable))
    return Verdict((log_odds - least) / max(most - least, 1e-9), candidates, kept)


def same(points_zyx: np.ndarray, others_zyx: np.ndarray, diameter_voxels: float) -> np.ndarray:
    """(n,) bool, which points, (n, 3) voxels, lie on the particle under one of others, (m, 3)."""
    if not len(others_zyx):
        return np.zeros(len(points_zyx), bool)
    return np.asarray(cKDTree(others_zyx).query(points_zyx)[0] < SAME * diameter_voxels)


def decided(proposals: Picks, verdict: Verdict, cut: float | Literal["auto", "none"]) -> Picks:
    """Proposals with the reason of each that is not a pick.

    Args:
        proposals: n.
        verdict: on them.
        cut: of `Settings`.
    """
    if cut == "none":
        return proposals
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
