"""Points read from files of any known format, in voxels of the tomogram they belong to."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aitom_cryosam.errors import InputError, Remedy
from aitom_cryosam.files import settle
from aitom_cryosam.names import distinct, listed, relion_name, same_place, series_name
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import reader
from aitom_cryosam.points.formats.relion_warp import NO_REASON
from aitom_cryosam.points.table import (
    CENTRED,
    CLASS,
    ID,
    KEPT,
    ORIGINS,
    PARTICLE_ID,
    PIXEL_ORIGINS,
    PIXELS,
    PROBABILITY,
    REASON,
    SAME_SIZE,
    Table,
    Unit,
    numbers,
)
from aitom_cryosam.points.tilt_series import TomogramsStar
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.source_file import existing_file, reading

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_SAME_SHIFT = 0.1  # Å
_FEW, _MANY = 3, 10  # points from which on their values may say something


@dataclass(frozen=True, eq=False)
class PointFile:
    """The points of one file, of one or several tomograms.

    Attributes:
        path: the file.
        picks: n points in voxels.
        names: n tomogram names as written, or None if the file does not say.
        voxel_size: Å, as the file states for its coordinates, or None.
        has_ids: whether the file itself numbers its points, as ours do.
        shape_zyx: (D, H, W) of the tomogram, if whoever read the file knew it.
        tomogram: its file, likewise.
    """

    path: Path
    picks: Picks
    names: tuple[str, ...] | None = None
    voxel_size: float | None = None
    has_ids: bool = False
    shape_zyx: tuple[int, int, int] | None = None
    tomogram: Path | None = None

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The particle class of each point, or None if the file does not say."""
        return self.picks.classes

    def take(self, index: np.ndarray) -> PointFile:
        """The points of (m,) indices, in their order, or of (n,) booleans."""
        rows = np.arange(len(self.picks))[np.asarray(index)]
        names = self.names and tuple(self.names[row] for row in rows)
        return replace(self, picks=self.picks.take(rows), names=names)


