"""SAM's image encoder as a plane encoder (paper, Table 2)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from aitom_cryosam.device import Device
from aitom_cryosam.encoders.network import BYTES_PER_FEATURE, Backbone
from aitom_cryosam.models import Model
from aitom_cryosam.sam_model import load_sam

BYTES_PER_PAIR = 12
"""Of tokens in every head: SAM writes its attention out, three times over."""


def load_sam_encoder(path: Path, model: Model, device: Device) -> Backbone:
    """The image encoder of a SAM checkpoint, with SAM's own normalisation.

    Args:
        path: the checkpoint.
        model: of the family "sam".
        device: where the network is put; the rest of SAM is dropped.

    Raises:
        InputError: the file is not a checkpoint of this model.
    """
    sam = load_sam(path, model)
    encoder = sam.image_encoder.to(device.name)
    patch, _ = encoder.patch_embed.proj.kernel_size
    width = encoder.patch_embed.proj.out_channels
    tokens = encoder.img_size // patch
    mean, deviation = ((part / 255).flatten().tolist() for part in (sam.pixel_mean, sam.pixel_std))

    def forward(images: Tensor) -> Tensor:
        return encoder(images).permute(0, 2, 3, 1)

    return Backbone(
        module=encoder,
        forward=forward,
        patch=patch,
        tokens=tokens,
        fixed=True,
        channels=encoder.neck[0].out_channels,
        colours=(tuple(mean), tuple(deviation)),
        tile_bytes=BYTES_PER_FEATURE * width * tokens**2
        + BYTES_PER_PAIR * encoder.blocks[0].attn.num_heads * tokens**4,
    )
