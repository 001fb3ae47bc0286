"""Competition: at which of several diameters more particles like the clicked ones are found."""

from __future__ import annotations

import logging

from aitom_cryosam.agreement import SURE, Look, quietly, surer
from aitom_cryosam.messages import say
from aitom_cryosam.particle_size import ParticleSize
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.search import Found
from aitom_cryosam.settings import Settings
from aitom_cryosam.wording import in_angstrom

logger = logging.getLogger(__name__)

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
    found = surer(look(size.diameter_voxels), look, settings, sure, grow=size.estimated)
    right = size.diameter_voxels
    for rival in size.rivals_voxels:
        if found.verdict.presence is None or found.promise >= POOR:
            break
        found = found.alone()
        other = quietly(look, rival)
        other = other and surer(other, look, settings, sure, grow=True)
        if other and other.promise > BETTER * found.promise:
            found, right = other, rival
    if right != size.diameter_voxels:
        widths = (in_angstrom(one * voxel_size) for one in (size.diameter_voxels, right))
        logger.warning(
            "Hardly anything resembles the prompts at a diameter of %s. More does at %s, which is "
            "used instead; %s.",
            *widths,
            Remedy.DIAMETER.said(),
        )
        say(found.messages)
    return found