def read_points(
    path: str | Path,
    *,
    voxel_size: float | None = None,
    coords_angpix: float | None = None,
    tilt_series: TiltSeries | None = None,
    tomograms: TomogramsStar | None = None,
    shape_zyx: tuple[int, int, int] | None = None,
    tomogram: Path | None = None,
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
        tomogram: its file, which ChimeraX places markers by.
        format: a name in `formats.FORMATS`, where the file itself leaves it open.

    Raises:
        InputError: no such file, no coordinates, two possible units, a value that is not a
            number, or a size that is missing or contradicts the file's own.
    """
    path = Path(path)
    settle(path.parent)
    for size in (voxel_size, coords_angpix):
        if size is not None and not 0 < size < np.inf:
            raise InputError(f"Expected a voxel or pixel size above 0 Å, got {size:g}.")
    with reading(existing_file(path), "a file of points"):
        table = reader(path, format)(path)
    stated = table.voxel_size or (tomograms and tomograms.voxel_size) or None
    info = TomogramInfo(str(path), voxel_size or stated, shape_zyx, path=tomogram)
    names = table.names
    if nameless := [row for row, name in enumerate(names or (), 1) if not name.strip()]:
        raise InputError(
            f"{path}, row {nameless[0]} names no tomogram, but other rows do; expected a name in "
            "each."
        )
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
        ID in table.rows,
        shape_zyx,
        tomogram,
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
    points = table.points_xyz(path)
    if coords_angpix is None and table.series_sizes is not None:
        _same_series(table.series_sizes, series, path, fatal=table.unit is Unit.PIXEL)
    if table.unit is Unit.CENTRED_ANGSTROM:
        points = points + _extents(path, series) / 2
        points = points / info.known_voxel_size(f"{path}: {table.columns[0]}")
    elif table.unit is Unit.ANGSTROM:
        points = points / info.known_voxel_size(f"{path}: a coordinate in Å")
    elif table.unit is Unit.SCENE:
        points = _of_scene(points, path, info, coords_angpix)
    elif table.unit is Unit.CENTRED_PIXEL:
        asking = f"{path}: a coordinate from the centre"
        pixel_size = coords_angpix or table.pixel_size or 1
        points = points * (pixel_size / info.known_voxel_size(asking))
        points = points + info.known_shape(asking) // 2
    else:
        points = points * _scale(table, path, info, series, coords_angpix)
    return points - _origins(table, path, info, coords_angpix)


def _of_scene(
    points_xyz: np.ndarray, path: Path, info: TomogramInfo, coords_angpix: float | None
) -> np.ndarray:
    """(n, 3) voxels of markers that count Å from where ChimeraX shows the tomogram.

    What the user says they count is counted from voxel 0: ArtiaX, and whoever sets the origin to
    0, shows it there.

    Raises:
        InputError: the header gives another voxel size, and so either may have been shown.
    """
    size = info.known_voxel_size(f"{path}: a marker in Å")
    if coords_angpix is not None:
        return points_xyz * (coords_angpix / size)
    placement = info.placement
    if placement is None:
        logger.warning(
            "%s: its markers are taken as Å from the first voxel: the header of their tomogram, by "
            "whose origin ChimeraX shows it, is not known here.",
            path,
        )
        return points_xyz / size
    step = np.array(placement.step_xyz)
    if (np.abs(step - size) > SAME_SIZE * size).any():
        shown = " × ".join(f"{one:.4g}" for one in dict.fromkeys(placement.step_xyz))
        raise InputError(
            f"{path}: ChimeraX shows {info.path} in voxels of {shown} Å, as its header says, but "
            f"the voxels here have {size:g} Å",
            Remedy.MARKERS,
            size=size,
        )
    if any(placement.origin_xyz):
        x, y, z = placement.origin_xyz
        logger.warning(
            "%s: its markers are counted from %g,%g,%g Å, where ChimeraX shows %s by its header; "
            "if it was shown from 0, as by ArtiaX, %s.",
            path,
            x,
            y,
            z,
            info.path,
            Remedy.MARKERS_FROM_ZERO.said(),
        )
    return (points_xyz - np.array(placement.origin_xyz)) / step


def _scale(
    table: Table,
    path: Path,
    info: TomogramInfo,
    series: list[TiltSeries] | None,
    coords_angpix: float | None,
) -> np.ndarray | float:
    """(n, 1) or one: voxels that one unit of a row counts, be it voxels or pixels.

    What the user says goes before what the file says, and that before the project.
    """
    if coords_angpix is not None:
        _tell_other(table, path, coords_angpix)
        return coords_angpix / info.known_voxel_size(f"{path}: the pixel size of its points")
    if table.columns == PIXELS:
        _refuse_fractions(table, path)
    asking = f"{path}: {table.columns[0]}"
    if table.unit is Unit.PIXEL and table.sizes is not None:
        return table.sizes[:, None] / info.known_voxel_size(asking)
    if series is not None:
        sizes = np.array([one.pixel_size for one in series])
        return sizes.reshape(-1, 1) / info.known_voxel_size(asking)
    if table.mixed and table.sizes is not None:
        low, high = table.sizes.min(), table.sizes.max()
        mixed = f"{path} counts voxels of {low:g} and of {high:g} Å and"
        return table.sizes[:, None] / info.known_voxel_size(mixed)
    _agree(table, path, info.voxel_size)
    return 1.0


def _tell_other(table: Table, path: Path, coords_angpix: float) -> None:
    if table.sizes is None:
        return
    other = np.flatnonzero(np.abs(table.sizes - coords_angpix) > SAME_SIZE * coords_angpix)
    if len(other):
        logger.warning(
            "%s states pixels of %g Å; taking them as %g Å, as asked for.",
            path,
            table.sizes[other[0]],
            coords_angpix,
        )


def _same_series(
    sizes: np.ndarray, series: list[TiltSeries] | None, path: Path, *, fatal: bool
) -> None:
    """The tilt series that the file and the project speak of must have one pixel size.

    Å from the middle of the tilt series lie where its own file says, whatever particles have been
    extracted from since: that they differ is only told.

    Raises:
        InputError: they have not, and it is fatal.
    """
    for row, one in enumerate(series or ()):
        if abs(sizes[row] - one.pixel_size) > SAME_SIZE * one.pixel_size:
            differ = (
                f"{path}, row {row + 1}: the file states a tilt series of {sizes[row]:g} Å, but "
                f"the project or the options say {one.pixel_size:g} Å"
            )
            if fatal:
                raise InputError(f"{differ}; expected one size", Remedy.PIXEL_SIZE)
            logger.warning("%s, which its middle is taken from; check that.", differ)
            return


def _refuse_fractions(table: Table, path: Path) -> None:
    """Warp's template matching writes fractions of the tomogram under the label of voxels.

    Raises:
        InputError: all coordinates lie between 0 and 1.
    """
    if PARTICLE_ID in table.rows:
        return  # written here, in voxels
    values = table.points_xyz(path)
    warp = all(name.endswith(".tomostar") for name in table.names or ("",))
    if len(values) >= (_FEW if warp else _MANY) and ((values > 0) & (values < 1)).all():
        raise InputError(
            f"{path}: all {len(values)} coordinates lie between 0 and 1, as Warp's template "
            "matching writes them (--normalized_coords); expected voxels: multiply them by the "
            "tomogram's size in voxels."
        )


def _agree(table: Table, path: Path, voxel_size: float | None) -> None:
    """Pixels are taken as voxels; that must not contradict what the file says of them.

    Raises:
        InputError: the file states another voxel size.
    """
    stated = table.voxel_size
    if stated and voxel_size and abs(stated - voxel_size) > SAME_SIZE * voxel_size:
        raise InputError(
            f"{path} is written in voxels of {stated:g} Å, but the voxels here have "
            f"{voxel_size:g} Å",
            Remedy.COORDS_ANGPIX,
            size=stated,
        )
    if table.unit is Unit.PIXEL:
        logger.warning(
            "%s: taking %s as voxels; if it counts pixels of the tilt series, as RELION 4 does, "
            "%s.",
            path,
            table.columns[0],
            Remedy.PIXEL_SIZE_OR_TILT_SERIES.said(),
        )


def _extents(path: Path, series: list[TiltSeries] | None) -> np.ndarray:
    """(n, 3) Å, of the unbinned tomograms."""
    if series is None or not all(one.size_xyz for one in series):
        raise InputError(
            f"{path} has only {CENTRED[0]}, Å from the centre of an unbinned tomogram whose "
            "size is not known here",
            Remedy.TILT_SERIES_SIZE,
        )
    sizes = [np.array(one.size_xyz) * one.pixel_size for one in series]
    return np.array(sizes).reshape(-1, 3)


def _origins(
    table: Table, path: Path, info: TomogramInfo, coords_angpix: float | None
) -> np.ndarray | float:
    """(n, 3) voxels, x y z, to subtract: RELION's refined shifts.

    Those in pixels (RELION 3.0) count pixels of the particle images, or of the coordinates where
    the file does not say.

    Raises:
        InputError: shifts in Å and in pixels differ.
    """
    rows = table.rows
    angstrom = _shifts(rows, ORIGINS, path)
    pixels = _shifts(rows, PIXEL_ORIGINS, path)
    images = table.image_sizes
    if pixels is not None and images is not None:
        pixels, images = pixels * images[:, None], None
        if angstrom is None:
            angstrom, pixels = pixels, None
        elif np.abs(angstrom - pixels).max() > _SAME_SHIFT:
            raise InputError(
                f"{path}: {ORIGINS[0]} and {PIXEL_ORIGINS[0]} are different shifts; expected "
                "the same: remove those that do not count."
            )
    if angstrom is not None:
        return _within(table, angstrom / info.known_voxel_size(f"{path}: {ORIGINS[0]}"))
    if pixels is not None:
        scale = coords_angpix / info.voxel_size if coords_angpix and info.voxel_size else 1
        return _within(table, pixels * scale)
    return 0.0


def _shifts(rows: pd.DataFrame, labels: tuple[str, ...], path: Path) -> np.ndarray | None:
    """(n, 3) x y z; None if there are none, or all are 0."""
    present = tuple(label for label in labels if label in rows)
    if not present:
        return None
    shifts = np.zeros((len(rows), 3))  # a column that is missing is 0, as in RELION
    shifts[:, [label in present for label in labels]] = numbers(rows, present, path)
    return shifts if shifts.any() else None


def _within(table: Table, shifts: np.ndarray) -> np.ndarray:
    """(n, 3) x, y, z of the tomogram: RELION writes them in the frame of its subtomograms."""
    return shifts if table.frames is None else table.frames.apply(shifts)


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
        numbers(rows, (PROBABILITY,), path)[:, 0] if PROBABILITY in rows else None,
        table.rotations,
        tuple("none" if name is None else str(name) for name in rows[CLASS])
        if CLASS in rows
        else None,
        {label: tuple(map(str, rows[label])) for label in table.extra},
    )


def _ids(rows: pd.DataFrame, picks: Picks, path: Path) -> np.ndarray:
    """(n,) the numbers of instances: their own column, or the end of the particles' names."""
    if ID in rows:
        return numbers(rows, (ID,), path)[:, 0].astype(np.int64)
    if PARTICLE_ID in rows:
        found = [re.search(r":(\d{1,18})(\.\d+)?$", str(name)) for name in rows[PARTICLE_ID]]
        if all(found):
            return np.array([int(one[1]) for one in found if one], np.int64)
    return picks.ids


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
    if points.names is None or not points.names:
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
        raise InputError(f"{points.path} has points of {listed(known)}; expected some of {wanted}.")
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
        one == two or _one_number(one, two) or _processed(name, wanted) or _processed(wanted, name)
    )


def _one_number(name: str, wanted: str) -> bool:
    """Whether both are one number, which formats that number tomograms write without zeros."""
    return name.lstrip("0") == wanted.lstrip("0") and name.isdigit() and wanted.isdigit()


def _processed(name: str, longer: str) -> bool:
    return re.fullmatch(re.escape(name) + r"(_[A-Za-z][^_]*)+", longer) is not None
