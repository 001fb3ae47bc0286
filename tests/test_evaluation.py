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
from aitom_cryosam.evaluation import best_matching, evaluate, pooled, summarise
from aitom_cryosam.evaluation.counting import Matched, doubt
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


def test_the_curve_of_several_tomograms_is_in_the_order_of_all_scores():
    first = evaluate(along_x(0, 20, scores=[0.9, 0.2]), TRUTH, radius=10, voxel_size=10)
    second = evaluate(along_x(21, 6, scores=[0.8, 0.5]), TRUTH, radius=10, voxel_size=10)
    # Best first: true, false, true, false, of 8 particles.
    both = pooled([first, second])
    np.testing.assert_allclose(both.curve_precision, [1, 1 / 2, 2 / 3, 2 / 4])
    np.testing.assert_allclose(both.curve_recall, [1 / 8, 1 / 8, 2 / 8, 2 / 8])
    assert both.average_precision == pytest.approx(1 / 8 * 1 + 1 / 8 * 2 / 3)


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
    for radius in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="radius above 0"):
            evaluate(PICKS, TRUTH, radius=radius, voxel_size=10)


def test_a_truth_without_particles_counts_only_if_asked_for():
    result = evaluate(PICKS, TRUTH.take([]), radius=10, voxel_size=10, empty_truth=True)
    assert (result.n_picks, result.n_truth, result.precision, result.f1) == (4, 0, 0, 0)
    assert np.isnan([result.recall, result.average_precision]).all()
    assert result.curve_recall.tolist() == [0, 0, 0, 0]


def test_f_beta_weighs_recall():
    result = evaluate(along_x(0, 30), TRUTH, radius=10, voxel_size=10)
    assert (result.precision, result.recall) == (1 / 2, 1 / 4)
    assert result.f_beta(1) == result.f1 == pytest.approx(1 / 3)
    assert result.f_beta(2) == pytest.approx(5 * 0.125 / (4 * 0.5 + 0.25))
    for beta in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="beta above 0"):
            result.f_beta(beta)


def test_paired_tells_true_from_false_picks():
    result = evaluate(along_x(20, 6, 30, 11), TRUTH, radius=10, voxel_size=10)
    assert result.paired.tolist() == [False, True, False, True]


def two_tomograms(first_scores=(0.9, 0.3), second_scores=(0.8, 0.2, 0.1)):
    """2 picks, 1 true, of 4 particles; 3 picks, 2 true, of 2 particles, which are 10 Å off."""
    first = evaluate(along_x(0, 20, scores=first_scores), TRUTH, radius=10, voxel_size=10)
    picks = along_x(30, 1, 7, scores=second_scores)
    return first, evaluate(picks, along_x(0, 6), radius=10, voxel_size=10)


def test_pooled_tomograms_make_one_curve():
    result = pooled(two_tomograms())
    assert (result.n_picks, result.n_truth) == (5, 6)
    assert result.pairs.tolist() == [[0, 0], [3, 4], [4, 5]]
    assert result.distances.tolist() == [0, 10, 10]
    assert result.scores.tolist() == [0.9, 0.3, 0.8, 0.2, 0.1]
    # Best first: 0.9 true, 0.8 false, 0.3 false, 0.2 true, 0.1 true.
    np.testing.assert_allclose(result.curve_recall, np.array([1, 1, 1, 2, 3]) / 6)
    np.testing.assert_allclose(result.curve_precision, [1, 1 / 2, 1 / 3, 2 / 4, 3 / 5])


def test_pooling_one_tomogram_changes_nothing():
    one = evaluate(PICKS, TRUTH, radius=10, voxel_size=10)
    again = pooled([one])
    assert again.pairs.tolist() == one.pairs.tolist()
    assert again.curve_precision.tolist() == one.curve_precision.tolist()
    assert again.average_precision == one.average_precision


def test_one_tomogram_without_scores_leaves_the_total_without_a_curve():
    result = pooled(two_tomograms(first_scores=None))
    assert len(result.curve_recall) == 0
    assert np.isnan(result.average_precision)
    assert result.precision == 3 / 5


