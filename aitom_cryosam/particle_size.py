"""How large is the particle under a click, and where is its centre."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from scipy.fft import irfftn, next_fast_len, rfftn

from aitom_cryosam.errors import InputError, Remedy
from aitom_cryosam.names import in_angstrom
from aitom_cryosam.picks import Picks
from aitom_cryosam.settings import Settings
from aitom_cryosam.surroundings import bin_of, binned_box
from aitom_cryosam.targets import PARTICLE
from aitom_cryosam.threads import mapped, side_by_side
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

_SHELL = 1.4  # the background is measured from the ball's surface to this many radii
_OFF_CENTRE = 2 * PARTICLE.aside  # radii that a click may lie beside the centre
_AT_ONCE = 16  # points whose surroundings are looked at together
_STEP = 1.12  # ratio of neighbouring radii
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
            raise InputError(
                f"A particle of {settings.diameter_angstrom:g} Å is {given:.1f} voxels wide; "
                f"expected 2 to {largest:g} voxels",
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
    Contrast times radius is compared: contrast alone prefers the brightest detail, contrast
    times sqrt(volume) the crowd. Where one click is off, another maximum of these is right.

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
        heights, _ = _Surroundings(tomogram, point[None], radius).peaks(point[None])
        return float(heights[0] * radius)

    _ = tomogram.normalisation  # measured by all threads together, before they part
    peaks = mapped(peak, list(product(points, radii)))
    mean = np.mean(np.reshape(peaks, (len(points), count)), axis=0)
    best = int(mean.argmax())
    inner = mean[1:-1]  # at its ends the curve may rise further
    peaked = (inner > mean[:-2]) & (inner >= mean[2:]) & (inner >= _RIVAL * mean[best])
    high = np.array([best, *sorted(1 + np.flatnonzero(peaked), key=lambda i: -mean[i])])
    steps = _vertices(np.tile(mean, (len(high), 1)), high)
    first, *others = (2 * radii[high] * (radii[1] / radii[0]) ** steps).tolist()
    rivals = [one for one in others if one > _APART * first or _FINE <= one < first / _APART]
    return ParticleSize(first, estimated=True, rivals_voxels=tuple(rivals[:_RIVALS]))


def refine_centres(
    tomogram: Tomogram, points_zyx: np.ndarray, diameter_voxels: float, climbs: int = 1
) -> np.ndarray:
    """Points moved to where a ball of this diameter stands out most.

    It centres large and ball-shaped particles; a small lobed one in noise it moves to its
    brightest lobe, where the centroid of the instance mask is closer to the centre.

    Args:
        tomogram: the tomogram.
        points_zyx: (n, 3) voxels.
        diameter_voxels: voxels.
        climbs: how often a point moves, by 0.2 diameters at most each time.

    Returns:
        (n, 3) float64 voxels, inside the tomogram.
    """
    points = np.asarray(points_zyx, dtype=np.float64).reshape(-1, 3)
    moved, last = points.copy(), np.array(tomogram.shape) - 1

    def move(some: slice) -> None:
        around = _Surroundings(tomogram, points[some], diameter_voxels / 2, min(climbs, 2))
        for _ in range(climbs):
            before = moved[some].copy()
            around.follow(before)
            moved[some] = np.clip(around.peaks(before)[1], 0, last)
            if (before == moved[some]).all():
                break

    side_by_side(move, [slice(i, i + _AT_ONCE) for i in range(0, len(points), _AT_ONCE)])
    return moved


class _Surroundings:
    """How much a ball stands out from its shell, at all places around each of n points.

    Args:
        tomogram: the tomogram.
        points: (n, 3) voxels.
        radius: voxels, of the ball.
        climbs: `_OFF_CENTRE` radii that the places reach from a point.
    """

    def __init__(
        self, tomogram: Tomogram, points: np.ndarray, radius: float, climbs: int = 1
    ) -> None:
        self.tomogram = tomogram
        self.radius = radius
        self.bin = bin_of(radius)
        self.contrast, self.centres = self._around(points, climbs)
        self._low, self._high = self.centres[..., 0].copy(), self.centres[..., -1].copy()

    def _around(self, points: np.ndarray, climbs: int) -> tuple[np.ndarray, np.ndarray]:
        """(n, side, side, side) contrasts, and (n, 3, side) voxels, where they are."""
        reach = math.ceil(climbs * _OFF_CENTRE * self.radius / self.bin)
        half = reach + math.ceil(_SHELL * self.radius / self.bin) + 1
        made = [binned_box(self.tomogram, point, half, self.bin) for point in points]
        boxes, firsts = (np.stack(parts) for parts in zip(*made, strict=True))
        near = np.arange(half - reach - 1, half + reach + 2)
        cut = (slice(near[0], near[-1] + 1),) * 3
        contrast = _contrast(boxes, self.radius / self.bin)[(slice(None), *cut)]
        return contrast, firsts[:, :, None] + self.bin * near

    def follow(self, points: np.ndarray) -> None:
        """See to it that all places are there to which points (n, 3) may move."""
        reach = _OFF_CENTRE * self.radius
        left = ~((self._low < points - reach) & (points + reach < self._high)).all(axis=1)
        if not left.any():
            return
        contrast, centres = self._around(points[left], 1)
        self._low[left], self._high[left] = centres[..., 0], centres[..., -1]
        # Of fewer places: those around them count as nothing.
        margin = (self.contrast.shape[-1] - contrast.shape[-1]) // 2
        self.contrast[left] = np.pad(
            contrast, [(0, 0), *[(margin, margin)] * 3], constant_values=-np.inf
        )
        places = np.arange(self.contrast.shape[-1]) - margin
        self.centres[left] = centres[..., :1] + self.bin * places

    def peaks(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The highest contrast within `_OFF_CENTRE` radii of each point, (n, 3).

        Returns:
            (n,) contrasts, and (n, 3) voxels, where they are.
        """
        z, y, x = np.moveaxis((self.centres - points[..., None]) ** 2, 1, 0)  # (n, side) each
        squared = z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]
        near = squared <= max(_OFF_CENTRE * self.radius, self.bin) ** 2
        contrast = np.where(near, self.contrast, np.float32(-np.inf))
        flat = contrast.reshape(len(points), -1).argmax(axis=1)
        best = np.unravel_index(flat, contrast.shape[1:])
        each = np.arange(len(points))
        centres = np.empty((len(points), 3))
        for axis in range(3):
            place: list[np.ndarray | slice] = [each, *best]
            place[1 + axis] = slice(None)
            steps = _vertices(contrast[tuple(place)], best[axis])
            centres[:, axis] = self.centres[each, axis, best[axis]] + self.bin * steps
        return contrast[(each, *best)], centres


