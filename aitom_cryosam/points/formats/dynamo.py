"""Dynamo: a table (`.tbl`) and the tomograms that its column 20 counts (`.doc`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np

from aitom_cryosam.points.formats import numbers
from aitom_cryosam.points.rotations import from_dynamo, some, to_dynamo
from aitom_cryosam.points.table import Table, Unit, one_size, scores, scores_if_any, text_of
from aitom_cryosam.points.tomogram_info import TomogramPicks
from aitom_cryosam.source_file import reading

# Columns, counted from 0.
_TAG, _ALIGNED, _AVERAGED, _SCORE, _TOMOGRAM, _CLASS = 0, 1, 2, 9, 19, 21
_SHIFTS, _ANGLES, _POINTS = slice(3, 6), slice(6, 9), slice(23, 26)
_WIDTH = 26
_IMAGINARY = re.compile(r"(?<=[\d.])[-+][\d.]+(?:[eE][-+]?\d+)?i\b")
"""What Matlab leaves of a root of less than nothing, as a table's last digits can be."""
_APIX = 35  # Å, if the table is so wide and it is not 0
_OF_PYTME = {_AVERAGED: 0, 13: -90, 14: 90, 15: -60, 16: 60, _APIX: 3}
"""What pyTME fills in; its tables have 38 columns, and the pixel size in the one before."""


def table(groups: Sequence[TomogramPicks]) -> str:
    """26 columns a point; 0 in those that mean nothing here.

    Tag, angles, score, number of the tomogram, class (1 if there is none) and x y z in voxels.
    """
    lines = []
    tags = count(1)
    classes = numbers.of_classes(groups, "Dynamo")
    for number, (picks, _) in zip(numbers.of_tomograms(groups), groups, strict=True):
        turned = picks.rotations is not None and len(picks) > 0
        angles = to_dynamo(picks.rotations) if turned else None
        for i, (point, score) in enumerate(zip(picks.points_zyx, scores(picks), strict=True)):
            row = ["0"] * _WIDTH
            row[_TAG], row[_ALIGNED], row[_AVERAGED] = str(next(tags)), "1", "1"
            row[_SCORE], row[_TOMOGRAM], row[_CLASS] = f"{score:.6f}", str(number), "1"
            if picks.classes is not None:
                row[_CLASS] = str(classes[picks.classes[i]])
            if angles is not None:
                row[_ANGLES] = [f"{value + 0.0:.6f}" for value in np.round(angles[i], 6)]
            row[_POINTS] = [f"{value:.6f}" for value in point[::-1]]
            lines.append(" ".join(row) + "\n")
    return "".join(lines)


def read(path: Path) -> Table:
    """Points with their shifts (columns 4 to 6); names from the `.doc` beside, if it is there.

    Without it, a table of one tomogram names none, and one of several names them by number.

    Raises:
        InputError: a line has fewer than 26 numbers.
    """
    with reading(path, "a Dynamo table, 26 numbers or more in each line"):
        text = _IMAGINARY.sub("", text_of(path))
        lines = [[float(cell) for cell in line.split()] for line in text.splitlines()]
        rows = [row for row in lines if row]
        values = np.array([row[:_WIDTH] for row in rows]).reshape(-1, _WIDTH)
    angles = np.nan_to_num(values[:, _ANGLES])
    shifts = values[:, _SHIFTS]
    table = Table.of(
        values[:, _POINTS] + np.where(np.isnan(shifts), 0, shifts),
        Unit.VOXEL,
        names=numbers.names(path, values[:, _TOMOGRAM]),
        classes=[f"{value:g}" if np.isfinite(value) else None for value in values[:, _CLASS]],
        scores=scores_if_any(values[:, _SCORE].tolist()),
        rotations=some(from_dynamo(angles)) if len(values) else None,
    )
    sizes = np.array([_size(row) for row in rows])
    if not len(sizes) or not (sizes > 0).all() or (sizes == 1).all():  # 1 stands for unknown
        return table
    return replace(table, sizes=sizes, voxel_size=one_size(sizes))


def _size(row: Sequence[float]) -> float:
    """Å, of a pixel; 0 where the row does not say."""
    of_pytme = len(row) == 38 and all(row[at] == value for at, value in _OF_PYTME.items())
    return row[_APIX - of_pytme] if len(row) > _APIX else 0.0
