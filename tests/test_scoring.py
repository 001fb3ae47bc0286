"""Which proposals are particles: chance, kind, and the cut."""

import numpy as np
import pytest

from aitom_cryosam.masks import ParticleMask, ball
from aitom_cryosam.picks import Picks
from aitom_cryosam.scoring import kind
from aitom_cryosam.scoring.chance import chance_level
from aitom_cryosam.scoring.kind import judge
from aitom_cryosam.scoring.span import spanned
from aitom_cryosam.scoring.verdict import ranked

K, D = 2, 20  # regions of an instance, channels


def maxima(seed=0, count=2000):
    """Similarities of background: one hump."""
    return np.random.default_rng(seed).normal(0.2, 0.08, count)


@pytest.mark.parametrize("seed", range(5))
def test_almost_no_background_stands_out_from_itself(seed):
    similarities = np.append(maxima(seed), 0.95)  # and the prompt itself
    assert (similarities >= chance_level(similarities)).sum() <= 20


@pytest.mark.parametrize("particles", [10, 60, 400])
def test_particles_stand_out_from_the_background(particles):
    good = np.random.default_rng(9).normal(0.75, 0.05, particles)
    level = chance_level(np.concatenate([maxima(), good]))
    assert (good >= level).mean() > 0.95
    assert (maxima() >= level).mean() < 0.02


def test_the_order_does_not_matter():
    similarities = np.append(maxima(1), [0.9, 0.8, 0.7])
    assert chance_level(similarities) == chance_level(similarities[::-1])


def test_nothing_stands_out_where_nothing_is():
    assert chance_level(np.array([])) == np.inf


@pytest.mark.parametrize("similarities", [[0.9], [0.9, 0.9], [0.9, 0.2, 0.1]])
def test_a_few_similarities_give_a_level(similarities):
    assert not np.isnan(chance_level(np.array(similarities)))


def kinds(counts, *, seed=0, noise=0.35):
    """Features (n, K, D) of kinds with directions of their own; the last is background."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.standard_normal((D, D)))[0][: len(counts)]
    rows = np.repeat(centres, counts, axis=0)[:, None]
    return rows + noise * rng.standard_normal((len(rows), K, D)) / np.sqrt(D) * 3


def judged(particles, others, *, background=150, prompts=1, seed=0):
    """The verdict where both kinds stand out alike, and which of them is the prompted one."""
    features = kinds((particles + prompts, others, background), seed=seed)
    clicks, proposals = features[:prompts], features[prompts : prompts + particles + others]
    similarities = np.random.default_rng(seed).normal(0.7, 0.02, len(proposals))
    verdict = judge(similarities, 0.5, proposals, clicks, features[-background:])
    return verdict, np.arange(len(proposals)) < particles


@pytest.mark.parametrize("prompts", [1, 5])
@pytest.mark.parametrize(("particles", "others"), [(80, 60), (40, 120), (150, 30)])
def test_look_alikes_of_another_kind_fall(particles, others, prompts):
    verdict, true = judged(particles, others, prompts=prompts)
    assert verdict.candidates.all()
    assert verdict.kept[true].mean() > 0.9
    assert verdict.kept[~true].mean() < 0.1
    assert verdict.scores[true].mean() > verdict.scores[~true].mean() + 0.3


def test_one_kind_alone_is_kept():
    verdict, _ = judged(100, 0)
    assert verdict.kept.mean() > 0.9


def test_the_kind_decides_on_what_does_not_stand_out():
    features = kinds((60, 60, 150))
    clicks, of_kind, others, background = np.split(features, [1, 60, 120])
    proposals = np.concatenate([of_kind, others])
    hidden = np.tile([False, False, True], 40)[: len(proposals)]
    verdict = judge(np.where(hidden, 0.4, 0.7), 0.5, proposals, clicks, background)
    np.testing.assert_array_equal(verdict.candidates, ~hidden)
    assert verdict.kept[: len(of_kind)][hidden[: len(of_kind)]].mean() > 0.9
    assert verdict.kept[len(of_kind) :][hidden[len(of_kind) :]].mean() < 0.1


def test_nothing_that_does_not_stand_out_is_kept_where_little_does():
    features = kinds((60, 60))
    similarities = np.repeat([0.7, 0.4], [5, 55])
    verdict = judge(similarities, 0.5, features[:60], features[:1], features[60:])
    np.testing.assert_array_equal(verdict.kept, similarities >= 0.5)


def test_a_handful_of_candidates_is_kept_as_it_is():
    features = kinds((8, 60))
    similarities = np.linspace(0.8, 0.6, 8)
    verdict = judge(similarities, 0.65, features[:8], features[:1], features[8:])
    np.testing.assert_array_equal(verdict.kept, similarities >= 0.65)
    np.testing.assert_array_equal(verdict.scores, similarities)


def test_no_proposals():
    empty = np.zeros((0, K, D))
    verdict = judge(np.zeros(0), np.inf, empty, kinds((1, 30))[:1], kinds((1, 30))[1:])
    assert len(verdict.scores) == len(verdict.kept) == 0


def test_the_same_verdict_twice():
    first, second = (judged(80, 60)[0] for _ in range(2))
    assert first.scores.tobytes() == second.scores.tobytes()
    np.testing.assert_array_equal(first.kept, second.kept)


def test_the_span_of_wide_features_gives_the_scores_of_all_their_dimensions(monkeypatch):
    monkeypatch.setattr(kind, "DIMENSIONS", (8,))  # for speed
    rng = np.random.default_rng(2)
    axes, _ = np.linalg.qr(rng.standard_normal((150, D)))
    features = kinds((31, 30, 40)) @ axes.T  # (101, K, 150)
    features += 0.02 * rng.standard_normal(features.shape)
    clicks, proposals, background = np.split(features, [1, 61])
    similarities = np.linspace(0.9, 0.6, len(proposals))
    within = judge(similarities, 0.5, proposals, clicks, background)
    monkeypatch.setattr(kind, "spanned", lambda *sets: list(sets))
    full = judge(similarities, 0.5, proposals, clicks, background)
    np.testing.assert_array_equal(full.kept, np.arange(60) < 30)
    np.testing.assert_allclose(within.scores, full.scores, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(within.kept, full.kept)


def test_a_span_keeps_dot_products_and_is_narrow():
    vectors = np.random.default_rng(0).standard_normal((12, 50))
    one, other = spanned(vectors[:5], vectors[5:])
    assert (one.shape, other.shape) == ((5, 12), (7, 12))
    np.testing.assert_allclose(one @ other.T, vectors[:5] @ vectors[5:].T, atol=1e-12)
    narrow = spanned(vectors[:5, :8], vectors[5:, :8])
    assert np.array_equal(np.concatenate(narrow), vectors[:, :8])


@pytest.mark.parametrize(
    ("position", "expected"), [("proposal", 5.0), ("halfway", 6.0), ("mask", 7.0)]
)
def test_where_a_pick_is(position, expected):
    points = np.array([[5.0, 5, 5], [20, 20, 20]])
    masks = [ball([7.0, 7, 7], 2, (30, 30, 30)), ParticleMask.empty(points[1])]
    found, _ = ranked(Picks.from_points(points, np.array([2.0, 1.0])), masks, 3.0, position)
    assert found.points_zyx.tolist() == [[expected] * 3, [20.0] * 3]
