"""MRC volumes: read as they lie on disk, written so that the same data give the same bytes."""

from __future__ import annotations

import errno
import logging
import math
import zlib
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import writing
from aitom_cryosam.source_file import SourceFile
from aitom_cryosam.volumes.mrc_header import HEADER_BYTES, LABEL, MrcHeader
from aitom_cryosam.volumes.volume import Shape, Triple, Volume

logger = logging.getLogger(__name__)

_PIECE = 1 << 24  # bytes of a compressed file that are asked for at once


def recognises(_: Path, /) -> bool:
    """Every path: what is not MRC is refused with its reason."""
    return True


def read_volume(
    path: str | Path, *, voxel_size: float | None = None, sparse: bool = False
) -> Volume:
    """Open an MRC volume (modes 0, 1, 2, 6, 12, either byte order, plain or gzip).

    Another axis order than columns x, rows y, sections z is turned into (z, y, x) by a view.
    Bytes are read as unsigned where IMOD's stamp or the header's own range says so.

    Args:
        path: `.mrc`, `.rec`, `.map`, or one of them with `.gz`.
        voxel_size: Å, instead of the header's.
        sparse: nothing to an MRC file, which holds every voxel.

    Raises:
        InputError: no such file, not an MRC volume of real numbers, cut off, or without a
            usable voxel size.
    """
    header = MrcHeader.read(Path(path))
    source = SourceFile.of(header.path)
    data = _unpacked(header) if header.opener else _mapped(header)
    return Volume(
        data=data.transpose(header.axis_order),
        voxel_size=header.voxel_size(voxel_size),
        origin=header.origin,
        nstart=header.nstart,
        source=source,
    )


def read_size(path: str | Path, *, voxel_size: float | None = None) -> tuple[Shape, float]:
    """(D, H, W) and voxel size (Å) of an MRC volume, from its header alone.

    Raises:
        InputError: as for `read_volume`, but for what the header cannot tell.
    """
    header = MrcHeader.read(Path(path))
    z, y, x = header.axis_order
    sizes = header.shape
    return (sizes[z], sizes[y], sizes[x]), header.voxel_size(voxel_size)


def read_header(path: str | Path) -> Any:
    """The header of an MRC file as mrcfile has it: its fields by name.

    Raises:
        InputError: no such file, or not an MRC volume of real numbers.
    """
    return MrcHeader.read(Path(path)).fields


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
        header.label[0] = LABEL  # in place of a label with the time
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


def _mapped(header: MrcHeader) -> np.ndarray:
    """The voxels of a plain file, on disk where that can be."""
    path, length = header.path, header.path.stat().st_size
    missing = header.offset + header.data_bytes - length
    offset = header.offset
    if missing > 0:
        if length != HEADER_BYTES + header.data_bytes:
            raise InputError(
                f"{path} is cut off: {missing} bytes are missing; copy it again, or see whether "
                "the program that made it was stopped."
            )
        _say_no_extended_header(header)
        offset = HEADER_BYTES
    elif missing < 0:
        logger.warning(
            "%s has %d bytes more than its header counts; they are taken for something behind "
            "the voxels. If there is an extended header that is not counted, correct nsymbt.",
            path,
            -missing,
        )
    try:
        return np.memmap(path, header.dtype, "r", offset, header.shape)
    except OSError as error:
        if error.errno == errno.ENOMEM:  # of addresses, by `ulimit -v`
            raise MemoryError(str(error)) from None
        if error.errno != errno.ENODEV:  # of file systems that map no files
            raise
    data = np.fromfile(path, header.dtype, math.prod(header.shape), offset=offset)
    data.flags.writeable = False
    return data.reshape(header.shape)


def _unpacked(header: MrcHeader) -> np.ndarray:
    """The voxels of a compressed file, in memory."""
    content, length = _pieces(header, header.offset)
    if len(content) < header.data_bytes and length == HEADER_BYTES + header.data_bytes:
        _say_no_extended_header(header)
        content, length = _pieces(header, HEADER_BYTES)
    if len(content) < header.data_bytes:
        raise InputError(
            f"{header.path} is cut off or damaged inside its compression; copy it again."
        )
    data = np.frombuffer(content, header.dtype).reshape(header.shape)
    data.flags.writeable = False
    return data


def _pieces(header: MrcHeader, offset: int) -> tuple[bytearray, int]:
    """The bytes of the voxels, as many as there are, and where the unpacked file was left.

    What the header states is never allocated at once: it is a claim.
    """
    assert header.opener is not None
    content = bytearray()
    try:
        with header.opener(header.path) as file:
            file.seek(offset)
            while piece := file.read(min(_PIECE, header.data_bytes - len(content)) or 1):
                if len(content) == header.data_bytes:  # at its end, reading reaches the checksum
                    break
                content += piece
            return content, file.tell()
    except (OSError, EOFError, zlib.error):
        return bytearray(), 0


def _say_no_extended_header(header: MrcHeader) -> None:
    logger.warning(
        "%s: its header counts %d bytes of an extended header (nsymbt) that is not there; the "
        "voxels are read from behind the %d bytes of the header.",
        header.path,
        header.offset - HEADER_BYTES,
        HEADER_BYTES,
    )
