"""Which preset a run takes: the one asked for, or the best that this machine can run."""

from __future__ import annotations

from aitom_cryosam.checkpoints import find, require
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS, Model
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import PRESETS, Settings

CHOICES = ("auto", *PRESETS)
"""What a user may give to `--preset`."""


def choose(name: str, resources: Resources) -> tuple[Settings, str]:
    """The settings of a preset, and why it is this one.

    Args:
        name: one of `CHOICES`; "auto" takes "paper" if all of its weights are found and there
            is a CUDA device, and "embedded" otherwise.
        resources: device and checkpoints.

    Returns:
        The settings, and the reason as part of a sentence ("no weights of sam_vit_h").

    Raises:
        InputError: the name is not known, weights that it needs are not on this machine, or
            the device does not exist.
    """
    if name == "auto":
        lack = _lack(PRESETS["paper"], resources)
        return PRESETS["embedded" if lack else "paper"], lack or "weights and a GPU are there"
    if name not in PRESETS:
        raise InputError(f"Expected a preset of {', '.join(CHOICES)}, got {name!r}.")
    for model in networks(PRESETS[name]):
        require(model, resources.checkpoints)
    return PRESETS[name], "asked for"


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
