"""From what a file counts, pixels or Å from a corner or a centre, to voxels of the tomogram."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE
from aitom_cryosam.names import warp_voxel_size
from aitom_cryosam.points.table import (
    CENTRED,
    ORIGINS,
    PARTICLE_ID,
    PIXEL_ORIGINS,
    PIXELS,
    Table,
    Unit,
    filled,
    numbers,
)
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.remedies import Remedy

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_SAME_SHIFT = 0.1  # Å
_ROUNDED = 0.006  # Å, of two decimals
_ALIKE, _BINNED = 0.05, 1.2  # of ratios of sizes, from which on they are another binning's
_SEVERAL, _CORNER = 3, 0.5  # points, and what part of every axis they hardly all lie in by chance
_FEW, _MANY = 1, 10  # points from which on their values may say something, of Warp and of others


def in_voxels(
    table: Table,
    path: Path,
    info: TomogramInfo,
    series: list[TiltSeries] | None,
    coords_angpix: float | None,
) -> np.ndarray:
    """(n, 3) voxels, x y z, with refined shifts applied; a unit is never guessed from the values.

    Args:
        table: n points in the file's own unit.
        path: of the file, for errors.
        info: what is known of the tomogram.
        series: n, the tilt series of each point, or None.
        coords_angpix: Å, the pixel size that the user gives for the file's pixel columns.

    Raises:
        InputError: a size that is needed is missing or contradicts the file's own, or a value is
            not a number.
    """
    points = table.points_xyz(path)
    in_angstrom = table.unit in (Unit.ANGSTROM, Unit.CENTRED_ANGSTROM)
    if in_angstrom and coords_angpix is not None and coords_angpix != 1:
        logger.warning(
            "%s counts Å, not pixels: their size of %g Å, as asked for, has no effect.",
            path,
            coords_angpix,
        )
    if table.unit is Unit.CENTRED_ANGSTROM:
        # Not refused: such coordinates lie where their own file says, whatever the particles have
        # been extracted from since.
        if coords_angpix is None and (differ := _other_series(table, series, path)):
            logger.warning("%s, which its middle is taken from; check that.", differ)
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
        scale = _scale(table, path, info, series, coords_angpix)
        if scale is None:
            return points - _origins(table, path, info, coords_angpix)
        points = points * scale
        if coords_angpix is not None and info.voxel_size is not None:
            points = points + info.shift_xyz(coords_angpix) / info.voxel_size
    if info.voxel_size is not None:
        points = points - info.shift_xyz(info.voxel_size) / info.voxel_size
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
) -> np.ndarray | float | None:
    """(n, 1) or one: voxels that one unit of a row counts; None where these are the voxels.

    What the user says goes before what the file says, and that before the project.
    """
    if coords_angpix is not None:
        _tell_other(table, path, coords_angpix)
        return coords_angpix / info.known_voxel_size(f"{path}: the pixel size of its points")
    if table.columns == PIXELS:
        _refuse_fractions(table, path)
    asking = f"{path}: {table.columns[0]}"
    if table.unit is Unit.PIXEL and table.sizes is not None:
        if differ := _other_series(table, series, path):
            raise InputError(f"{differ}; expected one size", Remedy.PIXEL_SIZE)
        return table.sizes[:, None] / info.known_voxel_size(asking)
    if series is not None:
        sizes = np.array([one.pixel_size for one in series])
        scale = sizes.reshape(-1, 1) / info.known_voxel_size(asking)
        _tell_corner(table, path, series, scale)
        return scale
    if table.mixed and table.sizes is not None:
        low, high = table.sizes.min(), table.sizes.max()
        mixed = f"{path} counts voxels of {low:g} and of {high:g} Å and"
        return table.sizes[:, None] / info.known_voxel_size(mixed)
    _agree(table, path, info.voxel_size)
    if table.voxel_size is None:
        _tell_other_image(table, path, info)
    return None


def _tell_corner(table: Table, path: Path, series: list[TiltSeries], scale: np.ndarray) -> None:
    """Voxels that are taken as pixels of the tilt series lie in one corner, all of them."""
    extents = [one.size_xyz for one in series]
    if len(series) < _SEVERAL or not all(extents):
        return
    reach = (table.points_xyz(path) / np.array(extents)).max()
    if reach < scale.min() <= _CORNER:
        logger.warning(
            "%s: all its points lie in the first %.0f %% of every axis, as pixels of the tilt "
            "series; if they are voxels of the tomogram, %s.",
            path,
            100 * reach,
            Remedy.COORDS_ANGPIX.said(size=series[0].pixel_size / float(scale[0, 0])),
        )


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


def _other_series(table: Table, series: list[TiltSeries] | None, path: Path) -> str | None:
    """The first row whose tilt series has another pixel size in the file than in the project."""
    if table.sizes is None:
        return None
    for row, (size, one) in enumerate(zip(table.sizes, series or (), strict=False), 1):
        if abs(size - one.pixel_size) > SAME_SIZE * one.pixel_size:
            return (
                f"{path}, row {row}: the file states a tilt series of {size:g} Å, but the project "
                f"or the options say {one.pixel_size:g} Å"
            )
    return None


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

    The name of a file is told only: it may have been kept while the content has changed.

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
    if voxel_size and not stated:
        _tell_other_name(path, table.names, voxel_size)
    if table.unit is Unit.PIXEL:
        logger.warning(
            "%s: taking %s as voxels; if it counts pixels of the tilt series, as RELION 4 does, "
            "%s.",
            path,
            table.columns[0],
            Remedy.PIXEL_SIZE_OR_TILT_SERIES.said(),
        )


def _tell_other_image(table: Table, path: Path, info: TomogramInfo) -> None:
    """Of a tomogram at another binning, the file knows the size of the image."""
    if table.image_xyz is None or info.shape_zyx is None or info.voxel_size is None:
        return
    ratios = np.array(table.image_xyz) / info.shape_zyx[::-1]
    if ratios.max() - ratios.min() > _ALIKE * ratios.max() or 1 / _BINNED < ratios[0] < _BINNED:
        return
    logger.warning(
        "%s was made on an image of %d × %d × %d voxels, about %.3g times as many along each axis "
        "as here, and its points are taken as voxels here; %s.",
        path,
        *table.image_xyz,
        ratios.mean(),
        Remedy.COORDS_ANGPIX.said(size=float(f"{info.voxel_size / ratios.mean():.3g}")),
    )


def _tell_other_name(path: Path, names: Sequence[str] | None, voxel_size: float) -> None:
    """Warp, and who follows it, put the voxel size into the names of files."""
    for name in (path.name, *(names or ())[:1]):
        size = warp_voxel_size(name)
        if size and abs(size - voxel_size) > max(SAME_SIZE * voxel_size, _ROUNDED):
            logger.warning(
                "%s: its points are taken as in voxels of %g Å, but the name %s says %g Å; %s.",
                path,
                voxel_size,
                name,
                size,
                Remedy.COORDS_ANGPIX.said(size=size),
            )
            return


def _extents(path: Path, series: list[TiltSeries] | None) -> np.ndarray:
    """(n, 3) Å, of the unbinned tomograms."""
    if series is None or not all(one.size_xyz for one in series):
        raise InputError(
            f"{path} has {CENTRED[0]}, Å from the centre of an unbinned tomogram whose "
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
    present = filled(rows, labels)
    if not present:
        return None
    shifts = np.zeros((len(rows), 3))  # a column that is missing is 0, as in RELION
    shifts[:, [label in present for label in labels]] = numbers(rows, present, path)
    return shifts if shifts.any() else None


def _within(table: Table, shifts: np.ndarray) -> np.ndarray:
    """(n, 3) x, y, z of the tomogram: RELION writes them in the frame of its subtomograms."""
    return shifts if table.frames is None else table.frames.apply(shifts)
