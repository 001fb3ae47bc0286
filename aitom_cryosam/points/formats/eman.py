"""EMAN2: boxes of a tomogram (`info/<name>_info.json`), unbinned pixels from its centre."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.rotations import from_eman, of_matrices, some, without_gaps
from aitom_cryosam.points.table import Table, Unit, json_of, positive, scores, scores_if_any
from aitom_cryosam.points.tomogram_info import TomogramPicks
from aitom_cryosam.source_file import reading


def text(groups: Sequence[TomogramPicks], particle: Particle) -> str:
    """The boxes of one tomogram: (k − n // 2) · voxel size / `apix_unbin`, with score and class.

    Raises:
        InputError: voxel size, shape or the pixel size of the tilt series is not known.
    """
    [(picks, info)] = groups
    asking = "The format eman2"
    pixel_size = info.known_tilt_series(asking).pixel_size
    binning = info.known_voxel_size(asking) / pixel_size
    boxes = (picks.points_zyx[:, ::-1] - info.known_shape(asking) // 2) * binning
    classes = picks.classes or (particle.name,) * len(picks)
    names = list(dict.fromkeys(classes)) or [particle.name]
    content = {
        "apix_unbin": pixel_size,
        "boxes_3d": [
            [
                *(round(float(value), 6) for value in box),
                "cryosam",
                round(float(score), 6),
                names.index(name),
            ]
            for box, score, name in zip(boxes, scores(picks), classes, strict=True)
        ],
        "class_list": {
            str(number): {"boxsize": round(particle.box * binning), "name": name}
            for number, name in enumerate(names)
        },
    }
    return json.dumps(content, indent=1) + "\n"


def read(path: Path) -> Table:
    """The boxes with score and class, and their orientations.

    Before September 2018 there was no `apix_unbin`, and boxes counted voxels from the corner.

    Raises:
        InputError: there is no `boxes_3d`.
    """
    content = json_of(path)
    with reading(path, "a file of EMAN2 with boxes_3d, a list of x, y, z, method, score, class"):
        boxes = content["boxes_3d"]
        known = content.get("class_list") or {}
        numbers = [str(box[5]) if len(box) > 5 else "0" for box in boxes]
        unbinned = content.get("apix_unbin")
        return Table.of(
            [box[:3] for box in boxes],
            Unit.VOXEL if unbinned is None else Unit.CENTRED_PIXEL,
            classes=[str((known.get(number) or {}).get("name", number)) for number in numbers],
            scores=scores_if_any([box[4] if len(box) > 4 else None for box in boxes]),
            pixel_size=None if unbinned is None else positive(unbinned, path, "apix_unbin"),
            rotations=_rotations(boxes, path),
        )


def _rotations(boxes: Sequence[Any], path: Path) -> Rotation | None:
    """Of the alignment that may stand behind a box: particle to reference."""
    given = [box[6].get("xform.align3d") if len(box) > 6 else None for box in boxes]
    found = without_gaps(given, {"matrix": np.eye(3, 4).tolist()}, path)
    return found and some(Rotation.concatenate([_rotation(one, path) for one in found]))


def _rotation(transform: Any, path: Path) -> Rotation:
    if "matrix" not in transform:
        return from_eman([float(transform[angle]) for angle in ("az", "alt", "phi")])
    matrix = transform["matrix"]
    values = json.loads(matrix) if isinstance(matrix, str) else matrix
    return of_matrices([np.reshape(values, (3, 4))], path).inv()
