"""crYOLO: three-dimensional boxes (`.cbox`), by their lower left corner in x, y, centre in z."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.star_syntax import Columns, read_blocks, star_text
from aitom_cryosam.points.table import SCORE, Table, Unit, all_open, numbers, scores_or, whole
from aitom_cryosam.points.tomogram_info import TomogramPicks

_BLOCK = "cryolo"
_CORNER = ("CoordinateX", "CoordinateY", "CoordinateZ")
_SIZES = ("Width", "Height", "Depth")
_SCORE = "Confidence"
_UNKNOWN = ("EstWidth", "EstHeight", "NumBoxes", "Angle")
_OPEN = "<NA>"


def text(groups: Sequence[TomogramPicks], particle: Particle) -> str:
    """The boxes of one tomogram, their scores as confidence, and the slices they lie in."""
    [(picks, _)] = groups
    points = picks.points_zyx[:, ::-1]
    corners = points - np.array([0.5, 0.5, 0]) * particle.box
    boxes: Columns = dict(zip(_CORNER, corners.T, strict=True))
    boxes |= dict.fromkeys(_SIZES, np.full(len(points), float(particle.box)))
    unknown = dict.fromkeys(_UNKNOWN, [_OPEN] * len(points))
    for label in (*_UNKNOWN[:2], _SCORE, *_UNKNOWN[2:]):
        boxes[label] = scores_or(_OPEN, picks) if label == _SCORE else unknown[label]
    slices = {"slice_index": np.unique(whole(points[:, 2]))}
    return star_text(
        {"global": {"cbox_format_version": 1.0}, _BLOCK: boxes, "cryolo_include": slices}
    )


def read(path: Path) -> Table:
    """Centres of the boxes; not the ends of filaments, which have a block of their own in front.

    Raises:
        InputError: the file has no such boxes, or they are of images.
    """
    blocks = sorted(read_blocks(path), key=lambda block: block.name != _BLOCK)
    for rows in (block.table() for block in blocks):
        if {*_CORNER, *_SIZES[:2]} <= set(rows):
            if len(rows) and all_open(rows[_CORNER[2]]):
                return refuse(path)
            half = np.zeros((len(rows), 3))
            half[:, :2] = numbers(rows, _SIZES[:2], path) / 2
            centres = numbers(rows, _CORNER, path) + half
            table = Table.of(centres, Unit.VOXEL, scores=rows.get(_SCORE))
            return replace(table, written={SCORE: _SCORE})
    expected = ", ".join(_CORNER + _SIZES[:2])
    raise InputError(f"{path} has no boxes; expected the columns {expected}.")


def refuse(path: Path) -> Table:
    """Two-dimensional boxes are not points.

    Raises:
        InputError: always.
    """
    raise InputError(f"{path} holds boxes without z; expected a .cbox file of a tomogram.")
