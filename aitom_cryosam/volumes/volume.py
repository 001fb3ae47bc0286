"""Volume: voxels and where they lie, whatever file they come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE

Triple = tuple[float, float, float]
Shape = tuple[int, int, int]

_PLAUSIBLE = (0.1, 1000.0)  # Å; others are a mistake, in nm or m, or filled with noise
_TENFOLD = (8.0, 12.5)  # of two voxel sizes, one of which may be in nm


class Sliced(Protocol):
    """An array in memory or anywhere else, of which parts are read by slicing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all of it."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its values."""
        ...

    def __getitem__(self, index: Any, /) -> Any:
        """The values inside integers and slices, as an array."""
        ...


class Source(Protocol):
    """What is read for a long time, and must stay as it is meanwhile."""

    def check(self) -> None:
        """Refuse to go on if it does not.

        Raises:
            InputError: it was changed or removed.
        """
        ...


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume and what its file says of its place.

    Attributes:
        data: (D, H, W), axes z y x, read-only; what is not used stays on disk where the file
            allows.
        voxel_size: Å.
        origin: x, y, z of voxel 0, Å.
        nstart: x, y, z of an MRC header, voxels.
        source: the file, which must stay as it is while the data are read.
    """

    data: Sliced
    voxel_size: float
    origin: Triple
    nstart: tuple[int, int, int]
    source: Source

    @property
    def values(self) -> np.ndarray:
        """(D, H, W), all of the data; memory-mapped where the file allows."""
        return np.asarray(self.data)


def refuse_voxel_size(wanted: float) -> None:
    """Refuse what a user gives as a voxel size, if it is none.

    Raises:
        InputError: it is not above 0 Å.
    """
    if not isinstance(wanted, Real):
        raise InputError(f"Expected a voxel size in Å, one number, got {wanted!r}.")
    if not (math.isfinite(wanted) and wanted > 0):
        raise InputError(f"Expected a voxel size above 0 Å, got {wanted:g}.")


def against_stated(wanted: float, who: str, stated: float) -> str:
    """That a user's voxel size is not the one a file states; Å both.

    Args:
        wanted: by the user.
        who: states the other, with its verb.
        stated: by the file.
    """
    words = f"using {wanted:g} Å voxels; {who} {stated:.4g} Å"
    low, high = _TENFOLD
    if low <= max(wanted, stated) / min(wanted, stated) <= high:
        words += f", about ten times {'more' if stated > wanted else 'less'} (1 nm is 10 Å)"
    return f"{words}."


def voxel_size_of(sizes_xyz: Sequence[float]) -> tuple[float, str | None]:
    """Å, and what is wrong with it: the end of a sentence that says who gives it.

    Args:
        sizes_xyz: Å along x, y and z, as a file states them.
    """
    mean = float(f"{sum(sizes_xyz) / 3:.6g}")  # what single precision is good for
    given = " × ".join(f"{size:.4g}" for size in sizes_xyz)
    low, high = _PLAUSIBLE
    if not all(math.isfinite(size) and size > 0 for size in sizes_xyz):
        return mean, "gives no voxel size"
    if all(abs(size - 1) < 1e-3 for size in sizes_xyz):
        return mean, "gives a voxel size of 1 Å, which stands for unknown"
    if max(sizes_xyz) - min(sizes_xyz) > SAME_SIZE * max(sizes_xyz):
        return mean, f"gives unequal voxel sizes, {given} Å in x, y, z"
    if not low <= sizes_xyz[0] <= high:
        return mean, f"gives a voxel size of {sizes_xyz[0]:.4g} Å, which cannot be"
    return mean, None
