"""Negative clicks: what a place that the user rejected takes with it."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.points.prompts import read_rejects
from aitom_cryosam.prompting import as_rejects
from aitom_cryosam.record import Record
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.scoring.rejects import BY_HAND, LIKE_REJECTED, without_like
from tests.toys import SMALL, small_simulation

VOXEL = SMALL["voxel_size"]
K, D = 2, 20  # regions of an instance, channels


def world(of_kind, others, *, loners=0, apart=1.0, seed=0):
    """Picks of a kind, of a look-alike and of loners, all kept; a click; background."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((D, D)))[0]
    kind, other = 3 * axes[0], 3 * (axes[0] + apart * axes[1])
    centres = [kind] * (of_kind + 1) + [other] * others + [3 * axes[2 + i] for i in range(loners)]
    noise = 0.5 * rng.standard_normal((len(centres) + 100, K, D))
    rows = np.concatenate([centres, np.zeros((100, D))])[:, None] + noise
    n = len(centres) - 1
    scores = np.concatenate([rng.normal(1, 0.2, of_kind), rng.normal(0.9, 0.2, n - of_kind)])
    picks = Picks.from_points(np.arange(3 * n).reshape(n, 3), scores)
    places = Places(rows[1 : n + 1], rows[n + 1 :], np.zeros(n + 100), np.zeros(100), 0.0)
    return picks, places, rows[:1]


def judged(picks, places, clicked, rejected):
    """The picks without the rejected rows, and without what is like them."""
    found = picks.reject(np.array(rejected), BY_HAND)
    return without_like(places.instances[rejected], found, places, clicked, picks.ids < 0)


@pytest.mark.parametrize("seed", range(5))
def test_two_rejects_of_a_look_alike_take_it_away_and_leave_the_kind(seed):
    picks, places, clicked = world(40, 25, seed=seed)
    found = judged(picks, places, clicked, [45, 52])
    true = np.arange(65) < 40
    assert found.kept[true].mean() >= 0.95
    assert found.kept[true].sum() / found.kept.sum() > 40 / 65 + 0.2
    assert found.left_out[LIKE_REJECTED] > 15


def test_a_rejected_loner_takes_nothing_with_it():
    picks, places, clicked = world(40, 0, loners=2)
    found = judged(picks, places, clicked, [40])
    assert found.kept[:40].mean() >= 0.95


def test_a_clicked_particle_stays():
    picks, places, clicked = world(40, 25)
    is_prompt = np.isin(np.arange(65), [45])
    found = without_like(places.instances[[46, 52]], picks, places, clicked, is_prompt)
    assert found.kept[45]
    assert found.left_out[LIKE_REJECTED] > 10


@pytest.mark.parametrize("background", [0, 5])
def test_without_background_and_without_rejects(background):
    picks, places, clicked = world(10, 6)
    few = replace(places, background=places.background[:background])
    assert without_like(places.instances[:0], picks, few, clicked, picks.ids < 0) is picks
    assert judged(picks, few, clicked, [12]).kept[:10].sum() >= 8


def test_nothing_is_left_to_compare():
    picks, places, clicked = world(3, 0)
    assert not judged(picks, places, clicked, [0, 1, 2]).kept.any()


@pytest.fixture(scope="module")
def simulation():
    return small_simulation()


@pytest.fixture(scope="module")
def tomogram(simulation):
    return Tomogram.from_array(simulation.data, voxel_size=VOXEL, name="TS_01")


@pytest.fixture(scope="module")
def result(tomogram, simulation):
    """Three of eight bodies are clicked, three of eight barrels rejected; without a cut."""
    settings = Settings(cut="none", top_k=50, diameter_angstrom=250)
    clicks, rejects = (simulation.points_zyx[start : start + 3, ::-1] for start in (0, 8))
    return CryoSAM(settings).pick(tomogram, clicks, rejects=rejects)


def test_what_lies_there_is_rejected_and_what_is_like_it(result, simulation):
    proposals = result.proposals
    gaps = np.linalg.norm(proposals.points_zyx[:, None] - simulation.points_zyx, axis=2)
    on = np.where(gaps.min(axis=1) < 125 / VOXEL, gaps.argmin(axis=1), -1)
    reasons = np.array(proposals.reasons)
    assert set(reasons[np.isin(on, [8, 9, 10])]) == {BY_HAND}
    assert set(reasons[(on >= 0) & (on < 8)]) == {""}  # bodies
    assert (reasons[on >= 11] == LIKE_REJECTED).sum() >= 2  # barrels
    assert proposals.left_out[LIKE_REJECTED] > 20  # and background


def test_they_are_in_the_files_and_travel_with_the_query(result, simulation, tmp_path):
    files = result.write(tmp_path)
    record = Record.open(tmp_path)
    np.testing.assert_allclose(record.rejects.points_zyx, simulation.points_zyx[8:11], atol=1e-3)
    query = ParticleQuery.read(files["query"])
    assert query.rejected.shape == (3, *query.instances.shape[1:])
    assert query.rejected_shapes.shape == (3, *query.shapes.shape[1:])
    both = ParticleQuery.merged([query, query])
    assert len(both.rejected) == len(both.rejected_shapes) == 6


