"""Columns: what those of a table of text mean, by the names that programs and people give them."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.lengths import ANGSTROM
from aitom_cryosam.points.table import CENTRED, CLASS, NAMES, PIXELS, SCORE, VOXEL_SIZE, Unit
from aitom_cryosam.wording import listed

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

# What a column is called, without blanks, dots, dashes and underscores, in small letters.
_MEANINGS = {
    NAMES[0]: (
        "tomogram tomo tomogramname tomoname tomoid tomogramid run runname runid experiment "
        "experimentname micrograph micrographname filename file image imagename tiltseries ts "
        "tsname series dataset rlntomoname rlnmicrographname volume volumename mrc mrcfile "
        "tomofile tomogramfile tomostar tomo3d path filepath"
    ),
    CLASS: (
        "class classname classid particleclass particletype particlename type label "
        "objectname pickableobjectname predictedclassname predictedclass predictedlabel structure "
        "protein species rlnclassnumber"
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
_WORDS = {word: label for label, words in _MEANINGS.items() for word in words.split()}
KNOWN = {*PIXELS, *_MEANINGS}
"""The labels that columns get."""
_SCORES = re.compile(
    r"[a-z]*(score|confidence|probability|correlation|similarity|likelihood|certainty)(value|max)?"
    r"|(max|mean|peak)?(cc|ccc|ncc|lcc)(value|max|score)?|metricbest|peakvalue"
)
"""What a column may be called, likewise, whose numbers are scores where no other's are."""
_OF_STAR = re.compile(r"(rln|wrp|cryosam)[A-Z]\w*|particleClass")
_INDEX = re.compile(r"(unnamed: ?\d+|index)?", re.I)
"""pandas' column of row numbers, in a table that was written once or twice."""
_ARRAY = re.compile(r"(axis|centroid)-\d+")
"""napari's and scikit-image's columns: of axes of an array, the last three of which are z, y, x."""
_AXES = dict(zip("xyz", PIXELS, strict=True))
_NEUTRAL = {
    *["coor", "coord", "coords", "coordinate", "coordinates", "pos", "position", "point"],
    *["center", "centre", "centroid", "location", "loc", "rlncoordinate", "faxis"],
}
_VOXEL, _ANGSTROM = (Unit.VOXEL, 1.0), (Unit.ANGSTROM, 1.0)
_UNITS = {
    **dict.fromkeys(["vox", "voxel", "voxels", "px", "pix", "pixel", "pixels"], _VOXEL),
    **{name: (Unit.ANGSTROM, size) for name, size in ANGSTROM.items()},
}
_OF_UNITS = {"unit", "units"}
MATRIX = tuple(f"transform_{row}{column}" for row in range(3) for column in range(3))
"""copick's columns of a particle's orientation, row by row."""
ADDED = tuple(f"transform_{row}3" for row in range(3))
"""copick's columns of a shift, Å, that its location lacks."""
_IN_ANGSTROM = (
    {*MATRIX},
    {"user_id", "session_id"},
    {"experiment", "particle_type"},
    {"polydata", "tomo3d"},
)
"""Columns of tables that count Å without a word: copick's, of the CZII competition, PolNet's."""
SHIFTS, TURNS = ("shift_x", "shift_y", "shift_z"), ("phi", "the", "psi")
_ARTIAX = {"pos_x", "pos_y", "pos_z", *SHIFTS, *TURNS}
"""Columns of ArtiaX's generic lists: voxels, shifts that are added, and TOM's angles."""
OBJECT = "objectid"
_IMOD = {OBJECT, "contourid"}
"""Columns of imodmodel, whose x and y count pixels from their corner, as IMOD's models do."""
_SHOWN = 30  # letters of a name in an error
_ROUNDED = 0.02  # of a rotation in few decimals
_CODE = {"polydata", "code"}
"""Columns of PolNet: the second says which particle it is, not its Type or Label."""
_FOREIGN = (
    (
        {"x", "y", "slice"},
        "is a table of ImageJ, which counts slices from 1; write z = Slice - 1 in its place, and x "
        "and y in voxels",
    ),
    (
        {"x", "y", "width", "height", "c", "z", "t"},
        "is a list of regions of ImageJ, by their corners and slices from 1; write their middle in "
        "voxels, z = Z - 1, in columns x,y,z",
    ),
    (
        {"ccc", "pindex", "xoffset", "yoffset", "zoffset"},
        "is a motive list of PEET, whose points are in the model beside it; name that",
    ),
)
"""Columns of tables that have no points, or none that can be read, and what to do."""
_SHAPE, _SHAPES = "shape-type", {"ellipse", "rectangle", "polygon"}
"""napari's column of what a row is a corner of, and those whose corners are no points."""
_TIMES = {"t", "time", "timepoint", "frame", "channel"}
_BOXES = {
    *("w", "h", "d", "width", "height", "depth"),
    *("xsize", "ysize", "zsize", "sizex", "sizey", "sizez"),
}
"""Columns of the size of boxes, of which x, y, z may be a corner."""
_SCALES = {
    *("bin", "binning", "binfactor", "binningfactor", "scale", "downsampling"),
    *(
        f"{of}{what}{unit}"
        for of in ("pixel", "voxel")
        for what in ("size", "spacing")
        for unit in ("nm", "um", "µm")
    ),
}
"""Columns of numbers that may change what a coordinate counts."""
_SHIFTS = re.compile(r"(d|shift|offset|(rln)?origin)[xyz](angst)?|[xyz](shift|offset|origin)")
"""Columns of numbers that may be added to a coordinate."""
_ANGLES = re.compile(
    r"(angle)?(rot|tilt|psi|phi|theta|the|tdrot|narot)|n[xyz]|q([wxyz]|[0-4])|"
    r"(euler|rotation|orientation|normal|direction|quaternion)(angle)?[wxyz0-4]"
)
"""Columns of numbers that may say how a particle is turned."""


