"""OME-Zarr images (0.4, 0.5), as folders or zipped: one level, as a volume."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.volumes.chunked import ChunkedArray
from aitom_cryosam.volumes.multiscale import Multiscale, Resolution
from aitom_cryosam.volumes.stored_array import StoredArray
from aitom_cryosam.volumes.volume import (
    Shape,
    Triple,
    Volume,
    against_stated,
    refuse_voxel_size,
)
from aitom_cryosam.volumes.zarr_store import ZarrStore

logger = logging.getLogger(__name__)

recognises = ZarrStore.recognises


def read_volume(path: Path, *, voxel_size: float | None = None, sparse: bool = False) -> Volume:
    """Open one level of an image; its chunks are read when they are needed.

    Args:
        path: a zarr folder, or a zip file of one.
        voxel_size: Å, which chooses the level; the finest if None is given.
        sparse: whether to take every chunk that is not there for blank, as in masks.

    Raises:
        InputError: no such image, more than one channel or time, no level of that voxel size, or
            none that is usable. A chunk that is missing or damaged is found when it is read.
    """
    store = ZarrStore.open(path)
    image = Multiscale.of(store)
    level, size = _chosen(path, image.levels, voxel_size)
    array = StoredArray(store, level.node, image.names, sparse=sparse)
    _tell_shift(path, image.levels[0], level, size)
    return Volume(
        data=ChunkedArray(array.read, array.shape, array.dtype, array.chunks, str(path)),
        voxel_size=size,
        origin=level.origin(size),
        nstart=(0, 0, 0),
        source=store.source(level.node),
    )


def read_size(path: Path, *, voxel_size: float | None = None) -> tuple[Shape, float]:
    """(D, H, W) and voxel size (Å) of the level that `read_volume` takes.

    Raises:
        InputError: as for `read_volume`.
    """
    store = ZarrStore.open(path)
    image = Multiscale.of(store)
    level, size = _chosen(path, image.levels, voxel_size)
    return StoredArray(store, level.node, image.names).shape, size


def _chosen(
    path: Path, levels: Sequence[Resolution], wanted: float | None
) -> tuple[Resolution, float]:
    """The level of a voxel size, Å, or the finest; and the voxel size to use.

    An image of one level takes any voxel size, as an MRC file does.
    """
    finest = levels[0]
    stated, problem = finest.voxel_size
    if wanted is None:
        if problem:
            raise InputError(f"{path}: its metadata {problem}", Remedy.VOXEL_SIZE)
        return finest, stated
    refuse_voxel_size(wanted)
    sizes = [level.voxel_size[0] for level in levels]
    for level, size in zip(levels, sizes, strict=True):
        if abs(wanted - size) <= SAME_SIZE * wanted:  # never, where it is not known
            return level, float(wanted)
    if problem is None and len(levels) > 1:
        listed = ", ".join(f"{size:.5g}" for size in sizes)
        raise InputError(
            f"{path} has levels with voxels of {listed} Å; expected one of these, got {wanted:g} Å."
        )
    if problem is None:
        logger.warning("%s: %s", path, against_stated(wanted, "its metadata say", stated))
    return finest, float(wanted)


def read_shift(path: Path, voxel_size: float) -> Triple:
    """Å, x y z: voxel 0 of the level of a voxel size, as counted from that of the finest.

    0 where no level has voxels of this size.

    Raises:
        InputError: no such image.
    """
    image = Multiscale.of(ZarrStore.open(path))
    for level in image.levels:
        if abs(level.voxel_size[0] - voxel_size) <= SAME_SIZE * voxel_size:
            return _shift(image.levels[0], level, voxel_size)
    return 0.0, 0.0, 0.0


def _shift(finest: Resolution, level: Resolution, voxel_size: float) -> Triple:
    edge = finest.scale_xyz[0] / level.scale_xyz[0] * voxel_size
    here, there = finest.origin(edge), level.origin(voxel_size)
    return there[0] - here[0], there[1] - here[1], there[2] - here[2]


def _tell_shift(path: Path, finest: Resolution, level: Resolution, voxel_size: float) -> None:
    """Say where positions of a coarse level lie, if its voxel 0 is not centred on the finest's."""
    shift = _shift(finest, level, voxel_size)
    if max(map(abs, shift)) > SAME_SIZE * voxel_size:
        logger.warning(
            "%s: voxel 0 of level %s lies %s Å (x, y, z) from that of the finest; positions are "
            "counted from its own voxel 0, and those in Å, or in pixels of the tilt series, from "
            "the finest's.",
            path,
            level.node,
            ", ".join(f"{one:.4g}" for one in shift),
        )
