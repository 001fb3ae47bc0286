"""Average: what aligned particles make together, in two independent halves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aitom_cryosam.averaging.fsc import THRESHOLD, resolution
from aitom_cryosam.averaging.poses import Poses
from aitom_cryosam.averaging.reference import Reference
from aitom_cryosam.averaging.shells import trust
from aitom_cryosam.averaging.spectra import Ball
from aitom_cryosam.averaging.symmetry import C1, Symmetry

AGREE = 0.5  # FSC from which on a shell is taken into the alignment


@dataclass(frozen=True, eq=False)
class Average:
    """Particles in one frame, and what they make together.

    Attributes:
        volume: (n, n, n) float32, both halves, filtered to what they agree on.
        halves: two (n, n, n) float32, unfiltered.
        mask: (n, n, n) float32, 0 to 1, of the particle.
        fsc: (shells,) of the masked halves.
        voxel_size: Å, of the boxes.
        poses: of the particles of each tomogram.
        half: of each tomogram's particles, (n,) 0 or 1.
        coarsest: the finest shell of the first reference; alignment never uses less.
        symmetry: that was applied.
        measured: of each half, (k,) how often each frequency of the full ball was.
        members: of each tomogram's particles, (n,) bool, those that it is made of; None: all.
    """

    volume: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    mask: np.ndarray
    fsc: np.ndarray
    voxel_size: float
    poses: list[Poses]
    half: list[np.ndarray]
    coarsest: int = 3
    symmetry: Symmetry = C1
    measured: tuple[np.ndarray, np.ndarray] | None = None
    members: list[np.ndarray] | None = None

    @property
    def count(self) -> int:
        """Particles that it is made of."""
        if self.members is None:
            return sum(map(len, self.poses))
        return sum(int(one.sum()) for one in self.members)

    @property
    def extent(self) -> float:
        """Å, along the box."""
        return self.voxel_size * len(self.volume)

    @cached_property
    def resolution(self) -> float:
        """Å, where the halves' correlation falls below 0.143; inf where it does from the start."""
        return resolution(self.fsc, self.extent)

    @property
    def resolution_text(self) -> str:
        """The resolution in words."""
        return f"{self.resolution:.1f} Å" if math.isfinite(self.resolution) else "no resolution"

    @property
    def is_limited_by_voxels(self) -> bool:
        """Whether the halves agree to the last shell, so that nobody knows where they part."""
        return bool((self.fsc >= THRESHOLD).all())

    @property
    def agreed_shell(self) -> int:
        """The last shell on which the halves agree, no lower than the first reference's."""
        below = np.flatnonzero(self.fsc[1:] < AGREE)
        agreed = int(below[0]) if len(below) else len(self.fsc) - 1
        return int(np.clip(agreed, self.coarsest, len(self.volume) // 2 - 1))

    def half_reference(self, side: int) -> Reference:
        """One half, no finer than both agree, as particles are aligned to it."""
        ball = Ball(len(self.volume), len(self.volume) / 2 - 1)
        weights = trust(self.fsc, self.coarsest)[ball.shells]
        return Reference(ball.box(ball.of(self.halves[side][None])[0] * weights) * self.mask)
