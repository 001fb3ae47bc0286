"""Points read from STAR and CSV files, in voxels of the tomogram they belong to."""

from __future__ import annotations

import csv
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import starfile

from aitom_cryosam.errors import InputError
from aitom_cryosam.io.star import (
    CENTRED,
    CLASS,
    ID,
    KEPT,
    NAMES,
    NO_REASON,
    ORIGINS,
    PIXELS,
    REASON,
    SCORE,
    VOXEL_SIZE,
    Unbinned,
    relion_name,
)
from aitom_cryosam.picks import Picks

logger = logging.getLogger(__name__)

_SAME_SIZE = 0.01


@dataclass(frozen=True, eq=False)
class PointFile:
    """The points of one file, of one or several tomograms.

    Attributes:
        path: the file.
        picks: n points in voxels.
        names: n tomogram names as written, or None if the file does not say.
        classes: n particle classes, or None if the file does not say.
        voxel_size: Å, as the file states for its coordinates, or None.
    """

    path: Path
    picks: Picks
    names: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    voxel_size: float | None = None

    def take(self, index: np.ndarray) -> PointFile:
        """The points of an index or boolean array, in its order."""
        rows = np.arange(len(self.picks))[np.asarray(index)]
        names, classes = (
            column and tuple(column[row] for row in rows) for column in (self.names, self.classes)
        )
        return PointFile(self.path, self.picks.take(rows), names, classes, self.voxel_size)


def read_points(
    path: str | Path,
    *,
    voxel_size: float | None = None,
    coords_angpix: float | None = None,
    unbinned: Unbinned | None = None,
) -> PointFile:
    """Read the points of a STAR or CSV file.

    STAR: the first block with coordinates; `rlnOrigin*Angst` is subtracted. CSV: columns x, y,
    z under a header in any order and case (or napari's axis-0, axis-1, axis-2, which are z, y,
    x), or three bare columns x, y, z.
    Pixels are voxels of the tomogram unless `coords_angpix` says otherwise; a unit is never
    guessed from the values.

    Args:
        path: `.star`; any other file is read as text columns.
        voxel_size: Å, of the tomogram.
        coords_angpix: Å, the pixel size that the file's pixel columns are written in.
        unbinned: the tilt series, for `rlnCenteredCoordinate*Angst`.

    Raises:
        InputError: no such file, no coordinates, two possible units, a value that is not a
            number, or a voxel size that is missing or contradicts the file's own.
    """
    path = Path(path)
    for size in (voxel_size, coords_angpix):
        if size is not None and not 0 < size < np.inf:
            raise InputError(f"Expected a voxel or pixel size above 0 Å, got {size:g}.")
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    read = _star_table if path.suffix.lower() == ".star" else _csv_table
    try:
        table, columns = read(path)
    except (UnicodeDecodeError, PermissionError) as error:
        raise InputError(f"{path} cannot be read as text ({error}).") from None
    points = _numbers(table, columns, path)
    stated = float(_numbers(table, (VOXEL_SIZE,), path)[0, 0]) if _states_size(table) else None
    voxel = voxel_size or stated
    if columns == CENTRED:
        points = _from_centre(points, path, voxel, unbinned)
    elif coords_angpix is not None:
        points = points * (coords_angpix / _known(voxel, path, "--coords-angpix"))
    elif stated and voxel and abs(stated - voxel) > _SAME_SIZE * voxel:
        raise InputError(
            f"{path} is written in voxels of {stated:g} Å, but the voxels here have {voxel:g} Å; "
            "expected one and the same."
        )
    if all(label in table for label in ORIGINS):
        origins = _numbers(table, ORIGINS, path)
        if origins.any():
            points = points - origins / _known(voxel, path, "rlnOrigin*Angst")
    name = next((label for label in NAMES if label in table), None)
    return PointFile(
        path,
        _picks(table, points, path),
        tuple(map(str, table[name])) if name else None,
        tuple(map(str, table[CLASS])) if CLASS in table else None,
        stated,
    )


