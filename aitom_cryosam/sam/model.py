"""SAM as a network: of a published size or another, with the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

from aitom_cryosam import checkpoint_file
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS, Model


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The sizes of a SAM: the keys of the JSON file beside a checkpoint of another size.

    Attributes:
        embed_dim: channels of the image encoder.
        depth: its blocks.
        num_heads: its attention heads, a divisor of `embed_dim`.
        global_attn_indexes: its blocks that see the whole image; the others see windows.
        window_size: tokens along the side of such a window.
        img_size: pixels along the side of the padded square.
        patch_size: pixels along the side of a token, a divisor of `img_size`.
        prompt_embed_dim: channels of the embedding, the prompts and the mask decoder; a multiple
            of 8 and of twice `decoder_num_heads`.
        decoder_depth: layers of the mask decoder's transformer.
        decoder_num_heads: its attention heads.
        decoder_mlp_dim: channels inside its MLPs.
        mask_in_chans: channels of a mask prompt before it becomes tokens, a multiple of 4.
        iou_head_hidden_dim: channels inside the MLP that predicts the masks' quality.
    """

    embed_dim: int
    depth: int
    num_heads: int
    global_attn_indexes: tuple[int, ...]
    window_size: int = 14
    img_size: int = 1024
    patch_size: int = 16
    prompt_embed_dim: int = 256
    decoder_depth: int = 2
    decoder_num_heads: int = 8
    decoder_mlp_dim: int = 2048
    mask_in_chans: int = 16
    iou_head_hidden_dim: int = 256

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Architecture:
        """From a JSON object.

        Raises:
            InputError: a key is missing or unknown, or a value is no whole number from 1.
        """
        names = [field.name for field in fields(cls)]
        values = dict(config)
        blocks = values.get("global_attn_indexes")
        good = (
            isinstance(blocks, list | tuple)
            and all(type(block) is int and block >= 0 for block in blocks)
            and set(names[:4]) <= values.keys() <= set(names)
            and all(
                type(value) is int and value > 0
                for name, value in values.items()
                if name != "global_attn_indexes"
            )
        )
        if not good:
            raise InputError(
                f"Expected a SAM's sizes as whole numbers from 1, named {', '.join(names[:4])} (a "
                f"list) and, where not SAM's own, {', '.join(names[4:])}; got {values}."
            )
        return cls(**{**values, "global_attn_indexes": tuple(blocks)})  # type: ignore[arg-type]


ARCHITECTURES = {
    "vit_b": Architecture(embed_dim=768, depth=12, num_heads=12, global_attn_indexes=(2, 5, 8, 11)),
    "vit_l": Architecture(
        embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23)
    ),
    "vit_h": Architecture(
        embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31)
    ),
}


def build_sam(architecture: Architecture, device: str = "cpu") -> Sam:
    """A SAM with random weights, to be read only; on device "meta" without memory for them."""
    size = architecture
    grid = size.img_size // size.patch_size
    with torch.device(device):
        encoder = ImageEncoderViT(
            img_size=size.img_size,
            patch_size=size.patch_size,
            embed_dim=size.embed_dim,
            depth=size.depth,
            num_heads=size.num_heads,
            out_chans=size.prompt_embed_dim,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),  # type: ignore[arg-type]
            use_rel_pos=True,
            window_size=size.window_size,
            global_attn_indexes=size.global_attn_indexes,
        )
        prompts = PromptEncoder(
            embed_dim=size.prompt_embed_dim,
            image_embedding_size=(grid, grid),
            input_image_size=(size.img_size, size.img_size),
            mask_in_chans=size.mask_in_chans,
        )
        decoder = MaskDecoder(
            transformer_dim=size.prompt_embed_dim,
            transformer=TwoWayTransformer(
                depth=size.decoder_depth,
                embedding_dim=size.prompt_embed_dim,
                num_heads=size.decoder_num_heads,
                mlp_dim=size.decoder_mlp_dim,
            ),
            iou_head_hidden_dim=size.iou_head_hidden_dim,
        )
    sam: Sam = Sam(encoder, prompts, decoder).eval().requires_grad_(False)
    return sam


def load_sam(path: Path, model: Model) -> Sam:
    """A SAM with the weights of a checkpoint, on the CPU, float32, to be read only.

    Args:
        path: the checkpoint; a JSON file beside it may name other sizes, see `Architecture`.
        model: one of the family "sam".

    Raises:
        InputError: the checkpoint cannot be read, or holds another network.
    """
    config = checkpoint_file.config(path)
    if config is None:
        architecture = ARCHITECTURES[model.architecture]
    else:
        architecture = Architecture.parse(config)
    state = checkpoint_file.load(path)
    sam = build_sam(architecture, "meta")
    _check(state, sam.state_dict(), path, model, by_config=config is not None)
    sam.load_state_dict(state, assign=True)
    return sam.float().requires_grad_(False)


def _check(
    state: Mapping[str, Any],
    wanted: Mapping[str, torch.Tensor],
    path: Path,
    model: Model,
    *,
    by_config: bool,
) -> None:
    """Raise, with one example, unless all names and shapes agree."""
    for name in sorted(wanted.keys() | state.keys()):
        there, expected = (_shape(part.get(name)) for part in (state, wanted))
        if there != expected:
            break
    else:
        return
    by = "the JSON file beside it" if by_config else model.name
    other = _published(state)
    if other is not None and not by_config and other != model.name:
        advice = f"it is that of {other}: ask for {other}, or give another checkpoint"
    else:
        advice = f"expected {model.name}'s own file, or its sizes in a JSON beside it"
    raise InputError(
        f"The checkpoint {path} does not fit {by}, where {name} is {expected} and not {there}; "
        f"{advice}."
    )


def _shape(value: Any) -> str:
    if value is None:
        return "absent"
    return " × ".join(map(str, value.shape)) if isinstance(value, torch.Tensor) else "no array"


def _published(state: Mapping[str, Any]) -> str | None:
    """The model whose image encoder this is, by its channels."""
    position = state.get("image_encoder.pos_embed")
    width = position.shape[-1] if isinstance(position, torch.Tensor) else None
    for model in MODELS.values():
        if model.family == "sam" and ARCHITECTURES[model.architecture].embed_dim == width:
            return model.name
    return None
