"""Alignment, reconstruction and averages of particles whose rotations are known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.alignment import Aligner
from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.averaging import Averaging, finer
from aitom_cryosam.averaging.classes import check_classes, classified
from aitom_cryosam.averaging.fsc import masked_shell_correlation, resolution, shell_correlation
from aitom_cryosam.averaging.particles import Particles
from aitom_cryosam.averaging.poses import Poses, best_of
from aitom_cryosam.averaging.reconstruction import Sum
from aitom_cryosam.averaging.reference import Reference
from aitom_cryosam.averaging.rotations import (
    all_rotations,
    angles_between,
    common_rotation,
    nearby_rotations,
)
from aitom_cryosam.averaging.settings import AveragingSettings
from aitom_cryosam.averaging.spectra import Ball, Readable
from aitom_cryosam.averaging.subvolumes import BoxSize, Subvolumes, extract, inside, soft_ball
from aitom_cryosam.averaging.symmetry import LEAST, Symmetry, fitted, symmetrised
from aitom_cryosam.averaging.wedge import MissingWedge, estimated_wedge
from aitom_cryosam.errors import InputError
from aitom_cryosam.simulation.density import ribosome_like
from aitom_cryosam.tomogram import Tomogram
from tests.toys import small_simulation

SIZE = 24
WEDGE = MissingWedge(-60.0, 60.0)
DENSITY = ribosome_like(16.0)


def turned(rotation: Rotation, shift_xyz=(0.0, 0.0, 0.0)) -> np.ndarray:
    """(SIZE, SIZE, SIZE), the density with its centre at voxel SIZE // 2 + shift."""
    matrix = rotation.as_matrix()[::-1, ::-1]  # of z y x
    middle = SIZE // 2 + np.asarray(shift_xyz)[::-1]
    return ndimage.affine_transform(
        DENSITY.spline,
        matrix.T,
        DENSITY.centre_zyx - matrix.T @ middle,
        output_shape=(SIZE,) * 3,
        prefilter=False,
    )


def world(n: int, noise: float, seed: int = 0) -> tuple[np.ndarray, Rotation, np.ndarray]:
    """Boxes with the wedge missing and with noise, their rotations and shifts (x y z)."""
    rng = np.random.default_rng(seed)
    rotations = Rotation.random(n, rng)
    shifts = rng.uniform(-1.4, 1.4, (n, 3))
    ball = Ball(SIZE, 11)
    clean = np.array([turned(r, s) for r, s in zip(rotations, shifts, strict=True)])
    seen = WEDGE.weights(ball.points_xyz)
    boxes = np.array([ball.box(spectrum * seen) for spectrum in ball.of(clean)])
    boxes /= boxes.std()
    return boxes + noise * rng.standard_normal(boxes.shape, np.float32), rotations, shifts


def rim(boxes: np.ndarray) -> np.ndarray:
    return boxes * soft_ball(SIZE, 9, 2)


class TestRotations:
    @pytest.mark.parametrize("step", [20.0, 30.0])
    def test_every_orientation_is_near_one_of_the_grid(self, step):
        grid = all_rotations(step)
        asked = Rotation.random(300, np.random.default_rng(1))
        nearest = [np.degrees((grid.inv() * one).magnitude().min()) for one in asked]
        assert np.median(nearest) < 0.6 * step
        assert max(nearest) < 1.1 * step
        assert len(grid) < 2.2e4 * (20 / step) ** 3 / 8

    def test_neighbours_are_within_reach_and_begin_with_none(self):
        near = nearby_rotations(5.0, 9.0)
        lengths = np.degrees(near.magnitude())
        assert lengths[0] == 0
        assert lengths.max() == pytest.approx(5 * 3**0.5)
        assert len(near) == 27

    def test_one_common_rotation_is_taken_out(self):
        truth = Rotation.random(30, np.random.default_rng(2))
        common = Rotation.from_rotvec([40, -100, 7], degrees=True)
        noise = Rotation.from_rotvec(np.random.default_rng(0).normal(0, 2, (30, 3)), degrees=True)
        found = truth * common.inv() * noise
        found = Rotation.concatenate(
            [found[:25], Rotation.random(5, np.random.default_rng(3))]
        )  # five are lost
        best = common_rotation(found, truth)
        assert np.degrees((best.inv() * common).magnitude()) < 2
        assert np.median(angles_between(found * best, truth)) < 4

    def test_equivalent_rotations_have_no_angle_between_them(self):
        group = Symmetry("D7").rotations
        truth = Rotation.random(14, np.random.default_rng(4))
        assert angles_between(truth, truth * group, group).max() < 1e-4
        assert np.median(angles_between(truth, truth * group)) > 50


