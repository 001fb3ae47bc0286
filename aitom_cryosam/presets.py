"""Which preset a run takes: the one asked for, or the best that this machine can run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aitom_cryosam.checkpoints import find, require
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS, Model
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import PRESETS, Settings

CHOICES = ("auto", *PRESETS)
"""What a user may give to `--preset`."""
_NOTHING: Mapping[str, Any] = {}


def choose(
    name: str, resources: Resources, typed: Mapping[str, Any] = _NOTHING
) -> tuple[Settings, str]:
    """The settings of a preset, and why it is this one.

    Args:
        name: one of `CHOICES`; "auto" takes "paper" if all of its weights are found and there
            is a CUDA device, and "embedded" otherwise.
        resources: device and checkpoints.
        typed: settings by name that take the place of the preset's; only the weights of the
            networks that remain are needed.

    Returns:
        The settings, and the reason as part of a sentence ("no weights of sam_vit_h").

    Raises:
        InputError: the name is not known, a setting is out of its range, weights that are
            needed are not on this machine, or the device does not exist.
    """
    if name not in CHOICES:
        raise InputError(f"Expected a preset of {', '.join(CHOICES)}, got {name!r}.")
    reason = "asked for"
    if name == "auto":
        lack = _lack(replace(PRESETS["paper"], **typed), resources)
        name, reason = ("embedded", lack) if lack else ("paper", "weights and a GPU are there")
    settings = replace(PRESETS[name], **typed)
    for model in networks(settings):
        require(model, resources.checkpoints)
    return settings, reason


def networks(settings: Settings) -> list[Model]:
    """The models that need weights, encoder first, each once."""
    names = dict.fromkeys((settings.encoder, settings.segmenter))
    return [MODELS[name] for name in names if MODELS[name].weights is not None]


def _lack(settings: Settings, resources: Resources) -> str:
    """What the machine does not have; torch is asked only if all weights are there."""
    missing = [
        model.name for model in networks(settings) if find(model, resources.checkpoints) is None
    ]
    if missing:
        return f"no weights of {' and '.join(missing)}"
    from aitom_cryosam.device import Device

    if Device.choose(resources).name.startswith("cuda"):
        return ""
    return "no GPU" if resources.device == "auto" else f"--device {resources.device}"
