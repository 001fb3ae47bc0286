"""Simulated tomograms with known particles: density maps in, a reconstruction and its truth out.

A sample of randomly turned particles and vesicles is projected along a tilt series around y,
every image gets the contrast transfer of the microscope and white noise, and a weighted
back-projection turns the images into a volume with the missing wedge of a real one. The tilt axis
runs along y through the middle of the volume.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError
from aitom_cryosam.simulation.density import Density
from aitom_cryosam.simulation.microscope import back_projection, recorded, tilt_images
from aitom_cryosam.simulation.sample import make_sample, place_particles, place_vesicles
from aitom_cryosam.simulation.settings import SimulationSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated tomogram and its truth.

    Attributes:
        data: (D, H, W) float32, the reconstruction.
        labels: (D, H, W) int32: i for the voxels of particle row i - 1, -1 for membranes.
        points_zyx: (n, 3) float64, voxels: the particles' centres of mass.
        classes: n names of densities, in the order these were given.
        rotations: (n, 3, 3) float64, turn the density's z y x offsets into the tomogram's.
        voxel_size: Å.
    """

    data: np.ndarray
    labels: np.ndarray
    points_zyx: np.ndarray
    classes: tuple[str, ...]
    rotations: np.ndarray
    voxel_size: float


def simulate(
    densities: Sequence[tuple[Density, int]], settings: SimulationSettings | None = None
) -> Simulation:
    """Simulate a tomogram.

    Args:
        densities: each kind of particle and its number of copies.
        settings: the defaults if None.

    Raises:
        InputError: a density has another voxel size, a count is negative, or the particles and
            membranes do not fit into the volume.
    """
    settings = settings or SimulationSettings()
    for density, count in densities:
        if density.voxel_size != settings.voxel_size:
            raise InputError(
                f"Expected {density.name} in voxels of {settings.voxel_size:g} Å, "
                f"got {density.voxel_size:g} Å."
            )
        if count < 0:
            raise InputError(f"Expected 0 copies of {density.name} or more, got {count}.")
    rng = np.random.default_rng(settings.seed)
    copies = [density for density, count in densities for _ in range(count)]
    vesicles = place_vesicles(settings, rng)
    points = place_particles([density.radius for density in copies], vesicles, settings, rng)
    quaternions = rng.standard_normal((len(copies), 4))
    rotations = Rotation.from_quat(quaternions).as_matrix() if copies else np.empty((0, 3, 3))
    sample, labels = make_sample(copies, points, rotations, vesicles, settings)
    logger.info("Simulating %d particles in %d tilts.", len(copies), len(settings.tilts))
    images = recorded(tilt_images(sample, settings), settings, rng)
    data = back_projection(images, settings)
    if settings.denoise:
        data = ndimage.gaussian_filter(data, settings.denoise / settings.voxel_size)
    if settings.contrast == "dark":
        np.negative(data, out=data)
    names = tuple(density.name for density in copies)
    return Simulation(data, labels, points, names, rotations, settings.voxel_size)
