"""Cross-plane self-prompting: from point prompts to 3D instance masks (paper section 2.1)."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.segmenters.base import Embedding, PlaneSegmenter, Segmentation, shifted
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

Merge = Literal["union", "consensus"]
_AXES = "zyx"


class CrossPlanePropagator:
    """Segments the three planes through a prompt, then walks from them both ways: six walks.

    Each plane of a walk is prompted by the point of highest confidence and the mask logits of
    the plane before (eq. 2). A walk ends, and notes why, at

    - "border": the tomogram ends;
    - "empty": the plane gave no mask;
    - "iou": the masks of two adjacent planes overlap less than `tau_iou`; the new one is dropped;
    - "size limit": more than half of `max_extent` away from the prompt, or a wider mask.

    Walks do not depend on each other. Those of all prompts in one direction are therefore swept
    together through the tomogram: every plane is embedded once per sweep at most, only if a
    walk reaches it, and decodes all the walks that are there in one call.

    Args:
        segmenter: what turns a point, and the mask before, into a mask.
        tau_iou: smallest overlap of adjacent masks, 0 to 1 (τ_IoU).
        merge: "union" of the three axes' results, as in the paper, or "consensus": voxels in at
            least two of them.
        max_extent: voxels, the largest particle along any axis; None for no limit.
        cache_bytes: embeddings kept for the sweep back.
        progress: called with the walks that have ended and their total number.
    """

    def __init__(
        self,
        segmenter: PlaneSegmenter,
        *,
        tau_iou: float = 0.5,
        merge: Merge = "union",
        max_extent: float | None = None,
        cache_bytes: int = 256_000_000,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.segmenter = segmenter
        self.tau_iou = tau_iou
        self.merge = merge
        self.max_extent = np.inf if max_extent is None else float(max_extent)
        self.cache_bytes = cache_bytes
        self.progress = progress

    def propagate(self, tomogram: Tomogram, points_zyx: np.ndarray) -> list[ParticleMask]:
        """One mask per prompt.

        Args:
            tomogram: the tomogram.
            points_zyx: (n, 3) fractional voxels. The planes are the nearest ones.

        Returns:
            n masks in the order of the prompts, with ids from 1. A prompt that yields nothing
            has an empty mask, with its walks' "empty" or "size limit"; outside the tomogram
            all six say "border".
        """
        points = np.asarray(points_zyx, dtype=np.float64).reshape(-1, 3)
        grown = [_Grown() for _ in points]
        nearest = np.floor(points + 0.5).astype(np.int64)
        inside = np.flatnonzero(((nearest >= 0) & (nearest < tomogram.shape)).all(axis=1))
        ended = _Counter(6 * len(points), self.progress)
        ended.add(6 * (len(points) - len(inside)))
        for axis in range(3):
            _AxisSweeps(self, tomogram, axis, points, grown, ended).run(inside)
        masks = [
            particle.merged(number, point, self.merge)
            for number, (particle, point) in enumerate(zip(grown, points, strict=True), 1)
        ]
        logger.debug("%d of %d prompts gave a mask", sum(m.volume > 0 for m in masks), len(masks))
        return masks


def labels(shape: Sequence[int], masks: Sequence[ParticleMask]) -> np.ndarray:
    """The instances as one volume.

    Args:
        shape: (D, H, W) of the tomogram.
        masks: their ids become voxel values. Where masks overlap the better score wins, and of
            equal scores the earlier mask.

    Returns:
        (D, H, W) int32, 0 where there is no particle.
    """
    volume = np.zeros(tuple(shape), np.int32)
    for mask in sorted(reversed(masks), key=lambda mask: mask.score):
        box = tuple(
            slice(start, start + size)
            for start, size in zip(mask.offset_zyx, mask.mask.shape, strict=True)
        )
        volume[box][mask.mask] = mask.id
    return volume


@dataclass(frozen=True)
class _Slice:
    """A mask on one plane, cropped; `lower_zyx` is the voxel of its first pixel."""

    axis: int
    lower_zyx: np.ndarray
    mask: np.ndarray
    score: float

    @property
    def voxels(self) -> np.ndarray:
        """(d, h, w) bool, d, h or w being 1."""
        return np.expand_dims(self.mask, self.axis)

    @property
    def upper_zyx(self) -> np.ndarray:
        return self.lower_zyx + self.voxels.shape


@dataclass
class _Grown:
    """What the walks of one prompt have found so far."""

    slices: list[_Slice] = field(default_factory=list)
    stops: dict[str, str] = field(default_factory=dict)

    def merged(self, number: int, point: np.ndarray, merge: Merge) -> ParticleMask:
        stops = {
            sign + axis: self.stops.get(sign + axis, "border") for axis in _AXES for sign in "+-"
        }
        offset, mask = np.zeros(3, np.int64), np.zeros((0, 0, 0), bool)
        if self.slices:
            offset = np.min([piece.lower_zyx for piece in self.slices], axis=0)
            shape = np.max([piece.upper_zyx for piece in self.slices], axis=0) - offset
            by_axis = np.zeros((3, *shape), bool)
            for piece in self.slices:
                start, stop = piece.lower_zyx - offset, piece.upper_zyx - offset
                box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
                by_axis[piece.axis][box] |= piece.voxels
            mask = np.count_nonzero(by_axis, axis=0) >= (1 if merge == "union" else 2)
        offset, mask = _cropped(offset, mask)
        score = float(np.mean([piece.score for piece in self.slices])) if mask.size else 0.0
        return ParticleMask(number, point, offset, mask, score, stops)


@dataclass
class _Walks:
    """Walks in one direction that stand on the same plane."""

    prompts: np.ndarray  # (n,) index of each walk's prompt
    masks: Segmentation  # n masks, on that plane

    def take(self, index: np.ndarray) -> _Walks:
        return _Walks(self.prompts[index], self.masks.take(index))

    def joined(self, other: _Walks) -> _Walks:
        if min(len(self.prompts), len(other.prompts)) == 0:
            return self if len(self.prompts) else other
        prompts = np.concatenate([self.prompts, other.prompts])
        return _Walks(prompts, Segmentation.concatenate([self.masks, other.masks]))


class _AxisSweeps:
    """The walks of all prompts along one axis: one sweep up and one down."""

    def __init__(
        self,
        settings: CrossPlanePropagator,
        tomogram: Tomogram,
        axis: int,
        points_zyx: np.ndarray,
        grown: list[_Grown],
        ended: _Counter,
    ) -> None:
        self.settings = settings
        self.tomogram = tomogram
        self.axis = axis
        self.points_yx = np.delete(points_zyx, axis, axis=1)
        self.starts = np.floor(points_zyx[:, axis] + 0.5).astype(np.int64)
        self.grown = grown
        self.ended = ended
        self.cache = _Cache(settings.cache_bytes)

    def run(self, prompts: np.ndarray) -> None:
        """prompts: (n,) indices of the points inside the tomogram."""
        first = {
            int(plane): prompts[self.starts[prompts] == plane]
            for plane in np.unique(self.starts[prompts])
        }
        begun: dict[int, _Walks] = {}
        for sign, step in (("+", 1), ("-", -1)):
            direction = sign + _AXES[self.axis]
            walks: _Walks | None = None
            for plane in range(self.tomogram.shape[self.axis])[::step]:
                if walks is not None:
                    walks = self._advance(walks, plane, direction)
                if plane in first:
                    if plane not in begun:
                        begun[plane] = self._begin(first[plane], plane)
                    walks = begun[plane] if walks is None else walks.joined(begun[plane])
                if walks is not None and len(walks.prompts) == 0:
                    walks = None
            if walks is not None:
                self._stop(walks.prompts, direction, "border")

    def _begin(self, prompts: np.ndarray, plane: int) -> _Walks:
        """Segment the plane through the prompts (eq. 1)."""
        masks = self._segment(plane, self.points_yx[prompts], None)
        walks = _Walks(prompts, masks)
        return self._keep(walks, plane, np.ones(len(prompts)), ("+", "-"))

    def _advance(self, walks: _Walks, plane: int, direction: str) -> _Walks:
        """Segment the next plane, prompted by the one before (eq. 2)."""
        far = abs(plane - self.starts[walks.prompts]) > self.settings.max_extent / 2
        self._stop(walks.prompts[far], direction, "size limit")
        walks = walks.take(~far)
        if far.all():
            return walks
        before = walks.masks
        masks = self._segment(plane, before.points_yx, before)
        return self._keep(_Walks(walks.prompts, masks), plane, _iou(before, masks), direction[0])

    def _keep(self, walks: _Walks, plane: int, iou: np.ndarray, signs: Sequence[str]) -> _Walks:
        """Note the masks of the walks that go on, and why the others end."""
        lower, upper = _extents(walks.masks.masks)
        drift = np.abs(walks.masks.points_yx - self.points_yx[walks.prompts]).max(axis=1)
        large = (upper - lower).max(axis=1) > self.settings.max_extent
        large |= drift > self.settings.max_extent / 2
        reasons = np.full(len(iou), "", object)
        reasons[iou < self.settings.tau_iou] = "iou"
        reasons[large] = "size limit"
        reasons[(upper == 0).any(axis=1)] = "empty"
        for sign in signs:
            for reason in ("iou", "size limit", "empty"):
                self._stop(walks.prompts[reasons == reason], sign + _AXES[self.axis], reason)
        for row in np.flatnonzero(reasons == ""):
            (y0, x0), (y1, x1) = lower[row], upper[row]
            corner = np.insert(walks.masks.offsets_yx[row] + lower[row], self.axis, plane)
            mask = walks.masks.masks[row, y0:y1, x0:x1].copy()
            piece = _Slice(self.axis, corner, mask, float(walks.masks.scores[row]))
            self.grown[walks.prompts[row]].slices.append(piece)
        return walks.take(reasons == "")

    def _stop(self, prompts: np.ndarray, direction: str, reason: str) -> None:
        for prompt in prompts:
            self.grown[prompt].stops[direction] = reason
        self.ended.add(len(prompts))

    def _segment(
        self, plane: int, points_yx: np.ndarray, previous: Segmentation | None
    ) -> Segmentation:
        segmenter = self.settings.segmenter
        embedding = self.cache.get(plane)
        if embedding is None:
            values = self.tomogram.plane(self.axis, plane)
            (embedding,) = segmenter.embed(values[None])
            self.cache.put(plane, embedding, segmenter.embedding_bytes(values.shape))
        rows = np.zeros(len(points_yx), np.int64)
        return segmenter.segment([embedding], rows, points_yx, previous)


class _Counter:
    """Tells the caller how many walks have ended."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self.done = 0
        self.total = total
        self.progress = progress

    def add(self, count: int) -> None:
        self.done += count
        if self.progress is not None and count:
            self.progress(self.done, self.total)


