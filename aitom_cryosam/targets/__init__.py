"""What is looked for: particles, membranes, filaments. Each kind is one description, one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from aitom_cryosam.errors import InputError
from aitom_cryosam.targets.base import Structures, StructureTarget
from aitom_cryosam.targets.filament import Filament
from aitom_cryosam.targets.membrane import Membrane
from aitom_cryosam.targets.particle import PARTICLE, Particle

__all__ = ["PARTICLE", "STRUCTURES", "Particle", "StructureTarget", "Structures", "structure"]

STRUCTURES: Mapping[str, type[Membrane] | type[Filament]] = {
    kind.name: kind for kind in (Membrane, Filament)
}
"""The kinds that are no particles, by name."""


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
    kind = STRUCTURES[name]
    given = {key: value for key, value in lengths_angstrom.items() if value is not None}
    known = {field.name.removesuffix("_angstrom") for field in fields(kind)}
    for key in given:
        if key not in known:
            listed = " and ".join(sorted(known))
            raise InputError(f"A {name} has no {key}; expected {listed}.")
    return kind(**{f"{key}_angstrom": value for key, value in given.items()})
