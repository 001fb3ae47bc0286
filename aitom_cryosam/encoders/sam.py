"""SAM's image encoder as a plane encoder (paper, Table 2)."""

from __future__ import annotations

from pathlib import Path

from aitom_cryosam.device import Device
from aitom_cryosam.encoders.network import Backbone
from aitom_cryosam.models import Model
from aitom_cryosam.sam.encoder import SamEncoder
from aitom_cryosam.sam.model import load_sam


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
    encoder = SamEncoder(sam.image_encoder, device)
    mean, deviation = ((part / 255).flatten().tolist() for part in (sam.pixel_mean, sam.pixel_std))
    return Backbone(
        module=encoder.network,
        forward=encoder,
        patch=encoder.side // encoder.grid,
        tokens=encoder.grid,
        fixed=True,
        channels=encoder.channels,
        colours=(tuple(mean), tuple(deviation)),
        tile_bytes=encoder.bytes_each,
    )
