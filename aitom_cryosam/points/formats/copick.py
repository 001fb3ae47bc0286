"""copick: picks of one object in one run, Å from the corner."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aitom_cryosam.names import relion_name
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.table import Table, Unit, json_of, location, positive, reading, scores
from aitom_cryosam.points.tomogram_info import TomogramInfo, TomogramPicks

_USER, _SESSION = "cryosam", "1"


def text(groups: Sequence[TomogramPicks], particle: Particle) -> str:
    """The picks of one run as copick's JSON.

    Raises:
        InputError: the voxel size is not known.
    """
    [(picks, info)] = groups
    voxel_size = info.known_voxel_size("The format copick")
    columns = zip(picks.points_zyx, picks.ids, scores(picks), strict=True)
    content = {
        "pickable_object_name": _object(particle),
        "user_id": _USER,
        "session_id": _SESSION,
        "run_name": relion_name(info.name),
        "voxel_spacing": voxel_size,
        "unit": "angstrom",
        "points": [
            {
                "location": location(point, voxel_size),
                "transformation_": np.eye(4).tolist(),
                "instance_id": int(number),
                "score": float(score),
            }
            for point, number, score in columns
        ],
        "trust_orientation": False,
    }
    return json.dumps(content, indent=2) + "\n"


def place(info: TomogramInfo, particle: Particle) -> str:
    """Where copick looks for them below its static or overlay root."""
    name = f"{_USER}_{_SESSION}_{_object(particle)}.json"
    return f"ExperimentRuns/{relion_name(info.name)}/Picks/{name}"


def read(path: Path) -> Table:
    """Points of a run, with the object as class.

    Raises:
        InputError: it is not copick's JSON, or its unit is another.
    """
    content = json_of(path)
    with reading(path, "a file of picks of copick"):
        if content.get("unit", "angstrom") != "angstrom":
            raise ValueError(f"unit {content['unit']!r}")
        points = content["points"]
        return Table.of(
            [[point["location"][axis] for axis in "xyz"] for point in points],
            Unit.ANGSTROM,
            names=[str(content["run_name"])] * len(points),
            classes=[str(content["pickable_object_name"])] * len(points),
            scores=[point.get("score") for point in points],
            voxel_size=positive(content["voxel_spacing"], path, "voxel_spacing"),
        )


def _object(particle: Particle) -> str:
    return particle.name.replace("_", "-")  # which parts user, session and object
