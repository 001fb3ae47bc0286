"""TOM, AV3, Artiatomi and novaSTA: a motive list (`.em`), an image of 20 numbers a particle."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.formats import motive_list
from aitom_cryosam.points.formats.motive_list import (
    ANGLES,
    CLASS,
    OBJECT,
    PARTICLE,
    PLACES,
    SCORE,
    SHIFTS,
    TOMOGRAM,
)
from aitom_cryosam.points.table import Table
from aitom_cryosam.points.tomogram_info import TomogramPicks

_HEADER = 512  # bytes: machine, two unused, kind of number, x, y, z, and what we have no use for
_ROWS = 20
# The row of each column, counted from 0.
_PLACE = {
    SCORE: 0,
    PARTICLE: 3,
    TOMOGRAM: 4,
    OBJECT: 5,
    **dict(zip(PLACES, (7, 8, 9), strict=True)),
    **dict(zip(SHIFTS, (10, 11, 12), strict=True)),
    **dict(zip(ANGLES, (16, 18, 17), strict=True)),  # psi stands before theta
    CLASS: 19,
}
_BYTE_ORDER = {0: ">", 1: "<", 3: ">", 5: ">", 6: "<"}  # OS-9, VAX, SGI, Mac, PC
_PC, _SINGLE = 6, 5
_NUMBERS = {1: "i1", 2: "i2", 4: "i4", 5: "f4", 9: "f8"}


def content(groups: Sequence[TomogramPicks]) -> bytes:
    """20 numbers in single precision a point; 0 in those that mean nothing here."""
    columns = motive_list.columns(groups)
    values = np.zeros((len(columns[TOMOGRAM]), _ROWS), "<f4")
    for label, place in _PLACE.items():
        values[:, place] = columns[label]
    header = struct.pack("<4B3i", _PC, 0, 0, _SINGLE, _ROWS, len(values), 1)
    return header.ljust(_HEADER, b"\0") + values.tobytes()


def read(path: Path) -> Table:
    """The points of a list, see `motive_list.table`.

    Raises:
        InputError: the file is no image in the EM format, is cut off, or has not 20 rows.
    """
    data = path.read_bytes()
    machine, number = (data[0], data[3]) if len(data) >= _HEADER else (-1, -1)
    if machine not in _BYTE_ORDER or number not in _NUMBERS:
        raise InputError(f"{path} is not a motive list in the EM format of TOM and AV3.")
    order = _BYTE_ORDER[machine]
    dtype = np.dtype(order + _NUMBERS[number])
    x, y, z = struct.unpack_from(f"{order}3i", data, 4)
    if x != _ROWS or y < 0 or z != 1:
        raise InputError(
            f"{path} is an image of {x} × {y} × {z} numbers; expected a motive list, "
            f"{_ROWS} × particles × 1."
        )
    if len(data) < _HEADER + x * y * dtype.itemsize:
        raise InputError(f"{path} is cut off: its header has {y} particles; copy it again.")
    values = np.frombuffer(data, dtype, x * y, _HEADER).reshape(y, x).astype(np.float64)
    return motive_list.table(path, {label: values[:, place] for label, place in _PLACE.items()})
