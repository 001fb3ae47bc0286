"""Particle size: how large the particle under a click is."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from aitom_cryosam.ball_contrast import BallContrast, parabola_vertices
from aitom_cryosam.errors import InputError
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.settings import Settings
from aitom_cryosam.threads import mapped
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.wording import in_angstrom

logger = logging.getLogger(__name__)

_STEP = 1.12  # ratio of neighbouring radii
_POWER = 1.25
"""Of the radius, times which contrast is compared. Noise in the mean of a ball falls with its power
1.5, but with that, a crowd of particles or the cell around them passes for one large particle."""
_SMALLEST_ANGSTROM, _LARGEST_ANGSTROM = 30.0, 1500.0  # 10 kDa; all but a few viruses
MIN_DIAMETER = 4.0
"""Voxels: what is smaller cannot be told from noise."""
_RIVAL = 0.5
"""Share of the highest maximum from which another one may be the particle's."""
_APART = 1.35
"""Ratio of two diameters that are not the same."""
_FINE = 10.0
"""Voxels: a smaller rival below this was right of none of 33, and its features are the largest."""
_RIVALS = 2
ASIDE = (1 / 1.12, 1.12)
"""Ratios of a diameter and those that see the same particles through other noise."""


@dataclass(frozen=True)
class ParticleSize:
    """How large the particle is.

    Attributes:
        diameter_voxels: the likeliest.
        estimated: from clicks; else the user gave it.
        rivals_voxels: what else it may be, the likeliest first.
    """

    diameter_voxels: float
    estimated: bool = False
    rivals_voxels: tuple[float, ...] = ()


def particle_size(
    tomogram: Tomogram, points_zyx: np.ndarray, settings: Settings, *, known: bool = True
) -> ParticleSize:
    """As the user said, or estimated from the prompts; a doubtful one is warned of.

    Args:
        tomogram: the tomogram.
        points_zyx: (n, 3) voxels, the prompts.
        settings: the diameter, or the largest that an estimate may give.
        known: whether the voxel size is, so that a length in Å can be told.

    Raises:
        InputError: it does not fit the tomogram's size and voxel size.
    """
    largest: float = min(tomogram.shape)
    if settings.diameter_angstrom is not None:
        given = settings.diameter_angstrom / tomogram.voxel_size
        if not 2 <= given <= largest:
            least, most = (edge * tomogram.voxel_size for edge in (2, largest))
            raise InputError(
                f"A particle of {settings.diameter_angstrom:g} Å is {given:.1f} voxels wide; "
                f"expected 2 to {largest:g} voxels, {least:.4g} to {most:.4g} Å",
                Remedy.DIAMETER,
            )
        _doubt(settings.diameter_angstrom, tomogram.voxel_size)
        return ParticleSize(given)
    largest = min(settings.max_diameter_angstrom / tomogram.voxel_size, largest)
    if largest < MIN_DIAMETER:
        raise InputError(
            f"A particle below {MIN_DIAMETER:g} voxels has no size that could be estimated",
            Remedy.DIAMETER,
        )
    size = estimated_size(tomogram, points_zyx, max_diameter_voxels=largest)
    if not known:
        logger.info("Diameter estimated from the prompts: %.0f voxels", size.diameter_voxels)
        return size
    estimate = size.diameter_voxels * tomogram.voxel_size
    logger.info("Diameter estimated from the prompts: %s", in_angstrom(estimate))
    _doubt(estimate, tomogram.voxel_size)
    return size


def _doubt(diameter_angstrom: float, voxel_size: float) -> None:
    """Warn of a size that no particle has, as where nanometres were taken for Å."""
    if not _SMALLEST_ANGSTROM <= diameter_angstrom <= _LARGEST_ANGSTROM:
        small = diameter_angstrom < _SMALLEST_ANGSTROM
        logger.warning(
            "A particle of %.0f Å, with voxels of %.4g Å, is %s; %s (1 nm is 10 Å).",
            diameter_angstrom,
            voxel_size,
            "too small to be seen in a tomogram" if small else "larger than nearly all that are",
            Remedy.DIAMETER.said(),
        )


def estimated_size(
    tomogram: Tomogram,
    points_zyx: np.ndarray,
    *,
    max_diameter_voxels: float,
    min_diameter_voxels: float = MIN_DIAMETER,
) -> ParticleSize:
    """Size of the particle that was clicked, from one or several clicks.

    The diameter is the one at which a ball around the click stands out most from the shell
    around it, which holds for solid, hollow and lobed particles and with neighbours at touch.
    Contrast times a power of the radius is compared: contrast alone prefers the brightest detail,
    contrast times sqrt(volume) the crowd. Where one click is off, another maximum of these is
    right.

    Args:
        tomogram: the tomogram.
        points_zyx: (n, 3) voxels, n ≥ 1; clicks up to 0.4 radii off the centre.
        max_diameter_voxels: voxels, the largest answer.
        min_diameter_voxels: voxels, the smallest answer.

    Returns:
        Diameters of the ball that a particle fills with its fringes left out.

    Raises:
        ValueError: no point, or max_diameter below min_diameter.
    """
    points = np.asarray(points_zyx, dtype=np.float64).reshape(-1, 3)
    if len(points) == 0 or max_diameter_voxels < min_diameter_voxels:
        raise ValueError("Expected a point, and a maximum above the minimum diameter.")
    count = 2 + int(math.log(max_diameter_voxels / min_diameter_voxels) / math.log(_STEP))
    radii = np.geomspace(min_diameter_voxels, max_diameter_voxels, count) / 2

    def peak(case: tuple[np.ndarray, float]) -> float:
        point, radius = case
        heights, _ = BallContrast(tomogram, point[None], radius).peaks(point[None])
        return float(heights[0] * radius**_POWER)

    _ = tomogram.normalisation  # measured by all threads together, before they part
    peaks = mapped(peak, list(product(points, radii)))
    mean = np.mean(np.reshape(peaks, (len(points), count)), axis=0)
    best = int(mean.argmax())
    inner = mean[1:-1]  # at its ends the curve may rise further
    peaked = (inner > mean[:-2]) & (inner >= mean[2:]) & (inner >= _RIVAL * mean[best])
    high = np.array([best, *sorted(1 + np.flatnonzero(peaked), key=lambda i: -mean[i])])
    steps = parabola_vertices(np.tile(mean, (len(high), 1)), high)
    first, *others = (2 * radii[high] * (radii[1] / radii[0]) ** steps).tolist()
    rivals = [one for one in others if one > _APART * first or _FINE <= one < first / _APART]
    return ParticleSize(first, estimated=True, rivals_voxels=tuple(rivals[:_RIVALS]))
