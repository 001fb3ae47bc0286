"""Tilts: the range of a tilt series, as the files of other programs state its angles."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.errors import InputError
from aitom_cryosam.points.star_syntax import read_blocks
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.source_file import existing_file

_LABELS = ("rlnTomoYTilt", "rlnTomoNominalStageTiltAngle", "wrpAngleTilt")


def read_tilts(path: str | Path) -> np.ndarray:
    """(t,) degrees, in the order of the file.

    Text of one angle a line, or of all in one (`.tlt`, `.rawtlt`), RELION's STAR of one tilt
    series, Warp's `.tomostar` or `.xml`, SerialEM's `.mdoc`, AreTomo's `.aln`.

    Raises:
        InputError: no such file, or no angles in it.
    """
    path = Path(path)
    existing_file(path)
    try:
        text = path.read_text(encoding="utf-8", errors="strict")
    except UnicodeDecodeError:
        raise InputError(
            f"{path} holds no tilt angles; expected text, as .tlt files are."
        ) from None
    ending = path.suffix.lower()
    if ending in (".star", ".tomostar"):
        blocks = [(block, label) for block in read_blocks(path) for label in _LABELS]
        words = next((one.column(label) for one, label in blocks if one.has([label])), [])
    elif ending == ".xml":
        words = " ".join(re.findall(r"<Angles>(.*?)</Angles>", text, re.S)).split()
    elif ending == ".mdoc":
        words = re.findall(r"^\s*TiltAngle\s*=\s*(\S+)", text, re.M)
    elif ending == ".aln":
        whole_images = text.partition("# Local")[0]
        words = [row[-1] for row in _rows(whole_images) if not row[0].startswith("#")]
    else:
        rows = _rows(text)
        words = rows[0] if len(rows) == 1 else [row[0] for row in rows]
    try:
        angles = np.array([float(word) for word in words])
    except ValueError:
        raise InputError(f"{path} holds no tilt angles; expected one number a line.") from None
    if not len(angles) or not np.isfinite(angles).all():
        raise InputError(f"{path} holds no tilt angles; expected some in degrees.")
    return angles


def _rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def wedge_of_tilts(path: str | Path, axis: float = 0.0) -> MissingWedge:
    """The range of a file's tilts.

    Args:
        path: as for `read_tilts`.
        axis: degrees from y towards x.

    Raises:
        InputError: as for `read_tilts`, or all angles are the same.
    """
    angles = read_tilts(path)
    if angles.max() - angles.min() < 1:
        raise InputError(
            f"{path}: its {len(angles)} tilts are all {angles[0]:g}°", Remedy.TILT_RANGE
        )
    return MissingWedge(float(angles.min()), float(angles.max()), axis)
