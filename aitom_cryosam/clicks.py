"""Clicks: what each is worth, and what makes one an odd one."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.doctor.clicks import each_click, near_faces
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.picks import Picks
from aitom_cryosam.scoring.kind import FEWEST, unit
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

WIDE = 1.3
"""Diameters of an outline that is more than the particle. Those of 45 true clicks on simulated
particles of nine kinds had 0.6 to 1.14."""
NARROW = 0.55
"""Likewise, that is less."""
ASIDE = 0.3
"""Diameters between a click and the middle of its outline; at most 0.24 of the same."""
UNLIKE = 0.8
"""Share of the background that a click must exceed in likeness to the other clicks."""


@dataclass(frozen=True)
class Worth:
    """Of one click.

    Attributes:
        retrieved: share of the tomogram's background that is less like the other clicks; None
            without another, or without a mask.
        odd: what makes it an odd one.
    """

    retrieved: float | None = None
    odd: tuple[str, ...] = ()


def looked_at(
    tomogram: Tomogram, prompts: Picks, masks: Sequence[ParticleMask], diameter_voxels: float
) -> list[Worth]:
    """What place and outline say of each click, before features are made; odd ones are logged."""
    found = [
        Worth(odd=(*near_faces(tomogram, point, diameter_voxels), *_outline(mask, diameter_voxels)))
        for point, mask in zip(prompts.points_zyx, masks, strict=True)
    ]
    _tell(prompts, found, "click further inside, on a particle that stands alone")
    return found


def compared(
    worths: Sequence[Worth], prompts: Picks, clicked: np.ndarray, places: Places
) -> list[Worth]:
    """The same with how well the other clicks retrieve each; those unlike them are logged.

    A single click cannot be judged so: its own best matches are like it, whatever it is on.

    Args:
        worths: n, of the prompts.
        prompts: n, q of them kept.
        clicked: (p, k, 3C) instances of these q, and then of clicks elsewhere.
        places: of the tomogram.
    """
    used = np.flatnonzero(prompts.kept)
    if len(clicked) < 2 or not len(used) or len(places.background) < FEWEST:
        return list(worths)
    background, clicks = map(unit, places.whitened(places.background, clicked))
    found, unlike = list(worths), [Worth()] * len(worths)
    for row, prompt in enumerate(used.tolist()):
        others = np.delete(clicks, row, axis=0).mean(axis=0)
        share = float((background @ others < clicks[row] @ others).mean())
        odd = (f"is unlike the other click{'s' if len(clicked) > 2 else ''}",)
        unlike[prompt] = Worth(share, odd if share < UNLIKE else ())
        found[prompt] = Worth(share, worths[prompt].odd + unlike[prompt].odd)
    _tell(prompts, unlike, "see whether it is on a particle of the same kind, or leave it out")
    return found


def cut_off(tomogram: Tomogram, points_zyx: np.ndarray, diameter_voxels: float) -> np.ndarray:
    """(n,) bool, at which points, (n, 3) voxels, not all of a particle's surroundings is seen."""
    near = [bool(near_faces(tomogram, point, diameter_voxels)) for point in points_zyx]
    return np.array(near, bool)


def _outline(mask: ParticleMask, diameter_voxels: float) -> list[str]:
    if mask.is_ball or not mask.volume:
        return []
    size = mask.diameter / diameter_voxels
    aside = float(np.linalg.norm(mask.centroid_zyx - mask.prompt_zyx)) / diameter_voxels
    if size > WIDE or aside > ASIDE:
        return ["has an outline that reaches beyond the particle, perhaps into a neighbour"]
    return ["has a small outline, so that the diameter is uncertain"] if size < NARROW else []


def _tell(prompts: Picks, worths: Sequence[Worth], todo: str) -> None:
    odd = defaultdict[str, list[np.ndarray]](list)
    for point, worth in zip(prompts.points_zyx, worths, strict=True):
        if worth.odd:
            odd[" and ".join(worth.odd)].append(point)
    for why, points in odd.items():
        logger.warning("%s %s; %s.", each_click(points), why, todo)
