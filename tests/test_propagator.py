"""Cross-plane self-prompting with segmenters whose answer is known."""

from __future__ import annotations

import weakref
from collections import Counter
from dataclasses import replace
from threading import Barrier, get_ident

import numpy as np
import pytest

from aitom_cryosam import threads
from aitom_cryosam.masks import ParticleMask, labels
from aitom_cryosam.propagator import CrossPlanePropagator
from aitom_cryosam.segmenters.base import Segmentation, shifted
from aitom_cryosam.segmenters.contour import ContourSegmenter

SHAPE = (23, 31, 42)
WALKS = ["+z", "-z", "+y", "-y", "+x", "-x"]


class Stub:
    """What all segmenters of these tests share: an embedding is the plane."""

    signature = None

    @property
    def codec(self):
        return self  # for the few methods that it needs

    def planes_at_once(self, plane_shape):
        return 4

    def nbytes(self, plane_shape):
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

    def planes(self, axis, start, stop):
        self.read.update((axis, index) for index in range(start, stop))
        return np.moveaxis(self.data, axis, 0)[start:stop]


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


def test_a_ball_takes_the_place_of_a_mask_that_is_missing(world):
    points = [(20, 5, 5), (-0.6, 5, 5), (11, 15, 20), (22, 5.2, 5)]
    plain = CrossPlanePropagator(Objects()).propagate(world, points)
    masks = CrossPlanePropagator(Objects(), ball_diameter=6.0).propagate(world, points)
    assert [mask.is_ball for mask in masks] == [True, False, False, True]
    assert [mask.id for mask in masks] == [1, 2, 3, 4]
    assert masks[1].volume == 0  # there is no place for it
    np.testing.assert_array_equal(masks[2].mask, plain[2].mask)
    for mask, point, before in zip(masks, points, plain, strict=True):
        assert (mask.stops, mask.score) == (before.stops, before.score)
        if mask.is_ball:
            away = np.linalg.norm(mask.voxels_zyx - np.array(point), axis=1)
            assert away.max() <= 3
            np.testing.assert_array_equal(mask.centroid_zyx, point)
    assert masks[0].diameter == pytest.approx(6, rel=0.05)
    assert masks[3].volume < masks[0].volume  # half of it lies outside
    # What was seen counts more than what was put there.
    seen = masks[2]
    put = replace(masks[0], offset_zyx=seen.offset_zyx, mask=np.ones_like(seen.mask))
    assert (labels(world.shape, [put, seen])[seen.box][seen.mask] == seen.id).all()


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
    assert sum(mask.volume > 0 for mask in masks) >= 2
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
    assert sum(mask.volume > 0 for mask in together) >= 3
    for point, mask in zip(points, together, strict=True):
        (alone,) = CrossPlanePropagator(Objects()).propagate(world, [point])
        np.testing.assert_array_equal(mask.mask, alone.mask)
        assert mask.offset_zyx.tolist() == alone.offset_zyx.tolist()
        assert (mask.score, mask.stops) == (alone.score, alone.stops)


class Recording(Stub):
    """Another segmenter, with a note of what it was asked for."""

    def __init__(self, segmenter, signature=None):
        self.segmenter = segmenter
        self.signature = signature
        self.nbytes = segmenter.codec.nbytes
        self.batches = []
        self.prompts = []
        self.held = 0  # bytes, the most at any time
        self._values = []

    def embed(self, planes):
        self.batches.append(len(planes))
        # A copy each: what is alive can be told.
        made = [plane.copy() for plane in self.segmenter.embed(planes)]
        self._values += [weakref.ref(value) for value in made]
        return made

    def segment(self, embeddings, rows, points_yx, previous):
        assert len(embeddings) == len(np.unique(rows))  # no plane without a prompt
        self.prompts.append(len(rows))
        alive = [value() for value in self._values]
        held = sum(value.nbytes for value in alive if value is not None)
        if previous is not None:  # it, what is made now, and what of that goes on
            held += 3 * (previous.masks.nbytes + previous.logits.nbytes)
        self.held = max(self.held, held)
        return self.segmenter.segment(embeddings, rows, points_yx, previous)

    def pack(self, embedding):
        return embedding.ravel()

    def unpack(self, array, plane_shape):
        return array.reshape(plane_shape)


