"""Picks: of several on one particle, the best alone counts."""

from dataclasses import replace

import numpy as np

from aitom_cryosam.picks import DUPLICATE, Picks, suppressed


def test_of_picks_on_one_particle_the_best_stays_and_the_others_rank_last():
    points = np.array([[0, 0, 0], [0, 0, 2], [0, 0, 9], [0, 0, 20], [0, 0, 21]], float)
    picks = Picks.from_points(points, np.array([0.9, 0.95, 0.5, 0.2, 0.1]))
    picks = picks.reject([4], "chance")  # beside a pick, but none itself
    found = picks.one_per_particle(3.0)
    assert found.kept.tolist() == [False, True, True, True, False]
    assert found.reasons == (DUPLICATE, "", "", "", "chance")
    assert np.argsort(-found.scores, kind="stable").tolist() == [1, 2, 3, 0, 4]
    assert found.scores[1:].tolist() == picks.scores[1:].tolist()


def test_no_probability_is_left_for_a_particle_counted_already():
    points = np.array([[0, 0, 0], [0, 0, 2], [0, 0, 9]], float)
    picks = Picks.from_points(points, np.array([3.0, 2.0, 1.0]))
    picks = replace(picks, probabilities=np.array([0.9, 0.8, 0.6]))
    found = picks.one_per_particle(3.0)
    assert found.probabilities is not None
    assert found.probabilities.tolist() == [0.9, 0.0, 0.6]
    assert picks.probabilities is not None
    assert picks.probabilities.tolist() == [0.9, 0.8, 0.6]


def test_no_picks_are_none():
    assert len(Picks.from_points(np.zeros((0, 3))).one_per_particle(3.0)) == 0


def test_suppression_is_greedy_and_what_lies_at_the_distance_stays():
    points = np.array([[0, 0, 0], [0, 0, 3], [0, 0, 5.9], [0, 0, 9], [0, 9, 0], [0, 10, 0]])
    scores = np.array([0.9, 0.8, 0.95, 0.7, 0.5, 0.5])
    # The best is at 5.9, and takes 3; 0 and 9 are far enough. Of equal scores the earlier stays.
    assert suppressed(points, scores, 3.0).tolist() == [2, 0, 3, 4]
    assert suppressed(points[[0, 1]], scores[[0, 1]], 3.0).tolist() == [0, 1]
    assert suppressed(points[:0], scores[:0], 3.0).tolist() == []


def test_a_point_keeps_the_first_reason_that_left_it_out():
    picks = Picks.from_points(np.arange(9.0).reshape(3, 3)).reject([0], "chance")
    again = picks.reject([0, 1], "no mask")
    assert again.reasons == ("chance", "no mask", "")
    assert again.kept.tolist() == [False, False, True]


def test_the_list_of_a_false_discovery_rate_is_the_longest_and_counts_kept_picks_alone():
    picks = Picks.from_points(np.arange(15.0).reshape(5, 3)).reject([1], "no mask")
    picks = replace(picks, probabilities=np.array([0.6, 0.99, 1.0, 0.3, 0.9]))
    # Best first: 1.0, 0.9, 0.6, 0.3; expected to be false: 0, 5 %, 17 %, 30 %.
    assert picks.beyond(0.2).tolist() == [False, True, False, True, False]
    assert picks.beyond(0.04).tolist() == [True, True, False, True, True]
    assert picks.beyond(0.3).tolist() == [False, True, False, False, False]
