"""What the stand-ins learn from: planes of simulated tomograms, of kinds that exist nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aitom_cryosam import Tomogram
from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import in_plane_axes
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import Simulation, simulate
from benchmarks.assemblies import random_assembly

SHAPE = (64, 128, 128)
KINDS = 4
COPIES = 12
PLANES = 64
"""Pairs of planes that are drawn from a tomogram before the next one is made."""


@dataclass(frozen=True)
class Step:
    """A walk's step: a particle on a plane, and on the next one.

    Attributes:
        planes: (2, h, w) float32, normalised, protein positive.
        masks: (2, h, w) bool, the particle.
        point_yx: (2,) pixels, a point on the particle on the first plane.
    """

    planes: np.ndarray
    masks: np.ndarray
    point_yx: np.ndarray


def steps(seed: int) -> Iterator[Step]:
    """Without end; each call with the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    while True:
        scene = _scene(rng)
        tomogram = Tomogram.from_array(scene.data, voxel_size=scene.voxel_size)
        for _ in range(PLANES):
            step = _step(scene, tomogram, rng)
            if step is not None:
                yield step


def _scene(rng: np.random.Generator) -> Simulation:
    while True:
        size = float(rng.choice([8.0, 10.0, 14.0]))
        settings = SimulationSettings(
            shape_zyx=SHAPE,
            voxel_size=size,
            snr=float(np.exp(rng.uniform(np.log(0.03), np.log(0.5)))),
            defocus=float(rng.uniform(2, 6)),
            denoise=float(rng.choice([0.0, 10.0, 15.0])),
            membranes=int(rng.integers(2)),
            seed=int(rng.integers(2**31)),
        )
        kinds = [
            random_assembly(f"k{i}", rng.uniform(90, 320), size, int(rng.integers(2**31)))
            for i in range(KINDS)
        ]
        try:
            return simulate([(kind, COPIES) for kind in kinds], settings)
        except InputError:  # they do not fit: other kinds will
            continue


def _step(scene: Simulation, tomogram: Tomogram, rng: np.random.Generator) -> Step | None:
    """From a random plane through a random particle to a neighbour; None at the border."""
    row, axis = int(rng.integers(len(scene.points_zyx))), int(rng.integers(3))
    voxels = np.argwhere(scene.labels == row + 1)
    if not len(voxels):
        return None
    start = voxels[rng.integers(len(voxels))]
    planes = start[axis] + np.array([0, rng.choice([-1, 1])])
    if planes.min() < 0 or planes.max() >= scene.data.shape[axis]:
        return None
    return Step(
        np.stack([tomogram.plane(axis, int(plane)) for plane in planes]),
        np.moveaxis(np.take(scene.labels, planes, axis), axis, 0) == row + 1,
        start[list(in_plane_axes(axis))].astype(np.float64),
    )
