"""Growth: what the walks of one prompt have found, and the mask that it makes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from aitom_cryosam.masks import ParticleMask

Merge = Literal["union", "consensus"]
WALKS = tuple(sign + axis for axis in "zyx" for sign in "+-")
"""The six walks of a prompt: which way along which axis."""


@dataclass(frozen=True)
class Slice:
    """A mask on one plane, cropped.

    Attributes:
        axis: 0, 1, 2 for a plane across z, y, x.
        lower_zyx: (3,) the tomogram voxel of `voxels[0, 0, 0]`.
        voxels: (d, h, w) bool, 1 along the axis.
        score: 0 to 1.
    """

    axis: int
    lower_zyx: np.ndarray
    voxels: np.ndarray
    score: float


@dataclass
class Growth:
    """The slices that each walk of one prompt has passed, and why it stopped.

    The slice through the prompt belongs to the walk in the direction "+".
    """

    slices: dict[str, list[Slice]] = field(default_factory=lambda: defaultdict(list))
    stops: dict[str, str] = field(default_factory=dict)

    def merged(self, number: int, point_zyx: np.ndarray, merge: Merge) -> ParticleMask:
        """The instance with this id: the voxels in one axis' slices, or in those of two."""
        slices = [piece for walk in WALKS for piece in self.slices[walk]]
        stops = {walk: self.stops.get(walk, "border") for walk in WALKS}
        offset, mask = np.zeros(3, np.int64), np.zeros((0, 0, 0), bool)
        if slices:
            lower = np.array([piece.lower_zyx for piece in slices])
            upper = lower + [piece.voxels.shape for piece in slices]
            offset = lower.min(axis=0)
            by_axis = np.zeros((3, *(upper.max(axis=0) - offset)), bool)
            boxes = zip(slices, (lower - offset).tolist(), (upper - offset).tolist(), strict=True)
            for piece, start, stop in boxes:
                by_axis[piece.axis][tuple(map(slice, start, stop))] |= piece.voxels
            z, y, x = by_axis
            mask = z | y | x if merge == "union" else z & (y | x) | y & x
        offset, mask = _cropped(offset, mask)
        score = float(np.mean([piece.score for piece in slices])) if mask.size else 0.0
        return ParticleMask(number, point_zyx, offset, mask, score, stops)


def _cropped(offset: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A box without its empty margins, and the place of its first voxel."""
    if not mask.any():
        return np.zeros(3, np.int64), np.zeros((0, 0, 0), bool)
    lines = [np.any(mask, axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    filled = [np.flatnonzero(line) for line in lines]
    lower = np.array([line[0] for line in filled])
    cut = tuple(slice(line[0], line[-1] + 1) for line in filled)
    return offset + lower, mask[cut].copy()
