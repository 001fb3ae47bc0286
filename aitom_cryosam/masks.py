"""ParticleMask: one segmented particle, as a small box cut from the tomogram."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class ParticleMask:
    """The voxels of one instance (paper section 2.1).

    Attributes:
        id: the number of its row in Picks and of its voxels in the label volume.
        prompt_zyx: (3,) float64, the point it grew from, voxels of the tomogram.
        offset_zyx: (3,) int64, the tomogram voxel of `mask[0, 0, 0]`.
        mask: (d, h, w) bool, cropped to its voxels; an empty mask has shape (0, 0, 0).
        score: mean score of the planes it consists of, 0 to 1.
        stops: for each walk ("+z", "-z", "+y", "-y", "+x", "-x") why it ended.
    """

    id: int
    prompt_zyx: np.ndarray
    offset_zyx: np.ndarray
    mask: np.ndarray
    score: float
    stops: dict[str, str] = field(default_factory=dict)

    @property
    def volume(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.mask))

    @property
    def voxels_zyx(self) -> np.ndarray:
        """(n, 3) int64, the tomogram indices of its voxels."""
        return np.argwhere(self.mask) + self.offset_zyx

    @property
    def centroid_zyx(self) -> np.ndarray:
        """(3,) float64, mean position of its voxels. Undefined (NaN) for an empty mask."""
        if self.volume == 0:
            return np.full(3, np.nan)
        return self.voxels_zyx.mean(axis=0)

    @property
    def diameter(self) -> float:
        """Voxels: diameter of the ball of the same volume."""
        return float(2 * (3 * self.volume / (4 * np.pi)) ** (1 / 3))
