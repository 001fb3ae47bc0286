"""Which points of a file belong to which tomogram, by the names that programs give it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.names import distinct, one_number, relion_name, same_place, series_name
from aitom_cryosam.points.point_file import PointFile
from aitom_cryosam.wording import listed

logger = logging.getLogger(__name__)


def of_tomogram(points: PointFile, tomogram: str | Path) -> PointFile:
    """The points that belong to a tomogram.

    Names count without folder, extension, `.tomostar`, `rec_` and `_<v>Apx`; of two tomograms of
    one file name the folders decide. If none is equal, one that differs only by what programs
    append (`TS_01_Vol` and `TS_01_bin4`), by zeros before a number (`051` and `51`), or by parts
    that each begin with a letter, is taken with a warning; `TS_01` and `TS_02` or `TS_01_2`
    differ.

    Args:
        points: all points belong if their file gives no names.
        tomogram: its name, or better its path.

    Raises:
        InputError: the file's points are of other tomograms, or of several of this name.
    """
    if not points.names:
        return points
    path = str(tomogram)
    label = distinct(points.names)
    labels = {name: label(name) for name in dict.fromkeys(points.names)}
    wanted = relion_name(path)
    exact = {labels[name] for name in labels if relion_name(name) == wanted}
    if len(exact) > 1:
        exact = {labels[name] for name in labels if labels[name] in exact and _fits(name, path)}
    similar = exact or {labels[name] for name in labels if _similar(relion_name(name), wanted)}
    known = sorted(set(labels.values()))
    if len(similar) != 1:
        raise InputError(
            f"{points.path} has points of {listed(known)}; expected some of {wanted}: if they are "
            "of it, call it so in the file."
        )
    [found] = similar
    if not exact:
        logger.warning("%s: taking the points of %s as of %s.", points.path, found, wanted)
    return points.take(np.array([labels[name] == found for name in points.names]))


def points_in(points: PointFile, tomograms: Sequence[Path]) -> set[Path]:
    """The tomograms that a file has points of.

    Args:
        points: of any of them, and of others.
        tomograms: paths.

    Raises:
        InputError: the file has points of none, or does not say which of several they are of.
    """
    if points.names is None and len(tomograms) > 1:
        raise InputError(
            f"{points.path} does not say in which of {len(tomograms)} tomograms its points are; "
            "add a column with their names."
        )
    found = set()
    for path in tomograms:
        try:
            of_tomogram(points, path)
            found.add(path)
        except InputError as error:
            nothing = error
    if not found:
        raise nothing
    return found


def _fits(name: str, path: str) -> bool:
    """Whether a name with folders is that of a file, which needs folders itself."""
    return same_place(name, path) and len(re.split(r"[\\/]", path)) > 1


def _similar(name: str, wanted: str) -> bool:
    one, two = series_name(name), series_name(wanted)
    return (
        one == two or one_number(one, two) or _processed(name, wanted) or _processed(wanted, name)
    )


def _processed(name: str, longer: str) -> bool:
    return re.fullmatch(re.escape(name) + r"(_[A-Za-z][^_]*)+", longer) is not None
