"""The cut between picks and background."""

import numpy as np
import pytest

from aitom_cryosam.scoring import background_cut


def maxima(seed, count=2000):
    """Scores of background: one hump, as the similarity's maxima have."""
    return np.random.default_rng(seed).normal(0.2, 0.08, count)


@pytest.mark.parametrize("seed", range(5))
def test_almost_no_background_is_believed(seed):
    scores = np.append(maxima(seed), 0.95)  # and the prompt itself
    assert (scores >= background_cut(scores, 1)).sum() <= 5


@pytest.mark.parametrize("particles", [10, 60, 400])
@pytest.mark.parametrize("prompts", [1, 5])
def test_the_cut_lies_between_two_populations(particles, prompts):
    good = np.random.default_rng(9).normal(0.75, 0.05, particles)
    scores = np.concatenate([maxima(0), good, np.full(prompts, 0.95)])
    cut = background_cut(scores, prompts)
    assert (good >= cut).mean() > 0.95
    assert (maxima(0) >= cut).sum() <= 5


def test_the_order_does_not_matter():
    scores = np.append(maxima(1), [0.9, 0.8, 0.7])
    assert background_cut(scores, 1) == background_cut(scores[::-1], 1)


def test_nothing_is_believed_where_nothing_is():
    assert background_cut(np.array([]), 1) == np.inf


@pytest.mark.parametrize("scores", [[0.9], [0.9, 0.9], [0.9, 0.2, 0.1]])
def test_a_few_scores_give_a_cut(scores):
    assert not np.isnan(background_cut(np.array(scores), 1))
