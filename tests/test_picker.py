"""The whole method on a small simulated tomogram."""

import logging
import time
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aitom_cryosam import CryoSAM, Tomogram, search
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.matcher import HierarchicalMatcher
from aitom_cryosam.particle_size import ParticleSize
from aitom_cryosam.picks import Picks
from aitom_cryosam.settings import Settings
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import simulate
from aitom_cryosam.stages import peak_megabytes
from tests.toys import SMALL, small_simulation

VOXEL = SMALL["voxel_size"]
FEW = 50  # of the proposals, to save time
ALL = Settings(cut="none", top_k=FEW, looks=1)


@pytest.fixture(scope="module")
def simulation():
    return small_simulation()


@pytest.fixture(scope="module")
def data(simulation):
    return simulation.data


@pytest.fixture(scope="module")
def truth(simulation):
    """(8, 3) z y x, the two-lobed bodies."""
    return simulation.points_zyx[:8]


@pytest.fixture(scope="module")
def result(data, truth):
    """From one click, defaults."""
    return pick(data, truth[1:2])


@pytest.fixture(scope="module")
def everything(data, truth):
    """From the same click, without a cut."""
    return pick(data, truth[1:2], ALL)


def pick(data, prompts_zyx, settings=None, **tomogram):
    tomogram = Tomogram.from_array(data, voxel_size=VOXEL, name="TS_01", **tomogram)
    return CryoSAM(settings).pick(tomogram, np.asarray(prompts_zyx)[:, ::-1])


def f1(picks, truth, radius=125):
    return evaluate(picks, Picks.from_points(truth), radius=radius, voxel_size=VOXEL).f1


def assert_same(one, other, atol=0.3):
    """Nearly all picks of one are picks of the other: rounding may swap two that are equal."""
    assert len(one.picks) == pytest.approx(len(other.picks), abs=2)
    away = np.linalg.norm(one.picks.points_zyx[:, None] - other.picks.points_zyx, axis=2)
    assert (away.min(axis=1) < atol).mean() > 0.93
    scores = other.picks.scores[away.argmin(axis=1)]
    assert (np.abs(one.picks.scores - scores) < 0.01).mean() > 0.93


def test_features_are_let_go_before_places_are_compared(data, truth, monkeypatch):
    """Both together would be the most that a run holds."""
    made, judged, extract = [], search.judged, search.Search.features

    def features(*args):
        found = extract(*args)
        made.append(weakref.ref(found))
        return found

    def compared(*args):
        assert [some() for some in made] == [None]
        return judged(*args)

    monkeypatch.setattr(search.Search, "features", features)
    monkeypatch.setattr(search, "judged", compared)
    pick(data, truth[1:2], ALL)
    assert len(made) == 1


def test_one_click_finds_the_others_of_its_kind(result, truth):
    assert f1(result.picks, truth) >= 0.7
    error = evaluate(result.picks, Picks.from_points(truth), radius=125, voxel_size=VOXEL)
    assert error.localisation_error <= 60
    assert 180 <= result.diameter_angstrom <= 280


def test_the_other_kind_from_its_own_click(data, simulation):
    barrels = simulation.points_zyx[8:]
    found = pick(data, barrels[:1], ALL)
    ranked = evaluate(found.picks, Picks.from_points(barrels), radius=75, voxel_size=VOXEL)
    assert ranked.average_precision >= 0.6
    assert 110 <= found.diameter_angstrom <= 210


def test_the_click_itself_is_found_and_the_best_come_first(everything, truth):
    picks = everything.picks
    assert np.linalg.norm(picks.points_zyx - truth[1], axis=1).min() * VOXEL < 125
    assert (np.diff(picks.scores) <= 0).all()
    assert np.isfinite(picks.scores).all()
    ranked = evaluate(picks, Picks.from_points(truth), radius=125, voxel_size=VOXEL)
    assert ranked.average_precision >= 0.8


def test_ids_are_the_same_in_labels_picks_and_masks(everything):
    labels = everything.labels()
    assert labels.shape == everything.tomogram.shape
    assert [mask.id for mask in everything.masks] == everything.picks.ids.tolist()
    assert set(np.unique(labels)) - {0} <= set(everything.picks.ids.tolist())
    for mask, point in zip(everything.masks, everything.picks.points_zyx, strict=True):
        inside = labels[tuple(mask.voxels_zyx.T)]
        assert (inside == mask.id).mean() > 0.5  # the rest went to a better neighbour
        assert (
            np.linalg.norm(mask.centroid_zyx - point) < 0.5 * everything.diameter_angstrom / VOXEL
        )


