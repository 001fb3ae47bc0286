"""SAM's image encoder as a plane encoder (paper, Table 2)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from aitom_cryosam.device import Device
from aitom_cryosam.encoders.network import Backbone
from aitom_cryosam.models import Model
from aitom_cryosam.sam_model import encoder_bytes, load_sam


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
        tile_bytes=encoder_bytes(sam),
    )
