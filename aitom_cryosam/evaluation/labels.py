"""How good instance masks are: one-to-one matching of two label volumes by their overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation.points import best_matching

_BITS = 32  # of a key, for the true label; the found one has the others


@dataclass(frozen=True, eq=False)
class LabelEvaluation:
    """A label volume against the true one. Instances are the labels above 0.

    Attributes:
        n_found: number of instances found.
        n_truth: number of true instances.
        pairs: (m, 2) int64, labels of found and true instance, each at most once.
        ious: (m,) above 0, intersection over union of the two of each pair.
        iou: from which on a pair counts as matched.
        voxels_found: in any found instance.
        voxels_truth: in any true instance.
        voxels_both: in both.
    """

    n_found: int
    n_truth: int
    pairs: np.ndarray
    ious: np.ndarray
    iou: float
    voxels_found: int
    voxels_truth: int
    voxels_both: int

    @property
    def n_matched(self) -> int:
        """Number of pairs that overlap enough."""
        return int((self.ious >= self.iou).sum())

    @property
    def precision(self) -> float:
        """Share of the found instances that are matched; NaN without any."""
        return _share(self.n_matched, self.n_found)

    @property
    def recall(self) -> float:
        """Share of the true instances that are matched."""
        return _share(self.n_matched, self.n_truth)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without found instances."""
        return _share(2 * self.n_matched, self.n_found + self.n_truth)

    @property
    def mean_iou(self) -> float:
        """Over the true instances; 0 for one that nothing found overlaps."""
        return _share(float(self.ious.sum()), self.n_truth)

    @property
    def mean_matched_iou(self) -> float:
        """Over the matched pairs; NaN without any."""
        return _share(float(self.ious[self.ious >= self.iou].sum()), self.n_matched)

    @property
    def voxel_iou(self) -> float:
        """Of all found instances together with all true ones (semantic segmentation)."""
        return _share(self.voxels_both, self.voxels_found + self.voxels_truth - self.voxels_both)

    @property
    def voxel_dice(self) -> float:
        """Of all found instances together with all true ones: F1 of the voxels."""
        return _share(2 * self.voxels_both, self.voxels_found + self.voxels_truth)

    @property
    def voxel_precision(self) -> float:
        """Share of the found voxels that are in a true instance; NaN without any."""
        return _share(self.voxels_both, self.voxels_found)

    @property
    def voxel_recall(self) -> float:
        """Share of the true instances' voxels that were found."""
        return _share(self.voxels_both, self.voxels_truth)


def evaluate_labels(
    found: np.ndarray,
    truth: np.ndarray,
    *,
    iou: float = 0.5,
    true_ids: Sequence[int] | np.ndarray | None = None,
) -> LabelEvaluation:
    """Match the instances of two label volumes, one to one.

    Of all matchings, one with the most pairs of at least `iou`; of those, the one with the
    largest sum of overlaps. The volumes are read plane by plane and may be memory-mapped.

    Args:
        found: (D, H, W) whole numbers; 0 is background, and so is what is below it (membranes).
        truth: (D, H, W) likewise.
        iou: from which on a pair counts as matched.
        true_ids: (m,) the true labels that count, as those of one class; the others are background.

    Raises:
        InputError: the shapes differ, a label is no whole number, no true instance is left, or
            `iou` is not above 0 and at most 1.
    """
    if found.shape != truth.shape:
        raise InputError(f"Expected labels of the truth's shape {truth.shape}, got {found.shape}.")
    if not 0 < iou <= 1:
        raise InputError(f"Expected an overlap (IoU) above 0 and at most 1, got {iou:g}.")
    a, b, both = _overlaps(found, truth, true_ids)
    if not b.any():
        raise InputError("The true labels hold no instance to compare with.")
    labels_a, sizes_a = _sizes(a, both)
    labels_b, sizes_b = _sizes(b, both)
    meeting = (a > 0) & (b > 0)
    rows, columns = np.searchsorted(labels_a, a[meeting]), np.searchsorted(labels_b, b[meeting])
    shared = both[meeting]
    ious = shared / (sizes_a[rows] + sizes_b[columns] - shared)
    # One more matched pair is worth more than any sum of overlaps.
    pairs = best_matching(rows, columns, ious + (ious >= iou) * (len(labels_a) + len(labels_b)))
    width = len(labels_b)
    edges = np.searchsorted(rows * width + columns, pairs[:, 0] * width + pairs[:, 1])
    return LabelEvaluation(
        n_found=len(labels_a),
        n_truth=len(labels_b),
        pairs=np.column_stack((labels_a[pairs[:, 0]], labels_b[pairs[:, 1]])),
        ious=ious[edges],
        iou=iou,
        voxels_found=int(sizes_a.sum()),
        voxels_truth=int(sizes_b.sum()),
        voxels_both=int(shared.sum()),
    )


def _overlaps(
    found: np.ndarray, truth: np.ndarray, true_ids: Sequence[int] | np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(k,) found label, true label and number of voxels that have both; 0 is background."""
    keys, counts = [], []
    for plane, true_plane in zip(found, truth, strict=True):
        a, b = _instances(plane, "labels"), _instances(true_plane, "true labels")
        if true_ids is not None:
            b *= np.isin(b, true_ids)
        key, count = np.unique((a << _BITS) + b, return_counts=True)
        keys.append(key)
        counts.append(count)
    key, where = np.unique(np.concatenate(keys), return_inverse=True)
    count = np.bincount(where, np.concatenate(counts)).astype(np.int64)
    return key >> _BITS, key & ((1 << _BITS) - 1), count


def _instances(plane: np.ndarray, what: str) -> np.ndarray:
    """(h, w) int64, without what is below 0."""
    with np.errstate(invalid="ignore"):
        labels = np.maximum(plane, 0).astype(np.int64)
    if not np.array_equal(labels, np.maximum(plane, 0)) or labels.max() >> (_BITS - 1):
        raise InputError(f"Expected {what} that are whole numbers, as instances have, got others.")
    return labels


def _sizes(labels: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels above 0, rising, and how many voxels each has."""
    names, where = np.unique(labels, return_inverse=True)
    sizes = np.bincount(where, counts).astype(np.int64)
    return names[names > 0], sizes[names > 0]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
