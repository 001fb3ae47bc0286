"""Small worlds that several test files share."""

from collections.abc import Callable

import numpy as np

from aitom_cryosam.features import TriplanarFeatures, View
from aitom_cryosam.geometry import TokenAxis, in_plane_axes
from aitom_cryosam.masks import ParticleMask


def token_axis(size: int, step: int) -> TokenAxis:
    return TokenAxis(size, -(-size // step), step)


def made_up_features(
    shape: tuple[int, int, int],
    tokens: Callable[[np.ndarray], np.ndarray],
    *,
    step: int = 4,
    slab: int = 1,
) -> TriplanarFeatures:
    """Features from a function of the tokens' centres, (n, gh, gw, 3) voxels z y x."""
    views = []
    for axis in range(3):
        order = (axis, *in_plane_axes(axis))
        axes = [token_axis(shape[i], slab if i == axis else step) for i in order]
        centres = np.stack(np.meshgrid(*(one.centres for one in axes), indexing="ij"), axis=-1)
        values = tokens(centres[..., np.argsort(order)])
        views.append(View(axis, values.astype(np.float16), *axes))
    return TriplanarFeatures(views)


def random_features(
    shape: tuple[int, int, int], *, seed: int = 0, channels: int = 5, **layout: int
) -> TriplanarFeatures:
    rng = np.random.default_rng(seed)
    return made_up_features(
        shape, lambda centres: rng.standard_normal((*centres.shape[:3], channels)), **layout
    )


def particle_mask(offset_zyx: tuple[int, int, int], mask: np.ndarray) -> ParticleMask:
    return ParticleMask(1, np.zeros(3), np.array(offset_zyx), np.asarray(mask, bool), 1.0)
