"""Which proposals are particles: chance, kind, and the cut."""

import numpy as np
import pytest
from scipy import ndimage

from aitom_cryosam.features import Query
from aitom_cryosam.masks import ParticleMask, ball
from aitom_cryosam.matcher import HierarchicalMatcher
from aitom_cryosam.picks import Picks
from aitom_cryosam.scoring import kind, verdict
from aitom_cryosam.scoring.chance import chance_level
from aitom_cryosam.scoring.instances import pooled
from aitom_cryosam.scoring.kind import judge
from aitom_cryosam.scoring.mixture import fitted
from aitom_cryosam.scoring.places import Places, background_sample
from aitom_cryosam.scoring.span import spanned
from aitom_cryosam.scoring.verdict import ranked
from tests.toys import made_up_features

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


@pytest.mark.parametrize("seed", range(3))
def test_a_level_is_left_where_cosines_pile_up_below_one(seed):
    rng = np.random.default_rng(seed)  # raw tokens of a network share most of their length
    background, good = (
        1 - np.exp(rng.normal(np.log(distance), spread, count))
        for distance, spread, count in ((0.03, 0.7, 1500), (0.001, 0.3, 40))
    )
    level = chance_level(np.concatenate([background, good]))
    assert (good >= level).all()
    assert (background >= level).sum() <= 20


def picks_with(constant):
    """Which bodies are picked from one click on the first of 25, beside 25 of another kind.

    Tokens are noise and bodies, without whitening; a constant vector (16,) is added to them.
    """
    rng = np.random.default_rng(0)
    nodes = np.meshgrid([12, 30], np.arange(10, 90, 19), np.arange(10, 100, 20), indexing="ij")
    places = np.stack(nodes, axis=-1).reshape(-1, 3) + rng.integers(-2, 3, (50, 3))
    kinds = 5 * np.linalg.qr(rng.standard_normal((16, 16)))[0][:2]

    def tokens(centres):
        noise = ndimage.gaussian_filter(rng.standard_normal((*centres.shape[:3], 16)), (1, 1, 1, 0))
        distances = np.linalg.norm(centres[..., None, :] - places, axis=-1)
        near = np.exp(-((distances / 6) ** 4))
        bodies = [near[..., part].max(axis=-1) for part in (slice(25), slice(25, None))]
        return noise / noise.std() + np.stack(bodies, axis=-1) @ kinds + constant

    features = made_up_features((40, 96, 104), tokens)
    click = places[:1].astype(float)
    query = features.masked_mean([ball(click[0], 3, features.shape)])
    maxima = HierarchicalMatcher(ratios=(4,), tau_sim=-1, distance=7).match(Query(features, query))
    proposals = maxima.take(np.arange(100))
    chance = chance_level(maxima.scores)
    low = background_sample(maxima, chance)
    sample = Places(
        instances=pooled(features, proposals.points_zyx, 12),
        background=pooled(features, low.points_zyx, 12),
        similarities=np.concatenate([proposals.scores, low.scores]),
        maxima=maxima.scores,
        chance=chance,
    )
    is_prompt = np.zeros(len(proposals), bool)
    found = verdict.judged(sample, pooled(features, click, 12), is_prompt, sample.shapes)
    distances = np.linalg.norm(proposals.points_zyx[found.kept][:, None] - places, axis=-1)
    return sorted(distances.argmin(axis=1).tolist())


@pytest.mark.parametrize("constant", [0, 12 * np.linspace(1, 2, 16)], ids=["none", "large"])
def test_what_all_features_share_changes_no_pick(constant):
    assert picks_with(constant) == list(range(25))


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


def test_mixtures_that_are_fitted_side_by_side_are_those_that_each_start_gives_alone():
    rng = np.random.default_rng(4)
    points = rng.normal(size=(90, 3)) + 5 * rng.integers(3, size=(90, 1))
    starts = [rng.choice(90, k, replace=False).tolist() for k in (4, 4, 4, 1, 2, 6)]
    together = fitted(points, starts)
    for start, mixture in zip(starts, together, strict=True):
        (alone,) = fitted(points, [start])
        shares = mixture.shares(points)
        assert shares.shape == (90, len(start))
        np.testing.assert_allclose(shares, alone.shares(points), atol=1e-5)  # single precision
        np.testing.assert_allclose(shares.sum(axis=-1), 1)
    ends = [mixture.log_likelihood(points) for mixture in together[:3]]
    assert np.std(ends) > 1e-3  # starts that end apart


@pytest.mark.parametrize(("count", "width"), [(60, 25), (25, 25), (24, 25), (12, 90)])
def test_whitening_is_the_root_of_the_inverse_covariance(count, width):
    rng = np.random.default_rng(0)
    background = rng.standard_normal((count, width)) @ rng.standard_normal((width, width)) + 3
    dimensions = width + 10  # of which these places may span a part
    scatter = np.cov(background.T, bias=True)
    sphere = np.trace(scatter) / dimensions * np.eye(width)
    covariance = (1 - kind.BACKGROUND_SHRINKAGE) * scatter + kind.BACKGROUND_SHRINKAGE * sphere
    white = kind.whitening(background, dimensions)
    np.testing.assert_allclose(white, white.T, atol=1e-12)
    np.testing.assert_allclose(white @ covariance @ white, np.eye(width), atol=1e-9)


@pytest.mark.parametrize("count", [60, 12])
def test_a_background_without_noise_is_no_obstacle(count):
    rng = np.random.default_rng(0)
    places, background = rng.standard_normal((40, 6, 25)), np.ones((count, 6, 25))
    assert np.isfinite(kind.whitening(background[:, 0], 40)).all()
    found = kind.judge(rng.random(40), 0.2, places, places[:1], background)
    assert np.isfinite(found.scores).all()
