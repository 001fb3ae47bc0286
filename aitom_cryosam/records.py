"""AITom's records: picks as its pickers return them, and as its display and Scipion read them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks

Record = dict[str, Any]
"""'val': float, larger is better; 'x': three NumPy integers, the voxel x, y, z; 'uuid': str."""


def records(picks: Picks) -> list[Record]:
    """The kept picks as a list of AITom, best first.

    'x' is an int64 array (3,): the voxel that the pick lies in, in AITom's axes x, y, z.
    """
    best = picks.take(picks.kept).best_first()
    voxels = np.floor(best.points_zyx[:, ::-1] + 0.5).astype(np.int64)
    return [
        {"val": float(score), "x": voxel, "uuid": str(uuid4())}
        for score, voxel in zip(best.scores, voxels, strict=True)
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

    Its display and Scipion look at "loc" alone; "val" (null if there is none) and "uuid" stand beside the peak.
    """
    items = [
        {
            "peak": {"loc": [int(value) for value in peak["x"]]},
            "val": peak["val"] if math.isfinite(peak["val"]) else None,
            "uuid": peak["uuid"],
        }
        for peak in peaks
    ]
    return json.dumps(items, indent=1) + "\n"
