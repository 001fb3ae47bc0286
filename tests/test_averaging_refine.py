"""A second look at proposals with the average: scores, guards, masks and files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging import refinement
from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.likely import with_likely
from aitom_cryosam.averaging.look_alikes import without_look_alikes, without_weak_places
from aitom_cryosam.averaging.outcome import (
    average_paths,
    refined_paths,
    write_average,
    write_refined,
)
from aitom_cryosam.averaging.poses import Poses
from aitom_cryosam.averaging.refinement import Refined, drifted, judged, placed_mask, refined
from aitom_cryosam.averaging.rescoring import (
    Rescored,
    background_places,
    combined,
    prior_of,
    rescored,
    with_buried,
)
from aitom_cryosam.averaging.settings import AveragingSettings
from aitom_cryosam.averaging.sources import Source
from aitom_cryosam.averaging.subvolumes import particle_ball
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.beside import note_beside
from aitom_cryosam.cli import main
from aitom_cryosam.picks import Picks
from aitom_cryosam.record import Record
from aitom_cryosam.simulation.density import Density, ribosome_like
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import Simulation, simulate
from aitom_cryosam.tomogram import Tomogram
from tests.test_cli_average import errors, result, simulation  # noqa: F401
from tests.toys import true_average

WEDGE = MissingWedge(-60.0, 60.0)
SETTINGS = AveragingSettings(diameter=230.0, iterations=2)


class TestCombined:
    def test_correlations_that_fall_into_two_overrule_an_unsure_verdict(self):
        rng = np.random.default_rng(0)
        correlations = np.concatenate([rng.normal(0.6, 0.08, 40), rng.normal(0.2, 0.05, 100)])
        prior = np.where(np.arange(140) < 60, 0.8, 0.2)  # 20 of the 60 are no particles
        odds, apart = combined(correlations, rng.normal(0.15, 0.04, 50), prior)
        assert apart
        assert (odds[:40] > 0).all()
        assert (odds[40:] < 0).all()

    def test_the_earlier_probability_counts_where_correlations_are_equal(self):
        correlations = np.array([0.6] * 20 + [0.2] * 20 + [0.4] * 2)
        prior = np.array([0.8] * 20 + [0.2] * 20 + [0.9, 0.1])
        odds, apart = combined(correlations, np.full(20, 0.2), prior)
        assert apart
        assert odds[-2] > odds[-1]

    @pytest.mark.parametrize("seed", range(5))
    def test_one_kind_is_not_cut_in_two(self, seed):
        rng = np.random.default_rng(seed)
        # As measured: those with neighbours or at the surface have half of the others' values.
        kinds = [rng.normal(0.45, 0.05, 25), rng.normal(0.65, 0.04, 35), rng.normal(0.15, 0.04, 80)]
        prior = np.where(np.arange(140) < 60, 0.8, 0.2)
        odds, _ = combined(np.concatenate(kinds), rng.normal(0.12, 0.03, 50), prior)
        assert (odds[:60] > 0).mean() > 0.95

    @pytest.mark.parametrize("clicked", [None, np.arange(5)])
    def test_many_particles_say_that_they_are_the_wider_kind(self, clicked):
        rng = np.random.default_rng(6)
        # As measured: 80 ribosomes of which some correlate little more than all else.
        correlations = np.concatenate([rng.normal(0.55, 0.12, 80), rng.normal(0.14, 0.03, 400)])
        prior = np.where(np.arange(480) < 80, 0.6, 0.05)
        odds, _ = combined(correlations, rng.normal(0.13, 0.02, 100), prior, clicked)
        assert (odds[:80] > 0).sum() >= 79
        assert (odds[80:] < 0).all()
        order = np.argsort(correlations[80:])
        assert (np.diff(odds[80:][order]) >= -1e-9).all()

    def test_correlations_that_say_nothing_leave_the_verdict(self):
        rng = np.random.default_rng(1)
        prior = np.where(np.arange(100) < 50, 0.8, 0.2)
        odds, apart = combined(rng.normal(0.2, 0.05, 100), rng.normal(0.2, 0.05, 50), prior)
        assert not apart
        np.testing.assert_allclose(1 / (1 + np.exp(-odds)), prior)

    @pytest.mark.parametrize("seed", range(5))
    def test_clicks_say_how_particles_correlate_where_most_picks_are_another_kind(self, seed):
        rng = np.random.default_rng(seed)
        # Picked were 10 particles, 5 of them clicked, and 40 others.
        picked = [rng.normal(0.70, 0.05, 10), rng.normal(0.35, 0.06, 40)]
        correlations = np.concatenate([*picked, rng.normal(0.2, 0.05, 40)])
        prior = np.where(np.arange(90) < 50, 0.8, 0.2)
        background = rng.normal(0.2, 0.05, 100)
        unguided, _ = combined(correlations, background, prior)
        odds, apart = combined(correlations, background, prior, np.array([*range(5), -1]))
        assert apart
        assert (odds[:10] > 0).all()
        assert (odds[10:] > 0).mean() < (unguided[10:] > 0).mean() / 2
        few, _ = combined(correlations, background, prior, np.array([0, 1]))
        np.testing.assert_array_equal(few, unguided)

    @pytest.mark.parametrize("seed", range(5))
    def test_clicks_on_the_best_particles_do_not_cost_the_others(self, seed):
        rng = np.random.default_rng(seed)
        kinds = [rng.normal(0.45, 0.05, 25), rng.normal(0.65, 0.04, 35), rng.normal(0.15, 0.04, 80)]
        prior = np.where(np.arange(140) < 60, 0.8, 0.2)
        background = rng.normal(0.12, 0.03, 50)
        odds, _ = combined(np.concatenate(kinds), background, prior, np.arange(25, 30))
        assert (odds[:60] > 0).mean() > 0.9

    def test_particles_that_the_border_cuts_are_expected_to_correlate_less(self):
        rng = np.random.default_rng(3)
        correlations = np.concatenate([rng.normal(0.6, 0.05, 40), rng.normal(0.2, 0.04, 60)])
        expected = np.where(np.arange(100) < 10, 0.6, 1.0)  # of each 40 particles the first 10
        correlations *= np.where(np.arange(100) < 40, expected, 1)
        prior = np.where(np.arange(100) < 50, 0.8, 0.2)
        background = rng.normal(0.2, 0.04, 50)
        unaware, _ = combined(correlations, background, prior)
        odds, apart = combined(correlations, background, prior, expected=expected)
        assert apart
        assert (odds[:10] > 0).all()
        assert (unaware[:10] < 0).any()
        assert (odds[10:40] > 0).all()
        assert (odds[40:] < 0).all()

    def test_a_place_of_which_hardly_anything_is_seen_keeps_its_odds(self):
        rng = np.random.default_rng(4)
        correlations = np.concatenate([rng.normal(0.6, 0.05, 40), rng.normal(0.2, 0.04, 60)])
        prior = np.where(np.arange(100) < 50, 0.8, 0.2)
        expected = np.ones(100)
        correlations[[0, 99]], expected[[0, 99]] = 0.1, 0.2
        odds, _ = combined(correlations, rng.normal(0.2, 0.04, 50), prior, expected=expected)
        np.testing.assert_allclose(odds[[0, 99]], [np.log(4), -np.log(4)], atol=1e-6)

    def test_no_correlation_is_a_proof(self):
        rng = np.random.default_rng(5)
        correlations = np.concatenate([rng.normal(0.6, 0.02, 30), rng.normal(0.2, 0.02, 70)])
        prior = np.where(np.arange(100) < 30, 0.8, 0.1)
        correlations[99], prior[99] = 0.6, 0.01
        odds, apart = combined(correlations, rng.normal(0.2, 0.02, 50), prior)
        assert apart > 10
        # One of fifty that are no particles correlates as particles do.
        assert odds[99] == pytest.approx(np.log(50 / 99), abs=1e-3)

    def test_picks_of_which_the_correlation_says_nothing_stay(self):
        picks = replace(Picks.from_points(np.zeros((60, 3))), probabilities=np.full(60, 0.3))
        proposals = picks.reject(np.arange(20, 60), "another kind")
        correlations = np.where(np.arange(60) < 20, 0.6, 0.2)
        expected = np.ones(60)
        correlations[[0, 59]], expected[[0, 59]] = 0.1, 0.2  # hardly in the tomogram
        odds, apart = combined(
            correlations, np.full(20, 0.2), prior_of(proposals), expected=expected
        )
        assert apart
        assert odds[0] > 0 > odds[59]

    def test_a_probability_is_taken_as_it_is_but_never_as_certain(self):
        picks = Picks.from_points(np.zeros((3, 3))).reject([2], "chance")
        assert prior_of(picks).tolist() == pytest.approx([0.8, 0.8, 0.2])
        sure = replace(picks, probabilities=np.array([1.0, 0.7, 0.0]))
        assert prior_of(sure).tolist() == [0.95, 0.7, 0.05]
        doubted = replace(picks, probabilities=np.array([1.0, 0.2, 0.2]))
        assert prior_of(doubted).tolist() == [0.95, 0.6, 0.2]


def test_no_pick_loses_more_than_a_buried_particle_would():
    every = Picks.from_points(np.zeros((4, 3)))
    picks = replace(every, probabilities=np.array([0.95, 0.95, 0.5, 0.95])).reject([3], "chance")
    correlations = np.array([0.6, 0.2, 0.2, 0.2])
    odds = np.array([9.0, -30.0, -30.0, -30.0])
    score = Rescored(
        replace(Poses.unknown(4), scores=correlations),
        np.zeros((4, 3)),
        odds,
        odds,
        9.0,
        np.ones(4),
    )
    spared = with_buried(picks, score)
    # 19 to 1 before, and one particle of ten correlates as background: 1.9 to 1.
    assert spared.odds[1] == pytest.approx(np.log(1.9))
    assert (spared.probabilities > 0.5).tolist() == [True, True, False, False]
    assert spared.odds[0] == pytest.approx(9, abs=0.2)
    assert spared.odds[3] == -30  # what was no pick has only its correlation for it


class TestWithLikely:
    def test_the_most_probable_others_join_too_few_picks(self, caplog):
        source, proposals = few_picks()
        (found,) = with_likely([source], [proposals], 200.0)
        # Not 5, on a pick; not 6, on 7; not 8, at the border; the others as ten are needed.
        assert found.picks.ids.tolist() == [1, 2, 3, 4, 7, 9, 10, 11, 12, 13]
        assert found.picks.kept.all()
        assert "4 picks are too few to average: the 6 most probable of the other" in caplog.text

    def test_more_join_if_they_are_more_probable_than_not(self):
        source, proposals = few_picks()
        sure = replace(proposals, probabilities=np.maximum(proposals.probabilities, 0.6))
        (found,) = with_likely([source], [sure], 200.0)
        assert len(found.picks) == 20
        assert found.picks.ids[:4].tolist() == [1, 2, 3, 4]

    def test_nothing_joins_without_probabilities_or_where_it_does_not_help(self):
        source, proposals = few_picks()
        (unknown,) = with_likely([source], [replace(proposals, probabilities=None)], 200.0)
        assert len(unknown.picks) == 4
        scarce = [proposals.take(np.arange(9))]
        assert len(with_likely([source], scarce, 200.0)[0].picks) == 4
        enough = replace(source, picks=proposals.take(np.arange(9, 21)))
        assert with_likely([enough], [proposals], 200.0)[0].picks is enough.picks


def few_picks() -> tuple[Source, Picks]:
    """4 picks of 30 proposals, 10 voxels wide, of falling probability."""
    data = np.random.default_rng(0).standard_normal((40, 120, 120)).astype(np.float32)
    tomogram = Tomogram.from_array(data, voxel_size=20.0)
    grid = np.meshgrid([20], np.arange(15, 111, 15), np.arange(15, 111, 15), indexing="ij")
    points = np.stack(grid, axis=-1).reshape(-1, 3)[:30].astype(float)
    points[4] = points[0] + 1
    points[5] = points[6] + 2
    points[7] = [20, 0, 60]
    every = Picks.from_points(points, np.linspace(1, 0, 30))
    probabilities = np.linspace(0.6, 0.1, 30)
    probabilities[5] = probabilities[6] - 0.001
    proposals = replace(every, probabilities=probabilities).reject(np.arange(4, 30), "another kind")
    return Source(tomogram, proposals.take(proposals.kept), points[:1], [], WEDGE), proposals


def test_background_keeps_away_from_the_proposals():
    data = np.random.default_rng(0).standard_normal((40, 60, 60)).astype(np.float32)
    points = np.array([[20.0, 20, 20], [20, 40, 40]])
    places = background_places(Tomogram.from_array(data, voxel_size=10.0), points, 10.0)
    assert len(places) == 100
    assert np.linalg.norm(places[:, None] - points, axis=-1).min() >= 10


def test_a_mask_is_put_where_the_particle_lies():
    size = 16
    mask = np.zeros((size,) * 3, np.float32)
    mask[8, 8, 8:13] = 1  # along x from the middle
    nothing = np.zeros((size,) * 3, np.float32)
    average = Average(nothing, (nothing, nothing), mask, np.ones(8), 10.0, [], [])
    data = np.random.default_rng(0).standard_normal((20, 30, 40)).astype(np.float32)
    tomogram = Tomogram.from_array(data, voxel_size=10.0)
    source = Source(tomogram, Picks.from_points([]), np.zeros((0, 3)), [], WEDGE)
    turn = Rotation.from_euler("Z", 90, degrees=True)  # x becomes y
    placed = placed_mask(source, average, 7, np.array([10.0, 12, 14]), turn)
    assert placed.id == 7
    assert placed.voxels_zyx.tolist() == [[10, y, 14] for y in range(12, 17)]
    at_rim = placed_mask(source, average, 7, np.array([10.0, 28, 14]), turn)
    assert at_rim.voxels_zyx.tolist() == [[10, 28, 14], [10, 29, 14]]


def one_kind() -> tuple[Tomogram, np.ndarray]:
    """A tomogram of 20 two-lobed bodies, and where they are."""
    settings = SimulationSettings(
        shape_zyx=(48, 130, 130), voxel_size=20.0, membranes=0, snr=0.6, denoise=15.0, seed=3
    )
    done = simulate([(ribosome_like(20.0), 20)], settings)
    return Tomogram.from_array(done.data, voxel_size=20.0), done.points_zyx


def told(points: np.ndarray, probabilities: np.ndarray) -> Rescored:
    """What the average would say of proposals with these probabilities."""
    odds = np.log(probabilities / (1 - probabilities))
    n = len(points)
    return Rescored(Poses.unknown(n), points, np.zeros(3), odds, 9.0, np.ones(n))


class TestDrift:
    points = np.array([[10.0, 10, 10], [10, 40, 40], [10, 40, 10]])

    def source(self, *clicked: int) -> Source:
        data = np.random.default_rng(0).standard_normal((20, 50, 50)).astype(np.float32)
        tomogram = Tomogram.from_array(data, voxel_size=20.0)
        return Source(tomogram, Picks.from_points([]), self.points[list(clicked)] + 1, [], WEDGE)

    def test_clicked_particles_unlike_the_average_are_told(self):
        proposals, score = (
            Picks.from_points(self.points),
            told(self.points, np.array([0.9, 0.1, 0.2])),
        )
        assert drifted([self.source(0)], [proposals], [score], 200.0) == ""
        why = drifted([self.source(0, 1, 2)], [proposals], [score], 200.0)
        assert why.startswith("2 of 3 clicked particles are unlike the average")

    def test_correlations_that_do_not_tell_are_told(self):
        score = replace(told(self.points, np.array([0.9, 0.1, 0.2])), separation=0.0)
        why = drifted([self.source(0)], [Picks.from_points(self.points)], [score], 200.0)
        assert "do not form two groups" in why


def test_a_tomogram_that_tells_nothing_keeps_its_verdict_and_the_others_are_judged(caplog):
    points, nothing = TestDrift.points, np.zeros((8, 8, 8), np.float32)
    average = Average(nothing, (nothing, nothing), nothing, np.ones(4), 20.0, [], [])
    sources = [TestDrift().source(0)] * 2
    proposals = [replace(Picks.from_points(points), probabilities=np.array([0.9, 0.3, 0.3]))] * 2
    sure = told(points, np.array([0.95, 0.02, 0.02]))
    scores = [sure, replace(sure, separation=0.0)]
    clicked = [np.array([0])] * 2
    assert drifted(sources, proposals, scores, 200.0) == ""
    first, second = judged(sources, proposals, scores, clicked, average, SETTINGS)
    assert first.kept.tolist() == [True, False, False]
    # Picks by the verdict, though no more probable than 0.3.
    assert second.kept.all()
    assert second.probabilities.tolist() == [0.9, 0.3, 0.3]
    assert second.rotations is not None
    assert "In 1 of 2 tomograms" in caplog.text


def two_kinds(other: Density) -> tuple[Source, Picks, Simulation]:
    """10 bodies and 20 of another kind: the 10 and 6 of the others are picks, 3 were clicked."""
    settings = SimulationSettings(
        shape_zyx=(48, 140, 140), voxel_size=20.0, membranes=0, snr=0.1, denoise=15.0, seed=6
    )
    done = simulate([(ribosome_like(20.0), 10), (other, 20)], settings)
    every = Picks.from_points(done.points_zyx, np.linspace(1, 0, 30))
    proposals = every.reject(np.arange(16, 30), "another kind")
    tomogram = Tomogram.from_array(done.data, voxel_size=20.0)
    picks = proposals.take(proposals.kept)
    return Source(tomogram, picks, done.points_zyx[:3], [], WEDGE), proposals, done


NOBODY = np.zeros(0, np.int64)  # clicked


class TestWeakPlaces:
    def test_added_places_correlate_as_nine_of_ten_picks_do(self):
        def one(picks: np.ndarray, added: np.ndarray) -> tuple[Picks, Rescored]:
            n = len(picks) + len(added)
            every = Picks.from_points(np.zeros((n, 3)))
            score = told(every.points_zyx, np.full(n, 0.9))
            correlations = np.concatenate([picks, added])
            poses = replace(score.poses, scores=correlations)
            return every.reject(np.arange(len(picks), n), "chance"), replace(score, poses=poses)

        many = one(np.linspace(0.5, 0.7, 21), np.array([0.51, 0.53]))
        few = one(np.array([0.9]), np.array([0.51, 0.53]))  # no standard of their own
        scores, count = without_weak_places(*zip(many, few, strict=True), [NOBODY, NOBODY])
        assert count == 2
        for (_, before), after in zip((many, few), scores, strict=True):
            assert (after.probabilities[:-2] == before.probabilities[:-2]).all()
            assert after.probabilities[-2:].tolist() == pytest.approx([0.2, 0.9])

    @pytest.mark.parametrize(("apart", "added"), [(8.0, True), (3.5, False)])
    def test_a_place_as_probable_as_a_pick_needs_no_more_than_these(self, apart, added):
        every = replace(Picks.from_points(np.zeros((23, 3))), probabilities=np.full(23, 0.5))
        every.probabilities[[21, 22]] = 0.7, 0.55
        score = replace(told(every.points_zyx, np.full(23, 0.9)), separation=apart)
        correlations = np.r_[np.linspace(0.5, 0.7, 21), 0.45, 0.45]
        score = replace(score, poses=replace(score.poses, scores=correlations))
        (after,), count = without_weak_places([every.reject([21, 22], "chance")], [score], [NOBODY])
        assert (after.probabilities[21:] > 0.5).tolist() == [added, False]
        assert count == 2 - added

    def test_added_places_correlate_as_clicks_do(self):
        """Clicks at 0.70 to 0.74, in picks most of which are another kind."""
        every = Picks.from_points(np.zeros((22, 3)))
        score = told(every.points_zyx, np.full(22, 0.9))
        correlations = np.r_[0.70, 0.72, 0.74, np.linspace(0.4, 0.6, 17), 0.65, 0.71]
        score = replace(score, poses=replace(score.poses, scores=correlations))
        proposals = every.reject([20, 21], "chance")
        for clicked, left_out in (([0, 1, 2, -1], [20]), ([0, 1, 1], []), ([-1] * 3, [])):
            (after,), count = without_weak_places([proposals], [score], [np.array(clicked)])
            assert np.flatnonzero(after.probabilities < 0.5).tolist() == left_out
            assert count == len(left_out)

    def test_nothing_is_added_where_particles_and_the_rest_are_close(self):
        proposals = Picks.from_points(np.zeros((3, 3))).reject([2], "chance")
        score = told(proposals.points_zyx, np.full(3, 0.9))
        score = replace(score, poses=replace(score.poses, scores=np.array([0.6, 0.6, 0.8])))
        for apart, added in ((3.5, False), (4.5, True)):
            close = replace(score, separation=apart)
            (after,), _ = without_weak_places([proposals], [close], [NOBODY])
            assert (after.probabilities > 0.5).tolist() == [True, True, added]

    def test_a_pick_that_is_doubted_sets_no_standard(self):
        proposals = Picks.from_points(np.zeros((3, 3))).reject([2], "chance")
        score = told(proposals.points_zyx, np.array([0.9, 0.1, 0.9]))
        score = replace(score, poses=replace(score.poses, scores=np.array([0.6, 0.1, 0.5])))
        assert without_weak_places([proposals], [score], [NOBODY])[1] == 1
        nothing = replace(score, odds=np.array([-2.0, -2.0, 2.0]))
        assert without_weak_places([proposals], [nothing], [NOBODY])[1] == 0

    def test_another_kind_correlates_less(self):
        """Where all that resembles the average at all would be believed."""
        _, every, done = two_kinds(half_a_body())
        tomogram = Tomogram.from_array(done.data, voxel_size=20.0)
        proposals = every.reject(np.arange(8, 30), "another kind")  # 8 of 10 picked
        settings = replace(SETTINGS, step=40.0)
        score = rescored(tomogram, proposals, true_average(), settings, WEDGE)
        score = replace(score, odds=np.full(30, 4.0))
        (after,), count = without_weak_places([proposals], [score], [NOBODY])
        believed = after.probabilities > 0.5
        assert believed[:8].all()
        assert count == 22 - believed[8:].sum()
        assert believed[10:].sum() <= 2


def half_a_body() -> Density:
    """What resembles the two-lobed body, but has one lobe only."""
    whole = ribosome_like(20.0)
    data = whole.data.copy()
    data[len(data) // 2 + 2 :] = 0
    return replace(whole, data=data)


class TestLookAlikes:
    @pytest.mark.parametrize(
        ("other", "taken_back"), [(half_a_body(), 14), (ribosome_like(20.0), 0)]
    )
    def test_another_kind_is_told_from_missed_particles(self, other, taken_back):
        source, proposals, done = two_kinds(other)
        rotations = Rotation.from_matrix(done.rotations[:, ::-1, ::-1])
        poses = Poses(rotations, np.zeros((30, 3)), np.full(30, 0.7))
        score = Rescored(poses, done.points_zyx, np.zeros(3), np.full(30, 4.0), 9.0, np.ones(30))
        halves = (np.zeros((20,) * 3, np.float32),) * 2
        fsc = np.where(np.arange(10) < 6, 1.0, 0.0)
        average = Average(halves[0], halves, particle_ball(20, 11.5), fsc, 20.0, [], [])
        scores, count = without_look_alikes([source], [proposals], [score], average, SETTINGS)
        assert count == taken_back
        believed = scores[0].probabilities > 0.5
        assert believed[:16].all()
        assert believed[16:].sum() == 14 - taken_back


@pytest.mark.slow
def test_the_rarer_of_two_look_alikes_stays_what_is_picked(caplog):
    source, picks, done = two_kinds(half_a_body())
    noise = background_places(source.tomogram, done.points_zyx, 12.0)[:30]
    every = Picks.from_points(np.concatenate([picks.points_zyx, noise]), np.linspace(1, 0, 60))
    proposals = every.reject(np.arange(16, 60), "another kind")
    settings = replace(SETTINGS, step=40.0)
    kept = refined([source], [proposals], settings).proposals[0].kept
    assert kept[:10].sum() >= 9
    assert kept[16:].sum() == 0
    assert "a look-alike. They stay left out" in caplog.text


@pytest.mark.parametrize(("clicks", "whose"), [(1, "the picks"), (3, "the better half of the")])
def test_whose_halves_do_not_agree_is_said(monkeypatch, clicks, whose):
    monkeypatch.setattr(refinement, "DETAIL", 1e6)
    data = np.random.default_rng(0).standard_normal((30, 80, 80)).astype(np.float32)
    tomogram = Tomogram.from_array(data, voxel_size=20.0)
    points = background_places(tomogram, np.zeros((0, 3)), 12.0)[:20]
    proposals = Picks.from_points(points, np.linspace(1, 0, len(points)))
    source = Source(tomogram, proposals, points[:clicks], [], WEDGE)
    found = refined([source], [proposals], replace(SETTINGS, iterations=1))
    assert found.kept_earlier.startswith(f"the halves of {whose}")


@pytest.mark.slow
class TestRefined:
    def test_what_is_unlike_goes_and_what_was_missed_comes(self):
        tomogram, points = one_kind()
        rng = np.random.default_rng(0)
        noise = background_places(tomogram, points, 12.0)[:30]
        every = Picks.from_points(
            np.concatenate([points + rng.normal(0, 0.4, points.shape), noise]),
            np.linspace(1, 0, 50),
        )
        # Picked: 16 of the 20, and 4 places of noise.
        picked = np.isin(np.arange(50), [*range(16), *range(20, 24)])
        proposals = every.reject(~picked, "another kind")
        source = Source(tomogram, proposals.take(picked), points[:1], [], WEDGE)
        found = refined([source], [proposals], SETTINGS)
        assert found.kept_earlier == ""
        kept = found.proposals[0].kept
        assert kept[:20].sum() >= 19
        assert kept[20:].sum() <= 1
        assert {found.proposals[0].reasons[row] for row in np.flatnonzero(picked & ~kept)} <= {
            "unlike the average",
            "at the border",
        }
        assert len(found.masks[0]) == kept.sum()  # none had a mask of its own

    def test_four_picks_and_likely_ones_are_enough(self):
        tomogram, points = one_kind()
        noise = background_places(tomogram, points, 12.0)[:30]
        every = Picks.from_points(np.concatenate([points, noise]), np.linspace(1, 0, 50))
        every = replace(every, probabilities=np.where(np.arange(50) < 12, 0.6, 0.2))
        proposals = every.reject(np.arange(4, 50), "another kind")
        source = Source(tomogram, proposals.take(proposals.kept), points[:3], [], WEDGE)
        found = refined([source], [proposals], SETTINGS)
        assert found.kept_earlier == ""
        assert found.proposals[0].kept[:20].sum() >= 18
        assert found.proposals[0].kept[20:].sum() <= 1

    def test_picks_of_noise_keep_the_earlier_verdict(self):
        data = np.random.default_rng(0).standard_normal((40, 80, 80)).astype(np.float32)
        tomogram = Tomogram.from_array(data, voxel_size=20.0)
        points = background_places(tomogram, np.zeros((0, 3)), 12.0)[:24]
        proposals = Picks.from_points(points, np.linspace(1, 0, 24)).reject(range(16, 24), "chance")
        source = Source(tomogram, proposals.take(proposals.kept), points[:1], [], WEDGE)
        found = refined([source], [proposals], SETTINGS)
        assert found.kept_earlier
        assert (found.proposals[0].kept == proposals.kept).all()


@pytest.fixture(scope="module")
def written(result, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("refined")
    arguments = ["--iterations", "2", "--tilt-range", "-60,60", "--quiet"]
    assert main(["refine", str(result), "--out", str(out), *arguments]) == 0
    return out


def empty_average(record):
    nothing = np.zeros((8,) * 3, np.float32)
    poses = [Poses.unknown(len(record.picks))]
    halves = [np.arange(len(record.picks)) % 2]
    return Average(nothing, (nothing, nothing), nothing, np.ones(4), 20.0, poses, halves)


def test_what_is_written_is_a_result(result, tmp_path):  # noqa: F811
    record = Record.open(result)
    average = empty_average(record)
    source = Source(record.tomogram(), record.picks, np.zeros((0, 3)), record.masks, WEDGE)
    fewer = record.proposals.reject([0], "unlike the average")
    paths = refined_paths(tmp_path / "new", "TS_01", [record], ("warp",))
    write_refined(
        paths,
        Refined(average, [fewer], [[]], ""),
        [source],
        [record],
        [record.info],
        {"seconds": 1},
        star=("warp",),
    )
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        path.name for path in paths.values()
    )
    again = Record.open(tmp_path / "new")
    assert len(again.picks) == len(record.picks) - 1
    assert again.content["counts"]["left_out"]["unlike the average"] == 1
    assert len(np.unique(again.labels())) == len(np.unique(record.labels())) - 1
    assert again.query.vector.tolist() == record.query.vector.tolist()
    paths = refined_paths(tmp_path / "new", "TS_01", [record])
    (tmp_path / "new" / "TS_01_report.html").touch()
    note_beside(again, [tmp_path / "new" / "TS_01_report.html"])
    refinement = Refined(average, [fewer], [[]], "")
    write_refined(paths, refinement, [source], [record], [record.info], {}, overwrite=True)
    assert set((tmp_path / "new").iterdir()) == set(paths.values())  # no flavour of the earlier one


def test_an_average_leaves_nothing_of_an_earlier_one(result, tmp_path):  # noqa: F811
    record = Record.open(result)
    average = empty_average(record)
    (tmp_path / "TS_01_class3.mrc").write_text("somebody else's")
    kept = {tmp_path / "TS_01_class3.mrc"}
    for star in (("warp",), ()):
        paths = average_paths(tmp_path, "TS_01", [record.info], star)
        write_average(paths, average, [record.picks], [record.info], {}, star=star, overwrite=True)
        assert set(tmp_path.iterdir()) == set(paths.values()) | kept


@pytest.mark.slow
def test_a_refined_result_is_read_as_one_of_pick(written, simulation):  # noqa: F811
    record = Record.open(written)
    picks = record.picks
    assert np.median(errors(picks.points_zyx, picks.rotations, simulation)) < 10
    assert all(mask.volume for mask in record.masks)
    assert picks.probabilities is not None
    assert record.content["counts"]["picks"] == len(picks)
    changes = record.content["refinement"]["changes"]["TS_01"]
    lost = sum(count for what, count in changes.items() if what.startswith("lost"))
    assert changes["before"] + changes["gained"] - lost == changes["after"] == len(picks)
    assert (written / "TS_01_average.mrc").is_file()
    assert json.loads((written / "TS_01_average.json").read_text())["particles"] >= 20
