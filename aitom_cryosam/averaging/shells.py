"""Shells: which frequencies of boxes take part in an alignment, and with which weight."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from aitom_cryosam.averaging.fsc import THRESHOLD
from aitom_cryosam.averaging.spectra import Ball

FIRST_RESOLUTION = 4.0  # diameters by this is the finest detail of the first reference ...
COARSEST = 50.0  # ... but nothing coarser than so many Å is left for it


def noise_weights(spectra: Sequence[np.ndarray], ball: Ball) -> np.ndarray:
    """(k,) one by the amplitude of a typical (k,) spectrum in each shell."""
    mean = np.mean([(np.abs(one) ** 2).mean(axis=0) for one in spectra if len(one)], axis=0)
    counts = np.maximum(np.bincount(ball.shells), 1)
    shells = np.bincount(ball.shells, mean) / counts
    return np.asarray(np.maximum(shells[ball.shells], 1e-20) ** -0.5)


def first_shell(size: int, voxel_size: float, diameter_angstrom: float) -> int:
    """The finest shell of the first reference."""
    detail = max(diameter_angstrom / FIRST_RESOLUTION, COARSEST, 3 * voxel_size)
    return max(3, min(round(size * voxel_size / detail), size // 2 - 1))


def search_shell(size: int, diameter: float, step: float, shell: int) -> int:
    """The finest shell, up to `shell`, that still fits when a turn is half a step off.

    Args:
        size: voxels, of the box.
        diameter: voxels, of the particle.
        step: degrees.
        shell: the finest that there is.
    """
    useful = size / (diameter * math.radians(step))
    return int(np.clip(round(1.2 * useful), min(4, shell), shell))


def trust(fsc: np.ndarray, coarsest: int) -> np.ndarray:
    """(shells,) weight as the signal's share in an FSC (shells,) says; 0 beyond the resolution."""
    known = np.clip(fsc, 0, 1)
    known[1:][np.maximum.accumulate(fsc[1:] < THRESHOLD)] = 0
    weights = np.sqrt(2 * known / (1 + known))
    weights[: coarsest + 1] = np.maximum(weights[: coarsest + 1], 0.2)
    return np.asarray(weights)
