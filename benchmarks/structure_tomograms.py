"""Tomograms of membranes and filaments whose places are known: simulated from a seed, or shared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from aitom_cryosam.simulation import microscope
from aitom_cryosam.simulation.sample import MEMBRANE_LABEL, Vesicle, make_sample, place_particles
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.reading import read_volume
from benchmarks.assemblies import random_assembly

VISIBLE = float(np.sin(np.radians(50)))
"""Of a normal's z: sheets that are steeper can be seen despite the missing wedge."""
HIDDEN = float(np.cos(np.radians(25)))
"""Of a line's x: what is so square to the tilt axis, the missing wedge hides but for a trace."""
RADII = (0.1, 0.3)
"""Of the width, smallest and largest vesicle."""
WIDTHS_ANGSTROM = {"tubes": 250.0, "fibres": 70.0}
_CLICK = 1.0  # voxels, sigma of a click's distance from the middle
_PITCH = 55.0  # Å, of a fibre's turns


@dataclass(frozen=True, eq=False)
class Scene:
    """A tomogram and the structures in it.

    Attributes:
        tomogram: (D, H, W).
        truth: (D, H, W) bool, their voxels.
        vesicles: spheres of membrane.
        lines: (m, 3) centre lines, z y x, voxels, about half a voxel from point to point.
    """

    tomogram: Tomogram
    truth: np.ndarray
    vesicles: list[Vesicle]
    lines: list[np.ndarray]

    @property
    def visible(self) -> np.ndarray:
        """(D, H, W) bool: voxels of membrane whose normal is within 50° of the x, y plane."""
        places = np.argwhere(self.truth)
        _, normals = self.nearest(places)
        seen = np.zeros(self.truth.shape, bool)
        seen[tuple(places[np.abs(normals[:, 0]) < VISIBLE].T)] = True
        return seen

    @property
    def visible_lines(self) -> list[np.ndarray]:
        """Those of `lines` that run more than 25° from x."""
        ways = [line[-1] - line[0] for line in self.lines]
        return [
            line
            for line, way in zip(self.lines, ways, strict=True)
            if abs(way[2]) < HIDDEN * np.linalg.norm(way)
        ]

    def nearest(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) distances to the nearest vesicle's middle, voxels, and (n, 3) its normals there."""
        best, normals = np.full(len(places), np.inf), np.zeros((len(places), 3))
        for vesicle in self.vesicles:
            rays = places - vesicle.centre_zyx
            lengths = np.linalg.norm(rays, axis=1)
            closer = np.abs(lengths - vesicle.radius) < best
            best[closer] = np.abs(lengths - vesicle.radius)[closer]
            normals[closer] = rays[closer] / np.maximum(lengths[closer], 1e-6)[:, None]
        return best, normals

    def clicks(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(count, 3) z y x, voxels: near the middle of what can be seen, anywhere on it."""
        if self.lines:
            places = np.concatenate(self.visible_lines or self.lines)
        else:
            share = np.array([one.radius**2 for one in self.vesicles])
            chosen = rng.choice(len(share), 4096, p=share / share.sum())
            normals = rng.standard_normal((4096, 3))
            normals /= np.linalg.norm(normals, axis=1, keepdims=True)
            centres = np.array([one.centre_zyx for one in self.vesicles])
            radii = np.array([one.radius for one in self.vesicles])
            places = centres[chosen] + radii[chosen, None] * normals
            places = places[np.abs(normals[:, 0]) < VISIBLE]
        last = np.array(self.truth.shape) - 1
        places = places[((places >= 2) & (places <= last - 2)).all(axis=1)]
        chosen = places[rng.choice(len(places), count, replace=False)]
        return np.clip(chosen + _CLICK * rng.standard_normal((count, 3)), 0, last)


def simulated(kind: str, seed: int, shape: tuple[int, int, int]) -> Scene:
    """One to three vesicles, or three to six filaments, among particles.

    Args:
        kind: "vesicles", "tubes" or "fibres".
        seed: of everything.
        shape: (D, H, W) voxels.
    """
    rng = np.random.default_rng([seed, 40])
    tilt = float(rng.uniform(50, 62))
    settings = SimulationSettings(
        shape_zyx=shape,
        voxel_size=float(rng.choice([8.0, 10.0, 10.0, 12.0, 14.0])),
        tilt_range=(-tilt, tilt),
        snr=float(np.exp(rng.uniform(np.log(0.05), np.log(0.3)))),
        defocus=float(rng.uniform(2, 5)),
        seed=seed,
    )
    vesicles = list(_vesicles(rng, settings)) if kind == "vesicles" else []
    lines = [] if vesicles else _lines(rng, settings, WIDTHS_ANGSTROM[kind])
    sizes = rng.uniform(80, 250, 4)
    kinds = [
        random_assembly(f"k{i}", size, settings.voxel_size, int(rng.integers(2**31)))
        for i, size in enumerate(sizes)
    ]
    densities = [kind for kind in kinds for _ in range(rng.integers(3, 12))]
    points = place_particles([one.radius for one in densities], vesicles, settings, rng)
    if lines:  # no particle within a filament
        far = cKDTree(np.concatenate(lines)).query(points)[0] * settings.voxel_size
        radii = np.array([one.radius for one in densities]) * settings.voxel_size
        clear = far > WIDTHS_ANGSTROM[kind] / 2 + radii
        densities = [d for d, keep in zip(densities, clear, strict=True) if keep]
        points = points[clear]
    turns = np.linalg.qr(rng.standard_normal((len(densities), 3, 3)))[0]
    turns *= np.linalg.det(turns)[:, None, None]
    sample, labels = make_sample(densities, points, turns, vesicles, settings)
    truth = labels == MEMBRANE_LABEL
    for line in lines:
        distance, along = _around(line, shape)
        angstrom = distance * settings.voxel_size
        if kind == "tubes":
            sample += 0.8 * np.exp(-0.5 * ((angstrom - 105) / 16) ** 2)
        else:
            turn = 1 + 0.4 * np.cos(2 * np.pi * along * settings.voxel_size / _PITCH)
            sample += 0.8 * turn * np.exp(-0.5 * (angstrom / 20) ** 2)
        truth |= angstrom <= WIDTHS_ANGSTROM[kind] / 2
    images = microscope.recorded(microscope.tilt_images(sample, settings), settings, rng)
    data = -microscope.back_projection(images, settings)
    if rng.random() < 0.5:
        data = ndimage.gaussian_filter(data, rng.uniform(8, 14) / settings.voxel_size)
    name = f"{kind}{seed} {settings.voxel_size:g} Å snr {settings.snr:.2f}"
    tomogram = Tomogram.from_array(data, voxel_size=settings.voxel_size, name=name)
    return Scene(tomogram, truth, vesicles, lines)


def noise(seed: int, shape: tuple[int, int, int]) -> tuple[Tomogram, np.ndarray]:
    """Particles, but neither membrane nor filament; and their middles, (n, 3) z y x, voxels."""
    rng = np.random.default_rng([seed, 41])
    settings = SimulationSettings(shape_zyx=shape, seed=seed, snr=0.1)
    kind = random_assembly("k", rng.uniform(100, 250), 10.0, seed)
    densities = [kind] * 15
    points = place_particles([one.radius for one in densities], [], settings, rng)
    turns = np.repeat(np.eye(3)[None], len(points), axis=0)
    sample, _ = make_sample(densities, points, turns, [], settings)
    images = microscope.recorded(microscope.tilt_images(sample, settings), settings, rng)
    data = -microscope.back_projection(images, settings)
    return Tomogram.from_array(data, voxel_size=10.0, name=f"noise{seed}"), points


def shared(path: Path, labels: Path) -> Scene:
    """A tomogram whose membranes, label -1, are spheres.

    Args:
        path: of the tomogram.
        labels: of its label volume.
    """
    truth = np.asarray(read_volume(labels).data) == MEMBRANE_LABEL
    pieces, _ = ndimage.label(truth, np.ones((3, 3, 3)))
    vesicles = []
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        places = np.argwhere(pieces[box] == number) + [one.start for one in box]
        # |p|² = 2 c·p + r² - |c|² for all points of a sphere
        system = np.column_stack([2 * places, np.ones(len(places))])
        *centre, rest = np.linalg.lstsq(system, (places**2).sum(axis=1), rcond=None)[0]
        centre = np.array(centre)
        vesicles.append(Vesicle(centre, float(np.sqrt(rest + centre @ centre))))
    return Scene(Tomogram.open(path), truth, vesicles, [])


def _vesicles(rng: np.random.Generator, settings: SimulationSettings) -> Iterator[Vesicle]:
    """Up to three that do not touch, the middle of each in the volume."""
    depth, height, width = settings.shape_zyx
    placed: list[Vesicle] = []
    wanted = int(rng.integers(1, 4))
    for _ in range(60):
        radius = rng.uniform(*RADII) * width
        centre = rng.uniform((0.2, 0.1, 0.1), (0.8, 0.9, 0.9)) * (depth, height, width)
        gap = 150 / settings.voxel_size
        if all(
            np.linalg.norm(centre - one.centre_zyx) > radius + one.radius + gap for one in placed
        ):
            placed.append(Vesicle(centre, radius))
            yield placed[-1]
        if len(placed) == wanted:
            return


def _lines(
    rng: np.random.Generator, settings: SimulationSettings, width_angstrom: float
) -> list[np.ndarray]:
    """Bent lines through the volume that keep clear of one another."""
    shape = np.array(settings.shape_zyx)
    placed: list[np.ndarray] = []
    wanted = int(rng.integers(3, 7))
    gap = 1.6 * width_angstrom / settings.voxel_size
    for _ in range(100):
        tilt, turn = np.radians(rng.uniform(-20, 20)), rng.uniform(0, 2 * np.pi)
        along = np.array([np.sin(tilt), np.cos(tilt) * np.sin(turn), np.cos(tilt) * np.cos(turn)])
        side = np.cross(along, rng.standard_normal(3))
        side /= np.linalg.norm(side)
        bend = rng.uniform(4000, 15000) / settings.voxel_size  # voxels, radius of the curve
        middle = rng.uniform(0.25, 0.75, 3) * shape
        at = np.arange(-shape.max(), shape.max(), 0.5)
        line = middle + at[:, None] * along + (at**2 / (2 * bend))[:, None] * side
        line = line[((line >= 0) & (line <= shape - 1)).all(axis=1)]
        if len(line) < shape.max() / 2:
            continue
        if all(cKDTree(other).query(line)[0].min() > gap for other in placed):
            placed.append(line)
        if len(placed) == wanted:
            break
    return placed


def _around(line: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(D, H, W) distance from a line, voxels (infinite far away), and how far along it."""
    grid = np.stack(np.indices(shape), axis=-1).reshape(-1, 3)
    distance, index = cKDTree(line).query(grid, distance_upper_bound=25)
    return distance.reshape(shape), 0.5 * index.reshape(shape)
