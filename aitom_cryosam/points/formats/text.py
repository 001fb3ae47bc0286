"""Text columns: csv, `.coords`, and IMOD's point lists."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.formats import columns, copick, star_points
from aitom_cryosam.points.rotations import from_av3, of_matrices, some
from aitom_cryosam.points.star_syntax import Block
from aitom_cryosam.points.table import (
    CLASS,
    FROM_CORNER,
    PIXELS,
    VOXEL_SIZE,
    XYZ,
    Table,
    Unit,
    all_open,
    numbers,
    one_size,
    positive,
    text_of,
)
from aitom_cryosam.points.tomogram_info import TomogramPicks
from aitom_cryosam.wording import plural

if TYPE_CHECKING:
    import pandas as pd
    from scipy.spatial.transform import Rotation

logger = logging.getLogger(__name__)

DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
"""A number as spreadsheets write it in many countries."""
_WIDTHS = {
    20: "a motive list has them in columns 8 to 10, and counts them from 1",
    **dict.fromkeys(range(26, 51), "a table of Dynamo is read if its name ends in .tbl"),
}
"""How many columns well-known tables have, and what to know of them."""
_EXCEL = re.compile(r"sep=.", re.I)
_DELIMITERS = ";\t,|"  # the likeliest first


def coords(groups: Sequence[TomogramPicks]) -> str:
    """`.coords`: one point a line, x y z in voxels, nothing else."""
    return "".join(
        f"{x:.6f} {y:.6f} {z:.6f}\n" for picks, _ in groups for z, y, x in picks.points_zyx
    )


def read(path: Path) -> Table:
    """Points under the labels that a STAR file would have.

    Columns x, y, z under a header in any order and case, with a unit or without (`x`, `coord_x`,
    `x_px`, `X [nm]`), or napari's axes, of which the last three are z, y, x; columns of names,
    classes and scores under any usual name. Without a header, what a comment above the rows says
    (`# z y x score`), or three bare columns: x, y, z. A table with the labels of a STAR file is
    read as one.

    Raises:
        InputError: there are no such columns, a row is not as long as the others, or a column
            may be a header or may be numbers.
    """
    import pandas as pd

    rows = cells(path, tell=True)
    names = list(XYZ)
    if rows and not any(map(columns.is_number, rows[0])):
        names = rows.pop(0)
    elif rows:
        if columns.of_emclarity(rows[0]):
            raise InputError(
                f"{path} is a table of emClarity, whose columns 11 to 13 count pixels of the tilt "
                "series from the corner of its own part of the tomogram; write them in voxels of "
                "the tomogram, under a header x,y,z."
            )
        names = _names_above(path, len(rows[0]))
        _refuse_counted(path, rows)
    star = columns.of_star(names)
    header, unit, scale = (names, Unit.VOXEL, 1.0) if star else columns.meanings(path, names)
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            twice = len(row) == 2 * len(header) and "," in text_of(path)
            hint = "; beside decimal commas, columns are parted by semicolons" if twice else ""
            raise InputError(
                f"{path}, row {number}: {len(row)} values; expected {len(header)}{hint}."
            )
    if star:
        rows = [[row[place] for place in star] for row in rows]
        block = Block("", labels=[names[place] for place in star], rows=rows, loops=1)
        return star_points.of_blocks(path, [block])
    table = pd.DataFrame(rows, columns=header, dtype=str)
    table.columns = columns.of_regions(header, names, table)
    unit, scale = (unit is Unit.VOXEL and columns.stated_unit(path, table)) or (unit, scale)
    columns.refuse_shapes(path, table)
    artiax = columns.of_artiax(names)
    _tell_unknown(path, table, (*columns.SHIFTS, *columns.TURNS) if artiax else ())
    _one_time(path, table)
    if scale != 1:
        for label in PIXELS:
            numeric = pd.to_numeric(table[label], errors="coerce")
            table[label] = (numeric * scale).where(numeric.notna(), table[label])
    if columns.of_imod(names):
        _of_imod(path, table)
    if set(columns.ADDED) <= set(table) and len(table):
        added = numbers(table, columns.ADDED, path)
        table[list(PIXELS)] = copick.full_places(numbers(table, PIXELS, path), added)
    sizes = None
    if VOXEL_SIZE in table and unit is Unit.VOXEL and not all_open(table[VOXEL_SIZE]):
        sizes = np.array([positive(size, path, "the voxel size") for size in table[VOXEL_SIZE]])
    return Table(
        table,
        unit,
        PIXELS,
        voxel_size=one_size(sizes),
        sizes=sizes,
        rotations=_of_artiax(path, table) if artiax else _rotations(path, table),
        written=dict(zip(table, names, strict=False)),  # a class of IMOD's is added
    )


def _of_imod(path: Path, table: pd.DataFrame) -> None:
    """Count from the middle of the first voxel; the objects of a model are classes."""
    table[list(PIXELS)] = numbers(table, PIXELS, path) - FROM_CORNER
    objects = [label for label in table if columns.bare(str(label)) == columns.OBJECT]
    if CLASS not in table:
        table[CLASS] = table[objects[0]]
    logger.warning(
        "%s: its x and y count from the corner of the first voxel, as in IMOD's models, which they "
        "do in tables with columns object_id and contour_id.",
        path,
    )


def _of_artiax(path: Path, table: pd.DataFrame) -> Rotation | None:
    """Add the shifts to the places; the orientations."""
    table[list(PIXELS)] = numbers(table, PIXELS, path) + numbers(table, columns.SHIFTS, path)
    return some(from_av3(numbers(table, columns.TURNS, path))) if len(table) else None


def _rotations(path: Path, table: pd.DataFrame) -> Rotation | None:
    """Of the points, where the table has copick's columns of their matrices."""
    if not len(table) or not set(columns.MATRIX) <= set(table):
        return None
    matrices = numbers(table, columns.MATRIX, path).reshape(-1, 3, 3)
    return some(of_matrices(list(matrices), path))


