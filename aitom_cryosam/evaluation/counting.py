"""Counting: whether picks and known positions seem to count places in different ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import permutations, product

import numpy as np
from scipy.spatial import cKDTree

from aitom_cryosam.evaluation.pairing import Searched
from aitom_cryosam.evaluation.points import Evaluation
from aitom_cryosam.remedies import Remedy

_FEW = 8  # particles from which on anything is said
_SHARE = 0.5  # of those that could match: less is doubted, and as many must match otherwise
_OTHERS, _ABOVE_CHANCE = 80, 2.5  # so many times what 80 % of the ways bring together is no chance
_SHIFTED = 0.4  # voxels, of all particles alike
_LEFT = 0.5  # of the distances, once the shift is taken off
_BINNINGS = (2.0, 4.0, 8.0, 0.5, 0.25, 0.125)

Way = Callable[[Searched], "np.ndarray | None"]
"""(n, 3) the known positions z y x as another way of counting has them; None if it cannot be."""


def doubt(
    searched: Sequence[Searched],
    evaluations: Sequence[Evaluation],
    radius: float,
    truth_angpix: float | None = None,
) -> str | None:
    """What to say where another way of counting would bring picks and particles together.

    Few picks that match are looked at with the order of axes, the end that an axis is counted
    from, and the size of pixels changed; many, for a shift that all have.

    Args:
        searched: at least one tomogram.
        evaluations: of each.
        radius: Å, as in the evaluations.
        truth_angpix: Å, the pixel size that the truth was read with, if not the tomograms'.
    """
    matched = sum(len(one.pairs) for one in evaluations)
    possible = sum(min(one.n_picks, one.n_truth) for one in evaluations)
    if possible < _FEW:
        return None
    if matched >= _SHARE * possible:
        return _of_shift(searched, evaluations)
    ways = dict(_ways(truth_angpix or searched[0].voxel_size))
    found = {said: _together(searched, radius, way) for said, way in ways.items()}
    chance = np.percentile([_together(searched, radius, _as_read), *found.values()], _OTHERS)
    said = max(found, key=lambda way: found[way])
    if found[said] < max(_SHARE * possible, _ABOVE_CHANCE * chance, _FEW):
        return None
    return (
        f"{matched} of {possible} picks and particles match, but {found[said]} would if the truth "
        f"{said}"
    )


def _of_shift(searched: Sequence[Searched], evaluations: Sequence[Evaluation]) -> str | None:
    apart = np.concatenate(
        [
            one.truth.picks.points_zyx[found.pairs[:, 1]]
            - one.picks.picks.points_zyx[found.pairs[:, 0]]
            for one, found in zip(searched, evaluations, strict=True)
        ]
    )
    shift = np.median(apart, axis=0)
    before, after = (np.median(np.linalg.norm(d, axis=1)) for d in (apart, apart - shift))
    if len(apart) < _FEW or np.abs(shift).max() < _SHIFTED or after > _LEFT * before:
        return None
    x, y, z = np.round(shift[::-1], 1) + 0.0  # no -0
    return (
        f"The particles lie x, y, z = {x:.1f}, {y:.1f}, {z:.1f} voxels from the picks that match "
        "them, nearly all of them alike: one of the two seems to count differently (from 1 "
        "instead of 0, or from a corner of a voxel), or to mark another point of the particle"
    )


def _together(searched: Sequence[Searched], radius: float, way: Way) -> int:
    """How many picks and particles have each other within the radius; fast, not one to one."""
    number = 0
    for one in searched:
        picks, truth = one.picks.picks.points_zyx, way(one)
        if truth is None or not len(picks) or not len(truth):
            continue
        reach = radius / one.voxel_size
        near = (cKDTree(a).query(b)[0] <= reach for a, b in ((truth, picks), (picks, truth)))
        number += min(int(found.sum()) for found in near)
    return number


def _ways(pixel_size: float) -> Iterator[tuple[str, Way]]:
    """Other ways of counting, the simplest first, and what the truth then did.

    Args:
        pixel_size: Å, that the truth was read with.
    """
    for order in list(permutations(range(3)))[:0:-1]:
        meant = ", ".join("zyx"[order.index(axis)] for axis in (2, 1, 0))
        yield f"had x, y, z in the order {meant}", partial(_turned, order)
    for mirrored in sorted(product((False, True), repeat=3), key=sum)[1:]:
        axes = [axis for axis, turned in zip("zyx", mirrored, strict=True) if turned][::-1]
        yield f"counted {' and '.join(axes)} from the other end", partial(_mirrored, mirrored)
    for factor in (*_BINNINGS, 1 / pixel_size):
        said = f"counted pixels of {pixel_size * factor:g} Å; {Remedy.PIXEL_SIZE.said()}"
        yield said, partial(_scaled, factor)


def _as_read(one: Searched) -> np.ndarray:
    return one.truth.picks.points_zyx


def _turned(order: tuple[int, ...], one: Searched) -> np.ndarray:
    return _as_read(one)[:, list(order)]


def _mirrored(axes: tuple[bool, ...], one: Searched) -> np.ndarray | None:
    shape = one.picks.shape_zyx or one.truth.shape_zyx
    if shape is None:
        return None
    return np.where(axes, np.array(shape) - 1 - _as_read(one), _as_read(one))


def _scaled(factor: float, one: Searched) -> np.ndarray:
    return _as_read(one) * factor
