"""Evidence and odds: what does not change them, and what comes of clear cases."""

import numpy as np
import pytest

from aitom_cryosam.scoring.evidence import evidence
from aitom_cryosam.scoring.odds import best_cut, learned

REGIONS, CHANNELS = 2, 12
OF_KIND, OTHERS, EMPTY = 30, 60, 120


@pytest.fixture(scope="module")
def scene():
    """Proposals, of which the first are of the clicked kind, a click and background."""
    rng = np.random.default_rng(0)
    centres = 5 * np.linalg.qr(rng.standard_normal((CHANNELS * REGIONS,) * 2))[0][:2]
    rows = np.repeat([*centres, 0 * centres[0]], [1 + OF_KIND, OTHERS, EMPTY], axis=0)
    rows = (rows + rng.standard_normal(rows.shape)).reshape(-1, REGIONS, CHANNELS)
    similarities = np.repeat([0.8, 0.6, 0.2], [OF_KIND, OTHERS, EMPTY])
    similarities += rng.normal(0, 0.05, len(similarities))
    return rows[1 : 1 + OF_KIND + OTHERS], rows[:1], rows[-EMPTY:], similarities


def found(scene, change=lambda features: features):
    proposals, clicked, background, similarities = scene
    own = np.zeros(len(proposals), bool)
    return evidence(
        change(proposals), change(clicked), change(background), similarities, similarities, own
    )


@pytest.mark.parametrize(
    "change",
    [lambda x: x + np.linspace(-30, 50, CHANNELS), lambda x: 1000 * x, lambda x: 0.001 * x - 7],
    ids=["a constant vector", "louder", "fainter and shifted"],
)
def test_what_all_places_share_changes_nothing(scene, change):
    np.testing.assert_allclose(found(scene, change), found(scene), atol=1e-5)


def test_the_clicked_kind_is_more_probable_than_another_and_than_background(scene):
    log_odds = learned().log_odds(found(scene))
    of_kind, others, empty = np.split(log_odds, [OF_KIND, OF_KIND + OTHERS])
    assert np.quantile(of_kind, 0.1) > np.quantile(others, 0.9)
    assert np.quantile(of_kind, 0.1) > np.quantile(empty, 0.99)


def test_the_evidence_ends_at_its_reach():
    weights = learned()
    far = weights.middle + 1e3 * weights.spread
    edge = weights.middle + weights.reach * weights.spread
    np.testing.assert_allclose(weights.log_odds(far[None]), weights.log_odds(edge[None]))


@pytest.mark.parametrize("of_kind", [10, 100, 350])
def test_the_share_of_the_kind_follows_the_tomogram(of_kind):
    true = np.arange(400) < of_kind
    own = np.arange(400) == 0
    found = learned().probabilities(np.where(true, 5.0, -5.0), own, true)
    assert found.sum() == pytest.approx(of_kind, rel=0.2)
    assert found[0] == 1


def test_no_place_has_no_probability():
    nothing = np.zeros(0)
    assert len(learned().probabilities(nothing, nothing > 0, nothing > 0)) == 0


def test_a_cut_lies_between_the_sure_and_the_hopeless():
    assert 0.01 < best_cut(np.repeat([0.9, 0.01], [10, 90])) <= 0.9


def test_nothing_is_picked_where_all_is_doubtful():
    assert best_cut(np.full(300, 0.05)) > 0.05
