"""AITom's records: picks as its pickers return them, and as its display and Scipion read them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks

Record = dict[str, Any]
"""'val': float, larger is better; 'x': three NumPy integers, the voxel x, y, z; 'uuid': str."""


_PICKERS = UUID("7c1e5f60-0c0b-4f6e-9a35-6a1d4c2b7e10")


def records(picks: Picks, name: str = "") -> list[Record]:
    """The kept picks as a list of AITom, best first.

    'x' is an int64 array (3,): the voxel that the pick lies in, in AITom's axes x, y, z.

    Args:
        picks: of one tomogram.
        name: the tomogram's. The same picks of the same tomogram have the same uuids.
    """
    best = picks.take(picks.kept).best_first()
    points_xyz = best.points_zyx[:, ::-1]
    voxels = np.floor(points_xyz + 0.5).astype(np.int64)
    return [
        {
            "val": float(score),
            "x": voxel,
            "uuid": str(uuid5(_PICKERS, f"{name} {number} {point.tolist()}")),
        }
        for score, voxel, number, point in zip(
            best.scores, voxels, best.ids, points_xyz, strict=True
        )
    ]


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
        }
        for peak in peaks
    ]
    return json.dumps(items) + "\n"
