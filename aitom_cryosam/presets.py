"""Presets: the values of the settings under one name, and which name this machine can run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aitom_cryosam.checkpoints import find
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS, Model
from aitom_cryosam.resources import Resources

PAPER_RATIOS = (16, 8, 4)
_SHARED: dict[str, Any] = {
    "max_diameter_angstrom": 500.0,
    "tau_iou": 0.5,
    "candidate": "agreeing",
    "top_k": 512,
    "normalisation": "tomogram",
    "token_size_angstrom": None,
    "plane_shape": "aspect",
    "tau_sim_finest": True,
    "subcell": True,
    "centring": True,
    "position": "halfway",
    "window": None,
    "mask_fallback": "none",
    "semantic": "none",
    "all_masks": False,
    "looks": 1,
    "cut": "auto",
    "fdr": None,
}
VALUES: Mapping[str, Mapping[str, Any]] = {
    "embedded": {
        **_SHARED,
        "encoder": "filterbank",
        "segmenter": "contour",
        "merge": "consensus",
        "tau_sim": 0.0,
        "ratios": "auto",
        "pooling": "core",
        "slab": 0.25,
        "shrinkage": 0.1,
        "looks": 3,
    },
    "paper": {
        **_SHARED,
        "encoder": "dinov2_vitl14_reg",
        "segmenter": "sam_vit_h",
        "merge": "union",
        "tau_sim": 0.5,
        "ratios": PAPER_RATIOS,
        "pooling": "mask",
        "slab": 0,
        "shrinkage": None,
        "plane_shape": "square",
        "subcell": False,
        "position": "mask",
        "semantic": "union",
        "cut": "none",
    },
    "networks": {
        **_SHARED,
        "encoder": "dinov2_vitl14_reg",
        "segmenter": "sam_vit_h",
        "merge": "consensus",
        "tau_sim": 0.0,
        "ratios": "auto",
        "pooling": "core",
        "slab": 0,
        "shrinkage": 0.1,
        "token_size_angstrom": "auto",
        "mask_fallback": "clicks",
    },
}
"""What `Settings` takes where it is given nothing else, by the preset's name."""
CHOICES = ("auto", *VALUES)
"""What a user may give as a preset."""


def resolve(name: str, resources: Resources, needed: Sequence[Model]) -> tuple[str, str]:
    """The preset's own name, and why it is this one.

    Args:
        name: one of `CHOICES`. "auto" is "embedded": no measurement on tomograms shows yet that
            the networks pick better, and it runs everywhere.
        resources: device and checkpoints.
        needed: the networks of "paper", with what the user changes of it.

    Raises:
        InputError: the name is not known, or the device does not exist.
    """
    if name not in CHOICES:
        raise InputError(f"Expected a preset of {', '.join(CHOICES)}, got {name!r}.")
    if name != "auto":
        return name, "asked for"
    lack = _lack(needed, resources)
    return "embedded", lack or "the networks, whose weights and a GPU are there, can be asked for"


def useful_ratios(diameter_voxels: float) -> tuple[int, ...]:
    """The paper's levels that can see the particle: cells no larger than its radius.

    A larger cell mixes the particle with its surroundings and would be dropped with it.
    """
    radius = diameter_voxels / 2
    useful = tuple(ratio for ratio in PAPER_RATIOS if ratio <= max(radius, 1))
    return useful or (max(1, int(radius / 1.5)),)


def networks(encoder: str, segmenter: str) -> list[Model]:
    """The models among two that need weights, encoder first, each once."""
    models = (MODELS[name] for name in dict.fromkeys((encoder, segmenter)))
    return [model for model in models if model.weights is not None]


def lacking_weights(needed: Sequence[Model], resources: Resources) -> str:
    """What this machine does not have, as "no weights of sam_vit_h"; empty if it has all."""
    missing = [model.name for model in needed if find(model, resources.checkpoints) is None]
    return f"no weights of {' and '.join(missing)}" if missing else ""


def _lack(needed: Sequence[Model], resources: Resources) -> str:
    """What the machine does not have; torch is asked only if all weights are there."""
    if missing := lacking_weights(needed, resources):
        return missing
    from aitom_cryosam.device import Device

    if Device.choose(resources).name.startswith("cuda"):
        return ""
    return "no GPU" if resources.device == "auto" else f"device {resources.device}"