def test_masks_lie_on_their_particles(everything, simulation):
    pairs = evaluate(
        everything.picks, Picks.from_points(simulation.points_zyx[:8]), radius=125, voxel_size=VOXEL
    ).pairs
    labels = everything.labels()
    overlaps = []
    for found, true in pairs:
        one = labels == everything.picks.ids[found]
        other = simulation.labels == true + 1
        overlaps.append((one & other).sum() / (one | other).sum())
    assert np.mean(overlaps) >= 0.4


def test_turning_the_tomogram_turns_what_three_searches_agree_on(data, truth, result):
    order = (1, 2, 0)
    turned = pick(np.transpose(data, order), truth[1:2][:, order])
    back = replace(turned.proposals, points_zyx=turned.proposals.points_zyx[:, np.argsort(order)])
    assert_same(replace(turned, proposals=back), result)


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2)])
def test_turning_the_tomogram_turns_picks_and_masks(everything, data, truth, order):
    order = list(order)
    turned = pick(data.transpose(order), truth[1:2, order], ALL)
    assert turned.diameter_angstrom == pytest.approx(everything.diameter_angstrom, rel=1e-3)
    back = replace(turned.proposals, points_zyx=turned.proposals.points_zyx[:, np.argsort(order)])
    assert_same(replace(turned, proposals=back), everything)
    inside = turned.labels().transpose(np.argsort(order)) > 0
    expected = everything.labels() > 0
    assert (inside & expected).sum() > 0.97 * (inside | expected).sum()


def test_the_same_input_gives_the_same_bytes(result, data, truth, tmp_path):
    first = result.write(tmp_path / "a", star=["relion5", "relion31"])
    second = pick(data, truth[1:2]).write(tmp_path / "b", star=["relion5", "relion31"])
    for kind in ("picks", "proposals", "labels", "relion5", "relion31"):
        assert first[kind].read_bytes() == second[kind].read_bytes(), kind


def test_several_prompts_average(everything, data, truth):
    several = pick(data, truth[:3], ALL)
    assert len(several.prompts) == len(several.prompt_masks) == 3
    assert f1(several.picks.take(np.arange(8)), truth) >= 0.8
    assert not np.allclose(everything.query.vector, several.query.vector)
    again = pick(data, truth[[1, 1, 1]], Settings(top_k=1))
    np.testing.assert_allclose(again.query.vector, everything.query.vector, atol=1e-5)


def test_a_prompt_without_a_mask_is_reported_and_left_out(data, truth, caplog):
    data = data.copy()
    empty = np.array([20, 38, 10])
    grid = np.ogrid[tuple(map(slice, data.shape))]
    hole = sum((axis - c) ** 2 for axis, c in zip(grid, empty, strict=True)) < 36
    data[hole] = data.max()  # protein is dark
    with caplog.at_level(logging.WARNING):
        found = pick(data, [truth[1], empty], ALL)
    where = ",".join(map(str, empty[::-1]))
    assert f"No particle was found at the prompt {where}; it is left out." in caplog.text
    assert found.prompts.kept.tolist() == [True, False]
    assert found.prompts.reasons == ("", "no mask")
    assert [mask.volume > 0 for mask in found.prompt_masks] == [True, False]
    assert len(found.picks) > 0
    with pytest.raises(InputError, match="No particle was found at any prompt"):
        pick(data, [empty])


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_gives_few_picks(seed):
    noise = simulate([], SimulationSettings(**{**SMALL, "seed": seed})).data
    point = np.unravel_index(noise[12:28, 20:56, 20:70].argmin(), (16, 36, 50))
    found = pick(noise, [np.add(point, (12, 20, 20))], Settings(top_k=FEW))
    assert found.prompt_masks[0].volume > 0  # or it would be no pick for another reason
    assert len(found.proposals) > 5
    assert len(found.picks) <= 5


def test_cut_is_a_number_or_none(everything, data, truth):
    reasons = set(everything.proposals.reasons)
    assert "below the cut" not in reasons
    middle = float(np.median(everything.picks.scores))
    some = pick(data, truth[1:2], Settings(cut=middle, top_k=FEW))
    assert 0 < len(some.picks) < len(everything.picks)
    assert (some.picks.scores >= middle).all()
    left = [
        score
        for score, reason in zip(some.proposals.scores, some.proposals.reasons, strict=True)
        if reason == "below the cut"
    ]
    assert left
    assert max(left) < middle
    assert not len(pick(data, truth[1:2], Settings(cut=1e3, top_k=FEW)).picks)


