"""Prompts: the clicks that a user types or keeps in a file, checked against the tomogram.

A click is on a particle, a prompt; or on what is none, a rejected place.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import as_typed
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.belonging import of_tomogram
from aitom_cryosam.points.formats.registry import endings
from aitom_cryosam.points.outside import otherwise
from aitom_cryosam.points.point_file import PointFile
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.wording import listed

logger = logging.getLogger(__name__)

PROMPT, REJECTED = "prompt", "rejected place"


def read_prompts(
    tomogram: Tomogram,
    given: Sequence[str | Sequence[float]] = (),
    path: str | Path | None = None,
    *,
    coords_angpix: float | None = None,
    tilt_series: TiltSeries | None = None,
) -> Picks:
    """The prompts of a run, numbered from 1: the typed ones, then those of the file.

    Points of the file that lie outside the tomogram or on its blank margin are left out with a
    warning, unless all do.

    Args:
        tomogram: which they point into.
        given: x, y, z each, voxels, or the same as text "X,Y,Z".
        path: any file that `reading.read_points` reads; only this tomogram's rows count, and of
            proposals those that are kept.
        coords_angpix: Å, the pixel size that the file's coordinates are written in.
        tilt_series: the tilt series, for a file in its pixels or in Å from its centre.

    Raises:
        InputError: there is no prompt, or one is not three numbers, a typed one or all of the
            file lie outside the tomogram or on its blank margin, or the file cannot be used.
    """
    found = _checked(PROMPT, tomogram, given, path, coords_angpix, tilt_series)
    if not len(found):
        raise InputError("There is no prompt", Remedy.PROMPT)
    return found


def read_rejects(
    tomogram: Tomogram,
    given: Sequence[str | Sequence[float]] = (),
    path: str | Path | None = None,
    *,
    coords_angpix: float | None = None,
    tilt_series: TiltSeries | None = None,
) -> Picks:
    """The rejected places of a run, as `read_prompts`; there may be none.

    Raises:
        InputError: as for `read_prompts`.
    """
    return _checked(REJECTED, tomogram, given, path, coords_angpix, tilt_series)


def unchecked_prompts(
    tomogram: Tomogram,
    given: Sequence[str | Sequence[float]] = (),
    path: str | Path | None = None,
    *,
    coords_angpix: float | None = None,
    tilt_series: TiltSeries | None = None,
) -> np.ndarray:
    """(n, 3) every prompt in voxels z y x, wherever it lies; arguments as for `read_prompts`.

    Raises:
        InputError: one is not three numbers, or the file cannot be used.
    """
    points = _given(given)
    if path is not None:
        points.extend(_in_file(PROMPT, Path(path), tomogram, coords_angpix, tilt_series))
    return np.array(points, dtype=np.float64).reshape(-1, 3)


def _checked(
    kind: str,
    tomogram: Tomogram,
    given: Sequence[str | Sequence[float]],
    path: str | Path | None,
    coords_angpix: float | None,
    tilt_series: TiltSeries | None,
) -> Picks:
    """The clicks of a kind, "prompt" or `REJECTED`."""
    points = _given(given, kind)
    refuse_misplaced(np.array(points), tomogram, kind)
    if path is not None:
        points.extend(_from_file(kind, Path(path), tomogram, coords_angpix, tilt_series))
    return Picks.from_points(np.array(points))


def _given(given: Sequence[str | Sequence[float]], kind: str = PROMPT) -> list[np.ndarray]:
    """(3,) z y x each."""
    rows = [parse_prompt(one, kind) if isinstance(one, str) else one for one in given]
    return [np.array(row[::-1], np.float64) for row in rows]


def _in_file(
    kind: str,
    path: Path,
    tomogram: Tomogram,
    coords_angpix: float | None,
    tilt_series: TiltSeries | None,
) -> np.ndarray:
    file = read_points(
        path,
        voxel_size=tomogram.voxel_size,
        coords_angpix=coords_angpix,
        tilt_series=tilt_series,
        shape_zyx=tomogram.shape,
        tomogram=tomogram.path,
    )
    if not len(file.picks):
        raise InputError(f"{path} holds no points; expected at least one click.")
    own = _meant(kind, of_tomogram(file, tomogram.path or tomogram.name))
    kinds = list(dict.fromkeys(own.classes or ()))
    if len(kinds) > 1 and kind == PROMPT:
        logger.warning(
            "%s: its clicks are of %d classes, %s, and all are taken as one kind of particle; to "
            "look for one of them, keep only its clicks in the file.",
            path,
            len(kinds),
            listed(kinds),
        )
    return own.picks.points_zyx


def _meant(kind: str, points: PointFile) -> PointFile:
    """Of proposals, or of picks that were judged, those that are kept; as rejected ones the others.

    Raises:
        InputError: none is kept.
    """
    kept = points.picks.kept
    if kept.all():
        return points
    if kind == REJECTED:
        return points.take(~kept)
    if not kept.any():
        raise InputError(
            f"{points.path}: none of its {len(kept)} points is kept (cryosamKept); expected clicks."
        )
    logger.warning(
        "%s: %d of its points are not kept (cryosamKept), and are no clicks.",
        points.path,
        int((~kept).sum()),
    )
    return points.take(kept)


def _from_file(
    kind: str,
    path: Path,
    tomogram: Tomogram,
    coords_angpix: float | None,
    tilt_series: TiltSeries | None,
) -> list[np.ndarray]:
    points = _in_file(kind, path, tomogram, coords_angpix, tilt_series)
    faults = [_fault(point, tomogram) for point in points]
    good = [point for point, fault in zip(points, faults, strict=True) if not fault]
    if len(good) < len(points):
        first = next(i for i, fault in enumerate(faults) if fault)
        said = f"{path}: the {kind} {as_typed(points[first])} {faults[first]}"
        info = TomogramInfo.of(tomogram)
        hint = otherwise(info, points)
        said += hint
        if not good:
            if coords_angpix or hint:
                raise InputError(f"{said}.")
            raise InputError(said, Remedy.OTHER_PIXELS)
        left_out = f"{len(points) - len(good)} of {len(points)}"
        if 2 * len(info.outside(points)) > len(points) and not (coords_angpix or hint):
            left_out += f"; {Remedy.OTHER_PIXELS.said()}"
        logger.warning("%s; left out with all such %ss, %s.", said, kind, left_out)
    return good


def parse_prompt(text: str, kind: str = PROMPT) -> tuple[float, float, float]:
    """x, y, z from "X,Y,Z".

    Args:
        text: as typed.
        kind: of the click, "prompt" or `REJECTED`.

    Raises:
        InputError: it is not three finite numbers.
    """
    try:
        x, y, z = (float(value) for value in text.split(","))
    except ValueError:
        problem = f"Expected a {kind} X,Y,Z of three numbers, such as 312,208,95, got {text!r}"
        if Path(text).suffix.lower() in endings():
            raise InputError(problem, Remedy.CLICKS_FILE) from None
        raise InputError(f"{problem}.") from None
    if not all(map(math.isfinite, (x, y, z))):
        raise InputError(f"Expected a {kind} X,Y,Z of finite numbers, got {text!r}.")
    return x, y, z


def refuse_misplaced(points_zyx: np.ndarray, tomogram: Tomogram, kind: str) -> None:
    """Refuse clicks outside a tomogram or on its blank margin.

    Args:
        points_zyx: (n, 3) voxels.
        tomogram: to lie in.
        kind: of the clicks, "prompt" or `REJECTED`.

    Raises:
        InputError: one lies there.
    """
    for point in points_zyx:
        if fault := _fault(point, tomogram):
            hint = otherwise(TomogramInfo.of(tomogram), points_zyx, typed=True)
            raise InputError(f"The {kind} {as_typed(point)} {fault}{hint}.")


def _fault(point_zyx: np.ndarray, tomogram: Tomogram) -> str:
    """What is wrong with a prompt, or nothing."""
    info = TomogramInfo.of(tomogram)
    if len(info.outside(point_zyx[None])):
        return f"lies outside {tomogram.name}, which has {info.bounds()}"
    if tomogram.is_blank(point_zyx):
        return f"lies on the blank margin of {tomogram.name}; click on a particle"
    return ""