def _numbers(table: pd.DataFrame, columns: tuple[str, ...], path: Path) -> np.ndarray:
    """(n, columns) float64.

    Raises:
        InputError: naming the first row with a value that is not a finite number.
    """
    values = table[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        text = table[columns[column]].iloc[row]
        raise InputError(f"{path}, row {row + 1}: {columns[column]} is '{text}', not a number.")
    return values


def _star_table(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The first block with coordinates, and which columns those are."""
    try:
        blocks = starfile.read(path, always_dict=True, parse_as_string=[*NAMES, CLASS, REASON])
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{path} is not a STAR file that can be read ({error}).") from None
    for block in blocks.values():
        table = pd.DataFrame([block] if isinstance(block, dict) else block)
        found = [columns for columns in (PIXELS, CENTRED) if set(columns) <= set(table)]
        if len(found) == 2:
            raise InputError(
                f"{path} has coordinates in two possible units, {PIXELS[0]} and {CENTRED[0]}; "
                "remove the columns that do not count."
            )
        if found:
            return table, found[0]
    raise InputError(f"{path} has no coordinates; expected the columns {', '.join(PIXELS)}.")


_CSV_COLUMNS = {
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


def _csv_table(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows under the labels that a STAR file would have."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    if lines and "," not in lines[0] and ";" not in lines[0]:
        rows = [line.split() for line in lines]
    else:
        delimiter = ";" if lines and ";" in lines[0] else ","
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    header: list[str] = []
    if rows and not any(map(_is_number, rows[0])):
        header = [_CSV_COLUMNS.get(cell.lower(), cell) for cell in rows.pop(0)]
        if not set(PIXELS) <= set(header):
            raise InputError(f"{path} has no coordinates; expected the columns x, y, z.")
    elif rows and len(rows[0]) == 3:
        header = list(PIXELS)
    elif rows:
        raise InputError(f"{path} has {len(rows[0])} columns without names; add a header x,y,z.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InputError(f"{path}, row {number}: {len(row)} values; expected {len(header)}.")
    return pd.DataFrame(rows, columns=header or list(PIXELS), dtype=str), PIXELS


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _from_centre(
    points: np.ndarray, path: Path, voxel_size: float | None, unbinned: Unbinned | None
) -> np.ndarray:
    if unbinned is None or unbinned.size_xyz is None:
        raise InputError(
            f"{path} has only {CENTRED[0]}, Å from the centre of an unbinned tomogram whose "
            f"size is not known here; expected {PIXELS[0]} in pixels."
        )
    extent = np.array(unbinned.size_xyz) * unbinned.pixel_size
    return (points + extent / 2) / _known(voxel_size, path, CENTRED[0])


def _known(voxel_size: float | None, path: Path, reason: str) -> float:
    if voxel_size is None:
        raise InputError(f"{path}: {reason} needs the voxel size; add --voxel-size ANGSTROM.")
    return voxel_size


def _states_size(table: pd.DataFrame) -> bool:
    return VOXEL_SIZE in table and len(table) > 0


def _picks(table: pd.DataFrame, points_xyz: np.ndarray, path: Path) -> Picks:
    n = len(table)
    picks = Picks.from_points(points_xyz[:, ::-1])
    kept = _numbers(table, (KEPT,), path)[:, 0] != 0 if KEPT in table else picks.kept
    reasons = (
        tuple("" if text == NO_REASON else str(text) for text in table[REASON])
        if REASON in table
        else ("",) * n
    )
    return Picks(
        picks.points_zyx,
        _numbers(table, (SCORE,), path)[:, 0] if SCORE in table else picks.scores,
        _numbers(table, (ID,), path)[:, 0].astype(np.int64) if ID in table else picks.ids,
        kept,
        reasons,
    )


def of_tomogram(points: PointFile, tomogram: str) -> PointFile:
    """The points that belong to a tomogram.

    Names count without folder, extension, `.tomostar`, `rec_` and `_<v>Apx`. If none is equal,
    one that differs only by what processing appends (`TS_01` and `TS_01_den_bin4`, each part
    beginning with a letter) is taken with a warning; `TS_01` and `TS_02` or `TS_01_2` differ.

    Args:
        points: all points belong if their file gives no names.
        tomogram: its name.

    Raises:
        InputError: the file's points are of other tomograms.
    """
    if points.names is None or not points.names:
        return points
    wanted = relion_name(tomogram)
    roots = np.array([relion_name(name) for name in points.names])
    known = sorted(set(roots))
    if wanted in known:
        return points.take(roots == wanted)
    similar = [root for root in known if _processed(root, wanted) or _processed(wanted, root)]
    if len(similar) != 1:
        listed = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
        raise InputError(f"{points.path} has points of {listed}; expected some of {wanted}.")
    logger.warning("%s: taking the points of %s as of %s.", points.path, similar[0], wanted)
    return points.take(roots == similar[0])


def _processed(name: str, longer: str) -> bool:
    return re.fullmatch(re.escape(name) + r"(_[A-Za-z][^_]*)+", longer) is not None
