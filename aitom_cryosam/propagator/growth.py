"""Growth: what the walks of all prompts have found, and the masks that it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from aitom_cryosam.geometry import in_plane_axes
from aitom_cryosam.masks import ParticleMask

Merge = Literal["union", "consensus"]
WALKS = tuple(sign + axis for axis in "zyx" for sign in "+-")
"""The six walks of a prompt: which way along which axis."""
_IN_TWO = np.array([bits.bit_count() > 1 for bits in range(8)])  # axes, a bit of each
_PIXELS = 1 << 20  # of slices that are unpacked together


@dataclass(frozen=True)
class Slices:
    """Masks on planes across one axis: one each of m walks, which are equally far.

    Attributes:
        axis: 0, 1, 2 for planes across z, y, x.
        prompts: (m,) that the walks are of.
        lower_zyx: (m, 3) the first tomogram voxel of each mask, cropped.
        upper_zyx: (m, 3) one past the last.
        corners_zyx: (m, 3) the first tomogram voxel of each box of `packed`.
        shape: (h, w) of these boxes, which hold the largest mask.
        packed: (m, b) uint8, eight pixels of a box each.
        scores: (m,) 0 to 1.
    """

    axis: int
    prompts: np.ndarray
    lower_zyx: np.ndarray
    upper_zyx: np.ndarray
    corners_zyx: np.ndarray
    shape: tuple[int, int]
    packed: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(
        cls,
        axis: int,
        prompts: np.ndarray,
        planes: np.ndarray,
        masks: np.ndarray,
        offsets_yx: np.ndarray,
        extents: tuple[np.ndarray, np.ndarray],
        scores: np.ndarray,
    ) -> Slices:
        """Masks in windows of their planes.

        Args:
            axis: across which the planes are.
            prompts: (m,) that the walks are of, m at least 1.
            planes: (m,).
            masks: (m, h, w) bool, none of them empty.
            offsets_yx: (m, 2) the plane pixel of each window's first pixel.
            extents: (m, 2) first pixel of a window that is in its mask, and (m, 2) one past the
                last.
            scores: (m,) 0 to 1.
        """
        lower, upper = extents
        height, width = (upper - lower).max(axis=0).tolist()
        corners = np.minimum(lower, np.array(masks.shape[1:]) - (height, width))
        boxes = sliding_window_view(masks, (height, width), axis=(1, 2))
        voxels = boxes[np.arange(len(masks)), corners[:, 0], corners[:, 1]]  # (m, h, w)

        def placed(pixels_yx: np.ndarray, plane: np.ndarray) -> np.ndarray:
            return np.insert(offsets_yx + pixels_yx, axis, plane, axis=1)

        return cls(
            axis,
            prompts,
            placed(lower, planes),
            placed(upper, planes + 1),
            placed(corners, planes),
            (height, width),
            np.packbits(voxels.reshape(len(masks), -1), axis=1),
            scores.astype(np.float64),
        )

    def mark(
        self, axes: np.ndarray, starts: np.ndarray, lower_zyx: np.ndarray, shapes: np.ndarray
    ) -> None:
        """Set the axis' bit of all voxels.

        Args:
            axes: (v,) uint8, the boxes of all prompts, one after the other.
            starts: (m,) where those of these prompts begin in it.
            lower_zyx: (m, 3) the first tomogram voxel of each box.
            shapes: (m, 3) of each box.
        """
        strides = np.stack([shapes[:, 1] * shapes[:, 2], shapes[:, 2], np.ones_like(starts)], 1)
        first = starts + ((self.corners_zyx - lower_zyx) * strides).sum(axis=1)
        down, right = strides[:, in_plane_axes(self.axis)].T
        height, width = self.shape
        at_once = max(1, _PIXELS // (height * width))
        for start in range(0, len(first), at_once):
            packed = self.packed[start : start + at_once]
            row, pixel = np.nonzero(np.unpackbits(packed, axis=1, count=height * width))
            y, x = np.divmod(pixel, width)
            row += start
            axes[first[row] + y * down[row] + x * right[row]] |= 1 << self.axis


class Growth:
    """The slices that the walks of n prompts have passed, and why each stopped.

    The slice through a prompt belongs to the walk in the direction "+". Walks along different axes
    may add theirs from several threads at once.

    Args:
        count: n.
    """

    def __init__(self, count: int) -> None:
        self._stops = np.full((count, len(WALKS)), "border", object)
        self._slices: list[list[Slices]] = [[], [], []]

    def add(self, slices: Slices) -> None:
        """Note what walks have passed."""
        self._slices[slices.axis].append(slices)

    def stop(self, axis: int, prompts: np.ndarray, signs: np.ndarray, reason: str) -> None:
        """Note why the walks of prompts (m,) in the directions (m,), 1 or -1, have ended."""
        self._stops[prompts, 2 * axis + (signs < 0)] = reason

    def merged(self, points_zyx: np.ndarray, merge: Merge) -> list[ParticleMask]:
        """The instances, with ids from 1: the voxels in one axis' slices, or in those of two.

        Args:
            points_zyx: (n, 3), the prompts.
            merge: of the three axes' slices.
        """
        n = len(points_zyx)
        slices = [one for along in self._slices for one in along]
        lower, upper = np.full((n, 3), np.iinfo(np.int64).max), np.zeros((n, 3), np.int64)
        sums, counts = np.zeros((2, n))
        for one in slices:
            np.minimum.at(lower, one.prompts, one.lower_zyx)
            np.maximum.at(upper, one.prompts, one.upper_zyx)
            np.add.at(sums, one.prompts, one.scores)
            np.add.at(counts, one.prompts, 1)
        lower[counts == 0] = 0
        scores = sums / np.maximum(counts, 1)
        shapes = upper - lower
        ends = np.cumsum(shapes.prod(axis=1))
        starts = ends - shapes.prod(axis=1)
        axes = np.zeros(shapes.prod(axis=1).sum(), np.uint8)  # that have a voxel: a bit of each
        for one in slices:
            one.mark(axes, starts[one.prompts], lower[one.prompts], shapes[one.prompts])
        inside = np.minimum(axes, 1).view(bool) if merge == "union" else _IN_TWO[axes]
        masks = []
        for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            offset, mask = lower[row], inside[start:end].reshape(shapes[row])
            if merge == "consensus":
                offset, mask = _cropped(offset, mask)
            score = float(scores[row]) if mask.size else 0.0
            stops = dict(zip(WALKS, self._stops[row].tolist(), strict=True))
            masks.append(ParticleMask(row + 1, points_zyx[row], offset, mask, score, stops))
        return masks


def _cropped(offset: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A box without its empty margins, and the place of its first voxel."""
    if not mask.any():
        return np.zeros(3, np.int64), np.zeros((0, 0, 0), bool)
    lines = [np.any(mask, axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    filled = [np.flatnonzero(line) for line in lines]
    lower = np.array([line[0] for line in filled])
    cut = tuple(slice(line[0], line[-1] + 1) for line in filled)
    return offset + lower, mask[cut].copy()
