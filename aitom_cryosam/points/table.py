"""Table: the points of one file in the file's own unit, under one set of labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE, nearest_voxel
from aitom_cryosam.picks import Picks
from aitom_cryosam.source_file import existing_file, reading

if TYPE_CHECKING:
    import pandas as pd

XYZ = ("x", "y", "z")
PIXELS = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
CENTRED = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
ORIGINS = tuple(f"rlnOrigin{axis}Angst" for axis in "XYZ")
PIXEL_ORIGINS = tuple(f"rlnOrigin{axis}" for axis in "XYZ")
NAMES = ("rlnTomoName", "rlnMicrographName")
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
FRAME_ANGLES = tuple(f"rlnTomoSubtomogram{angle}" for angle in ("Rot", "Tilt", "Psi"))
SCORE = "rlnAutopickFigureOfMerit"
CLASS = "particleClass"
CLASS_NUMBER = "rlnClassNumber"
# Labels of our own, which RELION and Warp carry along unread.
ID, KEPT, OWN_SCORE, PARTICLE_ID, PROBABILITY, REASON, VOXEL_SIZE = (
    "cryosamInstanceId",
    "cryosamKept",
    "cryosamScore",
    "cryosamParticleId",
    "cryosamProbability",
    "cryosamReason",
    "cryosamVoxelSize",
)
FROM_CORNER = np.array([0.5, 0.5, 0.0])
"""Of IMOD's models: x, y, z of the middle of voxel 0."""
_AS_WRITTEN: Mapping[str, str] = {}


