"""Particle: what some formats say of every point of a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aitom_cryosam.errors import InputError


def object_name(text: str) -> str:
    """Any name as one that files of an object can have.

    >>> object_name("70S ribosome")
    '70S-ribosome'
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-") or Particle().name


@dataclass(frozen=True)
class Particle:
    """What the picks are of.

    Attributes:
        name: of the object, for copick, EMAN2 and ChimeraX.
        box: voxels, the edge of the cube around a point, for CBOX, EMAN2 and IMOD models.

    Raises:
        InputError: the name is not one line of text.
    """

    name: str = "particle"
    box: int = 32

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise InputError(f"Expected an object's name, one line of text, got {self.name!r}.")
