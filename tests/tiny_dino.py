"""Random DINO and DINOv2 checkpoints in the layout of their publisher, as small as wanted."""

import json
from pathlib import Path

import torch


def patch_of(name: str) -> int:
    return int(name.split("_vit")[1].removesuffix("_reg")[1:])


def published_state(
    name: str, *, embed_dim: int, depth: int, tokens: int
) -> dict[str, torch.Tensor]:
    """The state dict of `name` (as dinov2_vitl14_reg, dino_vits8) with other widths and depth."""
    generator = torch.Generator().manual_seed(0)
    dinov2 = name.startswith("dinov2")
    patch = patch_of(name)
    state = {}

    def put(key, *shape, around=0.0, spread=0.1):
        state[key] = around + spread * torch.randn(shape, generator=generator)

    def linear(key, inputs, outputs):
        put(f"{key}.weight", outputs, inputs, spread=inputs**-0.5)
        put(f"{key}.bias", outputs)

    def norm(key):
        put(f"{key}.weight", embed_dim, around=1.0)
        put(f"{key}.bias", embed_dim)

    put("cls_token", 1, 1, embed_dim)
    put("pos_embed", 1, 1 + tokens**2, embed_dim)
    if name.endswith("_reg"):
        put("register_tokens", 1, 4, embed_dim)
    if dinov2:
        put("mask_token", 1, embed_dim)
    put("patch_embed.proj.weight", embed_dim, 3, patch, patch, spread=0.05)
    put("patch_embed.proj.bias", embed_dim)
    for i in range(depth):
        block = f"blocks.{i}"
        norm(f"{block}.norm1")
        linear(f"{block}.attn.qkv", embed_dim, 3 * embed_dim)
        linear(f"{block}.attn.proj", embed_dim, embed_dim)
        norm(f"{block}.norm2")
        if "vitg" in name:
            hidden = (4 * embed_dim * 2 // 3 + 7) // 8 * 8
            linear(f"{block}.mlp.w12", embed_dim, 2 * hidden)
            linear(f"{block}.mlp.w3", hidden, embed_dim)
        else:
            linear(f"{block}.mlp.fc1", embed_dim, 4 * embed_dim)
            linear(f"{block}.mlp.fc2", 4 * embed_dim, embed_dim)
        if dinov2:
            put(f"{block}.ls1.gamma", embed_dim, around=0.5)
            put(f"{block}.ls2.gamma", embed_dim, around=0.5)
    norm("norm")
    return state


def write_tiny_dino(
    folder: Path,
    name: str = "dinov2_vits14_reg",
    *,
    embed_dim: int = 48,
    depth: int = 2,
    tokens: int = 5,
    claimed: str | None = None,
    **changes: torch.Tensor,
) -> Path:
    """A checkpoint of `tokens` x `tokens` patches, and beside it the sizes of the claimed model."""
    state = published_state(name, embed_dim=embed_dim, depth=depth, tokens=tokens)
    path = folder / f"{name}.pth"
    torch.save({**state, **changes}, path)
    side = tokens * patch_of(claimed or name)
    options = {"embed_dim": embed_dim, "depth": depth, "num_heads": 3, "img_size": side}
    path.with_suffix(".json").write_text(json.dumps(options))
    return path