class Store:
    """A cache in memory."""

    def __init__(self):
        self.arrays = {}

    def get(self, axis, plane):
        return self.arrays.get((axis, plane))

    def put(self, axis, plane, array):
        self.arrays[axis, plane] = array.copy()


def test_each_plane_is_embedded_once_and_only_if_needed(world):
    points = [(11, 15, 20), (12, 14, 19)]
    segmenter = Recording(Objects())
    CrossPlanePropagator(segmenter, tau_iou=0).propagate(world, points)
    # The planes of the ellipsoid, and the empty one at each end.
    needed = [(0, i) for i in range(4, 19)] + [(1, i) for i in range(6, 25)]
    needed += [(2, i) for i in range(9, 32)]
    assert world.read == Counter(needed)
    assert sum(segmenter.batches) == len(needed)


def test_all_walks_of_a_step_are_decoded_in_one_call():
    data = np.zeros(SHAPE, np.float32)
    data[5:18, 10:20, 15:25] = 1
    segmenter = Recording(Objects())
    CrossPlanePropagator(segmenter).propagate(Volume(data), [(9, 15, 20), (13, 15, 20)])
    # Along z: 9 to 4 and 13 to 18 end first, then 9 to 18 and 13 to 4. Along y and x both
    # prompts walk together, five planes up and six down.
    assert segmenter.prompts == [2, 4, 4, 4, 4, 4, 2, 2, 2, 2] + 2 * [2, 4, 4, 4, 4, 4, 2]


def test_planes_are_embedded_in_batches_of_what_the_segmenter_takes():
    segmenter = Recording(Objects())
    world = Volume(np.ones(SHAPE, np.float32))
    points = [(z, 15, 20) for z in (2, 3, 4, 7, 8, 11, 14, 15, 21)]
    CrossPlanePropagator(segmenter, max_extent=1.5).propagate(world, points)
    assert segmenter.batches == [4, 4, 1, 1, 1]
    assert sum(world.read.values()) == 11


DIAMETER = 8
EXTENT = 12.8  # so a walk leaves its prompt by 6 planes


@pytest.fixture(scope="module")
def noisy_world():
    """Six noisy balls, and prompts on and beside them, at a corner, outside and repeated."""
    rng = np.random.default_rng(5)
    centres = rng.uniform((3, 3, 3), (20, 28, 39), (6, 3))
    balls = sum(ellipsoid(SHAPE, centre, (4, 4, 4)) for centre in centres)
    data = (2 * np.minimum(balls, 1) + rng.normal(0, 1.5, SHAPE)).astype(np.float32)
    beside = np.clip(centres + rng.normal(0, 1, centres.shape), 0, np.array(SHAPE) - 1)
    points = np.concatenate([centres, beside, [(0, 0, 0), (-1, 3, 3)], centres[:1]])
    return data, points


def grown(data, points, *, segmenter=None, **settings):
    settings = {"max_extent": EXTENT, "tau_iou": 0.4, **settings}
    segmenter = segmenter or ContourSegmenter(DIAMETER)
    return CrossPlanePropagator(segmenter, **settings).propagate(Volume(data), points)


def walked_alone(data, point, axis, sign):
    """One walk, plane by plane: the planes' masks and scores, and why it ended."""
    segmenter = ContourSegmenter(DIAMETER)
    planes = np.moveaxis(data, axis, 0)
    start = plane = int(np.floor(point[axis] + 0.5))
    click = points = np.delete(point, axis)[None]
    before, found = None, {}
    while 0 <= plane < len(planes):
        if abs(plane - start) > EXTENT / 2:
            return found, "size limit"
        embeddings = segmenter.embed(planes[plane][None])
        before = segmenter.segment(embeddings, np.zeros(1, np.int64), points, before)
        points = before.points_yx
        pixels = np.argwhere(before.masks[0]) + before.offsets_yx[0]
        if len(pixels) == 0:
            return found, "empty"
        if max(np.ptp(pixels, axis=0) + 1) > EXTENT or abs(points - click).max() > EXTENT / 2:
            return found, "size limit"
        mask = np.zeros(planes[plane].shape, bool)
        mask[tuple(pixels.T)] = True
        if plane != start:
            last = found[plane - sign][0]
            if (mask & last).sum() / (mask | last).sum() < 0.4:
                return found, "iou"
        found[plane] = mask, float(before.scores[0])
        plane += sign
    return found, "border"


