"""Likely: the most probable other proposals, averaged with picks that are too few by themselves.

Whether what they make together is one particle, the halves of the average say, as with any picks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aitom_cryosam.averaging.averaging import FEWEST
from aitom_cryosam.averaging.sources import Source
from aitom_cryosam.picks import Picks, apart_from, joined, suppressed
from aitom_cryosam.targets import PARTICLE

logger = logging.getLogger(__name__)

_MOST = 2 * FEWEST
"""Picks and others, where that many are more probable than not; others only as far as needed."""


def with_likely(
    sources: Sequence[Source], proposals: Sequence[Picks], diameter: float
) -> list[Source]:
    """The sources, with the most probable other proposals where the picks are too few to average.

    Args:
        sources: the picks of each tomogram.
        proposals: of each tomogram, picks among them. Where they have no probabilities, or
            do not suffice either, nothing is added.
        diameter: Å.
    """
    count = sum(int(one.usable(diameter).sum()) for one in sources)
    if count >= FEWEST or any(every.probabilities is None for every in proposals):
        return list(sources)
    others = [_others(*each, diameter) for each in zip(sources, proposals, strict=True)]
    probable = np.concatenate([_probable(one) for one in others])
    number = np.clip(count + (probable > 0.5).sum(), FEWEST, _MOST) - count
    chosen = np.zeros(len(probable), bool)
    chosen[np.argsort(-probable, kind="stable")[:number]] = True
    if count + chosen.sum() < FEWEST:
        return list(sources)
    logger.warning(
        "%d picks are too few to average: the %d most probable of the other proposals are "
        "averaged with them, down to a probability of %.2f.",
        count,
        chosen.sum(),
        probable[chosen].min(),
    )
    ends = np.cumsum([len(one) for one in others])[:-1]
    return [
        replace(one, picks=joined([one.picks, other.take(rows)]))
        for one, other, rows in zip(sources, others, np.split(chosen, ends), strict=True)
    ]


def _others(source: Source, proposals: Picks, diameter: float) -> Picks:
    """Proposals that lie on no pick, on none more probable, and not at the border."""
    distance = PARTICLE.spacing * diameter / source.tomogram.voxel_size
    others = proposals.take(~proposals.kept)
    others = replace(others, kept=~others.kept, reasons=("",) * len(others))
    others = others.take(replace(source, picks=others).usable(diameter))
    others = others.take(apart_from(others.points_zyx, source.picks.points_zyx, distance))
    return others.take(suppressed(others.points_zyx, _probable(others), distance))


def _probable(picks: Picks) -> np.ndarray:
    assert picks.probabilities is not None
    return picks.probabilities