def test_shapes_of_rejected_places_count_only_if_all_were_measured(result):
    known = result.query
    unmeasured = replace(known, rejected_shapes=known.rejected_shapes[:0])
    without = replace(unmeasured, rejected=known.rejected[:0])
    assert len(ParticleQuery.merged([known, unmeasured]).rejected_shapes) == 0
    assert len(ParticleQuery.merged([known, without]).rejected_shapes) == 3
    assert len(without.rejecting(known.rejected, known.rejected_shapes).rejected_shapes) == 3


def test_the_diameters_beside_are_left_where_they_know_no_rejects(result):
    """Searches at these would pick what the user rejected."""
    known = result.query
    known = replace(known, aside=(known, known))
    assert known.rejecting(known.rejected, known.rejected_shapes).aside == ()
    nothing = known.rejecting(known.rejected[:0], known.rejected_shapes[:0])
    assert len(nothing.aside) == 2


def test_look_alikes_are_told_by_the_embedding(result):
    rng = np.random.default_rng(0)
    query, n = result.query, 40
    usual = (query.instances[0], query.shapes[0])
    look = (query.rejected[0], query.rejected_shapes[0])

    def several(of, count):
        features, shapes = (
            one + 0.05 * np.abs(one).mean() * rng.standard_normal((count, *one.shape)) for one in of
        )
        return features, shapes

    kind, other, empty = several(usual, n), several(look, n), several(look, 60)
    nothing = [0.1 * part for part in empty]
    places = Places(
        np.concatenate([kind[0], other[0]]),
        nothing[0] * rng.standard_normal(nothing[0].shape),
        np.zeros(2 * n + 60),
        np.zeros(60),
        0.0,
        np.concatenate([kind[1], other[1], nothing[1] * rng.standard_normal(nothing[1].shape)]),
    )
    picks = Picks.from_points(np.arange(6.0 * n).reshape(2 * n, 3), np.linspace(1, 0, 2 * n))
    is_prompt = np.zeros(2 * n, bool)
    shapes = (query.shapes, query.rejected_shapes)
    found = without_like(query.rejected, picks, places, query.instances, is_prompt, shapes)
    assert found.kept[:n].mean() > 0.95
    assert found.kept[n:].mean() < 0.2


def test_a_reject_beside_the_clicked_particle_is_none_of_it(tomogram, simulation):
    click = simulation.points_zyx[0]
    diameter = 250 / VOXEL
    beside = click + np.array([0, 0, 0.6 * diameter])
    found = as_rejects(tomogram, beside[None, ::-1], Picks.from_points(click[None]), diameter)
    assert len(found) == 1


def test_a_query_of_before_has_none(result, tmp_path):
    result.query.write(tmp_path / "a.query")
    with np.load(tmp_path / "a.query") as file:
        arrays = {name: file[name] for name in file.files if "rejected" not in name}
    np.savez(tmp_path / "b.npz", **arrays)
    assert len(ParticleQuery.read(tmp_path / "b.npz").rejected) == 0


def test_a_reject_on_a_prompt_is_refused_before_any_work(tomogram, simulation):
    picker = CryoSAM(
        Settings(diameter_angstrom=250), progress=lambda *_: pytest.fail("work has begun")
    )
    click = simulation.points_zyx[0, ::-1]
    with pytest.raises(InputError, match=r"rejected place .* on the particle of the prompt"):
        picker.pick(tomogram, [click], rejects=[click + 2])
    with pytest.raises(InputError, match="rejected places as n rows"):
        picker.pick(tomogram, [click], rejects=[1, 2, 3])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("500,10,10", "rejected place 500,10,10 lies outside"),
        ("1,2", "Expected a rejected place X,Y,Z of three numbers, such as 312,208,95, got '1,2'"),
        ("nan,2,3", "rejected place X,Y,Z of finite numbers"),
    ],
)
def test_a_reject_that_is_no_place(tomogram, text, says):
    with pytest.raises(InputError, match=says):
        read_rejects(tomogram, [text])


def test_rejects_of_a_file_that_lie_outside_are_left_out(tomogram, tmp_path, caplog):
    path = tmp_path / "no.csv"
    path.write_text("x,y,z\n10,10,10\n10,10,900\n")
    with caplog.at_level(logging.WARNING):
        assert len(read_rejects(tomogram, ["20,20,20"], path)) == 2
    assert "rejected place 10,10,900 lies outside" in caplog.text
    assert "left out with all such rejected places, 1 of 2" in caplog.text
    assert len(read_rejects(tomogram)) == 0


def test_the_command_says_what_is_wrong(tomogram, tmp_path, capsys):
    path = tmp_path / "t.mrc"
    tomogram.write_volume(path, np.asarray(tomogram.data))
    wanted = ["pick", str(path), "--prompt", "10,10,10", "--out", str(tmp_path / "out")]
    for typed, says in (
        (["--reject", "10,10,900"], "lies outside t"),
        (["--reject", "11,10,10", "--diameter", "250"], "leave one of them out"),
        (["--rejects", str(tmp_path / "none.star")], "no file"),
        (["--target", "membrane", "--reject", "1,1,1"], "found with rejected places"),
    ):
        assert main([*wanted, *typed]) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "out" / "t_run.json").exists()
