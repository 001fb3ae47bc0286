"""Classes: the particles of an average sorted by which of several averages they resemble most.

Multi-reference alignment. Every particle is compared with averages of the half that it is not in,
so that none resembles an average just because it is part of it. What resembles none is a class of
its own, of noise: an average of noise would not attract it, as noise resembles a clear average by
chance more than it resembles other noise.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
from skimage.filters import threshold_otsu

from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.averaging import Averaging
from aitom_cryosam.averaging.poses import Poses, best_of, by_tomogram
from aitom_cryosam.averaging.rescoring import combined
from aitom_cryosam.averaging.shells import search_shell
from aitom_cryosam.averaging.spectra import Ball
from aitom_cryosam.errors import InputError
from aitom_cryosam.progress import Progress, Steps

logger = logging.getLogger(__name__)

MOST = 4
_ROUNDS = 5
_FEWEST = 4  # particles of a half, below which a class has no average
_ENOUGH = 10  # particles for each class
_NOISE = -1
_APART = 0.7  # of the particles' median correlation, that of noise is at most
_LIKELY = 0.8  # that a particle whose correlation is among the upper ones is one


@dataclass(frozen=True, eq=False)
class Class:
    """Particles that resemble each other.

    Attributes:
        average: of them alone.
        correlation: their median one with it.
        noise: whether it is left out.
    """

    average: Average
    correlation: float
    noise: bool


def check_classes(number: int, particles: int) -> None:
    """Whether particles can be sorted into a number of classes.

    Raises:
        InputError: a number below 1 or above 4, or too few particles for it.
    """
    if not 1 <= number <= MOST:
        raise InputError(f"Expected 1 to {MOST} classes, got {number}.")
    if number > 1 and particles < _ENOUGH * number:
        raise InputError(
            f"{particles} particles are too few for {number} classes; expected "
            f"{_ENOUGH * number} or more: average them as one class, or add tomograms."
        )


def classified(
    work: Averaging, average: Average, number: int, *, progress: Progress | None = None
) -> list[Class]:
    """Sort the particles into classes.

    Args:
        work: that made the average.
        average: of all particles.
        number: of classes, 2 to 4, that of noise among them.
        progress: told of every round and class.

    Returns:
        The classes that have particles, the best first; those of noise come last.

    Raises:
        InputError: as for `check_classes`.
    """
    check_classes(number, work.count)
    poses = average.poses
    sorting = _by_correlation(poses, number - 1)
    steps = Steps(progress, "classes", _ROUNDS)
    for _ in range(_ROUNDS):
        fits = [
            _fitted(work, work.averaged(poses, _of(sorting, k)), average.agreed_shell, poses)
            for k in range(number - 1)
        ]
        each = list(zip(*fits, strict=True))  # by tomogram
        poses = [best_of(one) for one in each]
        before = sorting
        sorting = [np.argmax([fit.scores for fit in one], axis=0) for one in each]
        sorting = _without_noise(sorting, poses)
        steps.add(1)
        if all((a == b).all() for a, b in zip(sorting, before, strict=True)):
            break
    return _in_order(work, poses, sorting)


def _of(sorting: list[np.ndarray], k: int) -> list[np.ndarray]:
    return [members == k for members in sorting]


def _without_noise(sorting: list[np.ndarray], poses: list[Poses]) -> list[np.ndarray]:
    """The same with -1 for particles whose correlations are the lower of two kinds, if they are."""
    scores = np.concatenate([one.scores for one in poses])
    likely = np.where(scores > threshold_otsu(scores), _LIKELY, 1 - _LIKELY)
    odds, apart = combined(scores, np.zeros(0), likely)
    low = odds < 0
    # Particles of one kind that are cut in two differ little.
    two = apart > 0 and low.any() and np.median(scores[low]) < _APART * np.median(scores[~low])
    noise = by_tomogram(low & bool(two), poses)
    return [np.where(none, _NOISE, one) for none, one in zip(noise, sorting, strict=True)]


def _by_correlation(poses: list[Poses], number: int) -> list[np.ndarray]:
    """(n,) for each tomogram: 0 for the share with the highest correlations, and so on."""
    scores = np.concatenate([one.scores for one in poses])
    ranks = np.argsort(np.argsort(-scores, kind="stable"), kind="stable")
    parts = ranks * number // len(ranks)
    return by_tomogram(parts, poses)


def _fitted(work: Averaging, average: Average, shell: int, poses: list[Poses]) -> list[Poses]:
    """All particles beside one class, from where they lie; it has no average if it has few."""
    step = work.settings.step / 2
    ball = Ball(work.size, search_shell(work.size, work.diameter, step, shell))
    weights = work.weights(ball)
    result = []
    for i, (one, boxes, half) in enumerate(
        zip(work.particles, work.masked, work.half, strict=True)
    ):
        now = Poses(poses[i].rotations, poses[i].shifts_xyz, np.full(len(boxes), -math.inf))
        for side in (0, 1):
            others = [
                int((part == 1 - side)[members].sum())
                for part, members in zip(work.half, average.members or [], strict=True)
            ]
            rows = np.flatnonzero(half == side)
            if sum(others) < _FEWEST or not len(rows):
                continue
            aligner = work.aligner(ball, boxes[rows], one.wedge, weights)
            near = aligner.refine(
                average.half_reference(1 - side),
                poses[i].take(rows),
                step=step / 2,
                max_shift=work.reach,
            )
            now = now.merged(rows, near)
        result.append(now)
    return result


def _in_order(work: Averaging, poses: list[Poses], sorting: list[np.ndarray]) -> list[Class]:
    scores, every = np.concatenate([one.scores for one in poses]), np.concatenate(sorting)
    result = [
        Class(
            work.averaged(poses, _of(sorting, k)), float(np.median(scores[every == k])), k == _NOISE
        )
        for k in np.unique(every).tolist()
    ]
    result.sort(key=lambda one: (one.noise, -one.correlation))
    for i, one in enumerate(result):
        logger.info(
            "Class %d: %d particles, median correlation %.2f%s.",
            i + 1,
            one.average.count,
            one.correlation,
            ", noise: left out" if one.noise else "",
        )
    return result
