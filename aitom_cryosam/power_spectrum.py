"""Power spectrum: the power of a tomogram by spatial frequency and direction.

A tilt series leaves a wedge of Fourier space empty, around the direction of the beam and along
the tilt axis. Where it lies tells which axis is the beam's, whatever the header says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np
from scipy import ndimage

from aitom_cryosam.threads import mapped

BAND = (4.0, 0.25)
"""From 4 periods a cube to a quarter of a period a voxel: there is signal, and direction."""
STEP = 5.0
"""Degrees of a bin of directions."""
_EMPTY, _FULL = 70.0, 45.0  # degrees of tilt: from here surely missing, up to here surely not
_SEEN = 0.35  # of the power outside; what is inside a wedge has less
_LOW, _HIGH = (0.04, 0.12), (0.4, 0.5)  # periods a voxel


@dataclass(frozen=True)
class Wedge:
    """The missing wedge, as far as the power tells.

    A tilt is positive where frequencies along the beam and along the third axis, across the
    tilt axis, have one sign.

    Attributes:
        beam: the axis (0, 1, 2 for z, y, x) that it lies around.
        tilt: the tilt axis.
        lowest: degrees, of the first tilt.
        highest: degrees, of the last tilt.
        power: inside, as a share of that outside.
    """

    beam: int
    tilt: int
    lowest: float
    highest: float
    power: float


class Spectrum:
    """The mean power of cubes.

    Args:
        cubes: at least one, all of one side n.
    """

    def __init__(self, cubes: Sequence[np.ndarray]) -> None:
        side = len(cubes[0])
        window = np.hanning(side + 2)[1:-1].astype(np.float32)
        taper = window[:, None, None] * window[:, None] * window
        self.power = np.zeros((side,) * 3)
        for power in mapped(lambda cube: np.abs(np.fft.fftn(cube * taper)) ** 2, cubes):
            self.power += power
        lines = np.meshgrid(*(np.fft.fftfreq(side),) * 3, indexing="ij")
        self.frequencies = np.stack(lines)  # (3, n, n, n) periods a voxel, z y x
        self.radius = np.sqrt((self.frequencies**2).sum(axis=0))

    @cached_property
    def _relative(self) -> np.ndarray:
        """The power, as a share of the mean at its distance from the origin."""
        shell = np.floor(self.radius * len(self.power) + 0.5).astype(int)
        means = ndimage.mean(self.power, shell, np.arange(shell.max() + 1))
        return np.asarray(self.power / np.maximum(means, 1e-30)[shell])

    def profile(self, beam: int, tilt: int) -> np.ndarray:
        """(36,) median relative power by tilt, in bins from -90 to 90 degrees.

        NaN where the cubes are too small to have a frequency in that direction.

        Args:
            beam: axis.
            tilt: axis, another one.
        """
        band = (self.radius > BAND[0] / len(self.power)) & (self.radius < BAND[1])
        along, aside = self.frequencies[beam][band], self.frequencies[3 - beam - tilt][band]
        tilts = np.degrees(np.arctan2(along * np.where(aside < 0, -1, 1), np.abs(aside)))
        bins, count = (tilts + 90) // STEP, int(180 / STEP)
        if not band.any():
            return np.full(count, np.nan)
        return np.asarray(
            ndimage.median(self._relative[band], np.minimum(bins, count - 1), np.arange(count))
        )

    def wedge(self) -> Wedge | None:
        """The missing wedge, or None where no direction is that much weaker than the others."""
        tilts = (np.arange(180 / STEP) + 0.5) * STEP - 90
        found = []
        for beam, tilt in permutations(range(3), 2):
            profile = self.profile(beam, tilt)
            if not np.isfinite(profile).all():
                return None
            outside = profile[np.abs(tilts) < _FULL].mean()
            inside = profile[np.abs(tilts) > _EMPTY].mean()
            lowest, highest = (
                sign * _edge(tilts, profile[::sign], outside / 2) for sign in (-1, 1)
            )
            found.append(Wedge(beam, tilt, lowest, highest, float(inside / max(outside, 1e-30))))
        best = min(found, key=lambda wedge: wedge.power)
        return best if best.power < _SEEN else None

    def smoothness(self) -> float:
        """log10 of the power of large structures over that of single voxels.

        About 0 to 0.6 where noise dominates, 2 to 6 after denoising or a low-pass filter.
        """
        low, high = (
            self.power[(self.radius >= start) & (self.radius < end)] for start, end in (_LOW, _HIGH)
        )
        if not (low.size and high.size):
            return np.nan  # cubes of very few voxels
        return float(np.log10(low.mean() / max(high.mean(), 1e-30)))


def _edge(tilts: np.ndarray, profile: np.ndarray, level: float) -> float:
    """Degrees, beyond which the power stays below a level; between bins by interpolation."""
    above = np.flatnonzero(profile > level)
    if not len(above) or above[-1] == len(profile) - 1:
        return 90.0
    last = int(above[-1])
    part = (profile[last] - level) / (profile[last] - profile[last + 1])
    return float(tilts[last] + part * STEP)
