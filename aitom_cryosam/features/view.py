"""View: the tokens of all planes across one axis of a tomogram."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.features.half import single
from aitom_cryosam.features.token_files import release
from aitom_cryosam.geometry import TokenAxis, in_plane_axes
from aitom_cryosam.threads import side_by_side

BLOCK = 1 << 20
"""Numbers that a thread takes from the tokens at once: about a core's cache, as float32."""


@dataclass(frozen=True)
class View:
    """The tokens of all planes across one axis.

    They may lie on disk and be larger than the memory: no method copies more than `BLOCK` of
    their numbers, one plane, or what lies around the masks, for each thread.

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

    def masked_sums(self, offsets_zyx: np.ndarray, voxels: np.ndarray) -> np.ndarray:
        """The sum of the features over voxels around each of n places: (n, C) float32.

        As many tokens are copied as lie around a place, n times: give few places.

        Args:
            offsets_zyx: (n, 3) int, the tomogram voxels of `voxels[:, 0, 0, 0]`.
            voxels: (n, d, h, w) float32, weights; 0 outside the tomogram.
        """
        voxels = np.transpose(voxels, (0, *(1 + axis for axis in self.order)))
        offsets = offsets_zyx[:, self.order]
        count, d, h, w = voxels.shape
        (planes, along), (rows, down), (columns, right) = (
            axis.spans(offsets[:, i], size)
            for i, (axis, size) in enumerate(zip(self.axes, (d, h, w), strict=True))
        )
        weights = along.transpose(0, 2, 1) @ voxels.reshape(count, d, h * w)  # (n, p, h w)
        weights = weights.reshape(count, -1, h, w)
        weights = down.transpose(0, 2, 1)[:, None] @ weights @ right[:, None]  # (n, p, r, c)
        _, across, along_rows, channels = self.tokens.shape
        where = planes[:, :, None, None] * across + rows[:, None, :, None]
        where = where * along_rows + columns[:, None, None, :]  # (n, p, r, c)
        flat = self.tokens.reshape(-1, channels).take(where.reshape(count, -1), axis=0)
        return (weights.reshape(count, 1, -1) @ single(flat))[:, 0]

    def project(self, vector: np.ndarray) -> np.ndarray:
        """(n, gh, gw) float32, the dot product of each token with a vector (C,)."""
        result = np.empty(self.tokens.shape[:3], np.float32)

        def fill(planes: slice) -> None:
            np.matmul(single(self.tokens[planes]), vector, out=result[planes])

        side_by_side(fill, _runs(self.tokens))
        release(self.tokens)
        return result


def _runs(tokens: np.ndarray) -> Iterator[slice]:
    """Neighbouring planes of at most `BLOCK` numbers, or one."""
    step = max(1, BLOCK * len(tokens) // tokens.size)
    for start in range(0, len(tokens), step):
        yield slice(start, start + step)
