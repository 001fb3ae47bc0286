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
        reach: diameters, no outline on a plane lies farther from its point.
        surroundings: diameters from its middle, where its surroundings begin.
        click_offset: diameters, a click lies no farther beside its middle.
        regions: radii of the balls, in its radii, over which its features are averaged.
    """

    spacing: float = 0.65
    extent: float = 1.6
    reach: float = 0.65
    surroundings: float = 0.58
    click_offset: float = 0.2
    regions: tuple[float, ...] = (0.5, 1.0)
    name = "particle"


PARTICLE = Particle()