class TestWedge:
    def test_a_tilt_about_y_sees_its_plane(self):
        asked = np.array([[10, 0, 0], [10, 7, 10], [3, 0, 10], [0, 5, 0], [0, 0, 10]])
        assert WEDGE.weights(asked).tolist() == [1, 1, 0, 1, 0]

    def test_the_axis_can_be_x(self):
        wedge = MissingWedge(-60, 60, 90)
        assert wedge.weights(np.array([[10, 0, 10], [0, 10, 10]])).tolist() == [0, 1]

    def test_a_range_that_is_not_even(self):
        wedge = MissingWedge(-20, 60)  # x cos t + z sin t is seen for t = 45 and not for -45
        assert wedge.weights(np.array([[10, 0, 10], [10, 0, -10]])).tolist() == [1, 0]

    def test_a_range_is_asked_for_in_order(self):
        with pytest.raises(InputError, match="tilt range as -60,60"):
            MissingWedge(0, 0)

    @pytest.mark.parametrize(("low", "high"), [(-54.0, 54.0), (-40.0, 60.0)])
    @pytest.mark.parametrize("swap", [False, True])
    def test_the_tomogram_shows_it(self, swap, low, high):
        data = small_simulation(tilt_range=(low, high), shape_zyx=(64, 96, 96)).data
        tomogram = Tomogram.from_array(data.swapaxes(1, 2) if swap else data, voxel_size=20.0)
        found = estimated_wedge(tomogram)
        assert found is not None
        assert found.axis == (90 if swap else 0)
        # With y in the place of x, what was towards x is towards y, the other way.
        expected = (-high, -low) if swap else (low, high)
        assert (found.lowest, found.highest) == pytest.approx(expected, abs=3)

    def test_the_estimate_weighs_what_was_measured(self):
        data = small_simulation(tilt_range=(-40.0, 60.0), shape_zyx=(64, 64, 64)).data
        for turned in (data, data.swapaxes(1, 2)):
            found = estimated_wedge(Tomogram.from_array(turned, voxel_size=20.0))
            power = np.abs(np.fft.fftn(turned)) ** 2
            frequencies = np.stack(np.meshgrid(*[np.fft.fftfreq(64) * 64] * 3, indexing="ij"), -1)
            lengths = np.linalg.norm(frequencies, axis=-1)
            weights = found.weights(frequencies[..., ::-1])[(lengths > 6) & (lengths < 16)]
            power = power[(lengths > 6) & (lengths < 16)]
            assert power[weights > 0.9].mean() > 20 * power[weights < 0.1].mean()

    def test_another_beam_than_z_is_said(self):
        data = small_simulation(shape_zyx=(64, 64, 64)).data.swapaxes(0, 2)
        with pytest.raises(InputError, match="wedge lies around x, not z"):
            estimated_wedge(Tomogram.from_array(data, voxel_size=20.0))

    def test_noise_shows_none(self):
        data = np.random.default_rng(0).standard_normal((48, 64, 64)).astype(np.float32)
        assert estimated_wedge(Tomogram.from_array(data, voxel_size=10.0)) is None


class TestSpectra:
    def test_a_box_comes_back(self):
        ball = Ball(12, 5)
        box = ball.box(ball.of(np.random.default_rng(0).standard_normal((1, 12, 12, 12)))[0])
        np.testing.assert_allclose(ball.box(ball.of(box[None])[0]), box, atol=1e-6)

    def test_a_spectrum_read_at_turned_points_is_that_of_the_turned_box(self):
        import torch

        rotation = Rotation.random(None, np.random.default_rng(5))
        ball = Ball(SIZE, 9)
        asked = (ball.points_xyz @ rotation.as_matrix()).astype(np.float32)
        read = Readable(turned(Rotation.identity())[None]).at(torch.from_numpy(asked)[None])[0]
        wanted = ball.of(turned(rotation)[None])[0]
        similarity = np.vdot(wanted, read.numpy()).real
        assert similarity / np.linalg.norm(wanted) / np.linalg.norm(read.numpy()) > 0.998

    def test_a_shift_is_undone(self):
        ball = Ball(SIZE, 9)
        shift = np.array([1.5, -2.0, 0.5])
        moved = ball.of(turned(Rotation.identity(), shift)[None])[0] * ball.shifts(shift)
        still = ball.of(turned(Rotation.identity())[None])[0]
        assert np.vdot(moved, still).real > 0.998 * np.linalg.norm(moved) * np.linalg.norm(still)


