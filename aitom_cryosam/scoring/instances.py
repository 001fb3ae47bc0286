"""Instances: features averaged over what surrounds a point."""

from __future__ import annotations

import numpy as np

from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.masks import balls
from aitom_cryosam.targets import PARTICLE


def pooled(
    features: TriplanarFeatures, points_zyx: np.ndarray, diameter_voxels: float
) -> np.ndarray:
    """Eq. 4 over balls in place of masks: a bad mask must not spoil a score.

    Args:
        features: of the tomogram.
        points_zyx: (n, 3) voxels.
        diameter_voxels: of the particle.

    Returns:
        (n, k, 3C) float32, for the k `regions` of a particle.
    """
    each = [
        balls(points_zyx, one * diameter_voxels / 2, features.shape) for one in PARTICLE.regions
    ]
    regions = [ball for of_point in zip(*each, strict=True) for ball in of_point]
    means = features.masked_means(regions)  # (n k, 3C)
    return means.reshape(len(points_zyx), len(PARTICLE.regions), 3 * features.channels)
