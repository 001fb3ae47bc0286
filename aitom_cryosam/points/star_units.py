"""The pixel sizes that a STAR file states: one table of rules for all its labels.

| label | of | counts |
|---|---|---|
| `cryosamVoxelSize` | our own files | the voxels of `rlnCoordinate*` |
| `rlnTomoTiltSeriesPixelSize` | RELION 4, 5 | the tilt series; so do RELION 4's coordinates |
| `rlnImagePixelSize` | RELION 3.1 to 5, WarpTools | the particle images |
| `rlnPixelSize` | RELION 3.0, Warp | the particle images |
| `rlnMicrographPixelSize` | RELION | the micrograph, here the tomogram |
| `rlnDetectorPixelSize` | RELION 3.0, Warp | µm; times 10⁴ / `rlnMagnification`: the images |
| the same alone | pytom-match-pick | Å, the tomogram's voxels |

Where coordinates count voxels, they are those that the images were taken at (Warp, M, RELION
3); `rlnOrigin*` without `Angst` count pixels of the images. A value stands in the row itself, or
in the row of its optics group, or once in another block; NaN and the like in all rows say nothing.
Two statements that differ by more than 1 % are refused with both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE
from aitom_cryosam.points.star_syntax import Block
from aitom_cryosam.points.table import VOXEL_SIZE, all_open, numeric
from aitom_cryosam.remedies import Remedy

if TYPE_CHECKING:
    import pandas as pd

SERIES = "rlnTomoTiltSeriesPixelSize"
_IMAGE, _PIXEL = "rlnImagePixelSize", "rlnPixelSize"
_DETECTOR, _MAGNIFICATION = "rlnDetectorPixelSize", "rlnMagnification"
_MICROGRAPH = "rlnMicrographPixelSize"
_GROUP = "rlnOpticsGroup"
LABELS = (VOXEL_SIZE, SERIES, _IMAGE, _PIXEL, _DETECTOR, _MAGNIFICATION, _MICROGRAPH, _GROUP)
_MICROMETRE = 1e4


def voxels(rows: pd.DataFrame, blocks: Sequence[Block], path: Path) -> np.ndarray | None:
    """(n,) Å, what coordinates that count voxels count; None if the file does not say.

    Raises:
        InputError: two statements differ, or one is not a number above 0.
    """
    return _agreeing(
        _statements(rows, blocks, path, (VOXEL_SIZE, _MICROGRAPH, _IMAGE, _PIXEL)), path
    )


def images(rows: pd.DataFrame, blocks: Sequence[Block], path: Path) -> np.ndarray | None:
    """(n,) Å, the pixels of the particle images; None if the file does not say.

    Raises:
        InputError: as for `voxels`.
    """
    return _agreeing(_statements(rows, blocks, path, (_IMAGE, _PIXEL)), path)


def series(rows: pd.DataFrame, blocks: Sequence[Block], path: Path) -> np.ndarray | None:
    """(n,) Å, the pixels of the tilt series; None if the file does not say.

    Raises:
        InputError: as for `voxels`.
    """
    return _column(SERIES, rows, blocks, path)


def micrographs(rows: pd.DataFrame, blocks: Sequence[Block], path: Path) -> np.ndarray | None:
    """(n,) Å, the pixels of the tomogram where nothing says those of its tilt series, or None.

    Raises:
        InputError: as for `voxels`.
    """
    return _column(_MICROGRAPH, rows, blocks, path)


def _statements(
    rows: pd.DataFrame, blocks: Sequence[Block], path: Path, labels: Sequence[str]
) -> dict[str, np.ndarray]:
    found = {label: _column(label, rows, blocks, path) for label in labels}
    detector = _column(_DETECTOR, rows, blocks, path)
    magnification = _column(_MAGNIFICATION, rows, blocks, path)
    if detector is not None and magnification is not None:
        found[_DETECTOR] = detector * _MICROMETRE / magnification
    elif detector is not None:
        found[_DETECTOR] = detector
    return {label: sizes for label, sizes in found.items() if sizes is not None}


def _agreeing(statements: Mapping[str, np.ndarray], path: Path) -> np.ndarray | None:
    if not statements:
        return None
    (first, sizes), *others = statements.items()
    for label, other in others:
        differing = np.flatnonzero(np.abs(other - sizes) > SAME_SIZE * sizes)
        if len(differing):
            row = differing[0]
            raise InputError(
                f"{path}, row {row + 1}: {first} says {sizes[row]:g} Å and {label} "
                f"{other[row]:g} Å; expected one pixel size",
                Remedy.PIXEL_SIZE_OR_COLUMN,
            )
    return sizes


def _column(
    label: str, rows: pd.DataFrame, blocks: Sequence[Block], path: Path
) -> np.ndarray | None:
    """(n,) the value that counts for each row; None if none is stated."""
    if label in rows:
        return None if all_open(rows[label]) else _positive(rows[label], label, path)
    for block in blocks:
        if not block.has([label]) or all_open(block.column(label)):
            continue
        sizes = _positive(block.table()[label], label, path)
        if _GROUP in rows and block.has([_GROUP]):
            return _by_group(rows[_GROUP], block.column(_GROUP), sizes, path)
        if np.ptp(sizes) > SAME_SIZE * sizes[0]:
            raise InputError(
                f"{path}: {label} is {sizes.min():g} and {sizes.max():g} Å in data_{block.name}; "
                f"expected one, or a column {_GROUP} that says which counts for which row."
            )
        return np.full(len(rows), sizes[0])
    return None


def _by_group(groups: pd.Series, known: Sequence[str], sizes: np.ndarray, path: Path) -> np.ndarray:
    by_group = dict(zip(map(_group, known), sizes, strict=True))
    wanted = groups.map(_group)
    unknown = groups[~wanted.isin(by_group)]
    if len(unknown):
        raise InputError(
            f"{path}: there are particles of the optics group {unknown.iloc[0]}, but no such "
            f"group; expected one of {', '.join(map(str, known))}."
        )
    return wanted.map(by_group).to_numpy(np.float64)


def _group(number: str) -> str:
    """The number of an optics group, also where a table has made a real number of it."""
    return re.sub(r"\.0*$", "", str(number))


def _positive(column: pd.Series, label: str, path: Path) -> np.ndarray:
    sizes = numeric(column)
    wrong = np.flatnonzero(~((sizes > 0) & np.isfinite(sizes)))
    if len(wrong):
        raise InputError(
            f"{path}: {label} is '{column.iloc[wrong[0]]}'; expected a number above 0."
        )
    return sizes
