"""Table: the points of one file in the file's own unit, under one set of labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks

XYZ = ("x", "y", "z")
PIXELS = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
CENTRED = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
ORIGINS = tuple(f"rlnOrigin{axis}Angst" for axis in "XYZ")
PIXEL_ORIGINS = tuple(f"rlnOrigin{axis}" for axis in "XYZ")
NAMES = ("rlnTomoName", "rlnMicrographName")
SCORE = "rlnAutopickFigureOfMerit"
CLASS = "particleClass"
# Labels of our own, which RELION and Warp carry along unread.
ID, KEPT, PROBABILITY, REASON, VOXEL_SIZE = (
    "cryosamInstanceId",
    "cryosamKept",
    "cryosamProbability",
    "cryosamReason",
    "cryosamVoxelSize",
)


class Unit(Enum):
    """What the numbers of a file count, by its format; never by their values."""

    VOXEL = "voxels of the tomogram"
    PIXEL = "pixels of the tilt series where that is known, else voxels"
    ANGSTROM = "Å from the corner"
    CENTRED_ANGSTROM = "Å from the centre of the unbinned tomogram"
    CENTRED_PIXEL = "pixels of the tilt series from voxel size // 2"


@dataclass(frozen=True, eq=False)
class Table:
    """The points of one file.

    Attributes:
        rows: n rows; `columns`, and of the labels above those that the file knows.
        unit: of `columns`.
        columns: the labels of x, y, z.
        voxel_size: Å, of the tomogram, as the file states it, or None.
        pixel_size: Å, of the tilt series, as the file states it, or None.
    """

    rows: pd.DataFrame
    unit: Unit
    columns: tuple[str, ...] = XYZ
    voxel_size: float | None = None
    pixel_size: float | None = None

    @classmethod
    def of(
        cls,
        points_xyz: Sequence[Any] | np.ndarray,
        unit: Unit,
        *,
        names: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        scores: Sequence[Any] | None = None,
        voxel_size: float | None = None,
        pixel_size: float | None = None,
    ) -> Table:
        """A table from columns; scores with a gap are left out, as there is no NaN in a table."""
        rows = pd.DataFrame(list(points_xyz), columns=list(XYZ), dtype=object)
        for label, values in ((NAMES[0], names), (CLASS, classes)):
            if values is not None:
                rows[label] = list(values)
        if scores is not None:
            column = pd.to_numeric(pd.Series(list(scores), dtype=object), errors="coerce")
            if column.notna().all():
                rows[SCORE] = column
        return cls(rows, unit, voxel_size=voxel_size, pixel_size=pixel_size)

    @property
    def names(self) -> tuple[str, ...] | None:
        """The tomogram of every point, or None if the file does not say."""
        label = next((label for label in NAMES if label in self.rows), None)
        return tuple(map(str, self.rows[label])) if label else None


def numbers(table: pd.DataFrame, columns: tuple[str, ...], path: Path) -> np.ndarray:
    """(n, columns) float64.

    Raises:
        InputError: naming the first row with a value that is not a finite number.
    """
    values = table[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        text = table[columns[column]].iloc[row]
        raise InputError(f"{path}, row {row + 1}: {columns[column]} is '{text}', not a number.")
    return values


def positive(value: Any, path: Path, called: str) -> float:
    """A size that a file states, above 0.

    Raises:
        InputError: it is not a number above 0.
    """
    try:
        size = float(value)
    except (TypeError, ValueError):
        size = np.nan
    if not 0 < size < np.inf:
        raise InputError(f"{path}: {called} is '{value}'; expected a number above 0.")
    return size


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever a malformed file does to the code that takes it apart into one sentence.

    Raises:
        InputError: the file is not what was `expected`.
    """
    try:
        yield
    except (InputError, OSError, UnicodeDecodeError):
        raise
    except Exception as error:
        raise InputError(f"{path} is not {expected} ({type(error).__name__}: {error}).") from None


def json_of(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: it is not JSON.
    """
    with reading(path, "a JSON file"):
        return json.loads(path.read_text(encoding="utf-8-sig"))


def whole(points: np.ndarray) -> np.ndarray:
    """The nearest whole numbers; halves go up."""
    return np.floor(points + 0.5).astype(np.int64)


def scores(picks: Picks) -> np.ndarray:
    """A point without a score, as a prompt, counts 0: files of this kind have no NaN."""
    return np.nan_to_num(picks.scores, nan=0.0)


def location(point_zyx: Sequence[float], unit: float = 1.0) -> dict[str, float]:
    """x, y, z of a point, times a unit."""
    z, y, x = (round(float(value) * unit, 6) for value in point_zyx)
    return {"x": x, "y": y, "z": z}
