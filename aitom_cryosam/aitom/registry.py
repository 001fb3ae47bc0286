"""The pickers by name, and CryoSAM among AITom's modules."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Any

from aitom_cryosam.aitom.aitom_pickers import DoGPicker, TemplateMatchingPicker
from aitom_cryosam.aitom.modules import aitom_module
from aitom_cryosam.errors import InputError

GROUP = "aitom.pickers"
"""Entry points of this group name a class with `pick(volume)`, built from an op."""
OWN = {"dog": DoGPicker, "template_matching": TemplateMatchingPicker}


def register() -> None:
    """Make `from aitom.pick.cryosam import picking, CryoSAMPicker` work.

    Raises:
        InputError: AITom is not importable; it says what to type.
    """
    plugin = sys.modules[__package__]
    aitom_module("aitom.pick").__dict__["cryosam"] = plugin
    sys.modules["aitom.pick.cryosam"] = plugin


def get_picker(name: str) -> Any:
    """The class of a picker: `get_picker(name)(op).pick(volume)` gives AITom's records.

    Args:
        name: of an entry point in the group `aitom.pickers`, or AITom's own "dog" and
            "template_matching".

    Raises:
        InputError: there is no such picker, or AITom's own is asked for and not importable.
    """
    if name in OWN:
        aitom_module("aitom.pick")
        return OWN[name]
    found = entry_points(group=GROUP)
    if name not in found.names:
        known = ", ".join(sorted({*found.names, *OWN}))
        raise InputError(f"There is no picker {name!r}; expected one of {known}.")
    return found[name].load()
