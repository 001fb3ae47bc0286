"""MissingWedge: what a tilt series has measured of a particle's spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.power_spectrum import Spectrum
from aitom_cryosam.sample_cubes import sample_cubes
from aitom_cryosam.tomogram import Tomogram


@dataclass(frozen=True)
class MissingWedge:
    """The range of a tilt series.

    A tilt t about y sees the plane of the spectrum that holds y and (x cos t + z sin t).

    Attributes:
        lowest: degrees, of the first tilt.
        highest: degrees, of the last tilt.
        axis: degrees, of the tilt axis from y towards x, in the plane of x and y.

    Raises:
        InputError: the tilts are not two numbers from -90 to 90 in rising order.
    """

    lowest: float
    highest: float
    axis: float = 0.0

    def __post_init__(self) -> None:
        if not (-90 <= self.lowest < self.highest <= 90):
            raise InputError(
                f"Expected a tilt range as -60,60 between -90 and 90 degrees, got "
                f"{self.lowest:g},{self.highest:g}."
            )
        if not math.isfinite(self.axis):
            raise InputError(f"Expected a tilt axis in degrees, got {self.axis:g}.")

    def weights(self, points_xyz: np.ndarray) -> np.ndarray:
        """(...) float32, 1 where the spectrum was measured, 0 where not, a soft edge of one step.

        Args:
            points_xyz: (..., 3) frequencies in steps of the box's transform.
        """
        turn = math.radians(self.axis)
        points = np.asarray(points_xyz, np.float32)
        across = points[..., 0] * math.cos(turn) - points[..., 1] * math.sin(turn)
        depth = points[..., 2]
        middle = math.radians((self.lowest + self.highest) / 2)
        half = math.radians((self.highest - self.lowest) / 2)
        # Turned so that the range lies evenly about the axis `along`.
        along = np.abs(across * math.cos(middle) + depth * math.sin(middle))
        beside = np.abs(depth * math.cos(middle) - across * math.sin(middle))
        outside = beside * math.cos(half) - along * math.sin(half)  # steps beyond the last plane
        return np.clip(1 - outside, 0, 1).astype(np.float32)

    def __str__(self) -> str:
        return f"{self.lowest:g}° to {self.highest:g}°, axis {self.axis:g}° from y"


def estimated_wedge(tomogram: Tomogram) -> MissingWedge | None:
    """The tilt range as the tomogram's own spectrum shows it; None if it shows none.

    Both x and y are tried as the tilt axis.

    Raises:
        InputError: the missing wedge lies around x or y.
    """
    seen = Spectrum(sample_cubes(tomogram)).wedge()
    if seen is None:
        return None
    if seen.beam != 0:
        raise InputError(
            f"{tomogram.name}: its missing wedge lies around {'zyx'[seen.beam]}, not z; turn the "
            "tomogram so that the beam runs along z, and pick it again."
        )
    if seen.tilt == 1:
        return MissingWedge(round(seen.lowest), round(seen.highest))
    # An axis at 90° from y towards x is x, across which the range counts towards -y.
    return MissingWedge(-round(seen.highest), -round(seen.lowest), 90.0)
