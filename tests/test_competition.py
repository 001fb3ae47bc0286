"""Which of several diameters a run goes by."""

import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from aitom_cryosam import agreement
from aitom_cryosam.agreement import CLEAR, GROWTH, HARDLY, MORE, STEPS, SURE
from aitom_cryosam.competition import BETTER, POOR, best
from aitom_cryosam.errors import InputError
from aitom_cryosam.particle_size import ASIDE, ParticleSize
from aitom_cryosam.picks import Picks
from aitom_cryosam.scoring.kind import Verdict
from aitom_cryosam.scoring.lists import Cut
from aitom_cryosam.scoring.verdict import PRESENT
from aitom_cryosam.search import Found
from aitom_cryosam.settings import Settings

UNSURE = ParticleSize(10.0, estimated=True, rivals_voxels=(20.0, 5.0))
NONE = np.zeros(0)


class Look:
    """Searches that find what is said: presence, expected F1 and picks, or None, by diameter."""

    def __init__(self, opinions):
        self.opinions = opinions
        self.asked = []

    def __call__(self, diameter):
        self.asked.append(round(diameter, 3))
        logging.getLogger("aitom_cryosam.clicks").warning("odd at %.0f", diameter)
        opinion = self.opinions.get(round(diameter, 3), (0.01, 0.0))
        if opinion is None:
            raise InputError("No particle was found at any prompt.")
        presence, expected, *picks = opinion
        verdict = Verdict(
            NONE, NONE, np.ones(*picks or [0]), presence=presence,
            cut=Cut(np.ones(1), np.full(1, expected)),
        )  # fmt: skip
        nothing = SimpleNamespace()
        return Found(
            diameter, Picks.none(), [], (), Picks.none(), nothing, Picks.none(), NONE, verdict,
            nothing, nothing, nothing,
        )  # fmt: skip


def chosen(opinions, size=UNSURE, looks=1):
    look = Look(opinions)
    return best(look, size, 10.0, Settings(looks=looks)), look.asked


def test_a_diameter_that_was_given_has_no_rivals():
    found, asked = chosen({}, ParticleSize(10.0))
    assert (found.diameter_voxels, asked) == (10, [10])


def test_what_promises_enough_is_taken_at_once(caplog):
    found, asked = chosen({10: (0.9, POOR / 0.9 + 0.01), 20: (1, 1)})
    assert (found.diameter_voxels, asked) == (10, [10])
    assert found.features is not None
    assert found.walks is not None
    assert [one.getMessage() for one in caplog.records] == ["odd at 10"]


def test_where_little_is_found_a_rival_that_promises_more_is_taken(caplog):
    found, asked = chosen({10: (0.9, 0.3), 20: (0.9, 0.5), 5: (0.9, 0.4)})
    assert (found.diameter_voxels, asked) == (20, [10, 20, 5])
    assert found.features is None
    said = [one.getMessage() for one in caplog.records]
    assert said[0] == "odd at 10"
    assert "100 Å" in said[1]
    assert "200 Å" in said[1]
    assert said[2:] == ["odd at 20"]


def test_a_rival_that_promises_enough_ends_the_search():
    assert chosen({10: (0.9, 0.3), 20: (0.99, 0.9), 5: (0.99, 0.99)})[1] == [10, 20]


@pytest.mark.parametrize(
    "rival",
    [(0.9, BETTER * 0.4 - 0.01), (PRESENT - 0.5, 0.9), (None, 0.0), None],
    ids=["hardly better", "of nothing", "not learned", "no diameter"],
)
def test_a_rival_that_is_not_clearly_better_is_not_taken(rival, caplog):
    found, _ = chosen({10: (0.9, 0.4), 20: rival, 5: rival})
    assert found.diameter_voxels == 10
    assert [one.getMessage() for one in caplog.records] == ["odd at 10"]


def test_where_nothing_was_learned_the_likeliest_is_taken():
    assert chosen({10: (None, 0.0), 20: (0.9, 0.9)})[1] == [10]


