"""Dynamo: a table (`.tbl`) and the tomograms that its column 20 counts (`.doc`)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.table import Table, Unit, reading, scores
from aitom_cryosam.points.tomogram_info import TomogramPicks

# Columns, counted from 0.
_TAG, _ALIGNED, _AVERAGED, _SCORE, _TOMOGRAM, _CLASS = 0, 1, 2, 9, 19, 21
_SHIFTS, _POINTS = slice(3, 6), slice(23, 26)
_WIDTH = 26


def table(groups: Sequence[TomogramPicks]) -> str:
    """26 columns a point: tag, score, number of the tomogram, x y z in voxels; 0 elsewhere."""
    lines = []
    tags = count(1)
    for number, (picks, _) in enumerate(groups, 1):
        for point, score in zip(picks.points_zyx, scores(picks), strict=True):
            row = ["0"] * _WIDTH
            row[_TAG], row[_ALIGNED], row[_AVERAGED] = str(next(tags)), "1", "1"
            row[_SCORE], row[_TOMOGRAM], row[_CLASS] = f"{score:.6f}", str(number), "1"
            row[_POINTS] = [f"{value:.6f}" for value in point[::-1]]
            lines.append(" ".join(row) + "\n")
    return "".join(lines)


def index(groups: Sequence[TomogramPicks]) -> str:
    """The `.doc` beside a table: number and name of each tomogram."""
    return "".join(f"{number} {info.name}\n" for number, (_, info) in enumerate(groups, 1))


def read(path: Path) -> Table:
    """Points with their shifts (columns 4 to 6); names from the `.doc` beside, if it is there.

    Without it, a table of one tomogram names none, and one of several names them by number.

    Raises:
        InputError: a line has fewer than 26 numbers.
    """
    with reading(path, "a Dynamo table, 26 numbers or more in each line"):
        rows = [[float(cell) for cell in line.split()] for line in path.read_text().splitlines()]
        values = np.array([row[:_WIDTH] for row in rows if row]).reshape(-1, _WIDTH)
    tomograms = values[:, _TOMOGRAM].astype(int)
    return Table.of(
        values[:, _POINTS] + values[:, _SHIFTS],
        Unit.VOXEL,
        names=_names(path, tomograms),
        classes=[str(int(value)) for value in values[:, _CLASS]],
        scores=list(values[:, _SCORE]),
    )


def _names(path: Path, tomograms: np.ndarray) -> list[str] | None:
    beside = path.with_suffix(".doc")
    if beside.is_file():
        with reading(beside, "a list of tomograms by number"):
            lines = [line.split(maxsplit=1) for line in beside.read_text().splitlines()]
            known = {int(number): name.strip() for number, name in lines}
        if not set(tomograms) <= set(known):
            missing = min(set(tomograms) - set(known))
            raise InputError(f"{beside} does not name the tomogram {missing} of {path}.")
        return [known[number] for number in tomograms]
    return [str(number) for number in tomograms] if len(set(tomograms)) > 1 else None
