"""CryoET Data Portal: one JSON object a line (`.ndjson`), points in voxels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from aitom_cryosam.names import portal_voxel_size
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.rotations import of_matrices, some, without_gaps
from aitom_cryosam.points.table import Table, Unit, location, text_of
from aitom_cryosam.points.tomogram_info import TomogramPicks
from aitom_cryosam.source_file import reading

_FIRST = re.compile(rb'\s*\{\s*"type"\s*:\s*"(point|orientedPoint|instancePoint)"')
_MATRICES = ("xyz_rotation_matrix", "rotation_matrix")  # the second in files of its first year


def text(groups: Sequence[TomogramPicks]) -> str:
    """One point a line, with its rotation if it has one."""
    return "".join(line for picks, _ in groups for line in _lines(picks))


def _lines(picks: Picks) -> Iterator[str]:
    if picks.rotations is None:
        for point in picks.points_zyx:
            yield json.dumps({"type": "point", "location": location(point)}) + "\n"
        return
    for point, matrix in zip(picks.points_zyx, picks.rotations.as_matrix(), strict=True):
        rotation = {"xyz_rotation_matrix": np.round(matrix, 12).tolist()}
        kind = {"type": "orientedPoint", "location": location(point)}
        yield json.dumps(kind | rotation) + "\n"


def recognises(head: bytes) -> bool:
    """Whether a file begins as these do, whatever its name."""
    return _FIRST.match(head) is not None


def read(path: Path) -> Table:
    """The location of every line, whatever its type, and its rotation.

    In the portal's folders, they count the voxels that the folder is called after.

    Raises:
        InputError: a line is not such an object.
    """
    with reading(path, "an ndjson file of points, one JSON object with a location a line"):
        lines = [json.loads(line) for line in text_of(path).splitlines() if line.strip()]
        points = [[line["location"][axis] for axis in "xyz"] for line in lines]
        found = [next((line[key] for key in _MATRICES if line.get(key)), None) for line in lines]
    matrices = without_gaps(found, np.eye(3).tolist(), path)
    rotations = some(of_matrices(matrices, path)) if matrices else None
    size = portal_voxel_size(path)
    return Table.of(points, Unit.VOXEL, rotations=rotations, voxel_size=size)