def of_star(names: Sequence[str]) -> list[int]:
    """The places of the labels of a STAR file with points; none, if there are any other names."""
    found = [place for place, name in enumerate(names) if _OF_STAR.fullmatch(name)]
    points = any(set(labels) <= set(names) for labels in (PIXELS, CENTRED))
    others = [name for place, name in enumerate(names) if place not in found]
    return found if points and all(map(_INDEX.fullmatch, others)) else []


def have_axes(names: Sequence[str]) -> bool:
    """Whether x, y and z are among them, once each."""
    found = [axis[0] for axis in map(_axis, names) if axis]
    return sorted(found) == sorted(PIXELS)


def meanings(path: Path, names: Sequence[str]) -> tuple[list[str], Unit, float]:
    """What each column is called here, and what x, y, z count.

    Args:
        path: of the file, for errors.
        names: of all columns, as the file has them.

    Returns:
        A label for each, or its own name in small letters; the unit; and how many of it one is.

    Raises:
        InputError: x, y and z are missing, or there are several.
    """
    header = [_WORDS.get(bare(name), name.strip().lower()) for name in names]
    plain = list(map(bare, names))
    if SCORE not in header and (like := [name for name in plain if _SCORES.fullmatch(name)]):
        header[plain.index(like[0])] = SCORE
    for known, what in _FOREIGN:
        if known <= set(plain) and ("z" in known) == ("z" in plain):
            raise InputError(f"{path} {what}.")
    if set(plain) >= _CODE:
        header[plain.index("code")] = CLASS
        header = [
            name if label == CLASS and name != "code" else label
            for name, label in zip(plain, header, strict=True)
        ]
    arrays = [name for name in header if _ARRAY.fullmatch(name)]
    if len(arrays) >= 3 and len(set(arrays)) == len(arrays):  # further axes stand in front
        arrays.sort(key=lambda name: int(name.partition("-")[2]))
        last = dict(zip(arrays[-3:], PIXELS[::-1], strict=True))
        return _once([last.get(name, name) for name in header], names), Unit.VOXEL, 1.0
    units = set()
    for place, name in enumerate(names):
        if found := _axis(name):
            header[place], unit = found
            units.add(unit)
    if len(units) > 1 or any(header.count(label) > 1 for label in PIXELS):
        raise InputError(
            f"{path} has x, y and z in several columns or units; expected one of each: "
            f"{', '.join(names)}."
        )
    if not set(PIXELS) <= set(header):
        got = listed(repr(name[:_SHOWN])[1:-1] for name in names)
        raise InputError(f"{path} has no coordinates; expected the columns x, y, z, got {got}.")
    [unit] = units
    return _once(header, names), *(unit or _of_program(path, names))


def _once(header: Sequence[str], names: Sequence[str]) -> list[str]:
    """Labels of which each stands for its first column; others have their own names again."""
    return [
        name if label in _MEANINGS and label in header[:place] else label
        for place, (label, name) in enumerate(zip(header, names, strict=True))
    ]