class TestAlignment:
    def test_rotations_and_shifts_are_found(self):
        boxes, rotations, shifts = world(16, noise=1.5)
        ball = Ball(SIZE, 7)
        aligner = Aligner(ball, ball.of(rim(boxes)), WEDGE)
        reference = Reference(rim(turned(Rotation.identity())))
        rough = aligner.search(reference, step=30, max_shift=3, keep=3)
        near = best_of([aligner.refine(reference, one, step=15, rounds=2) for one in rough])
        found = aligner.refine(reference, near, step=4, shift_step=0.25, rounds=2)
        assert np.median(angles_between(rough[0].rotations, rotations)) < 25
        assert np.median(angles_between(found.rotations, rotations)) < 4
        assert np.median(np.linalg.norm(found.shifts_xyz - shifts, axis=1)) < 0.3
        assert (found.scores > rough[0].scores).all()
        np.testing.assert_allclose(aligner.score(reference, found), found.scores, atol=1e-4)

    def test_what_a_particle_at_the_border_correlates_is_expected(self):
        boxes, rotations, shifts = world(6, noise=0.0, seed=5)
        poses = Poses(rotations, shifts, np.zeros(6))
        known = np.ones(boxes.shape, bool)
        for i, first in enumerate((0, 3, 6, 9, 11, 13)):
            known[i, :first] = False  # up to more than half of the box
        mask = soft_ball(SIZE, 8, 3)
        means = boxes.mean(axis=(1, 2, 3), where=known)
        cut = np.where(known, boxes - means[:, None, None, None], 0)
        ball = Ball(SIZE, 7)
        weights = 1 + ball.lengths
        aligner = Aligner(ball, ball.of(cut * mask), WEDGE, weights=weights)
        reference = Reference(turned(Rotation.identity()))
        expected = aligner.expected(reference, poses, mask, known)
        assert expected[0] > 0.95
        assert expected[-1] < 0.8
        found = aligner.score(reference, poses)
        np.testing.assert_allclose(expected, found / found[0], atol=0.05)

    def test_a_single_particle_as_reference_counts_where_both_are_seen(self):
        boxes, rotations, shifts = world(6, noise=0.3, seed=3)
        ball = Ball(SIZE, 7)
        aligner = Aligner(ball, ball.of(rim(boxes[1:])), WEDGE)
        centred = Sum.empty(Ball(SIZE, 11)).add(
            boxes[:1], Poses(Rotation.identity(1), shifts[:1], np.ones(1)), WEDGE
        )
        reference = Reference(rim(centred.average()), ((WEDGE, Rotation.identity()),))
        rough = aligner.search(reference, step=24, max_shift=3, keep=3)
        found = best_of([aligner.refine(reference, one, step=12, rounds=3) for one in rough])
        wanted = rotations[1:] * rotations[0].inv()
        assert np.median(angles_between(found.rotations, wanted)) < 10

    def test_a_sum_puts_the_wedge_back(self):
        boxes, rotations, shifts = world(20, noise=1.0)
        total = Sum.empty(Ball(SIZE, 11)).add(boxes, Poses(rotations, shifts, np.ones(20)), WEDGE)
        still = turned(Rotation.identity())
        similarity = np.corrcoef(total.average().ravel(), still.ravel())[0, 1]
        assert similarity > 0.93
        unturned = Poses(Rotation.identity(20), shifts, np.ones(20))
        blurred = Sum.empty(Ball(SIZE, 11)).add(boxes, unturned, WEDGE).average()
        assert np.corrcoef(blurred.ravel(), still.ravel())[0, 1] < similarity - 0.1

    def test_a_sum_dims_what_hardly_a_particle_measured(self):
        ball = Ball(SIZE, 4)
        weights = np.full(len(ball.shells), 2.0)
        weights[:3] = 0, 0.05, 0.5
        weights *= 2 / weights.mean()  # a tenth of the mean is 0.2
        total = Sum(ball, 3 * weights.astype(complex), weights)
        coefficients = total.coefficients().real
        np.testing.assert_allclose(coefficients[:2], 3 * weights[:2] / 0.2)
        np.testing.assert_allclose(coefficients[2:], 3)