@pytest.mark.parametrize(
    ("presence", "expected", "asks"),
    [(0.99, SURE, True), (0.99, 1.0, False), (HARDLY, 0.0, True), (HARDLY / 2, 0.0, False)],
    ids=["not all of it", "sure of all", "in doubt", "sure of nothing"],
)
@pytest.mark.parametrize("size", [ParticleSize(10.0), ParticleSize(10.0, estimated=True)])
def test_diameters_aside_are_asked_where_much_is_open(presence, expected, asks, size, monkeypatch):
    heard = []
    monkeypatch.setattr(agreement, "agreed", lambda searches, _: heard.extend(searches) or last)
    last = Look({10: (0.9, 0.9)})(10)
    less, more = (round(10 * ratio, 3) for ratio in ASIDE)
    opinions = {10: (presence, expected), less: None, more: (0.9, 0.9)}
    found, asked = chosen(opinions, size, looks=3)
    assert asked == ([10, less, more] if asks else [10])
    assert (found is last) == asks
    assert [round(one.diameter_voxels, 3) for one in heard] == ([10, more] if asks else [])
    assert all(one.features is None for one in heard)
    assert chosen(opinions, size, looks=1)[1] == [10]


def diameters(*numbers, expected=0.9, estimated=True):
    """At which all is decided, and asked, where each larger one has these numbers of picks."""
    steps = [round(10 * ASIDE[1] ** step, 3) for step in range(len(numbers))]
    opinions = {d: (1.0, expected, n) for d, n in zip(steps, numbers, strict=True)}
    less = round(10 * ASIDE[0], 3)
    size = ParticleSize(10.0, estimated=estimated)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agreement, "agreed", lambda searches, _: decided.append(searches) or last)
        decided, last = [], Look({10: (0.9, 0.9)})(10)
        _, asked = chosen({**opinions, less: (1.0, expected, 0)}, size, looks=3)
    assert asked[:3] == [10, less, steps[1]]
    return [steps.index(round(one.diameter_voxels, 3)) for one in decided[0][::2]], len(asked)


@pytest.mark.parametrize("fewer", [40, 100])
def test_where_larger_diameters_have_many_more_picks_these_decide(fewer):
    many = int(max(GROWTH * fewer, fewer + MORE)) + 1
    more = int(max(GROWTH * many, many + MORE)) + 1
    assert diameters(fewer, many, many) == ([1, 2], 4)
    assert diameters(fewer, many, more, more) == ([2, 3], 3 + STEPS)
    assert diameters(fewer, many, 0) == ([1, 2], 4)
    assert diameters(fewer, many - 1) == ([0, 1], 3)
    assert diameters(fewer, many, many, expected=CLEAR - 0.01) == ([0, 1], 3)
    assert diameters(fewer, many, many, estimated=False) == ([0, 1], 3)


def test_a_few_more_picks_do_not_count():
    assert diameters(MORE, 2 * MORE) == ([0, 1], 3)


def test_where_nothing_was_learned_no_diameter_aside_is_asked():
    assert chosen({10: (None, 0.0)}, looks=3)[1] == [10]


def test_the_likeliest_diameter_refuses_for_all():
    with pytest.raises(InputError):
        chosen({10: None, 20: (0.9, 0.9)})


def test_features_are_let_go_before_others_are_made(monkeypatch):
    """Those of two diameters together might be more than the run's memory."""
    alive = []

    class Features:
        def __del__(self):
            alive.remove(id(self))

    def look(diameter):
        assert alive == []
        features = Features()
        alive.append(id(features))
        return replace(Look({10: (0.5, 0.0), 20: (0.3, 0.0)})(diameter), features=features)

    monkeypatch.setattr(agreement, "agreed", lambda searches, _: searches[0])
    for looks in (1, 3):
        found = best(look, UNSURE, 10.0, Settings(looks=looks))
        assert found.diameter_voxels == 10
        del found
