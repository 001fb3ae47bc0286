"""DINO and DINOv2 from files in their publisher's layout."""

import hashlib
import json

import numpy as np
import pytest
import timm
import torch
from timm.models.vision_transformer import checkpoint_filter_fn

from aitom_cryosam.device import Device
from aitom_cryosam.encoders import build
from aitom_cryosam.encoders.dino import load_dino, published_shapes
from aitom_cryosam.errors import InputError
from aitom_cryosam.features.half import on_host
from aitom_cryosam.models import MODELS
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import Settings
from tests.tiny_dino import published_state, write_tiny_dino

CPU = Device("cpu", 4_000_000_000)
NAMES = [name for name, model in MODELS.items() if model.family == "dino"]


def load(path, name, normalisation="tomogram"):
    return load_dino(path, MODELS[name], CPU, normalisation=normalisation)


def publishers_block(x, state, i, heads):
    """One transformer block, written down from the publisher's papers."""

    def norm(x, key):
        return torch.nn.functional.layer_norm(
            x, x.shape[-1:], state[f"{key}.weight"], state[f"{key}.bias"], 1e-6
        )

    def linear(x, key):
        return x @ state[f"{key}.weight"].T + state[f"{key}.bias"]

    def gamma(key):
        return state.get(f"{block}.{key}.gamma", torch.ones(()))

    block = f"blocks.{i}"
    q, k, v = (
        part.unflatten(-1, (heads, -1)).transpose(1, 2)
        for part in linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").chunk(3, dim=-1)
    )
    attention = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1)
    mixed = (attention @ v).transpose(1, 2).flatten(2)
    x = x + gamma("ls1") * linear(mixed, f"{block}.attn.proj")
    y = norm(x, f"{block}.norm2")
    if f"{block}.mlp.w12.weight" in state:
        gate, value = linear(y, f"{block}.mlp.w12").chunk(2, dim=-1)
        y = linear(torch.nn.functional.silu(gate) * value, f"{block}.mlp.w3")
    else:
        hidden = torch.nn.functional.gelu(linear(y, f"{block}.mlp.fc1"))
        y = linear(hidden, f"{block}.mlp.fc2")
    return x + gamma("ls2") * y


def publishers_tokens(images, state, heads):
    """(b, 3, H, W) of the native size to (b, gh, gw, C), from the publisher's own weights."""
    kernel = state["patch_embed.proj.weight"]
    x = torch.nn.functional.conv2d(
        images, kernel, state["patch_embed.proj.bias"], stride=kernel.shape[-1]
    )
    grid = x.shape[2:]
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x.flatten(2).mT], dim=1)
    x = x + state["pos_embed"]
    registers = state.get("register_tokens", torch.zeros(1, 0, x.shape[-1]))
    x = torch.cat([x[:, :1], registers.expand(len(x), -1, -1), x[:, 1:]], dim=1)
    for i in range(sum(key.endswith("norm1.weight") for key in state)):
        x = publishers_block(x, state, i, heads)
    x = torch.nn.functional.layer_norm(
        x, x.shape[-1:], state["norm.weight"], state["norm.bias"], 1e-6
    )
    return x[:, 1 + registers.shape[1] :].unflatten(1, tuple(grid))


@pytest.mark.parametrize("name", NAMES)
def test_every_published_layout_loads_and_computes_what_its_publisher_defined(name, tmp_path):
    backbone = load(write_tiny_dino(tmp_path, name), name)
    state = published_state(name, embed_dim=48, depth=2, tokens=5)
    images = torch.randn(2, 3, 5 * backbone.patch, 5 * backbone.patch)
    with torch.inference_mode():
        tokens = backbone.forward(images)
        torch.testing.assert_close(
            tokens, publishers_tokens(images, state, heads=3), atol=2e-5, rtol=2e-5
        )
    assert (backbone.tokens, backbone.channels, backbone.fixed) == (5, 48, False)


@pytest.mark.parametrize(
    ("name", "patch", "tokens"),
    [("dinov2_vits14_reg", 14, 37), ("dino_vits16", 16, 32), ("dino_vits8", 8, 64)],
)
def test_a_full_size_small_model_needs_no_configuration(name, patch, tokens, tmp_path):
    native = {14: 37, 16: 14, 8: 28}[patch]
    path = tmp_path / "weights.pth"
    torch.save(published_state(name, embed_dim=384, depth=12, tokens=native), path)
    backbone = load(path, name)
    assert (backbone.patch, backbone.tokens, backbone.channels) == (patch, tokens, 384)


@pytest.mark.parametrize("name", [name for name in NAMES if MODELS[name].weights.size])
@pytest.mark.skipif(
    tuple(map(int, timm.__version__.split(".")[:3])) < (1, 0, 22),
    reason="timm before 1.0.22 makes no model without memory for its weights",
)
def test_the_full_size_weights_fill_the_published_file(name):
    shapes = published_shapes(MODELS[name])
    numbers = sum(shape.numel() for shape in shapes.values())
    beside = MODELS[name].weights.size - 4 * numbers
    # What a file adds for each weight: its name, its shape, its place.
    assert 310 < beside / len(shapes) < 345


