"""View: the tokens of all planes across one axis of a tomogram."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.geometry import TokenAxis, in_plane_axes
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.threads import side_by_side

BLOCK = 1 << 22
"""Numbers that a thread takes from the tokens at once: about a core's cache, as float32."""


@dataclass(frozen=True)
class View:
    """The tokens of all planes across one axis.

    They may lie on disk and be larger than the memory: no method copies more than `BLOCK` of
    their numbers, or one plane, for each thread.

    Attributes:
        axis: the tomogram axis the planes are stacked along.
        tokens: (n, gh, gw, C) float16.
        slices, rows, columns: where the tokens lie along the stack and in the plane.
    """

    axis: int
    tokens: np.ndarray
    slices: TokenAxis
    rows: TokenAxis
    columns: TokenAxis

    @property
    def axes(self) -> tuple[TokenAxis, TokenAxis, TokenAxis]:
        """Token axes in the order of the array: stack, rows, columns."""
        return self.slices, self.rows, self.columns

    @property
    def order(self) -> tuple[int, int, int]:
        """Tomogram axes in the order of the array."""
        return self.axis, *in_plane_axes(self.axis)

    def sample(self, points_zyx: np.ndarray) -> np.ndarray:
        """Features at points (n, 3), voxels; (n, C) float32."""
        corners = [
            axis.interpolation(points_zyx[:, order])
            for axis, order in zip(self.axes, self.order, strict=True)
        ]
        total = np.zeros((len(points_zyx), self.tokens.shape[-1]), np.float32)
        for corner in np.ndindex(2, 2, 2):
            weight = np.ones(len(points_zyx), np.float32)
            index = []
            for side, (lower, fraction), axis in zip(corner, corners, self.axes, strict=True):
                weight = weight * (fraction if side else 1 - fraction)
                index.append(np.minimum(lower + side, axis.count - 1))
            total += weight[:, None].astype(np.float32) * self.tokens[tuple(index)]
        return total

    def masked_sum(self, mask: ParticleMask) -> np.ndarray:
        """(C,) float64, the sum of the features over the voxels of a mask."""
        voxels = np.transpose(mask.mask, self.order).astype(np.float32)
        (planes, along), (rows, down), (columns, right) = (
            axis.span(int(mask.offset_zyx[order]), size)
            for axis, order, size in zip(self.axes, self.order, voxels.shape, strict=True)
        )
        weights = along.T @ voxels.reshape(len(voxels), -1)  # (planes, h w)
        weights = down.T @ weights.reshape(-1, *voxels.shape[1:]) @ right  # (planes, rows, columns)
        tokens = self.tokens[planes, rows, columns]
        total = np.zeros(tokens.shape[-1])
        for run in _runs(tokens):
            part = tokens[run].astype(np.float32).reshape(-1, tokens.shape[-1])
            total += weights[run].ravel() @ part
        return total

    def project(self, vector: np.ndarray) -> np.ndarray:
        """(n, gh, gw) float32, the dot product of each token with a vector (C,)."""
        result = np.empty(self.tokens.shape[:3], np.float32)

        def fill(planes: slice) -> None:
            np.matmul(self.tokens[planes].astype(np.float32), vector, out=result[planes])

        side_by_side(fill, _runs(self.tokens))
        return result


def _runs(tokens: np.ndarray) -> Iterator[slice]:
    """Neighbouring planes of at most `BLOCK` numbers, or one."""
    step = max(1, BLOCK * len(tokens) // tokens.size)
    for start in range(0, len(tokens), step):
        yield slice(start, start + step)
