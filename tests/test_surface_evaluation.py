"""Distances between the surfaces of masks that can be counted by hand."""

import math

import numpy as np
import pytest

from aitom_cryosam.evaluation.surface import surface_distances

SHAPE = (20, 20, 20)


def slab(first, last):
    """The planes z = first to last, from face to face."""
    mask = np.zeros(SHAPE, bool)
    mask[first : last + 1] = True
    return mask


def test_two_parallel_slabs():
    # Surfaces at z = 4 and 8 against 6 and 12: 2, and 2 (to the nearest), in voxels of 10 Å.
    result = surface_distances(slab(4, 8), slab(6, 12), voxel_size=10)
    assert np.unique(result.to_truth).tolist() == [20]
    assert np.unique(result.from_truth).tolist() == [20, 40]
    assert result.mean == pytest.approx((2 * 20 + 20 + 40) / 4)
    assert result.percentile95 == 40
    assert result.precision == pytest.approx(3 / 5)
    assert result.recall == pytest.approx(3 / 7)


def test_a_voxel_within_the_tolerance_is_right():
    result = surface_distances(slab(4, 8), slab(6, 12), voxel_size=10, tolerance=20)
    assert result.precision == 1
    assert result.recall == pytest.approx(5 / 7)


def test_a_mask_has_no_distance_from_itself():
    result = surface_distances(slab(4, 8), slab(4, 8), voxel_size=10)
    assert result.mean == result.percentile95 == 0
    assert result.precision == result.recall == 1


def test_nothing_found():
    result = surface_distances(slab(4, 3), slab(4, 8), voxel_size=10)
    assert math.isnan(result.mean)
    assert math.isnan(result.percentile95)
    assert math.isnan(result.precision)
    assert result.recall == 0