@pytest.mark.parametrize("size", [(5, 5), (3, 5), (5, 2), (1, 1)])
def test_tokens_are_those_of_timm_without_class_and_registers(size, tmp_path):
    path = write_tiny_dino(tmp_path)
    backbone = load(path, "dinov2_vits14_reg")
    model = timm.create_model(
        "vit_small_patch14_reg4_dinov2", num_classes=0, dynamic_img_size=True,
        embed_dim=48, depth=2, num_heads=3, img_size=70,
    ).eval()  # fmt: skip
    model.load_state_dict(checkpoint_filter_fn(torch.load(path, weights_only=True), model))
    images = torch.randn(2, 3, 14 * size[0], 14 * size[1])
    with torch.inference_mode():
        expected = model.forward_features(images)[:, 5:]
        tokens = backbone.forward(images)
    assert tokens.shape == (2, *size, 48)
    torch.testing.assert_close(tokens.flatten(1, 2), expected, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("written", "asked", "fault"),
    [
        ("dinov2_vits14", "dinov2_vits14_reg", "it lacks register_tokens"),
        ("dinov2_vits14_reg", "dinov2_vits14", "it holds register_tokens"),
        ("dino_vits16", "dinov2_vits14", r"patch_embed.proj.weight has the shape \(48, 3, 16"),
        ("dino_vits8", "dino_vits16", r"patch_embed.proj.weight has the shape \(48, 3, 8, 8\)"),
        ("dinov2_vitg14", "dinov2_vits14", "it lacks blocks.0.mlp.fc1.weight"),
        ("dinov2_vits14", "dinov2_vitg14", "it lacks blocks.0.mlp.w12.weight"),
    ],
)
def test_a_file_of_another_model_is_refused_in_a_sentence(written, asked, fault, tmp_path):
    path = write_tiny_dino(tmp_path, written, claimed=asked)
    with pytest.raises(InputError, match=f"is not a checkpoint of {asked}: .*{fault}"):
        load(path, asked)


def test_positions_of_another_grid_are_refused_and_not_quietly_resampled(tmp_path):
    path = write_tiny_dino(tmp_path, pos_embed=torch.zeros(1, 1 + 36, 48))
    with pytest.raises(InputError, match=r"pos_embed has the shape \(1, 37, 48\), not \(1, 26,"):
        load(path, "dinov2_vits14_reg")


def test_a_deeper_model_and_a_sam_checkpoint_are_refused(tmp_path):
    name = "dinov2_vits14_reg"
    path = write_tiny_dino(tmp_path, depth=3)
    config = path.with_suffix(".json")
    config.write_text(config.read_text().replace('"depth": 3', '"depth": 2'))
    with pytest.raises(InputError, match=r"it holds blocks.2.norm1.weight"):
        load(path, name)
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 5, 5, 48)}, path)
    with pytest.raises(InputError, match=r"it lacks .*cryosam weights fetch dinov2_vits14_reg"):
        load(path, name)


@pytest.mark.parametrize(
    "config",
    ['{"pretrained": true}', '{"embed_dim": "wide"}', '{"depth": 0}', '{"num_heads": 5}'],
)
def test_a_configuration_that_makes_no_model_is_refused(config, tmp_path):
    path = write_tiny_dino(tmp_path)
    path.with_suffix(".json").write_text(config)
    with pytest.raises(InputError, match="describes no vision transformer"):
        load(path, "dinov2_vits14_reg")


def test_the_encoder_is_built_by_name_from_a_given_checkpoint(tmp_path):
    name = "dinov2_vitb14"
    path = write_tiny_dino(tmp_path, name)
    resources = Resources(device="cpu", checkpoints={name: path})
    settings = Settings(encoder=name, normalisation="imagenet", token_size_angstrom=140.0)
    encoder = build(settings, resources, diameter_voxels=20, voxel_size=10)
    grid = encoder.grid((100, 43))
    assert (grid.rows.count, grid.rows.step, grid.columns.count) == (8, 14.0, 4)
    tokens = encoder.encode(np.zeros((1, 100, 43), np.float32))
    assert (tokens.shape, tokens.dtype) == ((1, 8, 4, 48), np.float32)
    signature = encoder.signature
    assert json.loads(json.dumps(signature)) == signature
    assert (signature["encoder"], signature["step"]) == (name, 14.0)
    assert signature["weights"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert signature["precision"] == "float32"
    assert signature["colours"] == [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]


def test_a_network_that_does_not_fit_is_refused_before_it_starts(tmp_path):
    name = "dinov2_vits14_reg"
    given = {name: write_tiny_dino(tmp_path)}
    settings = Settings(encoder=name)
    small = Resources(device="cpu", ram_bytes=100_000, checkpoints=given)
    with pytest.raises(InputError, match=r"about 0.0 GB on cpu, and may use 0.0 GB; .*smaller enc"):
        build(settings, small, diameter_voxels=20, voxel_size=10)
    enough = Resources(device="cpu", ram_bytes=2_000_000, checkpoints=given)
    assert build(settings, enough, diameter_voxels=20, voxel_size=10).planes_at_once((40, 40)) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("token_size", [None, 140.0])
def test_a_gpu_gives_the_same_tokens_but_for_its_precision(token_size, tmp_path):
    name = "dinov2_vits14_reg"
    settings = Settings(encoder=name, token_size_angstrom=token_size)
    given = {name: write_tiny_dino(tmp_path)}
    planes = np.random.default_rng(0).standard_normal((5, 100, 150)).astype(np.float32)
    expected, tokens = (
        build(
            settings,
            Resources(device=device, checkpoints=given),
            diameter_voxels=20,
            voxel_size=10,
        ).encode(planes)
        for device in ("cpu", "cuda")
    )
    assert tokens.device.type == "cuda"  # they stay there until they are whitened
    error = np.linalg.norm(on_host(tokens) - expected) / np.linalg.norm(expected)
    assert error < (0.02 if Device.choose(Resources()).precision is torch.float16 else 0.1)
