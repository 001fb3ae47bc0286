"""MRC volumes: read as they lie on disk, written so that the same data give the same bytes."""

from __future__ import annotations

import bz2
import gzip
import logging
import math
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import writing

logger = logging.getLogger(__name__)

_COMPLEX_MODES = {3, 4}
_FOUR_BITS = 101
_KNOWN_MODES = {0, 1, 2, 6, 12, _FOUR_BITS, *_COMPLEX_MODES}
_OPENERS: dict[str, Callable[..., Any]] = {"GzipMrcFile": gzip.open, "Bzip2MrcFile": bz2.open}
_VOLUME_STACKS = range(401, 631)  # space groups
_IMOD_STAMP = 1146047817
_ANISOTROPY = 0.01
Triple = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class MrcVolume:
    """A volume and what its header says of its place.

    Attributes:
        data: (D, H, W), axes z y x, read-only; memory-mapped unless the file is compressed.
        voxel_size: Å.
        origin: x, y, z of the header, Å.
        nstart: x, y, z of the header, voxels.
    """

    data: np.ndarray
    voxel_size: float
    origin: Triple
    nstart: tuple[int, int, int]


def read_volume(path: str | Path, *, voxel_size: float | None = None) -> MrcVolume:
    """Open an MRC volume (modes 0, 1, 2, 6, 12, either byte order, plain or gzip).

    Another axis order than columns x, rows y, sections z is turned into (z, y, x) by a view.
    Bytes that IMOD marks as unsigned are read as such.

    Args:
        path: `.mrc`, `.rec`, `.map`, or one of them with `.gz`.
        voxel_size: Å, instead of the header's.

    Raises:
        InputError: no such file, not an MRC volume of real numbers, cut off, or without a
            usable voxel size.
    """
    path = Path(path)
    header, opener = _header(path)
    shape = (int(header.nz), int(header.ny), int(header.nx))
    dtype = _dtype(path, header, shape)
    offset = 1024 + int(header.nsymbt)
    data = _compressed(path, opener, offset, shape, dtype) if opener else None
    if data is None:
        missing = offset + math.prod(shape) * dtype.itemsize - path.stat().st_size
        if missing > 0:
            raise InputError(f"{path} is cut off: {missing} bytes are missing; copy it again.")
        data = np.memmap(path, dtype, "r", offset, shape)
    order = _axis_order(path, header)
    columns_first = (int(header.nxstart), int(header.nystart), int(header.nzstart))
    nstart = tuple(columns_first[2 - axis] for axis in reversed(order))
    return MrcVolume(
        data=data.transpose(order),
        voxel_size=_voxel_size(path, header, voxel_size),
        origin=(float(header.origin.x), float(header.origin.y), float(header.origin.z)),
        nstart=(nstart[0], nstart[1], nstart[2]),
    )


def read_size(
    path: str | Path, *, voxel_size: float | None = None
) -> tuple[tuple[int, int, int], float]:
    """(D, H, W) and voxel size (Å) of an MRC volume, from its header alone.

    Raises:
        InputError: as for `read_volume`, but for what the header cannot tell.
    """
    path = Path(path)
    header, _ = _header(path)
    sizes = (int(header.nz), int(header.ny), int(header.nx))
    _dtype(path, header, sizes)
    z, y, x = _axis_order(path, header)
    return (sizes[z], sizes[y], sizes[x]), _voxel_size(path, header, voxel_size)


def read_header(path: str | Path) -> Any:
    """The header of an MRC file as mrcfile has it: its fields by name, unchecked.

    Raises:
        InputError: no such file, or not MRC.
    """
    return _header(Path(path))[0]


def write_volume(
    path: str | Path,
    data: np.ndarray,
    *,
    voxel_size: float,
    origin: Triple = (0.0, 0.0, 0.0),
    nstart: tuple[int, int, int] = (0, 0, 0),
    overwrite: bool = False,
) -> None:
    """Write a volume as MRC; the same arguments give the same bytes.

    Args:
        path: file to write, never compressed.
        data: (D, H, W) of a type that MRC knows: int8, int16, uint16, float16 or float32.
        voxel_size: Å.
        origin: x, y, z, Å.
        nstart: x, y, z, voxels.
        overwrite: replace an existing file.

    Raises:
        InputError: the type is another, or the file cannot be written (see `files.writing`).
    """
    if data.dtype.name not in {"int8", "int16", "uint16", "float16", "float32"}:
        raise InputError(f"MRC files hold no {data.dtype}: convert to float32 before writing.")
    with writing(path, overwrite=overwrite) as temporary, mrcfile.new(temporary) as f:
        f.set_data(data)
        f.voxel_size = voxel_size
        header = f.header
        header.origin.x, header.origin.y, header.origin.z = origin
        header.nxstart, header.nystart, header.nzstart = nstart
        header.label[0] = b"Written by aitom_cryosam"  # in place of a label with the time
        header.nlabl = 1


