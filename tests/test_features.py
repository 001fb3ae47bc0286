"""Tri-planar features: everything fast is what the explicit features say."""

import os
import resource
import tempfile
from threading import Event, get_ident
from typing import ClassVar

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from aitom_cryosam.encoders.filterbank import FilterBankEncoder
from aitom_cryosam.errors import InputError
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.features.query import Query
from aitom_cryosam.features.whitening import Moments, Whitening
from aitom_cryosam.geometry import TokenAxis, TokenGrid
from aitom_cryosam.masks import ball, balls
from aitom_cryosam.matcher import HierarchicalMatcher
from aitom_cryosam.tomogram import Tomogram
from tests.toys import made_up_features, particle_mask, random_features

SHAPE = (13, 22, 31)


def noise(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def explicit_similarity(features, vector, ratio, cells_zyx):
    """Eq. 5 and 6 as they are written: each view averaged over the voxels of a cell along its
    stack, at the cell's middle in the plane; then the cosine."""
    axes = features.cells(ratio)
    found = []
    for cell in cells_zyx:
        parts = []
        for axis in range(3):
            inside = np.arange(*axes[axis].edges[cell[axis] : cell[axis] + 2])
            points = np.tile([axes[i].centres[cell[i]] for i in range(3)], (len(inside), 1))
            points[:, axis] = inside
            parts.append(np.split(features.sample(points), 3, axis=1)[axis].mean(axis=0))
        found.append(np.concatenate(parts).astype(np.float64))
    found = np.array(found)
    return found @ vector / np.linalg.norm(found, axis=1) / np.linalg.norm(vector)


def similarity_at(features, vector, ratio, cells_zyx):
    return Query(features, vector).similarity(ratio)[tuple(cells_zyx.T)]


def some_cells(features, ratio, count=60):
    """All corners of the grid, and cells at random."""
    counts = np.array([axis.count for axis in features.cells(ratio)])
    corners = np.array(list(np.ndindex(2, 2, 2))) * (counts - 1)
    return np.concatenate([corners, np.random.default_rng(1).integers(0, counts, (count, 3))])


class Ramps:
    """Tokens that hold their own centre's row and column, and the plane's mean."""

    channels = 3
    concurrent = True
    signature: ClassVar = {"encoder": "ramps"}

    def planes_at_once(self, plane_shape):
        return 8

    def grid(self, plane_shape):
        return TokenGrid(*(TokenAxis(n, -(-n // 4), 4) for n in plane_shape))

    def encode(self, planes):
        grid = self.grid(planes.shape[1:])
        tokens = np.empty((len(planes), grid.rows.count, grid.columns.count, 3), np.float32)
        tokens[..., 0] = grid.rows.centres[:, None]
        tokens[..., 1] = grid.columns.centres
        tokens[..., 2] = planes.mean(axis=(1, 2))[:, None, None]
        return tokens


@pytest.mark.parametrize("slab", [1, 2, 3])
def test_features_lie_where_the_voxels_are(slab):
    # The planes of z + y + x have means that are linear along the stack.
    z, y, x = np.ogrid[tuple(map(slice, SHAPE))]
    data = (z + y + x).astype(np.float32)
    tomogram = Tomogram.from_array(data, voxel_size=10, contrast="bright")
    features = TriplanarFeatures.extract(tomogram, Ramps(), slab=slab)
    centre, scale = tomogram.normalisation.centre, tomogram.normalisation.scale
    middle = (np.array(SHAPE) - 1) / 2
    points = np.array([[4.0, 7.0, 9.0], [5.5, 9.25, 20.0], [8.0, 13.5, 27.0]])
    expected = []
    for axis, (row, column) in enumerate(((1, 2), (0, 2), (0, 1))):
        mean = points[:, axis] + middle.sum() - middle[axis]
        expected += [points[:, row], points[:, column], (mean - centre) / scale]
    np.testing.assert_allclose(features.sample(points), np.array(expected).T, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("slab", [1, 2, 3])
@pytest.mark.parametrize("ratio", [1, 2, 4, 5, 16])
def test_similarity_is_the_explicit_one(slab, ratio):
    features = random_features(SHAPE, slab=slab)
    vector = np.random.default_rng(2).standard_normal(15)
    cells = some_cells(features, ratio)
    np.testing.assert_allclose(
        similarity_at(features, vector, ratio, cells),
        explicit_similarity(features, vector, ratio, cells),
        atol=1e-5,
    )


@pytest.mark.parametrize("shape", [(3, 5, 9), (1, 4, 17)])
def test_similarity_where_an_axis_has_one_token(shape):
    features = random_features(shape, step=6)
    vector = np.random.default_rng(2).standard_normal(15)
    cells = some_cells(features, 2)
    np.testing.assert_allclose(
        similarity_at(features, vector, 2, cells),
        explicit_similarity(features, vector, 2, cells),
        atol=1e-5,
    )


def test_similarity_of_real_tokens():
    tomogram = Tomogram.from_array(noise((21, 34, 47)), voxel_size=10)
    features = TriplanarFeatures.extract(tomogram, FilterBankEncoder(9), slab=2, shrinkage=0.1)
    vector = features.sample(np.array([[10.0, 15.0, 20.0]]))[0]
    for ratio in (1, 4):
        cells = some_cells(features, ratio)
        np.testing.assert_allclose(
            similarity_at(features, vector, ratio, cells),
            explicit_similarity(features, vector, ratio, cells),
            atol=1e-5,
        )


def test_similarity_does_not_know_the_length_of_the_query_and_is_1_at_its_place():
    features = random_features(SHAPE)
    vector = features.sample(np.array([[6.0, 11.0, 17.0]]))[0]
    cell = np.array([[6, 11, 17]])
    assert similarity_at(features, vector, 1, cell) == pytest.approx(1, abs=1e-6)
    assert similarity_at(features, 50 * vector, 1, cell) == pytest.approx(1, abs=1e-6)
    assert similarity_at(features, -vector, 1, cell) == pytest.approx(-1, abs=1e-6)


def test_similarity_of_nothing_is_0():
    features = made_up_features(SHAPE, lambda centres: np.zeros((*centres.shape[:3], 5)))
    assert similarity_at(features, np.ones(15), 4, np.array([[0, 0, 0]])).tolist() == [0]


def test_many_cells_are_cut_into_pieces(monkeypatch):
    features = random_features(SHAPE)
    whole = Query(features, np.ones(15)).similarity(2)
    monkeypatch.setattr("aitom_cryosam.features.query.CELLS_AT_ONCE", 7)
    np.testing.assert_array_equal(Query(features, np.ones(15)).similarity(2), whole)


@pytest.mark.parametrize("block", [1, 100, 500])
def test_tokens_are_taken_in_pieces(monkeypatch, block):
    """A tomogram's tokens are larger than the memory; how they are cut changes nothing."""
    mask = particle_mask((0, 3, 2), np.ones((13, 9, 20)))
    ratios = (16, 8, 4, 3)
    query = random_features(SHAPE).masked_mean([mask])
    whole = TriplanarFeatures(random_features(SHAPE).views, ratios)
    monkeypatch.setattr("aitom_cryosam.features.view.BLOCK", block)
    monkeypatch.setattr("aitom_cryosam.features.level.BLOCK", block)
    pieces = TriplanarFeatures(random_features(SHAPE).views, ratios)
    np.testing.assert_allclose(pieces.masked_mean([mask]), query, atol=1e-6)
    for ratio in ratios:
        np.testing.assert_allclose(
            Query(pieces, query).similarity(ratio),
            Query(whole, query).similarity(ratio),
            atol=1e-6,
        )


@pytest.mark.parametrize("ratios", [(16, 8, 4), (6, 4, 3), (1,), (5, 1)])
def test_levels_prepared_together_are_those_prepared_alone(ratios):
    alone = random_features(SHAPE, slab=2)
    together = TriplanarFeatures(alone.views, ratios)
    for ratio in ratios:
        for one, other in zip(together.level(ratio), alone.level(ratio), strict=True):
            assert one.cells.ratio == ratio
            np.testing.assert_allclose(one.products, other.products, atol=1e-5)


BALL = sum((axis - 3.0) ** 2 for axis in np.ogrid[:6, :7, :8]) < 7
MASKS = {
    "one voxel": [particle_mask((7, 3, 11), np.ones((1, 1, 1)))],
    "a corner": [particle_mask((0, 0, 0), np.ones((1, 1, 1)))],
    "the last corner": [particle_mask((11, 20, 29), np.ones((2, 2, 2)))],
    "a ball": [particle_mask((4, 9, 13), BALL)],
    "several, one of them empty": [
        particle_mask((4, 9, 13), BALL),
        particle_mask((0, 0, 0), np.zeros((0, 0, 0))),
        particle_mask((7, 0, 20), BALL[::-1, :, ::-1]),
    ],
    "all": [particle_mask((0, 0, 0), np.ones(SHAPE))],
}


@pytest.mark.parametrize("slab", [1, 3])
@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS.keys())
def test_masked_mean_is_the_mean_over_all_voxels(masks, slab):
    features = random_features(SHAPE, slab=slab)
    voxels = np.concatenate([mask.voxels_zyx for mask in masks if mask.volume])
    expected = features.sample(voxels).astype(np.float64).mean(axis=0)
    found = features.masked_mean(masks)
    assert found.shape == (15,)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("masks", [[], [particle_mask((0, 0, 0), np.zeros((0, 0, 0)))]])
def test_masked_mean_of_nothing(masks):
    with pytest.raises(ValueError, match="at least one mask"):
        random_features(SHAPE).masked_mean(masks)


def test_masked_means_are_those_of_single_masks():
    features = random_features(SHAPE)
    masks = [
        ball(point, 4.0, SHAPE) for point in ((0, 0, 0), (5.2, 11.9, 17.4), np.array(SHAPE) - 1)
    ]
    expected = [features.masked_mean([mask]) for mask in masks]
    np.testing.assert_allclose(features.masked_means(masks), expected, atol=1e-6)
    assert features.masked_means([]).shape == (0, 3 * features.channels)


def mixed_samples(channels=6):
    rng = np.random.default_rng(3)
    mixing = rng.standard_normal((channels, channels)) * np.logspace(-2, 2, channels)
    return rng.standard_normal((4000, channels)) @ mixing + np.arange(channels)


def test_whitening_without_shrinkage_gives_unit_covariance():
    samples = mixed_samples()
    white = Whitening.fit(Moments.of(samples), 0).apply(samples)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(6), atol=2e-3)


def test_whitening_with_full_shrinkage_standardises():
    samples = mixed_samples()
    expected = (samples - samples.mean(axis=0)) / samples.std(axis=0)
    np.testing.assert_allclose(
        Whitening.fit(Moments.of(samples), 1).apply(samples), expected, atol=1e-3
    )


def test_whitening_takes_a_channel_that_says_nothing():
    samples = mixed_samples()
    samples[:, 2] = 7
    white = Whitening.fit(Moments.of(samples), 0.1).apply(samples)
    assert np.isfinite(white).all()
    np.testing.assert_allclose(white[:, 2], 0, atol=1e-3)


def test_moments_of_parts_are_those_of_the_whole():
    samples = mixed_samples()
    parts = Moments.of(samples[:1]) + Moments.of(samples[1:900]) + Moments.of(samples[900:])
    assert parts.count == 4000
    np.testing.assert_allclose(parts.mean, samples.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(parts.scatter / 4000, np.cov(samples.T, bias=True), rtol=1e-9)


@pytest.mark.parametrize("slab", [1, 3])
def test_extraction_is_deterministic_and_counts_every_plane(slab):
    tomogram = Tomogram.from_array(noise((21, 34, 47)), voxel_size=10)
    told: list[tuple[str, int, int]] = []
    first, second = (
        TriplanarFeatures.extract(
            tomogram,
            FilterBankEncoder(9),
            slab=slab,
            shrinkage=0.1,
            progress=lambda *now: told.append(now),
        )
        for _ in range(2)
    )
    assert [now for now in told if now[1] == now[2]] == 2 * [("features", 102, 102)]
    for one, other in zip(first.views, second.views, strict=True):
        assert one.tokens.dtype == np.float16
        assert one.tokens.tobytes() == other.tokens.tobytes()


def test_a_slab_is_the_mean_of_its_planes():
    data = noise((21, 34, 47))
    tomogram = Tomogram.from_array(data, voxel_size=10)
    encoder = FilterBankEncoder(9)
    features = TriplanarFeatures.extract(tomogram, encoder, slab=4)
    assert [view.slices.count for view in features.views] == [6, 9, 12]
    last = tomogram.planes(1, 32, 34).mean(axis=0)  # two planes are left
    np.testing.assert_allclose(
        features.views[1].tokens[-1], encoder.encode(last[None])[0], rtol=2e-3, atol=2e-3
    )


class OneAtATime(FilterBankEncoder):
    """A network, as far as the extraction knows."""

    concurrent = False

    def __init__(self, diameter):
        super().__init__(diameter)
        self.threads = set()

    def planes_at_once(self, plane_shape):
        return 3

    def encode(self, planes):
        assert len(planes) <= 3
        self.threads.add(get_ident())
        return super().encode(planes)


@pytest.mark.parametrize("shrinkage", [None, 0.1])
@pytest.mark.parametrize("slab", [1, 4])
def test_an_encoder_that_is_called_from_one_thread_gives_the_same_tokens(slab, shrinkage):
    tomogram = Tomogram.from_array(noise((7, 34, 47)), voxel_size=10)
    told: list[tuple[str, int, int]] = []
    alone = OneAtATime(9)
    with threadpool_limits(1, user_api="blas"):  # as where planes are encoded side by side
        found, expected = (
            TriplanarFeatures.extract(
                tomogram,
                encoder,
                slab=slab,
                shrinkage=shrinkage,
                progress=lambda *now: told.append(now),
            )
            for encoder in (alone, FilterBankEncoder(9))
        )
    assert alone.threads == {get_ident()}
    assert [now for now in told if now[1] == now[2]] == 2 * [("features", 88, 88)]
    for one, other in zip(found.views, expected.views, strict=True):
        assert one.tokens.tobytes() == other.tokens.tobytes()


def test_tokens_are_put_away_while_the_next_planes_are_encoded():
    further, waited = Event(), []

    class Encoder(OneAtATime):
        calls = 0

        def encode(self, planes):
            self.calls += 1
            if self.calls > 1:
                further.set()
            return super().encode(planes)

    def slow(*_):
        waited.append(further.wait(20))

    tomogram = Tomogram.from_array(noise((7, 34, 47)), voxel_size=10)
    TriplanarFeatures.extract(tomogram, Encoder(9), progress=slow)
    assert waited
    assert all(waited)


@pytest.mark.parametrize("fails", ["encode", "put"])
def test_what_fails_in_either_thread_is_told(fails, monkeypatch):
    class Encoder(OneAtATime):
        def encode(self, planes):
            if fails == "encode":
                raise InputError("The memory of the device does not suffice.")
            return super().encode(planes)

    def cancelled(stage, done, total):
        if fails == "put":
            raise InputError("Cancelled.")

    tomogram = Tomogram.from_array(noise((7, 34, 47)), voxel_size=10)
    with pytest.raises(InputError, match="suffice" if fails == "encode" else "Cancelled"):
        TriplanarFeatures.extract(tomogram, Encoder(9), progress=cancelled)


def token_bytes(features):
    return sum(view.tokens.nbytes for view in features.views)


def on_disk(features):
    """Whether the tokens of all views, or of none, are mapped from files."""
    mapped = {isinstance(view.tokens.base, np.memmap) for view in features.views}
    assert len(mapped) == 1
    return mapped.pop()


def test_tokens_beyond_the_memory_lie_on_disk_and_give_the_same_picks(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tomogram = Tomogram.from_array(noise((21, 34, 47)), voxel_size=10)

    def extract(ram_bytes):
        return TriplanarFeatures.extract(
            tomogram, FilterBankEncoder(9), shrinkage=0.1, ratios=(8, 4), ram_bytes=ram_bytes
        )

    whole = extract(None)
    fits, exceeds = extract(token_bytes(whole)), extract(token_bytes(whole) - 1)
    assert (on_disk(whole), on_disk(fits), on_disk(exceeds)) == (False, False, True)
    assert list(tmp_path.iterdir()) == []  # the files have no name any more
    mask = particle_mask((7, 11, 20), BALL)
    vector = whole.masked_mean([mask])
    assert exceeds.masked_mean([mask]).tobytes() == vector.tobytes()
    one, other = (Query(features, vector) for features in (whole, exceeds))
    assert one.similarity(4).tobytes() == other.similarity(4).tobytes()
    matcher = HierarchicalMatcher(ratios=(8, 4), tau_sim=0.0, distance=5.0)
    picks, same = matcher.match(one), matcher.match(other)
    assert len(picks) > 5
    assert picks.points_zyx.tobytes() == same.points_zyx.tobytes()
    assert picks.scores.tobytes() == same.scores.tobytes()


@pytest.mark.parametrize("encoder", [FilterBankEncoder(9), OneAtATime(9)])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_early_end_leaves_no_files(tmp_path, monkeypatch, error, encoder):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    def stop(*_: object) -> None:
        seen.extend(tmp_path.iterdir())
        raise error

    tomogram = Tomogram.from_array(noise((7, 34, 47)), voxel_size=10)
    with pytest.raises(error):
        TriplanarFeatures.extract(tomogram, encoder, ram_bytes=0, progress=stop)
    assert len(seen) >= 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space cannot be reserved here")
def test_a_disk_that_fills_up_is_a_sentence_and_no_signal(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    tomogram = Tomogram.from_array(noise((21, 34, 47)), voxel_size=10)
    try:
        with pytest.raises(InputError, match=r"^The features need .*File too large") as error:
            TriplanarFeatures.extract(tomogram, FilterBankEncoder(9), ram_bytes=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(tmp_path) in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_balls_hold_the_voxels_within_a_radius():
    rng = np.random.default_rng(0)
    shape = np.array((9, 14, 11))
    points = rng.uniform(-1, shape, (80, 3))
    for radius in (0.3, 2.0, 3.7):
        for point, mask in zip(points, balls(points, radius, shape), strict=True):
            away = np.moveaxis(np.indices(shape), 0, -1) - point
            expected = (away**2).sum(axis=-1) <= radius**2
            expected[tuple(np.clip(np.floor(point + 0.5), 0, shape - 1).astype(int))] = True
            found = np.zeros(shape, bool)
            found[mask.box] = mask.mask
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(mask.prompt_zyx, point)
    assert balls(points[:0], 2.0, shape) == []
