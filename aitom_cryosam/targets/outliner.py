"""Outliner: what knows more of a structure's ridges than their filters, as a network's masks do."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from aitom_cryosam.targets.ridges import Ridges


class Outliner(Protocol):
    """Follows ridges from clicks into places where they are weak."""

    def outlined(self, ridges: Ridges, seeds: np.ndarray, least: float) -> np.ndarray:
        """Which points are of the clicked structures.

        Args:
            ridges: n points.
            seeds: (p,) points at the clicks.
            least: support that a point must have.

        Returns:
            (n,) bool.
        """