class TestShells:
    def test_equal_halves_agree_and_noise_does_not(self):
        rng = np.random.default_rng(0)
        one, other = rng.standard_normal((2, SIZE, SIZE, SIZE))
        ball = Ball(SIZE, 11)
        assert shell_correlation(one, one, ball).min() > 0.999
        assert abs(shell_correlation(one, other, ball)[4:]).max() < 0.25
        assert resolution(shell_correlation(one, one, ball), 240.0) == pytest.approx(240 / 11)

    def test_what_a_mask_puts_into_both_halves_does_not_count(self):
        rng = np.random.default_rng(1)
        low = ndimage.gaussian_filter(rng.standard_normal((SIZE,) * 3), 2.5)
        low /= low.std()
        halves = low + rng.standard_normal((2, SIZE, SIZE, SIZE))
        mask = (soft_ball(SIZE, 7, 1) > 0.5).astype(float)  # small and sharp
        ball = Ball(SIZE, 11)
        raw = shell_correlation(halves[0] * mask, halves[1] * mask, ball)
        corrected = masked_shell_correlation(*halves, mask, ball)
        assert raw[6:].mean() > 0.15
        assert abs(corrected[6:].mean()) < raw[6:].mean() / 2
        assert (corrected[:5] == raw[:5]).all()
        # One shell beyond the last that agrees: there the mask has smeared signal.
        start = int(np.flatnonzero(shell_correlation(*halves, ball) < 0.8)[0])
        assert (corrected[: start + 1] == raw[: start + 1]).all()
        assert (corrected[start + 1 :] < raw[start + 1 :]).all()

    def test_the_resolution_lies_between_shells(self):
        curve = np.array([1, 0.9, 0.643, -0.357, 0.0])
        assert resolution(curve, 100.0) == pytest.approx(100 / 2.5)
        assert resolution(np.array([1, 0.1, 0.1]), 100.0) == np.inf


class TestSubvolumes:
    def test_boxes_are_binned_from_32_voxels_across(self):
        assert BoxSize.for_particle(20.0) == BoxSize(32, 1)
        assert BoxSize.for_particle(32.0).bin == 1
        assert BoxSize.for_particle(33.0).bin == 2

    @pytest.mark.parametrize("bin_", [1, 2, 3])
    def test_the_origin_is_where_it_is_said_to_be(self, bin_):
        place = np.array([25.2, 30.7, 33.4])
        grid = np.indices((50, 60, 70)).transpose(1, 2, 3, 0) - place
        blob = np.exp(-(grid**2).sum(axis=-1) / (2 * (1.5 * bin_) ** 2)).astype(np.float32)
        tomogram = Tomogram.from_array(blob, voxel_size=10.0, contrast="bright")
        cut = extract(tomogram, place[None] + 0.4, BoxSize(12, bin_))
        weights = (cut.boxes[0] - cut.boxes[0].min()).clip(0.3 * cut.boxes[0].max())
        weights -= weights.min()
        found = np.array(ndimage.center_of_mass(weights)) - 6
        np.testing.assert_allclose(cut.points_zyx(found[None, ::-1])[0], place, atol=0.12 * bin_)

    def test_what_lies_outside_is_filled(self):
        data = np.random.default_rng(0).standard_normal((30, 30, 30)).astype(np.float32)
        cut = extract(Tomogram.from_array(data, voxel_size=10.0), [[1.0, 15, 15]], BoxSize(12, 1))
        assert (cut.boxes[0][:5] == 0).all()
        assert (cut.boxes[0][5:] != 0).all()
        assert not cut.known[0][:5].any()
        assert cut.known[0][5:].all()
        assert cut.cut(np.ones((12, 12, 12))).tolist() == [True]
        assert cut.cut(soft_ball(12, 0, 1)).tolist() == [False]

    def test_a_pick_at_the_rim_is_inside_by_its_share(self):
        points = [[15.0, 15, 15], [-0.5, 15, 15], [5.0, 15, 15], [1.0, 15, 15]]
        assert inside(points, 6.0, (30, 30, 30)).tolist() == [True, False, True, False]


