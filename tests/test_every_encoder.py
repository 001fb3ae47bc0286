"""What every plane encoder in the registry must do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aitom_cryosam.models import ENCODERS, MODELS
from tests.families import DIAMETER, VOXEL_SIZE, encoder

KINDS = [
    (name, token_size)
    for name in ENCODERS
    for token_size in ([None] if MODELS[name].weights is None else [None, 140.0])
]
SHAPES = [(56, 84), (41, 97), (97, 30)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1] or 'whole'}", scope="module")
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def one(kind, folder):
    name, token_size = kind
    return encoder(name, folder, token_size_angstrom=token_size)


@pytest.mark.parametrize("shape", SHAPES)
def test_tokens_are_finite_and_laid_out_as_the_grid_says(one, shape) -> None:
    grid = one.grid(shape)
    tokens = one.encode(noise(2, *shape))
    assert tokens.shape == (2, grid.rows.count, grid.columns.count, one.channels)
    assert tokens.dtype == np.float32
    assert np.isfinite(tokens).all()
    assert (grid.rows.size, grid.columns.size) == shape
    for axis in (grid.rows, grid.columns):
        # Every voxel is under a token, and no token lies outside altogether.
        assert axis.count * axis.step >= axis.size - 1e-6
        assert (axis.count - 1) * axis.step < axis.size
    assert grid.rows.step == grid.columns.step
    assert one.planes_at_once(shape) >= 1


def test_the_same_planes_give_the_same_bytes(one, kind, folder) -> None:
    planes = noise(2, 56, 84)
    tokens = one.encode(planes)
    np.testing.assert_array_equal(one.encode(planes), tokens)
    again = encoder(kind[0], folder, token_size_angstrom=kind[1])
    np.testing.assert_array_equal(again.encode(planes), tokens)
    assert again.signature == one.signature


def test_a_plane_does_not_depend_on_the_others(one) -> None:
    planes = noise(3, 41, 97)
    together = one.encode(planes)
    np.testing.assert_allclose(one.encode(planes[1:2])[0], together[1], atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 1e-2  # the tolerance means something


def test_planes_are_only_read(one) -> None:
    planes = noise(1, 56, 84)
    before = planes.copy()
    planes.flags.writeable = False
    one.encode(planes)
    np.testing.assert_array_equal(planes, before)


def test_what_moves_by_whole_tokens_moves_in_the_tokens(one, kind) -> None:
    shape, places = (98, 126), [(1, 1), (1, 3), (2, 1)]
    grid = one.grid(shape)
    planes = np.repeat(noise(1, *shape), 1 + len(places), axis=0)
    for plane, (row, column) in zip(planes[1:], places, strict=True):
        up, left = (
            np.abs(np.arange(axis.size) - axis.centres[token]) < axis.step / 2
            for axis, token in ((grid.rows, row), (grid.columns, column))
        )
        plane += 4 * np.outer(up, left)
    tokens = one.encode(planes)
    changes = np.linalg.norm(tokens[1:] - tokens[0], axis=-1)  # (3, rows, columns)
    found = [np.unravel_index(change.argmax(), change.shape) for change in changes]
    # The neck of SAM mixes tokens with their neighbours.
    mixed = 1 if MODELS[kind[0]].family == "sam" else 0
    assert np.abs(np.array(found) - places).max() <= mixed


@pytest.mark.parametrize("name", [name for name in ENCODERS if MODELS[name].weights is None])
@pytest.mark.parametrize("move", [(1, 0), (0, 2), (2, -1)])
def test_a_plane_rolled_by_whole_tokens_rolls_the_tokens(name, move, folder) -> None:
    # Networks know the positions of their tokens: there, only the test above holds.
    one = encoder(name, folder)
    grid = one.grid((120, 150))
    step = int(grid.rows.step)
    assert step == grid.rows.step
    plane = noise(1, 120, 150)
    pixels = [step * tokens for tokens in move]
    moved = one.encode(np.roll(plane, pixels, axis=(1, 2)))
    expected = np.roll(one.encode(plane), move, axis=(1, 2))
    inner = (slice(None), slice(13, -13), slice(13, -13))  # beyond the reach of what came round
    assert moved[inner].size > 0
    np.testing.assert_allclose(moved[inner], expected[inner], atol=1e-4)
    assert np.abs(moved[inner] - one.encode(plane)[inner]).max() > 0.1


CHANGES = {
    "diameter": {"diameter": 1.3 * DIAMETER},
    "voxel size": {"voxel_size": 0.8 * VOXEL_SIZE},
    "tiles": {"token_size_angstrom": 100.0},
    "colours": {"normalisation": "imagenet"},
}


@pytest.mark.parametrize("name", ENCODERS)
def test_the_signature_changes_with_all_that_changes_the_tokens(name, folder) -> None:
    planes = noise(1, 56, 84)
    base = {"token_size_angstrom": 140.0} if MODELS[name].weights else {}
    first = encoder(name, folder, **base)
    signature, tokens = first.signature, first.encode(planes)
    assert json.loads(json.dumps(signature)) == signature
    changed = []
    for what, change in CHANGES.items():
        other = encoder(name, folder, **{**base, **change})
        found = other.encode(planes)
        if found.shape != tokens.shape or not np.array_equal(found, tokens):
            changed.append(what)
            assert other.signature != signature, what
        else:
            assert other.signature == signature, what  # or the cache would be of no use
    assert changed, "nothing that was changed changes the tokens"


@pytest.mark.parametrize("name", [name for name in ENCODERS if MODELS[name].weights])
def test_the_signature_knows_the_weights(name, folder, tmp_path) -> None:
    import torch

    encoder(name, folder)  # writes the weights
    state = torch.load(folder / f"{name}.pth", weights_only=True)
    torch.save({key: 1.01 * value for key, value in state.items()}, tmp_path / f"{name}.pth")
    (tmp_path / f"{name}.json").write_bytes((folder / f"{name}.json").read_bytes())
    assert encoder(name, tmp_path).signature != encoder(name, folder).signature