def test_total_and_mean_over_tomograms():
    summary = summarise(two_tomograms(), beta=2)
    assert summary.total.precision == 3 / 5
    assert summary.total.recall == 3 / 6
    assert summary.mean["precision"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert summary.mean["recall"] == pytest.approx((1 / 4 + 1) / 2)
    assert summary.mean["f1"] == pytest.approx((2 / 6 + 4 / 5) / 2)
    assert summary.mean["f_beta"] == pytest.approx((5 / 18 + 10 / 11) / 2)
    assert summary.mean["localisation_error"] == 5


def test_the_mean_is_over_the_tomograms_that_have_the_number():
    first, second = two_tomograms()
    empty = evaluate(PICKS.take([]), TRUTH, radius=10, voxel_size=10)
    summary = summarise([first, second, empty])
    assert summary.mean["precision"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert summary.mean["recall"] == pytest.approx((1 / 4 + 1 + 0) / 3)
    assert np.isnan(summarise(two_tomograms(first_scores=None)).total.average_precision)


def test_intervals_span_the_two_tomograms():
    # Of 2 tomograms a resample holds one of them twice half of the time.
    summary = summarise(two_tomograms())
    assert summary.mean_interval["recall"] == pytest.approx((1 / 4, 1))
    assert summary.total_interval["recall"] == pytest.approx((1 / 4, 1))
    assert summary.total_interval["localisation_error"] == pytest.approx((0, 10))
    none = summarise(two_tomograms(first_scores=None, second_scores=None))
    assert np.isnan(none.total_interval["average_precision"]).all()


def test_the_same_seed_gives_the_same_intervals():
    mixed = [evaluate(along_x(*at), TRUTH, radius=10, voxel_size=10) for at in ((0,), (0, 6), (9,))]
    recalls = [summarise(mixed, seed=s, resamples=9).mean_interval["recall"] for s in (3, 3, 4)]
    assert recalls[0] == recalls[1] != recalls[2]


def test_intervals_shrink_with_the_number_of_tomograms():
    few, many = (summarise(two_tomograms() * n, resamples=300) for n in (2, 20))
    widths = [high - low for low, high in (s.mean_interval["recall"] for s in (few, many))]
    # Standard error of the mean, times 2 x 1.96: half the range is the standard deviation.
    assert widths[1] == pytest.approx(2 * 1.96 * 0.375 / np.sqrt(40), rel=0.25)
    assert widths[0] > 2 * widths[1]


def test_no_interval_of_one_tomogram_and_none_without_resamples():
    summary = summarise(two_tomograms()[:1])
    assert summary.total_interval is summary.mean_interval is None
    with pytest.raises(InputError, match="at least 1 resample, got 0"):
        summarise(two_tomograms(), resamples=0)


def test_the_best_matching_gives_way_for_a_larger_sum():
    rows, columns = np.array([5, 5, 7, 9]), np.array([2, 3, 2, 8])
    pairs = best_matching(rows, columns, np.array([0.6, 0.5, 0.4, 0.1]))
    assert pairs.tolist() == [[5, 3], [7, 2], [9, 8]]
    pairs = best_matching(rows, columns, np.array([1.0, 0.5, 0.4, 0.1]))
    assert pairs.tolist() == [[5, 2], [9, 8]]
    assert best_matching(rows[:0], columns[:0], np.zeros(0)).shape == (0, 2)


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


def test_a_common_shift_is_looked_for_where_there_are_picks_and_particles() -> None:
    places, none = np.random.default_rng(4).uniform(4, 60, (12, 3)), np.zeros((0, 3))
    unpicked = Matched(none, places, np.zeros((0, 2), int), 10.0)
    shifted = Matched(places, places - (16, 27, 32), np.zeros((0, 2), int), 10.0)
    said = doubt([*[unpicked] * 4, shifted], 30.0)
    assert said is not None
    assert "12 would if the truth lay x, y, z = 32, 27, 16 voxels further" in said
