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
    *,
    tokens: Callable[[tuple[int, ...]], np.ndarray],
    step: int = 4,
    slab: int = 1,
    channels: int = 5,
) -> TriplanarFeatures:
    """Features whose tokens come from a function of the array's shape (n, gh, gw, C)."""
    views = []
    for axis in range(3):
        slices = token_axis(shape[axis], slab)
        rows, columns = (token_axis(shape[other], step) for other in in_plane_axes(axis))
        values = tokens((slices.count, rows.count, columns.count, channels))
        views.append(View(axis, values.astype(np.float16), slices, rows, columns))
    return TriplanarFeatures(views)


def random_features(
    shape: tuple[int, int, int], *, seed: int = 0, **layout: int
) -> TriplanarFeatures:
    return made_up_features(shape, tokens=np.random.default_rng(seed).standard_normal, **layout)


def particle_mask(offset_zyx: tuple[int, int, int], mask: np.ndarray) -> ParticleMask:
    return ParticleMask(1, np.zeros(3), np.array(offset_zyx), np.asarray(mask, bool), 1.0)
