"""Picks: points in a tomogram with a score, an identity and a verdict."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError

logger = logging.getLogger(__name__)

CHANCE, OTHER_KIND, BELOW_CUT = "chance", "another kind", "below the cut"
UNLIKE_AVERAGE, DUPLICATE, NO_MASK = "unlike the average", "duplicate", "no mask"
CUT_REASONS = frozenset({CHANCE, OTHER_KIND, BELOW_CUT, UNLIKE_AVERAGE})
"""Why a point was left out that another cut can make a pick of; no cut undoes other reasons."""


@dataclass(frozen=True)
class Picks:
    """Points of one tomogram; the one type for prompts, proposals and results.

    A rotation R turns the particle's reference into its place in the tomogram: what lies at r
    (x, y, z, from the centre) in the reference lies at the point + R r in the tomogram. How each
    program writes it is in `points.rotations`.

    Attributes:
        points_zyx: (n, 3) float64, 0-based voxels; an integer is a voxel centre.
        scores: (n,) float64, larger is better; NaN where there is none.
        ids: (n,) int64, the instance's number in the label volume, from 1.
        kept: (n,) bool, whether the point is believed to be a particle.
        reasons: n strings, why a point was left out; empty for a kept one.
        probabilities: (n,) 0 to 1, that the point is a particle of the kind; None where nothing
            has judged the points.
        rotations: n of them, or None if no orientation is known.
        classes: n names of classes, or None if there are none.
        extra: by label n values as text: columns of the STAR file that the points were read
            from which mean nothing here, kept for the STAR file that they are written to.

    Raises:
        InputError: the lengths differ, or a coordinate is not finite.
    """

    points_zyx: np.ndarray
    scores: np.ndarray
    ids: np.ndarray
    kept: np.ndarray
    reasons: tuple[str, ...]
    probabilities: np.ndarray | None = None
    rotations: Rotation | None = None
    classes: tuple[str, ...] | None = None
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.points_zyx)
        if self.points_zyx.shape != (n, 3):
            raise InputError(f"Expected points of shape (n, 3), got {self.points_zyx.shape}.")
        lengths = {n, len(self.scores), len(self.ids), len(self.kept), len(self.reasons)}
        lengths |= {len(self.probabilities)} if self.probabilities is not None else set()
        lengths |= {len(column) for column in self.extra.values()}
        lengths |= {len(self.rotations)} if self.rotations is not None else set()
        lengths |= {len(self.classes)} if self.classes is not None else set()
        if lengths != {n}:
            raise InputError(f"Expected {n} of every column of Picks, got {sorted(lengths)}.")
        if not np.isfinite(self.points_zyx).all():
            raise InputError("Expected finite coordinates, got NaN or infinity.")

    @classmethod
    def from_points(cls, points_zyx: np.ndarray, scores: np.ndarray | None = None) -> Picks:
        """Points numbered from 1 in their order, all kept.

        Args:
            points_zyx: (n, 3) voxels, z y x.
            scores: (n,) or None for unscored points.

        Raises:
            InputError: they are no such rows of finite numbers.
        """
        try:
            points = np.asarray(points_zyx, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"Expected rows of z, y, x, got {str(points_zyx)[:40]!r}.") from None
        points = points if points.size else np.zeros((0, 3))  # else its shape is refused below
        n = len(points) if points.ndim else 0
        values = np.full(n, np.nan) if scores is None else np.asarray(scores, dtype=np.float64)
        return cls(points, values, np.arange(1, n + 1), np.ones(n, bool), ("",) * n)

    @classmethod
    def none(cls) -> Picks:
        """No points."""
        return cls.from_points(np.zeros((0, 3)))

    def __len__(self) -> int:
        return len(self.points_zyx)

    def take(self, index: np.ndarray) -> Picks:
        """The points of (m,) indices, in their order, or of (n,) booleans; ids are kept."""
        index = np.arange(len(self))[index]
        return Picks(
            self.points_zyx[index],
            self.scores[index],
            self.ids[index],
            self.kept[index],
            tuple(self.reasons[i] for i in index),
            None if self.probabilities is None else self.probabilities[index],
            self.rotations[index] if self.rotations is not None and len(self) else self.rotations,
            self.classes and tuple(self.classes[i] for i in index),
            {label: tuple(column[i] for i in index) for label, column in self.extra.items()},
        )

    @property
    def cut_decides(self) -> np.ndarray:
        """(n,) bool: kept points, and those that only a cut left out."""
        undone = [reason.replace("_", " ") in CUT_REASONS for reason in self.reasons]
        return self.kept | np.array(undone, bool)

    def reopened(self) -> Picks:
        """The same points with those kept again that only a cut left out."""
        again = self.cut_decides
        reasons = ("" if now else old for now, old in zip(again, self.reasons, strict=True))
        return replace(self, kept=again, reasons=tuple(reasons))

    def beyond(self, fdr: float) -> np.ndarray:
        """(n,) bool: what the longest list of probable picks with few false ones leaves out.

        Args:
            fdr: the largest share of false picks that the probabilities of a list may let expect.
        """
        assert self.probabilities is not None
        order = np.argsort(-self.probabilities, kind="stable")
        order = order[self.kept[order]]
        false = np.cumsum(1 - self.probabilities[order]) / np.arange(1, len(order) + 1)
        within = np.flatnonzero(false <= fdr)
        beyond = np.ones(len(self), bool)
        beyond[order[: within[-1] + 1 if len(within) else 0]] = False
        return beyond

    @property
    def left_out(self) -> Counter[str]:
        """How many points each reason has left out."""
        return Counter(reason for reason in self.reasons if reason)

    def best_first(self) -> Picks:
        """Sorted by falling score; equal scores keep their order, NaN comes last."""
        return self.take(np.argsort(-self.scores, kind="stable"))

    def reject(self, index: np.ndarray | list[bool], reason: str) -> Picks:
        """The same points, those of `index`, (m,) or (n,) bool, no longer kept, for `reason`.

        A point that was left out before keeps its first reason.
        """
        chosen = np.zeros(len(self), bool)
        chosen[index] = True
        chosen &= self.kept
        reasons = tuple(
            reason if now else old for now, old in zip(chosen, self.reasons, strict=True)
        )
        return replace(self, kept=self.kept & ~chosen, reasons=reasons)

    def one_per_particle(self, distance: float) -> Picks:
        """The same points; of kept ones that lie closer to each other than this, the best stays.

        The others lie on a particle that is counted already: they rank last, and no probability
        is left for them.

        Args:
            distance: voxels.
        """
        chosen = np.flatnonzero(self.kept)
        alive = suppressed(self.points_zyx[chosen], self.scores[chosen], distance)
        again = np.setdiff1d(chosen, chosen[alive])
        scores, probabilities = self.scores.copy(), self.probabilities
        scores[again] = self.scores.min(initial=np.inf)
        if probabilities is not None:
            probabilities = probabilities.copy()
            probabilities[again] = 0
        last = replace(self, scores=scores, probabilities=probabilities)
        return last.reject(again, DUPLICATE)


def joined(parts: Sequence[Picks]) -> Picks:
    """All points in one, in their order.

    A part without rotations or classes beside one that has some gets no rotation and the class
    "none"; probabilities and extra columns that not all parts have are left out. The log says both.

    Args:
        parts: at least one; empty ones count only where all are empty.
    """
    parts = [part for part in parts if len(part)] or list(parts[:1])
    turned = [part for part in parts if part.rotations is not None]
    if 0 < len(turned) < len(parts):
        logger.warning(
            "Some of the joined points have no rotation; they are written as if not rotated."
        )
    classed = any(part.classes is not None for part in parts)
    common = [label for label in parts[0].extra if all(label in part.extra for part in parts)]
    lost = sorted({label for part in parts for label in part.extra} - set(common))
    rated = [part.probabilities for part in parts if part.probabilities is not None]
    lost += ["probabilities"] if 0 < len(rated) < len(parts) else []
    if lost:
        logger.warning("Left out, as not all of the joined files have them: %s.", ", ".join(lost))
    return Picks(
        np.concatenate([part.points_zyx for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.kept for part in parts]),
        tuple(reason for part in parts for reason in part.reasons),
        np.concatenate(rated) if len(rated) == len(parts) else None,
        Rotation.concatenate([part.rotations or Rotation.identity(len(part)) for part in parts])
        if turned
        else None,
        tuple(name for part in parts for name in part.classes or ("none",) * len(part))
        if classed
        else None,
        {label: tuple(v for part in parts for v in part.extra[label]) for label in common},
    )


def apart_from(points_zyx: np.ndarray, others_zyx: np.ndarray, distance: float) -> np.ndarray:
    """(n,) bool: which of (n, 3) points lie at least a distance, in voxels, from (m, 3) others."""
    return np.asarray(cKDTree(others_zyx).query(points_zyx)[0] >= distance)


def suppressed(points_zyx: np.ndarray, scores: np.ndarray, distance: float) -> np.ndarray:
    """Greedy distance suppression: which points survive when the best are taken first.

    Args:
        points_zyx: (n, 3) voxels.
        scores: (n,) finite, larger is better. Of equal scores the earlier point wins.
        distance: voxels; a point closer than this to a surviving better one falls.

    Returns:
        (m,) int64, indices of the survivors, best first.
    """
    points = np.asarray(points_zyx, dtype=np.float64).reshape(-1, 3)
    order = np.argsort(-np.asarray(scores), kind="stable")
    if len(points) == 0:
        return order
    # A point exactly at the distance stays: the neighbour query is closed, so shrink it a little.
    neighbours = cKDTree(points).query_ball_point(points, np.nextafter(distance, 0))
    alive = np.ones(len(points), bool)
    survivors = []
    for i in order:
        if alive[i]:
            survivors.append(i)
            alive[neighbours[i]] = False
    return np.array(survivors, dtype=np.int64)
