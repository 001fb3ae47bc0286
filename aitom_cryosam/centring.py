"""Centring: points moved to the centres of their particles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aitom_cryosam.ball_contrast import BallContrast
from aitom_cryosam.picks import Picks
from aitom_cryosam.threads import side_by_side
from aitom_cryosam.tomogram import Tomogram

_AT_ONCE = 16  # points whose surroundings are looked at together
CLIMBS = 3
"""The similarity is flat inside a particle: its peak is up to half a radius beside the centre,
and each climb moves a point by 0.2 diameters at most."""
DECIMALS = 2
"""Of a middle, voxels. Climbs from two places to one middle differ in the sixth; rounded they are
the same place, of which a session knows the mask already."""


def centred(tomogram: Tomogram, proposals: Picks, diameter_voxels: float) -> Picks:
    """Proposals moved to the middle of what stands out there."""
    points = refine_centres(tomogram, proposals.points_zyx, diameter_voxels, CLIMBS)
    return replace(proposals, points_zyx=points.round(DECIMALS))


def refine_centres(
    tomogram: Tomogram, points_zyx: np.ndarray, diameter_voxels: float, climbs: int = 1
) -> np.ndarray:
    """Points moved to where a ball of this diameter stands out most.

    It centres large and ball-shaped particles; a small lobed one in noise it moves to its
    brightest lobe, where the centroid of the instance mask is closer to the centre.

    Args:
        tomogram: the tomogram.
        points_zyx: (n, 3) voxels.
        diameter_voxels: voxels.
        climbs: how often a point moves, by 0.2 diameters at most each time.

    Returns:
        (n, 3) float64 voxels, inside the tomogram.
    """
    points = np.asarray(points_zyx, dtype=np.float64).reshape(-1, 3)
    moved, last = points.copy(), np.array(tomogram.shape) - 1

    def move(some: slice) -> None:
        around = BallContrast(tomogram, points[some], diameter_voxels / 2, min(climbs, 2))
        for _ in range(climbs):
            before = moved[some].copy()
            around.follow(before)
            moved[some] = np.clip(around.peaks(before)[1], 0, last)
            if (before == moved[some]).all():
                break

    side_by_side(move, [slice(i, i + _AT_ONCE) for i in range(0, len(points), _AT_ONCE)])
    return moved
