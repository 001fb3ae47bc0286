"""STAR files to write: what WarpTools, M and RELION take.

Every file is one block `data_particles` with LF line ends, a space before `#N`, no comment,
no NaN, no blank line inside the loop and no space inside a value; the same picks give the
same bytes. Coordinates in files are x, y, z; in arrays z, y, x.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import starfile

from aitom_cryosam.errors import InputError
from aitom_cryosam.io.files import write_text
from aitom_cryosam.picks import Picks
from aitom_cryosam.tomogram import Tomogram, file_stem

logger = logging.getLogger(__name__)

PIXELS = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
CENTRED = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
ORIGINS = tuple(f"rlnOrigin{axis}Angst" for axis in "XYZ")
NAMES = ("rlnTomoName", "rlnMicrographName")
SCORE = "rlnAutopickFigureOfMerit"
CLASS = "particleClass"
# Labels of our own, which RELION and Warp carry along unread.
ID, KEPT, REASON, VOXEL_SIZE = (
    "cryosamInstanceId",
    "cryosamKept",
    "cryosamReason",
    "cryosamVoxelSize",
)
NO_REASON = "none"


@dataclass(frozen=True)
class Unbinned:
    """The tilt series behind a tomogram, as RELION's `tomograms.star` has it.

    Attributes:
        pixel_size: Å (`rlnTomoTiltSeriesPixelSize`).
        size_xyz: pixels (`rlnTomoSizeX/Y/Z`), or None if unknown.
    """

    pixel_size: float
    size_xyz: tuple[float, float, float] | None = None


def tomogram_root(name: str) -> str:
    """The name Warp knows a tomogram by: no folder, no extension, nothing from `_10.00Apx` on.

    Spaces, quotes and `#`, which a STAR value cannot hold, become underscores.

    >>> tomogram_root("recon/TS_01_10.00Apx.mrc")
    'TS_01'
    >>> tomogram_root("0012.tomostar")
    '0012'
    """
    stem = file_stem(re.split(r"[\\/]", name)[-1].removesuffix(".tomostar"))
    return _word(re.sub(r"_\d+(\.\d+)?Apx.*$", "", stem))


def relion_name(name: str) -> str:
    """The name RELION knows a tomogram by: also without `rec_` and `_half1`, `_half2`."""
    return re.sub(r"_half[12]$", "", tomogram_root(name).removeprefix("rec_"))


def write_picks(
    path: str | Path, picks: Picks, tomogram: Tomogram, *, overwrite: bool = False
) -> None:
    """Write the kept picks, best first, as WarpTools reads them.

    Columns: those of the flavour `warp`, then `cryosamInstanceId` (the label volume's number)
    and `cryosamVoxelSize` (Å, the unit of the coordinates).

    Raises:
        InputError: the file exists or cannot be written.
    """
    _write(path, _ours(picks.take(picks.kept).best_first(), tomogram), overwrite)


def write_proposals(
    path: str | Path, picks: Picks, tomogram: Tomogram, *, overwrite: bool = False
) -> None:
    """Write all picks, best first: the columns of `write_picks`, then verdict and reason.

    `cryosamKept` is 1 or 0; `cryosamReason` has underscores for spaces, `none` for a kept one.

    Raises:
        InputError: the file exists or cannot be written.
    """
    ranked = picks.best_first()
    table = _ours(ranked, tomogram)
    table[KEPT] = ranked.kept.astype(int)
    table[REASON] = [_word(reason) or NO_REASON for reason in ranked.reasons]
    _write(path, table, overwrite)


def write_flavour(
    flavour: str,
    path: str | Path,
    picks: Picks,
    tomogram: Tomogram,
    *,
    unbinned: Unbinned | None = None,
    overwrite: bool = False,
) -> None:
    """Write the kept picks, best first, for one program.

    Args:
        flavour: a name in `FLAVOURS`.
        path: file to write.
        picks: kept and rejected ones.
        tomogram: which they lie in.
        unbinned: the tilt series; `relion4` needs its pixel size, `relion5` its size too, or
            takes the tomogram's own extent in its place and warns.
        overwrite: replace an existing file.

    Raises:
        InputError: no such flavour, the tilt series is missing, or the file cannot be written.
    """
    if flavour not in FLAVOURS:
        raise InputError(f"Expected a STAR flavour of {', '.join(FLAVOURS)}, got {flavour!r}.")
    _write(
        path, FLAVOURS[flavour](picks.take(picks.kept).best_first(), tomogram, unbinned), overwrite
    )


def _ours(picks: Picks, tomogram: Tomogram) -> pd.DataFrame:
    table = _warp(picks, tomogram, None)
    table[ID] = picks.ids
    table[VOXEL_SIZE] = float(tomogram.voxel_size)
    return table


def _warp(picks: Picks, tomogram: Tomogram, unbinned: Unbinned | None) -> pd.DataFrame:
    """Warp, WarpTools, M: voxels, to be read with `--coords_angpix` of the voxel size."""
    table = _coordinates(PIXELS, picks.points_zyx[:, ::-1])
    table["rlnMicrographName"] = f"{tomogram_root(tomogram.name)}.tomostar"
    for label in ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"):
        table[label] = 0.0
    table[SCORE] = _scores(picks)
    return table


def _relion31(picks: Picks, tomogram: Tomogram, unbinned: Unbinned | None) -> pd.DataFrame:
    """RELION 3.1, beside the tomogram: whole voxels, since its reader truncates."""
    return _coordinates(PIXELS, np.floor(picks.points_zyx[:, ::-1] + 0.5).astype(int))


def _relion4(picks: Picks, tomogram: Tomogram, unbinned: Unbinned | None) -> pd.DataFrame:
    """RELION 4, `relion_tomo_import_particles`: pixels of the tilt series."""
    if unbinned is None:
        raise InputError("The STAR flavour relion4 needs the pixel size of the tilt series.")
    pixels = picks.points_zyx[:, ::-1] * tomogram.voxel_size / unbinned.pixel_size
    return _relion(PIXELS, pixels, picks, tomogram)


def _relion5(picks: Picks, tomogram: Tomogram, unbinned: Unbinned | None) -> pd.DataFrame:
    """RELION 5, Extract: Å from the centre, which is half the unbinned size (not less one)."""
    if unbinned is None or unbinned.size_xyz is None:
        logger.warning(
            "relion5: the unbinned size is not known; taking the tomogram's own extent puts "
            "the particles off by at most half a voxel (%g Å).",
            tomogram.voxel_size / 2,
        )
        extent = np.array(tomogram.shape[::-1]) * tomogram.voxel_size
    else:
        extent = np.array(unbinned.size_xyz) * unbinned.pixel_size
    centred = picks.points_zyx[:, ::-1] * tomogram.voxel_size - extent / 2
    return _relion(CENTRED, centred, picks, tomogram)


FLAVOURS: dict[str, Callable[[Picks, Tomogram, Unbinned | None], pd.DataFrame]] = {
    "relion5": _relion5,
    "relion4": _relion4,
    "relion31": _relion31,
    "warp": _warp,
}


def _relion(
    columns: tuple[str, ...], points_xyz: np.ndarray, picks: Picks, tomogram: Tomogram
) -> pd.DataFrame:
    table = _coordinates(columns, points_xyz)
    table.insert(0, "rlnTomoName", relion_name(tomogram.name))
    table[SCORE] = _scores(picks)
    return table


def _coordinates(columns: tuple[str, ...], points_xyz: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(points_xyz, columns=list(columns))


def _scores(picks: Picks) -> np.ndarray:
    """A point without a score, as a prompt, counts 0: STAR files of this kind have no NaN."""
    return np.nan_to_num(picks.scores, nan=0.0)


def _word(text: str) -> str:
    """The text as one value of a STAR row, which ends at a space, a quote or a `#`."""
    return re.sub(r"[\s\"'#]+", "_", text)


def _write(path: str | Path, table: pd.DataFrame, overwrite: bool) -> None:
    for column in table.select_dtypes("float"):
        table[column] = table[column].round(6) + 0.0  # no -0.000000
    text = starfile.to_string({"particles": table}, sep=" ")
    write_text(path, text[text.index("data_particles") :], overwrite=overwrite)
