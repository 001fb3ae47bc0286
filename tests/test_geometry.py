"""Where tokens and cells lie: half voxels, on sizes that do not divide."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aitom_cryosam.binning import binned
from aitom_cryosam.geometry import CellAxis, PixelAxis, TokenAxis, TokenGrid, in_plane_axes, runs

sizes = st.integers(1, 60)
steps = st.integers(1, 20)


@st.composite
def token_axes(draw):
    size, step = draw(sizes), draw(steps)
    return TokenAxis(size, -(-size // step), step)


cell_axes = st.builds(CellAxis, sizes, steps)


def test_token_centres_lie_half_a_token_in():
    # Three unequal axes; 7, 10 and 4 voxels in tokens of 2, 4 and 3.
    axes = [TokenAxis(7, 4, 2), TokenAxis(10, 3, 4), TokenAxis(4, 2, 3)]
    assert [axis.centres.tolist() for axis in axes] == [
        [0.5, 2.5, 4.5, 6.5],
        [1.5, 5.5, 9.5],
        [1.0, 4.0],
    ]


def test_a_step_may_be_a_fraction():
    assert TokenAxis(10, 4, 2.5).centres.tolist() == [0.75, 3.25, 5.75, 8.25]


@pytest.mark.parametrize(
    ("voxel", "lower", "fraction"),
    [
        (-0.5, 0, 0.0),  # beyond the first centre: constant
        (1.5, 0, 0.0),
        (2.5, 0, 0.25),
        (3.5, 0, 0.5),
        (5.5, 1, 0.0),
        (9.0, 1, 0.875),
        (9.5, 1, 1.0),  # never the last token as the lower one
        (30.0, 1, 1.0),
    ],
)
def test_interpolation(voxel, lower, fraction):
    found = TokenAxis(10, 3, 4).interpolation(np.array([voxel]))
    assert (found[0].item(), found[1].item()) == (lower, fraction)


def test_a_single_token_is_constant():
    lower, fraction = TokenAxis(3, 1, 4).interpolation(np.array([-1.0, 1.5, 3.0]))
    assert lower.tolist() == [0, 0, 0]
    assert fraction.tolist() == [0, 0, 0]
    assert TokenAxis(3, 1, 4).weights(np.arange(3)).tolist() == [[1], [1], [1]]


def test_one_voxel_per_token_changes_nothing():
    np.testing.assert_array_equal(TokenAxis(5, 5, 1).weights(np.arange(5)), np.eye(5))


@given(token_axes(), st.lists(st.floats(-5, 70), min_size=1, max_size=20))
def test_weights_sum_to_one_and_are_the_interpolation(axis, voxels):
    weights = axis.weights(np.array(voxels))
    assert weights.shape == (len(voxels), axis.count)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    lower, fraction = axis.interpolation(np.array(voxels))
    np.testing.assert_allclose(weights @ np.arange(axis.count), lower + fraction, atol=1e-12)


@given(token_axes(), st.floats(-3, 3), st.floats(-3, 3))
def test_a_linear_function_comes_back(axis, slope, offset):
    voxels = np.linspace(axis.centres[0], axis.centres[-1], 17)
    back = axis.weights(voxels) @ (slope * axis.centres + offset)
    np.testing.assert_allclose(back, slope * voxels + offset, atol=1e-9)


@given(token_axes())
def test_constant_beyond_the_outermost_centres(axis):
    beyond = np.array([axis.centres[0] - 7.3, axis.centres[-1] + 7.3])
    values = axis.weights(beyond) @ np.arange(axis.count)
    assert values.tolist() == [0, axis.count - 1]


def test_cells_of_sizes_that_do_not_divide():
    # Three unequal axes at ratio 4: the last cell has 2, 4 and 1 voxels.
    axes = [CellAxis(6, 4), CellAxis(8, 4), CellAxis(9, 4)]
    assert [axis.edges.tolist() for axis in axes] == [[0, 4, 6], [0, 4, 8], [0, 4, 8, 9]]
    assert [axis.centres.tolist() for axis in axes] == [[1.5, 4.5], [1.5, 5.5], [1.5, 5.5, 8.0]]


def test_cell_of_rounds_to_the_nearest_voxel_and_stays_inside():
    axis = CellAxis(10, 4)
    voxels = np.array([-3.0, -0.5, 3.49, 3.5, 7.49, 7.5, 9.0, 12.0])
    assert axis.cell_of(voxels).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]


@given(cell_axes)
def test_cells_partition_the_axis(axis):
    widths = np.diff(axis.edges)
    assert axis.edges[0] == 0
    assert widths.sum() == axis.size
    assert (widths[:-1] == axis.ratio).all()
    assert 1 <= widths[-1] <= axis.ratio
    assert len(axis.centres) == axis.count


@given(cell_axes)
def test_cells_hold_their_voxels_and_their_centre(axis):
    voxels = np.arange(axis.size)
    cells = axis.cell_of(voxels)
    np.testing.assert_array_equal(cells, np.repeat(np.arange(axis.count), np.diff(axis.edges)))
    means = np.bincount(cells, voxels) / np.bincount(cells)
    np.testing.assert_allclose(axis.centres, means)
    np.testing.assert_array_equal(axis.cell_of(axis.centres), np.arange(axis.count))


@given(sizes, st.sampled_from([(16, 8), (8, 4), (16, 4), (4, 1), (6, 3)]))
def test_fine_cells_lie_in_one_coarse_cell(size, ratios):
    coarse, fine = (CellAxis(size, ratio) for ratio in ratios)
    of_first = coarse.cell_of(fine.edges[:-1])
    np.testing.assert_array_equal(of_first, coarse.cell_of(fine.edges[1:] - 1))
    np.testing.assert_array_equal(of_first, coarse.cell_of(fine.centres))


def test_in_plane_axes_keep_their_order():
    assert [in_plane_axes(axis) for axis in range(3)] == [(1, 2), (0, 2), (0, 1)]


def test_a_grid_fits_the_longer_side_and_keeps_the_aspect_ratio():
    grid = TokenGrid.fitted((30, 100), 37)
    assert (grid.rows, grid.columns) == (
        TokenAxis(30, 12, 100 / 37),  # 11.1 tokens
        TokenAxis(100, 37, 100 / 37),
    )
    upright = TokenGrid.fitted((100, 30), 37)
    assert (upright.rows, upright.columns) == (grid.columns, grid.rows)


@given(st.integers(1, 2000), st.integers(1, 2000), st.sampled_from([5, 32, 37, 64]))
def test_a_fitted_grid_covers_the_plane_with_no_token_beside_it(height, width, count):
    grid = TokenGrid.fitted((height, width), count)
    assert max(grid.rows.count, grid.columns.count) == count
    for axis in (grid.rows, grid.columns):
        assert (axis.count - 1) * axis.step < axis.size <= axis.count * axis.step + 1e-9


def test_a_spaced_grid_takes_as_many_tokens_as_it_needs():
    grid = TokenGrid.spaced((42, 43), 14.0)
    assert [(axis.count, axis.step) for axis in (grid.rows, grid.columns)] == [(3, 14), (4, 14)]
    # 0.3 / 0.1 is a little below 3, 0.9 / 0.3 a little above: no fourth token for rounding.
    assert TokenGrid.spaced((9, 9), 3 * (1 + 1e-15)).rows.count == 3
    assert TokenGrid.spaced((9, 9), 3 * (1 - 1e-15)).rows.count == 3


@pytest.mark.parametrize(
    ("size", "count", "patch"),
    [(37, 5, 14), (100, 5, 8), (70, 5, 14), (7, 5, 14), (3, 1, 14), (96, 2, 3)],
)
def test_resampling_is_torchs_antialiased_interpolation(size, count, patch):
    values = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    axis = PixelAxis(TokenAxis(size, count, size / count), patch)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None, None],
        size=(1, count * patch),
        mode="bilinear",
        antialias=True,
    )
    np.testing.assert_allclose(axis.resampling() @ values, expected[0, 0, 0], atol=1e-5)


def test_a_token_of_as_many_voxels_as_pixels_is_handed_on():
    axis = PixelAxis(TokenAxis(40, 3, 14), 14)
    expected = np.eye(42, 40)
    expected[40:, 39] = 1  # the edge, repeated
    np.testing.assert_array_equal(axis.resampling(), expected)


@given(st.integers(4, 90), st.floats(1, 20), st.sampled_from([4, 8, 14]))
def test_the_mean_position_of_a_tokens_pixels_is_its_centre(size, step, patch):
    tokens = TokenAxis(size, -(-size // math.ceil(step)), step)
    axis = PixelAxis(tokens, patch)
    positions = axis.resampling() @ np.arange(size)  # of every pixel, where it came from
    means = positions.reshape(-1, patch).mean(axis=1)
    margin = max(axis.pitch, 1)  # where the edge is not yet seen
    inside = (tokens.centres > step / 2 + margin) & (tokens.centres < size - step / 2 - margin - 1)
    # A sampled triangle is off by a few hundredths where its width is no whole number.
    tolerance = 1e-3 if axis.pitch <= 1 else 0.06
    np.testing.assert_allclose(means[inside], tokens.centres[inside], atol=tolerance)


def test_pixels_are_filled_as_far_as_their_centre_is_on_the_axis():
    # 2.5 pixels a voxel: 30 voxels fill 75 of 84 pixels; 29 fill 72.5, whose last centre is in.
    assert PixelAxis(TokenAxis(30, 6, 5.6), 14).filled == 75
    assert PixelAxis(TokenAxis(29, 6, 5.6), 14).filled == 73
    assert PixelAxis(TokenAxis(28, 5, 5.6), 14).filled == 70


def test_neighbouring_planes_are_one_run():
    assert runs([3]) == [(3, 4)]
    assert runs((0, 1, 2, 5, 7, 8)) == [(0, 3), (5, 6), (7, 9)]


@given(token_axes(), st.data())
def test_spans_have_the_weights_that_are_not_0(axis, data):
    firsts = data.draw(st.lists(st.integers(0, axis.size - 1), min_size=1, max_size=3))
    count = data.draw(st.integers(1, axis.size))
    tokens, weights = axis.spans(np.array(firsts), count)
    for first, where, matrix in zip(firsts, tokens, weights, strict=True):
        inside = min(count, axis.size - first)
        found = np.zeros((inside, axis.count))
        np.add.at(found, (slice(None), where), matrix[:inside])
        expected = axis.weights(np.arange(first, first + inside))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_square_grid_has_oblong_tokens():
    grid = TokenGrid.square((30, 100), 5)
    assert [(axis.count, axis.step) for axis in (grid.rows, grid.columns)] == [(5, 6.0), (5, 20.0)]
    assert grid.rows.centres.tolist() == [2.5, 8.5, 14.5, 20.5, 26.5]


def test_binned_voxels_are_the_means_of_their_blocks():
    volume = np.random.default_rng(0).standard_normal((7, 9, 12)).astype(np.float32)
    expected = volume[:6, :9, :12].reshape(2, 3, 3, 3, 4, 3).mean(axis=(1, 3, 5))
    found = binned(volume, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(binned(volume, 1), volume)
