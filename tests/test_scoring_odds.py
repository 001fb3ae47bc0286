"""Likeness, spreading, evidence and odds: what does not change them, and clear cases."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation
from scipy.special import logit

from aitom_cryosam import Tomogram
from aitom_cryosam.models import JUDGED
from aitom_cryosam.scoring import verdict
from aitom_cryosam.scoring.cut import SURE, TAIL, cut, list_lengths, list_rows
from aitom_cryosam.scoring.evidence import evidence
from aitom_cryosam.scoring.harmonics import HARMONICS, powers
from aitom_cryosam.scoring.kind import FEWEST
from aitom_cryosam.scoring.likeness import Likeness
from aitom_cryosam.scoring.lists import Cut
from aitom_cryosam.scoring.network import (
    GraphNetwork,
    SequenceNetwork,
    shipped,
    shipped_graph,
    shipped_sequence,
)
from aitom_cryosam.scoring.odds import LOWEST, graph_inputs, proposal_odds
from aitom_cryosam.scoring.places import CHANCE_SAMPLE, Places
from aitom_cryosam.scoring.reciprocity import reciprocity
from aitom_cryosam.scoring.spreading import reached
from aitom_cryosam.scoring.verdict import judged

TRAINED_WITH = {
    "cut": {"TAIL": 8, "SURE": 10.0},
    "evidence": {"COPIES": (5, 20), "LOUD_BACKGROUND": 0.9, "LEAST": 0.02, "FAINT": 1e-3},
    "harmonics": {"SHELLS": (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5), "DEGREES": 6},
    "likeness": {"PLANES": 3, "MOST_LOUD": 0.8},
    "network": {"NEAREST": 6},
    "odds": {"NEIGHBOURS": 24, "DOUBTED": 3.0, "LEVELS": (0.2, 0.35, 0.5)},
    "places": {"CHANCE_SAMPLE": 250, "SAMPLES": 4},
    "presence": {
        "RANKS": (1, 2, 3, 5, 8, 12, 20, 32, 50, 80, 120, 200),
        "GROUPS": (3, 6, 12, 24, 48, 96),
        "BACKGROUND_SHARES": (0.5, 0.9, 0.98, 1.0),
        "AXES": (6, 4),
    },
    "reciprocity": {"NEAREST": (3, 6, 12, 24), "CORE": 6, "RANKED": 8},
    "spreading": {"NEIGHBOURS": (18, 30), "STEEPNESS": 3, "END": 0.01, "END_IN_BACKGROUND": 0.2},
}
REGIONS, CHANNELS = 2, 240  # of the encoder that the embedding was learned with
OF_KIND, OTHERS, EMPTY = 30, 60, 120
NOT_CLICKED = np.zeros(OF_KIND + OTHERS, bool)


@pytest.fixture(scope="module")
def scene():
    """Proposals, of which the first are of the clicked kind, a click and background."""
    rng = np.random.default_rng(0)
    counts = [1 + OF_KIND, OTHERS, EMPTY]
    parts = []
    for size in (CHANNELS * REGIONS, HARMONICS):
        centres = np.sqrt(2 * size) * np.linalg.qr(rng.standard_normal((size, size)))[0][:2]
        rows = np.repeat([*centres, 0 * centres[0]], counts, axis=0)
        parts.append(rows + rng.standard_normal(rows.shape))
    similarities = np.repeat([0.8, 0.6, 0.2], [OF_KIND, OTHERS, EMPTY])
    similarities += rng.normal(0, 0.05, len(similarities))
    return parts[0].reshape(-1, REGIONS, CHANNELS), parts[1], similarities


def split(rows):
    """Of the proposals, the background and the click."""
    return rows[1 : 1 + OF_KIND + OTHERS], rows[-EMPTY:], rows[:1]


def found(scene, change=lambda features: features):
    instances, shapes, similarities = scene
    seen = Likeness.of(split(change(instances)), split(change(shapes)))
    likeness = seen.embedded(shipped("embedding"))
    return likeness, evidence(likeness, similarities, similarities, 0.7, NOT_CLICKED)


@pytest.mark.parametrize("module", TRAINED_WITH)
def test_networks_see_what_they_were_trained_with(module):
    """Who changes one of these trains the networks again (`benchmarks/verdict_training.py`)."""
    for name, value in TRAINED_WITH[module].items():
        found = getattr(import_module(f"aitom_cryosam.scoring.{module}"), name)
        assert (tuple(found.tolist()) if isinstance(found, np.ndarray) else found) == value


@pytest.mark.parametrize(
    "change",
    [lambda x: x - 30, lambda x: 1000 * x, lambda x: 0.001 * x - 7],
    ids=["a constant", "louder", "fainter and shifted"],
)
def test_what_all_places_share_changes_nothing(scene, change):
    np.testing.assert_allclose(found(scene, change)[1].rows, found(scene)[1].rows, atol=1e-4)


def test_the_clicked_kind_is_more_probable_than_another(scene):
    probable = shipped_graph("odds")(*graph_inputs(*found(scene), NOT_CLICKED))
    of_kind, others = np.split(probable, [OF_KIND])
    assert np.quantile(of_kind, 0.1) > np.quantile(others, 0.9)


def test_walks_come_to_the_click_from_its_kind(scene):
    walks = reached(found(scene)[0])
    of_kind, others, _ = np.split(walks.chances, [OF_KIND, OF_KIND + OTHERS])
    assert ((walks.chances >= 0) & (walks.chances <= 1)).all()
    assert ((walks.to_background >= 0) & (walks.to_background <= 1)).all()
    assert (walks.totals > 0).all()
    assert of_kind.min() > others.max()


def test_a_copy_that_is_unlike_the_click_is_reached_by_way_of_others():
    angles = np.linspace(0, 100, 30)  # degrees between the click and its copies, a chain
    chain = np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles)), 0 * angles], axis=1)
    rng = np.random.default_rng(0)
    apart = np.eye(3)[2] + 0.05 * rng.standard_normal((60, 3))
    places = np.concatenate([chain[1:], apart])
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    likeness = Likeness(chain[:1], places, len(places), (3,), 1, np.zeros((len(places), 2)))
    chances = reached(likeness).chances
    assert places[28] @ chain[0] < places[-1] @ chain[0] + 0.1  # no more like the click
    assert chances[28] > 10 * chances[29:].max()


def places_of(scene, chance=0.5):
    instances, shapes, similarities = scene
    proposals, background, _ = split(instances)
    of_all = np.concatenate(split(shapes)[:2])
    return Places(proposals, background, similarities, similarities, chance, of_all)


def judged_by_odds(scene, chance, **changes):
    instances, shapes, _ = scene
    shapes = changes.get("shapes", shapes[:1])
    return judged(places_of(scene, chance), split(instances)[2], NOT_CLICKED, shapes, JUDGED)


@pytest.mark.parametrize("chance", [0.1, 0.9], ids=["all stand out", "nothing stands out"])
def test_odds_decide_where_chance_cannot(scene, chance):
    kept = judged_by_odds(scene, chance).kept
    assert kept[:OF_KIND].mean() > 0.9
    assert kept[OF_KIND:].mean() < 0.1


def test_without_shapes_what_stands_out_is_kept(scene):
    verdict = judged_by_odds(scene, 0.9, shapes=np.zeros((0, 0)))
    np.testing.assert_array_equal(verdict.kept, verdict.candidates)


def test_nothing_is_picked_where_nothing_is_like_the_click(scene):
    rng = np.random.default_rng(1)
    nothing = tuple(rng.standard_normal(rows.shape) for rows in scene[:2])
    assert not judged_by_odds((*nothing, scene[2]), 2.0).kept.any()


def test_another_kind_has_likes_of_its_own(scene):
    likeness, evidence_found = found(scene)
    walks = evidence_found.walks[: likeness.proposals]
    numbers, _ = reciprocity(likeness, walks, NOT_CLICKED, 8)
    nearer_than_clicks, rank_of_nearest = numbers[:, 4], numbers[:, 12]
    of_kind, others = np.split(nearer_than_clicks, [OF_KIND])
    assert np.quantile(of_kind, 0.9) < np.quantile(others, 0.1)
    of_kind, others = np.split(rank_of_nearest, [OF_KIND])
    assert np.quantile(of_kind, 0.9) < np.quantile(others, 0.1)


def test_neighbours_are_of_the_same_kind_and_never_oneself(scene):
    likeness, evidence_found = found(scene)
    walks = evidence_found.walks[: likeness.proposals]
    _, near = reciprocity(likeness, walks, NOT_CLICKED, 8)
    assert near.shape == (OF_KIND + OTHERS, 8)
    assert (near != np.arange(len(near))[:, None]).all()
    assert ((near < OF_KIND) == (np.arange(len(near)) < OF_KIND)[:, None]).mean() > 0.95
    few = replace(likeness, places=likeness.places[:3], proposals=3)
    _, near = reciprocity(few, walks[:3], NOT_CLICKED[:3], 8)
    assert near.shape == (3, 8)


def test_a_place_hears_its_neighbours_in_whatever_order_places_come():
    rng = np.random.default_rng(0)
    n, width, hidden = 30, 5, 4
    parts = [(2, width, hidden), (2, 1, hidden), (2, 4 * hidden, hidden), (2, 1, hidden)]
    weights = [rng.standard_normal(shape) for shape in (*parts, (2, hidden))]
    network = GraphNetwork(np.zeros(width), np.ones(width), 3.0, *weights, 0.5)
    rows, near = rng.standard_normal((n, width)), rng.integers(0, n, (n, 8))
    order = rng.permutation(n)
    turned = network(rows[order], np.argsort(order)[near[order]])
    np.testing.assert_allclose(turned, network(rows, near)[order])
    alone = network(rows, np.tile(np.arange(n)[:, None], 8))
    assert np.abs(alone - network(rows, near)).min() > 1e-6


def test_a_sequence_is_seen_in_windows_and_as_a_whole():
    rng = np.random.default_rng(0)
    g, r, h, layers, width, length = 2, 5, 4, 2, 3, 9
    parts = [(g, r, h), (g, h), (g, layers, width, h, h), (g, layers, h), (g, layers, h, h)]
    alone, alone_bias, around, around_bias, whole, out, bias = (
        rng.standard_normal(shape) for shape in (*parts, (g, h), (g,))
    )
    weights = (alone, alone_bias, around, around_bias, whole, out, bias)
    network = SequenceNetwork(np.zeros(r), np.ones(r), 3.0, *weights)
    rows = rng.uniform(-3, 3, (length, r))
    answers = np.zeros(length)
    for one in range(g):
        hidden = np.tanh(rows @ alone[one] + alone_bias[one])
        for layer in range(layers):
            mean, before = hidden.mean(axis=0), hidden.copy()
            for i in range(length):
                seen = mean @ whole[one, layer] + around_bias[one, layer]
                for step in range(width):
                    if 0 <= i + step - 1 < length:
                        seen = seen + before[i + step - 1] @ around[one, layer, step]
                hidden[i] = before[i] + np.tanh(seen)
        answers += (hidden @ out[one] + bias[one]) / g
    np.testing.assert_allclose(network(rows), answers)


@pytest.mark.parametrize(
    "network", [shipped("presence"), shipped_graph("odds"), shipped_sequence("cut")]
)
def test_what_was_learned_ends_at_its_reach(network):
    alone = [np.zeros((1, 1), int)] if isinstance(network, GraphNetwork) else []
    sign = np.where(np.arange(len(network.middle)) % 2, 1, -1)
    ways = [network.middle + way * sign * network.spread for way in (network.reach, 1e3)]
    np.testing.assert_allclose(*(network(row[None], *alone) for row in ways))


def test_below_a_level_there_is_the_lower_background_and_never_too_little(scene):
    places = places_of(scene)
    n = len(places.instances)
    level = float(np.quantile(places.similarities[n:], 0.3))
    low = places.below(level)
    expected = places.similarities[n:] < level
    assert low.chance == level
    np.testing.assert_array_equal(low.background, places.background[expected])
    np.testing.assert_array_equal(low.similarities[n:], places.similarities[n:][expected])
    np.testing.assert_array_equal(low.shapes[n:], places.shapes[n:][expected])
    np.testing.assert_array_equal(low.instances, places.instances)
    assert len(places.below(-np.inf).background) == FEWEST


def odds_in(scene, places=None):
    instances, shapes, _ = scene
    is_prompt = np.arange(len(NOT_CLICKED)) == 0
    return proposal_odds(places or places_of(scene), split(instances)[2], is_prompt, shapes[:1])


@pytest.mark.parametrize("times", [1, 4, 9, 20])
def test_samples_are_whole_and_spread_over_the_background(scene, times):
    places = places_of(scene)
    n, m = len(places.instances), times * len(places.background)
    many = replace(
        places,
        background=np.tile(places.background, (times, 1, 1)),
        similarities=np.append(places.similarities[:n], np.arange(m)),
        shapes=np.concatenate([places.shapes[:n], np.tile(places.shapes[n:], (times, 1))]),
    )
    samples = many.samples()
    assert len(samples) == max(1, m // CHANCE_SAMPLE)
    for sample in samples:
        ranks = sample.similarities[n:].astype(int)
        assert len(np.unique(ranks)) == min(m, CHANCE_SAMPLE)
        assert ranks.min() < len(samples)
        assert ranks.max() >= m - len(samples)
        np.testing.assert_array_equal(sample.background, many.background[ranks])
        np.testing.assert_array_equal(sample.shapes[n:], many.shapes[n:][ranks])
    rows = np.concatenate([sample.similarities[n:] for sample in samples])
    assert len(np.unique(rows)) == len(rows)  # no place is in two of them


def test_the_log_odds_are_the_mean_over_the_samples_and_then_of_these_and_the_lowest(
    scene, monkeypatch
):
    places = places_of(scene)
    one = odds_in(scene)
    order = np.random.default_rng(4).permutation(len(places.background))
    halves = [places, *(places._beside(part) for part in np.array_split(order, 2))]
    alone = [odds_in(scene, half) for half in halves]
    monkeypatch.setattr(Places, "samples", lambda _: halves)
    both = odds_in(scene)
    each = [found.samples[0].log_odds for found in alone]
    np.testing.assert_allclose([sample.log_odds for sample in both.samples], each)
    others = ~both.is_prompt
    np.testing.assert_allclose(
        logit(both.if_present[others]),
        ((np.mean(each, axis=0) + both.lowest.log_odds) / 2)[others],
        atol=1e-9,
    )
    assert (both.if_present[both.is_prompt] == 1).all()
    expected = [cut(replace(both, samples=(one,))).f1 for one in both.samples]
    np.testing.assert_allclose(cut(both).f1, np.mean(expected, axis=0))
    assert min(found.presence for found in alone) <= both.presence <= 1
    assert not np.allclose(both.if_present, one.if_present)


def test_the_lowest_maxima_are_background_whatever_chance_is(scene):
    places = places_of(scene)
    level = float(np.quantile(places.maxima, LOWEST))
    lowest = odds_in(scene).lowest.log_odds
    np.testing.assert_allclose(lowest, odds_in(scene, places.below(level)).samples[0].log_odds)


def test_a_background_that_is_of_the_kind_does_not_end_the_list(scene):
    """As where most maxima of a packed sample are copies, and chance ends above them."""
    assert not odds_in(scene).crowded
    places = places_of(scene)
    others = np.arange(OF_KIND, len(places.instances))
    packed = replace(
        places,
        instances=places.instances[:OF_KIND],
        similarities=np.delete(places.similarities, others),
        shapes=np.delete(places.shapes, others, axis=0),
        chance=1.0,
    )
    instances, shapes, _ = scene
    odds = proposal_odds(packed, split(instances)[2], np.arange(OF_KIND) == 0, shapes[:1])
    assert odds.crowded
    np.testing.assert_array_equal(cut(odds).f1, cut(replace(odds, samples=(odds.lowest,))).f1)
    assert not np.allclose(cut(odds).f1, cut(replace(odds, crowded=False)).f1)


def test_the_clicked_head_the_order_of_the_odds(scene):
    odds = odds_in(scene)
    assert odds.is_prompt[odds.order[0]]
    assert (np.diff(odds.if_present[odds.order]) <= 0).all()


def test_the_best_list_ends_where_the_kind_does(scene):
    odds = odds_in(scene)
    assert odds.order[0] == 0
    assert (odds.order[:OF_KIND] < OF_KIND).all()
    best = cut(odds).length
    assert 2 * min(best, OF_KIND) / (best + OF_KIND) > 0.9


def test_a_list_ends_at_a_peak_and_not_at_a_spike():
    lengths = np.arange(1, 41)
    f1 = 0.8 * np.exp(-((lengths - 30) ** 2) / 50)
    f1[9] = 0.85
    found = Cut(lengths, f1)
    assert found.length == 30
    assert found.expected == 0.85
    assert found.expected_of(30) == pytest.approx(0.8)
    assert Cut(lengths[:1], f1[:1]).length == 1


def test_a_list_may_be_of_all_proposals():
    assert Cut(np.arange(1, 6), np.array([0.1, 0.2, 0.3, 0.8, 0.9])).length == 5
    assert Cut(np.arange(1, 6), np.array([0.1, 0.2, 0.9, 0.8, 0.3])).length == 3


def test_the_clicked_head_every_list():
    is_prompt = np.zeros(200, bool)
    assert list_lengths(is_prompt)[0] == 1
    is_prompt[[3, 70, 90]] = True
    lengths = list_lengths(is_prompt)
    assert lengths[0] == 3
    assert lengths[-1] == 200
    assert (np.diff(lengths) > 0).all()
    np.testing.assert_array_equal(list_lengths(is_prompt[:2]), [1, 2])


def test_what_speaks_for_a_list_is_that_of_the_places_at_its_end(scene):
    odds = odds_in(scene)
    (sample,), n = odds.samples, len(odds.is_prompt)
    rows = list_rows(sample, odds.is_prompt, np.array([1, 16, n]))
    order = np.argsort(-np.where(odds.is_prompt, np.inf, sample.log_odds))
    last = [order[:1], order[14:16], order[n - n // TAIL :]]
    np.testing.assert_allclose(
        rows[:, 2 : 2 + sample.rows.shape[1]], [sample.rows[some].mean(axis=0) for some in last]
    )
    level = np.append(SURE, np.clip(np.sort(sample.log_odds[~odds.is_prompt])[::-1], -SURE, SURE))
    right = np.cumsum(1 / (1 + np.exp(-level)))
    np.testing.assert_allclose(rows[1, -5:-3], level[[15, 16]])
    np.testing.assert_allclose(rows[1, -2], 2 * right[15] / (16 + right[-1]))


@pytest.fixture(scope="module")
def lump():
    """A lopsided body of 20 voxels, (41, 41, 41)."""
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(*[np.arange(41) - 20.0] * 3, indexing="ij"), axis=-1)
    middles = rng.uniform(-6, 6, (8, 3))
    return sum(np.exp(-((grid - middle) ** 2).sum(axis=-1) / 12) for middle in middles)


def powers_of(volume):
    tomogram = Tomogram.from_array(volume.astype(np.float32), voxel_size=10, contrast="bright")
    return powers(tomogram, np.full((1, 3), 20.0), 20)[0]


def test_powers_of_harmonics_stay_as_a_body_turns(lump):
    turned, mirrored = lump, lump.transpose(2, 1, 0)
    for axis in range(3):
        turned = np.rot90(turned, axes=(axis, (axis + 1) % 3))
    rotation = Rotation.random(rng=5).as_matrix()
    offset = 20 - rotation @ np.full(3, 20)
    oblique = ndimage.affine_transform(lump, rotation, offset)
    other = np.roll(lump, 6, axis=0)
    upright = powers_of(lump)
    assert len(upright) == HARMONICS
    far = np.linalg.norm(powers_of(other) - upright)
    for same in (turned, mirrored, oblique):
        assert np.linalg.norm(powers_of(same) - upright) < 0.15 * far


def test_powers_at_the_border_and_of_no_point_are_there(lump):
    tomogram = Tomogram.from_array(lump.astype(np.float32), voxel_size=10)
    assert np.isfinite(powers(tomogram, np.array([[0.0, 0, 0], [40, 40, 40]]), 20)).all()
    assert powers(tomogram, np.zeros((0, 3)), 20).shape == (0, HARMONICS)


def test_clusters_of_more_picks_decide_against_the_odds_and_say_so(scene, monkeypatch):
    assert not judged_by_odds(scene, 0.1).against_odds  # all stand out, and the list is as long
    shorter = Cut(np.array([5, 10, 20, 200]), np.array([0.5, 0.6, 0.5, 0.5]))
    monkeypatch.setattr(verdict, "cut", lambda _: shorter)
    assert judged_by_odds(scene, 0.1).against_odds
    assert judged_by_odds(scene, 0.1).probabilities is not None
    assert not judged_by_odds(scene, 0.9).against_odds


def test_clusters_of_more_picks_are_not_taken_where_they_promise_little(scene, monkeypatch):
    steep = Cut(np.array([5, 10, 20, 200]), np.array([0.5, 0.6, 0.4, 0.4]))
    monkeypatch.setattr(verdict, "cut", lambda _: steep)
    decided = judged_by_odds(scene, 0.1)
    assert not decided.against_odds
    assert decided.kept.sum() == steep.length


def test_a_clicked_particle_is_a_pick_whatever_clusters_say(scene, monkeypatch):
    shorter = Cut(np.array([5, 10, 20, 200]), np.array([0.5, 0.6, 0.5, 0.5]))
    monkeypatch.setattr(verdict, "cut", lambda _: shorter)
    is_prompt = NOT_CLICKED.copy()
    is_prompt[-1] = True  # of the other kind
    instances, shapes, _ = scene
    decided = judged(places_of(scene, 0.1), split(instances)[2], is_prompt, shapes[:1], JUDGED)
    assert decided.against_odds
    assert decided.kept[-1]
    assert not decided.kept[OF_KIND:-1].any()


@pytest.mark.parametrize(("presence", "picked"), [(0.59, False), (0.6, True)])
def test_only_the_clicked_are_picked_where_anything_else_is_hardly_present(
    scene, monkeypatch, presence, picked
):
    odds = verdict.proposal_odds
    monkeypatch.setattr(
        verdict, "proposal_odds", lambda *given: replace(odds(*given), presence=presence)
    )
    is_prompt = NOT_CLICKED.copy()
    is_prompt[0] = True
    instances, shapes, _ = scene
    decided = judged(places_of(scene, 0.9), split(instances)[2], is_prompt, shapes[:1], JUDGED)
    assert decided.kept[0]
    assert decided.kept[1:OF_KIND].any() == picked
    assert decided.probabilities[1:].max() <= presence
