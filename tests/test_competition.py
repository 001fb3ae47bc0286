"""Which of several diameters a run goes by."""

import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from aitom_cryosam.competition import BETTER, HARDLY, POOR, STEP, best
from aitom_cryosam.errors import InputError
from aitom_cryosam.particle_size import ParticleSize
from aitom_cryosam.picks import Picks
from aitom_cryosam.scoring.kind import Verdict
from aitom_cryosam.scoring.verdict import PRESENT
from aitom_cryosam.search import Found

UNSURE = ParticleSize(10.0, estimated=True, rivals_voxels=(20.0, 5.0))
NONE = np.zeros(0)


class Look:
    """Searches that find what is said: presence and expected F1, or None, by diameter."""

    def __init__(self, opinions):
        self.opinions = opinions
        self.asked = []

    def __call__(self, diameter):
        self.asked.append(round(diameter, 3))
        logging.getLogger("aitom_cryosam.clicks").warning("odd at %.0f", diameter)
        opinion = self.opinions.get(round(diameter, 3), (0.01, 0.0))
        if opinion is None:
            raise InputError("No particle was found at any prompt.")
        verdict = Verdict(NONE, NONE, NONE, presence=opinion[0], expected=opinion[1])
        nothing = SimpleNamespace()
        return Found(
            diameter, Picks.none(), [], (), Picks.none(), nothing, Picks.none(), NONE, verdict,
            nothing, nothing, nothing,
        )  # fmt: skip


def chosen(opinions, size=UNSURE):
    look = Look(opinions)
    return best(look, size, voxel_size=10.0), look.asked


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


def test_presence_in_doubt_is_asked_a_step_aside():
    less, more = round(10 / STEP, 3), round(10 * STEP, 3)
    found, asked = chosen({10: (0.5, 0.0), less: (0.7, 0.7), more: (0.99, 0.9)})
    assert (round(found.diameter_voxels, 3), asked) == (more, [10, less, more])
    found, _ = chosen({10: (0.5, 0.0), less: (0.1, 0.0), more: (0.7, 0.9)})
    assert found.diameter_voxels == 10  # most say no
    assert chosen({10: (HARDLY / 2, 0.0), more: (0.99, 0.9)})[0].diameter_voxels == 10
    found, _ = chosen({10: (0.5, 0.0), less: None, more: (0.99, 0.9)})
    assert round(found.diameter_voxels, 3) == more


def test_a_rival_in_doubt_is_asked_aside_too():
    aside = {round(20 * ratio, 3): (0.9, 0.8) for ratio in (1 / STEP, STEP)}
    found, _ = chosen({10: (0.01, 0.0), 20: (0.5, 0.0), **aside})
    assert round(found.diameter_voxels, 3) in aside


def test_the_likeliest_diameter_refuses_for_all():
    with pytest.raises(InputError):
        chosen({10: None, 20: (0.9, 0.9)})


def test_features_are_let_go_before_others_are_made():
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

    assert best(look, UNSURE, voxel_size=10.0).diameter_voxels == 10
