"""What can be said of clicks: inside or not, in which order, on something or on nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from aitom_cryosam.doctor.observation import Observation
from aitom_cryosam.doctor.signal import Signal
from aitom_cryosam.geometry import as_typed
from aitom_cryosam.points.outside import otherwise
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.validation.finding import Severity
from aitom_cryosam.wording import listed

FAINT = 0.4
"""A click that stands out less than this share of random places is on nothing. Two of 3,000 clicks
on particles, a voxel off, and 40 % of those on nothing do."""
NEAR = (0.5, 0.75, 0.75)
"""Diameters from a face across z, y, x within which a click lacks some of what is around it.

Tomograms are thin: along z only what cuts the particle itself counts.
"""


def near_faces(tomogram: Tomogram, point_zyx: np.ndarray, diameter_voxels: float) -> list[str]:
    """What is wrong with the place of a click: "is near the border", or the blank margin.

    Args:
        tomogram: that it lies in.
        point_zyx: (3,) voxels.
        diameter_voxels: of the particle.
    """
    lower, upper = np.array(tomogram.content_box)
    gaps = np.concatenate([point_zyx - lower, upper - 1 - point_zyx])  # (6,)
    near = gaps < np.tile(NEAR, 2) * diameter_voxels
    blank = np.concatenate([lower > 0, upper < np.array(tomogram.shape)])
    names = {"the blank margin": near & blank, "the border": near & ~blank}
    return [f"is near {name}" for name, here in names.items() if here.any()]


def each_click(points_zyx: Sequence[np.ndarray] | np.ndarray) -> str:
    """The subject of a sentence on clicks, (n, 3) voxels, n ≥ 1: the first are named."""
    places = listed(map(as_typed, points_zyx))
    n = len(points_zyx)
    return f"The click {places}" if n == 1 else f"Each of {n} clicks ({places})"


def fitting(tomogram: Tomogram, points_zyx: np.ndarray) -> np.ndarray:
    """(n,) bool, which points lie inside and on something that varies.

    Args:
        tomogram: to lie in.
        points_zyx: (n, 3) voxels.
    """
    inside = np.ones(len(points_zyx), bool)
    inside[TomogramInfo.of(tomogram).outside(points_zyx)] = False
    inside[inside] = [not tomogram.is_blank(point) for point in points_zyx[inside]]
    return inside


def place_observations(tomogram: Tomogram, points_zyx: np.ndarray) -> Iterator[Observation]:
    """Whether the clicks lie in the tomogram, and in which order or unit they would.

    Args:
        tomogram: to lie in.
        points_zyx: (n, 3) voxels, n ≥ 1.
    """
    fits = fitting(tomogram, points_zyx)
    n = len(points_zyx)
    if fits.all():
        yield _note(f"{_all(n)} inside the tomogram.")
        return
    places = listed(map(as_typed, points_zyx[~fits]))
    bounds = TomogramInfo.of(tomogram).bounds()
    text = (
        f"{n - fits.sum()} of {n} clicks lie outside or on a blank margin ({places}); the "
        f"tomogram has {bounds}."
    )
    severity = Severity.WARNING if fits.any() else Severity.ERROR
    remedy, options = _instead(tomogram, points_zyx)
    yield Observation(severity, "clicks", text, options, remedy)


def border_observations(
    tomogram: Tomogram, points_zyx: np.ndarray, diameter_voxels: float
) -> Iterator[Observation]:
    """Clicks around which something is missing; a run warns of them itself.

    Args:
        tomogram: that they lie in.
        points_zyx: (n, 3) voxels inside the tomogram.
        diameter_voxels: of the particle.
    """
    for point in points_zyx:
        for said in near_faces(tomogram, point, diameter_voxels):
            text = f"The click {as_typed(point)} {said}: part of its surroundings is missing."
            remedy = "click further inside, or add clicks there"
            yield Observation(Severity.NOTE, "border", text, remedy=remedy)


def signal_observations(signal: Signal, points_zyx: np.ndarray) -> Iterator[Observation]:
    """Whether there is something at each click.

    Args:
        signal: of the tomogram.
        points_zyx: (n, 3) voxels inside the tomogram, n ≥ 1.
    """
    ranks = signal.rank(points_zyx)
    faint = np.flatnonzero(ranks < FAINT)
    if not len(faint):
        least = min(int(100 * ranks.min()), 99)
        yield _note(
            f"{_all(len(points_zyx), 'stand out from the surroundings')}: more than "
            f"{least} % of random places do."
        )
        return
    yield Observation(
        Severity.WARNING,
        "clicks",
        f"{each_click(points_zyx[faint])} stands out less than "
        f"{100 - 100 * ranks[faint].max():.0f} % of random places: it may not be on a particle.",
        remedy="click on the centre of a particle that you can see",
    )


def _instead(tomogram: Tomogram, points_zyx: np.ndarray) -> tuple[str, dict[str, str]]:
    """An order or a unit in which every click would fit: what to do, what to type."""
    if hint := otherwise(TomogramInfo.of(tomogram), points_zyx):
        return hint.removeprefix("; "), {}
    for pixel, unit in ((1.0, "Å"), (tomogram.voxel_size / 2, ""), (tomogram.voxel_size / 4, "")):
        if fitting(tomogram, points_zyx * pixel / tomogram.voxel_size).all():
            what = unit or f"pixels of {pixel:g} Å"
            factor = tomogram.voxel_size / pixel
            remedy = f"they fit if they were given in {what}: divide typed ones by {factor:g}"
            return f"{remedy}, or say so of a file", {"coords-angpix": f"{pixel:g}"}
    return "click inside the tomogram", {}


def _all(count: int, verb: str = "lie") -> str:
    if count == 1:
        first, _, rest = verb.partition(" ")
        return f"The click {first}s {rest}".rstrip()
    return f"All {count} clicks {verb}"


def _note(text: str) -> Observation:
    return Observation(Severity.NOTE, "clicks", text)
