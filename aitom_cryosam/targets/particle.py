"""Particle: compact bodies of one size, which the method of the paper picks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Particle:
    """How compact a particle is, in its diameters.

    Attributes:
        spacing: diameters, two particles are at least so far apart; of two closer picks the
            better stays.
        extent: diameters, a mask that is wider is not one particle.
    """

    spacing: float = 0.65
    extent: float = 1.6
    name = "particle"


PARTICLE = Particle()
