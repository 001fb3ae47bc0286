"""MissingWedge: what a tilt series has measured of a particle's spectrum."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from aitom_cryosam.errors import InputError
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

_SLICES = 48  # planes across the tilt axis that the estimate looks at
_BANDS = (0.15, 0.8)  # of Nyquist, where the estimate looks
_CLEAREST = 1.25  # of the powers inside and outside: less is no wedge
_AXES = (0.0, 90.0)


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


NO_WEDGE = MissingWedge(-90.0, 90.0)


def estimated_wedge(tomogram: Tomogram) -> MissingWedge | None:
    """The tilt range as the tomogram's own spectrum shows it; None if it shows none.

    The power in the plane across the tilt axis falls at the edge of the wedge. Both x and y are
    tried as the axis.
    """
    best: tuple[float, MissingWedge] | None = None
    for axis in _AXES:
        angles, power = _profile(tomogram, axis)
        contrast, lowest, highest = _edges(angles, power)
        if contrast > _CLEAREST and (best is None or contrast > best[0]):
            best = contrast, MissingWedge(lowest, highest, axis)
    return best[1] if best else None


def _profile(tomogram: Tomogram, axis: float) -> tuple[np.ndarray, np.ndarray]:
    """Degrees from -90 to 90, and the mean log power of the spectrum along each."""
    lower, upper = tomogram.content_box
    along, across = (1, 2) if axis == 0 else (2, 1)
    places = np.linspace(lower[along], upper[along] - 1, _SLICES + 2)[1:-1].round().astype(int)
    size = min(upper[0] - lower[0], upper[across] - lower[across])
    window = np.hanning(size + 2)[1:-1]
    total = np.zeros((size, size))
    starts = np.unique(np.linspace(lower[across], upper[across] - size, 4).round().astype(int))
    z0 = (lower[0] + upper[0] - size) // 2
    for place in np.unique(places):
        for start in starts:
            low, high = [z0, start, start], [z0 + size, start + size, start + size]
            low[along], high[along] = place, place + 1
            plane = tomogram.box(low, high).reshape(size, size)
            plane = (plane - plane.mean()) * window[:, None] * window
            total += np.abs(fft.fftshift(fft.fft2(plane))) ** 2
    radius_grid = np.hypot(
        *np.ogrid[-(size // 2) : size - size // 2, -(size // 2) : size - size // 2]
    )
    shells = np.round(radius_grid).astype(int)
    mean = np.bincount(shells.ravel(), total.ravel()) / np.bincount(shells.ravel())
    level = np.log(total / np.maximum(mean[shells], 1e-30) + 1e-6)
    angles = np.arange(-90, 90, 1.0)
    radii = np.arange(_BANDS[0] * size / 2, _BANDS[1] * size / 2)
    sign = 1 if axis == 0 else -1  # `across` of the wedge at 90° is -y
    u = sign * np.cos(np.radians(angles))[:, None] * radii + size // 2
    v = np.sin(np.radians(angles))[:, None] * radii + size // 2
    return angles, ndimage.map_coordinates(level, [v, u], order=1).mean(axis=1)


def _edges(angles: np.ndarray, power: np.ndarray) -> tuple[float, float, float]:
    """(ratio of powers inside and outside, lowest, highest) of the best box-shaped fit.

    The range holds 0° and leaves out at least 4° in all.
    """
    sums = np.concatenate([[0], np.cumsum(power)])
    total, n = sums[-1], len(power)
    squares = float((power**2).sum())
    best = (np.inf, 0.0, 0.0, 1.0)
    for i in range(0, n // 2 - 15):
        for j in range(n // 2 + 15, n + 1):
            inside = j - i
            if n - inside < 4:
                continue
            mean_in = (sums[j] - sums[i]) / inside
            mean_out = (total - sums[j] + sums[i]) / (n - inside)
            rest = squares - inside * mean_in**2 - (n - inside) * mean_out**2
            if rest < best[0]:
                best = rest, float(angles[i]), float(angles[j - 1]), math.exp(mean_in - mean_out)
    return best[3], best[1], best[2]