def _axis(name: str) -> tuple[str, tuple[Unit, float] | None] | None:
    """The axis of a column of coordinates, and its unit if it says one; None for any other."""
    apart = re.sub(r"(?<=[a-z])(?=[XYZ])|(?i:(?<=^[xyz])(?=(pos|coor)))", " ", name)
    words = re.findall(r"[^\W\d_]+", re.sub(r"#\d+$", "", apart))
    words = [word.lower().replace("\u03bc", "\u00b5") for word in words]
    axes = [word for word in words if word in _AXES]
    units = [word for word in words if word in _UNITS]
    others = set(words) - {*axes, *units} - _NEUTRAL
    if len(axes) != 1 or len(units) > 1 or others:
        return None
    return _AXES[axes[0]], _UNITS[units[0]] if units else None


def _of_program(path: Path, names: Sequence[str]) -> tuple[Unit, float]:
    """What bare x, y, z count, where other columns tell whose table it is."""
    plain = {name.strip().lower() for name in names}
    for known in _IN_ANGSTROM:
        if plain.issuperset(known):
            logger.warning(
                "%s: its x, y, z are taken as Å, which they are in tables with columns %s and %s.",
                path,
                min(known),
                max(known),
            )
            return _ANGSTROM
    return _VOXEL


def of_imod(names: Sequence[str]) -> bool:
    """Whether it is a table of imodmodel, in the coordinates of IMOD's models."""
    return set(map(bare, names)) >= _IMOD


def of_emclarity(row: Sequence[str]) -> bool:
    """Whether a row of numbers is emClarity's: 26, of which 17 to 25 are a rotation."""
    if len(row) != 26 or not all(map(is_number, row)):
        return False
    turn = np.array(row[16:25], np.float64).reshape(3, 3)
    return bool(np.abs(turn @ turn.T - np.eye(3)).max() < _ROUNDED)


def of_artiax(names: Sequence[str]) -> bool:
    """Whether it is a generic list of particles of ArtiaX."""
    return set(names) >= _ARTIAX


def stated_unit(path: Path, table: pd.DataFrame) -> tuple[Unit, float] | None:
    """What a column of units says of all rows; None if there is none.

    Raises:
        InputError: it says several, or one that is not known.
    """
    label = next((label for label in table if bare(str(label)) in _OF_UNITS), None)
    if label is None or not len(table):
        return None
    said = sorted(set(table[label].str.strip().str.lower()))
    if len(said) > 1 or said[0] not in _UNITS:
        raise InputError(
            f"{path}: the column {label} says {' and '.join(said[:2])!r}; expected voxel, angstrom "
            "or nm, the same in all rows."
        )
    return _UNITS[said[0]]


def told(label: str, values: pd.Series) -> bool:
    """Whether a column that means nothing here is told to be passed over.

    Words may be what tells the points apart; numbers, what coordinates count or lack, or angles.
    """
    name = bare(label)
    if name in _OF_UNITS:
        return False
    if name in _SCALES | _BOXES or not values.map(_harmless).all():
        return True
    counts = _SHIFTS.fullmatch(name) or _ANGLES.fullmatch(name)
    return counts is not None and any(float(value or 0) for value in values)


def _harmless(cell: str) -> bool:
    return not cell or is_number(cell)


def of_regions(header: Sequence[str], names: Sequence[str], table: pd.DataFrame) -> list[str]:
    """The labels of a table of regions, whose volume names no tomogram, and label no class.

    Args:
        header: labels of the columns.
        names: what the file calls them.
        table: n rows.
    """
    found = list(header)
    for place, name in enumerate(map(bare, names)):
        column = table.iloc[:, place]
        counts = name == "label" and len(column) > 1 and column.is_unique
        if (counts or name == "volume") and column.map(is_number).all():
            found[place] = name
    return found


def refuse_shapes(path: Path, table: pd.DataFrame) -> None:
    """Corners of napari's shapes are no particles; those of lines and paths may be.

    Raises:
        InputError: there are some.
    """
    if _SHAPE in table and (found := _SHAPES & set(table[_SHAPE])):
        raise InputError(
            f"{path} has the corners of shapes of napari ({min(found)}); click on the particles in "
            "a layer of points instead, and save that."
        )


def is_further(label: str) -> bool:
    """Whether it is a further axis, as of an array or time."""
    return bool(_ARRAY.fullmatch(label)) or bare(label) in _TIMES


def bare(name: str) -> str:
    """The name of a column without what people write in different ways."""
    return re.sub(r"[\s._()[\]-]|#\d+$", "", name.lower()).replace("å", "a")


def is_number(text: str) -> bool:
    """Whether the text is one."""
    try:
        float(text)
    except ValueError:
        return False
    return True
