"""Small worlds that several test files share."""

from collections.abc import Callable
from typing import Any

import numpy as np

from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.subvolumes import soft_ball
from aitom_cryosam.features import TriplanarFeatures, View
from aitom_cryosam.geometry import TokenAxis, in_plane_axes
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.simulation.density import barrel, ribosome_like
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import Simulation, simulate


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


SMALL: dict[str, Any] = {
    "shape_zyx": (40, 76, 90),
    "voxel_size": 20.0,
    "membranes": 0,
    "denoise": 15.0,
    "snr": 0.3,
    "seed": 1,
}


def small_simulation(**changes: object) -> Simulation:
    """8 two-lobed bodies of about 250 Å, then 8 barrels, in 40 x 76 x 90 voxels of 20 Å."""
    kinds = [(ribosome_like(20.0), 8), (barrel(20.0), 8)]
    return simulate(kinds, SimulationSettings(**{**SMALL, **changes}))


def true_average() -> Average:
    """The density of the two-lobed body itself, known to its sixth shell."""
    size, density = 20, ribosome_like(20.0)
    volume = np.zeros((size,) * 3, np.float32)
    middle = size // 2 - np.round(density.centre_zyx).astype(int)
    place = tuple(slice(m, m + n) for m, n in zip(middle, density.data.shape, strict=True))
    volume[place] = density.data
    fsc = np.where(np.arange(size // 2) < 6, 1.0, 0.0)
    mask = soft_ball(size, 7, 2)
    return Average(volume - volume.mean(), (volume, volume), mask, fsc, 20.0, [], [])