class Unit(Enum):
    """What the numbers of a file count, by its format; never by their values."""

    VOXEL = "voxels of the tomogram"
    PIXEL = "pixels of the tilt series where that is known, else voxels"
    ANGSTROM = "Å from the corner"
    SCENE = "Å in the scene of ChimeraX, where the tomogram's header places it"
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
        sizes: (n,) Å, the voxels or pixels that `columns` count in each row, or from whose middle
            they count Å, as the file states them, or None.
        image_sizes: (n,) Å, the pixels of the particle images, likewise.
        image_xyz: voxels, of the image that the points were put on, as the file states it, or None.
        rotations: n of the particles, or None.
        frames: n rotations of RELION's subtomograms, in which its shifts are written, or None.
        extra: the labels of `rows` that mean nothing here.
        written: what the file itself calls those of `rows` that it has by another name.
    """

    rows: pd.DataFrame
    unit: Unit
    columns: tuple[str, ...] = XYZ
    voxel_size: float | None = None
    pixel_size: float | None = None
    sizes: np.ndarray | None = None
    image_sizes: np.ndarray | None = None
    image_xyz: tuple[int, int, int] | None = None
    rotations: Rotation | None = None
    frames: Rotation | None = None
    extra: tuple[str, ...] = ()
    written: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        points_xyz: Sequence[Any] | np.ndarray,
        unit: Unit,
        *,
        names: Sequence[str] | None = None,
        classes: Sequence[str | None] | None = None,
        scores: Sequence[Any] | None = None,
        voxel_size: float | None = None,
        pixel_size: float | None = None,
        rotations: Rotation | None = None,
    ) -> Table:
        """A table from columns; a class or score may be None."""
        import pandas as pd

        rows = pd.DataFrame(list(points_xyz), columns=list(XYZ), dtype=object)
        for label, values in ((NAMES[0], names), (CLASS, classes), (SCORE, scores)):
            if values is not None:
                rows[label] = pd.Series(list(values), dtype=object)
        return cls(rows, unit, voxel_size=voxel_size, pixel_size=pixel_size, rotations=rotations)

    def points_xyz(self, path: Path) -> np.ndarray:
        """(n, 3) the values of `columns`, in `unit`.

        Raises:
            InputError: as for `numbers`.
        """
        return numbers(self.rows, self.columns, path, self.written)

    def scores(self, path: Path) -> np.ndarray | None:
        """(n,) or None; NaN where another program has left the value open.

        Raises:
            InputError: naming the first row with a value that is neither a number nor open.
        """
        if SCORE not in self.rows:
            return None
        column = self.rows[SCORE]
        values = numeric(column)
        values = np.where(np.isinf(values), np.nan, values)
        for row in np.flatnonzero(np.isnan(values)):
            text = column.iloc[row]
            if not is_open(text):
                called, shown = self.written.get(SCORE, SCORE), str(text)[:40]
                raise InputError(f"{path}, row {row + 1}: {called} is '{shown}', not a number.")
        return values

    @property
    def mixed(self) -> bool:
        """Whether the rows count in different sizes."""
        sizes = self.sizes
        return sizes is not None and len(sizes) > 0 and np.ptp(sizes) > SAME_SIZE * sizes.max()

    @property
    def names(self) -> tuple[str, ...] | None:
        """The tomogram of every point, or None if the file does not say."""
        label = next((label for label in NAMES if label in self.rows), None)
        names = tuple(map(str, self.rows[label])) if label else ()
        return names if (label and not names) or not all_open(names) else None


def numbers(
    table: pd.DataFrame,
    columns: tuple[str, ...],
    path: Path,
    written: Mapping[str, str] = _AS_WRITTEN,
) -> np.ndarray:
    """(n, columns) float64.

    Args:
        table: n rows.
        columns: of it, to be read.
        path: of the file, for an error.
        written: as in `Table`.

    Raises:
        InputError: naming the first row with a value that is not a finite number.
    """
    import pandas as pd

    called = [written.get(label, label) for label in columns]
    texts = np.stack([table[label].to_numpy(object) for label in columns], axis=1)
    try:  # of all columns at once: there are files of many tomograms with few points each
        values = pd.to_numeric(texts.ravel(), errors="coerce").astype(np.float64)
        values = values.reshape(texts.shape)
    except OverflowError:  # whole numbers of hundreds of digits
        raise InputError(
            f"{path} holds a number that is too large; expected {', '.join(called)} in voxels or Å."
        ) from None
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        text = str(table[columns[column]].iloc[row])[:40]
        raise InputError(f"{path}, row {row + 1}: {called[column]} is '{text}', not a number.")
    return values


def numeric(column: pd.Series) -> np.ndarray:
    """(n,) float64; NaN where a value is no number, or one of hundreds of digits."""
    import pandas as pd

    try:
        return pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    except OverflowError:
        return np.array([_float(value) for value in column])


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def one_size(sizes: np.ndarray | None) -> float | None:
    """The size (Å) of all rows (n,), if it is one."""
    if sizes is None or not len(sizes) or np.ptp(sizes) > SAME_SIZE * sizes.max():
        return None
    return float(sizes[0])


def is_open(value: object) -> bool:
    """Whether a program has left the value open, by any of the usual words for nothing."""
    return str(value).strip().lower() in _OPEN


_OPEN = {"", "nan", "+nan", "-nan", "inf", "+inf", "-inf", "none", "null", "<na>", "n/a", "na"}


def all_open(values: Iterable[object]) -> bool:
    """Whether a program has left all of them open, as cryoCAT does with NaN; so are none."""
    return all(map(is_open, values))


def filled(table: pd.DataFrame, labels: Sequence[str]) -> tuple[str, ...]:
    """Those of the labels that have a column, and not one that is left open in all rows."""
    return tuple(
        label for label in labels if label in table and not (len(table) and all_open(table[label]))
    )


def positive(value: Any, path: Path, called: str) -> float:
    """A size that a file states, above 0.

    Raises:
        InputError: it is not a number above 0.
    """
    try:
        size = float(value)
    except (TypeError, ValueError, OverflowError):
        size = np.nan
    if not 0 < size < np.inf:
        raise InputError(f"{path}: {called} is '{value}'; expected a number above 0.")
    return size


def text_of(path: Path) -> str:
    """The text of a file: UTF-8, UTF-16 with its mark, or else Latin-1, which never fails.

    Raises:
        InputError: the file cannot be opened, or is binary.
    """
    with reading(existing_file(path), "a file of text"):
        content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    if b"\0" in content:
        raise InputError(f"{path} is binary; expected a text file of points.")
    try:
        return content.decode("utf-8").replace("\ufeff", "")  # several, where files were joined
    except UnicodeDecodeError:
        return content.decode("latin-1")


def json_of(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: it is not JSON.
    """
    with reading(path, "a JSON file"):
        return json.loads(text_of(path))


def whole(points: np.ndarray) -> np.ndarray:
    """(...) int64, the whole numbers nearest to (...) coordinates; halves go up."""
    return nearest_voxel(points)


def scores(picks: Picks) -> np.ndarray:
    """(n,) scores, 0 for one that is missing: where a format has a number in any case."""
    return np.nan_to_num(picks.scores, nan=0.0)


def scores_or(missing: str, picks: Picks) -> np.ndarray | list[str]:
    """(n,) scores as columns have them, with a word for each that is missing."""
    known = np.isfinite(picks.scores)
    if known.all():
        return picks.scores
    return [
        f"{one:.6f}" if there else missing for one, there in zip(picks.scores, known, strict=True)
    ]


def scores_if_any(values: Sequence[Any]) -> list[Any] | None:
    """Scores of such a format, or None if all are 0, as programs leave what they have none of."""
    return list(values) if any(values) else None


def location(point_zyx: Sequence[float], unit: float = 1.0) -> dict[str, float]:
    """x, y, z of a point, times a unit."""
    z, y, x = (round(float(value) * unit, 6) for value in point_zyx)
    return {"x": x, "y": y, "z": z}
