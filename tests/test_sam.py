"""SAM as a segmenter, against segment_anything's own predictor."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry

from aitom_cryosam.device import Batches, Device
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS
from aitom_cryosam.resources import Resources
from aitom_cryosam.sam.model import ARCHITECTURES, build_sam, load_sam
from aitom_cryosam.segmenters import build
from aitom_cryosam.segmenters import sam as sam_module
from aitom_cryosam.segmenters.sam import SamSegmenter, WindowSamSegmenter, grey
from aitom_cryosam.settings import Settings
from tests.tiny_models import TINY, tiny_sam, write_tiny_sam

CPU = Device("cpu", 1_000_000_000)
SHAPES = [(64, 64), (40, 90), (301, 200), (8, 8)]


def segmenter_of(sam, max_extent=20.0, device=CPU):
    return SamSegmenter(sam, device, max_extent=max_extent, identity={"segmenter": "tiny"})


def planes_of(shape, count=2, seed=0):
    return np.random.default_rng(seed).normal(0, 1.5, (count, *shape)).astype(np.float32)


class Oracle:
    """SamPredictor, one prompt of one or more points at a time, with nothing of ours in it."""

    def __init__(self, sam, plane):
        self.shape = plane.shape
        self.predictor = SamPredictor(sam)
        self.predictor.set_image(np.repeat(grey(plane)[:, :, None], 3, axis=2))

    def __call__(self, point_yx, logits=None):
        """Upsampled (k, h, w), scores (k,), low-resolution (k, l, l)."""
        points_xy = np.reshape(point_yx, (-1, 2))[:, ::-1]
        points_xy = self.predictor.transform.apply_coords(points_xy, self.shape)
        found = self.predictor.predict_torch(
            torch.as_tensor(points_xy, dtype=torch.float)[None],
            torch.ones(1, len(points_xy), dtype=torch.int),
            mask_input=None if logits is None else torch.as_tensor(logits)[None, None],
            return_logits=True,
        )
        return [part[0].numpy() for part in found]


def windowed(plane, offset, side, fill):
    """The window of a plane (h, w), `fill` outside."""
    padded = np.pad(plane, side, constant_values=fill)
    y, x = np.asarray(offset) + side
    return padded[y : y + side, x : x + side]


def assert_parity(found, row, oracle, point, logits=None):
    maps, scores, lows = oracle(point, logits)
    chosen = int(np.abs(lows - found.logits[row]).max(axis=(1, 2)).argmin())
    np.testing.assert_allclose(found.logits[row], lows[chosen], atol=1e-4, rtol=0)
    assert found.scores[row] == pytest.approx(np.clip(scores[chosen], 0, 1), abs=1e-4)
    side = found.masks.shape[1]
    window = windowed(maps[chosen], found.offsets_yx[row], side, -np.inf)
    sure = np.abs(window) > 1e-4
    np.testing.assert_array_equal(found.masks[row][sure], (window > 0)[sure])
    peak = tuple(found.points_yx[row].astype(int))
    assert maps[chosen][peak] == pytest.approx(window.max(), abs=1e-4)
    return window


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_scores_and_logits_are_those_of_the_predictor(shape):
    sam = tiny_sam()
    planes = planes_of(shape)
    segmenter = segmenter_of(sam)
    rows = np.array([0, 1, 1, 0, 1])
    points = np.random.default_rng(1).uniform(0, 1, (5, 2)) * shape
    first = segmenter.segment(segmenter.embed(planes), rows, points, None)
    second = segmenter.segment(segmenter.embed(planes), rows, first.points_yx, first)
    oracles = [Oracle(sam, plane) for plane in planes]
    spread = []
    for row in range(5):
        oracle = oracles[rows[row]]
        assert_parity(first, row, oracle, points[row])
        window = assert_parity(second, row, oracle, first.points_yx[row], first.logits[row])
        spread.append(window[np.isfinite(window)].std())
    assert min(spread) > 0.1  # the tolerance says something
    assert np.abs(second.logits - first.logits).max() > 0.1  # and the prompt matters


def test_several_points_on_one_object_are_one_prompt():
    sam, plane = tiny_sam(), planes_of((40, 90), 1)[0]
    segmenter, rows = segmenter_of(sam), np.zeros(3, np.int64)
    points = np.random.default_rng(1).uniform(0, 1, (3, 5, 2)) * plane.shape
    embeddings = segmenter.embed(plane[None])
    first = segmenter.segment(embeddings, rows, points, None)
    second = segmenter.segment(embeddings, rows, points, first)
    oracle = Oracle(sam, plane)
    for row in range(3):
        assert_parity(first, row, oracle, points[row])
        assert_parity(second, row, oracle, points[row], first.logits[row])
    alone = segmenter.segment(embeddings, rows, points[:, 0], None)
    assert np.abs(alone.logits - first.logits).max() > 0.1  # the others matter
    np.testing.assert_array_equal(alone.offsets_yx, first.offsets_yx)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(464, 300)])
def test_a_full_size_vit_b_agrees_with_the_predictor(shape):
    torch.manual_seed(0)
    sam = build_sam(ARCHITECTURES["vit_b"])
    plane = planes_of(shape, 1)[0]
    segmenter = segmenter_of(sam, device=Device("cpu", 12_000_000_000))
    rows, points = np.zeros(3, np.int64), np.array([(100.0, 40), (231.4, 150.2), (463, 299)])
    embeddings = segmenter.embed(plane[None])
    first = segmenter.segment(embeddings, rows, points, None)
    second = segmenter.segment(embeddings, rows, first.points_yx, first)
    oracle = Oracle(sam, plane)
    for row in range(3):
        assert_parity(first, row, oracle, points[row])
        assert_parity(second, row, oracle, first.points_yx[row], first.logits[row])
    assert first.logits.shape == (3, 256, 256)


def test_what_is_decoded_together_does_not_change_the_masks():
    segmenter = segmenter_of(tiny_sam())
    embeddings = segmenter.embed(planes_of((40, 90), 3))
    rows, points = np.array([2, 0, 1, 0, 2]), planes_of((5, 2), 1)[0] * 5 + (20, 45)
    together = segmenter.segment(embeddings, rows, points, None)
    segmenter._decoding = Batches(2)
    apart = segmenter.segment(embeddings, rows, points, None)
    np.testing.assert_allclose(apart.logits, together.logits, atol=1e-5)
    np.testing.assert_array_equal(apart.points_yx, together.points_yx)
    alone = segmenter.segment(embeddings[2:], np.array([0]), points[:1], None)
    np.testing.assert_allclose(alone.logits[0], together.logits[0], atol=1e-5)


def test_the_shapes_and_types_are_those_of_the_seam():
    segmenter = segmenter_of(tiny_sam(), max_extent=9.2)
    embeddings = segmenter.embed(planes_of((40, 90)))
    found = segmenter.segment(embeddings, np.array([0, 1]), np.array([(0, 0), (39.4, 88.5)]), None)
    assert found.masks.shape == (2, 23, 23)
    assert found.logits.shape == (2, 32, 32)
    assert found.offsets_yx.tolist() == [[-11, -11], [28, 78]]
    types = [found.masks, found.offsets_yx, found.logits, found.scores, found.points_yx]
    assert [str(part.dtype) for part in types] == ["bool", "int64", "float32", "float32", "float64"]
    assert not found.masks[0, :11].any()
    assert not found.masks[0, :, :11].any()
    assert not found.masks[1, 12:].any()
    assert not found.masks[1, :, 12:].any()
    assert (found.points_yx >= 0).all()
    assert (found.points_yx <= (39, 89)).all()
    none = segmenter.segment([], np.zeros(0, np.int64), np.zeros((0, 2)), None)
    assert none.masks.shape == (0, 23, 23)
    assert none.logits.shape == (0, 32, 32)
    assert none.points_yx.shape == none.offsets_yx.shape == (0, 2)
    assert segmenter.segment([], np.zeros(0, np.int64), np.zeros((0, 2)), none).masks.size == 0


def discs(radii, centre_yx=(8, 16)):
    """(k, 32, 32) logits: above 0 within so many low-resolution pixels of the centre."""
    y, x = np.indices((32, 32))
    distance = np.hypot(y - centre_yx[0], x - centre_yx[1])
    return torch.tensor(np.array(radii)[:, None, None] - distance, dtype=torch.float)


class ScriptedDecoder(sam_module.SamDecoder):
    """Answers every prompt with the same candidates."""

    logits = scores = None

    def __call__(self, images, points_xy, masks):
        n = len(points_xy)
        return self.logits.expand(n, -1, -1, -1), torch.tensor(self.scores).expand(n, -1)


def scripted(monkeypatch, radii, scores, max_extent):
    monkeypatch.setattr(sam_module, "SamDecoder", ScriptedDecoder)
    monkeypatch.setattr(ScriptedDecoder, "logits", discs(radii))
    monkeypatch.setattr(ScriptedDecoder, "scores", scores)
    segmenter = segmenter_of(tiny_sam(), max_extent)
    # Low-resolution pixel (8, 16) is pixel (23.4, 46.4) of this plane: 90 / 32 a pixel.
    embeddings = segmenter.embed(planes_of((50, 90), 1))
    return segmenter.segment(embeddings, np.array([0]), np.array([(24, 46)]), None)


@pytest.mark.parametrize(
    ("scores", "max_extent", "radius", "score"),
    [
        ([0.5, 0.7, 0.9], 60, 6.0, 0.9),
        ([0.5, 0.7, 0.9], 30, 4.0, 0.7),  # the best is wider
        ([0.5, 0.3, 0.9], 30, 2.0, 0.5),
        ([0.5, 0.7, 0.9], 5, 2.0, 0.5),  # all are wider
        ([-0.2, -0.3, 1.7], 60, 6.0, 1.0),
        ([-0.2, -0.3, 1.7], 5, 2.0, 0.0),
    ],
)
def test_the_best_candidate_within_the_size_limit_is_taken(
    monkeypatch, scores, max_extent, radius, score
):
    found = scripted(monkeypatch, [2.0, 4.0, 6.0], scores, max_extent)
    area = np.pi * (radius * 90 / 32) ** 2
    expected = min(area, found.masks[0].size)
    assert np.count_nonzero(found.masks[0]) == pytest.approx(expected, rel=0.1)
    assert found.scores[0] == pytest.approx(score)
    np.testing.assert_array_equal(found.logits[0], discs([radius])[0])


def test_an_empty_candidate_is_taken_only_if_all_are_empty(monkeypatch):
    found = scripted(monkeypatch, [-1.0, 6.0, 4.0], [0.9, 0.8, 0.7], 5)
    assert found.scores[0] == pytest.approx(0.8)  # both fill the window
    found = scripted(monkeypatch, [-1.0, -2.0, -3.0], [0.7, 0.9, 0.8], 5)
    assert not found.masks.any()


def test_the_point_of_highest_confidence_is_right_on_a_plane_that_is_not_square(monkeypatch):
    found = scripted(monkeypatch, [2.0, 4.0, 6.0], [0.5, 0.7, 0.9], 60)
    np.testing.assert_allclose(found.points_yx[0], (23.4, 45.9), atol=1.1)
    mask = np.argwhere(found.masks[0]) + found.offsets_yx[0]
    np.testing.assert_allclose(mask.mean(axis=0), (23.4, 45.9), atol=0.3)


def test_grey_values_span_three_deviations():
    plane = np.array([[[-6, -3, -1.5, 0], [1.5, 2.99, 3, 6]]], np.float32)
    assert grey(plane).tolist() == [[[0, 0, 64, 128], [191, 255, 255, 255]]]
    assert grey(plane).dtype == np.uint8


class HalfDevice(Device):
    precision = torch.bfloat16


@pytest.mark.parametrize("kind", [Device, HalfDevice])
def test_an_embedding_survives_being_packed(kind):
    segmenter = segmenter_of(tiny_sam(), device=kind("cpu", 10**9))
    embedding = segmenter.embed(planes_of((40, 90)))[1]
    packed = segmenter.codec.pack(embedding)
    assert packed.nbytes == segmenter.codec.nbytes((40, 90))
    again = segmenter.codec.unpack(packed, (40, 90))
    assert embedding.tokens.untyped_storage().nbytes() == packed.nbytes  # none of its batch
    assert again.shape == (40, 90)
    assert again.tokens.dtype is embedding.tokens.dtype
    assert torch.equal(again.tokens, embedding.tokens)


def test_in_half_precision_the_masks_are_nearly_the_same():
    planes, rows = planes_of((40, 90)), np.array([0, 1, 1])
    points = np.array([(20, 30), (5, 70), (33.3, 44)])
    found = []
    for kind in (Device, HalfDevice):
        segmenter = segmenter_of(tiny_sam(), device=kind("cpu", 10**9))
        first = segmenter.segment(segmenter.embed(planes), rows, points, None)
        found.append(segmenter.segment(segmenter.embed(planes), rows, points, first))
    full, half = found
    assert half.logits.dtype == half.scores.dtype == np.float32
    assert 0 < np.abs(half.logits - full.logits).mean() < 0.03 * full.logits.std()
    np.testing.assert_allclose(half.scores, full.scores, atol=0.02)
    assert (half.masks != full.masks).mean() < 0.02


def test_the_signature_names_weights_greys_and_precision():
    expected = {"segmenter": "tiny", "shown": 3.0, "precision": "float32"}
    assert segmenter_of(tiny_sam()).codec.signature == expected
    half = segmenter_of(tiny_sam(), device=HalfDevice("cpu", 10**9)).codec.signature
    assert half == {**expected, "precision": "bfloat16"}
    json.dumps(half)


def test_a_budget_too_small_for_one_plane_says_what_is_needed():
    with pytest.raises(InputError, match=r"needs about 0\.0 GB on cpu, and may use 0\.0 GB"):
        segmenter_of(tiny_sam(), device=Device("cpu", 500_000))
    assert segmenter_of(tiny_sam(), device=Device("cpu", 5_000_000)).planes_at_once((9, 9)) == 1


def test_vit_h_encodes_many_planes_at_once_within_8_gb_in_half_precision(monkeypatch):
    monkeypatch.setitem(sam_module._MOST_AT_ONCE, "meta", 100)
    for limit, expected in ((8e9, 11), (4.6e9, 4), (3.2e9, 1)):
        sam = build_sam(ARCHITECTURES["vit_h"], "meta")
        segmenter = segmenter_of(sam, device=HalfDevice("meta", int(limit)))
        # Half of the memory, less 1.30 GB of weights, in parts of 0.23 GB
        assert segmenter.planes_at_once((928, 960)) == expected


# ---- the window ----


def window_segmenter(sam, side):
    return WindowSamSegmenter(sam, CPU, max_extent=10, identity={}, side=side)


def test_in_a_window_the_masks_are_those_of_the_predictor_on_the_window():
    sam = tiny_sam()
    planes = planes_of((60, 83))
    segmenter = window_segmenter(sam, 24)
    embeddings = segmenter.embed(planes)
    rows, points = np.array([1, 0]), np.array([(30, 40.0), (3.4, 80)])
    first = segmenter.segment(embeddings, rows, points, None)
    assert first.offsets_yx.tolist() == [[18, 28], [-9, 68]]
    assert first.masks.shape == (2, 24, 24)
    second = segmenter.segment(embeddings, rows, first.points_yx, first)
    assert second.offsets_yx.tolist() == [[18, 28], [-9, 68]]  # it stays for the walk
    padded = np.pad(planes, ((0, 0), (24, 24), (24, 24)), mode="edge")
    for row, (y, x) in enumerate(first.offsets_yx + 24):
        oracle = Oracle(sam, padded[rows[row], y : y + 24, x : x + 24])
        corner = first.offsets_yx[row]
        for found, point, logits in (
            (first, points[row], None),
            (second, first.points_yx[row], first.logits[row]),
        ):
            maps, scores, lows = oracle(point - corner, logits)
            chosen = int(np.abs(lows - found.logits[row]).max(axis=(1, 2)).argmin())
            np.testing.assert_allclose(found.logits[row], lows[chosen], atol=1e-4, rtol=0)
            assert found.scores[row] == pytest.approx(np.clip(scores[chosen], 0, 1), abs=1e-4)
            sure = np.abs(maps[chosen]) > 1e-4
            if row:  # beyond the plane's edge there is no mask
                sure[:9] = sure[:, 15:] = False
            np.testing.assert_array_equal(found.masks[row][sure], (maps[chosen] > 0)[sure])
    assert not first.masks[1, :9].any()
    assert not first.masks[1, :, 15:].any()


def test_an_embedding_of_the_window_segmenter_is_the_plane_in_grey():
    segmenter = window_segmenter(tiny_sam(), 24)
    planes = planes_of((60, 83))
    embedding = segmenter.embed(planes)[1]
    np.testing.assert_array_equal(embedding, grey(planes)[1])
    assert embedding.nbytes == segmenter.codec.nbytes((60, 83)) == 60 * 83
    assert segmenter.codec.signature is None
    np.testing.assert_array_equal(
        segmenter.codec.unpack(segmenter.codec.pack(embedding), (60, 83)), embedding
    )
    none = segmenter.segment([], np.zeros(0, np.int64), np.zeros((0, 2)), None)
    assert none.masks.shape == (0, 24, 24)


# ---- checkpoints ----


def test_a_tiny_checkpoint_with_its_sizes_beside_it_makes_a_segmenter(tmp_path):
    path = write_tiny_sam(tmp_path / "tiny.pth", seed=3)
    settings = Settings(segmenter="sam_vit_b")
    resources = Resources(device="cpu", checkpoints={"sam_vit_b": path})
    segmenter = build(settings, resources, diameter_voxels=10, max_extent=16)
    assert type(segmenter) is SamSegmenter
    assert segmenter.side == 35
    assert segmenter.codec.signature["segmenter"] == "sam_vit_b"
    assert len(segmenter.codec.signature["weights"]) == 64
    planes, rows, points = planes_of((40, 90)), np.array([1]), np.array([(20, 30)])
    found = segmenter.segment(segmenter.embed(planes), rows, points, None)
    direct = segmenter_of(tiny_sam(seed=3), max_extent=16)
    expected = direct.segment(direct.embed(planes), rows, points, None)
    np.testing.assert_array_equal(found.logits, expected.logits)
    window = build(replace(settings, window=2.5), resources, diameter_voxels=10, max_extent=16)
    assert type(window) is WindowSamSegmenter
    assert window.side == 25


def layers(network):
    """What state dicts do not tell: activations, strides, small numbers added."""
    return [(type(module).__name__, module.extra_repr()) for module in network.modules()]


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_the_published_sizes_are_those_of_the_package(name):
    with torch.device("meta"):
        published = sam_model_registry[name]()
    ours = build_sam(ARCHITECTURES[name], "meta")
    shapes = [
        {key: value.shape for key, value in sam.state_dict().items()} for sam in (ours, published)
    ]
    assert shapes[0] == shapes[1]
    for part in ("image_encoder", "prompt_encoder", "mask_decoder"):
        assert layers(getattr(ours, part)) == layers(getattr(published, part))
    windows = [
        [block.window_size for block in sam.image_encoder.blocks] for sam in (ours, published)
    ]
    assert windows[0] == windows[1]
    heads = [sam.mask_decoder.transformer.num_heads for sam in (ours, published)]
    assert heads == [8, 8]
    assert ours.pixel_mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert ours.pixel_std.flatten().tolist() == pytest.approx([58.395, 57.12, 57.375])


def test_the_weights_of_another_model_are_refused_by_its_name(tmp_path):
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, tmp_path / "sam.pth")
    with pytest.raises(InputError, match=r"does not fit sam_vit_h.*that of sam_vit_b: ask for"):
        load_sam(tmp_path / "sam.pth", MODELS["sam_vit_h"])


def test_a_state_dict_of_something_else_is_refused_with_an_example(tmp_path):
    torch.save({"layer.weight": torch.zeros(3, 4)}, tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"net\.pth does not fit sam_vit_b, where .* and not"):
        load_sam(tmp_path / "net.pth", MODELS["sam_vit_b"])


@pytest.mark.parametrize("change", ["missing", "further", "shape"])
def test_a_checkpoint_must_fit_in_every_tensor(tmp_path, change):
    path = write_tiny_sam(tmp_path / "tiny.pth")
    state = torch.load(path, weights_only=True)
    name = "mask_decoder.iou_token.weight"
    if change == "missing":
        del state[name]
        said = rf"{name} is 1 × 32 and not absent"
    elif change == "shape":
        state[name] = torch.zeros(2, 32)
        said = rf"{name} is 1 × 32 and not 2 × 32"
    else:
        state["adapter.weight"] = torch.zeros(5)
        said = r"adapter\.weight is absent and not 5"
    torch.save(state, path)
    with pytest.raises(InputError, match=rf"does not fit the JSON file beside it, where {said}"):
        load_sam(path, MODELS["sam_vit_b"])


@pytest.mark.parametrize(
    "change",
    [
        {"embed_dim": None},
        {"depth": 0},
        {"num_heads": 2.0},
        {"global_attn_indexes": 1},
        {"global_attn_indexes": [True]},
        {"width": 3},
    ],
)
def test_sizes_that_are_none_are_refused(tmp_path, change):
    path = write_tiny_sam(tmp_path / "tiny.pth")
    sizes = {**asdict(TINY), **change}
    sizes = {name: value for name, value in sizes.items() if value is not None}
    path.with_suffix(".json").write_text(json.dumps(sizes))
    with pytest.raises(InputError, match="Expected a SAM's sizes as whole numbers from 1"):
        load_sam(path, MODELS["sam_vit_b"])


def test_half_precision_weights_are_widened(tmp_path):
    path = write_tiny_sam(tmp_path / "tiny.pth")
    state = torch.load(path, weights_only=True)
    torch.save({name: value.half() for name, value in state.items()}, path)
    sam = load_sam(path, MODELS["sam_vit_b"])
    assert {parameter.dtype for parameter in sam.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in sam.parameters())
    assert not sam.training


def test_logits_that_stay_on_the_device_give_the_same_masks(monkeypatch):
    planes = planes_of((40, 90), 2)
    rows, points = np.array([0, 1, 1]), np.array([(20.0, 45.0), (11, 60), (30, 20)])
    found = []
    for kept in (False, True):
        monkeypatch.setattr(SamSegmenter, "_keeps_logits", kept)
        segmenter = segmenter_of(tiny_sam())
        segmenter._decoding = Batches(2)
        embeddings = segmenter.embed(planes)
        first = segmenter.segment(embeddings, rows, points, None)
        again = first.take(np.array([2, 0, 1])).take(np.array([True, True, True]))
        found.append(segmenter.segment(embeddings, rows[[2, 0, 1]], again.points_yx, again))
        none = segmenter.segment([], rows[:0], points[:0], None)
        assert none.logits.shape == (0, 32, 32)
    assert isinstance(found[1].logits, torch.Tensor)
    assert found[1].logits.nbytes == found[0].logits.nbytes
    np.testing.assert_array_equal(found[1].logits.numpy(), found[0].logits)
    np.testing.assert_array_equal(found[1].masks, found[0].masks)


def test_points_are_encoded_in_full_precision():
    decoder = sam_module.SamDecoder(tiny_sam())
    points_xy = torch.tensor([[17.3, 90.8], [100.1, 3.7]])
    full = decoder._prompt(points_xy)
    with torch.autocast("cpu", torch.bfloat16):
        half = decoder._prompt(points_xy)
    assert half.dtype is torch.float32
    np.testing.assert_array_equal(half.numpy(), full.numpy())
