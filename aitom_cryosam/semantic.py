"""Semantic: the segmentation M of a whole tomogram, which voxels are of the particle's kind."""

from __future__ import annotations

import numpy as np
from scipy.optimize import isotonic_regression

from aitom_cryosam.features import Query, TriplanarFeatures
from aitom_cryosam.masks import ParticleMask, labels

_BINS = 512  # of the similarity, in which members are counted


def particle_probability(
    features: TriplanarFeatures, query: np.ndarray, masks: list[ParticleMask]
) -> np.ndarray:
    """How probably each voxel is of a particle, by its own similarity (naive matching, ratio 1).

    The masks of the picks say which share of the voxels of a similarity is of particles: a
    monotone fit (isotonic regression) of that share is the probability.

    Args:
        features: of the tomogram.
        query: (3C,) F_Q of eq. 4.
        masks: of the picks; without any, nothing is probable.

    Returns:
        (D, H, W) float32, 0 to 1.
    """
    similarity = Query(features, query).similarity(1)
    inside = labels(similarity.shape, masks) > 0
    edges = np.linspace(similarity.min(), similarity.max(), _BINS + 1)
    count, _ = np.histogram(similarity, edges)
    members, _ = np.histogram(similarity[inside], edges)
    filled = count > 0
    share = isotonic_regression(members[filled] / count[filled], weights=count[filled]).x
    middles = (edges[:-1] + edges[1:])[filled] / 2
    return np.interp(similarity, middles, share).astype(np.float32)
