"""Density: a particle's map, from a file or invented."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.special import expit

from aitom_cryosam.errors import InputError
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.volumes.density_map import SAME, read_density_map, resampled

LABEL_FRACTION = 0.1
"""A voxel belongs to a particle where its density is above this fraction of the map's maximum."""
CUBIC = 3  # order of the spline that turns and moves the particles


@dataclass(frozen=True, eq=False)
class Density:
    """One kind of particle.

    Attributes:
        name: its class in the truth, without spaces.
        data: (d, h, w) float32, from 0 to 1.
        voxel_size: Å.

    Raises:
        InputError: the data are no volume, or nowhere above `LABEL_FRACTION`.
    """

    name: str
    data: np.ndarray
    voxel_size: float

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or not self.data.max() > LABEL_FRACTION:
            raise InputError(f"Expected a volume with values up to 1 as the density {self.name}.")

    @cached_property
    def centre_zyx(self) -> np.ndarray:
        """(3,) float64, voxels of `data`: the centre of mass, which the truth states."""
        return np.array(ndimage.center_of_mass(self.data), dtype=np.float64)

    @cached_property
    def radius(self) -> float:
        """Voxels: of the sphere around the centre that holds all labelled voxels."""
        voxels = np.argwhere(self.data > LABEL_FRACTION)
        return float(np.linalg.norm(voxels - self.centre_zyx, axis=1).max())

    @cached_property
    def spline(self) -> np.ndarray:
        """(d, h, w) float32, the cubic spline's coefficients, which turn it without blur."""
        return np.asarray(ndimage.spline_filter(self.data, CUBIC, output=np.float32))


def load_density(
    path: str | Path, voxel_size: float, *, map_voxel_size: float | None = None
) -> Density:
    """A density map, brought to the tomogram's voxel size and to values from 0 to 1.

    Negative values count as 0; the map's own maximum becomes 1. The file's stem is the name.

    Args:
        path: MRC file, protein bright.
        voxel_size: Å, wanted.
        map_voxel_size: Å, instead of the one in the file's header.

    Raises:
        InputError: the file cannot be read, or holds no density.
    """
    data, stated = read_density_map(
        path, voxel_size, Remedy.MAP_VOXEL_SIZE, voxel_size=map_voxel_size
    )
    factor = stated / voxel_size
    if abs(factor - 1) > SAME:
        data = _resampled(data, factor)
    data = data.clip(min=0)
    peak = data.max(initial=0)
    if peak <= 0:
        raise InputError(f"{path} holds no density above 0 at {voxel_size:g} Å; is it inverted?")
    name = Path(path).name.split(".")[0]
    return Density("_".join(name.split()), (data / peak).astype(np.float32), voxel_size)


def _resampled(data: np.ndarray, factor: float) -> np.ndarray:
    """The same field of view, and its middle, in `factor` times the voxels per length."""
    before = np.array(data.shape)
    after = np.ceil(before * factor).astype(int)
    first = (before - 1) / 2 - (after - 1) / 2 / factor
    return resampled(data, 1 / factor, first, tuple(after))


def ribosome_like(voxel_size: float) -> Density:
    """An invented two-lobed body of about 250 Å, for demonstrations without density maps.

    Args:
        voxel_size: Å.
    """
    z, y, x = grid = _grid(140.0, voxel_size)
    data = np.zeros([axis.size for axis in grid])
    for centre, half_axes in _TWO_LOBES:
        scaled = [(g - c) / a for g, c, a in zip(grid, centre, half_axes, strict=True)]
        outside = (np.sqrt(sum(axis**2 for axis in scaled)) - 1) * min(half_axes)  # Å, roughly
        data = np.maximum(data, _soft(outside, voxel_size))
    waves = (y + 0.6 * z) / 58, (x - 0.5 * y) / 52, (z + x) / 64
    grain = sum(np.cos(2 * np.pi * wave) for wave in waves) / 3  # seen where no edge is
    return Density("ribosome_like", normalised(data * (0.6 + 0.4 * grain)), voxel_size)


# Ellipsoids, centre and half axes z y x in Å: a large and a small lobe with a cleft between
# them, a head, and two stalks.
_TWO_LOBES = (
    ((-32, 0, 0), (70, 105, 92)),
    ((72, -8, 0), (30, 92, 48)),
    ((82, 68, 10), (30, 32, 34)),
    ((-62, -98, 12), (22, 30, 20)),
    ((-20, 100, -30), (30, 25, 20)),
)


def barrel(voxel_size: float) -> Density:
    """An invented hollow barrel, 150 Å long and 114 Å wide, of four rings.

    Args:
        voxel_size: Å.
    """
    z, y, x = _grid(90.0, voxel_size)
    ring = np.hypot(y, x)
    wall = _soft(np.maximum(ring - 57, 22 - ring), voxel_size)
    rings = 0.75 - 0.25 * np.cos(2 * np.pi * (z + 75) / 37.5)
    ends = _soft(np.abs(z) - 75, voxel_size)
    return Density("barrel", normalised(wall * rings * ends), voxel_size)


def _grid(half_width: float, voxel_size: float) -> tuple[np.ndarray, ...]:
    """Open z, y, x coordinates in Å around the middle of a cube."""
    n = math.ceil(half_width / voxel_size)
    axis = np.arange(-n, n + 1) * voxel_size
    return np.ix_(axis, axis, axis)


def _soft(outside: np.ndarray, voxel_size: float) -> np.ndarray:
    """1 inside, 0 outside (a distance in Å), with an edge that voxels of the size can show."""
    return expit(-outside / max(3.0, 0.3 * voxel_size))


def normalised(data: np.ndarray) -> np.ndarray:
    """(...) float32, values (...) scaled to a maximum of 1."""
    return (data / data.max()).astype(np.float32)
