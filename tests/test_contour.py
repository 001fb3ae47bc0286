"""The contour segmenter on planes and volumes with a known particle."""

from __future__ import annotations

import numpy as np
import pytest

from aitom_cryosam import threads
from aitom_cryosam.propagator import CrossPlanePropagator
from aitom_cryosam.segmenters.contour import ContourSegmenter
from aitom_cryosam.tomogram import Tomogram

SHAPE = (60, 83)
SPACE = (44, 52, 61)


def disc(shape, centre, radius):
    grid = np.indices(shape)
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


def noisy(shape_mask, noise, seed=0):
    rng = np.random.default_rng(seed)
    return (2.0 * shape_mask + rng.normal(0, noise, shape_mask.shape)).astype(np.float32)


def pasted(segmentation, row, shape):
    """One mask on its plane."""
    mask = np.zeros(shape, bool)
    pixels = np.argwhere(segmentation.masks[row]) + segmentation.offsets_yx[row]
    mask[tuple(pixels.T)] = True  # raises if a pixel is outside
    return mask


def segment(segmenter, plane, points, previous=None):
    """Masks of points on one plane."""
    rows = np.zeros(len(points), np.int64)
    return segmenter.segment(segmenter.embed(plane[None]), rows, np.array(points), previous)


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("diameter", [2, 2.4, 2.5, 2.65, 3])  # pixels around it are few
def test_the_smallest_particles(diameter):
    plane = 2.0 * disc(SHAPE, (30, 40), diameter / 2).astype(np.float32)
    mask = pasted(segment(ContourSegmenter(diameter), plane, [(30, 40)]), 0, SHAPE)
    assert 0 < mask.sum() < 40
    assert mask[30, 40]


@pytest.mark.parametrize("point", [(30, 40), (27.6, 42.3)])
@pytest.mark.parametrize(
    "kind",
    ["solid", "hollow", "neighbours", "lobed"],
)
def test_a_particle_is_found_from_its_middle_and_beside_it(kind, point):
    truth = disc(SHAPE, (30, 40), 9)
    picture = truth.copy()
    if kind == "hollow":
        picture &= ~disc(SHAPE, (30, 40), 4)
    if kind == "neighbours":
        picture |= disc(SHAPE, (30, 60), 9) | disc(SHAPE, (11, 40), 9)
    if kind == "lobed":
        picture &= ~disc(SHAPE, (21, 40), 4)
        truth = picture
    segmenter = ContourSegmenter(18)
    found = segment(segmenter, noisy(picture, 1.0), [point])
    assert overlap(pasted(found, 0, SHAPE), truth) > 0.75
    assert 0.5 < found.scores[0] <= 1
    np.testing.assert_allclose(found.points_yx[0], (30, 40), atol=1.5)


def test_the_shapes_and_types_are_those_of_the_seam():
    segmenter = ContourSegmenter(10)
    points = np.array([(30, 40), (5, 5.5)])
    found = segment(segmenter, noisy(np.zeros(SHAPE), 1.0), points)
    assert found.masks.shape == found.logits.shape == (2, 19, 19)
    assert found.offsets_yx.tolist() == [[21, 31], [-4, -3]]
    assert found.masks.dtype == bool
    assert found.logits.dtype == np.float32
    assert found.scores.dtype == np.float32
    assert found.points_yx.dtype == np.float64
    none = segment(segmenter, noisy(np.zeros(SHAPE), 1.0), np.zeros((0, 2)))
    assert none.masks.shape == (0, 19, 19)


@pytest.mark.parametrize("corner", [(0, 0), (0, 82), (59, 0), (59, 82), (-0.4, 82.4)])
def test_at_a_corner_only_pixels_of_the_plane_are_in_the_mask(corner):
    truth = disc(SHAPE, np.round(corner), 9)
    segmenter = ContourSegmenter(18)
    found = segment(segmenter, noisy(truth, 0.5), [corner])
    assert overlap(pasted(found, 0, SHAPE), truth) > 0.6


@pytest.mark.parametrize("value", [0, 3.7])
def test_a_constant_plane_has_no_particle(value):
    segmenter = ContourSegmenter(12)
    plane = np.full(SHAPE, value, np.float32)
    found = segment(segmenter, plane, [(30, 40)])
    assert not found.masks.any()
    assert found.scores.tolist() == [0]


def test_a_constant_margin_does_not_change_the_mask():
    plane = noisy(disc(SHAPE, (30, 40), 6), 1.0)
    wide = np.zeros((200, 300), np.float32)
    wide[100:160, 100:183] = plane
    segmenter = ContourSegmenter(12)
    near = segment(segmenter, plane, [(30, 40)])
    far = segment(segmenter, wide, [(130, 140)])
    np.testing.assert_array_equal(far.masks, near.masks)
    assert far.scores[0] == pytest.approx(near.scores[0], rel=0.05)


def test_where_nothing_stands_out_the_score_is_low():
    segmenter = ContourSegmenter(12)
    truth = disc(SHAPE, (30, 60), 6)
    found = segment(segmenter, noisy(truth, 1.0), [(30, 20), (30, 60)])
    assert found.scores[0] < 0.6 * found.scores[1]


def test_the_plane_before_helps_and_a_vanished_particle_is_forgotten():
    truth = disc(SHAPE, (30, 40), 9)
    segmenter = ContourSegmenter(18)
    point = np.array([(30, 40)])
    walk = segment(segmenter, noisy(truth, 4.0, seed=1), point)
    first = overlap(pasted(walk, 0, SHAPE), truth)
    for seed in range(2, 7):
        walk = segment(segmenter, noisy(truth, 4.0, seed), walk.points_yx, walk)
    assert overlap(pasted(walk, 0, SHAPE), truth) > max(first, 0.7)

    nothing = noisy(np.zeros(SHAPE), 4.0)
    for _ in range(6):
        walk = segment(segmenter, nothing, walk.points_yx, walk)
    assert overlap(pasted(walk, 0, SHAPE), truth) < 0.5


