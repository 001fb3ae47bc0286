"""Section: one slice of a tomogram, and where points and masks lie on its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aitom_cryosam.geometry import from_edge, in_plane_axes, nearest_voxel
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.report.images import limits, photograph


@dataclass(frozen=True, eq=False)
class Section:
    """A slice across one axis, drawn as other programs do: x to the right, y (or z) upwards.

    Its picture is measured in voxels from the upper left corner.

    Attributes:
        data: (D, H, W) of the tomogram.
        axis: 0, 1, 2 for a slice across z, y, x.
        first: voxel along that axis.
        last: one past the last; their mean is shown.
        corner: first row and column that are shown.
        size: rows and columns that are shown.
    """

    data: np.ndarray
    axis: int
    first: int
    last: int
    corner: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def whole(cls, data: np.ndarray, axis: int, index: int, thickness: int) -> Section:
        """All of a slice of a tomogram (D, H, W), `thickness` voxels around a voxel."""
        rows, columns = (data.shape[other] for other in in_plane_axes(axis))
        first, last = _range(index, thickness, data.shape[axis])
        return cls(data, axis, first, last, (0, 0), (rows, columns))

    @classmethod
    def around(
        cls, data: np.ndarray, axis: int, point_zyx: np.ndarray, side: int, thickness: int
    ) -> Section:
        """A square of `side` voxels around a point of (D, H, W); what lies outside is black."""
        voxel = nearest_voxel(point_zyx)
        first, last = _range(int(voxel[axis]), thickness, data.shape[axis])
        row, column = (int(voxel[other]) - side // 2 for other in in_plane_axes(axis))
        return cls(data, axis, first, last, (row, column), (side, side))

    @property
    def box(self) -> str:
        """An SVG view box."""
        return f"0 0 {self.size[1]} {self.size[0]}"

    @cached_property
    def values(self) -> np.ndarray:
        """(rows, columns) float32, the file's values, rows in the order of the data."""
        cut: list[slice] = [slice(None)] * 3
        cut[self.axis] = slice(self.first, self.last)
        missing = []  # (before, after) along rows and columns
        shape = [self.data.shape[other] for other in in_plane_axes(self.axis)]
        lines = zip(in_plane_axes(self.axis), self.corner, self.size, shape, strict=True)
        for other, start, size, whole in lines:
            low, high = min(max(start, 0), whole), min(max(start + size, 0), whole)
            cut[other] = slice(low, high)
            before = min(max(-start, 0), size)
            missing.append((before, size - (high - low) - before))
        inside = self.data[tuple(cut)].astype(np.float32).mean(axis=self.axis)
        filling = float(inside.min()) if inside.size else 0.0
        return np.pad(inside, missing, constant_values=filling)

    def picture(self, between: tuple[float, float] | None = None) -> str:
        """A data URI of the slice.

        Args:
            between: values that are black and white; the slice's own if None.
        """
        return photograph(self.values[::-1], limits=between or limits(self.values))

    def place(self, points_zyx: np.ndarray) -> np.ndarray:
        """(n, 2) x and y on the picture of points (n, 3)."""
        rows, columns = in_plane_axes(self.axis)
        x = from_edge(points_zyx[:, columns] - self.corner[1])
        y = self.size[0] - from_edge(points_zyx[:, rows] - self.corner[0])
        return np.stack([x, y], axis=1)

    def outline(self, mask: ParticleMask) -> str:
        """The edge of a mask in the middle of the slice, as an SVG path; empty if there is none."""
        middle = (self.first + self.last) // 2
        return "".join(self._path(line) for line in mask.outlines(self.axis, middle))

    def near(self, points_zyx: np.ndarray, reach: float) -> np.ndarray:
        """(m,) indices of the points within `reach` voxels of the slice."""
        middle = (self.first + self.last - 1) / 2
        return np.flatnonzero(np.abs(points_zyx[:, self.axis] - middle) <= reach)

    def _path(self, line: np.ndarray) -> str:
        points = np.insert(line, self.axis, 0, axis=1)
        steps: Sequence[str] = [f"{x:.1f},{y:.1f}" for x, y in self.place(points)]
        return "M" + "L".join(steps) + "Z"


def _range(index: int, thickness: int, size: int) -> tuple[int, int]:
    half, index = thickness // 2, min(max(index, 0), size - 1)
    return max(index - half, 0), min(index + half + 1, size)
