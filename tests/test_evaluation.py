"""One-to-one matching, on a toy world that can be counted by hand.

Along x, in voxels of 10 Å (all at z = 5, y = 7); T true, P pick with its score:

    0    1    2    3    4    5    6    7    8    9    10   11
    T0   P.9  T1   P.8            T2   P.2            P.5  T3
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.picks import Picks


def along_x(*positions, scores=None):
    return Picks.from_points([(5, 7, x) for x in positions], scores)


TRUTH = along_x(0, 2, 6, 11)
PICKS = along_x(1, 3, 7, 10, scores=[0.9, 0.8, 0.2, 0.5])


def test_everything_within_reach():
    result = evaluate(PICKS, TRUTH, radius=10, voxel_size=10)
    # The pick at 1 is as near to T1 as to T0, but only T0 leaves T1 for the pick at 3.
    assert result.pairs.tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert result.distances.tolist() == [10, 10, 10, 10]
    assert (result.precision, result.recall, result.f1, result.average_precision) == (1, 1, 1, 1)
    assert result.localisation_error == 10


def test_the_radius_is_in_angstrom_and_closed():
    assert len(evaluate(PICKS, TRUTH, radius=9.99, voxel_size=10).pairs) == 0
    assert len(evaluate(PICKS, TRUTH, radius=5, voxel_size=5).pairs) == 4


def test_misses_and_false_picks_by_hand():
    picks = along_x(0.5, 20, 6, 21, 0.4, scores=[0.9, 0.8, 0.7, 0.6, 0.5])
    result = evaluate(picks, TRUTH, radius=10, voxel_size=10)
    # The double pick at 0.4 is nearer to T0; the one at 0.5 is then false.
    assert result.pairs.tolist() == [[2, 2], [4, 0]]
    np.testing.assert_allclose(result.distances, [0, 4])
    assert result.precision == pytest.approx(2 / 5)
    assert result.recall == pytest.approx(2 / 4)
    assert result.f1 == pytest.approx(4 / 9)
    assert result.localisation_error == pytest.approx(2)
    # Best first: true, false, true, false, false.
    np.testing.assert_allclose(result.curve_recall, [0.25, 0.25, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(result.curve_precision, [1, 1 / 2, 2 / 3, 2 / 4, 2 / 5])
    assert result.average_precision == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)


def test_the_order_of_the_curve_is_that_of_the_scores():
    result = evaluate(along_x(20, 6, scores=[0.1, 0.7]), TRUTH, radius=10, voxel_size=10)
    assert result.curve_precision.tolist() == [1, 0.5]
    result = evaluate(along_x(20, 6, scores=[0.7, 0.1]), TRUTH, radius=10, voxel_size=10)
    assert result.curve_precision.tolist() == [0, 0.5]


def test_a_pick_on_the_spot_counts():
    result = evaluate(along_x(6, scores=[1]), TRUTH, radius=10, voxel_size=10)
    assert result.pairs.tolist() == [[0, 2]]
    assert result.localisation_error == 0


def test_all_three_axes_count():
    truth = Picks.from_points([[1, 2, 3]])
    picks = Picks.from_points([[2, 4, 5]], [1])  # 3 voxels away
    assert len(evaluate(picks, truth, radius=30, voxel_size=10).pairs) == 1
    assert len(evaluate(picks, truth, radius=29, voxel_size=10).pairs) == 0


def test_no_picks():
    result = evaluate(PICKS.take(np.zeros(4, bool)), TRUTH, radius=10, voxel_size=10)
    assert np.isnan(result.precision)
    assert np.isnan(result.localisation_error)
    assert (result.n_picks, result.recall, result.f1, result.average_precision) == (0, 0, 0, 0)


def test_no_scores_no_curve():
    result = evaluate(along_x(1, 3), TRUTH, radius=10, voxel_size=10)
    assert result.precision == 1
    assert len(result.curve_recall) == len(result.curve_precision) == 0
    assert np.isnan(result.average_precision)


def test_no_truth_and_no_radius():
    with pytest.raises(InputError, match="no particles"):
        evaluate(PICKS, TRUTH.take(np.zeros(4, bool)), radius=10, voxel_size=10)
    for radius in (0, -1, float("nan")):
        with pytest.raises(InputError, match="radius above 0"):
            evaluate(PICKS, TRUTH, radius=radius, voxel_size=10)


points = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12)


@given(picks=points, truth=points, radius=st.sampled_from([5, 10, 15, 20, 40]))
def test_the_matching_is_the_largest_and_one_to_one(picks, truth, radius):
    result = evaluate(
        Picks.from_points(picks, np.arange(len(picks)) % 3),
        Picks.from_points(truth),
        radius=radius,
        voxel_size=10,
    )
    apart = np.linalg.norm(np.subtract(picks, np.array(truth)[:, None]), axis=2).T * 10
    largest = (maximum_bipartite_matching(csr_matrix(apart <= radius)) >= 0).sum()
    assert len(result.pairs) == largest
    assert all(len(set(column)) == largest for column in result.pairs.T.tolist())
    assert (result.distances <= radius).all()
    np.testing.assert_allclose(result.distances, apart[tuple(result.pairs.T)])
    assert result.curve_recall[-1] == pytest.approx(result.recall)
    assert (np.diff(result.curve_recall) >= 0).all()
