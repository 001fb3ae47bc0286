"""Planes to a network's input and its tokens back: layout, tiles, normalisation."""

import numpy as np
import pytest
import torch
from torch import nn

from aitom_cryosam.device import Batches, Device
from aitom_cryosam.encoders.dino import load_dino
from aitom_cryosam.encoders.network import IMAGENET, Backbone, NetworkEncoder
from aitom_cryosam.encoders.tiles import TileAxis
from aitom_cryosam.errors import InputError
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.geometry import in_plane_axes
from aitom_cryosam.models import MODELS
from aitom_cryosam.tomogram import Tomogram
from tests.tiny_dino import write_tiny_dino

CPU = Device("cpu", 4_000_000_000)
PATCH = 4


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def patch_means(images):
    """A network that sees each patch alone: the mean of its red, green and blue."""
    return nn.functional.avg_pool2d(images, PATCH).permute(0, 2, 3, 1)


def transparent(
    *, token_size, tokens=8, fixed=False, colours=None, forward=patch_means, squashed=False
):
    backbone = Backbone(
        module=nn.Identity(),
        forward=forward,
        patch=PATCH,
        tokens=tokens,
        fixed=fixed,
        channels=3,
        colours=colours,
        tile_bytes=1000,
    )
    return NetworkEncoder(
        backbone, CPU, voxel_size=10, token_size=token_size, identity={}, squashed=squashed
    )


def tiny_dino(folder, *, token_size=None, tokens=5, **changes):
    path = write_tiny_dino(folder, tokens=tokens, **changes)
    model = MODELS["dinov2_vits14_reg"]
    backbone = load_dino(path, model, CPU, normalisation="tomogram")
    return NetworkEncoder(backbone, CPU, voxel_size=10, token_size=token_size, identity={})


def test_tiles_overlap_by_a_quarter_and_the_last_one_ends_with_the_axis():
    axis = TileAxis(100, 37)
    assert (axis.size, axis.overlap, axis.starts) == (37, 9, [0, 28, 56, 63])
    assert (TileAxis(20, 37).size, TileAxis(20, 37).starts) == (20, [0])
    assert TileAxis(37, 37).starts == [0]
    assert TileAxis(38, 37).starts == [0, 1]


def test_the_weights_of_two_tiles_are_ramps_over_their_overlap():
    np.testing.assert_allclose(
        TileAxis(14, 8).weights,
        [[1, 1, 1, 1, 1, 1, 2 / 3, 1 / 3], [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1]],
        rtol=1e-6,
    )


@pytest.mark.parametrize(("count", "limit"), [(100, 37), (1, 8), (9, 8), (7, 1), (31, 5)])
def test_the_weights_of_all_tiles_sum_to_one_everywhere(count, limit):
    axis, total = TileAxis(count, limit), np.zeros(count)
    for start, weights in zip(axis.starts, axis.weights, strict=True):
        total[start : start + axis.size] += weights
    np.testing.assert_allclose(total, 1, rtol=1e-6)


@pytest.mark.parametrize("token_size", [None, 10.0, 27.0, 40.0])
@pytest.mark.parametrize("shape", [(37, 50), (90, 16), (5, 4), (4, 300)])
@pytest.mark.parametrize("fixed", [False, True])
def test_tokens_are_laid_out_as_the_grid_says(token_size, shape, fixed):
    encoder = transparent(token_size=token_size, fixed=fixed)
    grid = encoder.grid(shape)
    tokens = encoder.encode(noise(2, *shape))
    assert tokens.dtype == np.float32
    assert tokens.shape == (2, grid.rows.count, grid.columns.count, 3)
    assert np.isfinite(tokens).all()
    assert grid.rows.step == grid.columns.step
    assert (grid.rows.size, grid.columns.size) == shape
    for axis in (grid.rows, grid.columns):
        assert axis.count * axis.step >= axis.size - 1e-9 > (axis.count - 1) * axis.step


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2)])
def test_planes_of_a_few_pixels_are_encoded_whole(shape):
    tokens = transparent(token_size=None).encode(noise(1, *shape))
    assert max(tokens.shape[1:3]) == 8
    assert np.isfinite(tokens).all()


