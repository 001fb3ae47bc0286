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
from aitom_cryosam.points.table import (
    CLASS,
    NAMES,
    PIXELS,
    SCORE,
    VOXEL_SIZE,
    XYZ,
    Table,
    Unit,
    one_size,
    positive,
    text_of,
)
from aitom_cryosam.points.tomogram_info import TomogramPicks

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

# What a column is called, without blanks, dots, dashes and underscores, in small letters.
_MEANINGS = {
    NAMES[0]: (
        "tomogram tomo tomogramname tomoname tomoid tomogramid run runname runid experiment "
        "experimentname micrograph micrographname filename file image imagename tiltseries ts "
        "tsname series dataset rlntomoname rlnmicrographname volume volumename mrc mrcfile "
        "tomofile tomogramfile tomostar path filepath"
    ),
    CLASS: (
        "class classname classid particleclass particletype particlename type label "
        "objectname pickableobjectname structure protein species rlnclassnumber"
    ),
    VOXEL_SIZE: (
        "voxelsize voxelspacing pixelsize pixelspacing apix angpix voxelsizeangstrom "
        "voxelspacingangstrom pixelsizeangstrom voxelsizea pixelsizea voxelsizeang pixelsizeang"
    ),
    SCORE: (
        "score scores confidence cc ccc lcc lccmax rlnlccmax probability prob fom figureofmerit "
        "rlnautopickfigureofmerit"
    ),
}
_LABELS = {word: label for label, words in _MEANINGS.items() for word in words.split()}
_AXES = dict(zip("xyz", PIXELS, strict=True))
_NEUTRAL = {
    *[
        "coord",
        "coords",
        "coordinate",
        "coordinates",
        "pos",
        "position",
        "center",
        "centre",
        "location",
        "loc",
        "point",
    ],
    *["rlncoordinate", "faxis"],
}
_UNITS = {
    **dict.fromkeys(["vox", "voxel", "voxels", "px", "pix", "pixel", "pixels"], (Unit.VOXEL, 1.0)),
    **dict.fromkeys(["a", "å", "ang", "angst", "angstrom", "angstroms"], (Unit.ANGSTROM, 1.0)),
    **dict.fromkeys(["nm", "nanometer", "nanometers"], (Unit.ANGSTROM, 10.0)),
}
_SCALES = {"bin", "binning", "binfactor", "binningfactor", "scale", "downsampling"}
"""Columns of numbers that may change what a coordinate counts."""
_TIMES = {"t", "time", "timepoint", "frame", "channel"}
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_ORDER = re.compile(r"#\s*([xyz])[\s,;]+([xyz])[\s,;]+([xyz])\s*$", re.I)


def coords(groups: Sequence[TomogramPicks]) -> str:
    """`.coords`: one point a line, x y z in voxels, nothing else."""
    return "".join(
        f"{x:.6f} {y:.6f} {z:.6f}\n" for picks, _ in groups for z, y, x in picks.points_zyx
    )


