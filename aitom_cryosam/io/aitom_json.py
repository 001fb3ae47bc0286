"""AITom: its pickers' records as a pickle, and the JSON that its display and Scipion read.

Both hold whole voxels x, y, z of AITom's volume, which is the MRC file's transposed.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.io.frame import Group
from aitom_cryosam.io.table import Table, Unit, json_of, reading
from aitom_cryosam.records import peaks_json, records
from aitom_cryosam.tomogram import file_stem

_HARMLESS = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *(
        (f"{core}.{module}", name)
        for core in ("numpy.core", "numpy._core")
        for module, name in (("multiarray", "scalar"), ("multiarray", "_reconstruct"))
    ),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
    ("uuid", "UUID"),
}


def pickled(groups: Sequence[Group]) -> bytes:
    """The records of one tomogram, as AITom's `pickle_load` takes them."""
    [(picks, frame)] = groups
    return pickle.dumps(records(picks, file_stem(frame.name)), protocol=4)


def text(groups: Sequence[Group]) -> str:
    """JSON of one tomogram: [{"peak": {"loc": [x, y, z]}, "val": score, "uuid": text}]."""
    [(picks, frame)] = groups
    return peaks_json(records(picks, file_stem(frame.name)))


def read(path: Path) -> Table:
    """Records or peaks of a JSON file.

    Raises:
        InputError: it holds neither.
    """
    return _table(json_of(path), path)


def read_pickle(path: Path) -> Table:
    """Records of a pickle; only lists, dicts, text and numpy numbers are unpickled.

    Raises:
        InputError: it holds anything else.
    """
    with reading(path, "a pickle of AITom's records"):
        return _table(_Careful(io.BytesIO(path.read_bytes()), encoding="latin1").load(), path)


class _Careful(pickle.Unpickler):
    """A pickle may name any function to be called; these do nothing but make numbers."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HARMLESS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it would run {module}.{name}")


def _table(content: Any, path: Path) -> Table:
    with reading(path, "a list of AITom's picks"):
        peaks = [record["peak"]["loc"] if "peak" in record else record["x"] for record in content]
        scores = [record.get("val") for record in content]
        return Table.of([np.ravel(peak) for peak in peaks], Unit.VOXEL, scores=scores)
