"""Subvolumes: boxes cut around picks, binned so that a particle is 16 to 32 voxels across."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.binning import binned
from aitom_cryosam.geometry import from_edge, nearest_voxel
from aitom_cryosam.tomogram import Tomogram

MOST_ACROSS = 32  # voxels of a box across a particle; more is binned
EDGE = 0.12  # of the diameter, over which masks fall
RADIUS = 0.65  # of the diameter, of the ball that particles are masked with
_ROOM = 1.5  # box by particle: for shifts, and for fringes of the contrast transfer
_CUT = 0.98  # of a mask: what is cut off less is whole
_INSIDE = 0.75  # of the ball around a pick: with less in the tomogram it is left out


@dataclass(frozen=True)
class BoxSize:
    """How boxes are cut.

    Attributes:
        size: voxels along a box, even.
        bin: tomogram voxels along one of the box's.
    """

    size: int
    bin: int

    @classmethod
    def for_particle(cls, diameter_voxels: float) -> BoxSize:
        """Of a particle of a diameter in voxels of the tomogram."""
        bin_ = max(1, math.ceil(diameter_voxels / MOST_ACROSS - 1e-6))
        return cls(2 * math.ceil(_ROOM * diameter_voxels / bin_ / 2 + 1), bin_)


@dataclass(frozen=True, eq=False)
class Subvolumes:
    """Boxes of one tomogram, protein bright.

    Attributes:
        boxes: (n, size, size, size) float32, mean 0 and standard deviation 1.
        origins_zyx: (n, 3) float64, tomogram voxels: where voxel size // 2 of each box lies.
        bin: tomogram voxels along one of the box's.
        known: (n, size, size, size) bool, what lies in the tomogram; None if all does.
    """

    boxes: np.ndarray
    origins_zyx: np.ndarray
    bin: int
    known: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, index: np.ndarray) -> Subvolumes:
        """Those of (m,) indices or (n,) booleans."""
        known = None if self.known is None else self.known[index]
        return Subvolumes(self.boxes[index], self.origins_zyx[index], self.bin, known)

    def cut(self, mask: np.ndarray) -> np.ndarray:
        """(n,) bool, whether the tomogram's border cuts off what (size, size, size) masks show."""
        if self.known is None:
            return np.zeros(len(self), bool)
        return np.asarray(self.known.reshape(len(self), -1) @ mask.ravel() < _CUT * mask.sum())

    def points_zyx(self, shifts_xyz: np.ndarray) -> np.ndarray:
        """(n, 3) tomogram voxels of what lies shifted by (n, 3) box voxels, x y z."""
        return np.asarray(self.origins_zyx + shifts_xyz[:, ::-1] * self.bin)


def extract(tomogram: Tomogram, points_zyx: np.ndarray, box: BoxSize) -> Subvolumes:
    """Cut boxes around points; what lies outside the tomogram is filled with the box's mean.

    Args:
        tomogram: of any contrast.
        points_zyx: (n, 3) voxels.
        box: the boxes' size.
    """
    points = np.asarray(points_zyx, np.float64).reshape(-1, 3)
    reach = box.size // 2 * box.bin + (box.bin - 1) / 2  # from the first voxel to the origin
    lowers = nearest_voxel(points - reach)
    boxes = np.empty((len(points), box.size, box.size, box.size), np.float32)
    known = np.empty(boxes.shape, bool)
    for target, inside_it, lower in zip(boxes, known, lowers, strict=True):
        values = _cut(tomogram, lower, box)
        inside_it[:] = np.isfinite(values)
        target[:] = _standardised(values, inside_it)
    return Subvolumes(boxes, lowers + reach, box.bin, None if known.all() else known)


def inside(points_zyx: np.ndarray, radius_voxels: float, shape: tuple[int, ...]) -> np.ndarray:
    """(n,) bool, whether enough of the ball around each point lies in the tomogram."""
    points = np.asarray(points_zyx, np.float64).reshape(-1, 3)
    share = np.ones(len(points))
    for axis, size in enumerate(shape):
        before = from_edge(points[:, axis])
        for room in (before, size - before):
            height = np.clip(1 + room / radius_voxels, 0, 2)  # of the ball's part, in radii
            share *= height**2 * (3 - height) / 4
    return np.asarray(share >= _INSIDE)


def _cut(tomogram: Tomogram, lower: np.ndarray, box: BoxSize) -> np.ndarray:
    """(size, size, size), NaN outside the tomogram."""
    width = box.size * box.bin
    values = np.full((width,) * 3, np.nan, np.float32)
    low = np.clip(lower, 0, tomogram.shape)
    high = np.clip(lower + width, low, tomogram.shape)
    place = tuple(slice(a, b) for a, b in zip(low - lower, high - lower, strict=True))
    values[place] = tomogram.box(low.tolist(), high.tolist())
    return binned(values, box.bin)


def _standardised(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    if not known.any():
        return np.zeros_like(values)
    values = values - values[known].mean()
    values /= max(float(values[known].std()), 1e-6)
    values[~known] = 0
    return values


def soft_ball(size: int, radius: float, edge: float) -> np.ndarray:
    """(size, size, size) float32, 1 within a radius of voxel size // 2, falling to 0 over an edge.

    Args:
        size: voxels.
        radius: voxels, where it begins to fall.
        edge: voxels.
    """
    axis = np.arange(size) - size // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    fall = np.clip((distance - radius) / edge, 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * fall), np.float32)


def particle_ball(size: int, diameter: float) -> np.ndarray:
    """(size, size, size), a soft ball around a particle of a diameter in voxels of the box."""
    edge = max(EDGE * diameter, 2.0)
    return soft_ball(size, min(RADIUS * diameter, size / 2 - 1 - edge), edge)
