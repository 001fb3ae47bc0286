"""Poses: how particles lie in their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass(frozen=True, eq=False)
class Poses:
    """How particles lie in their boxes.

    Attributes:
        rotations: n, turn the reference into the tomogram.
        shifts_xyz: (n, 3) voxels, from the box's origin to the particle's middle.
        scores: (n,) normalised correlation, -1 to 1.
    """

    rotations: Rotation
    shifts_xyz: np.ndarray
    scores: np.ndarray

    @classmethod
    def unknown(cls, n: int) -> Poses:
        """Particles that lie in the middle, unturned."""
        return cls(Rotation.identity(n), np.zeros((n, 3)), np.zeros(n))

    @classmethod
    def joined(cls, parts: Sequence[Poses]) -> Poses:
        """All particles in one, in their order."""
        return cls(
            Rotation.concatenate([one.rotations for one in parts]),
            np.concatenate([one.shifts_xyz for one in parts]),
            np.concatenate([one.scores for one in parts]),
        )

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, index: np.ndarray) -> Poses:
        """Those of (m,) indices or (n,) booleans."""
        rows = np.arange(len(self))[index]
        return Poses(self.rotations[rows], self.shifts_xyz[rows], self.scores[rows])

    def merged(self, rows: np.ndarray, other: Poses) -> Poses:
        """With those of `rows`, (m,) indices, replaced."""
        quaternions = self.rotations.as_quat()
        quaternions[rows] = other.rotations.as_quat()
        shifts, scores = self.shifts_xyz.copy(), self.scores.copy()
        shifts[rows], scores[rows] = other.shifts_xyz, other.scores
        return Poses(Rotation.from_quat(quaternions), shifts, scores)


def by_tomogram(values: np.ndarray, poses: Sequence[Poses]) -> list[np.ndarray]:
    """In the parts that the particles of several tomograms have.

    Args:
        values: (n,) of all particles.
        poses: of each tomogram's, n together.
    """
    return np.split(values, np.cumsum([len(one) for one in poses])[:-1])


def best_of(candidates: Sequence[Poses]) -> Poses:
    """Of several poses of each particle the one with the best score."""
    scores = np.stack([one.scores for one in candidates])
    best, n = scores.argmax(axis=0), np.arange(scores.shape[1])
    return Poses(
        Rotation.from_quat(np.stack([one.rotations.as_quat() for one in candidates])[best, n]),
        np.stack([one.shifts_xyz for one in candidates])[best, n],
        scores[best, n],
    )
