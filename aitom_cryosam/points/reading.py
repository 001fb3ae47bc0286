"""Points read from files of any known format, in voxels of the tomogram they belong to."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.names import relion_name
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import reader
from aitom_cryosam.points.formats.relion_warp import NO_REASON
from aitom_cryosam.points.table import (
    CENTRED,
    CLASS,
    ID,
    KEPT,
    ORIGINS,
    PIXEL_ORIGINS,
    PROBABILITY,
    REASON,
    SCORE,
    Table,
    Unit,
    numbers,
    numbers_or_gaps,
)
from aitom_cryosam.points.tilt_series import TomogramsStar
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo

logger = logging.getLogger(__name__)

_SAME_SIZE = 0.01
_PIXEL_SIZE = "rlnPixelSize"


@dataclass(frozen=True, eq=False)
class PointFile:
    """The points of one file, of one or several tomograms.

    Attributes:
        path: the file.
        picks: n points in voxels.
        names: n tomogram names as written, or None if the file does not say.
        voxel_size: Å, as the file states for its coordinates, or None.
    """

    path: Path
    picks: Picks
    names: tuple[str, ...] | None = None
    voxel_size: float | None = None

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The particle class of each point, or None if the file does not say."""
        return self.picks.classes

    def take(self, index: np.ndarray) -> PointFile:
        """The points of an index or boolean array, in its order."""
        rows = np.arange(len(self.picks))[np.asarray(index)]
        names = self.names and tuple(self.names[row] for row in rows)
        return PointFile(self.path, self.picks.take(rows), names, self.voxel_size)


