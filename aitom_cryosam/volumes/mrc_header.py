"""MrcHeader: what the first 1024 bytes of an MRC file say, and how far they can be believed."""

from __future__ import annotations

import bz2
import gzip
import logging
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.source_file import existing_file
from aitom_cryosam.volumes import foreign
from aitom_cryosam.volumes.volume import (
    Shape,
    against_stated,
    refuse_voxel_size,
    voxel_size_of,
)

logger = logging.getLogger(__name__)

HEADER_BYTES = 1024
LABEL = b"Written by aitom_cryosam"
"""First of the labels in files of this program, whose bytes are signed."""

_COMPRESSED: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
_COMPLEX_MODES = {3, 4}
_COLOURS, _FOUR_BITS = 16, 101
_KNOWN_MODES = {0, 1, 2, 6, 12, _COLOURS, _FOUR_BITS, *_COMPLEX_MODES}
_LARGEST = 1 << 16  # voxels along an axis; what is read in the wrong byte order exceeds it
_VOLUME_STACKS = range(401, 631)  # space groups
_OF_IMAGES = {".st", ".preali", ".ali", ".mrcs"}
_IMOD_STAMP = 1146047817


@dataclass(frozen=True, eq=False)
class MrcHeader:
    """The header of a real volume.

    Attributes:
        path: the file.
        fields: as mrcfile names them, in the file's byte order.
        opener: of a compressed file, else None.
    """

    path: Path
    fields: Any
    opener: Callable[..., Any] | None

    @classmethod
    def read(cls, path: Path) -> MrcHeader:
        """Read nothing but the header: the sizes in it are claims.

        Raises:
            InputError: no such file, or it is not an MRC volume of real numbers.
        """
        existing_file(path)
        try:
            with path.open("rb") as file:
                start = file.read(HEADER_BYTES)
            opener = next((o for magic, o in _COMPRESSED.items() if start.startswith(magic)), None)
            if opener is not None:
                with opener(path) as file:
                    start = file.read(HEADER_BYTES)
        except PermissionError:
            raise InputError(f"{path} may not be read: check its permissions.") from None
        except (OSError, EOFError, zlib.error):
            raise InputError(
                f"{path} is not an MRC file: its compression is damaged; copy it again."
            ) from None
        if known := foreign.told(path, start):
            raise InputError(f"{path} is not an MRC file: it is {known}.")
        if len(start) < HEADER_BYTES:
            raise InputError(
                f"{path} is not an MRC file: it has {len(start)} bytes, less than a header's "
                f"{HEADER_BYTES}."
            )
        header = cls(path, _in_byte_order(start), opener)
        header._refuse_other_than_volume()
        header._tell_images()
        return header

    @property
    def shape(self) -> Shape:
        """Sections, rows, columns, as they lie in the file."""
        return int(self.fields.nz), int(self.fields.ny), int(self.fields.nx)

    @property
    def data_bytes(self) -> int:
        """Of all voxels."""
        itemsize: int = mrcfile.utils.data_dtype_from_header(self.fields).itemsize
        return math.prod(self.shape) * itemsize

    @property
    def offset(self) -> int:
        """Where the header says that the voxels begin."""
        return HEADER_BYTES + max(int(self.fields.nsymbt), 0)

    @property
    def axis_order(self) -> tuple[int, int, int]:
        """Which file axis (0 section, 1 row, 2 column) is z, y and x.

        Raises:
            InputError: the header names an axis twice.
        """
        axes = [int(self.fields.maps), int(self.fields.mapr), int(self.fields.mapc)]
        if axes == [0, 0, 0]:  # never filled in
            return (0, 1, 2)
        if sorted(axes) != [1, 2, 3]:
            raise InputError(
                f"{self.path}: columns, rows and sections are said to be the axes {axes[::-1]}; "
                "expected 1, 2, 3 in some order: correct the header."
            )
        return (axes.index(3), axes.index(2), axes.index(1))

    @cached_property
    def dtype(self) -> np.dtype:
        """Of the voxels; bytes are unsigned where IMOD's stamp or the header's range say so."""
        if int(self.fields.mode) == 0 and self._bytes_are_unsigned():
            return np.dtype(np.uint8)
        dtype: np.dtype = mrcfile.utils.data_dtype_from_header(self.fields)
        if dtype.name in ("int16", "uint16"):
            self._tell_other_sign(dtype)
        return dtype

    def _tell_other_sign(self, dtype: np.dtype) -> None:
        """Programs have written numbers of the other sign; the header's range then shows it."""
        low, high = float(self.fields.dmin), float(self.fields.dmax)
        limits = np.iinfo(dtype)
        if low < high and not limits.min <= low <= high <= limits.max:
            logger.warning(
                "%s: mode %d holds values of %d to %d, but its header gives %g to %g; if the "
                "picture looks torn, convert the file to mode 2.",
                self.path,
                int(self.fields.mode),
                limits.min,
                limits.max,
                low,
                high,
            )

    @property
    def origin(self) -> tuple[float, float, float]:
        """x, y, z, Å; 0 where the header holds no number."""
        x, y, z = (
            value if math.isfinite(value) else 0.0
            for value in (float(self.fields.origin[axis]) for axis in "xyz")
        )
        return x, y, z

    @property
    def nstart(self) -> tuple[int, int, int]:
        """x, y, z, voxels.

        Raises:
            InputError: as for `axis_order`.
        """
        starts = (int(self.fields.nzstart), int(self.fields.nystart), int(self.fields.nxstart))
        z, y, x = (starts[axis] for axis in self.axis_order)
        return x, y, z

    def voxel_size(self, wanted: float | None) -> float:
        """Å: as wanted, else as the header says.

        Raises:
            InputError: neither is usable.
        """
        if wanted is not None:
            refuse_voxel_size(wanted)
        stated, problem = self._voxel_size()
        if wanted is None:
            if problem:
                raise InputError(f"{self.path}: its header {problem}", Remedy.VOXEL_SIZE)
            return stated
        if not problem and abs(wanted - stated) > SAME_SIZE * wanted:
            said = against_stated(wanted, "its header says", stated)
            logger.warning("%s: %s", self.path, said)
        return float(wanted)

    def _voxel_size(self) -> tuple[float, str | None]:
        """Å, and what is wrong with it."""
        steps = [int(self.fields[name]) for name in ("mx", "my", "mz")]
        if min(steps) < 1:
            given = ", ".join(map(str, steps))
            return 0.0, f"gives no voxel size, as its cell has {given} steps (mx, my, mz)"
        return voxel_size_of(
            [float(self.fields.cella[axis]) / n for axis, n in zip("xyz", steps, strict=True)]
        )

    def _bytes_are_unsigned(self) -> bool:
        """Mode 0 is signed by today's standard, but many programs have written 0 to 255.

        IMOD's stamp decides; without it the header's own smallest and largest value.
        """
        stamp, flags = np.frombuffer(self.fields.extra2, self.fields.mode.dtype, 2, 40)
        if stamp == _IMOD_STAMP:
            unsigned = not flags & 1
            self._tell_other_sign(np.dtype(np.uint8 if unsigned else np.int8))
            return unsigned
        low, high = float(self.fields.dmin), float(self.fields.dmax)
        if 0 <= low <= high <= 255 and high > 127:
            logger.warning(
                "%s: its bytes are read as unsigned, as its header gives values of %g to %g.",
                self.path,
                low,
                high,
            )
            return True
        within = -128 <= low <= high <= 127 and (low, high) != (0, 0)
        if not within and not bytes(self.fields.label[0]).startswith(LABEL):
            logger.warning(
                "%s: its bytes are read as signed; its header does not tell, with values of %g to "
                "%g. If they are 0 to 255, convert the file to mode 1 or 2.",
                self.path,
                low,
                high,
            )
        return False

    def _refuse_other_than_volume(self) -> None:
        path, shape, mode = self.path, self.shape, int(self.fields.mode)
        if min(shape) < 1 or mode not in _KNOWN_MODES:
            raise InputError(
                f"{path} is not an MRC file: its header gives mode {mode}, size {shape}."
            )
        if mode in _COMPLEX_MODES:
            raise InputError(f"{path} holds complex numbers (mode {mode}); expected a real volume.")
        if mode == _COLOURS:
            raise InputError(f"{path} holds colours (mode 16); convert it to one grey channel.")
        if mode == _FOUR_BITS:
            raise InputError(f"{path} holds 4-bit numbers (mode 101); convert it to mode 0 or 2.")
        if min(shape) < 2:
            raise InputError(f"{path} is a two-dimensional image {shape}; expected a volume.")
        sections = int(self.fields.mz)
        if int(self.fields.ispg) in _VOLUME_STACKS and sections != shape[0]:
            each = f" of {sections} sections each" if sections > 0 else ""
            raise InputError(
                f"{path} is a stack of volumes{each} with {shape[0]} sections in all; "
                "expected one volume: split it."
            )

    def _tell_images(self) -> None:
        """A tilt series has the shape of a tomogram, and is easily named in its place."""
        flagged = int(self.fields.ispg) == 0 and int(self.fields.mz) == 1
        ending = self.path.suffix.lower()
        if flagged or ending in _OF_IMAGES:
            logger.warning(
                "%s seems to be a stack of images, as a tilt series is (%s); if so, name the "
                "tomogram that was reconstructed from them.",
                self.path,
                "by ispg 0 and mz 1 in its header" if flagged else f"by its ending {ending}",
            )


def _in_byte_order(start: bytes) -> Any:
    """The fields in the byte order of the machine stamp, or the other one if only that can be."""
    stamp = start[212:214]
    orders = ">" if stamp == b"\x11\x11" else "<"
    orders += "<" if orders == ">" else ">"
    both = [
        np.frombuffer(start, HEADER_DTYPE.newbyteorder(order)).reshape(()).view(np.recarray)
        for order in orders
    ]
    return next((fields for fields in both if _can_be(fields)), both[0])


def _can_be(fields: Any) -> bool:
    sizes = (int(fields.nx), int(fields.ny), int(fields.nz))
    return int(fields.mode) in _KNOWN_MODES and all(0 < size < _LARGEST for size in sizes)
