"""The training of the verdict's networks, on made-up instances."""

from dataclasses import replace

import numpy as np
import pytest

from aitom_cryosam.scoring.likeness import Likeness

training = pytest.importorskip("benchmarks.verdict_training", reason="not of the package")

FEATURES, SHAPE = 24, 12
OF_KIND, EMPTY = 20, 60


def made_up(seed):
    """A draw of three kinds, told apart by some features, that turn along others."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat([0, 1, 2, -1], [OF_KIND, OF_KIND, OF_KIND, EMPTY])

    def rows(size):
        told_apart, turning = np.arange(size) < size // 4, np.arange(size) >= size // 2
        looks = np.append(rng.normal(0, 3, (3, size)) * told_apart, np.zeros((1, size)), axis=0)
        turned = rng.normal(0, 5, (len(kinds), size)) * turning * (kinds >= 0)[:, None]
        return looks[kinds] + turned + rng.standard_normal((len(kinds), size))

    features, shapes = rows(FEATURES)[:, None], rows(SHAPE)
    n = 3 * OF_KIND
    is_prompt = np.arange(n) == 0
    copy = np.where(kinds[:n] == 0, np.arange(n), -1)
    similarities = rng.standard_normal(len(kinds))
    return training.Draw(
        *(features[:n], features[n:], features[:1], shapes, shapes[:1], similarities),
        *(similarities, is_prompt, copy, np.array(OF_KIND), kinds),
    )


def told_apart(likeness, kinds):
    """How often a copy is more like a copy than like something else."""
    alike = likeness.places @ likeness.places.T
    same = (kinds[:, None] == kinds) & (kinds >= 0) & ~np.eye(len(kinds), dtype=bool)
    other = (kinds[:, None] != kinds) & (kinds >= 0)[:, None]
    return (alike[same][:, None] > np.quantile(alike[other], np.linspace(0.01, 0.99, 99))).mean()


def test_the_embedding_leaves_out_what_turns(monkeypatch, tmp_path):
    monkeypatch.setattr(training, "STEPS", 150)
    for seed in range(12):
        made_up(seed).save(tmp_path / f"{seed}.npz")
    embedding = training.embedded([training.Draw.load(p) for p in sorted(tmp_path.iterdir())])
    draw = made_up(99)
    n = len(draw.is_prompt)
    seen = Likeness.of(
        (draw.proposals, draw.background, draw.clicked),
        (draw.shapes[:n], draw.shapes[n:], draw.clicked_shapes),
    )
    before, after = (told_apart(one, draw.kinds) for one in (seen, seen.embedded(embedding)))
    assert after > before + 0.1
    assert after > 0.85


def test_the_odds_of_places_are_learned_from_their_likes(monkeypatch):
    monkeypatch.setattr(training, "STEPS", 100)
    draws = [made_up(seed) for seed in range(8)]
    embedding = training.embedded(draws)
    lessons = [training.of_places(draw, *draw.seen(embedding)) for draw in draws]
    odds = training.fit_graph(lessons[:6], replace(training.ODDS, networks=2, steps=60))
    for lesson in lessons[6:]:
        found = odds(lesson.rows, lesson.neighbours)
        copies, others = (
            found[(lesson.answers == is_copy) & (lesson.weights > 0)] for is_copy in (1, 0)
        )
        assert np.median(copies) > 0 > np.median(others)


def test_a_list_is_cut_where_evidence_falls_off():
    rng = np.random.default_rng(0)

    def lesson():
        length, copies = rng.integers(30, 50), rng.integers(5, 25)
        k = np.arange(1, length + 1)
        evidence = rng.normal() + (k <= copies) + rng.normal(0, 0.2, length)  # at any level
        f1 = 2 * np.minimum(k, copies) / (k + copies)
        return training.Lesson(np.column_stack([evidence, np.log(k)]), f1, f1 * 0 + 1)

    network = training.fit_sequence(
        [lesson() for _ in range(100)], replace(training.CUT, networks=2, steps=250)
    )
    others = [lesson() for _ in range(30)]
    reached = [one.answers[np.argmax(network(one.rows))] for one in others]
    assert np.mean(reached) > 0.85


def test_every_length_of_a_list_has_its_f1(monkeypatch):
    monkeypatch.setattr(training, "STEPS", 20)
    draws = [made_up(seed) for seed in range(3)]
    places = training.of_places(draws[0], *draws[0].seen(training.embedded(draws)))
    odds = training.fit_graph([places], replace(training.ODDS, networks=2, steps=30))
    lists = training.of_lists(draws[0], places, odds)
    assert len(lists.rows) == len(lists.answers)
    assert lists.answers[0] == pytest.approx(2 / (1 + OF_KIND))  # the click alone
    assert lists.answers[-1] == pytest.approx(2 * OF_KIND / (3 * OF_KIND + OF_KIND))


def test_clear_clicks_are_on_other_copies_that_come_first(monkeypatch):
    monkeypatch.setattr(training, "STEPS", 100)
    draw = made_up(5)
    found = draw.seen(training.embedded([made_up(seed) for seed in range(4)]))[1]
    rng = np.random.default_rng(0)
    five = draw.on_clear(5, found, rng)
    rows = np.flatnonzero(five.is_prompt)
    others = [row for row in range(OF_KIND) if row and row not in rows]
    assert len(rows) == len(five.clicked) == len(five.clicked_shapes) == 5
    assert set(rows) <= set(range(1, OF_KIND))
    assert found.walks[rows].min() >= found.walks[others].max()
    np.testing.assert_array_equal(
        np.sort(five.clicked[:, 0, 0]), np.sort(draw.proposals[rows, 0, 0])
    )
    (one,) = np.flatnonzero(draw.on_clear(1, found, rng).is_prompt)
    assert one in rows
    assert draw.on_clear(OF_KIND, found, rng) is None
    assert replace(draw, copy=np.full(len(draw.copy), -1)).on_clear(1, found, rng) is None
