"""STAR files as WarpTools, M and RELION take them.

Every written file is one block `data_particles` with LF line ends, a space before `#N`, no
comment, no NaN, no blank line inside the loop and no space inside a value; the same picks give
the same bytes. Coordinates in files are x, y, z; in arrays z, y, x.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_text
from aitom_cryosam.names import relion_name, star_word, tomogram_root
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.rotations import to_relion
from aitom_cryosam.points.star_syntax import star_text
from aitom_cryosam.points.table import (
    ANGLES,
    CENTRED,
    CLASS,
    CLASS_NUMBER,
    ID,
    KEPT,
    OWN_SCORE,
    PARTICLE_ID,
    PIXELS,
    PROBABILITY,
    REASON,
    SCORE,
    VOXEL_SIZE,
    scores,
    whole,
)
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo, TomogramPicks
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

NO_REASON = "none"
WARP_CRASHES = (
    "rlnMagnification",
    "rlnDetectorPixelSize",
    "rlnImageName",
    "rlnVoltage",
    "rlnCtfMaxResolution",
)
"""The columns that WarpTools 2.0.0dev37 and dev38 crash on (warp#475, warp#478)."""


def write_picks(
    path: str | Path, picks: Picks, tomogram: Tomogram | TomogramInfo, *, overwrite: bool = False
) -> None:
    """Write the kept picks, best first, as WarpTools reads them.

    Columns: those of the flavour `warp`, then `cryosamInstanceId` (the label volume's number)
    and `cryosamVoxelSize` (Å, the unit of the coordinates), and `cryosamProbability` if there
    are probabilities.

    Raises:
        InputError: the file exists or cannot be written.
    """
    table = _ours(picks.take(picks.kept).best_first(), TomogramInfo.of(tomogram))
    write_text(path, star_text({"particles": table}), overwrite=overwrite)


def write_proposals(
    path: str | Path, picks: Picks, tomogram: Tomogram | TomogramInfo, *, overwrite: bool = False
) -> None:
    """Write all picks, best first: the columns of `write_picks`, then verdict and reason.

    `cryosamKept` is 1 or 0; `cryosamReason` has underscores for spaces, `none` for a kept one.

    Raises:
        InputError: the file exists or cannot be written.
    """
    ranked = picks.best_first()
    table = _ours(ranked, TomogramInfo.of(tomogram))
    table[KEPT] = ranked.kept.astype(int)
    table[REASON] = [star_word(reason) or NO_REASON for reason in ranked.reasons]
    write_text(path, star_text({"particles": table}), overwrite=overwrite)


def write_flavour(
    flavour: str,
    path: str | Path,
    picks: Picks,
    tomogram: Tomogram | TomogramInfo,
    *,
    tilt_series: TiltSeries | None = None,
    overwrite: bool = False,
) -> None:
    """Write the kept picks, best first, for one program.

    Args:
        flavour: a name in `FLAVOURS`.
        path: file to write.
        picks: kept and rejected ones.
        tomogram: which they lie in.
        tilt_series: the tilt series; `relion4` needs its pixel size, `relion5` its size too, or
            takes the tomogram's own extent in its place and warns.
        overwrite: replace an existing file.

    Raises:
        InputError: no such flavour, the tilt series is missing, or the file cannot be written.
    """
    if flavour not in FLAVOURS:
        raise InputError(f"Expected a STAR flavour of {', '.join(FLAVOURS)}, got {flavour!r}.")
    group = (picks.take(picks.kept).best_first(), TomogramInfo.of(tomogram, tilt_series))
    write_text(path, particles(flavour, [group]), overwrite=overwrite)


def particles(flavour: str, groups: Sequence[TomogramPicks]) -> str:
    """One file of all groups in their order.

    Raises:
        InputError: what the flavour needs of a tomogram is not known.
    """
    tables = [FLAVOURS[flavour](picks, info) for picks, info in groups]
    tables = [table for table in tables if len(table)] or tables[:1]
    return star_text({"particles": pd.concat(tables, ignore_index=True)})


def _ours(picks: Picks, info: TomogramInfo) -> pd.DataFrame:
    table = _warp(picks, info)
    table[ID] = picks.ids
    table[VOXEL_SIZE] = float(info.known_voxel_size("A file of picks"))
    if picks.probabilities is not None:
        table[PROBABILITY] = picks.probabilities
    return table


def _warp(picks: Picks, info: TomogramInfo) -> pd.DataFrame:
    """Warp, WarpTools, M: voxels, to be read with `--coords_angpix` of the voxel size."""
    table = _coordinates(PIXELS, picks.points_zyx[:, ::-1])
    table["rlnMicrographName"] = f"{tomogram_root(info.name)}.tomostar"
    table[list(ANGLES)] = 0.0 if picks.rotations is None else to_relion(picks.rotations)
    table[SCORE] = scores(picks)
    return _identified(_carried(table, picks, skip=WARP_CRASHES), picks, info)


def _relion31(picks: Picks, info: TomogramInfo) -> pd.DataFrame:
    """RELION 3.1, beside the tomogram: whole voxels, since its reader truncates."""
    return _carried(_turned(_coordinates(PIXELS, whole(picks.points_zyx[:, ::-1])), picks), picks)


def _relion4(picks: Picks, info: TomogramInfo) -> pd.DataFrame:
    """RELION 4, `relion_tomo_import_particles`: pixels of the tilt series."""
    voxel_size = info.known_voxel_size("The format relion4")
    pixel_size = info.known_tilt_series("The format relion4").pixel_size
    pixels = picks.points_zyx[:, ::-1] * voxel_size / pixel_size
    return _relion(PIXELS, pixels, picks, info)


def _relion5(picks: Picks, info: TomogramInfo) -> pd.DataFrame:
    """RELION 5, Extract: Å from the centre, which is half the unbinned size (not less one)."""
    voxel_size = info.known_voxel_size("The format relion5")
    series = with_extent(info).known_tilt_series("The format relion5")
    extent = np.array(series.size_xyz) * series.pixel_size
    centred = picks.points_zyx[:, ::-1] * voxel_size - extent / 2
    return _relion(CENTRED, centred, picks, info)


def with_extent(info: TomogramInfo) -> TomogramInfo:
    """The info with an unbinned size: with a warning the tomogram's own, if it is not known.

    Raises:
        InputError: neither is known.
    """
    if info.tilt_series is not None and info.tilt_series.size_xyz is not None:
        return info
    voxel_size = info.known_voxel_size("The format relion5")
    asking = "The format relion5, without tomograms.star,"
    series = info.tilt_series or TiltSeries(voxel_size)
    x, y, z = (info.known_shape(asking) * voxel_size / series.pixel_size).tolist()
    logger.warning(
        "relion5: the unbinned size is not known; taking the tomogram's own extent puts "
        "the particles off by at most half a voxel (%g Å).",
        voxel_size / 2,
    )
    return replace(info, tilt_series=replace(series, size_xyz=(x, y, z)))


FLAVOURS: dict[str, Callable[[Picks, TomogramInfo], pd.DataFrame]] = {
    "relion5": _relion5,
    "relion4": _relion4,
    "relion31": _relion31,
    "warp": _warp,
}


def _relion(
    columns: tuple[str, ...], points_xyz: np.ndarray, picks: Picks, info: TomogramInfo
) -> pd.DataFrame:
    table = _coordinates(columns, points_xyz)
    table.insert(0, "rlnTomoName", project_name(info))
    table = _turned(table, picks)
    table[SCORE] = scores(picks)
    return _identified(_carried(table, picks), picks, info)


def _turned(table: pd.DataFrame, picks: Picks) -> pd.DataFrame:
    """With RELION's angles, if there are any."""
    if picks.rotations is not None:
        table[list(ANGLES)] = to_relion(picks.rotations)
    return table


def _carried(table: pd.DataFrame, picks: Picks, *, skip: Collection[str] = ()) -> pd.DataFrame:
    """With what means nothing to the coordinates: classes, and columns of the points' own file.

    Classes that are numbers are RELION's; any others have a column that no program knows.
    """
    if picks.classes is not None:
        numbered = all(name.isascii() and name.isdigit() for name in picks.classes)
        table[CLASS_NUMBER if numbered else CLASS] = [star_word(name) for name in picks.classes]
    known = {*table, OWN_SCORE}
    extra = {label: column for label, column in picks.extra.items() if label not in known}
    if lost := [label for label in extra if label in skip]:
        logger.warning("Left out, as WarpTools crashes on them: %s.", ", ".join(lost))
    return table.assign(**{label: extra[label] for label in extra if label not in lost})


def _identified(table: pd.DataFrame, picks: Picks, info: TomogramInfo) -> pd.DataFrame:
    """With score and name of each particle under labels that WarpTools and M keep.

    No other particle of the data set has its name, and every run gives it the same: the
    tomogram's with the instance's number, or what the points' own file called it.
    """
    if PARTICLE_ID not in table:
        name, seen = relion_name(info.name), Counter[int]()
        names = []
        for number in map(int, picks.ids):
            again = f".{seen[number]}" if seen[number] else ""  # of files that were joined
            names.append(f"{name}:{number}{again}")
            seen[number] += 1
        table[PARTICLE_ID] = names
    table[OWN_SCORE] = scores(picks)
    return table


def project_name(info: TomogramInfo) -> str:
    """The tomogram's name in a RELION project: of `tomograms.star` to the letter, if known."""
    return (info.tilt_series and info.tilt_series.name) or relion_name(info.name)


def _coordinates(columns: tuple[str, ...], points_xyz: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(points_xyz, columns=list(columns))
