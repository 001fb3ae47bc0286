"""What every plane segmenter in the registry must do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aitom_cryosam.models import MODELS, SEGMENTERS
from aitom_cryosam.segmenters import Segmentation
from tests.families import segmenter

SHAPE = (61, 83)
KINDS = [
    (name, window)
    for name in SEGMENTERS
    for window in ([None] if MODELS[name].weights is None else [None, 3.0])
]
FIELDS = ("offsets_yx", "masks", "logits", "scores", "points_yx")
TYPES = ("int64", "bool", "float32", "float32", "float64")
ROWS = np.array([0, 1, 1, 2, 0])
POINTS = np.array([(30, 40), (12.4, 17.6), (0, 0), (60, 82), (45, 70)], np.float64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1] or 'whole'}", scope="module")
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def one(kind, folder):
    return segmenter(kind[0], folder, window=kind[1])


@pytest.fixture(scope="module")
def planes():
    """(3, h, w) noise with a disc of 14 pixels around every prompt."""
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    result = np.random.default_rng(0).normal(0, 0.7, (3, *SHAPE))
    for row, (cy, cx) in zip(ROWS, POINTS, strict=True):
        result[row] += 2 * (np.hypot(y - cy, x - cx) <= 7)
    return result.astype(np.float32)


@pytest.fixture(scope="module")
def found(one, planes) -> Segmentation:
    return one.segment(one.embed(planes), ROWS, POINTS, None)


def assert_same(first: Segmentation, second: Segmentation, *, exactly: bool) -> None:
    for name in FIELDS:
        mine, other = getattr(first, name), getattr(second, name)
        if exactly or mine.dtype == np.int64:
            np.testing.assert_array_equal(mine, other, err_msg=name)
        elif mine.dtype == bool:
            assert (mine != other).mean() < 1e-3, name
        else:
            np.testing.assert_allclose(mine, other, atol=1e-4, err_msg=name)


def test_shapes_and_types(found) -> None:
    assert [str(getattr(found, name).dtype) for name in FIELDS] == list(TYPES)
    assert found.offsets_yx.shape == found.points_yx.shape == (5, 2)
    assert found.masks.ndim == found.logits.ndim == 3
    assert len(found) == 5
    assert found.scores.shape == (5,)
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert np.isfinite(found.logits).all()


def test_masks_and_points_are_on_the_plane(found) -> None:
    for offset, mask in zip(found.offsets_yx, found.masks, strict=True):
        pixels = np.argwhere(mask) + offset
        assert (pixels >= 0).all()
        assert (pixels < SHAPE).all()
    assert (found.points_yx > -0.5).all()
    assert (found.points_yx < np.array(SHAPE) - 0.5).all()


def test_no_prompts_are_no_masks(one, planes) -> None:
    none = one.segment(one.embed(planes[:1]), np.zeros(0, np.int64), np.zeros((0, 2)), None)
    assert len(none) == 0
    assert [str(getattr(none, name).dtype) for name in FIELDS] == list(TYPES)
    joined = Segmentation.concatenate([none, none])
    assert joined.masks.shape == none.masks.shape


def test_the_same_prompts_give_the_same_bytes(one, kind, folder, planes, found) -> None:
    assert_same(one.segment(one.embed(planes), ROWS, POINTS, None), found, exactly=True)
    again = segmenter(kind[0], folder, window=kind[1])
    assert_same(again.segment(again.embed(planes), ROWS, POINTS, None), found, exactly=True)


def test_a_prompt_does_not_depend_on_the_others_nor_on_what_came_before(one, planes, found) -> None:
    embeddings = one.embed(planes)
    second = one.segment(embeddings, ROWS, found.points_yx, found)
    for i in (4, 1):
        alone = one.segment([embeddings[ROWS[i]]], np.zeros(1, np.int64), POINTS[i : i + 1], None)
        after = one.segment([embeddings[ROWS[i]]], np.zeros(1, np.int64), alone.points_yx, alone)
        assert_same(alone, found.take(slice(i, i + 1)), exactly=False)
        assert_same(after, second.take(slice(i, i + 1)), exactly=False)


def test_a_plane_is_embedded_alike_in_any_batch(one, planes, found) -> None:
    embeddings = [one.embed(planes[i : i + 1])[0] for i in range(3)]
    assert_same(one.segment(embeddings, ROWS, POINTS, None), found, exactly=False)


def test_the_mask_before_and_the_plane_matter(one, planes, found) -> None:
    embeddings = one.embed(planes)
    after = one.segment(embeddings, ROWS, POINTS, found)
    assert np.abs(after.logits - found.logits).max() > 1e-3
    elsewhere = one.segment(embeddings[::-1], ROWS, POINTS, None)
    assert np.abs(elsewhere.logits - found.logits).max() > 1e-3


def test_an_embedding_packs_unchanged_and_is_as_large_as_it_says(one, planes, found) -> None:
    packed = [one.codec.pack(embedding) for embedding in one.embed(planes)]
    assert {array.nbytes for array in packed} == {one.codec.nbytes(SHAPE)}
    again = [one.codec.unpack(array, SHAPE) for array in packed]
    assert_same(one.segment(again, ROWS, POINTS, None), found, exactly=True)
    assert one.planes_at_once(SHAPE) >= 1
    assert one.held_bytes > 0


def test_planes_are_only_read(one, planes) -> None:
    copy = planes.copy()
    copy.flags.writeable = False
    one.embed(copy)
    np.testing.assert_array_equal(copy, planes)


@pytest.mark.parametrize("name", [name for name in SEGMENTERS if MODELS[name].weights])
def test_the_signature_is_json_and_knows_the_weights(name, folder, tmp_path) -> None:
    import torch

    signature = segmenter(name, folder).codec.signature
    assert json.loads(json.dumps(signature)) == signature
    state = torch.load(folder / f"{name}.pth", weights_only=True)
    torch.save({key: 1.01 * value for key, value in state.items()}, tmp_path / f"{name}.pth")
    (tmp_path / f"{name}.json").write_bytes((folder / f"{name}.json").read_bytes())
    assert segmenter(name, tmp_path).codec.signature != signature