def label_type(labels: np.ndarray) -> type[np.generic]:
    """The smallest of int16, uint16 and float32 that holds every id.

    Args:
        labels: (D, H, W) integers.

    Raises:
        InputError: ids beyond 2^24.
    """
    smallest, largest = int(labels.min()), int(labels.max())
    for dtype in (np.int16, np.uint16):
        if np.iinfo(dtype).min <= smallest and largest <= np.iinfo(dtype).max:
            return dtype
    if max(-smallest, largest) > 2**24:
        raise InputError(f"Expected instance ids up to {2**24}, got {max(-smallest, largest)}.")
    return np.float32


def _header(path: Path) -> tuple[Any, Callable[..., Any] | None]:
    """The header in the file's byte order, and the opener of a compressed file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # each is checked here instead
            with mrcfile.open(path, permissive=True, header_only=True) as f:
                return f.header, _OPENERS.get(type(f).__name__)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; expected an MRC file.") from None
    except PermissionError:
        raise InputError(f"{path} may not be read: check its permissions.") from None
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not an MRC file ({error}).") from None


def _dtype(path: Path, header: Any, shape: tuple[int, int, int]) -> np.dtype:
    mode = int(header.mode)
    if min(shape) < 1 or int(header.nsymbt) < 0 or mode not in _KNOWN_MODES:
        raise InputError(f"{path} is not an MRC file: its header gives mode {mode}, size {shape}.")
    if mode in _COMPLEX_MODES:
        raise InputError(f"{path} holds complex numbers (mode {mode}); expected a real volume.")
    if mode == _FOUR_BITS:
        raise InputError(f"{path} holds 4-bit numbers (mode 101); convert it to mode 0 or 2.")
    if int(header.ispg) in _VOLUME_STACKS:
        raise InputError(f"{path} is a stack of volumes; expected one volume: split it.")
    if min(shape) < 2:
        raise InputError(f"{path} is a two-dimensional image {shape}; expected a volume.")
    imod_stamp, imod_flags = np.frombuffer(header.extra2, header.mode.dtype, 2, 40)
    if mode == 0 and imod_stamp == _IMOD_STAMP and not imod_flags & 1:
        return np.dtype(np.uint8)
    return mrcfile.utils.data_dtype_from_header(header)


def _compressed(
    path: Path, opener: Callable[..., Any], offset: int, shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    buffer = bytearray(math.prod(shape) * dtype.itemsize)
    try:
        with opener(path) as file:
            file.seek(offset)
            complete = file.readinto(buffer) == len(buffer)
            file.read(1)  # reaches the checksum
    except (OSError, EOFError, zlib.error):
        complete = False
    if not complete:
        raise InputError(f"{path} is cut off or damaged inside its compression; copy it again.")
    data = np.frombuffer(buffer, dtype).reshape(shape)
    data.flags.writeable = False
    return data


def _axis_order(path: Path, header: Any) -> tuple[int, int, int]:
    """Which file axis (0 section, 1 row, 2 column) is z, y and x."""
    axes = [int(header.maps), int(header.mapr), int(header.mapc)]
    if axes == [0, 0, 0]:  # never filled in
        return (0, 1, 2)
    if sorted(axes) != [1, 2, 3]:
        raise InputError(
            f"{path}: columns, rows and sections are said to be the axes {axes[::-1]}; "
            "expected 1, 2, 3 in some order: correct the header."
        )
    return (axes.index(3), axes.index(2), axes.index(1))


def _voxel_size(path: Path, header: Any, wanted: float | None) -> float:
    cell = [float(header.cella[name]) for name in "xyz"]
    steps = [max(int(header[name]), 1) for name in ("mx", "my", "mz")]
    sizes = [length / n for length, n in zip(cell, steps, strict=True)]
    problem = None
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        problem = "its header gives no voxel size"
    elif all(abs(size - 1) < 1e-3 for size in sizes):
        problem = "its header gives a voxel size of 1 Å, which stands for unknown"
    elif max(sizes) - min(sizes) > _ANISOTROPY * max(sizes):
        given = " × ".join(f"{size:.4g}" for size in sizes)
        problem = f"its header gives unequal voxel sizes, {given} Å in x, y, z"
    if wanted is None:
        if problem:
            raise InputError(f"{path}: {problem}; add --voxel-size ANGSTROM.")
        return float(f"{sum(sizes) / 3:.6g}")  # what the header's single precision is good for
    if not (math.isfinite(wanted) and wanted > 0):
        raise InputError(f"Expected a voxel size above 0 Å, got {wanted:g}.")
    if not problem and abs(wanted - sizes[0]) > _ANISOTROPY * wanted:
        logger.warning("%s: using %g Å voxels; its header says %.4g Å.", path, wanted, sizes[0])
    return float(wanted)
