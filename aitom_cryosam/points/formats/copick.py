"""copick: picks of one object in one run, Å from the corner."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError
from aitom_cryosam.lengths import ANGSTROM
from aitom_cryosam.names import relion_name
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.rotations import of_matrices, some, without_gaps
from aitom_cryosam.points.table import Table, Unit, json_of, location, positive
from aitom_cryosam.points.tomogram_info import TomogramInfo, TomogramPicks
from aitom_cryosam.source_file import reading

_MOVED = 0.01  # Å; less is rounding
_USER, _SESSION = "cryosam", "1"


def text(groups: Sequence[TomogramPicks], particle: Particle) -> str:
    """The picks of one run as copick's JSON.

    Raises:
        InputError: the voxel size is not known.
    """
    [(picks, info)] = groups
    voxel_size = info.known_voxel_size("The format copick")
    turned = picks.rotations is not None
    columns = zip(picks.points_zyx, picks.ids, picks.scores, _transforms(picks), strict=True)
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
                "transformation_": transform.tolist(),
                "instance_id": int(number),
                "score": float(score) if np.isfinite(score) else None,
            }
            for point, number, score, transform in columns
        ],
        "trust_orientation": turned,
    }
    return json.dumps(content, indent=2) + "\n"


def _transforms(picks: Picks) -> np.ndarray:
    """(n, 4, 4), the rotations; the position is in `location` alone."""
    result = np.tile(np.eye(4), (len(picks), 1, 1))
    if picks.rotations is not None:
        result[:, :3, :3] = np.round(picks.rotations.as_matrix(), 12)
    return result


def place(info: TomogramInfo, particle: Particle) -> str:
    """Where copick looks for them below its static or overlay root."""
    name = f"{_USER}_{_SESSION}_{_object(particle)}.json"
    return f"ExperimentRuns/{relion_name(info.name)}/Picks/{name}"


def read(path: Path) -> Table:
    """Points of a run, with the object as class; the run, spacing and scores may be null.

    Shifts, as those of a refinement, may stand in the transformations, and are added.

    Raises:
        InputError: it is not copick's JSON, or its unit is another.
    """
    content = json_of(path)
    with reading(path, "a file of picks of copick, with points and their location"):
        unit = content.get("unit") or "angstrom"
        scale = ANGSTROM.get(str(unit).lower())
        if scale is None:
            raise InputError(f"{path}: the unit is {unit!r}; expected angstrom or nm.")
        points = content.get("points") or []
        spacing, run = content.get("voxel_spacing"), content.get("run_name")
        return Table.of(
            [[scale * value for value in _place(point)] for point in points],
            Unit.ANGSTROM,
            names=None if run in (None, "") else [str(run)] * len(points),
            classes=[content.get("pickable_object_name")] * len(points),
            scores=[point.get("score") for point in points],
            voxel_size=None if spacing is None else positive(spacing, path, "voxel_spacing"),
            rotations=_rotations(content, path),
        )


def _rotations(content: dict[str, Any], path: Path) -> Rotation | None:
    """Of the points, unless the file says that they mean nothing."""
    if content.get("trust_orientation") is False:
        return None
    given = [_transformation(point) for point in content.get("points") or []]
    matrices = without_gaps(given, np.eye(4).tolist(), path)
    return matrices and some(of_matrices(matrices, path))


def _place(point: dict[str, Any]) -> list[Any]:
    """x, y, z of a point, as `full_places`; as written where that may be no numbers."""
    place = [point["location"][axis] for axis in "xyz"]
    matrix = _transformation(point)
    shift = np.zeros(3) if matrix is None else np.asarray(matrix, np.float64)[:3, 3]
    if not shift.any():
        return place
    return full_places(np.array([place], np.float64), shift[None])[0].tolist()


def full_places(places_xyz: np.ndarray, shifts_xyz: np.ndarray) -> np.ndarray:
    """(n, 3) Å: the locations and, as copick has it, what their transformations add.

    Others write the position itself into the transformation; it does not count twice.

    Args:
        places_xyz: (n, 3) Å, the locations.
        shifts_xyz: (n, 3) Å, of the transformations.
    """
    own = np.abs(shifts_xyz - places_xyz).max(axis=1, keepdims=True) <= _MOVED
    return places_xyz + np.where(own, 0, shifts_xyz)


def _transformation(point: dict[str, Any]) -> Any:
    return point.get("transformation_", point.get("transformation"))


def _object(particle: Particle) -> str:
    """Its name, as part of a file's name.

    Raises:
        InputError: it cannot be one.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", particle.name):
        raise InputError(
            f"Expected an object's name of letters, digits, '_', '.', '-', got {particle.name!r}."
        )
    return particle.name.replace("_", "-")  # which parts user, session and object