def test_fdr_counts_the_false_picks_to_expect(data, truth):
    strict, loose = (pick(data, truth[1:2], Settings(fdr=share)) for share in (0.05, 0.5))
    for some, share in ((strict, 0.05), (loose, 0.5)):
        assert (1 - some.picks.probabilities).mean() <= share
    assert 1 <= len(strict.picks) < len(loose.picks)
    left = np.array(strict.proposals.reasons) == "below the cut"
    assert strict.proposals.probabilities[left].max() <= strict.picks.probabilities.min()


def test_only_picks_need_masks_and_all_can_have_them(result, data, truth):
    thorough = pick(data, truth[1:2], Settings(all_masks=True))
    assert not result.proposals.kept.all()
    for name in ("points_zyx", "scores", "ids"):
        np.testing.assert_array_equal(getattr(thorough.picks, name), getattr(result.picks, name))
    np.testing.assert_array_equal(thorough.labels(), result.labels())
    assert thorough.proposals.reasons == result.proposals.reasons
    moved = (thorough.proposals.points_zyx != result.proposals.points_zyx).any(axis=1)
    assert moved.any()
    assert not moved[result.proposals.kept].any()


def test_top_k_limits_the_proposals(everything, data, truth):
    few = pick(data, truth[1:2], replace(ALL, top_k=3))
    assert len(few.proposals) == 3
    assert set(map(tuple, few.proposals.points_zyx)) <= set(
        map(tuple, everything.proposals.points_zyx)
    )


def test_the_size_can_be_told(data, truth):
    told = pick(data, truth[1:2], Settings(cut="none", top_k=FEW, diameter_angstrom=250.0))
    assert told.diameter_angstrom == 250
    assert f1(told.picks.take(np.arange(8)), truth) >= 0.7


def test_naive_matching_through_the_same_code(data, truth):
    naive = pick(data, truth[1:2], Settings(cut="none", top_k=FEW, ratios=(1,)))
    found = evaluate(naive.picks, Picks.from_points(truth), radius=125, voxel_size=VOXEL)
    assert found.recall >= 0.8
    assert naive.settings.ratios == (1,)


def test_bright_protein_is_inverted_dark_protein(everything, data, truth):
    assert_same(pick(-data, truth[1:2], ALL, contrast="bright"), everything, atol=1e-3)


@pytest.mark.parametrize(("dtype", "atol"), [("float16", 0.5), ("int16", 0.5), ("int8", 1.5)])
def test_the_type_of_the_data_does_not_matter(everything, data, truth, dtype, atol):
    # From single precision to 8 bits: what changes is rounding.
    low, high = data.min(), data.max()
    steps = 250 if dtype == "int8" else 20000
    scaled = (data - low) / (high - low) * steps - steps / 2
    scaled = scaled if dtype.startswith("float") else scaled.round()
    found = pick(scaled.astype(dtype), truth[1:2], ALL)
    one, other = (r.picks.take(np.arange(8)).points_zyx for r in (found, everything))
    away = np.linalg.norm(one[:, None] - other, axis=2).min(axis=1)
    assert np.median(away) < atol
    assert f1(found.picks.take(np.arange(8)), truth) >= 0.7


def test_prompts_are_x_y_z(everything, data, truth):
    z, y, x = truth[1].tolist()
    tomogram = Tomogram.from_array(data, voxel_size=VOXEL)
    table = pd.DataFrame([(x, y, z)], columns=[f"rlnCoordinate{axis}" for axis in "XYZ"])
    for prompts in ([(x, y, z)], Picks.from_points([[z, y, x]]), table):
        found = CryoSAM(Settings(cut="none", top_k=1)).pick(tomogram, prompts)
        assert found.prompts.points_zyx.tolist() == [[z, y, x]]
        np.testing.assert_allclose(found.query.vector, everything.query.vector, atol=1e-6)


