"""What is looked for: particles, membranes, filaments. Each kind is one description, one file."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING

from aitom_cryosam.errors import InputError
from aitom_cryosam.targets.particle import PARTICLE, Particle

if TYPE_CHECKING:
    from aitom_cryosam.targets.base import StructureTarget

__all__ = ["PARTICLE", "STRUCTURES", "Particle", "structure"]

STRUCTURES: dict[str, tuple[str, str]] = {
    "membrane": ("aitom_cryosam.targets.membrane", "Membrane"),
    "filament": ("aitom_cryosam.targets.filament", "Filament"),
}
"""The kinds that are no particles: the module and class of each, imported when it is asked for."""


def structure(name: str, **lengths_angstrom: float | None) -> StructureTarget:
    """A kind of structure.

    Args:
        name: one of `STRUCTURES`.
        lengths_angstrom: its lengths, Å, without `_angstrom`; None leaves the usual one.

    Raises:
        InputError: there is no such kind, or it has no such length.
    """
    if name not in STRUCTURES:
        raise InputError(f"Expected a target of {', '.join(STRUCTURES)}, got {name!r}.")
    module, kind_name = STRUCTURES[name]
    kind = getattr(import_module(module), kind_name)
    given = {key: value for key, value in lengths_angstrom.items() if value is not None}
    known = {field.name.removesuffix("_angstrom") for field in fields(kind)}
    for key in given:
        if key not in known:
            listed = " and ".join(sorted(known))
            raise InputError(f"A {name} has no {key}; expected {listed}.")
    made: StructureTarget = kind(**{f"{key}_angstrom": value for key, value in given.items()})
    return made
