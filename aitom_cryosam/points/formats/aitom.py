"""AITom: its pickers' records as a pickle, and the JSON that its display and Scipion read.

Both hold whole voxels x, y, z of AITom's volume, which is the MRC file's transposed; for oriented
picks also the pose with which AITom's `rotate` brings a sub-volume that is cut around that voxel
into the frame of the average.
"""

from __future__ import annotations

import io
import json
import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.names import file_stem
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.rotations import from_aitom, to_aitom, without_gaps
from aitom_cryosam.points.table import Table, Unit, json_of
from aitom_cryosam.points.tomogram_info import TomogramPicks
from aitom_cryosam.source_file import reading

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


def pickled(groups: Sequence[TomogramPicks]) -> bytes:
    """The records of one tomogram, as AITom's `pickle_load` takes them."""
    [(picks, info)] = groups
    return pickle.dumps(records(picks, file_stem(info.name)), protocol=4)


def text(groups: Sequence[TomogramPicks]) -> str:
    """JSON of one tomogram: [{"peak": {"loc": [x, y, z]}, "val": score, "uuid": text}].

    Oriented picks have "angle" and "loc" too, as `records`.
    """
    [(picks, info)] = groups
    return peaks_json(records(picks, file_stem(info.name)))


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
        try:
            content = _Careful(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        except _Forbidden as call:
            name = ascii(".".join(call.args))[1:-1]
            raise InputError(
                f"{path} is refused: it would run {name}; write its points as text with "
                "the columns x,y,z."
            ) from None
        except UnicodeDecodeError:
            raise InputError(f"{path} is damaged: a name in it is no text.") from None
        return _table(content, path)


class _Forbidden(pickle.UnpicklingError):
    """What a pickle would do."""


class _Careful(pickle.Unpickler):
    """A pickle may name any function to be called; these do nothing but make numbers."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HARMLESS:
            return super().find_class(module, name)
        raise _Forbidden(module, name)


def _table(content: Any, path: Path) -> Table:
    expected = "a list of AITom's picks; write other points as text with the columns x,y,z"
    with reading(path, expected):
        peaks = [record["peak"]["loc"] if "peak" in record else record["x"] for record in content]
        scores = [record.get("val") for record in content]
        points_xyz = [np.ravel(peak) for peak in peaks]
        rotations = None
        if given := without_gaps([record.get("angle") for record in content], (0, 0, 0), path):
            angles = np.array(given, np.float64)
            moved = np.array([record.get("loc", (0, 0, 0)) for record in content], np.float64)
            rotations = from_aitom(angles.reshape(-1, 3))
            points_xyz = list(np.array(points_xyz) - rotations.apply(moved.reshape(-1, 3)))
        return Table.of(points_xyz, Unit.VOXEL, scores=scores, rotations=rotations)


Record = dict[str, Any]
"""'val': float, larger is better; 'x': three NumPy integers, the voxel x, y, z; 'uuid': str.

Of an oriented pick also 'angle', three radians, and 'loc', three voxels x, y, z of AITom's frame.
"""


_PICKERS = UUID("7c1e5f60-0c0b-4f6e-9a35-6a1d4c2b7e10")


def records(picks: Picks, name: str = "") -> list[Record]:
    """The kept picks as a list of AITom, best first.

    'x' is an int64 array (3,): the voxel that the pick lies in, in AITom's axes x, y, z. If there
    are rotations, `aitom.geometry.rotate.rotate(v, angle, loc_r=loc)` of a sub-volume v of odd
    size, its middle at that voxel, lies as the average.

    Args:
        picks: of one tomogram.
        name: the tomogram's. The same picks of the same tomogram have the same uuids.
    """
    best = picks.take(picks.kept).best_first()
    points_xyz = best.points_zyx[:, ::-1]
    voxels = nearest_voxel(points_xyz)
    found = [
        {
            "val": float(score),
            "x": voxel,
            "uuid": str(uuid5(_PICKERS, f"{name} {number} {point.tolist()}")),
        }
        for score, voxel, number, point in zip(
            best.scores, voxels, best.ids, points_xyz, strict=True
        )
    ]
    if best.rotations is not None:
        moved = best.rotations.inv().apply((voxels - points_xyz).reshape(-1, 3))
        for record, angle, loc in zip(found, to_aitom(best.rotations), moved, strict=True):
            record |= {"angle": angle.tolist(), "loc": loc.tolist()}
    return found


def picks_of(peaks: Sequence[Record]) -> Picks:
    """AITom's records as picks, in their order.

    Raises:
        InputError: they are no such records.
    """
    try:
        points_xyz = np.array([peak["x"] for peak in peaks], np.float64).reshape(len(peaks), 3)
        scores = np.array([peak["val"] for peak in peaks], np.float64)
    except (KeyError, TypeError, ValueError):
        raise InputError(
            "Expected AITom's records, a list of {'val': score, 'x': [x, y, z], 'uuid': text}."
        ) from None
    return Picks.from_points(points_xyz[:, ::-1], scores)


def peaks_json(peaks: Sequence[Record]) -> str:
    """AITom's records as JSON: [{"peak": {"loc": [x, y, z]}}].

    Its display and Scipion look at "loc" alone; "val" (null if there is none) and "uuid" stand
    beside the peak.
    """
    items = [
        {
            "peak": {"loc": [int(value) for value in peak["x"]]},
            "val": peak["val"] if math.isfinite(peak["val"]) else None,
            "uuid": peak["uuid"],
            **{key: peak[key] for key in ("angle", "loc") if key in peak},
        }
        for peak in peaks
    ]
    return json.dumps(items) + "\n"
