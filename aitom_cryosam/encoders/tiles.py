"""Tiles: an axis of tokens cut into overlapping pieces, and blended together again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OVERLAP = 0.25
"""Share of a tile that it has in common with the next."""


@dataclass(frozen=True)
class TileAxis:
    """The tiles along one axis.

    Attributes:
        count: tokens along the axis.
        limit: tokens that a tile may have.
    """

    count: int
    limit: int

    @property
    def size(self) -> int:
        """Tokens of each tile; a short axis is one tile."""
        return min(self.count, self.limit)

    @property
    def overlap(self) -> int:
        """Tokens that neighbouring tiles share; the last two may share more."""
        return int(OVERLAP * self.size)

    @property
    def starts(self) -> list[int]:
        """First token of each tile."""
        last = self.count - self.size
        return [*range(0, last, self.size - self.overlap), last]

    @property
    def weights(self) -> np.ndarray:
        """(tiles, size) float32: ramps over the overlap, 1 in sum for every token of the axis."""
        ramp = np.minimum(np.arange(1, self.size + 1) / (self.overlap + 1), 1)
        ramp = np.minimum(ramp, ramp[::-1])
        total = np.zeros(self.count)
        for start in self.starts:
            total[start : start + self.size] += ramp
        return np.stack([ramp / total[i : i + self.size] for i in self.starts]).astype(np.float32)
