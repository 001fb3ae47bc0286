"""SAM's image encoder as a plane encoder (paper, Table 2)."""

from __future__ import annotations

from segment_anything.modeling import Sam

from aitom_cryosam.device import Device
from aitom_cryosam.encoders.network import Backbone
from aitom_cryosam.sam.encoder import SamEncoder


def sam_backbone(sam: Sam, device: Device) -> Backbone:
    """The image encoder of a SAM, with SAM's own normalisation.

    Args:
        sam: the network; it may serve a segmenter too.
        device: where its image encoder is put.
    """
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
