"""Cubes cut evenly from a tomogram: what can be measured on all of it is measured on them."""

from __future__ import annotations

import math

import numpy as np

from aitom_cryosam.tomogram import Tomogram

SIDE = 64
MOST = 12
"""Enough for the missing wedge and the skew to show, few enough to be read in a moment."""


def sample_cubes(tomogram: Tomogram) -> list[np.ndarray]:
    """At most `MOST` cubes on an even lattice inside the margins, in the file's own contrast.

    Returns:
        (side, side, side) float32 each, `SIDE` voxels or as thin as the tomogram, with mean 0
        and deviation 1; none of them constant.
    """
    lower, upper = tomogram.content_box
    sizes = [high - low for low, high in zip(lower, upper, strict=True)]
    side = min(SIDE, *sizes)
    lattice = [
        low + np.unique(np.linspace(0, size - side, math.ceil(size / side)).astype(int))
        for low, size in zip(lower, sizes, strict=True)
    ]
    corners = np.stack(np.meshgrid(*lattice, indexing="ij"), axis=-1).reshape(-1, 3)
    chosen = np.linspace(0, len(corners) - 1, min(MOST, len(corners))).round().astype(int)
    cubes = []
    for corner in corners[chosen]:
        cut = tuple(slice(int(start), int(start) + side) for start in corner)
        cube = np.asarray(tomogram.data[cut]).astype(np.float32)
        deviation = float(cube.std(dtype=np.float64))
        if deviation > 0:
            cubes.append((cube - cube.mean(dtype=np.float64)).astype(np.float32) / deviation)
    return cubes
