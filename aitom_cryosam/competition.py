"""Competition: at which of several diameters more particles like the clicked ones are found."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from aitom_cryosam.agreement import agreed
from aitom_cryosam.errors import InputError
from aitom_cryosam.messages import held, say
from aitom_cryosam.particle_size import ASIDE, ParticleSize
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.search import Found
from aitom_cryosam.settings import Settings
from aitom_cryosam.wording import in_angstrom

logger = logging.getLogger(__name__)

Look = Callable[[float], Found]

HARDLY = 0.02
"""Probability that anything is like the prompts below which that is not in doubt."""
SURE = 0.95
"""F1 expected of the picks from which on diameters aside are not asked."""
POOR = 0.65
"""F1 expected of the picks below which rival diameters are tried."""
BETTER = 1.2
"""Ratio of what a rival promises, at least, to what the likeliest diameter does."""


def best(
    look: Look, size: ParticleSize, voxel_size: float, settings: Settings, sure: float = SURE
) -> Found:
    """What is found at the likeliest diameter, or at another one that promises more.

    From one click the diameter may be wrong. Where little is expected, the other maxima of the
    curve that it was read from are asked, too; and wherever much is open, diameters a little
    aside of each.

    Args:
        look: searches at a diameter in voxels.
        size: of the particle.
        voxel_size: Å.
        settings: `looks`, and how a verdict decides.
        sure: F1 expected of the picks from which on diameters aside are not asked.

    Raises:
        InputError: from the likeliest diameter.
    """
    # Nothing else holds its features.
    found = _surer(look(size.diameter_voxels), look, settings, sure)
    for rival in size.rivals_voxels:
        if found.verdict.presence is None or found.promise >= POOR:
            break
        found = found.alone()
        other = _quietly(look, rival)
        other = other and _surer(other, look, settings, sure)
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


def _surer(found: Found, look: Look, settings: Settings, sure: float) -> Found:
    """The same, or where much is open, with the verdict that diameters aside agree on."""
    presence = found.verdict.presence
    doubtful = presence is not None and presence >= HARDLY and found.promise < sure
    if settings.looks == 1 or not doubtful:
        return found
    logger.info("The picks are not certain: two more searches, at diameters slightly apart, follow")
    found = found.alone()
    aside = [_quietly(look, found.diameter_voxels * ratio) for ratio in ASIDE]
    judged = [one for one in aside if one is not None and one.verdict.presence is not None]
    return agreed([found, *judged], settings)


def _quietly(look: Look, diameter_voxels: float) -> Found | None:
    """What a diameter leads to, with what was said of it kept back; None if it is no diameter."""
    with held() as messages:
        try:
            return replace(look(diameter_voxels).alone(), messages=messages)
        except InputError:
            return None
