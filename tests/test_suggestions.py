"""Places whose yes or no would help most."""

from dataclasses import replace

import numpy as np
import pytest

from aitom_cryosam import Picks, Settings, Tomogram, job
from aitom_cryosam.errors import InputError
from aitom_cryosam.napari.curation import Curation
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.report.page import page
from aitom_cryosam.report.suggestion_picture import MOST, write_suggestions
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.scoring.suggestions import COLUMN, doubt, rows_of, suggested
from tests.toys import SMALL, small_simulation

N, K, D = 40, 2, 12


def world(seed=0):
    """Picks of scores 1 to 0, the upper half kept; the first is clicked; instances of 4 groups."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((D, D)))[0]
    rows = 4 * axes[np.arange(N) % 4][:, None] + 0.2 * rng.standard_normal((N, K, D))
    background = 0.5 * rng.standard_normal((50, K, D))
    picks = Picks.from_points(np.arange(3 * N).reshape(N, 3), np.linspace(1, 0, N))
    picks = picks.reject(np.arange(N // 2, N), "below the cut")
    places = Places(rows, background, np.zeros(N + 50), np.zeros(50), 0.0)
    return picks, places, rows[:1], np.arange(N) == 0


def test_they_are_doubtful_and_unlike_each_other():
    picks, places, clicked, own = world()
    found = suggested(picks, places, clicked, own, 4)
    rows = rows_of(found)
    assert len(set(rows.tolist())) == 4
    assert np.abs(rows - N / 2).max() <= 6  # near the cut
    assert len(set((rows % 4).tolist())) >= 3
    assert [found.extra[COLUMN][row] for row in rows] == ["1", "2", "3", "4"]
    assert found.extra[COLUMN].count("none") == N - 4


def test_they_are_likely_but_not_sure():
    """A yes is one more click."""
    picks, places, clicked, own = world()
    picks = replace(picks, probabilities=np.linspace(1, 0, N))
    rows = rows_of(suggested(picks, places, clicked, own, 4))
    assert picks.probabilities[rows].min() > 0.7
    assert picks.probabilities[rows].max() < 0.99


def test_what_was_clicked_or_rejected_by_hand_is_not_asked_about():
    picks, places, clicked, own = world()
    picks = picks.reject(np.arange(1, 20), "rejected by hand")
    rows = rows_of(suggested(picks, places, clicked, own, N))
    assert set(rows.tolist()) == set(range(20, N))


def test_there_may_be_fewer_or_none():
    picks, places, clicked, own = world()
    assert suggested(picks, places, clicked, own, 0) is picks
    nothing = picks.reject(np.arange(N), "no mask")
    nothing = replace(nothing, reasons=("no mask",) * N)
    assert len(rows_of(suggested(nothing, places, clicked, own, 5))) == 0
    few = replace(places, background=places.background[:2])
    assert len(rows_of(suggested(picks, few, clicked, own, 3))) == 3


def test_doubt_is_the_distance_from_the_cut_or_from_even_odds():
    picks = Picks.from_points(np.zeros((4, 3)), np.array([0.9, 0.6, 0.5, np.nan]))
    picks = picks.reject([2], "below the cut").reject([3], "no mask")
    np.testing.assert_allclose(doubt(picks), [0.3, 0, 0.1, np.inf])
    np.testing.assert_allclose(doubt(picks, 0.9), [0, 0.3, 0.4, np.inf])
    probable = replace(picks, probabilities=np.array([0.9, 0.4, 0.5, 0.5]))
    np.testing.assert_allclose(doubt(probable), [0.4, 0.1, 0, np.inf])


def test_napari_asks_in_this_order_and_then_by_doubt():
    picks, places, clicked, own = world()
    found = suggested(picks, places, clicked, own, 2)
    curation = Curation(found, "me")
    for row in rows_of(found):
        assert curation.suggest() == row
        curation.decide(int(row), True)
    left = curation.suggest()
    assert left not in rows_of(found)
    assert abs(left - N / 2) <= 2


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A run that suggests three places."""
    folder = tmp_path_factory.mktemp("suggest")
    simulation = small_simulation()
    tomogram = Tomogram.from_array(simulation.data, voxel_size=SMALL["voxel_size"], name="TS_01")
    tomogram.write_volume(folder / "TS_01.mrc", simulation.data)
    asked = job.Job(
        tomogram=folder / "TS_01.mrc",
        prompts=(tuple(simulation.points_zyx[0, ::-1]),),
        settings=Settings(top_k=50, diameter_angstrom=250),
        suggest=3,
        out=folder / "out",
    )
    record = job.run(asked)
    assert asked.done
    return record


def test_a_run_lists_and_draws_them(record):
    rows = rows_of(record.proposals)
    assert len(rows) == 3
    listed = read_points(record.files["suggested"]).picks
    np.testing.assert_array_equal(np.sort(listed.ids), np.sort(record.proposals.ids[rows]))
    assert record.files["suggested_picture"].read_bytes().startswith(b"\x89PNG")
    assert "Worth a look" in page(record)


@pytest.mark.parametrize("count", [0, MOST + 5])
def test_a_picture_of_none_and_of_many(tmp_path, count):
    data = np.random.default_rng(0).standard_normal((9, 12, 14)).astype(np.float32)
    tomogram = Tomogram.from_array(data, voxel_size=10, name="TS_01")
    points = np.random.default_rng(1).uniform(0, 8, (count, 3))
    write_suggestions(tmp_path / "a.png", tomogram, Picks.from_points(points), 4.0)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_there_are_none_of_a_membrane():
    from aitom_cryosam.targets import structure

    with pytest.raises(InputError, match="Only particles are found with suggestions"):
        job.Job(tomogram="a.mrc", target=structure("membrane"), suggest=3)
