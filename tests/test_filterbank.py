"""The filter-bank encoder, and what every encoder must do."""

import json

import numpy as np
import pytest
from scipy import ndimage

from aitom_cryosam.encoders.filterbank import FilterBankEncoder
from aitom_cryosam.filters import gaussians
from aitom_cryosam.scratch import Scratch

DIAMETER = 18.0  # voxels; tokens of 4


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def blob(shape, centre, sigma):
    y, x = np.ogrid[: shape[0], : shape[1]]
    squares = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
    return np.exp(-squares / (2 * sigma**2)).astype(np.float32)


@pytest.fixture
def encoder():
    return FilterBankEncoder(DIAMETER)


@pytest.mark.parametrize("shape", [(37, 50), (40, 61), (16, 90), (9, 11), (1, 30)])
def test_tokens_are_laid_out_as_the_grid_says(encoder, shape):
    grid = encoder.grid(shape)
    tokens = encoder.encode(noise(2, *shape))
    assert tokens.dtype == np.float32
    assert tokens.shape == (2, grid.rows.count, grid.columns.count, encoder.channels)
    assert np.isfinite(tokens).all()
    assert (grid.rows.size, grid.columns.size) == shape
    for axis in (grid.rows, grid.columns):
        assert axis.count * axis.step >= axis.size > (axis.count - 1) * axis.step


def test_planes_do_not_depend_on_their_batch(encoder):
    planes = noise(3, 37, 50)
    together = encoder.encode(planes)
    np.testing.assert_array_equal(together[1:2], encoder.encode(planes[1:2]))
    np.testing.assert_array_equal(together, encoder.encode(planes))


def test_planes_are_only_read(encoder):
    planes = noise(2, 37, 50)
    planes.flags.writeable = False
    encoder.encode(planes)


@pytest.mark.parametrize("shape", [(41, 55), (64, 46)])
@pytest.mark.parametrize("centre", [(9.5, 13.5), (21.5, 37.5), (13.5, 41.5), (30.0, 22.0)])
def test_a_blob_peaks_at_the_token_whose_centre_is_nearest(shape, centre):
    encoder = FilterBankEncoder(DIAMETER)
    grid = encoder.grid(shape)
    tokens = encoder.encode(blob(shape, centre, 3.0)[None])[0]
    intensity = tokens[:, :, 0]  # of the finest scale
    peak = np.unravel_index(intensity.argmax(), intensity.shape)
    nearest = [
        abs(axis.centres - position).argmin()
        for axis, position in zip((grid.rows, grid.columns), centre, strict=True)
    ]
    assert list(peak) == nearest


@pytest.mark.parametrize("diameter", [4.0, 9.0, 18.0, 27.0, 70.0])
def test_every_channel_is_symmetric_around_a_blob_on_a_token(diameter):
    # A shift by a fraction of a token in any scale or decimation would show.
    encoder = FilterBankEncoder(diameter)
    size = 9 * encoder.token
    middle = (size - 1) / 2
    tokens = encoder.encode(blob((size, size), (middle, middle), diameter / 6)[None])[0]
    np.testing.assert_allclose(tokens, tokens[::-1], atol=1e-5)
    np.testing.assert_allclose(tokens, tokens[:, ::-1], atol=1e-5)


@pytest.mark.parametrize(
    "turn",
    [
        lambda planes: np.rot90(planes, axes=(1, 2)),
        lambda planes: np.rot90(planes, 2, axes=(1, 2)),
        lambda planes: planes[:, ::-1],
        lambda planes: planes[:, :, ::-1],
        lambda planes: np.swapaxes(planes, 1, 2),
    ],
    ids=["quarter", "half", "rows", "columns", "transposed"],
)
def test_turned_planes_give_turned_tokens(turn):
    encoder = FilterBankEncoder(DIAMETER)
    planes = noise(2, 40, 64)  # whole tokens
    np.testing.assert_allclose(
        encoder.encode(np.ascontiguousarray(turn(planes))), turn(encoder.encode(planes)), atol=1e-5
    )


@pytest.mark.parametrize("diameter", [18.0, 24.0, 27.0])
def test_the_same_particle_at_twice_the_sampling_gives_nearly_the_same_tokens(diameter):
    # Smooth noise on both grids; pixels are means of 2 x 2.
    fine = ndimage.gaussian_filter(noise(144, 192), diameter / 6)
    fine = (fine / fine.std())[None]
    coarse = fine.reshape(1, 72, 2, 96, 2).mean(axis=(2, 4))
    tokens = FilterBankEncoder(diameter).encode(coarse)[:, 2:-2, 2:-2]
    others = FilterBankEncoder(2 * diameter).encode(fine)[:, 2:-2, 2:-2]
    assert tokens.shape == others.shape
    first, second = (values.reshape(-1, 80) for values in (tokens, others))
    error = np.sqrt(np.square(first - second).mean(axis=0)) / first.std(axis=0)
    alike = [np.corrcoef(first[:, i], second[:, i])[0, 1] for i in range(80)]
    finest = np.arange(80) % 16 < 4  # one or two voxels wide: what is left is the sampling
    assert error[~finest].max() < 0.06
    assert np.min(alike) > 0.9


def test_a_constant_plane_has_only_its_intensity():
    encoder = FilterBankEncoder(DIAMETER)
    tokens = encoder.encode(np.full((1, 21, 34), 2.5, np.float32))
    assert set(np.unique(tokens.round(3))) == {0.0, 2.5}
    # Per scale: intensity, gradient and two curvatures; each as it is, and in two windows
    # its mean and deviation.
    assert (tokens[0, 0, 0].round(3) == 2.5).sum() == 4 * (1 + 2)
    assert encoder.channels == 80


def test_tokens_follow_the_particle():
    assert [FilterBankEncoder(d).token for d in (3, 9, 12, 18, 27, 36, 50, 100)] == [
        1, 2, 3, 4, 6, 8, 12, 24,
    ]  # fmt: skip


def test_the_signature_is_json_and_follows_the_size():
    one, other = FilterBankEncoder(9).signature, FilterBankEncoder(9.5).signature
    assert json.loads(json.dumps(one)) == one
    assert (one["encoder"], one["radius"]) == ("filterbank", 4.5)
    assert one != other


@pytest.mark.parametrize("shape", [(1, 30), (9, 11), (50, 131)])
@pytest.mark.parametrize("sigma", [0.6, 1.3, 4.0])
def test_filters_are_scipys_gaussian_derivatives(sigma, shape):
    planes, scratch = noise(2, *shape), Scratch()
    made = [some.copy() for some in gaussians(sigma, orders=3).both(planes, scratch)]
    orders = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0)]
    for order, ours in zip(orders, made, strict=True):
        expected = ndimage.gaussian_filter(
            planes, (0, sigma, sigma), order=(0, *order), mode="reflect", truncate=3.0
        )
        np.testing.assert_allclose(ours, expected, atol=2e-6)
    again = gaussians(sigma, orders=3).both(planes, scratch)  # where others were
    np.testing.assert_array_equal(np.stack(again), np.stack(made))


def test_an_offset_does_not_drown_the_deviations(encoder):
    planes = noise(1, 40, 40) / 100
    deviation = slice(2 * 16, 3 * 16)
    np.testing.assert_allclose(
        encoder.encode(planes + 6)[..., deviation],
        encoder.encode(planes)[..., deviation],
        atol=1e-5,
    )