@pytest.mark.parametrize(
    ("token_size", "squashed"), [(None, False), (None, True), (35.0, False), (40.0, True)]
)
@pytest.mark.parametrize("fixed", [False, True])
def test_a_ramp_in_voxels_is_read_off_at_the_token_centres(token_size, squashed, fixed):
    # Rows and columns at once, on a plane whose sides differ: the axes cannot be mixed up.
    y, x = np.mgrid[:41, :97].astype(np.float32)
    encoder = transparent(token_size=token_size, fixed=fixed, squashed=squashed)
    tokens = encoder.encode((0.1 * y - 0.03 * x)[None])[0, ..., 0]
    grid = encoder.grid((41, 97))
    expected = 0.1 * grid.rows.centres[:, None] - 0.03 * grid.columns.centres
    # The outermost tokens see the repeated edge, or the padding.
    np.testing.assert_allclose(tokens[1:-1, 1:-1], expected[1:-1, 1:-1], atol=2e-3)
    whole = token_size is None
    assert (tokens.shape == (8, 8)) == (squashed and whole)
    assert encoder.signature["squashed"] == (squashed and whole)


def test_the_edge_is_repeated_where_any_size_will_do_and_zeros_follow_where_it_is_fixed():
    plane = np.full((1, 10, 32), 1.5, np.float32)  # 10 rows are 2.5 tokens
    free = transparent(token_size=40.0).encode(plane)
    np.testing.assert_allclose(free, 1.5, rtol=1e-6)
    fixed = transparent(token_size=40.0, fixed=True).encode(plane)
    np.testing.assert_allclose(fixed[0, :2], 1.5, rtol=1e-6)
    np.testing.assert_allclose(fixed[0, 2], 0.75, rtol=1e-6)


def test_a_network_of_a_fixed_size_sees_no_other():
    seen = []

    def forward(images):
        seen.append(tuple(images.shape))
        return patch_means(images)

    encoder = transparent(token_size=40.0, fixed=True, forward=forward)
    encoder.encode(noise(1, 10, 80))  # 3 x 20 tokens in tiles of 8
    assert set(seen) == {(1, 3, 32, 32)}
    assert len(seen) == 3


@pytest.mark.parametrize(("value", "grey"), [(-3.0, 0.0), (0.0, 0.5), (1.5, 0.75), (5.0, 1.0)])
def test_photographs_colours(value, grey):
    plane = np.full((1, 8, 8), value, np.float32)
    tokens = transparent(token_size=None, colours=IMAGENET).encode(plane)
    expected = [(grey - 0.485) / 0.229, (grey - 0.456) / 0.224, (grey - 0.406) / 0.225]
    np.testing.assert_allclose(tokens[0, 0, 0], expected, rtol=1e-5)


