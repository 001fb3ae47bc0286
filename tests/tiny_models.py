"""Small SAMs with random weights, made of the real classes."""

from __future__ import annotations

import json
from dataclasses import asdict

import torch

from aitom_cryosam.sam.model import Architecture, build_sam

TINY = Architecture(
    embed_dim=32,
    depth=2,
    num_heads=2,
    global_attn_indexes=(1,),
    window_size=3,
    img_size=128,
    prompt_embed_dim=32,
    decoder_num_heads=2,
    decoder_mlp_dim=48,
    iou_head_hidden_dim=24,
)
"""8 × 8 tokens, low-resolution maps of 32 × 32 pixels."""


def tiny_sam(seed=0, architecture=TINY):
    """No weight is as it was begun (0 or 1), so that none can be left out unnoticed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sam = build_sam(architecture)
        for name, parameter in sam.named_parameters():
            if parameter.ndim == 1 or not parameter.any():
                parameter.add_(0.3 * torch.randn_like(parameter))
            if "hypernetworks" in name and ".2." in name:
                parameter.mul_(20)  # logits of about 1
    return sam


def write_tiny_sam(path, seed=0, architecture=TINY):
    """The checkpoint of a tiny SAM in the publisher's key layout, and its sizes beside it."""
    torch.save(tiny_sam(seed, architecture).state_dict(), path)
    path.with_suffix(".json").write_text(json.dumps(asdict(architecture)))
    return path
