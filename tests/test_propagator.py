"""Cross-plane self-prompting with segmenters whose answer is known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.propagator import CrossPlanePropagator, labels
from aitom_cryosam.segmenters.base import Segmentation, shifted

SHAPE = (23, 31, 42)
WALKS = ["+z", "-z", "+y", "-y", "+x", "-x"]


class Stub:
    """What all segmenters of these tests share: an embedding is the plane."""

    signature = None

    def planes_at_once(self, plane_shape):
        return 4

    def embedding_bytes(self, plane_shape):
        return 4 * plane_shape[0] * plane_shape[1]

    def embed(self, planes):
        return list(planes)


class Objects(Stub):
    """Reads object numbers: the plane's value at the point is the object."""

    def segment(self, embeddings, rows, points_yx, previous):
        planes = np.stack(embeddings)[rows]
        y, x = np.floor(points_yx + 0.5).astype(int).T
        values = planes[np.arange(len(rows)), y, x]
        masks = (planes == values[:, None, None]) & (values > 0)[:, None, None]
        n = len(masks)
        offsets = np.zeros((n, 2), np.int64)
        logits = np.where(masks, 1, -1).astype(np.float32)
        return Segmentation(offsets, masks, logits, np.full(n, 0.5, np.float32), points_yx)


class Volume:
    """A tomogram whose planes are its values as they are."""

    def __init__(self, data):
        self.data = data
        self.shape = data.shape
        self.read = Counter()

    def plane(self, axis, index):
        self.read[axis, index] += 1
        return np.take(self.data, index, axis=axis)


def ellipsoid(shape, centre, radii):
    grid = np.indices(shape).T - np.array(centre)
    return ((grid / radii) ** 2).sum(-1).T <= 1


@pytest.fixture
def world():
    """An ellipsoid inside (1), one cut by three borders (2), a box of 5 x 4 x 3 (3)."""
    data = np.zeros(SHAPE, np.float32)
    data[ellipsoid(SHAPE, (11, 15, 20), (6, 8, 10))] = 1
    data[ellipsoid(SHAPE, (0, 0, 0), (5, 5, 5))] = 2
    data[2:7, 24:28, 36:39] = 3
    return Volume(data)


def full(mask, shape):
    return labels(shape, [mask]) > 0


@pytest.mark.parametrize("merge", ["union", "consensus"])
def test_six_walks_return_an_ellipsoid(world, merge):
    propagator = CrossPlanePropagator(Objects(), merge=merge, tau_iou=0)
    (mask,) = propagator.propagate(world, [(11, 15, 20)])
    assert mask.id == 1
    assert list(mask.stops) == WALKS
    assert mask.mask.shape == (13, 17, 21)
    assert mask.offset_zyx.tolist() == [5, 7, 10]
    assert mask.score == 0.5
    np.testing.assert_array_equal(full(mask, SHAPE), world.data == 1)
    assert set(mask.stops.values()) == {"empty"}
    np.testing.assert_allclose(mask.centroid_zyx, (11, 15, 20))


def test_a_walk_stops_where_adjacent_masks_differ(world):
    (mask,) = CrossPlanePropagator(Objects(), tau_iou=0.5).propagate(world, [(11, 15, 20)])
    # The pole of an ellipsoid is one voxel, less than half of the section before it.
    assert mask.stops == dict.fromkeys(WALKS, "iou")
    overlap = full(mask, SHAPE) & (world.data == 1)
    assert overlap.sum() / (world.data == 1).sum() > 0.99


def test_at_a_corner_three_walks_end_at_the_border(world):
    (mask,) = CrossPlanePropagator(Objects(), tau_iou=0).propagate(world, [(0, 0, 0)])
    assert mask.stops == {
        **dict.fromkeys(["-z", "-y", "-x"], "border"),
        **dict.fromkeys(["+z", "+y", "+x"], "empty"),
    }
    assert mask.offset_zyx.tolist() == [0, 0, 0]
    assert mask.mask.shape == (6, 6, 6)


def test_the_nearest_plane_is_taken(world):
    prompts = [(6.49, 25.2, 37.4), (1.5, 25.2, 37.4)]
    masks = CrossPlanePropagator(Objects()).propagate(world, prompts)
    assert [mask.volume for mask in masks] == [60, 60]
    assert masks[0].mask.shape == (5, 4, 3)
    assert masks[0].diameter == pytest.approx((60 * 6 / np.pi) ** (1 / 3))


@pytest.mark.parametrize(
    ("point", "stop"),
    [((20, 5, 5), "empty"), ((-0.6, 5, 5), "border"), ((5, 31, 5), "border")],
)
def test_a_prompt_that_yields_nothing_is_an_empty_mask(world, point, stop):
    masks = CrossPlanePropagator(Objects()).propagate(world, [point, (11, 15, 20)])
    assert masks[0].volume == 0
    assert masks[0].mask.shape == (0, 0, 0)
    assert masks[0].score == 0
    assert masks[0].stops == dict.fromkeys(WALKS, stop)
    assert masks[1].volume > 1000


def test_no_prompt_is_no_mask(world):
    assert CrossPlanePropagator(Objects()).propagate(world, np.zeros((0, 3))) == []


