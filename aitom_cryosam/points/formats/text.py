"""Text columns: csv, `.coords`, and IMOD's point lists."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.table import CLASS, NAMES, PIXELS, SCORE, Table, Unit
from aitom_cryosam.points.tomogram_info import TomogramPicks

_LABELS = {
    "x": PIXELS[0],
    "y": PIXELS[1],
    "z": PIXELS[2],
    "axis-2": PIXELS[0],
    "axis-1": PIXELS[1],
    "axis-0": PIXELS[2],
    "tomogram": NAMES[0],
    "class": CLASS,
    "score": SCORE,
}


def coords(groups: Sequence[TomogramPicks]) -> str:
    """`.coords`: one point a line, x y z in voxels, nothing else."""
    return "".join(
        f"{x:.6f} {y:.6f} {z:.6f}\n" for picks, _ in groups for z, y, x in picks.points_zyx
    )


def read(path: Path) -> Table:
    """Voxels under the labels that a STAR file would have.

    Columns x, y, z under a header in any order and case (or napari's axis-0, axis-1, axis-2,
    which are z, y, x), or three bare columns x, y, z.

    Raises:
        InputError: there are no such columns, or a row is not as long as the others.
    """
    rows = cells(path)
    header: list[str] = []
    if rows and not any(map(is_number, rows[0])):
        header = [_LABELS.get(cell.lower(), cell) for cell in rows.pop(0)]
        if not set(PIXELS) <= set(header):
            raise InputError(f"{path} has no coordinates; expected the columns x, y, z.")
    elif rows and len(rows[0]) == 3:
        header = list(PIXELS)
    elif rows:
        raise InputError(f"{path} has {len(rows[0])} columns without names; add a header x,y,z.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InputError(f"{path}, row {number}: {len(row)} values; expected {len(header)}.")
    table = pd.DataFrame(rows, columns=header or list(PIXELS), dtype=str)
    return Table(table, Unit.VOXEL, PIXELS)


def cells(path: Path) -> list[list[str]]:
    """The values of every line that is neither blank nor a comment."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    if lines and "," not in lines[0] and ";" not in lines[0]:
        return [line.split() for line in lines]
    delimiter = ";" if lines and ";" in lines[0] else ","
    return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]


def is_number(text: str) -> bool:
    """Whether the text is one."""
    try:
        float(text)
    except ValueError:
        return False
    return True