def grown_alone(data, point):
    """The union of six lone walks, its score, and why they ended."""
    volume, scores, stops = np.zeros(data.shape, bool), [], {}
    if min(point) < -0.5:
        return volume, 0, dict.fromkeys(WALKS, "border")
    for axis in range(3):
        by_plane = {}
        for sign in (1, -1):
            found, reason = walked_alone(data, point, axis, sign)
            stops["-0+"[sign + 1] + "zyx"[axis]] = reason
            by_plane.update(found)  # both begin on the same plane
        for plane, (mask, score) in by_plane.items():
            np.moveaxis(volume, axis, 0)[plane] |= mask
            scores.append(score)
    return volume, np.mean(scores), stops


def test_lock_step_equals_one_walk_at_a_time(noisy_world):
    data, points = noisy_world
    reasons = Counter()
    for point, mask in zip(points, grown(data, points), strict=True):
        volume, score, stops = grown_alone(data, point)
        np.testing.assert_array_equal(full(mask, SHAPE), volume)
        assert (mask.score, mask.stops) == (score, stops)
        reasons.update(stops.values())
    assert set(reasons) == {"iou", "size limit", "empty", "border"}


PLANE = ContourSegmenter(DIAMETER).codec.nbytes(SHAPE[1:])  # bytes of the largest embedding


@pytest.mark.parametrize(
    ("planes", "again"), [(0, True), (3, True), (8, True), (24, False), (np.inf, False)]
)
def test_a_budget_bounds_what_is_held_and_changes_no_mask(noisy_world, planes, again):
    data, points = noisy_world
    unbounded = Recording(ContourSegmenter(DIAMETER))
    expected = grown(data, points, segmenter=unbounded, budget_bytes=1e12)
    segmenter = Recording(ContourSegmenter(DIAMETER))
    masks = grown(data, points, segmenter=segmenter, budget_bytes=planes * PLANE)
    for mask, other in zip(masks, expected, strict=True):
        np.testing.assert_array_equal(mask.mask, other.mask)
        assert mask.offset_zyx.tolist() == other.offset_zyx.tolist()
        assert (mask.score, mask.stops) == (other.score, other.stops)
    # At least two planes and the masks of one prompt.
    assert segmenter.held <= max(planes, 3) * PLANE
    # The planes of a lone prompt are 13. Where they fit, no plane is embedded twice.
    assert (sum(segmenter.batches) > sum(unbounded.batches)) == again


@pytest.mark.parametrize(("budget", "at_once"), [(1e12, 3), (48 * PLANE, 1)])
def test_axes_that_are_walked_side_by_side_give_the_same_masks(
    noisy_world, monkeypatch, budget, at_once
):
    """A sixth of 48 planes is less than the 13 of a prompt."""
    monkeypatch.setattr(threads, "usable_cores", lambda: 3)
    monkeypatch.setattr(threads, "_allowed", [np.inf])
    data, points = noisy_world
    expected = grown(data, points)
    segmenter = ContourSegmenter(DIAMETER)
    embed, meeting, here = segmenter.embed, Barrier(at_once), set()

    def together(planes):
        if get_ident() not in here:
            here.add(get_ident())
            meeting.wait(timeout=60)
        return embed(planes)

    segmenter.embed = together
    masks = grown(data, points, segmenter=segmenter, concurrent=True, budget_bytes=budget)
    assert len(here) == at_once
    for mask, other in zip(masks, expected, strict=True):
        np.testing.assert_array_equal(mask.mask, other.mask)
        assert mask.offset_zyx.tolist() == other.offset_zyx.tolist()
        assert (mask.score, mask.stops) == (other.score, other.stops)


