"""Competition: at which of several diameters more particles like the clicked ones are found."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter

import numpy as np
from scipy.special import expit, logit

from aitom_cryosam.errors import InputError
from aitom_cryosam.messages import held, say
from aitom_cryosam.particle_size import ParticleSize
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.scoring.verdict import PRESENT
from aitom_cryosam.search import Found
from aitom_cryosam.wording import in_angstrom

logger = logging.getLogger(__name__)

HARDLY = 0.1
"""Probability that anything is like the prompts below which that is not in doubt."""
STEP = 1.08
"""Ratio of two diameters that see the same particles through other noise."""
POOR = 0.6
"""F1 expected of the picks below which rival diameters are tried."""
BETTER = 1.2
"""Ratio of what a rival promises, at least, to what the likeliest diameter does."""


def best(look: Callable[[float], Found], size: ParticleSize, voxel_size: float) -> Found:
    """What is found at the likeliest diameter, or at another one that promises more.

    From one click the diameter may be wrong, or just so far off that the others of its kind are
    missed. Where their presence is in doubt, diameters a step aside are asked, too; where little
    is expected, the other maxima of the curve that the diameter was read from.

    Args:
        look: searches at a diameter in voxels.
        size: of the particle.
        voxel_size: Å.

    Raises:
        InputError: from the likeliest diameter.
    """
    if not size.estimated:
        return look(size.diameter_voxels)
    found = _surer(look(size.diameter_voxels), look)  # nothing else holds its features
    for rival in size.rivals_voxels:
        if found.verdict.presence is None or found.promise >= POOR:
            break
        found = found.alone()
        other = _quietly(look, rival)
        other = other and _surer(other, look)
        if other and other.promise > BETTER * found.promise:
            found = other
    if found.diameter_voxels != size.diameter_voxels:
        widths = (in_angstrom(one.diameter_voxels * voxel_size) for one in (size, found))
        logger.warning(
            "Hardly anything resembles the prompts at a diameter of %s. More does at %s, which is "
            "used instead; %s.",
            *widths,
            Remedy.DIAMETER.said(),
        )
        say(found.messages)
    return found


def _surer(found: Found, look: Callable[[float], Found]) -> Found:
    """The same, or if it is in doubt whether anything is like the prompts, from a step aside.

    Features at diameters that are hardly apart see the same particles through other noise: their
    mean opinion decides.
    """
    presence = found.verdict.presence
    if presence is None or not HARDLY <= presence < PRESENT:
        return found
    found = found.alone()
    aside = [_quietly(look, found.diameter_voxels * ratio) for ratio in (1 / STEP, STEP)]
    every = [found, *(one for one in aside if one is not None)]
    opinions = [one.verdict.presence for one in every if one.verdict.presence is not None]
    return max(every, key=_promise) if expit(np.mean(logit(opinions))) >= PRESENT else found


def _quietly(look: Callable[[float], Found], diameter_voxels: float) -> Found | None:
    """What a diameter leads to, with what was said of it kept back; None if it is no diameter."""
    with held() as messages:
        try:
            return replace(look(diameter_voxels).alone(), messages=messages)
        except InputError:
            return None


_promise = attrgetter("promise")
