"""Plane encoders: planes to feature tokens."""

from __future__ import annotations

from collections.abc import Callable

from aitom_cryosam.encoders.base import PlaneEncoder
from aitom_cryosam.models import MODELS, Model
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import Settings

__all__ = ["PlaneEncoder", "build"]


def build(
    settings: Settings, resources: Resources, *, diameter_voxels: float, voxel_size: float
) -> PlaneEncoder:
    """The encoder that the settings name.

    Args:
        settings: its `encoder`, and for networks `normalisation`, `token_size_angstrom` and
            `plane_shape`.
        resources: device, memory and checkpoints of a network.
        diameter_voxels: of the particle, in voxels.
        voxel_size: Å.

    Raises:
        InputError: a network's weights are missing or wrong, or it does not fit on the device.
    """
    model = MODELS[settings.encoder]
    return _BUILDERS[model.family](model, settings, resources, diameter_voxels, voxel_size)


def _filterbank(
    model: Model,
    settings: Settings,
    resources: Resources,
    diameter_voxels: float,
    voxel_size: float,
) -> PlaneEncoder:
    from aitom_cryosam.encoders.filterbank import FilterBankEncoder

    return FilterBankEncoder(diameter_voxels)


def _network(
    model: Model,
    settings: Settings,
    resources: Resources,
    diameter_voxels: float,
    voxel_size: float,
) -> PlaneEncoder:
    from aitom_cryosam import checkpoints, networks
    from aitom_cryosam.device import Device
    from aitom_cryosam.encoders.network import NetworkEncoder

    path = checkpoints.require(model, resources.checkpoints)
    device = Device.choose(resources)
    if model.family == "sam":
        from aitom_cryosam.encoders.sam import sam_backbone
        from aitom_cryosam.sam.model import load_sam

        sam = networks.hold(model, path, device, lambda: load_sam(path, model))
        backbone = sam_backbone(sam, device)
    else:
        from aitom_cryosam.encoders.dino import load_dino

        normalisation = settings.normalisation
        backbone = networks.hold(
            model,
            path,
            device,
            lambda: load_dino(path, model, device, normalisation=normalisation),
            normalisation,
        )
    return NetworkEncoder(
        backbone,
        networks.beside(Device.choose(resources), backbone.module),
        voxel_size=voxel_size,
        token_size=_token_size(settings, diameter_voxels * voxel_size),
        squashed=settings.plane_shape == "square",
        identity={"encoder": model.name, "weights": checkpoints.digest(path)},
    )


def _token_size(settings: Settings, diameter_angstrom: float) -> float | None:
    """Å; "auto" is half a particle, the largest token that still shows where one ends."""
    if settings.token_size_angstrom == "auto":
        return diameter_angstrom / 2
    return settings.token_size_angstrom


# A model's family -> the builder of its encoder.
_BUILDERS: dict[str, Callable[[Model, Settings, Resources, float, float], PlaneEncoder]] = {
    "filterbank": _filterbank,
    "dino": _network,
    "sam": _network,
}
