"""Numbers: tomograms and classes in formats that know them by number only.

A list beside a file, with the file's name and the ending `.doc`, says which tomogram is which, as
Dynamo has it, which also calls it `indices_column20.doc`; STOPGAP takes it for the extraction.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.names import relion_name
from aitom_cryosam.points.table import text_of
from aitom_cryosam.points.tomogram_info import TomogramPicks
from aitom_cryosam.source_file import reading

logger = logging.getLogger(__name__)

_LARGEST = 1 << 31  # what is larger, or no number, is none of a tomogram
_CATALOGUE = "indices_column20.doc"  # beside what Dynamo's catalogue crops
_OWN = re.compile(r"-?[0-9]{1,6}")


def of_tomograms(groups: Sequence[TomogramPicks]) -> list[int]:
    """One for each: their own where all are called by numbers, else from 1 in their order."""
    names = [relion_name(info.name) for _, info in groups]
    if all(_OWN.fullmatch(name) for name in names):
        own = [int(name) for name in names]
        if len(set(own)) == len(own):
            return own
    return list(range(1, len(names) + 1))


def of_classes(groups: Sequence[TomogramPicks], program: str) -> dict[str, int]:
    """The number of each class: its own, or, with a warning, its place among all names.

    Args:
        groups: of all tomograms.
        program: whose classes are numbers.
    """
    names = sorted({name for picks, _ in groups for name in picks.classes or ()})
    if all(_OWN.fullmatch(name) for name in names):
        return {name: int(name) for name in names}
    numbered = {name: number for number, name in enumerate(names, 1)}
    listed = ", ".join(f"{number} is {name}" for name, number in numbered.items())
    logger.warning("%s's classes are numbers: %s.", program, listed)
    return numbered


def doc(groups: Sequence[TomogramPicks]) -> str:
    """The list beside a file: number and name of each tomogram."""
    numbered = zip(of_tomograms(groups), groups, strict=True)
    return "".join(f"{number} {info.name}\n" for number, (_, info) in numbered)


def names(path: Path, column: np.ndarray) -> list[str] | None:
    """The tomogram of each point, by the list beside the file if it is there.

    Without it, a file of one tomogram names none, and one of several names them by number.

    Args:
        path: of the file.
        column: (n,) the numbers in it.

    Returns:
        n names, or None if the file does not number them.

    Raises:
        InputError: the list is none, or lacks a number.
    """
    if not (np.abs(column) < _LARGEST).all():
        return None
    tomograms = column.astype(int)
    beside, catalogue = path.with_suffix(".doc"), path.with_name(_CATALOGUE)
    if os.path.isfile(beside):
        known = _listed(beside)
        if not set(tomograms) <= set(known):
            missing = min(set(tomograms) - set(known))
            raise InputError(f"{beside} does not name the tomogram {missing} of {path}.")
        return [known[number] for number in tomograms]
    if os.path.isfile(catalogue) and set(tomograms) <= set(known := _listed(catalogue)):
        return [known[number] for number in tomograms]
    if len(set(tomograms)) < 2:
        return None
    logger.warning(
        "%s: its tomograms are called by their numbers, as there is no %s beside it with a number "
        "and a name a line.",
        path,
        beside.name,
    )
    return [str(number) for number in tomograms]


def _listed(path: Path) -> dict[int, str]:
    """The names in a list, by number."""
    with reading(path, "a list of tomograms by number, a number and a name a line"):
        lines = [line.split(maxsplit=1) for line in text_of(path).splitlines() if line.strip()]
        return {int(number): name.strip() for number, name in lines}