@pytest.mark.parametrize("prompts", [[], [1.0, 2.0, 3.0], [[1.0, 2.0]], np.zeros((0, 3))])
def test_prompts_that_are_none(data, prompts):
    with pytest.raises(InputError, match="n rows of x, y, z"):
        CryoSAM().pick(Tomogram.from_array(data, voxel_size=VOXEL), prompts)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tomogram": "TS_01.mrc"}, r"a tomogram, as Tomogram\.open\(path\) gives, got .* str"),
        ({"prompts": "1,2,3"}, "prompts as n rows of the numbers x, y, z, got 1,2,3"),
        ({"prompts": [[1, 2, 3], [1, 2]]}, "prompts as n rows of the numbers x, y, z"),
        ({"prompts": pd.DataFrame([[9, 9, 9]], columns=[*"zyx"])}, "columns x, y, z, got z, y, x"),
        ({"prompts": [[400, 2, 3]]}, "The prompt 400,2,3 lies outside TS_01, which has x 0 to 29"),
        ({"rejects": [[1, 2, -3]]}, "The rejected place 1,2,-3 lies outside TS_01"),
        ({"query": "a.query"}, "a query, as .* gives, got a value of the type str"),
        ({"regions": "mask.mrc"}, "regions, as .* gives, got a value of the type str"),
        ({"suggest": -1}, "a number of suggestions from 0, got -1"),
        ({"suggest": 1.5}, "a number of suggestions, got a value of the type float"),
    ],
)
def test_what_is_of_another_kind_is_refused_before_the_work(given, says):
    noise = np.random.default_rng(0).standard_normal((20, 24, 30))
    asked = {"tomogram": Tomogram.from_array(noise, voxel_size=20, name="TS_01")}
    asked |= {"prompts": [[15, 12, 10]], **given}
    picker = CryoSAM(
        Settings(diameter_angstrom=160), progress=lambda *_: pytest.fail("work has begun")
    )
    with pytest.raises(InputError, match=says):
        picker.pick(asked.pop("tomogram"), asked.pop("prompts"), **asked)


def test_settings_and_resources_of_another_kind():
    with pytest.raises(InputError, match=r"settings, as Settings\.of\(.* got .* type str"):
        CryoSAM("paper")
    with pytest.raises(InputError, match=r"resources, as Resources\(.* got .* type str"):
        CryoSAM(Settings(), resources="cuda")


def test_every_stage_is_timed(data, truth, monkeypatch):
    match = HierarchicalMatcher.match

    def slow(self, query):
        time.sleep(0.5)
        return match(self, query)

    monkeypatch.setattr(HierarchicalMatcher, "match", slow)
    start = time.perf_counter()
    stages = pick(data, truth[1:2], Settings(cut="none", top_k=3)).stages
    whole = time.perf_counter() - start
    assert stages.seconds["matching"] >= 0.5
    assert 0.9 * whole < sum(stages.seconds.values()) <= whole
    assert stages.peak_megabytes.keys() == stages.seconds.keys()
    peaks = list(stages.peak_megabytes.values())
    assert peaks == sorted(peaks)  # "up to the stage's end"
    assert data.nbytes / 1e6 < peaks[0] <= peaks[-1] <= peak_megabytes()


def unsure(*, right):
    """That the likeliest diameter of a particle is far too small, and what else it may be."""
    return lambda *_, **__: ParticleSize(4.0, estimated=True, rivals_voxels=(right / VOXEL,))


def test_a_diameter_at_which_others_are_found_is_taken(data, truth, monkeypatch, caplog):
    alone = pick(data, truth[1:2], Settings(diameter_angstrom=250.0))
    monkeypatch.setattr("aitom_cryosam.particle_size.estimated_size", unsure(right=250))
    with caplog.at_level(logging.WARNING, "aitom_cryosam"):
        found = pick(data, truth[1:2], Settings(semantic="dense"))
    assert found.diameter_angstrom == pytest.approx(250)
    assert found.settings.diameter_angstrom is None
    np.testing.assert_array_equal(found.picks.points_zyx, alone.picks.points_zyx)
    assert [mask.volume for mask in found.masks] == [mask.volume for mask in alone.masks]
    assert found.probability.shape == data.shape
    assert "80 Å. More does at 250 Å" in caplog.text
    query = CryoSAM().query(
        Tomogram.from_array(data, voxel_size=VOXEL, name="TS_01"), truth[1:2, ::-1]
    )
    assert query.diameter_angstrom == pytest.approx(250)
    np.testing.assert_array_equal(query.instances, alone.query.instances)


def test_the_likeliest_diameter_stays_where_no_other_finds_more(data, truth, monkeypatch, caplog):
    alone = pick(data, truth[1:2], Settings(diameter_angstrom=80.0))
    monkeypatch.setattr("aitom_cryosam.particle_size.estimated_size", unsure(right=1500))
    with caplog.at_level(logging.WARNING, "aitom_cryosam"):
        found = pick(data, truth[1:2])
    assert found.diameter_angstrom == pytest.approx(80)
    assert "More does" not in caplog.text
    np.testing.assert_array_equal(found.proposals.points_zyx, alone.proposals.points_zyx)
