"""Verdict: which proposals are picks, in which order and where."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.models import JUDGED
from aitom_cryosam.picks import BELOW_CUT, CHANCE, OTHER_KIND, Picks
from aitom_cryosam.scoring.cut import cut
from aitom_cryosam.scoring.kind import FEWEST, Verdict, judge
from aitom_cryosam.scoring.odds import proposal_odds
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.settings import Settings

logger = logging.getLogger(__name__)

PRESENT = 0.6
"""Probability that anything is like the clicks from which on there are picks beside these: one in
twenty tomograms without a particle has it, and 97 of 100 clicks whose likes do come first."""
TOO_MANY = 0.8
"""Share of the proposals that cannot all stand out from the rest: they are the rest."""
WORTH = 0.7
"""Clusters of more picks than the best list's are taken there if they promise this share of its
F1: among copies alone what ends a list is how unlike each other these are."""
SAME = 0.5
"""A proposal is the clicked particle itself within so many diameters."""
Position = Literal["mask", "proposal", "halfway"]
_SHARES: dict[Position, float] = {"proposal": 0.0, "halfway": 0.5, "mask": 1.0}


def judged(
    places: Places,
    clicked: np.ndarray,
    is_prompt: np.ndarray,
    shapes: np.ndarray,
    encoder: str | None = None,
) -> Verdict:
    """Compare the proposals with the clicked instances and with the background.

    Trained networks estimate whether anything is like the clicks at all, how probable each
    proposal is, and how many of the most probable are picks. Where nearly all proposals are of the
    kind, little is left to tell them from: clusters in this tomogram then decide, if they have
    more picks and their number is a likely one. Clusters decide, too, where no network was trained
    with these features.

    Args:
        places: n proposals, and background.
        clicked: (p, k, 3C) instances of the prompts, of this tomogram or others.
        is_prompt: (n,) bool, proposals that are a prompted particle itself.
        shapes: (p, h) of the prompts, as `harmonics.powers`; none if they were not measured.
        encoder: that the features come from.
    """
    n = len(is_prompt)
    similarities = places.similarities[:n]

    def by_clusters() -> Verdict:
        background = places.background[places.parts[0]]
        return judge(similarities, places.chance, places.instances, clicked, background)

    learned = encoder == JUDGED and len(shapes) == len(clicked)
    if not learned or min(n, len(places.background)) < FEWEST or is_prompt.all():
        return by_clusters()
    odds = proposal_odds(places, clicked, is_prompt, shapes)
    found = Verdict(
        odds.if_present,
        similarities >= places.chance,
        is_prompt,
        odds.probabilities,
        presence=odds.presence,
        cut=(best := cut(odds)),
    )
    if odds.presence < PRESENT:
        return found
    kept = is_prompt.copy()
    kept[odds.order[: best.length]] = True
    found = replace(found, kept=kept)
    if found.candidates.sum() > TOO_MANY * n:
        verdict = by_clusters()
        count = int(verdict.kept.sum())
        if count > best.length and best.expected_of(count) >= WORTH * found.expected:
            return replace(
                found,
                scores=verdict.scores,
                candidates=verdict.candidates,
                kept=verdict.kept | is_prompt,
                against_odds=True,
            )
    return found


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
            return proposals.reject(proposals.beyond(settings.fdr), BELOW_CUT)
        logger.warning("There are too few places to count false picks; the automatic cut decides.")
    if cut == "auto":
        proposals = proposals.reject(~verdict.kept & ~verdict.candidates, CHANCE)
        return proposals.reject(~verdict.kept, OTHER_KIND)
    return proposals.reject(proposals.scores < cut, BELOW_CUT)


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
    proposals = proposals.one_per_particle(distance)
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