def test_the_size_limit_holds_each_way_and_across():
    data = np.zeros(SHAPE, np.float32)
    data[10:13, 14:17, :] = 1  # a rod along x
    (rod,) = CrossPlanePropagator(Objects(), max_extent=9).propagate(Volume(data), [(11, 15, 20)])
    # Along z and y the masks are the whole rod; along x the walk ends after four planes.
    assert rod.mask.shape == (3, 3, 9)
    assert rod.offset_zyx.tolist() == [10, 14, 16]
    assert rod.stops == dict.fromkeys(WALKS, "size limit")


def test_axis_permutation_permutes_the_masks(world):
    points = np.array([(11, 15, 20), (1, 1, 0), (4, 26, 37)])
    masks = CrossPlanePropagator(Objects(), tau_iou=0.3).propagate(world, points)
    order = [2, 0, 1]
    turned = CrossPlanePropagator(Objects(), tau_iou=0.3).propagate(
        Volume(world.data.transpose(order)), points[:, order]
    )
    for mask, other in zip(masks, turned, strict=True):
        np.testing.assert_array_equal(mask.mask.transpose(order), other.mask)
        assert mask.offset_zyx[order].tolist() == other.offset_zyx.tolist()


def test_all_at_once_equals_one_by_one(world):
    points = np.array([(11, 15, 20), (1, 1, 0), (4, 26, 37), (9, 12, 18), (11, 15, 20)])
    together = CrossPlanePropagator(Objects()).propagate(world, points)
    for point, mask in zip(points, together, strict=True):
        (alone,) = CrossPlanePropagator(Objects()).propagate(world, [point])
        np.testing.assert_array_equal(mask.mask, alone.mask)
        assert mask.offset_zyx.tolist() == alone.offset_zyx.tolist()
        assert (mask.score, mask.stops) == (alone.score, alone.stops)


def test_each_plane_is_embedded_once_and_only_if_needed(world):
    points = [(11, 15, 20), (12, 14, 19)]
    masks = CrossPlanePropagator(Objects(), tau_iou=0).propagate(world, points)
    # The planes of the ellipsoid, and the empty one at each end.
    needed = [(0, i) for i in range(4, 19)] + [(1, i) for i in range(6, 25)]
    needed += [(2, i) for i in range(9, 32)]
    assert world.read == Counter(needed)

    world.read.clear()
    again = CrossPlanePropagator(Objects(), tau_iou=0, cache_bytes=0).propagate(world, points)
    assert set(world.read) == set(needed)
    # Without a cache the sweep down reads the planes between the two prompts once more.
    assert [key for key, count in world.read.items() if count == 2] == [(0, 11), (1, 14), (2, 19)]
    for mask, other in zip(masks, again, strict=True):
        np.testing.assert_array_equal(mask.mask, other.mask)


def test_progress_counts_the_walks(world):
    seen = []
    propagator = CrossPlanePropagator(Objects(), progress=lambda *now: seen.append(now))
    propagator.propagate(world, [(11, 15, 20), (-5, 0, 0), (20, 5, 5), (0, 0, 0)])
    assert seen[-1] == (24, 24)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


class Crossing(Stub):
    """Squares of 3 x 3 on planes across z and y, of 1 x 1 across x (seen by their size)."""

    def segment(self, embeddings, rows, points_yx, previous):
        n = len(points_yx)
        half = 0 if embeddings[0].shape == SHAPE[:2] else 1
        side = np.arange(5) - 2
        square = (abs(side)[:, None] <= half) & (abs(side) <= half)
        masks = np.repeat(square[None], n, axis=0)
        offsets = np.floor(points_yx + 0.5).astype(np.int64) - 2
        logits = masks.astype(np.float32)
        return Segmentation(offsets, masks, logits, np.ones(n, np.float32), points_yx)


def test_union_and_consensus():
    world = Volume(np.zeros(SHAPE, np.float32))
    point = [(11, 15, 20)]
    # Every walk goes two planes: a 3 x 3 x 5 bar along z, one along y, a 1 x 1 x 5 line along x.
    union = CrossPlanePropagator(Crossing(), max_extent=4.5).propagate(world, point)[0]
    consensus = CrossPlanePropagator(Crossing(), merge="consensus", max_extent=4.5).propagate(
        world, point
    )[0]
    assert union.volume == 45 + 45 - 27 + 2
    assert consensus.volume == 27
    assert consensus.offset_zyx.tolist() == [10, 14, 19]


def instance(number, score, offset, shape):
    mask = np.ones(shape, bool)
    return ParticleMask(number, np.zeros(3), np.array(offset), mask, score)


def test_in_labels_the_better_score_wins_then_the_earlier():
    masks = [
        instance(1, 0.5, (0, 0, 0), (1, 1, 3)),
        instance(2, 0.9, (0, 0, 2), (1, 1, 3)),
        instance(3, 0.5, (0, 0, 0), (1, 1, 2)),
        instance(4, 0.0, (0, 0, 0), (0, 0, 0)),
    ]
    volume = labels((1, 1, 7), masks)
    assert volume.dtype == np.int32
    assert volume.ravel().tolist() == [1, 1, 2, 2, 2, 0, 0]


def test_shifted_windows():
    windows = np.arange(12).reshape(2, 2, 3)
    old = np.array([[5, 5], [0, 0]])
    moved = shifted(windows, old, old + np.array([[1, -1], [0, 2]]), -1)
    assert moved[0].tolist() == [[-1, 3, 4], [-1, -1, -1]]
    assert moved[1].tolist() == [[8, -1, -1], [11, -1, -1]]
    assert shifted(windows, old, old.copy(), -1) is windows