def test_in_a_noisier_plane_the_one_before_counts():
    truth = disc(SHAPE, (30, 40), 9)
    segmenter = ContourSegmenter(18)
    helped, alone = [], []
    for seed in range(8):
        before = segment(segmenter, noisy(truth, 2.0, 100 + seed), [(30, 40)])
        plane = noisy(truth, 6.0, seed)
        for found, given in ((helped, before), (alone, None)):
            mask = segment(segmenter, plane, [(30, 40)], given)
            found.append(overlap(pasted(mask, 0, SHAPE), truth))
    assert np.mean(helped) > np.mean(alone) + 0.04


def test_what_is_enclosed_in_noise_is_smaller_than_a_particle():
    segmenter = ContourSegmenter(18)
    planes = (noisy(np.zeros(SHAPE), 1.0, seed) for seed in range(20))
    areas = [segment(segmenter, plane, [(30, 40)]).masks.sum() for plane in planes]
    assert np.mean(areas) < 0.75 * np.pi * 9**2


def test_many_points_on_several_planes_equal_one_by_one():
    """To the last bit: how walks are grouped must not change what is picked."""
    segmenter = ContourSegmenter(12)
    rng = np.random.default_rng(3)
    points = rng.uniform((0, 0), SHAPE, (150, 2)) - 0.5
    discs = sum(disc(SHAPE, centre, 6) for centre in points[:20])
    embeddings = segmenter.embed(np.stack([noisy(discs, 1.0, seed) for seed in range(3)]))
    rows = rng.integers(0, 3, 150)
    together = segmenter.segment(embeddings, rows, points, None)
    again = segmenter.segment(embeddings, rows[::-1], together.points_yx, together)
    for i in (*range(20), 63, 64, 149):
        plane, next_plane = ([embeddings[each[i]]] for each in (rows, rows[::-1]))
        alone = segmenter.segment(plane, np.zeros(1, np.int64), points[i : i + 1], None)
        row = segmenter.segment(next_plane, np.zeros(1, np.int64), alone.points_yx, alone)
        for many, one in ((together, alone), (again, row)):
            for name in ("offsets_yx", "masks", "logits", "scores", "points_yx"):
                np.testing.assert_array_equal(getattr(many, name)[i], getattr(one, name)[0])


def test_an_embedding_is_as_large_as_it_says_and_packs_unchanged():
    segmenter = ContourSegmenter(12)
    (embedding,) = segmenter.embed(noisy(np.zeros(SHAPE), 1.0)[None])
    assert embedding.shape == (60 + 20, 83 + 20)
    assert segmenter.codec.nbytes(SHAPE) == embedding.nbytes == 4 * 80 * 103
    again = segmenter.codec.unpack(segmenter.codec.pack(embedding), SHAPE)
    np.testing.assert_array_equal(again, embedding)


def hollow_tomogram(noise=1.0):
    """A hollow ball of radius 8 at (20, 24, 30), and one beside it along x."""
    volume = np.zeros(SPACE, bool)
    for x in (30, 49):
        volume |= disc(SPACE, (20, 24, x), 8) & ~disc(SPACE, (20, 24, x), 4)
    return Tomogram.from_array(noisy(volume, noise), voxel_size=7.0, contrast="bright")


@pytest.mark.parametrize("prompt", [(20, 24, 30), (21.4, 23, 28.7)])
def test_six_walks_fill_a_hollow_ball(prompt):
    truth = disc(SPACE, (20, 24, 30), 8)
    propagator = CrossPlanePropagator(ContourSegmenter(16), merge="consensus", max_extent=24)
    (mask,) = propagator.propagate(hollow_tomogram(), [prompt])
    volume = np.zeros(SPACE, bool)
    volume[tuple(mask.voxels_zyx.T)] = True
    assert overlap(volume, truth) > 0.65
    assert volume[20, 24, 30]
    np.testing.assert_allclose(mask.centroid_zyx, (20, 24, 30), atol=1)


def test_axis_permutation_permutes_the_masks():
    tomogram = hollow_tomogram(2.0)
    points = np.array([(20, 24, 30), (21, 23, 50)])
    order = [1, 2, 0]
    turned = Tomogram.from_array(tomogram.data.transpose(order), voxel_size=7.0, contrast="bright")
    propagator = CrossPlanePropagator(ContourSegmenter(16), merge="consensus", max_extent=24)
    masks = propagator.propagate(tomogram, points)
    others = propagator.propagate(turned, points[:, order])
    for mask, other in zip(masks, others, strict=True):
        # A contour's angles start from another axis: equal but for a few voxels of the rim.
        assert mask.volume == pytest.approx(other.volume, rel=0.02)
        np.testing.assert_allclose(mask.centroid_zyx[order], other.centroid_zyx, atol=0.1)


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 31, 32, 60, 65, 176, 1000])
def test_points_are_shared_out_evenly(
    monkeypatch: pytest.MonkeyPatch, cores: int, count: int
) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    monkeypatch.setattr(threads, "_allowed", [np.inf])
    parts = threads.even_parts(count, 16, 64)
    assert [i for part in parts for i in range(count)[part]] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) <= 64
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(count, 16)
    if count >= 16 * 2 * cores:
        assert len(parts) % cores == 0
