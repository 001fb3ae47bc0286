"""Counting: whether picks and known positions seem to count places in different ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations, product

import numpy as np
from scipy.spatial import cKDTree

from aitom_cryosam.remedies import Remedy

_FEW = 8  # particles from which on anything is said
_SHARE = 0.5  # of those that could match: less is doubted, and as many must match otherwise
_OTHERS, _ABOVE_CHANCE = 80, 2.5  # so many times what 80 % of the ways bring together is no chance
_MOVED_SHARE = 0.7  # of them, once all are moved alike: there are many ways to do that
_SOME, _SOME_TOMOGRAMS = 150, 4  # whose distances from each other are looked at
_SHIFTED = 0.4  # voxels, of all particles alike
_LEFT = 0.5  # of the distances, once the shift is taken off
_BINNINGS = (2.0, 4.0, 8.0, 0.5, 0.25, 0.125)


@dataclass(frozen=True, eq=False)
class Matched:
    """Picks and known positions of one tomogram, as they were matched.

    Attributes:
        picks_zyx: (n, 3) voxels.
        truth_zyx: (m, 3) voxels.
        pairs: (k, 2) rows of picks and truth that belong together.
        voxel_size: Å.
        shape_zyx: (D, H, W) of the tomogram, if anybody knows it.
    """

    picks_zyx: np.ndarray
    truth_zyx: np.ndarray
    pairs: np.ndarray
    voxel_size: float
    shape_zyx: tuple[int, int, int] | None = None


Way = Callable[[Matched], "np.ndarray | None"]
"""(n, 3) the known positions z y x as another way of counting has them; None if it cannot be."""


def doubt(
    tomograms: Sequence[Matched], radius: float, truth_angpix: float | None = None
) -> str | None:
    """What to say where another way of counting would bring picks and particles together.

    Few picks that match are looked at with the order of axes, the end that an axis is counted
    from, and the size of pixels changed, or else all moved alike; many, for a shift that all have.

    Args:
        tomograms: at least one.
        radius: Å, that they were matched within.
        truth_angpix: Å, the pixel size that the truth was read with, if not the tomograms'.
    """
    matched = sum(len(one.pairs) for one in tomograms)
    possible = sum(min(len(one.picks_zyx), len(one.truth_zyx)) for one in tomograms)
    if possible < _FEW:
        return None
    if matched >= _SHARE * possible:
        return _of_shift(tomograms)
    ways = dict(_ways(truth_angpix or tomograms[0].voxel_size))
    found = {said: _together(tomograms, radius, way) for said, way in ways.items()}
    chance = np.percentile([_together(tomograms, radius, _as_read), *found.values()], _OTHERS)
    least = max(_ABOVE_CHANCE * chance, _FEW)
    said = max(found, key=lambda way: found[way])
    count = found[said]
    if count < max(_SHARE * possible, least):
        shift = _commonest(tomograms, radius)
        x, y, z = np.round(-shift[::-1]) + 0.0  # no -0
        said = (
            f"lay x, y, z = {x:.0f}, {y:.0f}, {z:.0f} voxels further, as of a tomogram that was "
            "cut or padded, or counted from its middle"
        )
        count = _together(tomograms, radius, partial(_moved, shift))
        if count < max(_MOVED_SHARE * possible, least):
            return None
    return (
        f"{matched} of {possible} picks and particles match, but {count} would if the truth {said}"
    )


def _commonest(tomograms: Sequence[Matched], radius: float) -> np.ndarray:
    """(3,) voxels, z y x, by which the most particles lie from picks, near or far."""
    with_both = [one for one in tomograms if len(one.truth_zyx) and len(one.picks_zyx)]
    apart = np.concatenate(
        [
            (one.truth_zyx[:_SOME, None] - one.picks_zyx[:_SOME]).reshape(-1, 3)
            for one in with_both[:_SOME_TOMOGRAMS]
        ]
    )
    tree, reach = cKDTree(apart), radius / tomograms[0].voxel_size / 2
    alike = tree.query_ball_point(apart, reach, return_length=True)
    most = apart[int(np.argmax(alike))]
    return np.asarray(apart[tree.query_ball_point(most, reach)].mean(axis=0))


def _of_shift(tomograms: Sequence[Matched]) -> str | None:
    apart = np.concatenate(
        [one.truth_zyx[one.pairs[:, 1]] - one.picks_zyx[one.pairs[:, 0]] for one in tomograms]
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


def _together(tomograms: Sequence[Matched], radius: float, way: Way) -> int:
    """How many picks and particles have each other within the radius; fast, not one to one."""
    number = 0
    for one in tomograms:
        picks, truth = one.picks_zyx, way(one)
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


def _as_read(one: Matched) -> np.ndarray:
    return one.truth_zyx


def _turned(order: tuple[int, ...], one: Matched) -> np.ndarray:
    return one.truth_zyx[:, list(order)]


def _mirrored(axes: tuple[bool, ...], one: Matched) -> np.ndarray | None:
    if one.shape_zyx is None:
        return None
    return np.where(axes, np.array(one.shape_zyx) - 1 - one.truth_zyx, one.truth_zyx)


def _moved(shift_zyx: np.ndarray, one: Matched) -> np.ndarray:
    return one.truth_zyx - shift_zyx


def _scaled(factor: float, one: Matched) -> np.ndarray:
    return one.truth_zyx * factor
