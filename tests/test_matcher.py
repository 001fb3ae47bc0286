"""Hierarchical matching: what it finds is there, and what it leaves out is below its threshold."""

import numpy as np
import pytest

from aitom_cryosam.features.query import Query
from aitom_cryosam.matcher import HierarchicalMatcher
from tests.toys import made_up_features, random_features

SHAPE = (29, 43, 54)  # no ratio divides all three
QUERY = np.random.default_rng(7).standard_normal(15)
RATIOS = [(16, 8, 4), (8, 4), (4, 2, 1), (5,), (6, 3), (1,)]


def matcher(ratios, tau_sim=0.0, distance=6.0):
    return HierarchicalMatcher(ratios=ratios, tau_sim=tau_sim, distance=distance)


def planted_features(points, *, width=4.0, noise=0.05, slab=1):
    """Tokens of one background, to which the query's are added around points (n, 3), z y x.

    The similarity falls with the distance from the nearest point.
    """
    rng = np.random.default_rng(5)
    parts = iter(np.split(QUERY, 3))

    def tokens(centres):
        away = centres[..., None, :] - np.array(points, dtype=float).reshape(-1, 3)
        near = np.exp(-np.square(away).sum(axis=-1) / (2 * width**2)).sum(axis=-1)
        particle = next(parts)
        background = np.roll(particle, 1)
        background -= particle * (background @ particle) / (particle @ particle)
        noisy = noise * rng.standard_normal((*centres.shape[:3], 5))
        return noisy + background + near[..., None] * particle

    return made_up_features(SHAPE, tokens, step=3, slab=slab)


def everywhere(features, ratio):
    """The exact similarity of a whole level, (cells z, y, x)."""
    return Query(features, QUERY).similarity(ratio)


@pytest.mark.parametrize("ratios", RATIOS)
@pytest.mark.parametrize("tau_sim", [-1.0, 0.0, 0.3])
def test_hierarchical_is_exact_within_its_threshold(ratios, tau_sim):
    features = random_features(SHAPE, slab=2)
    found = matcher(ratios, tau_sim).similar(Query(features, QUERY))
    exact = everywhere(features, ratios[-1])
    expected = exact >= tau_sim
    for coarse in ratios[:-1]:  # a fine cell lives if every cell it lies in does
        inside = [
            parent.cell_of(child.centres)
            for parent, child in zip(
                features.cells(coarse), features.cells(ratios[-1]), strict=True
            )
        ]
        expected &= (everywhere(features, coarse) >= tau_sim)[np.ix_(*inside)]
    np.testing.assert_array_equal(found, np.where(expected, exact, -np.inf))


@pytest.mark.parametrize("ratios", RATIOS)
@pytest.mark.parametrize("slab", [1, 3])
def test_planted_particles_are_found_at_their_place(ratios, slab):
    points = np.array([[9.3, 12.0, 40.6], [20.8, 33.4, 17.0], [14.0, 8.7, 9.9]])
    found = matcher(ratios, 0.1).match(Query(planted_features(points, slab=slab), QUERY))
    assert (np.diff(found.scores) <= 0).all()
    away = np.abs(found.points_zyx[:3, None] - points).max(axis=2)
    assert sorted(away.argmin(axis=1)) == [0, 1, 2]
    assert away.min(axis=1).max() < 2  # half a token, or half a cell without neighbours
    assert found.ids.tolist() == list(range(1, len(found) + 1))
    assert found.kept.all()


def test_without_a_threshold_the_finest_level_keeps_all_that_lies_in_coarser_cells():
    features = planted_features([[14.0, 20.0, 27.0]])
    ratios, tau_sim = (8, 4), 0.3
    strict, loose = (
        HierarchicalMatcher(ratios=ratios, tau_sim=tau_sim, distance=1.0, finest=finest).similar(
            Query(features, QUERY)
        )
        for finest in (True, False)
    )
    exact = everywhere(features, 4)
    np.testing.assert_array_equal(np.isfinite(strict), np.isfinite(loose) & (exact >= tau_sim))
    assert np.isfinite(strict).sum() < np.isfinite(loose).sum() < loose.size


def test_maxima_can_stay_in_the_middle_of_their_cells():
    features = planted_features([[14.7, 20.2, 27.1]], noise=0, width=6)
    fine, coarse = (
        HierarchicalMatcher(ratios=(4,), tau_sim=0.1, distance=6.0, subcell=subcell)
        .match(Query(features, QUERY))
        .points_zyx[0]
        for subcell in (True, False)
    )
    centres = [axis.centres for axis in features.cells(4)]
    assert all(value in middle for value, middle in zip(coarse, centres, strict=True))
    assert 0 < np.abs(fine - coarse).max() <= 2


@pytest.mark.parametrize("ratio", [2, 3, 4])
@pytest.mark.parametrize("shift", [0.0, 0.7, 1.4, 2.1])
def test_peaks_lie_between_the_cells(ratio, shift):
    point = np.array([14.0 + shift, 20.5 - shift, 27.25 + shift / 2])
    features = planted_features(point, noise=0, width=6)
    found = matcher((ratio,), 0.1).match(Query(features, QUERY))
    np.testing.assert_allclose(found.points_zyx[0], point, atol=0.3)


def test_matches_keep_their_distance_and_the_better_one_stays():
    features = random_features(SHAPE)
    loose = matcher((4,), 0.0, distance=0.0).match(Query(features, QUERY))
    found = matcher((4,), 0.0, distance=12.0).match(Query(features, QUERY))
    assert 3 < len(found) < len(loose)
    np.testing.assert_array_equal(found.points_zyx[0], loose.points_zyx[0])
    apart = np.linalg.norm(found.points_zyx[:, None] - found.points_zyx, axis=2)
    assert (apart + 99 * np.eye(len(found)) >= 12).all()
    for point, score in zip(loose.points_zyx, loose.scores, strict=True):
        near = np.linalg.norm(found.points_zyx - point, axis=1) < 12
        assert found.scores[near].max() >= score


@pytest.mark.parametrize("ratios", RATIOS)
def test_nothing_above_the_threshold(ratios):
    assert len(matcher(ratios, 1.01).match(Query(random_features(SHAPE), QUERY))) == 0


def test_points_stay_inside_the_tomogram():
    points = np.array([[0.0, 0.0, 0.0], [28.0, 42.0, 53.0]])
    found = matcher((4,), 0.3).match(Query(planted_features(points), QUERY))
    assert (found.points_zyx >= 0).all()
    assert (found.points_zyx <= np.array(SHAPE) - 1).all()
    for point in points:
        assert np.linalg.norm(found.points_zyx - point, axis=1).min() < 4


def test_a_plateau_has_no_vertex():
    """As where a region of the tomogram is filled with one value."""
    flat = made_up_features(SHAPE, lambda centres: np.ones((*centres.shape[:3], 5)), step=3)
    found = matcher((4,), -1.0).match(Query(flat, QUERY)).points_zyx
    assert len(found)
    for axis, cells in enumerate(flat.cells(4)):
        assert np.isin(found[:, axis], cells.centres).all()


def test_the_length_of_the_query_does_not_matter():
    features = random_features(SHAPE)
    one, other = (matcher((8, 4)).match(Query(features, factor * QUERY)) for factor in (1, 8))
    np.testing.assert_array_equal(one.points_zyx, other.points_zyx)