def test_a_budget_bounds_the_masks_of_a_call():
    data = np.ones(SHAPE, np.float32)
    points = np.full((100, 3), (11, 15, 20))
    segmenter = Recording(Objects())
    grown(data, points, segmenter=segmenter, tau_iou=0, max_extent=None, budget_bytes=1e6)
    # Masks and logits of 31 x 42 pixels are 6.5 kB; six copies are 39 kB a prompt. Beside 23
    # planes of 5.2 kB there is room for 22, once the first 8 have shown it.
    assert segmenter.prompts[:14] == [8, *[16] * 11, 22, 44]


@pytest.mark.parametrize(("budget", "together"), [(6.2e6, 3), (5e6, 2), (1e6, 1)])
def test_neighbours_advance_together_even_if_the_planes_of_one_do_not_fit(budget, together):
    segmenter = Recording(Objects())
    segmenter.nbytes = lambda shape: 1_000_000
    points = [(z, 15, 20) for z in (9, 10, 11)]
    grown(np.ones(SHAPE, np.float32), points, segmenter=segmenter, budget_bytes=budget)
    assert segmenter.prompts[0] == together


def stored(data, points, store, signature):
    segmenter = Recording(ContourSegmenter(DIAMETER), signature)
    segmenter.unpack = lambda array, shape: array.reshape(np.array(shape) + 14)
    return grown(data, points, segmenter=segmenter, store=store), sum(segmenter.batches)


def test_embeddings_from_a_store_give_the_same_masks(noisy_world):
    data, points = noisy_world
    expected = grown(data, points)
    store = Store()
    masks, embedded = stored(data, points, store, {"name": "recording"})
    assert embedded == len(store.arrays) > 50
    for key in list(store.arrays)[::2]:
        del store.arrays[key]
    kept = len(store.arrays)
    again, anew = stored(data, points, store, {"name": "recording"})
    assert anew == embedded - kept
    for mask, other, third in zip(expected, masks, again, strict=True):
        np.testing.assert_array_equal(mask.mask, other.mask)
        np.testing.assert_array_equal(mask.mask, third.mask)
        assert mask.score == other.score == third.score


def test_embeddings_without_a_signature_are_not_stored(noisy_world):
    store = Store()
    assert stored(*noisy_world, store, None)[1] > 50
    assert store.arrays == {}


def test_progress_counts_the_walks(world):
    seen = []
    propagator = CrossPlanePropagator(Objects())
    points = [(11, 15, 20), (-5, 0, 0), (20, 5, 5), (0, 0, 0)]
    propagator.propagate(world, points, progress=lambda *now: seen.append(now), stage="clicks")
    assert seen[-1] == ("clicks", 24, 24)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


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
    union = CrossPlanePropagator(Crossing(), max_extent=4).propagate(world, point)[0]
    consensus = CrossPlanePropagator(Crossing(), merge="consensus", max_extent=4).propagate(
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
    assert volume.dtype == np.int16
    assert volume.ravel().tolist() == [1, 1, 2, 2, 2, 0, 0]


@pytest.mark.parametrize(("largest", "dtype"), [(32768, np.uint16), (65536, np.int32)])
def test_labels_hold_every_id(largest, dtype):
    volume = labels((1, 1, 2), [instance(largest, 0.5, (0, 0, 0), (1, 1, 1))])
    assert volume.dtype == dtype
    assert volume.ravel().tolist() == [largest, 0]


def test_shifted_windows():
    windows = np.arange(12).reshape(2, 2, 3)
    old = np.array([[5, 5], [0, 0]])
    moved = shifted(windows, old, old + np.array([[1, -1], [0, 2]]), -1)
    assert moved[0].tolist() == [[-1, 3, 4], [-1, -1, -1]]
    assert moved[1].tolist() == [[8, -1, -1], [11, -1, -1]]
    assert shifted(windows, old, old.copy(), -1) is windows
