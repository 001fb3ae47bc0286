"""Harmonics: what lies around a point, whichever way it is turned.

The density on a sphere around a particle's middle is a sum of spherical harmonics. A rotation
mixes those of one degree with one another and leaves their power as it is (Kazhdan, Funkhouser
and Rusinkiewicz, "Rotation invariant spherical harmonic representation of 3D shape descriptors",
2003). What a plane encoder sees changes as the particle turns out of the plane; this does not.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.integrate import lebedev_rule
from scipy.ndimage import map_coordinates
from scipy.special import sph_harm_y

from aitom_cryosam.surroundings import bin_of, binned_boxes
from aitom_cryosam.threads import side_by_side
from aitom_cryosam.tomogram import Tomogram

SHELLS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5)
"""Radii of the spheres, in particle radii."""
DEGREES = 6
"""The highest: finer detail is noise at the resolution of a tomogram."""
EXACT = 21
"""Degree up to which a mean over the samples on a sphere, 170, is exact."""
AT_ONCE = 16
"""Points whose surroundings are looked at together."""
HARMONICS = len(SHELLS) * (1 + DEGREES)
"""Numbers that `powers` gives of a point."""


def powers(tomogram: Tomogram, points_zyx: np.ndarray, diameter_voxels: float) -> np.ndarray:
    """Mean density on each sphere, and root of the power of each degree from 1 on.

    Args:
        tomogram: what lies outside it counts as background.
        points_zyx: (n, 3) voxels.
        diameter_voxels: of the particle.

    Returns:
        (n, HARMONICS) float32.
    """
    found = np.empty((len(points_zyx), HARMONICS), np.float32)
    radius = diameter_voxels / 2
    bin_ = bin_of(radius)
    half = math.ceil(SHELLS[-1] * radius / bin_) + 1
    spheres = _directions().T[:, None] * (np.array(SHELLS) * radius / bin_)[:, None]  # (3, s, d)
    analysis, of_degree = _analysis()

    def measure(some: slice) -> None:
        boxes, firsts = binned_boxes(tomogram, points_zyx[some], half, bin_)
        places = (points_zyx[some] - firsts)[..., None, None] / bin_ + spheres  # (m, 3, s, d)
        values = np.stack(
            [
                map_coordinates(box, at, order=1, mode="nearest")
                for box, at in zip(boxes, places, strict=True)
            ]
        )
        parts = values @ analysis  # (m, s, (DEGREES + 1)²)
        each = np.sqrt(np.square(parts) @ of_degree)  # (m, s, DEGREES + 1)
        each[..., 0] = parts[..., 0]
        found[some] = each.transpose(0, 2, 1).reshape(len(each), -1)

    side_by_side(measure, [slice(i, i + AT_ONCE) for i in range(0, len(points_zyx), AT_ONCE)])
    return found


@cache
def _directions() -> np.ndarray:
    """(d, 3) unit vectors z, y, x: Lebedev's, which a turn of the axes leaves the same set."""
    return lebedev_rule(EXACT)[0].T


@cache
def _analysis() -> tuple[np.ndarray, np.ndarray]:
    """From samples to coefficients of real harmonics, (d, h), and from these to sums by degree.

    Returns:
        (d, h), and (h, DEGREES + 1) of 0 and 1.
    """
    z, y, x = _directions().T
    polar, azimuth = np.arccos(z), np.arctan2(y, x)
    columns, degrees = [], []
    for degree in range(DEGREES + 1):
        for order in range(-degree, degree + 1):
            values = sph_harm_y(degree, abs(order), polar, azimuth)
            columns.append(np.sqrt(2 - (order == 0)) * (values.real if order >= 0 else values.imag))
            degrees.append(degree)
    weights = lebedev_rule(EXACT)[1]
    of_degree = np.eye(DEGREES + 1, dtype=np.float32)[degrees]
    return (weights[:, None] * np.stack(columns, axis=1)).astype(np.float32), of_degree
