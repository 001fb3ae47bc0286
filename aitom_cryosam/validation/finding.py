"""Finding: one thing to say of a file of points, and what it was checked against."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from aitom_cryosam.points.tilt_series import TomogramsStar
from aitom_cryosam.points.tomogram_info import TomogramInfo

_ANYWHERE = TomogramInfo("")


class Severity(Enum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing, in one sentence without the file's name."""

    severity: Severity
    text: str


@dataclass(frozen=True)
class Expected:
    """What points are checked against, as far as it is known.

    Attributes:
        info: the tomogram; its name is empty if the points may be of several.
        tomograms: the tilt series of the project.
        coords_angpix: Å, what the file's pixels count, if not voxels.
        distance: Å, closer points are reported.
        format: a name in `registry.FORMATS`, where the file leaves it open.
    """

    info: TomogramInfo = _ANYWHERE
    tomograms: TomogramsStar | None = None
    coords_angpix: float | None = None
    distance: float | None = None
    format: str | None = None
