"""STAR files: what WarpTools, M and RELION take, and what any of them wrote.

Every written file is one block `data_particles` with LF line ends, a space before `#N`, no
comment, no NaN, no blank line inside the loop and no space inside a value; the same picks give
the same bytes. Coordinates in files are x, y, z; in arrays z, y, x.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_text
from aitom_cryosam.names import relion_name, star_word, tomogram_root
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.star_syntax import read_blocks, star_text
from aitom_cryosam.points.table import (
    CENTRED,
    ID,
    KEPT,
    NAMES,
    PIXELS,
    PROBABILITY,
    REASON,
    SCORE,
    VOXEL_SIZE,
    Table,
    Unit,
    reading,
    scores,
    whole,
)
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo, TomogramPicks
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

NO_REASON = "none"
_PYTOM_SCORE = "rlnLCCmax"
_SET = "rlnTomoParticlesFile"
_UNITS = {PIXELS: (Unit.VOXEL, Unit.PIXEL), CENTRED: (Unit.CENTRED_ANGSTROM,)}


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


def read(path: Path, unit: Unit | None = None) -> Table:
    """The first block of a STAR file with coordinates.

    Args:
        path: the file.
        unit: of the coordinates, if the user said what wrote them; else their labels decide.

    Raises:
        InputError: there is none, they have no z, or two units are possible.
    """
    blocks = read_blocks(path)
    known = [columns for columns in (PIXELS, CENTRED) if unit in (None, *_UNITS[columns])]
    for block in blocks:
        found = [columns for columns in known if set(columns) <= set(block)]
        if len(found) == 2:
            raise InputError(
                f"{path} has coordinates in two possible units, {PIXELS[0]} and {CENTRED[0]}; "
                "remove the columns that do not count."
            )
        if found:
            return _table(path, block, found[0], unit or _unit(block, found[0]), blocks)
    labels = {label for block in blocks for label in block}
    if {PIXELS[0], PIXELS[1]} <= labels and PIXELS[2] not in labels:
        raise InputError(f"{path} has no coordinates in z: its particles are of images.")
    if _SET in labels:
        raise InputError(f"{path} only names other files; use the particles file that it names.")
    raise InputError(f"{path} has no coordinates; expected the columns {', '.join(known[0])}.")


def _unit(rows: pd.DataFrame, columns: tuple[str, ...]) -> Unit:
    """What the labels say.

    RELION 4 counts pixels of the tilt series under the label that Warp and all others use for
    voxels; Warp's names end in .tomostar, and our own files state their voxel size.
    """
    if columns == CENTRED:
        return Unit.CENTRED_ANGSTROM
    if NAMES[0] not in rows or VOXEL_SIZE in rows:
        return Unit.VOXEL
    warp = rows[NAMES[0]].astype(str).str.endswith(".tomostar").any()
    return Unit.VOXEL if warp else Unit.PIXEL


def _table(
    path: Path,
    rows: pd.DataFrame,
    columns: tuple[str, ...],
    unit: Unit,
    blocks: list[pd.DataFrame],
) -> Table:
    if SCORE not in rows and _PYTOM_SCORE in rows:
        rows = rows.rename(columns={_PYTOM_SCORE: SCORE})
    with reading(path, "a STAR file with usable pixel sizes"):
        return Table(
            rows,
            unit,
            columns,
            _stated([rows], VOXEL_SIZE) or _warp_export(unit, rows, blocks),
            _stated(blocks, "rlnTomoTiltSeriesPixelSize") if unit is Unit.PIXEL else None,
        )


def _stated(blocks: Sequence[pd.DataFrame], label: str) -> float | None:
    """The first value of a label."""
    values = [block[label].iloc[0] for block in blocks if label in block and len(block)]
    return float(values[0]) if values else None


def _warp_export(unit: Unit, rows: pd.DataFrame, blocks: list[pd.DataFrame]) -> float | None:
    """What WarpTools' ts_export_particles wrote counts pixels of the images, as M reads it."""
    exported = any("rlnTomoSubtomogramBinning" in block for block in blocks)
    if unit is not Unit.VOXEL or NAMES[0] not in rows or not exported:
        return None
    return _stated(blocks, "rlnImagePixelSize")


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
    for label in ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"):
        table[label] = 0.0
    table[SCORE] = scores(picks)
    return table


def _relion31(picks: Picks, info: TomogramInfo) -> pd.DataFrame:
    """RELION 3.1, beside the tomogram: whole voxels, since its reader truncates."""
    return _coordinates(PIXELS, whole(picks.points_zyx[:, ::-1]))


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
    asking = "The format relion5, without --tomograms-star FILE,"
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
    table[SCORE] = scores(picks)
    return table


def project_name(info: TomogramInfo) -> str:
    """The tomogram's name in a RELION project: of `tomograms.star` to the letter, if known."""
    return (info.tilt_series and info.tilt_series.name) or relion_name(info.name)


def _coordinates(columns: tuple[str, ...], points_xyz: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(points_xyz, columns=list(columns))