class _Cache:
    """The latest embeddings: as many as fit, and the last one in any case."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.kept: OrderedDict[int, tuple[Embedding, int]] = OrderedDict()

    def get(self, key: int) -> Embedding | None:
        if key not in self.kept:
            return None
        self.kept.move_to_end(key)
        return self.kept[key][0]

    def put(self, key: int, value: Embedding, size: int) -> None:
        self.kept[key] = value, size
        self.used += size
        while self.used > self.limit and len(self.kept) > 1:
            self.used -= self.kept.popitem(last=False)[1][1]


def _iou(before: Segmentation, after: Segmentation) -> np.ndarray:
    """(n,) intersection over union of masks on adjacent planes; 0 where both are empty."""
    old = shifted(before.masks, before.offsets_yx, after.offsets_yx, False)
    both = np.count_nonzero(old & after.masks, axis=(1, 2))
    each = [np.count_nonzero(part.masks, axis=(1, 2)) for part in (before, after)]
    return both / np.maximum(each[0] + each[1] - both, 1)


def _extents(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) first pixel and (n, 2) one past the last of n masks (n, h, w); 0 if empty."""
    lower, upper = [], []
    for axis in (2, 1):
        line: np.ndarray = np.any(masks, axis=axis)
        some = line.any(axis=1)
        lower.append(np.where(some, line.argmax(axis=1), 0))
        upper.append(np.where(some, line.shape[1] - line[:, ::-1].argmax(axis=1), 0))
    return np.stack(lower, axis=1), np.stack(upper, axis=1)


def _cropped(offset: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A box without its empty margins, and the place of its first voxel."""
    if not mask.any():
        return np.zeros(3, np.int64), np.zeros((0, 0, 0), bool)
    voxels: np.ndarray = np.argwhere(mask)
    lower, upper = voxels.min(axis=0), voxels.max(axis=0) + 1
    cut = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
    return offset + lower, mask[cut].copy()