def read_points(
    path: str | Path,
    *,
    voxel_size: float | None = None,
    coords_angpix: float | None = None,
    tilt_series: TiltSeries | None = None,
    tomograms: TomogramsStar | None = None,
    shape_zyx: tuple[int, int, int] | None = None,
    format: str | None = None,
) -> PointFile:
    """Read points of any format in `formats.FORMATS`, csv or text columns.

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
        format: a name in `formats.FORMATS`, where the file itself leaves it open.

    Raises:
        InputError: no such file, no coordinates, two possible units, a value that is not a
            number, or a size that is missing or contradicts the file's own.
    """
    path = Path(path)
    for size in (voxel_size, coords_angpix):
        if size is not None and not 0 < size < np.inf:
            raise InputError(f"Expected a voxel or pixel size above 0 Å, got {size:g}.")
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    try:
        table = reader(path, format)(path)
    except (UnicodeDecodeError, PermissionError) as error:
        raise InputError(f"{path} cannot be read as text ({error}).") from None
    stated = table.voxel_size or (tomograms and tomograms.voxel_size) or None
    info = TomogramInfo(str(path), voxel_size or stated, shape_zyx)
    names = table.names
    series = None
    if table.unit in (Unit.PIXEL, Unit.CENTRED_ANGSTROM):
        series = _series(names, len(table.rows), tilt_series, tomograms)
    if format == "relion4" and series is None and coords_angpix is None:
        info.known_tilt_series(f"{path}: the format relion4")
    return PointFile(
        path,
        _picks(table, _voxels(table, path, info, series, coords_angpix), path),
        names,
        stated,
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


def _voxels(
    table: Table,
    path: Path,
    info: TomogramInfo,
    series: list[TiltSeries] | None,
    coords_angpix: float | None,
) -> np.ndarray:
    """(n, 3) voxels, x y z."""
    points = numbers(table.rows, table.columns, path)
    if table.unit is Unit.CENTRED_ANGSTROM:
        points = points + _extents(path, series) / 2
        points = points / info.known_voxel_size(f"{path}: {table.columns[0]}")
    elif table.unit is Unit.ANGSTROM:
        points = points / info.known_voxel_size(f"{path}: a coordinate in Å")
    elif table.unit is Unit.CENTRED_PIXEL:
        asking = f"{path}: a coordinate from the centre"
        pixel_size = coords_angpix or table.pixel_size or 1
        points = points * (pixel_size / info.known_voxel_size(asking))
        points = points + info.known_shape(asking) // 2
    elif coords_angpix is not None:
        points = points * (coords_angpix / info.known_voxel_size(f"{path}: --coords-angpix"))
    elif series is not None:
        pixel_sizes = np.array([[one.pixel_size] for one in series]).reshape(-1, 1)
        points = points * pixel_sizes / info.known_voxel_size(f"{path}: {table.columns[0]}")
    else:
        _agree(table, path, info.voxel_size)
    return points - _origins(table, path, info, coords_angpix)


def _agree(table: Table, path: Path, voxel_size: float | None) -> None:
    """Pixels are taken as voxels; that must not contradict what the file says of them.

    Raises:
        InputError: the file states another voxel size.
    """
    stated = table.voxel_size
    if stated and voxel_size and abs(stated - voxel_size) > _SAME_SIZE * voxel_size:
        raise InputError(
            f"{path} is written in voxels of {stated:g} Å, but the voxels here have "
            f"{voxel_size:g} Å; check --voxel-size, or add --coords-angpix {stated:g}."
        )
    if table.unit is Unit.PIXEL:
        logger.warning(
            "%s: taking %s as voxels; if it counts pixels of the tilt series%s, as RELION 4 does, "
            "add --coords-angpix ANGSTROM or --tomograms-star FILE.",
            path,
            table.columns[0],
            f" ({table.pixel_size:g} Å)" if table.pixel_size else "",
        )


def _extents(path: Path, series: list[TiltSeries] | None) -> np.ndarray:
    """(n, 3) Å, of the unbinned tomograms."""
    if series is None or not all(one.size_xyz for one in series):
        raise InputError(
            f"{path} has only {CENTRED[0]}, Å from the centre of an unbinned tomogram whose "
            f"size is not known here; add --tomograms-star FILE, or --unbinned-pixel-size and "
            "--unbinned-size."
        )
    sizes = [np.array(one.size_xyz) * one.pixel_size for one in series]
    return np.array(sizes).reshape(-1, 3)


def _origins(
    table: Table, path: Path, info: TomogramInfo, coords_angpix: float | None
) -> np.ndarray | float:
    """(n, 3) voxels, x y z, to subtract: RELION's refined shifts.

    Those in pixels (RELION 3.0) count pixels of the particle images (`rlnPixelSize`), or of the
    coordinates where the file does not say.
    """
    rows = table.rows
    if set(ORIGINS) <= set(rows):
        shifts = numbers(rows, ORIGINS, path)
        if not shifts.any():
            return 0.0
        return _within(table, shifts / info.known_voxel_size(f"{path}: {ORIGINS[0]}"))
    if set(PIXEL_ORIGINS) <= set(rows):
        shifts = numbers(rows, PIXEL_ORIGINS, path)
        if shifts.any() and _PIXEL_SIZE in rows:
            shifts = shifts * numbers(rows, (_PIXEL_SIZE,), path)
            return _within(table, shifts / info.known_voxel_size(f"{path}: {PIXEL_ORIGINS[0]}"))
        scale = coords_angpix / info.voxel_size if coords_angpix and info.voxel_size else 1
        return _within(table, shifts * scale)
    return 0.0


def _within(table: Table, shifts: np.ndarray) -> np.ndarray:
    """(n, 3) x, y, z of the tomogram: RELION writes them in the frame of its subtomograms."""
    return shifts if table.frames is None else table.frames.apply(shifts)


def _picks(table: Table, points_xyz: np.ndarray, path: Path) -> Picks:
    rows, n = table.rows, len(table.rows)
    picks = Picks.from_points(points_xyz[:, ::-1])
    scores = numbers_or_gaps(rows[SCORE], path) if SCORE in rows else picks.scores
    if 0 < (missing := int(np.isnan(scores).sum())) < n:
        logger.warning("%s: %d of %d points have no score.", path, missing, n)
    reasons = rows[REASON] if REASON in rows else [NO_REASON] * n
    return Picks(
        picks.points_zyx,
        scores,
        numbers(rows, (ID,), path)[:, 0].astype(np.int64) if ID in rows else picks.ids,
        numbers(rows, (KEPT,), path)[:, 0] != 0 if KEPT in rows else picks.kept,
        tuple("" if text == NO_REASON else str(text) for text in reasons),
        numbers(rows, (PROBABILITY,), path)[:, 0] if PROBABILITY in rows else None,
        table.rotations,
        tuple("none" if name is None else str(name) for name in rows[CLASS])
        if CLASS in rows
        else None,
        {label: tuple(map(str, rows[label])) for label in table.extra},
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
