"""RegionMask: a structure or region of a tomogram, drawn as a volume."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE, binned_coordinate, nearest_voxel
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.reading import read_size, read_volume
from aitom_cryosam.volumes.volume import Shape

_LOWEST, _HIGHEST = -0.5, 1.5
"""Of shares from 0 to 1, where interpolation has overshot them."""
_OVERSHOT = 0.25
"""Share of the highest value that interpolation leaves below 0 at the most."""
_ALIKE = 0.4
"""Share of neighbours of one value; of two values drawn at random for every voxel it is 0.5."""


@dataclass(frozen=True, eq=False)
class RegionMask:
    """Voxels that belong to a region, on the tomogram's grid or one binned by a whole number.

    Attributes:
        name: of the region, as in file names and columns.
        inside: (d, h, w) bool.
        binning: tomogram voxels along the edge of a mask voxel.
        voxel_size: Å, of the tomogram.
    """

    name: str
    inside: np.ndarray
    binning: int
    voxel_size: float

    @classmethod
    def open(cls, path: str | Path, tomogram: Tomogram) -> RegionMask:
        """Read a mask of a tomogram.

        Args:
            path: MRC or OME-Zarr. Whole numbers: what is not 0 belongs to the region; where IMOD
                has written 0 as -128, what is not that. Real numbers: what is above 0.5.
            tomogram: that the mask was drawn on.

        Raises:
            InputError: the file cannot be used, its grid is not the tomogram's or a binned one
                of it, its values are no mask's, or it is empty.
        """
        binning = _binning(path, tomogram)
        data = read_volume(path, voxel_size=binning * tomogram.voxel_size, sparse=True).values
        low, high = (float(extreme.reduce(data, axis=None)) for extreme in (np.fmin, np.fmax))
        if _is_tomogram(data, low, high):
            raise InputError(
                f"{path} is no mask: its values, {low:g} to {high:g}, change from voxel to voxel "
                "as a tomogram's do; expected 0 outside of the region and 1 inside."
            )
        inside = data > 0.5 if data.dtype.kind == "f" else data != _background(data, low)
        if not inside.any():
            least = "above 0.5" if data.dtype.kind == "f" else "that are not 0"
            raise InputError(f"{path} is an empty mask; expected voxels {least} in the region.")
        return cls(_region_name(path), inside, binning, tomogram.voxel_size)

    @property
    def is_everything(self) -> bool:
        """Whether every voxel belongs to it."""
        return bool(self.inside.all())

    @property
    def volume(self) -> float:
        """Share of the tomogram, 0 to 1."""
        return float(np.count_nonzero(self.inside) / self.inside.size)

    def contains(self, points_zyx: np.ndarray) -> np.ndarray:
        """(n,) bool, whether each point lies on a voxel of the region.

        Args:
            points_zyx: (n, 3) voxels of the tomogram; outside of it counts as its border.
        """
        voxels = nearest_voxel(binned_coordinate(points_zyx, self.binning))
        voxels = np.clip(voxels, 0, np.array(self.inside.shape) - 1)
        return self.inside[tuple(voxels.T)]

    def signed_distance(self, points_zyx: np.ndarray) -> np.ndarray:
        """(n,) Å from each point to the region's surface, negative inside of it.

        The surface runs half-way between a voxel of the region and its neighbour outside. What
        lies beyond the tomogram is not known: a region that fills it has no surface (-inf).

        Args:
            points_zyx: (n, 3) voxels of the tomogram.
        """
        points = binned_coordinate(points_zyx, self.binning)
        inside = self.contains(points_zyx)
        distances = np.where(inside, -np.inf, np.inf)
        for within, (tree, sign) in ((False, (self._rim, 1.0)), (True, (self._halo, -1.0))):
            chosen = inside == within
            if tree is not None and chosen.any():
                steps, _ = tree.query(points[chosen])
                distances[chosen] = sign * np.maximum(steps - 0.5, 0)
        return distances * self.binning * self.voxel_size

    @cached_property
    def _rim(self) -> cKDTree | None:
        """The region's voxels at its surface."""
        return _tree(self.inside & ~ndimage.binary_erosion(self.inside, border_value=1))

    @cached_property
    def _halo(self) -> cKDTree | None:
        """The voxels around it."""
        return _tree(ndimage.binary_dilation(self.inside) & ~self.inside)


def _background(values: np.ndarray, low: float) -> int:
    """What whole numbers (d, h, w) from `low` on are outside: IMOD stores signed bytes less 128."""
    least = np.iinfo(np.int8).min
    return least if values.dtype == np.int8 and low == least and values.all() else 0


def _is_tomogram(values: np.ndarray, low: float, high: float) -> bool:
    """Whether values (d, h, w) between these are no mask's, nor what interpolation made of one."""
    if not (low >= _LOWEST and high <= _HIGHEST):
        return _rough(values)
    if low >= -_OVERSHOT * high or low == high:
        return False
    return _rough(np.round(values / min(high - low, 1.0), 2))  # without ringing far from a rim


def _rough(values: np.ndarray) -> bool:
    """Whether few voxels (d, h, w) have their neighbour's value, as they have in any labels."""
    return bool(values.shape[2] > 1 and (values[..., 1:] == values[..., :-1]).mean() < _ALIKE)


def _tree(voxels: np.ndarray) -> cKDTree | None:
    places = np.argwhere(voxels)
    return cKDTree(places) if len(places) else None


def _binning(path: str | Path, tomogram: Tomogram) -> int:
    """How many voxels of the tomogram one of the mask covers along each axis."""
    try:
        shape, stated = read_size(path)
    except InputError:  # a header without a voxel size
        shape, stated = read_size(path, voxel_size=tomogram.voxel_size)[0], None
    binning = _ratio(shape, tomogram.shape)
    if binning is None:  # another level may be the tomogram's
        shape, stated = _level(path, tomogram.voxel_size) or shape, None
        binning = _ratio(shape, tomogram.shape)
    if binning is None:
        raise InputError(
            f"{path} has {_words(shape)} voxels; expected the tomogram's {_words(tomogram.shape)}, "
            "or that divided by a whole number: draw the mask on this tomogram."
        )
    expected = binning * tomogram.voxel_size
    if stated is not None and abs(stated - expected) > SAME_SIZE * expected:
        raise InputError(
            f"{path} has voxels of {stated:g} Å; expected {expected:g} Å for a mask of this "
            "tomogram: it is of another one, or its header is wrong."
        )
    return binning


def _ratio(shape: Shape, whole: Shape) -> int | None:
    """The binning that makes one shape (d, h, w) of another, or None."""
    for binning in range(1, min(whole) + 1):
        sizes = zip(whole, shape, strict=True)
        if all(size // binning <= count <= -(-size // binning) for size, count in sizes):
            return binning
    return None


def _level(path: str | Path, voxel_size: float) -> Shape | None:
    """(d, h, w) of the level with this voxel size; None if there are others only."""
    try:
        return read_size(path, voxel_size=voxel_size)[0]
    except InputError:
        return None


def _words(shape_zyx: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape_zyx[::-1]))


def _region_name(path: str | Path) -> str:
    """Of a file `TS_01_membrane.mrc`: "membrane"."""
    stem = Path(path).name.split(".")[0]
    return "".join(c for c in stem.rsplit("_", 1)[-1] if c.isalnum()) or "region"
