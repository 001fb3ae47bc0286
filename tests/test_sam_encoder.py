"""SAM's image encoder with fused attention, against segment_anything's own."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from aitom_cryosam.device import Device
from aitom_cryosam.sam import encoder as sam_encoder
from aitom_cryosam.sam.encoder import SamEncoder
from aitom_cryosam.sam.model import ARCHITECTURES, build_sam

CPU = Device("cpu", 10**9)


def weights_bytes(encoder: SamEncoder) -> int:
    """Of its network."""
    return sum(parameter.nbytes for parameter in encoder.network.parameters())


class HalfDevice(Device):
    precision = torch.bfloat16


def network_of(sharpness=5, **changes):
    """Random; tables of positions, which begin as zeros, no less than the rest.

    The sharper, the more tokens attend to some than to others.
    """
    sizes = {
        "img_size": 40,
        "patch_size": 4,
        "embed_dim": 24,
        "depth": 3,
        "num_heads": 2,
        "out_chans": 8,
        "norm_layer": partial(nn.LayerNorm, eps=1e-6),
        "use_rel_pos": True,
        "window_size": 5,
        "global_attn_indexes": (1,),
    }
    torch.manual_seed(0)
    network = ImageEncoderViT(**{**sizes, **changes}).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.ndim == 1 or not parameter.any():
            parameter.add_(0.5 * torch.randn_like(parameter))
    for block in network.blocks:
        block.attn.qkv.weight.mul_(sharpness)
    return network


def images_of(network, count=2):
    side = network.img_size
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def original(network, images):
    """(b, g, g, C)."""
    with torch.inference_mode():
        return network(images).permute(0, 2, 3, 1)


SIZES = [
    {},
    {"window_size": 4},  # 10 = 4 + 4 + 2
    {"window_size": 7, "num_heads": 3},
    {"window_size": 14},  # wider than the grid
    {"window_size": 1},
    {"embed_dim": 30, "num_heads": 3, "depth": 2},  # 10 + 10 + 10 is no multiple of 8
    {"global_attn_indexes": (), "img_size": 44},
    {"global_attn_indexes": (0, 1, 2), "num_heads": 1},
    {"use_rel_pos": False},
    {"use_abs_pos": False},
    {"qkv_bias": False, "mlp_ratio": 2.5, "patch_size": 8},
]


@pytest.mark.parametrize("kernel", ["_folded", "_biased", "_flexed"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_tokens_are_those_of_the_original(monkeypatch, kernel, sizes):
    monkeypatch.setattr(sam_encoder, "_biased", getattr(sam_encoder, kernel))
    network = network_of(**sizes)
    images = images_of(network)
    encoder = SamEncoder(network, CPU)
    tokens = encoder(images)
    grid = network.img_size // network.patch_embed.proj.kernel_size[0]
    assert tokens.shape == (2, grid, grid, 8) == (2, encoder.grid, encoder.grid, encoder.channels)
    assert tokens.is_contiguous()
    torch.testing.assert_close(tokens, original(network, images), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["rel_pos_h", "rel_pos_w"])
@pytest.mark.parametrize("block", [0, 1])
def test_relative_positions_matter(name, block):
    network = network_of()
    images = images_of(network)
    before = original(network, images)
    getattr(network.blocks[block].attn, name).zero_()
    after = SamEncoder(network, CPU)(images)
    assert (after - before).abs().max() > 0.01  # else parity would say nothing of them
    torch.testing.assert_close(after, original(network, images), atol=1e-4, rtol=0)


@pytest.mark.parametrize("biases", [1, 1000, 5000, 10**9])
def test_how_many_queries_are_taken_at_a_time_does_not_matter(monkeypatch, biases):
    monkeypatch.setattr(sam_encoder, "_BIASES", biases)  # of 10 rows of tokens: 1, 1, 2, 10
    network = network_of()
    images = images_of(network, 1)
    expected = original(network, images)
    torch.testing.assert_close(SamEncoder(network, CPU)(images), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kernel", ["_folded", "_biased"])
def test_half_precision_is_that_of_autocast_with_half_the_weights(monkeypatch, kernel):
    monkeypatch.setattr(sam_encoder, "_biased", getattr(sam_encoder, kernel))
    network = network_of()
    images = images_of(network)
    exact = original(network, images)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = original(network, images)
    encoder = SamEncoder(copy.deepcopy(network), HalfDevice("cpu", 10**9))
    tokens = encoder(images)
    assert tokens.dtype is torch.bfloat16
    ours, theirs = ((part.float() - exact).square().mean().sqrt() for part in (tokens, rounded))
    assert 0 < ours < 1.2 * theirs < 0.1
    matrices = [m for m in encoder.network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert {parameter.dtype for m in matrices for parameter in m.parameters()} == {torch.bfloat16}
    assert encoder.network.blocks[0].norm1.weight.dtype is torch.float32
    halved = sum(parameter.nbytes for m in matrices for parameter in m.parameters())
    assert weights_bytes(SamEncoder(network, CPU)) == weights_bytes(encoder) + halved


def test_vit_h_takes_half_of_its_weights_and_little_more_on_an_accelerator():
    sam = build_sam(ARCHITECTURES["vit_h"], "meta")
    encoder = SamEncoder(sam.image_encoder, HalfDevice("meta", 10**9))
    assert weights_bytes(encoder) == 1_285_272_064  # of 637,026,048 weights, 5,609,984 float32
    # A token: 3 × 1280 float32; 3 × 1280 and 5 × 16 × (80 + 64 + 64) bfloat16.
    assert encoder.bytes_each == 64**2 * (12 * 1280 + 2 * (3 * 1280 + 5 * 16 * 208))
    exact = SamEncoder(build_sam(ARCHITECTURES["vit_h"], "meta").image_encoder, Device("meta", 1))
    assert weights_bytes(exact) > 1.9 * weights_bytes(encoder)
    assert exact.bytes_each > 1.6 * encoder.bytes_each


def test_a_block_that_looks_up_relative_positions_is_segment_anythings():
    network = network_of()
    encoder = SamEncoder(network, CPU)
    x = torch.randn(2, 10, 10, 24, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        for block, tables in zip(network.blocks, encoder._tables, strict=True):
            ours = sam_encoder._through(block, x, tables, sam_encoder._flexed)
            torch.testing.assert_close(ours, block(x), atol=1e-6, rtol=1e-6)


COMPILED = Device("cpu", 10**9, compiled=True)


def test_compiled_blocks_take_any_number_of_images(monkeypatch):
    compiled = torch.compile(sam_encoder._through, fullgraph=True, backend="eager")
    monkeypatch.setattr(sam_encoder, "_compiled", lambda: compiled)
    network = network_of(depth=1)
    encoder = SamEncoder(network, COMPILED)
    for count in (3, 2):
        images = images_of(network, count)
        torch.testing.assert_close(encoder(images), original(network, images), atol=1e-4, rtol=0)
    assert encoder._compiled  # nothing was made up for


def test_blocks_that_cannot_be_compiled_run_as_they_are_written(monkeypatch, caplog):
    tried = []

    def failing(*_):
        tried.append(1)
        raise NotImplementedError("no such kernel")

    monkeypatch.setattr(sam_encoder, "_compiled", lambda: failing)
    network = network_of()
    images = images_of(network)
    encoder = SamEncoder(network, COMPILED)
    for _ in range(2):
        torch.testing.assert_close(encoder(images), original(network, images), atol=1e-4, rtol=0)
    assert len(tried) == 1
    assert "SAM's blocks cannot be compiled on cpu; they run as they are written." in caplog.text


def test_memory_that_lacks_is_no_reason_not_to_compile(monkeypatch):
    def full(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(sam_encoder, "_compiled", lambda: full)
    network = network_of()
    encoder = SamEncoder(network, COMPILED)
    with pytest.raises(torch.cuda.OutOfMemoryError):  # `Batches` halves
        encoder(images_of(network))
    assert encoder._compiled


@pytest.mark.slow
def test_tokens_of_a_full_size_vit_b_are_those_of_the_original():
    network = network_of(
        sharpness=1,
        img_size=1024,
        patch_size=16,
        embed_dim=768,
        depth=12,
        num_heads=12,
        out_chans=256,
        window_size=14,
        global_attn_indexes=(2, 5, 8, 11),
    )
    images = images_of(network, 1)
    tokens = SamEncoder(network, CPU)(images)
    assert tokens.shape == (1, 64, 64, 256)
    torch.testing.assert_close(tokens, original(network, images), atol=1e-4, rtol=0)


@pytest.mark.gpu
def test_on_a_gpu_the_flash_kernel_needs_no_more_memory_than_estimated():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    network = network_of(
        img_size=1024, patch_size=16, embed_dim=320, num_heads=4, window_size=14, out_chans=64
    )
    images = images_of(network)
    exact = original(network, images)
    device = Device("cuda:0", 10**10)
    encoder = SamEncoder(network, device)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        tokens = encoder(images.to(device.name))
    assert (tokens.cpu().float() - exact).square().mean().sqrt() < 0.1
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    images = images.to(device.name)
    encoder(images)
    peak = torch.cuda.max_memory_allocated() - before
    assert peak < 2 * 1.2 * encoder.bytes_each
