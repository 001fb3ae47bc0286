"""DINO and DINOv2 (the paper's encoder) through timm, from the publisher's own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.layers import GluMlp
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor

from aitom_cryosam import checkpoint_file
from aitom_cryosam.device import Device
from aitom_cryosam.encoders.network import BYTES_PER_FEATURE, IMAGENET, Backbone
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import Model
from aitom_cryosam.remedies import Remedy

SIDE = 512
"""Pixels that DINO sees along the longer side: whole patches of 16 and 8, and next to the 518
that DINOv2 was trained on. DINO's own 224 would leave a plane 14 tokens."""
OPTIONS = ("embed_dim", "depth", "num_heads", "mlp_ratio", "img_size", "patch_size")
"""What the JSON file beside a checkpoint may change."""


def load_dino(path: Path, model: Model, device: Device, *, normalisation: str) -> Backbone:
    """The network from its publisher's checkpoint.

    Args:
        path: the checkpoint; a JSON file beside it may give OPTIONS of timm's constructor that
            differ from the published model's.
        model: of the family "dino".
        device: where the network is put.
        normalisation: "tomogram" for planes as they are, "imagenet" for photographs' colours.

    Raises:
        InputError: the file is not a checkpoint of this model.
    """
    state = checkpoint_file.load(path)
    options = checkpoint_file.config(path) or {}
    module = _build(model, options, device)
    _check(state, _published(module), path, model)
    module.load_state_dict(checkpoint_filter_fn(state, module), strict=True)
    patch, _ = module.patch_embed.patch_size
    side, _ = module.patch_embed.img_size
    if "dinov2" not in model.architecture and "img_size" not in options:
        side = SIDE
    tokens = side // patch

    def forward(images: Tensor) -> Tensor:
        height, width = images.shape[2] // patch, images.shape[3] // patch
        features = module.forward_features(images)[:, module.num_prefix_tokens :]
        return features.unflatten(1, (height, width))

    return Backbone(
        module=module,
        forward=forward,
        patch=patch,
        tokens=tokens,
        fixed=False,
        channels=module.embed_dim,
        colours=IMAGENET if normalisation == "imagenet" else None,
        tile_bytes=BYTES_PER_FEATURE * module.embed_dim * tokens**2,
    )


def _build(model: Model, options: Mapping[str, Any], device: Device) -> VisionTransformer:
    """Made on its device: a GPU draws the random weights, soon replaced, in no time."""
    try:
        for name, value in options.items():
            if name not in OPTIONS or not isinstance(value, int | float) or value <= 0:
                raise ValueError(name)
        with torch.device(device.name):
            module = timm.create_model(
                model.architecture, num_classes=0, dynamic_img_size=True, **options
            )
    except (TypeError, ValueError, AssertionError) as error:
        raise InputError(
            f"The JSON file beside the checkpoint of {model.name} describes no vision transformer "
            f"by {dict(options)}; expected numbers above 0 for some of {', '.join(OPTIONS)}."
        ) from error
    return cast(VisionTransformer, module.eval())


def published_shapes(model: Model) -> dict[str, torch.Size]:
    """The publisher's names of all weights of a full-size model, and their shapes."""
    return _published(_build(model, {}, Device("meta", 0)))


def _published(module: VisionTransformer) -> dict[str, torch.Size]:
    """The publisher's names of all weights, and their shapes.

    timm would quietly resample patches and positions of another size, so that the file is held
    against these before timm converts it.
    """
    shapes = {name: weight.shape for name, weight in module.state_dict().items()}
    if module.reg_token is not None:  # timm has added the class token's position to it
        shapes["register_tokens"] = shapes.pop("reg_token")
        _, positions, channels = shapes["pos_embed"]
        shapes["pos_embed"] = torch.Size((1, 1 + positions, channels))
    if "blocks.0.ls1.gamma" in shapes:  # DINOv2
        shapes["mask_token"] = torch.Size((1, module.embed_dim))
    if isinstance(module.blocks[0].mlp, GluMlp):  # ViT-g
        shapes = {n.replace("fc1", "w12").replace("fc2", "w3"): s for n, s in shapes.items()}
    return shapes


def _check(
    state: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], path: Path, model: Model
) -> None:
    for name, shape in wanted.items():
        if name not in state:
            fault = f"it lacks {name}"
        elif state[name].shape != shape:
            fault = f"its {name} has the shape {tuple(state[name].shape)}, not {tuple(shape)}"
        else:
            continue
        break
    else:
        others = [name for name in state if name not in wanted]
        if not others:
            return
        fault = f"it holds {others[0]}, which that model does not have"
    raise InputError(
        f"{path} is not a checkpoint of {model.name}: {fault}",
        Remedy.CHECKPOINT,
        model=model.name,
    )
