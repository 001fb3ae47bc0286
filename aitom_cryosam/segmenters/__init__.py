"""Plane segmenters: point prompts to masks on a plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aitom_cryosam.models import MODELS, Model
from aitom_cryosam.resources import Resources
from aitom_cryosam.segmenters.base import PlaneSegmenter, Segmentation
from aitom_cryosam.settings import Settings

__all__ = ["PlaneSegmenter", "Segmentation", "build"]


def build(
    settings: Settings, resources: Resources, *, diameter_voxels: float, max_extent: float
) -> PlaneSegmenter:
    """The segmenter that the settings name.

    Args:
        settings: its `segmenter`, and for SAM `window`, `candidate` and `tau_iou`.
        resources: device, memory and checkpoints of a network.
        diameter_voxels: of the particle, in voxels.
        max_extent: voxels, of the widest mask that can be a particle.

    Raises:
        InputError: a network's weights are missing or wrong, or it does not fit on the device.
    """
    model = MODELS[settings.segmenter]
    return _BUILDERS[model.family](model, settings, resources, diameter_voxels, max_extent)


def _contour(
    model: Model,
    settings: Settings,
    resources: Resources,
    diameter_voxels: float,
    max_extent: float,
) -> PlaneSegmenter:
    from aitom_cryosam.segmenters.contour import ContourSegmenter

    return ContourSegmenter(diameter_voxels)


def _sam(
    model: Model,
    settings: Settings,
    resources: Resources,
    diameter_voxels: float,
    max_extent: float,
) -> PlaneSegmenter:
    from aitom_cryosam import checkpoints, networks
    from aitom_cryosam.device import Device
    from aitom_cryosam.sam.model import load_sam
    from aitom_cryosam.segmenters.sam import SamSegmenter, WindowSamSegmenter

    path = checkpoints.require(model, resources.checkpoints)
    device = Device.choose(resources)
    sam = networks.hold(model, path, device, lambda: load_sam(path, model))
    device = networks.beside(Device.choose(resources), sam)
    identity = {"segmenter": model.name, "weights": checkpoints.digest(path)}
    rules: dict[str, Any] = {
        "max_extent": max_extent,
        "identity": identity,
        "agreement": settings.tau_iou if settings.candidate == "agreeing" else 0.0,
    }
    if settings.window is None:
        return SamSegmenter(sam, device, **rules)
    return WindowSamSegmenter(sam, device, **rules, side=round(settings.window * diameter_voxels))


# A model's family -> the builder of its segmenter.
_BUILDERS: dict[str, Callable[[Model, Settings, Resources, float, float], PlaneSegmenter]] = {
    "contour": _contour,
    "sam": _sam,
}
