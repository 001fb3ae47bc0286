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
POOL = 16
"""Tomograms that are drawn from; the oldest goes when the next one is made."""
DRAWS = 15
"""Times that a tomogram is drawn from the pool before the next one is made."""
RUN = 3
"""Steps that follow each other in one tomogram, so that kinds are seen more than once."""
CROP = (40, 128)
"""Voxels along the sides of what is shown: a particle is seen at many scales."""
BACKGROUND, MEMBRANE, FIRST_KIND = 0, 1, 2


@dataclass(frozen=True)
class Step:
    """A walk's step: part of a plane, and of the next one.

    Attributes:
        planes: (2, h, w) float32, normalised, protein positive.
        instances: (2, h, w) int32, the particles by number from 1; 0 or less elsewhere.
        kinds: (2, h, w) int64, BACKGROUND, MEMBRANE, or a number that no other kind has.
    """

    planes: np.ndarray
    instances: np.ndarray
    kinds: np.ndarray


@dataclass(frozen=True)
class _Scene:
    """A simulated tomogram; `kinds` (n + 2) has the kind of each instance, of -1 at its end."""

    truth: Simulation
    tomogram: Tomogram
    kinds: np.ndarray


def steps(seed: int, draws: int = DRAWS) -> Iterator[Step]:
    """Without end; each call with the same seed gives the same ones, `draws` as DRAWS says."""
    rng = np.random.default_rng(seed)
    pool: list[_Scene] = []
    made = 0
    while True:
        truth = scene(rng)
        names = sorted(set(truth.classes))
        numbers = [FIRST_KIND + made * KINDS + names.index(name) for name in truth.classes]
        tomogram = Tomogram.from_array(truth.data, voxel_size=truth.voxel_size)
        made += 1
        pool = [*pool[-POOL + 1 :], _Scene(truth, tomogram, np.array([0, *numbers, MEMBRANE]))]
        for _ in range(draws):
            drawn = pool[rng.integers(len(pool))]
            for _ in range(RUN):
                yield _step(drawn, rng)


def scene(rng: np.random.Generator) -> Simulation:
    """A tomogram of KINDS kinds that were never seen before."""
    while True:
        size = float(rng.choice([8.0, 10.0, 14.0]))
        settings = SimulationSettings(
            shape_zyx=SHAPE,
            voxel_size=size,
            snr=float(np.exp(rng.uniform(np.log(0.05), np.log(0.5)))),
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


def _step(drawn: _Scene, rng: np.random.Generator) -> Step:
    """From a random plane through a random particle to a neighbour, cut out, turned, mirrored."""
    labels = drawn.truth.labels
    axis = int(rng.integers(3))
    row = int(rng.integers(len(drawn.truth.points_zyx)))
    start = np.rint(drawn.truth.points_zyx[row] + rng.normal(0, 3, 3)).astype(int)
    start = np.clip(start, 0, np.array(labels.shape) - 1)
    way = int(rng.choice([-1, 1]))
    if not 0 <= start[axis] + way < labels.shape[axis]:
        way = -way
    planes = [int(start[axis]), int(start[axis]) + way]
    side = np.exp(rng.uniform(*np.log(CROP)))
    cut = []
    for one in in_plane_axes(axis):
        size = min(round(side * np.exp(rng.uniform(-0.3, 0.3))), labels.shape[one])
        lower = int(start[one]) - int(rng.integers(size))
        lower = int(np.clip(lower, 0, labels.shape[one] - size))
        cut.append(slice(lower, lower + size))
    values = np.stack([drawn.tomogram.plane(axis, plane) for plane in planes])
    numbers = np.moveaxis(np.take(labels, planes, axis), axis, 0)
    turns, mirrored = int(rng.integers(4)), 1 - 2 * int(rng.integers(2))
    values, numbers = (
        np.ascontiguousarray(np.rot90(part[:, cut[0], cut[1]], turns, (1, 2))[:, ::mirrored])
        for part in (values, numbers)
    )
    return Step(values, numbers, drawn.kinds[numbers])
