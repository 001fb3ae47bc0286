"""TomogramInfo: what is known of the tomogram that points lie in, without its voxels."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE, from_edge
from aitom_cryosam.picks import Picks
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes import ome_zarr
from aitom_cryosam.volumes.placement import Placement
from aitom_cryosam.volumes.volume import Triple

logger = logging.getLogger(__name__)

TomogramPicks = tuple[Picks, "TomogramInfo"]
"""The points of one tomogram and where they lie."""


@dataclass(frozen=True)
class TiltSeries:
    """The tilt series behind a tomogram, as RELION's `tomograms.star` has it.

    Attributes:
        pixel_size: Å (`rlnTomoTiltSeriesPixelSize`).
        size_xyz: pixels (`rlnTomoSizeX/Y/Z`), or None if unknown.
        name: `rlnTomoName` to the letter, or None if unknown.
        binning: of the tomogram (`rlnTomoTomogramBinning`), or None if unknown.
    """

    pixel_size: float
    size_xyz: tuple[float, float, float] | None = None
    name: str | None = None
    binning: float | None = None


@dataclass(frozen=True)
class TomogramInfo:
    """The tomogram that points lie in, as far as it is known.

    Attributes:
        name: the tomogram's, with or without folder and extension.
        voxel_size: Å, or None.
        shape_zyx: (D, H, W) voxels, or None.
        tilt_series: its tilt series, or None.
        path: its file, or None; it need not be there.
        noted_shift: Å, `shift_xyz` of its voxels as it was when its file was there.
    """

    name: str
    voxel_size: float | None = None
    shape_zyx: tuple[int, int, int] | None = None
    tilt_series: TiltSeries | None = None
    path: Path | None = None
    noted_shift: Triple = (0.0, 0.0, 0.0)

    @classmethod
    def of(
        cls, tomogram: Tomogram | TomogramInfo, tilt_series: TiltSeries | None = None
    ) -> TomogramInfo:
        """What an open tomogram says of itself; an info stays what it is."""
        if isinstance(tomogram, TomogramInfo):
            return tomogram
        return cls(tomogram.name, tomogram.voxel_size, tomogram.shape, tilt_series, tomogram.path)

    @property
    def placement(self) -> Placement | None:
        """Where ChimeraX shows its voxels; None where its file is not there or not MRC.

        Raises:
            InputError: the file's header cannot be used.
        """
        if self.path is None or not os.path.exists(self.path):
            return None
        return Placement.of(self.path)

    def shift_xyz(self, voxel_size: float) -> np.ndarray:
        """(3,) Å: where other programs count the first of the voxels of a size (Å) from.

        It is voxel 0 of the finest level, where the file has several levels and says that this
        one's lies elsewhere; what was noted where the file is not there; 0 of another kind.

        Raises:
            InputError: the file's metadata cannot be used.
        """
        if self.path is None or not os.path.exists(self.path):
            size = self.voxel_size or 0.0
            own = abs(voxel_size - size) <= SAME_SIZE * size
            return np.array(self.noted_shift) if own else np.zeros(3)
        if not ome_zarr.recognises(self.path):
            return np.zeros(3)
        return np.array(ome_zarr.read_shift(self.path, voxel_size))

    def known_voxel_size(self, asking: str) -> float:
        """The voxel size, Å.

        Raises:
            InputError: it is not known; `asking` begins the sentence.
        """
        if self.voxel_size is None:
            raise InputError(f"{asking} needs the voxel size", Remedy.VOXEL_SIZE)
        return self.voxel_size

    def known_shape(self, asking: str) -> np.ndarray:
        """(3,) voxels, x y z.

        Raises:
            InputError: it is not known; `asking` begins the sentence.
        """
        if self.shape_zyx is None:
            raise InputError(f"{asking} needs the tomogram's size", Remedy.SHAPE)
        return np.array(self.shape_zyx[::-1])

    def known_tilt_series(self, asking: str) -> TiltSeries:
        """The tilt series.

        Raises:
            InputError: it is not known; `asking` begins the sentence.
        """
        if self.tilt_series is None:
            problem = f"{asking} needs the pixel size of the tilt series"
            raise InputError(problem, Remedy.TILT_SERIES)
        return self.tilt_series

    def outside(self, points_zyx: np.ndarray) -> np.ndarray:
        """(m,) indices of the points that no voxel covers; none if the shape is not known.

        Args:
            points_zyx: (n, 3) voxels.
        """
        if self.shape_zyx is None:
            return np.array([], np.int64)
        places = from_edge(points_zyx)
        inside = (places >= 0) & (places < np.array(self.shape_zyx))
        return np.flatnonzero(~inside.all(axis=1))

    def bounds(self) -> str:
        """The voxels along each axis in words: "x 0 to 479, y 0 to 463, z 0 to 199"."""
        sizes = zip("xyz", self.known_shape("A bound"), strict=True)
        return ", ".join(f"{axis} 0 to {size - 1}" for axis, size in sizes)


def from_finest(group: TomogramPicks) -> TomogramPicks:
    """A group as formats take it that count lengths: its voxels counted from the finest level's.

    Args:
        group: of one tomogram, whose voxels may be those of a coarser level.
    """
    picks, info = group
    if info.voxel_size is None or not (shift := info.shift_xyz(info.voxel_size)).any():
        return group
    moved = picks.points_zyx + shift[::-1] / info.voxel_size
    return replace(picks, points_zyx=moved), info


def warn_of_outside(path: object, parts: Iterable[tuple[TomogramInfo, np.ndarray]]) -> None:
    """Say how many points of a file no voxel covers.

    Args:
        path: of the file.
        parts: each tomogram, and its (n, 3) points in voxels.
    """
    lost = [(len(info.outside(points)), len(points), info) for info, points in parts]
    lost = [one for one in lost if one[0]]
    if not lost:
        return
    outside, n, info = lost[0]
    others = f"; likewise in {len(lost) - 1} more" if len(lost) > 1 else ""
    advice = (
        f"; if they are in pixels of another size, {Remedy.PIXEL_SIZE.said()}"
        if outside == n
        else ""
    )
    logger.warning(
        "%s: %d of %d points lie outside %s, which has %s%s%s.",
        path,
        outside,
        n,
        info.name,
        info.bounds(),
        others,
        advice,
    )


def warn_of_extents(infos: Iterable[TomogramInfo]) -> None:
    """Say if an unbinned size can hardly be that of its tomogram."""
    unlike = [(info.name, *found) for info in infos if (found := _unlike(info))]
    if not unlike:
        return
    name, axis, ratio = unlike[0]
    others = f" ({name}, and {len(unlike) - 1} more are wrong)" if len(unlike) > 1 else ""
    logger.warning(
        "Along %s the unbinned size is %.2f times the tomogram's extent%s; is it in unbinned "
        "pixels, as x,y,z?",
        axis,
        ratio,
        others,
    )


def _unlike(info: TomogramInfo) -> tuple[str, float] | None:
    """The first axis along which the unbinned size is another, and how many times as large."""
    tilt_series = info.tilt_series
    if not (tilt_series and tilt_series.size_xyz and info.voxel_size and info.shape_zyx):
        return None
    for axis, size, voxels in zip("xyz", tilt_series.size_xyz, info.shape_zyx[::-1], strict=True):
        ratio = size * tilt_series.pixel_size / (voxels * info.voxel_size)
        if not 0.8 < ratio < 1.25:
            return axis, ratio
    return None