class TestSymmetry:
    @pytest.mark.parametrize(
        ("name", "order"),
        [("C1", 1), ("C5", 5), ("D2", 4), ("D7", 14), ("T", 12), ("O", 24), ("I", 60)],
    )
    def test_groups_have_their_order(self, name, order):
        assert len(Symmetry(name)) == order
        assert Symmetry(name).rotations[0].magnitude() < 1e-6

    @pytest.mark.parametrize(("name", "kept"), [("C7", True), ("D7", True), ("C5", False)])
    def test_axes_are_found_wherever_they_lie(self, name, kept):
        size = 32
        z, y, x = np.indices((size,) * 3) - size // 2
        ring = np.hypot(x, y)
        angle = np.arctan2(y, x)
        body = np.exp(-(((ring - 7) / 2) ** 2) - (z / 5) ** 2) * (1 + 0.8 * np.cos(7 * angle))
        frame = Rotation.from_rotvec([30, 70, -50], degrees=True).as_matrix()[::-1, ::-1]
        middle = np.full(3, size // 2)
        body = ndimage.affine_transform(body, frame.T, middle - frame.T @ middle, order=3)
        noise = np.random.default_rng(0).standard_normal((2, size, size, size))
        halves = (body + 0.1 * noise).astype(np.float32) * soft_ball(size, 12, 3)
        found = fitted((halves[0], halves[1]), Symmetry(name), 9)
        assert (found.share > LEAST) == kept
        if kept:
            axis = found.frame.apply([0, 0, 1])
            wanted = Rotation.from_rotvec([30, 70, -50], degrees=True).apply([0, 0, 1])
            assert abs(axis @ wanted) > np.cos(np.radians(4))

    @pytest.mark.parametrize(("name", "kept"), [("D7", True), ("C5", False)])
    def test_a_wedge_that_all_particles_share_is_no_evidence_against_it(self, name, kept):
        size = 32
        z, y, x = np.indices((size,) * 3) - size // 2
        angle = np.arctan2(z, x)  # the axis of seven lies along y, in the wedge's plane
        body = np.exp(-(((np.hypot(z, x) - 7) / 2) ** 2) - (y / 5) ** 2)
        body *= 1 + 0.8 * np.cos(7 * angle)
        noise = np.random.default_rng(0).standard_normal((2, size, size, size))
        ball = Ball(size, size / 2 - 1)
        weights = WEDGE.weights(ball.points_xyz.astype(np.float32)).astype(np.float64)
        halves = (body + 0.1 * noise).astype(np.float32) * soft_ball(size, 12, 3)
        one, other = (ball.box(ball.of(half[None])[0] * weights) for half in halves)
        found = fitted((one, other), Symmetry(name), 9, (weights, weights))
        assert (found.share > LEAST) == kept
        if kept:
            assert fitted((one, other), Symmetry(name), 9).share < LEAST

    def test_a_box_with_a_symmetry_stays_and_another_becomes_even(self):
        box = turned(Rotation.identity()).astype(np.float32)
        even = symmetrised(box, Symmetry("C4"))
        again = symmetrised(even, Symmetry("C4"))
        assert np.corrcoef(even.ravel(), again.ravel())[0, 1] > 0.995
        quarter = np.rot90(even[:, 1:, 1:], axes=(1, 2))  # about voxel n // 2
        assert np.corrcoef(quarter.ravel(), even[:, 1:, 1:].ravel())[0, 1] > 0.99
        assert np.corrcoef(box.ravel(), even.ravel())[0, 1] < 0.97

    def test_another_name_is_refused(self):
        with pytest.raises(InputError, match="got 'X3'"):
            Symmetry("X3")


def boxes_of(boxes: np.ndarray) -> Subvolumes:
    return Subvolumes(boxes, np.zeros((len(boxes), 3)), 1)


class TestAverage:
    def test_one_click_is_enough_to_orient_the_rest(self):
        boxes, rotations, _ = world(40, noise=1.2, seed=7)
        standard = boxes_of(boxes / boxes.std(axis=(1, 2, 3), keepdims=True))
        particles = Particles(standard, WEDGE, standard.take(np.array([3])))
        settings = AveragingSettings(diameter=250.0, iterations=2)
        average = Averaging([particles], 16.0, settings).run()
        found = average.poses[0].rotations
        errors = angles_between(found * common_rotation(found, rotations), rotations)
        assert np.median(errors) < 6
        assert average.resolution < 55
        assert (average.half[0] == np.arange(40) % 2).all()

    def test_the_share_that_correlates_best_is_averaged(self):
        boxes, _, _ = world(12, noise=0.8, seed=10)
        noise = boxes.std() * np.random.default_rng(12).standard_normal(boxes.shape, np.float32)
        every = np.concatenate([noise, boxes])
        particles = Particles(boxes_of(every), WEDGE, boxes_of(boxes[:3]))
        settings = AveragingSettings(diameter=250.0, iterations=1, share=0.5)
        average = Averaging([particles], 16.0, settings).run()
        (members,) = average.members
        assert average.count == members.sum() == 12
        assert [(members & (average.half[0] == side)).sum() for side in (0, 1)] == [6, 6]
        assert members[12:].mean() > 0.9
        assert len(average.poses[0]) == 24
        with pytest.raises(InputError, match="share above 0, at most 1, got 0"):
            replace(settings, share=0)

    def test_a_symmetry_that_the_average_contradicts_is_told(self, caplog):
        boxes, _rotations, _ = world(24, noise=0.8, seed=8)
        particles = Particles(boxes_of(boxes), WEDGE, boxes_of(boxes[:1]))
        settings = AveragingSettings(diameter=250.0, iterations=1, symmetry=Symmetry("C5"))
        work = Averaging([particles], 16.0, settings)
        average = work.symmetric(work.run(Reference(rim(turned(Rotation.identity())))))
        assert "contradicts the symmetry C5: its halves correlate by 0." in caplog.text
        assert average.symmetry.name == "C5"
        assert len(average.poses[0]) == 24

    def test_what_is_no_particle_gathers_in_a_class_that_is_left_out(self):
        boxes, rotations, _ = world(36, noise=0.8, seed=9)
        rng = np.random.default_rng(11)
        noise = boxes.std() * rng.standard_normal((14, *boxes.shape[1:]), np.float32)
        order = rng.permutation(50)
        every = np.concatenate([boxes, noise])[order]
        true = order < 36
        particles = Particles(boxes_of(every), WEDGE, boxes_of(boxes[:1]))
        settings = AveragingSettings(diameter=250.0, iterations=2)
        work = Averaging([particles], 16.0, settings)
        classes = classified(work, work.run(), 2)
        assert [one.noise for one in classes] == [False, True]
        (kept,), (left,) = (one.average.members for one in classes)
        assert kept[true].mean() > 0.9
        assert left[~true].mean() > 0.9
        found = classes[0].average.poses[0].take(kept & true).rotations
        wanted = rotations[order[kept & true]]
        assert np.median(angles_between(found * common_rotation(found, wanted), wanted)) < 8

    @pytest.mark.parametrize(("number", "says"), [(0, "1 to 4"), (5, "1 to 4"), (3, "too few")])
    def test_a_number_of_classes_that_makes_no_sense_is_refused(self, number, says):
        with pytest.raises(InputError, match=says):
            check_classes(number, 25)

    @pytest.mark.parametrize(("last", "limited"), [(0.5, True), (0.1, False)])
    def test_halves_that_never_part_are_known(self, last, limited):
        box = np.zeros((8,) * 3, np.float32)
        fsc = np.array([1, 0.9, 0.8, last])
        assert Average(box, (box, box), box, fsc, 10.0, [], []).is_limited_by_voxels == limited

    def test_few_particles_are_refused(self):
        boxes, _, _ = world(9, noise=1.0)
        particles = Particles(boxes_of(boxes), WEDGE, boxes_of(boxes[:1]))
        with pytest.raises(InputError, match="at least 10 picks to average, got 9"):
            Averaging([particles], 16.0, AveragingSettings(diameter=250.0))


@pytest.mark.parametrize(("step", "next_step"), [(30, 24), (13, 12), (12, 12), (6, 6)])
def test_steps_never_get_coarser(step, next_step):
    assert finer(step) == next_step