def test_without_colours_planes_are_handed_on_as_they_are():
    tokens = transparent(token_size=None).encode(np.full((1, 8, 8), -5.5, np.float32))
    np.testing.assert_allclose(tokens[0, 3, 3], [-5.5, -5.5, -5.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("token_size", "good"), [(9.9, False), (10.0, True), (410.0, True), (411.0, False)]
)
def test_a_token_is_neither_smaller_than_a_voxel_nor_larger_than_a_plane(token_size, good):
    encoder = transparent(token_size=token_size)
    if good:
        assert encoder.grid((41, 97)).rows.count * token_size >= 410
    else:
        with pytest.raises(InputError, match=r"size from 10 to 410 Å, which is 1 to 41"):
            encoder.grid((41, 97))


@pytest.mark.parametrize("token_size", [None, 140.0])
def test_planes_do_not_depend_on_their_batch(token_size, tmp_path):
    encoder = tiny_dino(tmp_path, token_size=token_size)
    planes = noise(3, 100, 150)
    one_by_one = encoder.encode(planes)
    encoder._batches = Batches(5)
    np.testing.assert_allclose(encoder.encode(planes), one_by_one, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(planes[1:2])[0], one_by_one[1], atol=1e-5)
    assert encoder.planes_at_once((20, 20)) == 5


class HalfPrecision(Device):
    """A CPU that computes as a GPU does."""

    precision = torch.bfloat16


def test_half_precision_gives_nearly_the_same_tokens_in_half_the_space(tmp_path):
    encoder = tiny_dino(tmp_path, token_size=140.0)
    half = NetworkEncoder(
        encoder.backbone,
        HalfPrecision("cpu", 4_000_000_000),
        voxel_size=10,
        token_size=140.0,
        identity={},
    )
    planes = noise(2, 100, 150)
    expected, tokens = encoder.encode(planes), half.encode(planes)
    assert tokens.dtype == np.float16
    error = np.linalg.norm(tokens - expected) / np.linalg.norm(expected)
    assert 1e-4 < error < 0.02
    assert half.signature["precision"] == "bfloat16"
    assert half.signature != encoder.signature


@pytest.mark.parametrize("shrinkage", [None, 0.1])
def test_tokens_that_stay_on_the_device_are_whitened_there(tmp_path, monkeypatch, shrinkage):
    tomogram = Tomogram.from_array(noise(40, 30, 34), voxel_size=10)
    encoder = tiny_dino(tmp_path)
    expected = TriplanarFeatures.extract(tomogram, encoder, shrinkage=shrinkage)
    monkeypatch.setattr(NetworkEncoder, "_keeps_tokens", True)
    assert isinstance(encoder.encode(noise(1, 30, 34)), torch.Tensor)
    found = TriplanarFeatures.extract(tomogram, encoder, shrinkage=shrinkage)
    for ours, theirs in zip(found.views, expected.views, strict=True):
        assert ours.tokens.dtype == np.float16
        np.testing.assert_allclose(ours.tokens, theirs.tokens, rtol=2e-3, atol=2e-3)


def test_planes_are_only_read(tmp_path):
    planes = noise(1, 30, 40)
    planes.flags.writeable = False
    tiny_dino(tmp_path).encode(planes)


def test_memory_that_runs_out_halves_the_batch_and_changes_nothing(tmp_path):
    encoder = tiny_dino(tmp_path, token_size=140.0)
    planes = noise(2, 100, 150)
    expected = encoder.encode(planes)
    forward, sizes = encoder.backbone.forward, []

    def scarce(images):
        sizes.append(len(images))
        if len(images) > 2:
            raise torch.cuda.OutOfMemoryError("full")
        return forward(images)

    object.__setattr__(encoder.backbone, "forward", scarce)
    encoder._batches = Batches(8)
    np.testing.assert_allclose(encoder.encode(planes), expected, atol=1e-5)
    assert sizes[:3] == [8, 4, 2]


def test_whole_planes_are_one_pass_of_timms_network(tmp_path):
    encoder = tiny_dino(tmp_path)
    plane = noise(1, 28, 70)  # as long as the network's own input: nothing is resampled
    with torch.inference_mode():
        images = torch.from_numpy(plane)[:, None].expand(-1, 3, -1, -1)
        features = encoder.backbone.module.forward_features(images)[:, 5:]
    tokens = encoder.encode(plane)
    np.testing.assert_array_equal(tokens.reshape(1, 10, 48), features)


def test_a_plane_turned_in_a_circle_by_whole_tokens_turns_the_tokens(tmp_path):
    # One tile, no positions: attention does not know the order of the tokens.
    encoder = tiny_dino(tmp_path, token_size=140.0, pos_embed=torch.zeros(1, 26, 48))
    plane = noise(1, 56, 70)
    turned = encoder.encode(np.roll(plane, (14, -28), axis=(1, 2)))
    expected = np.roll(encoder.encode(plane), (1, -2), axis=(1, 2))
    np.testing.assert_allclose(turned, expected, atol=1e-5)


def test_a_shift_by_a_tiles_stride_shifts_the_tokens_of_inner_tiles(tmp_path):
    # With positions and all: every tile but the last sees the same pixels in the same places.
    encoder = tiny_dino(tmp_path, token_size=140.0)  # tiles of 5 tokens, a new one every 4
    field = noise(1, 42, 14 * 30)
    first = encoder.encode(field[:, :, : 14 * 26])
    second = encoder.encode(field[:, :, 14 * 4 :])
    # Columns 4 to 20 of the first are blended of the tiles at 0, 4, 8, 12, 16, 20.
    np.testing.assert_allclose(second[0, :, 1:17], first[0, :, 5:21], atol=1e-5)
    assert np.abs(second[0, :, 1:17] - first[0, :, 4:20]).max() > 0.1


@pytest.mark.parametrize("token_size", [None, 60.0])
def test_one_bright_voxel_changes_the_token_that_holds_it_most(token_size, tmp_path):
    # With tokens of 6 voxels the voxel is the last, the first and the last of its token.
    shape, place = (20, 42, 54), (11, 18, 41)
    encoder = tiny_dino(tmp_path, token_size=token_size)
    empty = noise(*shape)
    filled = empty.copy()
    filled[place] = 6
    views = []
    for data in (empty, filled):
        tomogram = Tomogram(data, voxel_size=10, name="t", contrast="bright")
        features = TriplanarFeatures.extract(tomogram, encoder, slab=1, ratios=(1,))
        views.append(features.views)
    for axis, (before, after) in enumerate(zip(*views, strict=True)):
        assert np.isfinite(after.tokens).all()
        change = np.linalg.norm(after.tokens.astype(np.float32) - before.tokens, axis=-1)
        found = np.unravel_index(change.argmax(), change.shape)
        for order, one, index in zip((axis, *in_plane_axes(axis)), after.axes, found, strict=True):
            assert abs(one.centres[index] - place[order]) <= one.step / 2
