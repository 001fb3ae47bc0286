"""AxisWalks: the walks of all prompts along one axis, in lock-step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.propagator.embeddings import PlaneEmbeddings
from aitom_cryosam.propagator.growth import Growth, Slices
from aitom_cryosam.segmenters.base import Segmentation, shifted

_FIRST = 8  # prompts of the first group, which tells how large masks are
_COPIES = 3  # masks held for a walk: the one before, the new one, and as it goes on


@dataclass(frozen=True)
class Rules:
    """When walks end.

    Attributes:
        tau_iou: smallest overlap of adjacent masks, 0 to 1 (τ_IoU).
        max_extent: voxels, the largest particle along any axis; infinite for no limit.
        budget_bytes: for the embeddings and masks held at once.
    """

    tau_iou: float
    max_extent: float
    budget_bytes: float


@dataclass
class _Walks:
    """Walks, each on a plane of its own, equally far from where they started."""

    prompts: np.ndarray  # (n,) index of each walk's prompt
    signs: np.ndarray  # (n,) 1 upwards, -1 downwards
    masks: Segmentation  # n masks, on those planes

    def take(self, index: np.ndarray) -> _Walks:
        return _Walks(self.prompts[index], self.signs[index], self.masks.take(index))


class AxisWalks:
    """Walks both ways along one axis from many prompts.

    At each step all walks advance by one plane, in one call of the segmenter. Prompts are taken
    in the order of their planes, in groups that fit the budget: masks, and all planes within
    `max_extent / 2` of the prompts. Those that the next group shares stay, so no plane is
    embedded twice. If the planes of a single prompt do not fit, a group has only the planes of
    each step at hand, and groups embed shared planes again.

    Args:
        embeddings: of the planes across the axis.
        rules: when walks end, and the budget.
        points_zyx: (n, 3) voxels, the prompts.
        growth: of the prompts, to which slices and reasons are added.
        ended: called before each step, and with the number of walks that have ended since.
    """

    def __init__(
        self,
        embeddings: PlaneEmbeddings,
        rules: Rules,
        points_zyx: np.ndarray,
        growth: Growth,
        ended: Callable[[int], None],
    ) -> None:
        self.embeddings = embeddings
        self.axis = embeddings.axis
        self.rules = rules
        self.points_yx = np.delete(points_zyx, self.axis, axis=1)
        self.starts = nearest_voxel(points_zyx[:, self.axis])
        self.growth = growth
        self.ended = ended
        self.reach = int(min(rules.max_extent / 2, embeddings.size))
        self.mask_bytes = 0

    @property
    def at_ease(self) -> bool:
        """Whether the planes of a single prompt fit the budget, so that none is embedded twice."""
        planes = min(2 * self.reach + 1, self.embeddings.size)
        return planes * self.embeddings.bytes_each <= self.rules.budget_bytes

    def run(self, prompts: np.ndarray) -> None:
        """prompts: (n,) indices of the points inside the tomogram."""
        for group in self._groups(prompts):
            walks, distance = self._begin(group), 0
            while len(walks.prompts):
                distance += 1
                walks = self._advance(walks, distance)

    def start(self, prompts: np.ndarray) -> None:
        """As `run`, (n,) prompts, but only on the planes through them."""
        for group in self._groups(prompts):
            self._begin(group)

    def _groups(self, prompts: np.ndarray) -> Iterator[np.ndarray]:
        """Prompts (n,) that are taken together, one after the other."""
        left = prompts[np.argsort(self.starts[prompts], kind="stable")]
        while len(left):
            size = self._group_size(self.starts[left])
            yield left[:size]
            left = left[size:]

    def _group_size(self, starts: np.ndarray) -> int:
        """How many of the next prompts, on planes (n,) that ascend, fit the budget together."""
        upper = np.minimum(starts + self.reach, self.embeddings.size - 1)
        planes = upper - max(starts[0] - self.reach, 0) + 1
        if planes[0] * self.embeddings.bytes_each > self.rules.budget_bytes:
            planes = 2 * np.cumsum(np.diff(starts, prepend=-1) > 0)  # of one step only
        masks = np.arange(1, len(starts) + 1) * 2 * _COPIES * self.mask_bytes
        held = planes * self.embeddings.bytes_each + masks
        fit = int(np.count_nonzero(held <= self.rules.budget_bytes))
        return max(fit if self.mask_bytes else min(fit, _FIRST), 1)

    def _begin(self, prompts: np.ndarray) -> _Walks:
        """Segment the planes through prompts (eq. 1), for the walks both ways."""
        masks = self._segment(self.starts[prompts], self.points_yx[prompts], None)
        self.mask_bytes = (masks.masks.nbytes + masks.logits.nbytes) // len(prompts)
        both = np.tile(np.arange(len(prompts)), 2)
        walks = _Walks(prompts[both], np.repeat([1, -1], len(prompts)), masks.take(both))
        return self._keep(walks, 0, np.ones(len(both)))

    def _advance(self, walks: _Walks, distance: int) -> _Walks:
        """Segment the next planes, prompted by those before (eq. 2)."""
        planes = self.starts[walks.prompts] + walks.signs * distance
        inside = (planes >= 0) & (planes < self.embeddings.size)
        self._stop(walks, ~inside, "border")
        far = inside & (distance > self.rules.max_extent / 2)
        self._stop(walks, far, "size limit")
        on = inside & ~far
        if not on.any():
            return walks.take(on)
        if not on.all():
            walks, planes = walks.take(on), planes[on]
        before = walks.masks
        masks = self._segment(planes, before.points_yx, before)
        return self._keep(_Walks(walks.prompts, walks.signs, masks), distance, _iou(before, masks))

    def _segment(
        self, planes: np.ndarray, points_yx: np.ndarray, previous: Segmentation | None
    ) -> Segmentation:
        self.ended(0)
        needed, rows = np.unique(planes, return_inverse=True)
        room = self.rules.budget_bytes - len(planes) * _COPIES * self.mask_bytes
        embeddings = self.embeddings.at(needed, room)
        return self.embeddings.segmenter.segment(embeddings, rows, points_yx, previous)

    def _keep(self, walks: _Walks, distance: int, iou: np.ndarray) -> _Walks:
        """Note the masks of the walks that go on, and why the others end."""
        lower, upper = _extents(walks.masks.masks)
        drift = np.abs(walks.masks.points_yx - self.points_yx[walks.prompts]).max(axis=1)
        large = (upper - lower).max(axis=1) > self.rules.max_extent
        large |= drift > self.rules.max_extent / 2
        reasons = np.full(len(iou), "", object)
        reasons[iou < self.rules.tau_iou] = "iou"
        reasons[large] = "size limit"
        reasons[(upper == 0).any(axis=1)] = "empty"
        for reason in ("iou", "size limit", "empty"):
            self._stop(walks, reasons == reason, reason)
        going = reasons == ""
        # Both walks start from the same slice, which is that of the walk upwards.
        noted = np.flatnonzero(going & (walks.signs > 0) if distance == 0 else going)
        if len(noted):
            planes = self.starts[walks.prompts] + walks.signs * distance
            slices = Slices.of(
                self.axis,
                walks.prompts[noted],
                planes[noted],
                walks.masks.masks[noted],
                walks.masks.offsets_yx[noted],
                (lower[noted], upper[noted]),
                walks.masks.scores[noted],
            )
            self.growth.add(slices)
        return walks.take(going)

    def _stop(self, walks: _Walks, which: np.ndarray, reason: str) -> None:
        self.growth.stop(self.axis, walks.prompts[which], walks.signs[which], reason)
        self.ended(int(np.count_nonzero(which)))


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
