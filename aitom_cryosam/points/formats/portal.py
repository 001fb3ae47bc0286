"""CryoET Data Portal: one JSON object a line (`.ndjson`), points in voxels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from aitom_cryosam.points.table import Table, Unit, location, reading
from aitom_cryosam.points.tomogram_info import TomogramPicks


def text(groups: Sequence[TomogramPicks]) -> str:
    """One point a line."""
    return "".join(
        json.dumps({"type": "point", "location": location(point)}) + "\n"
        for picks, _ in groups
        for point in picks.points_zyx
    )


def read(path: Path) -> Table:
    """The location of every line, whatever its type.

    Raises:
        InputError: a line is not such an object.
    """
    with reading(path, "an ndjson file of points"):
        lines = path.read_text(encoding="utf-8").splitlines()
        places = [json.loads(line)["location"] for line in lines if line.strip()]
        points = [[place[axis] for axis in "xyz"] for place in places]
    return Table.of(points, Unit.VOXEL)
