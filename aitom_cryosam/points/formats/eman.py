"""EMAN2: boxes of a tomogram (`info/<name>_info.json`), unbinned pixels from its centre."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.table import Table, Unit, json_of, positive, reading, scores
from aitom_cryosam.points.tomogram_info import TomogramPicks


def text(groups: Sequence[TomogramPicks], particle: Particle) -> str:
    """The boxes of one tomogram: (k − n // 2) · voxel size / `apix_unbin`, with scores.

    Raises:
        InputError: voxel size, shape or the pixel size of the tilt series is not known.
    """
    [(picks, info)] = groups
    asking = "The format eman2"
    pixel_size = info.known_tilt_series(asking).pixel_size
    binning = info.known_voxel_size(asking) / pixel_size
    boxes = (picks.points_zyx[:, ::-1] - info.known_shape(asking) // 2) * binning
    content = {
        "apix_unbin": pixel_size,
        "boxes_3d": [
            [*(round(float(value), 6) for value in box), "cryosam", round(float(score), 6), 0]
            for box, score in zip(boxes, scores(picks), strict=True)
        ],
        "class_list": {"0": {"boxsize": round(particle.box * binning), "name": particle.name}},
    }
    return json.dumps(content, indent=1) + "\n"


def read(path: Path) -> Table:
    """The boxes with score and class.

    Raises:
        InputError: there is no `boxes_3d` or no `apix_unbin`.
    """
    content = json_of(path)
    with reading(path, "a file of EMAN2 with boxes_3d and apix_unbin"):
        boxes = content["boxes_3d"]
        known = content.get("class_list", {})
        numbers = [str(box[5]) if len(box) > 5 else "0" for box in boxes]
        return Table.of(
            [box[:3] for box in boxes],
            Unit.CENTRED_PIXEL,
            classes=[str(known.get(number, {}).get("name", number)) for number in numbers],
            scores=[box[4] if len(box) > 4 else None for box in boxes],
            pixel_size=positive(content["apix_unbin"], path, "apix_unbin"),
        )
