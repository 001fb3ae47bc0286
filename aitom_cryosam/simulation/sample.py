"""Sample: particles and vesicles placed in a volume without touching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from aitom_cryosam.errors import InputError
from aitom_cryosam.simulation.density import CUBIC, LABEL_FRACTION, Density
from aitom_cryosam.simulation.settings import SimulationSettings

MEMBRANE_LABEL = -1
_LEAFLET_DISTANCE = 20.0  # Å, from the middle of the membrane to the middle of a leaflet
_LEAFLET_SIGMA = 8.0  # Å
_MEMBRANE_HALF_THICKNESS = 35.0  # Å, labelled
_MEMBRANE_DENSITY = 0.5  # of a particle's maximum
_VESICLE_RADII = (0.15, 0.2)  # of the volume's shorter side in x and y
_CANDIDATES, _ROUNDS = 64, 100  # random places tried for each particle


@dataclass(frozen=True)
class Vesicle:
    """A hollow sphere of membrane.

    Attributes:
        centre_zyx: (3,) float64, voxels.
        radius: voxels, to the middle of the membrane.
    """

    centre_zyx: np.ndarray
    radius: float


def place_vesicles(settings: SimulationSettings, rng: np.random.Generator) -> list[Vesicle]:
    """Vesicles anywhere in the volume, cut by its faces, that do not touch one another."""
    depth, height, width = settings.shape_zyx
    gap = 2 * _MEMBRANE_HALF_THICKNESS / settings.voxel_size
    vesicles: list[Vesicle] = []
    for _ in range(settings.membranes * _ROUNDS):
        centre = rng.uniform((0.3, 0.1, 0.1), (0.7, 0.9, 0.9)) * (depth, height, width)
        new = Vesicle(centre, rng.uniform(*_VESICLE_RADII) * min(height, width))
        if all(
            np.linalg.norm(new.centre_zyx - old.centre_zyx) > new.radius + old.radius + gap
            for old in vesicles
        ):
            vesicles.append(new)
        if len(vesicles) == settings.membranes:
            return vesicles
    if settings.membranes:
        raise InputError(
            f"Only {len(vesicles)} of {settings.membranes} membranes fit without touching; "
            "ask for fewer."
        )
    return vesicles


def place_particles(
    radii: Sequence[float],
    vesicles: Sequence[Vesicle],
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> np.ndarray:
    """Centres of spheres that lie inside the volume and meet neither each other nor a membrane.

    Args:
        radii: n, voxels; the largest are placed first.
        vesicles: what the spheres keep clear of.
        settings: its shape and voxel size.
        rng: where the random places come from.

    Returns:
        (n, 3) float64, z y x, voxels.

    Raises:
        InputError: they do not fit.
    """
    last = np.array(settings.shape_zyx) - 1
    if radii and 2 * max(radii) > last.min():
        diameter = 2 * max(radii) * settings.voxel_size
        raise InputError(
            f"A particle of {diameter:.0f} Å does not fit into a volume that is "
            f"{last.min() * settings.voxel_size:.0f} Å thick; enlarge its shape."
        )
    points = np.empty((len(radii), 3))
    placed: list[int] = []
    for i in np.argsort(radii)[::-1]:
        radius = radii[i]
        for _ in range(_ROUNDS):
            candidates = rng.uniform(radius, last - radius, (_CANDIDATES, 3))
            to_others = np.linalg.norm(candidates[:, None] - points[placed], axis=2)
            free = (to_others > np.array(radii)[placed] + radius).all(axis=1)
            for vesicle in vesicles:
                to_membrane = np.linalg.norm(candidates - vesicle.centre_zyx, axis=1)
                margin = radius + _MEMBRANE_HALF_THICKNESS / settings.voxel_size
                free &= np.abs(to_membrane - vesicle.radius) > margin
            if free.any():
                points[i] = candidates[free.argmax()]
                placed.append(int(i))
                break
        else:
            raise InputError(
                f"Only {len(placed)} of {len(radii)} particles fit without overlap; "
                "ask for fewer, or enlarge the shape."
            )
    return points


def make_sample(
    copies: Sequence[Density],
    points_zyx: np.ndarray,
    rotations: np.ndarray,
    vesicles: Sequence[Vesicle],
    settings: SimulationSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """The sample's density (D, H, W) float32 and its labels (D, H, W) int32."""
    sample = np.zeros(settings.shape_zyx, dtype=np.float32)
    labels = np.zeros(settings.shape_zyx, dtype=np.int32)
    for vesicle in vesicles:
        _add_vesicle(sample, labels, vesicle, settings.voxel_size)
    for i, density in enumerate(copies):
        box, particle = _turned(density, points_zyx[i], rotations[i], sample.shape)
        sample[box] += particle
        labels[box][particle > LABEL_FRACTION] = i + 1
    return sample, labels


def _add_vesicle(
    sample: np.ndarray, labels: np.ndarray, vesicle: Vesicle, voxel_size: float
) -> None:
    """Add a sphere of two leaflets, whose membrane is labelled."""
    grid = np.ogrid[tuple(map(slice, sample.shape))]
    squares = [
        (axis.astype(np.float32) - float(centre)) ** 2
        for axis, centre in zip(grid, vesicle.centre_zyx, strict=True)
    ]
    offsets = (np.sqrt(sum(squares)) - vesicle.radius) * voxel_size  # Å
    membrane = np.abs(offsets) < _MEMBRANE_HALF_THICKNESS
    from_leaflet = np.abs(offsets[membrane]) - _LEAFLET_DISTANCE
    sample[membrane] += _MEMBRANE_DENSITY * np.exp(-0.5 * (from_leaflet / _LEAFLET_SIGMA) ** 2)
    labels[membrane] = MEMBRANE_LABEL


def _turned(
    density: Density, point_zyx: np.ndarray, rotation: np.ndarray, shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], np.ndarray]:
    """A box of the sample of `shape`, and the turned particle in it."""
    reach = density.radius + 4  # what lies below the label's threshold belongs to it as well
    lower = np.maximum(np.floor(point_zyx - reach).astype(int), 0)
    upper = np.minimum(np.ceil(point_zyx + reach).astype(int) + 1, shape)
    particle = ndimage.affine_transform(
        density.spline,
        rotation.T,
        density.centre_zyx + rotation.T @ (lower - point_zyx),
        output_shape=tuple(upper - lower),
        order=CUBIC,
        prefilter=False,
    )
    return tuple(map(slice, lower, upper)), particle