def _names_above(path: Path, count: int) -> list[str]:
    """The names of columns without a header: of a comment above them, or x, y, z of three.

    Raises:
        InputError: there are more, and none has a name.
    """
    for line in text_of(path).splitlines():
        if line.strip() and not _is_comment(line):
            break
        parted = any(mark in line for mark in _DELIMITERS)
        words = re.split(f"[{_DELIMITERS}]", line) if parted else line.split()
        names = [word.strip(" \t#%") for word in words if word.strip(" \t#%")]
        if len(names) == count and columns.have_axes(names):
            return names
    if count == len(XYZ):
        return list(XYZ)
    said = f"{path} has {plural(count, 'column')} without names"
    known = f" ({_WIDTHS[count]})" if count in _WIDTHS else ""
    raise InputError(
        f"{said}; add a header x,y,z with one for each, or keep those of x, y and z{known}."
    )


def _refuse_counted(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """A first row 0,1,2 above other numbers is the header of a table without names."""
    if list(rows[0]) == ["0", "1", "2"] and len(rows) > 1:
        raise InputError(
            f"{path} begins with 0,1,2, a header of a table without names or a point; write "
            "x,y,z in its place, or 0.0,1.0,2.0 if it is a point."
        )


def _tell_unknown(path: Path, table: pd.DataFrame, read: Sequence[str]) -> None:
    """Name the columns that may matter and mean nothing here; `read` are read elsewhere."""
    unknown = [
        str(label)
        for place, label in enumerate(table)  # a table may have two of a name
        if label not in (*columns.KNOWN, *read) and columns.told(str(label), table.iloc[:, place])
    ]
    if unknown:
        logger.warning("%s: not read, as unknown: the column %s.", path, ", ".join(unknown))


def _one_time(path: Path, table: pd.DataFrame) -> None:
    """Further axes, as napari's or time, must not mix points of several volumes."""
    for place, label in enumerate(table):
        if columns.is_further(str(label)) and table.iloc[:, place].nunique() > 1:
            raise InputError(
                f"{path} has points at several places of {label}, beside z, y, x; expected one: "
                "save the points of each by themselves."
            )


def cells(path: Path, *, tell: bool = False) -> list[list[str]]:
    """The values of every line that is neither blank nor a comment.

    Args:
        path: of the file.
        tell: warn of decimal commas, which become points.
    """
    lines = [line for line in re.split(r"\r\n|\r|\n", text_of(path)) if line.strip()]
    lines = [line for line in lines if not _is_comment(line)]
    if lines and _EXCEL.fullmatch(lines[0]):
        lines.pop(0)
    delimiter = next((mark for mark in _DELIMITERS if lines and mark in lines[0]), None)
    if delimiter is None or (delimiter == "," and _apart_by_blanks(lines[0])):
        return _with_points(path, [line.split() for line in lines], tell=tell)
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
        rows = [row for row in rows if any(row)]  # spreadsheets leave rows of nothing
    except csv.Error:
        raise InputError(f"{path} is not a table of text; a field in it is too long.") from None
    return _with_points(path, rows, tell=tell)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(("#", "%"))


def _apart_by_blanks(line: str) -> bool:
    """Whether the commas of a line are those of numbers, as in `1,5 2,5 3`."""
    words = line.split()
    numbers = [word for word in words if DECIMAL_COMMA.fullmatch(word)]
    return (
        len(words) > 2 and bool(numbers) and all(map(columns.is_number, set(words) - set(numbers)))
    )


def _with_points(path: Path, rows: list[list[str]], *, tell: bool) -> list[list[str]]:
    """With decimal points, where a spreadsheet has written decimal commas."""
    if any(DECIMAL_COMMA.fullmatch(cell) for row in rows for cell in row):
        if tell:
            logger.warning("%s: the commas in its numbers are read as decimal points.", path)
        rows = [
            [cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell for cell in row]
            for row in rows
        ]
    return rows
