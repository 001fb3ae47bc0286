"""Reading of volumes of every kind: a kind is a module, and recognises its own files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from aitom_cryosam.volumes import mrc, ome_zarr
from aitom_cryosam.volumes.volume import Shape, Volume


class VolumeKind(Protocol):
    """What reads one kind of file."""

    def recognises(self, path: Path, /) -> bool:
        """Whether a path is of this kind; it need not be a sound one."""
        ...

    def read_volume(
        self, path: Path, *, voxel_size: float | None = None, sparse: bool = False
    ) -> Volume:
        """See `read_volume` of this module."""
        ...

    def read_size(self, path: Path, *, voxel_size: float | None = None) -> tuple[Shape, float]:
        """See `read_size` of this module."""
        ...


_MRC = re.compile(r"\.(mrc|rec|map)(\.(gz|bz2))?$", re.I)
_KINDS: tuple[VolumeKind, ...] = (ome_zarr, mrc)
"""The last takes all that is left, and says what is wrong with it."""


def is_volume(path: Path) -> bool:
    """Whether a path is called as volumes are; what is in it may be something else."""
    return ome_zarr.recognises(path) or _MRC.search(path.name) is not None


def read_volume(
    path: str | Path, *, voxel_size: float | None = None, sparse: bool = False
) -> Volume:
    """Open a volume: MRC or OME-Zarr.

    Args:
        path: a file, or the folder of an OME-Zarr image.
        voxel_size: Å, instead of what the file says; of OME-Zarr it chooses the level.
        sparse: whether what was never written is blank, as in masks, and not lost.

    Raises:
        InputError: no such file, not a volume of real numbers, damaged, or without a usable
            voxel size.
    """
    return _kind(Path(path)).read_volume(Path(path), voxel_size=voxel_size, sparse=sparse)


def read_size(path: str | Path, *, voxel_size: float | None = None) -> tuple[Shape, float]:
    """(D, H, W) and voxel size (Å) of a volume, without its voxels.

    Raises:
        InputError: as for `read_volume`, but for what only the voxels tell.
    """
    return _kind(Path(path)).read_size(Path(path), voxel_size=voxel_size)


def _kind(path: Path) -> VolumeKind:
    return next(kind for kind in _KINDS if kind.recognises(path))
