"""Symmetry: point groups as rotations, and whether an average has one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.rotations import all_rotations, nearby_rotations
from aitom_cryosam.averaging.spectra import Ball, Readable
from aitom_cryosam.errors import InputError


@dataclass(frozen=True)
class Symmetry:
    """A point group, by its Schoenflies name: C1, C2, ..., D2, D3, ..., T, O, I.

    The axis of highest order is z, and a twofold of D lies on x.

    Raises:
        InputError: no such group.
    """

    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"C[1-9]\d?|D[2-9]|D1\d|[TOI]", self.name):
            raise InputError(
                f"Expected a symmetry as C1, C2, ..., D2, D3, ..., T, O or I, got {self.name!r}."
            )

    @cached_property
    def rotations(self) -> Rotation:
        """All of them, the identity first."""
        axis = {} if self.name in ("T", "O", "I") else {"axis": "Z"}
        group = Rotation.create_group(self.name, **axis)
        nearest = int(np.argmin(group.magnitude()))
        rest = [i for i in range(len(group)) if i != nearest]
        return group[[nearest, *rest]]

    @cached_property
    def generators(self) -> Rotation:
        """Few of them that make all others: a turn of each kind."""
        group = self.rotations[1:]
        angles = np.round(np.degrees(group.magnitude()), 3)
        first = int(angles.argmin())  # of the highest order
        axis = group[first].as_rotvec() / group[first].magnitude()
        axes = group.as_rotvec() / group.magnitude()[:, None]
        other = np.flatnonzero(np.abs(axes @ axis) < 0.99)
        return group[[first, *other[:1].tolist()]]

    def __len__(self) -> int:
        return len(self.rotations)


C1 = Symmetry("C1")
CANDIDATES = (*(f"{kind}{order}" for kind in "CD" for order in range(2, 9)), "T", "O", "I")
"""What `auto` looks for."""
LEAST = 0.8
"""Of the halves' correlation, that a symmetry must keep for `auto` to take it."""
_STEP = 12.0  # degrees, of the search for the axes
_FIRST = 3  # shell: coarser ones are round in most particles
_AT_ONCE = 2_000_000  # coefficients
_MEASURED = 0.3  # of the mean number of measurements: a frequency with less says nothing


@dataclass(frozen=True)
class SymmetryFit:
    """How well an average keeps a symmetry.

    Attributes:
        symmetry: that was tried.
        frame: turns its axes into those of the average.
        correlation: mean over shells of one half with the other one turned by the group.
        unturned: likewise of the halves as they are.
    """

    symmetry: Symmetry
    frame: Rotation
    correlation: float
    unturned: float

    @property
    def share(self) -> float:
        """1 where turning costs nothing, 0 where it destroys what the halves share."""
        return self.correlation / max(self.unturned, 1e-6)


def fitted(
    halves: tuple[np.ndarray, np.ndarray],
    symmetry: Symmetry,
    shell: int,
    measured: tuple[np.ndarray, np.ndarray] | None = None,
) -> SymmetryFit:
    """The axes about which two halves keep a symmetry best, and how well they do.

    The halves are compared with each other, so that noise gains nothing from being turned, and
    only where both were measured: particles that lie all alike leave a missing wedge in their
    average, and a turn of the wedge is no evidence against a symmetry.

    Args:
        halves: two (n, n, n) float32, masked and centred.
        symmetry: not C1.
        shell: the finest that both agree on.
        measured: of each half, (k,) how often each frequency of the ball of radius n / 2 - 1 was;
            None if all were.
    """
    size = len(halves[0])
    coarse, fine = Ball(size, min(shell, 8)), Ball(size, shell)
    seen = measured or (None, None)
    read = [_Half(half, weights) for half, weights in zip(halves, seen, strict=True)]
    frames = all_rotations(_STEP)
    values = _kept(read, coarse, frames, symmetry.generators)
    best, step = frames[int(values.argmax())], _STEP / 2
    for _ in range(4):
        near = best * nearby_rotations(step, 1.8 * step)
        best = near[int(_kept(read, fine, near, symmetry.rotations[1:]).argmax())]
        step /= 2
    alone = Rotation.concatenate([best])
    turned = float(_kept(read, fine, alone, symmetry.rotations[1:])[0])
    unturned = float(_kept(read, fine, alone, Rotation.identity(1))[0])
    return SymmetryFit(symmetry, best, turned, unturned)


class _Half:
    """A half's spectrum, and where it was measured.

    Args:
        box: (n, n, n) float32.
        weights: (k,) how often each frequency of its ball was measured; None if all were.
    """

    def __init__(self, box: np.ndarray, weights: np.ndarray | None) -> None:
        self._read = Readable(box[None])
        size = len(box)
        self._measured = np.ones((size,) * 3, bool)
        if weights is not None:
            x, y, z = Ball(size, size / 2 - 1).points_xyz.T
            known = weights >= _MEASURED * weights.mean()
            self._measured[z, y, x] = self._measured[-z, -y, -x] = known

    def at(self, points_xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(f, k) complex64 coefficients at (f, k, 3) frequencies, and (f, k) bool measured."""
        import torch

        found = self._read.at(torch.from_numpy(points_xyz.reshape(1, -1, 3)))
        x, y, z = np.rint(points_xyz).astype(np.int64).transpose(2, 0, 1)
        return found.numpy().reshape(len(points_xyz), -1), self._measured[z, y, x]


def _kept(halves: list[_Half], ball: Ball, frames: Rotation, group: Rotation) -> np.ndarray:
    """(f,) correlation of a half in each frame with the other one turned, over shells and group."""
    points = ball.points_xyz[ball.shells >= _FIRST].astype(np.float32)
    shells = ball.shells[ball.shells >= _FIRST] - _FIRST
    member = np.eye(int(shells.max()) + 1, dtype=np.float32)[shells]  # (k, shells)
    result = []
    batch = max(1, _AT_ONCE // len(points))

    def spectrum(half: _Half, rotations: Rotation) -> tuple[np.ndarray, np.ndarray]:
        return half.at(points @ rotations.as_matrix().astype(np.float32).transpose(0, 2, 1))

    for first in range(0, len(frames), batch):
        some = frames[first : first + batch]
        one, seen = spectrum(halves[0], some)
        total = np.zeros(len(some))
        for g in group:
            other, seen_too = spectrum(halves[1], some * g)
            both = (seen & seen_too).astype(np.float32)  # (f, k)
            cross = (one * np.conj(other)).real * both @ member  # (f, shells)
            powers = ((np.abs(one) ** 2 * both) @ member) * ((np.abs(other) ** 2 * both) @ member)
            counts = both @ member / member.sum(axis=0)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
            total += (cross / np.sqrt(np.maximum(powers, 1e-30)) * shares).sum(axis=1)
        result.append(total / len(group))
    return np.concatenate(result)


def symmetrised(box: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """(n, n, n) float32, the mean of a box (n, n, n) turned by all of a group."""
    import torch

    if len(symmetry) == 1:
        return box
    ball = Ball(len(box), len(box) / 2 - 1)
    read = Readable(box[None])
    matrices = symmetry.rotations.as_matrix().astype(np.float32)
    total = np.zeros(len(ball.points_xyz), np.complex128)
    for matrix in matrices:
        frequencies = (ball.points_xyz @ matrix.T).astype(np.float32)
        total += read.at(torch.from_numpy(frequencies[None]))[0].numpy()
    return ball.box(total / len(matrices))
