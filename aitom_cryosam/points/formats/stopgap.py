"""STOPGAP: a motive list as a STAR file, block `data_stopgap_motivelist`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.formats import motive_list
from aitom_cryosam.points.formats.motive_list import (
    ANGLES,
    CLASS,
    OBJECT,
    PARTICLE,
    PLACES,
    SCORE,
    SHIFTS,
    TOMOGRAM,
)
from aitom_cryosam.points.star_syntax import Columns, read_blocks, star_text
from aitom_cryosam.points.table import Table, numbers, numeric
from aitom_cryosam.points.tomogram_info import TomogramPicks

_BLOCK = "stopgap_motivelist"
_INDEX, _HALF = "motl_idx", "halfset"
_PHI, _THETA, _PSI = ANGLES
LABELS = (
    *(_INDEX, TOMOGRAM, OBJECT, PARTICLE, _HALF),
    *PLACES,
    SCORE,
    *SHIFTS,
    *(_PHI, _PSI, _THETA, CLASS),
)
"""The columns of a list, all of which STOPGAP expects, and no others."""
_NUMBERS = (TOMOGRAM, PARTICLE, *PLACES, *SHIFTS, *ANGLES, CLASS)


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is such a list."""
    return re.search(rb"^\s*data_stopgap_motivelist\s*$", head, re.M) is not None


def text(groups: Sequence[TomogramPicks]) -> str:
    """One block; all particles are of half set A, until STOPGAP divides them."""
    columns: Columns = dict(motive_list.columns(groups))
    columns |= {_INDEX: columns[PARTICLE], _HALF: ["A"] * len(columns[PARTICLE])}
    return star_text({_BLOCK: {label: columns[label] for label in LABELS}}, numbered=False)


def read(path: Path) -> Table:
    """The points of the list, see `motive_list.table`.

    Raises:
        InputError: there is no such block, or a value in it is not a number.
    """
    found = [block for block in read_blocks(path) if block.name == _BLOCK]
    if not found or not found[0].has(PLACES):
        expected = ", ".join(PLACES)
        raise InputError(f"{path} has no block data_{_BLOCK} with the columns {expected}.")
    rows = found[0].table()
    present = tuple(label for label in _NUMBERS if label in rows)
    values = dict(zip(present, numbers(rows, present, path).T, strict=True))
    if SCORE in rows:
        values[SCORE] = numeric(rows[SCORE])
    return motive_list.table(path, values)
