"""Signal: how far a place stands out from its surroundings, and in which direction."""

from __future__ import annotations

import math

import numpy as np

from aitom_cryosam.binning import binned
from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.threads import mapped
from aitom_cryosam.tomogram import Tomogram

SHELL = 1.4
"""The surroundings: from a ball's surface to this many radii, as for the diameter's estimate."""
BACKGROUND = 96
"""Random places that a click is compared with."""
_FINE = 24  # voxels of the largest radius; larger ones are measured in binned boxes
_STEP = 1.15  # ratio of neighbouring radii
_SMALLEST = 2.0  # voxels


class Signal:
    """Contrast of balls against their shells, in deviations of the same at random places.

    Args:
        tomogram: to look in.
        largest: voxels, the radius of the largest particle.
        diameter: voxels, if it is known.
    """

    def __init__(self, tomogram: Tomogram, *, largest: float, diameter: float | None) -> None:
        self.tomogram = tomogram
        largest = max(min(largest, min(tomogram.shape) / 2), _SMALLEST)
        count = 1 + math.ceil(math.log(largest / _SMALLEST) / math.log(_STEP))
        self.radii = np.geomspace(_SMALLEST, largest, max(count, 1))
        self._known = diameter is not None
        if diameter is not None:
            known = min(diameter / 2, max(tomogram.shape))  # beyond, all is inside
            self.radii = np.append(self.radii, known)
        self._largest = self.radii.max()
        self._bin = max(1, math.ceil(self._largest / _FINE))
        random = np.random.default_rng(0)  # the same places each time
        lower, upper = tomogram.content_box
        self.background = self.contrasts(random.uniform(lower, upper, (BACKGROUND, 3)))
        self._centre = np.median(self.background, axis=0)
        spread = np.median(np.abs(self.background - self._centre), axis=0) * 1.4826
        self._spread = np.maximum(spread, 1e-12)

    def contrasts(self, points_zyx: np.ndarray) -> np.ndarray:
        """(n, radii) mean of a ball less the mean of its shell, in the file's values.

        Args:
            points_zyx: (n, 3) voxels, inside the tomogram.
        """
        return np.array(mapped(self._contrast, list(points_zyx))).reshape(
            len(points_zyx), len(self.radii)
        )

    def deviations(self, points_zyx: np.ndarray) -> np.ndarray:
        """(n,) contrasts at the known radius, or where all points together stand out most.

        Args:
            points_zyx: (n, 3) voxels, inside the tomogram, n ≥ 1.

        Returns:
            In deviations from a random place; below 0 where the points are darker than around.
        """
        found = self._deviations(self.contrasts(points_zyx))
        best = -1 if self._known else int(np.abs(found.mean(axis=0)).argmax())
        return np.asarray(found[:, best])

    def rank(self, points_zyx: np.ndarray) -> np.ndarray:
        """(n,) share of random places that stand out less, 0 to 1, in either direction.

        Each at the radius where it stands out most: a diameter may be wrong, or not fit.

        Args:
            points_zyx: (n, 3) voxels, inside the tomogram.
        """
        here, chance = map(self._deviations, (self.contrasts(points_zyx), self.background))
        chance = np.sort(np.abs(chance).max(axis=1))
        return np.asarray(np.searchsorted(chance, np.abs(here).max(axis=1)) / BACKGROUND)

    def _deviations(self, contrasts: np.ndarray) -> np.ndarray:
        return (contrasts - self._centre) / self._spread

    def _contrast(self, point: np.ndarray) -> np.ndarray:
        """(radii,) for one point; what lies outside the tomogram does not count."""
        reach = math.ceil(SHELL * self._largest / self._bin) + 1
        side = 2 * reach + 1
        first = nearest_voxel(point) - self._bin * reach - (self._bin - 1) // 2
        lower = np.clip(first, 0, self.tomogram.shape)
        upper = np.clip(first + side * self._bin, lower, self.tomogram.shape)
        values = np.asarray(self.tomogram.data[tuple(map(slice, lower, upper))], np.float32)
        lines = [
            np.arange(low, high) - centre
            for low, high, centre in zip(lower, upper, point, strict=True)
        ]
        if self._bin > 1:
            values, lines = binned(values, self._bin), [_middles(x, self._bin) for x in lines]
        z, y, x = (line**2 for line in lines)
        distance = np.sqrt(z[:, None, None] + y[:, None] + x)
        shells = np.minimum((distance * 2).astype(int), 2 * side * self._bin)  # half voxels
        size = 2 * side * self._bin + 1
        sums = np.cumsum(np.bincount(shells.ravel(), values.ravel(), size))
        counts = np.cumsum(np.bincount(shells.ravel(), minlength=size))
        inner = np.maximum((2 * self.radii).astype(int), 1)
        outer = np.minimum((2 * SHELL * self.radii).astype(int) + 1, size - 1)
        ball = sums[inner] / np.maximum(counts[inner], 1)
        around = (sums[outer] - sums[inner]) / np.maximum(counts[outer] - counts[inner], 1)
        return np.asarray(ball - around)


def _middles(line: np.ndarray, bin_: int) -> np.ndarray:
    """Means of bin_ places of a line; a rest at the far end falls away."""
    count = len(line) // bin_
    return np.asarray(line[: count * bin_].reshape(count, bin_).mean(axis=1))
