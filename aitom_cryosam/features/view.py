"""View: the tokens of all planes across one axis of a tomogram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.features.half import single
from aitom_cryosam.features.token_files import release
from aitom_cryosam.geometry import TokenAxis, in_plane_axes
from aitom_cryosam.masks import ParticleMask
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

    def masked_sums(self, masks: Sequence[ParticleMask]) -> np.ndarray:
        """(n, C) float32, the sum of the features over the voxels of each of n masks.

        As many tokens are copied as lie around the largest mask, n times: give few masks, of about
        one size.
        """
        shapes = np.array([mask.mask.shape for mask in masks])[:, self.order]
        offsets = np.array([mask.offset_zyx for mask in masks])[:, self.order]
        d, h, w = shapes.max(axis=0).tolist()
        voxels = np.zeros((len(masks), d, h, w), np.float32)
        for box, mask, (depth, height, width) in zip(voxels, masks, shapes.tolist(), strict=True):
            box[:depth, :height, :width] = np.transpose(mask.mask, self.order)
        (planes, along), (rows, down), (columns, right) = (
            axis.spans(offsets[:, i], size)
            for i, (axis, size) in enumerate(zip(self.axes, (d, h, w), strict=True))
        )
        weights = along.transpose(0, 2, 1) @ voxels.reshape(len(masks), d, h * w)  # (n, p, h w)
        weights = weights.reshape(len(masks), -1, h, w)
        weights = down.transpose(0, 2, 1)[:, None] @ weights @ right[:, None]  # (n, p, r, c)
        tokens = single(
            self.tokens[planes[:, :, None, None], rows[:, None, :, None], columns[:, None, None, :]]
        )  # (n, p, r, c, C)
        flat = weights.reshape(len(masks), 1, -1)
        return (flat @ tokens.reshape(len(masks), flat.shape[-1], -1))[:, 0]

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