def read(path: Path) -> Table:
    """Points under the labels that a STAR file would have.

    Columns x, y, z under a header in any order and case, with a unit or without (`x`, `coord_x`,
    `x_px`, `X [nm]`), or napari's axes, of which the last three are z, y, x; columns of names,
    classes and scores under any usual name. Without a header, three bare columns: x, y, z, or
    as a comment `# z y x` above them says.

    Raises:
        InputError: there are no such columns, a row is not as long as the others, or a column
            may be a header or may be numbers.
    """
    import pandas as pd

    rows = cells(path, tell=True)
    header, names = list(PIXELS), list(XYZ)
    unit, scale = Unit.VOXEL, 1.0
    if rows and not any(map(is_number, rows[0])):
        names = rows.pop(0)
        header, unit, scale = _header(path, names)
    elif rows and len(rows[0]) == 3:
        header = _order(path)
        names = [label[-1].lower() for label in header]
        _refuse_counted(path, rows)
    elif rows:
        raise InputError(f"{path} has {len(rows[0])} columns without names; add a header x,y,z.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            twice = len(row) == 2 * len(header) and "," in text_of(path)
            hint = "; beside decimal commas, columns are parted by semicolons" if twice else ""
            raise InputError(
                f"{path}, row {number}: {len(row)} values; expected {len(header)}{hint}."
            )
    table = pd.DataFrame(rows, columns=header, dtype=str)
    _tell_unknown(path, table)
    _one_time(path, table)
    if scale != 1:
        for label in PIXELS:
            numeric = pd.to_numeric(table[label], errors="coerce")
            table[label] = (numeric * scale).where(numeric.notna(), table[label])
    sizes = None
    if VOXEL_SIZE in table and unit is Unit.VOXEL and len(table):
        sizes = np.array([positive(size, path, "the voxel size") for size in table[VOXEL_SIZE]])
    return Table(
        table,
        unit,
        PIXELS,
        voxel_size=one_size(sizes),
        sizes=sizes,
        written=dict(zip(table, names, strict=True)),
    )


def _header(path: Path, names: Sequence[str]) -> tuple[list[str], Unit, float]:
    """The labels of the columns, and the unit of x, y, z."""
    header = [_label(name) for name in names]
    napari = sorted(int(name[5:]) for name in header if re.fullmatch(r"axis-\d+", name))
    if len(napari) >= 3:
        last = dict(zip((f"axis-{axis}" for axis in napari[-3:]), PIXELS[::-1], strict=True))
        return [last.get(name, name) for name in header], Unit.VOXEL, 1.0
    units = set()
    for place, name in enumerate(names):
        if found := _axis(name):
            label, unit = found
            header[place] = label
            units.add(unit)
    if len(units) > 1 or any(header.count(label) > 1 for label in PIXELS):
        raise InputError(
            f"{path} has x, y and z in several columns or units; expected one of each: "
            f"{', '.join(names)}."
        )
    if not set(PIXELS) <= set(header):
        raise InputError(f"{path} has no coordinates; expected the columns x, y, z.")
    for label in _MEANINGS:
        if header.count(label) > 1:
            first = header.index(label)
            header = [
                names[i] if name == label and i > first else name for i, name in enumerate(header)
            ]
    return header, *units.pop()


def _label(name: str) -> str:
    """What a column means, or its own name in small letters."""
    return _LABELS.get(_bare(name), name.strip().lower())


def _bare(name: str) -> str:
    return re.sub(r"[\s._()[\]-]|#\d+$", "", name.lower()).replace("å", "a")


def _axis(name: str) -> tuple[str, tuple[Unit, float]] | None:
    """The axis and unit of a column of coordinates; None for any other."""
    words = re.findall(
        r"[^\W\d_]+", re.sub(r"#\d+$", "", re.sub(r"(?<=[a-z])(?=[XYZ])", " ", name))
    )
    words = [word.lower() for word in words]
    axes = [word for word in words if word in _AXES]
    units = [word for word in words if word in _UNITS]
    others = set(words) - {*axes, *units} - _NEUTRAL
    if len(axes) != 1 or len(units) > 1 or others:
        return None
    return _AXES[axes[0]], _UNITS[units[0]] if units else (Unit.VOXEL, 1.0)


def _order(path: Path) -> list[str]:
    """The order of three bare columns, as a comment above them says."""
    for line in text_of(path).splitlines():
        if found := _ORDER.match(line.strip()):
            axes = [axis.lower() for axis in found.groups()]
            if set(axes) == set("xyz"):
                return [_AXES[axis] for axis in axes]
        if line.strip() and not line.startswith("#"):
            break
    return list(PIXELS)


def _refuse_counted(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """A first row 0,1,2 above other numbers is the header of a table without names."""
    if list(rows[0]) == ["0", "1", "2"] and len(rows) > 1:
        raise InputError(
            f"{path} begins with 0,1,2, a header of a table without names or a point; write "
            "x,y,z in its place, or 0.0,1.0,2.0 if it is a point."
        )


def _tell_unknown(path: Path, table: pd.DataFrame) -> None:
    """A column of words may be what tells the points apart, one of numbers what they count.

    Neither is passed over in silence.
    """
    known = {*PIXELS, *_MEANINGS}
    unknown = [
        str(label)
        for label in table
        if label not in known
        and len(table)
        and (_bare(str(label)) in _SCALES or not table[label].map(_harmless).all())
    ]
    if unknown:
        logger.warning("%s: not read, as unknown: the column %s.", path, ", ".join(unknown))


def _harmless(cell: str) -> bool:
    return not cell or is_number(cell)


def _one_time(path: Path, table: pd.DataFrame) -> None:
    """Further axes, as napari's or time, must not mix points of several volumes."""
    for label in table:
        further = re.fullmatch(r"axis-\d+", str(label)) or _bare(str(label)) in _TIMES
        if further and table[label].nunique() > 1:
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
    lines = [line for line in lines if not line.startswith("#")]
    delimiter = next((mark for mark in (";", "\t", ",") if lines and mark in lines[0]), None)
    if delimiter is None or (delimiter == "," and _apart_by_blanks(lines[0])):
        return _with_points(path, [line.split() for line in lines], tell=tell)
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error:
        raise InputError(f"{path} is not a table of text; a field in it is too long.") from None
    return _with_points(path, rows, tell=tell)


def _apart_by_blanks(line: str) -> bool:
    """Whether the commas of a line are those of numbers, as in `1,5 2,5 3`."""
    words = line.split()
    numbers = [word for word in words if _DECIMAL_COMMA.fullmatch(word)]
    return len(words) > 2 and bool(numbers) and all(map(is_number, set(words) - set(numbers)))


def _with_points(path: Path, rows: list[list[str]], *, tell: bool) -> list[list[str]]:
    """With decimal points, where a spreadsheet has written decimal commas."""
    if any(_DECIMAL_COMMA.fullmatch(cell) for row in rows for cell in row):
        if tell:
            logger.warning("%s: the commas in its numbers are read as decimal points.", path)
        rows = [
            [cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in row]
            for row in rows
        ]
    return rows


def is_number(text: str) -> bool:
    """Whether the text is one."""
    try:
        float(text)
    except ValueError:
        return False
    return True
