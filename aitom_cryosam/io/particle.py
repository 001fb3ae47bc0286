"""Particle: what some formats say of every point of a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Particle:
    """What the picks are of.

    Attributes:
        name: of the object, for copick and EMAN2.
        box: voxels, the edge of the cube around a point, for CBOX and EMAN2.
    """

    name: str = "particle"
    box: int = 32
