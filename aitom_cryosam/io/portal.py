"""CryoET Data Portal: one JSON object a line (`.ndjson`), points in voxels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from aitom_cryosam.io.frame import Group
from aitom_cryosam.io.table import Table, Unit, reading


def text(groups: Sequence[Group]) -> str:
    """One point a line."""
    return "".join(
        json.dumps({"type": "point", "location": location(point)}) + "\n"
        for picks, _ in groups
        for point in picks.points_zyx
    )


def location(point_zyx: Sequence[float], unit: float = 1.0) -> dict[str, float]:
    """x, y, z of a point, times a unit."""
    z, y, x = (round(float(value) * unit, 6) for value in point_zyx)
    return {"x": x, "y": y, "z": z}


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
