"""CryoSAM for AITom: pick every copy of a particle in a tomogram from one click.

A click is x, y, z in voxels from 0, as in STAR files and viewers; all arrays of points and voxels
have the axes z, y, x. `result.picks.points_zyx` is (n, 3), best first, and `result.labels()` has
the number of a pick, `result.picks.ids`, in each voxel of its mask.

>>> from aitom_cryosam import CryoSAM, Record, Tomogram
>>> result = CryoSAM().pick(Tomogram.open("tomogram.mrc"), [(120, 200, 64)])  # doctest: +SKIP
>>> files = result.write("picks")  # doctest: +SKIP
>>> record = Record.open(files["run"])  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aitom_cryosam.job import Job
    from aitom_cryosam.picker import CryoSAM
    from aitom_cryosam.picks import Picks
    from aitom_cryosam.record import Record
    from aitom_cryosam.result import Result
    from aitom_cryosam.settings import Settings
    from aitom_cryosam.tomogram import Tomogram

__all__ = ["CryoSAM", "Job", "Picks", "Record", "Result", "Settings", "Tomogram"]

_HOMES = {
    "CryoSAM": "picker",
    "Job": "job",
    "Picks": "picks",
    "Record": "record",
    "Result": "result",
    "Settings": "settings",
    "Tomogram": "tomogram",
}


def __dir__() -> list[str]:
    """All that can be asked for, also what is not imported yet: for `help` and completion."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import on first use, so that `cryosam --help` does not wait for the numerics."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
