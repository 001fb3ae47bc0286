"""ParticleMask: one segmented particle, as a small box cut from the tomogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aitom_cryosam.geometry import nearest_voxel

_AT_ONCE = 32  # balls that are made together


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
        is_ball: whether walks gave no mask, and a ball around the prompt takes its place.
    """

    id: int
    prompt_zyx: np.ndarray
    offset_zyx: np.ndarray
    mask: np.ndarray
    score: float
    stops: dict[str, str] = field(default_factory=dict)
    is_ball: bool = False

    @classmethod
    def empty(cls, prompt_zyx: np.ndarray, number: int = 0) -> ParticleMask:
        """A mask without voxels."""
        return cls(number, prompt_zyx, np.zeros(3, np.int64), np.zeros((0, 0, 0), bool), np.nan)

    @property
    def volume(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.mask))

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Of the tomogram, the voxels that `mask` covers."""
        z, y, x = (
            slice(start, start + size)
            for start, size in zip(self.offset_zyx.tolist(), self.mask.shape, strict=True)
        )
        return z, y, x

    @property
    def voxels_zyx(self) -> np.ndarray:
        """(n, 3) int64, the tomogram indices of its voxels."""
        return np.argwhere(self.mask) + self.offset_zyx

    @property
    def centroid_zyx(self) -> np.ndarray:
        """(3,) float64, mean position of its voxels. Undefined (NaN) for an empty mask.

        Of a ball the prompt: where the tomogram's face cuts it, its voxels' mean lies beside.
        """
        if self.is_ball:
            return self.prompt_zyx
        if self.volume == 0:
            return np.full(3, np.nan)
        return self.voxels_zyx.mean(axis=0)

    @property
    def diameter(self) -> float:
        """Voxels: diameter of the ball of the same volume."""
        return float(2 * (3 * self.volume / (4 * np.pi)) ** (1 / 3))

    def outlines(self, axis: int, index: int) -> list[np.ndarray]:
        """(n, 2) each, the edges of its section in a plane of the tomogram across an axis."""
        from skimage.measure import find_contours

        inside = index - int(self.offset_zyx[axis])
        if not 0 <= inside < self.mask.shape[axis]:
            return []
        section = np.pad(self.mask.take(inside, axis=axis).astype(float), 1)
        corner = np.delete(self.offset_zyx, axis)
        return [line - 1 + corner for line in find_contours(section, 0.5)]


def ball(centre_zyx: np.ndarray, radius: float, shape: Sequence[int]) -> ParticleMask:
    """The voxels of a tomogram within a radius of a point, the nearest one at least.

    Args:
        centre_zyx: (3,) voxels, inside the tomogram.
        radius: voxels.
        shape: (D, H, W) of the tomogram.
    """
    return balls(np.reshape(centre_zyx, (1, 3)), radius, shape)[0]


def balls(centres_zyx: np.ndarray, radius: float, shape: Sequence[int]) -> list[ParticleMask]:
    """As `ball`, of n points, (n, 3) voxels."""
    centres, last = np.asarray(centres_zyx, dtype=np.float64), np.array(shape) - 1
    nearest = np.clip(nearest_voxel(centres), 0, last)
    lower = np.minimum(np.maximum(np.ceil(centres - radius).astype(np.int64), 0), nearest)
    upper = np.minimum(np.maximum(np.floor(centres + radius).astype(np.int64), nearest), last)
    made = []
    for start in range(0, len(centres), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        sizes = upper[some] - lower[some] + 1
        away = lower[some, :, None] + np.arange(sizes.max()) - centres[some, :, None]  # (m, 3, s)
        z, y, x = np.moveaxis(away**2, 1, 0)
        masks = z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :] <= radius**2
        masks[(np.arange(len(masks)), *(nearest[some] - lower[some]).T)] = True
        rows = zip(centres[some], lower[some], masks, sizes.tolist(), strict=True)
        made += [
            ParticleMask(0, centre, first, np.ascontiguousarray(mask[:d, :h, :w]), 1.0)
            for centre, first, mask, (d, h, w) in rows
        ]
    return made


def labels(shape: Sequence[int], masks: Sequence[ParticleMask]) -> np.ndarray:
    """The instances as one volume.

    Args:
        shape: (D, H, W) of the tomogram.
        masks: their ids become voxel values. Where masks overlap the better score wins, and of
            equal scores the earlier mask.

    Returns:
        (D, H, W) of the smallest of int16, uint16 and int32 that holds the ids, 0 where there is
        no particle.
    """
    largest = max((mask.id for mask in masks), default=0)
    types = (np.int16, np.uint16, np.int32)
    volume = np.zeros(tuple(shape), next(kind for kind in types if largest <= np.iinfo(kind).max))
    for mask in sorted(reversed(masks), key=lambda mask: mask.score):
        volume[mask.box][mask.mask] = mask.id
    return volume


def cores(masks: list[ParticleMask], diameter_voxels: float) -> list[ParticleMask]:
    """Each mask without its rim: the voxels within half a particle radius of its middle.

    The features of the rim are half those of its surroundings. An empty mask stays as it is.
    """
    cores = []
    for mask in masks:
        if mask.volume == 0:
            cores.append(mask)
            continue
        squares = ((mask.voxels_zyx - mask.centroid_zyx) ** 2).sum(axis=1)
        core = np.zeros_like(mask.mask)
        core[mask.mask] = squares <= max((diameter_voxels / 4) ** 2, squares.min())
        cores.append(replace(mask, mask=core))
    return cores


def labels_of(labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(D, H, W) the labels of these ids alone, read a plane at a time.

    Args:
        labels: (D, H, W) integers, perhaps of a mapped file.
        ids: (n,) to keep; all else becomes 0.
    """
    kept = np.zeros_like(labels)
    for plane, into in zip(labels, kept, strict=True):
        np.copyto(into, plane, where=np.isin(plane, ids))
    return kept
