"""Tilts: the angles of a tilt series as other programs write them, and their range.

They are those of RELION, IMOD and AreTomo: a tilt t about y sees x cos t + z sin t. Warp's are
the negative of these.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.errors import InputError
from aitom_cryosam.points.formats.columns import bare, is_number
from aitom_cryosam.points.formats.text import DECIMAL_COMMA, cells
from aitom_cryosam.points.star_syntax import read_blocks
from aitom_cryosam.points.table import text_of
from aitom_cryosam.remedies import Remedy

logger = logging.getLogger(__name__)

_LABELS = ("rlnTomoYTilt", "rlnTomoNominalStageTiltAngle")
_OF_WARP, _FILES = "wrpAngleTilt", "rlnTomoTiltSeriesStarFile"
_ABOUT_X = "rlnTomoXTilt"
_COLUMNS = ("tilt", "tiltangle", "angle", "rlntomoytilt", "rlntomonominalstagetiltangle")
_STEEPEST = 90.0
_LEAST = 10.0  # degrees to either side that any whole tilt series reaches
_MOST_COLUMNS = 3  # number, tilt, dose; files of shifts and of defocus have more


def read_tilts(path: str | Path) -> np.ndarray:
    """(t,) degrees, in the order of the file, of the images that are used.

    Text of one angle a line, or of all in one (`.tlt`, `.rawtlt`); a table with a header, or with
    a number or a dose beside each angle; RELION's STAR of one tilt series, Warp's `.tomostar` or
    `.xml`, SerialEM's `.mdoc`, AreTomo's `.aln`.

    Raises:
        InputError: no such file, or no angles in it.
    """
    path = Path(path)
    text = text_of(path)
    ending = path.suffix.lower()
    if ending in (".star", ".tomostar"):
        return _of_star(path)
    if "<Angles>" in text:
        return -_degrees(path, _used(text)) - _attribute(text, "LevelAngleY")
    if found := re.findall(r"^\s*TiltAngle\s*=\s*(\S+)", text, re.M):
        return _degrees(path, found)
    if ending == ".aln":
        whole_images = text.partition("# Local")[0].splitlines()
        rows = [line.split() for line in whole_images if line.strip()]
        return _degrees(path, [row[-1] for row in rows if not row[0].startswith("#")])
    return _degrees(path, _of_table(path))


def _of_star(path: Path) -> np.ndarray:
    """(t,) degrees, of a STAR file.

    Raises:
        InputError: it holds none, those of several tilt series or about x, or names their files.
    """
    blocks = read_blocks(path)
    series = [block for block in blocks if {_OF_WARP, *_LABELS} & set(block.labels)]
    if len(series) > 1:
        raise InputError(
            f"{path} holds the tilts of {len(series)} tilt series; expected one: copy its block, "
            f"such as data_{series[0].name}, into a file of its own."
        )
    columns = {label: block.column(label) for block in series or blocks for label in block.labels}
    if _OF_WARP in columns:
        return -_degrees(path, columns[_OF_WARP])
    if named := columns.get(_FILES):
        raise InputError(f"{path} only names the files of tilt series, as {named[0]}; use one.")
    angles = _degrees(path, next((columns[label] for label in _LABELS if label in columns), ()))
    if _ABOUT_X in columns and np.ptp(_degrees(path, columns[_ABOUT_X])) > np.ptp(angles):
        raise InputError(f"{path} has tilts about x ({_ABOUT_X}), not y", Remedy.TILT_RANGE)
    return angles


def _used(text: str) -> list[str]:
    """The angles in Warp's XML, without those of images that are left out."""
    angles, used = (
        " ".join(re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)).split()
        for tag in ("Angles", "UseTilt")
    )
    if len(used) != len(angles):
        return angles
    return [angle for angle, use in zip(angles, used, strict=True) if use.lower() != "false"]


def _attribute(text: str, name: str) -> float:
    found = re.search(rf'\b{name}="([^"]*)"', text)
    return float(found[1]) if found and is_number(found[1]) else 0.0


def _of_table(path: Path) -> list[str]:
    """The column of angles: by its name, behind one that counts the images, or the first."""
    rows = _with_commas(text_of(path)) or cells(path)
    if len(rows) < 2:
        return rows[0] if rows else []
    place = 0
    if not any(map(is_number, rows[0])):
        names = [bare(name) for name in rows.pop(0)]
        place = next((names.index(name) for name in _COLUMNS if name in names), 0)
    elif len(rows[0]) > 1 and _counts([row[0] for row in rows]):
        place = 1
    if any(len(row) <= place or len(row) > _MOST_COLUMNS for row in rows):
        return ["?"]
    return [row[place] for row in rows]


def _with_commas(text: str) -> list[list[str]]:
    """The rows of a table of numbers with decimal commas, with points; none of any other.

    `0,3` below `0,0` may be the third column of a table of integers that are parted by commas,
    and is, if the first parts of all count the images.
    """
    rows = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    words = [word for row in rows for word in row]
    commas = [word for word in words if DECIMAL_COMMA.fullmatch(word)]
    others = [word for word in words if word not in commas]
    if not commas or not all(map(is_number, others)):
        return []
    if not others and _counts([word.partition(",")[0] for word in commas]):
        return []
    return [[word.replace(",", ".") for word in row] for row in rows if row]


def _counts(words: Sequence[str]) -> bool:
    """Whether they are 0, 1, 2 or 1, 2, 3 and so on."""
    return any(words == [str(first + i) for i in range(len(words))] for first in (0, 1))


def _degrees(path: Path, words: Sequence[str]) -> np.ndarray:
    """(t,) float64.

    Raises:
        InputError: there are no angles, or something else stands in their place.
    """
    try:
        angles = np.array([float(word) for word in words])
    except ValueError:
        raise InputError(f"{path} holds no tilt angles; expected one number a line.") from None
    if not len(angles) or not np.isfinite(angles).all():
        raise InputError(f"{path} holds no tilt angles; expected some in degrees.")
    if (steep := np.abs(angles) > _STEEPEST).any():
        problem = f"{path}: a tilt of {angles[steep][0]:g}° cannot be"
        raise InputError(problem, Remedy.TILT_RANGE)
    return angles


def wedge_of_tilts(path: str | Path, axis: float = 0.0) -> MissingWedge:
    """The range of a file's tilts.

    Args:
        path: as for `read_tilts`.
        axis: degrees from y towards x.

    Raises:
        InputError: as for `read_tilts`, or all angles are the same.
    """
    angles = read_tilts(path)
    if angles.max() - angles.min() < 1:
        raise InputError(f"{path}: all its tilts are {angles[0]:g}°", Remedy.TILT_RANGE)
    low, high = float(angles.min()), float(angles.max())
    if low > -_LEAST or high < _LEAST:
        logger.warning(
            "%s: its tilts go from %g° to %g° only; if they are a part of a tilt series, or no "
            "tilts but doses, %s.",
            path,
            low,
            high,
            Remedy.TILT_RANGE.said(),
        )
    return MissingWedge(low, high, axis)
