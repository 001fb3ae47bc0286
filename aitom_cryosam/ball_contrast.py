"""Ball contrast: how much a ball stands out from the shell around it, at places near a point."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.fft import ifft, irfft, next_fast_len, rfftn

from aitom_cryosam.surroundings import bin_of, binned_boxes
from aitom_cryosam.targets import PARTICLE
from aitom_cryosam.tomogram import Tomogram

SHELL = 1.4
"""Radii of the ball to which the shell reaches, in which the background is measured."""
OFF_CENTRE = 2 * PARTICLE.click_offset
"""Radii that a point may lie beside the particle's centre."""


class BallContrast:
    """How much a ball stands out from its shell, at all places around each of n points.

    Args:
        tomogram: the tomogram.
        points: (n, 3) voxels.
        radius: voxels, of the ball.
        climbs: `OFF_CENTRE` radii that the places reach from a point.
    """

    def __init__(
        self, tomogram: Tomogram, points: np.ndarray, radius: float, climbs: int = 1
    ) -> None:
        self.tomogram = tomogram
        self.radius = radius
        self.bin = bin_of(radius)
        self.contrast, self.centres = self._around(points, climbs)
        self._low, self._high = self.centres[..., 0].copy(), self.centres[..., -1].copy()

    def _around(self, points: np.ndarray, climbs: int) -> tuple[np.ndarray, np.ndarray]:
        """(n, side, side, side) contrasts, and (n, 3, side) voxels, where they are."""
        reach = math.ceil(climbs * OFF_CENTRE * self.radius / self.bin)
        half = reach + math.ceil(SHELL * self.radius / self.bin) + 1
        boxes, firsts = binned_boxes(self.tomogram, points, half, self.bin)
        near = slice(half - reach - 1, half + reach + 2)
        contrast = _contrast(boxes, self.radius / self.bin, near)
        return contrast, firsts[:, :, None] + self.bin * np.arange(near.start, near.stop)

    def follow(self, points: np.ndarray) -> None:
        """See to it that all places are there to which points (n, 3) may move."""
        reach = OFF_CENTRE * self.radius
        left = ~((self._low < points - reach) & (points + reach < self._high)).all(axis=1)
        if not left.any():
            return
        contrast, centres = self._around(points[left], 1)
        self._low[left], self._high[left] = centres[..., 0], centres[..., -1]
        # Of fewer places: those around them count as nothing.
        margin = (self.contrast.shape[-1] - contrast.shape[-1]) // 2
        self.contrast[left] = np.pad(
            contrast, [(0, 0), *[(margin, margin)] * 3], constant_values=-np.inf
        )
        places = np.arange(self.contrast.shape[-1]) - margin
        self.centres[left] = centres[..., :1] + self.bin * places

    def peaks(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The highest contrast within `OFF_CENTRE` radii of each point, (n, 3).

        Returns:
            (n,) contrasts, and (n, 3) voxels, where they are.
        """
        z, y, x = np.moveaxis((self.centres - points[..., None]) ** 2, 1, 0)  # (n, side) each
        squared = z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]
        near = squared <= max(OFF_CENTRE * self.radius, self.bin) ** 2
        contrast = np.where(near, self.contrast, np.float32(-np.inf))
        flat = contrast.reshape(len(points), -1).argmax(axis=1)
        best = np.unravel_index(flat, contrast.shape[1:])
        each = np.arange(len(points))
        centres = np.empty((len(points), 3))
        for axis in range(3):
            place: list[np.ndarray | slice] = [each, *best]
            place[1 + axis] = slice(None)
            steps = parabola_vertices(contrast[tuple(place)], best[axis])
            centres[:, axis] = self.centres[each, axis, best[axis]] + self.bin * steps
        return contrast[(each, *best)], centres


def _contrast(boxes: np.ndarray, radius: float, near: slice) -> np.ndarray:
    """Mean of the ball around voxels of cubes (n, s, s, s) less the mean of its shell.

    Right where ball and shell lie in the cube; it wraps around elsewhere.

    Returns:
        (n, m, m, m) float32, at the m voxels along each axis that are asked for.
    """
    size = next_fast_len(boxes.shape[-1], real=True)
    spectrum = rfftn(boxes, (size,) * 3, axes=(1, 2, 3)) * _spectrum(size, radius)
    # As irfftn does it, to the last bit, but that what is not asked for is left out at once.
    spectrum = ifft(spectrum, axis=1, norm="forward")[:, near]
    spectrum = ifft(spectrum, axis=2, norm="forward")[:, :, near]
    contrast = irfft(spectrum, size, axis=3, norm="forward")[..., near]
    return np.asarray(contrast * np.float32(1 / size**3))


@lru_cache(maxsize=64)
def _spectrum(size: int, radius: float) -> np.ndarray:
    """Fourier transform of ball minus shell, centred on voxel 0 of a cube, each of sum 1."""
    squares = np.fft.fftfreq(size, 1 / size) ** 2
    distance = np.sqrt(squares[:, None, None] + squares[:, None] + squares)
    ball = np.clip(radius + 0.5 - distance, 0, 1)
    shell = np.clip(SHELL * radius + 0.5 - distance, 0, 1) - ball
    return rfftn((ball / ball.sum() - shell / shell.sum()).astype(np.float32))


def parabola_vertices(lines: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Where the parabola through a maximum and its neighbours peaks, -0.5 to 0.5 steps off it.

    Args:
        lines: (n, m) values.
        best: (n,) where the maximum of each is.
    """
    each = np.arange(len(lines))
    before, after = np.maximum(best - 1, 0), np.minimum(best + 1, lines.shape[1] - 1)
    left, middle, right = (lines[each, at].astype(np.float64) for at in (before, best, after))
    bend = 2 * middle - left - right
    has = (before < best) & (best < after) & np.isfinite(bend) & (bend > 0)
    steps = np.zeros(len(lines))
    steps[has] = (right[has] - left[has]) / (2 * bend[has])
    return steps