def _contrast(boxes: np.ndarray, radius: float) -> np.ndarray:
    """Mean of the ball around every voxel of cubes (n, s, s, s) less the mean of its shell.

    Right where ball and shell lie in the cube; it wraps around elsewhere.
    """
    side = boxes.shape[-1]
    size = next_fast_len(side, real=True)
    spectrum = rfftn(boxes, (size,) * 3, axes=(1, 2, 3)) * _spectrum(size, radius)
    return irfftn(spectrum, (size,) * 3, axes=(1, 2, 3))[:, :side, :side, :side]


@lru_cache(maxsize=64)
def _spectrum(size: int, radius: float) -> np.ndarray:
    """Fourier transform of ball minus shell, centred on voxel 0 of a cube, each of sum 1."""
    squares = np.fft.fftfreq(size, 1 / size) ** 2
    distance = np.sqrt(squares[:, None, None] + squares[:, None] + squares)
    ball = np.clip(radius + 0.5 - distance, 0, 1)
    shell = np.clip(_SHELL * radius + 0.5 - distance, 0, 1) - ball
    return rfftn((ball / ball.sum() - shell / shell.sum()).astype(np.float32))


def _vertices(lines: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Where the parabola through a maximum and its neighbours peaks, -0.5 to 0.5 steps off it.

    Args:
        lines: (n, m) values.
        best: (n,) where the maximum of each is.
    """
    each = np.arange(len(lines))
    before, after = np.maximum(best - 1, 0), np.minimum(best + 1, lines.shape[1] - 1)
    left, middle, right = (lines[each, at].astype(np.float64) for at in (before, best, after))
    bend = 2 * middle - left - right
    has = (before < best) & (best < after) & np.isfinite(bend) & (bend > 0)
    steps = np.zeros(len(lines))
    steps[has] = (right[has] - left[has]) / (2 * bend[has])
    return steps


CLIMBS = 3
"""The similarity is flat inside a particle: its peak is up to half a radius beside the centre,
and each climb moves a point by 0.2 diameters at most."""
DECIMALS = 2
"""Of a middle, voxels. Climbs from two places to one middle differ in the sixth; rounded they are
the same place, of which a session knows the mask already."""


def centred(tomogram: Tomogram, proposals: Picks, diameter_voxels: float) -> Picks:
    """Proposals moved to the middle of what stands out there."""
    points = refine_centres(tomogram, proposals.points_zyx, diameter_voxels, CLIMBS)
    return replace(proposals, points_zyx=points.round(DECIMALS))
