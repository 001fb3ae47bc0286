"""Points read from files of any known format, in voxels of the tomogram they belong to."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import from_edge
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import reader
from aitom_cryosam.points.formats.relion_warp import NO_REASON
from aitom_cryosam.points.point_file import PointFile
from aitom_cryosam.points.table import (
    CENTRED,
    CLASS,
    ID,
    KEPT,
    PARTICLE_ID,
    PIXELS,
    PROBABILITY,
    REASON,
    Table,
    Unit,
    all_open,
    filled,
    is_open,
    numbers,
)
from aitom_cryosam.points.tilt_series import TomogramsStar
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.points.units import in_voxels
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.source_file import existing_file, reading
from aitom_cryosam.tidying import settle
from aitom_cryosam.volumes.volume import Triple

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def read_points(
    path: str | Path,
    *,
    voxel_size: float | None = None,
    coords_angpix: float | None = None,
    tilt_series: TiltSeries | None = None,
    tomograms: TomogramsStar | None = None,
    shape_zyx: tuple[int, int, int] | None = None,
    tomogram: Path | None = None,
    noted_shift: Triple = (0.0, 0.0, 0.0),
    format: str | None = None,
) -> PointFile:
    """Read points of any format in `registry.FORMATS`, csv or text columns.

    The file's ending and content decide which it is. STAR: the first block with coordinates;
    `rlnOrigin*` is subtracted. CSV: see `text.read`. Pixels are voxels of the tomogram unless
    `coords_angpix` says otherwise, or the file is RELION 4's (`rlnTomoName` without `.tomostar`)
    and the tilt series is given; a unit is never guessed from the values.

    Args:
        path: the file.
        voxel_size: Å, of the tomogram.
        coords_angpix: Å, the pixel size that the file's pixel columns are written in.
        tilt_series: the tilt series of every point that `tomograms` does not know by name.
        tomograms: the tilt series by name.
        shape_zyx: (D, H, W) of the tomogram, for coordinates from its centre.
        tomogram: its file, which ChimeraX places markers by.
        noted_shift: of the tomogram, as in `TomogramInfo`.
        format: a name in `registry.FORMATS`, where the file itself leaves it open.

    Raises:
        InputError: no such file, no coordinates, a value that is not a number, or a size that is
            missing or contradicts the file's own.
    """
    path = Path(path)
    settle(path.parent)
    for size in (voxel_size, coords_angpix):
        if size is not None and not 0 < size < np.inf:
            raise InputError(f"Expected a voxel or pixel size above 0 Å, got {size:g}.")
    with reading(existing_file(path), "a file of points"):
        table = reader(path, format)(path)
    if format is None:
        table = _of_two_units(table, path, coords_angpix)
    stated = table.voxel_size or (tomograms and tomograms.voxel_size) or None
    size = voxel_size or stated
    info = TomogramInfo(str(path), size, shape_zyx, path=tomogram, noted_shift=noted_shift)
    names = table.names
    if nameless := list(filter(is_open, set(names or ()))):
        row = min(map((names or ()).index, nameless)) + 1
        raise InputError(
            f"{path}, row {row} names no tomogram, but other rows do; expected a name in each."
        )
    series = None
    if table.unit in (Unit.PIXEL, Unit.CENTRED_ANGSTROM):
        series = _series(names, len(table.rows), tilt_series, tomograms)
    if format == "relion4" and series is None and coords_angpix is None:
        info.known_tilt_series(f"{path}: the format relion4")
    points = in_voxels(table, path, info, series, coords_angpix)
    if shape_zyx is None:  # else it is told, or refused, which points lie outside
        _tell_below(points, path)
    return PointFile(
        path,
        _picks(table, points, path),
        names,
        stated,
        ID in table.rows,
        shape_zyx,
        tomogram,
        noted_shift,
    )


def _of_two_units(table: Table, path: Path, coords_angpix: float | None) -> Table:
    """Of Å from the centre and pixels beside them the former, unless the pixels' size is given."""
    if table.unit is not Unit.CENTRED_ANGSTROM or len(filled(table.rows, PIXELS)) < len(PIXELS):
        return table
    if coords_angpix is not None:
        return replace(table, unit=Unit.PIXEL, columns=PIXELS)
    logger.warning(
        "%s has %s and %s; the latter are read, as RELION 5 does; to read the former, %s.",
        path,
        PIXELS[0],
        CENTRED[0],
        Remedy.PIXELS_BESIDE.said(),
    )
    return table


def _tell_below(points_xyz: np.ndarray, path: Path) -> None:
    """No tomogram has a voxel before the first."""
    if below := int((from_edge(points_xyz) < 0).any(axis=1).sum()):
        logger.warning(
            "%s: %d of %d points lie before the first voxel, x, y or z below 0; do they count "
            "from the centre, in Å, or belong to another tomogram?",
            path,
            below,
            len(points_xyz),
        )


def _series(
    names: tuple[str, ...] | None,
    n: int,
    tilt_series: TiltSeries | None,
    tomograms: TomogramsStar | None,
) -> list[TiltSeries] | None:
    """The tilt series of each of n points, or None."""
    if tomograms is not None and names is not None:
        known = {name: tomograms.of(name) for name in set(names)}
        return [known[name] for name in names]
    return [tilt_series] * n if tilt_series else None


def _picks(table: Table, points_xyz: np.ndarray, path: Path) -> Picks:
    rows, n = table.rows, len(table.rows)
    picks = Picks.from_points(points_xyz[:, ::-1])
    found = table.scores(path)
    scores = picks.scores if found is None else found
    if 0 < (missing := int(np.isnan(scores).sum())) < n:
        logger.warning("%s: %d of %d points have no score.", path, missing, n)
    reasons = rows[REASON] if REASON in rows else [NO_REASON] * n
    return Picks(
        picks.points_zyx,
        scores,
        _ids(rows, picks, path),
        numbers(rows, (KEPT,), path)[:, 0] != 0 if KEPT in rows else picks.kept,
        tuple("" if text == NO_REASON else str(text) for text in reasons),
        _probabilities(rows, path),
        table.rotations,
        tuple("none" if name is None else str(name) for name in rows[CLASS])
        if CLASS in rows
        else None,
        {label: tuple(map(str, rows[label])) for label in table.extra},
    )


def _probabilities(rows: pd.DataFrame, path: Path) -> np.ndarray | None:
    """(n,) where all points have one; files that were joined may have some."""
    if PROBABILITY not in rows or all_open(rows[PROBABILITY]):
        return None
    if missing := int(rows[PROBABILITY].map(is_open).sum()):
        logger.warning(
            "%s: %d of %d points have no %s, and so it is not read.",
            path,
            missing,
            len(rows),
            PROBABILITY,
        )
        return None
    return numbers(rows, (PROBABILITY,), path)[:, 0]


def _ids(rows: pd.DataFrame, picks: Picks, path: Path) -> np.ndarray:
    """(n,) the numbers of instances: their own column, or the end of the particles' names."""
    if ID in rows:
        return numbers(rows, (ID,), path)[:, 0].astype(np.int64)
    if PARTICLE_ID in rows:
        found = [re.search(r":(\d{1,18})(\.\d+)?$", str(name)) for name in rows[PARTICLE_ID]]
        if all(found):
            return np.array([int(one[1]) for one in found if one], np.int64)
    return picks.ids
