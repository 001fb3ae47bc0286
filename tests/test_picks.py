"""Picks: of several on one particle, the best alone counts."""

from dataclasses import replace

import numpy as np

from aitom_cryosam.picks import DUPLICATE, Picks


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
