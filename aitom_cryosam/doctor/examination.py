"""Examination: all that the doctor sees of one tomogram, in the order in which to read it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from aitom_cryosam.doctor.clicks import (
    border_observations,
    fitting,
    place_observations,
    signal_observations,
)
from aitom_cryosam.doctor.contrast import probable, skew
from aitom_cryosam.doctor.observation import Observation
from aitom_cryosam.doctor.sign import sign_observations
from aitom_cryosam.doctor.signal import Signal
from aitom_cryosam.power_spectrum import Spectrum
from aitom_cryosam.sample_cubes import sample_cubes
from aitom_cryosam.tomogram import Contrast, Tomogram
from aitom_cryosam.validation.finding import Severity

LARGEST = 250.0
"""Å, the radius of the largest particle that is looked for under a click."""
NOISY, SMOOTH = 0.7, 1.0
"""log10 of the power of large structures over that of single voxels: below is noise, above not."""
THIN = 0.7
"""A tomogram is thin along an axis that is shorter than this share of the next longer one."""
_TURNS = {1: "rotx", 2: "roty"}  # what IMOD's clip calls the turn that makes y, or x, the z axis


def examine(
    tomogram: Tomogram, points_zyx: np.ndarray | None = None, *, diameter: float | None = None
) -> list[Observation]:
    """What is seen of a tomogram, and of the clicks in it, in less than a second.

    Args:
        tomogram: with the contrast that a run would take.
        points_zyx: (n, 3) voxels, the clicks, wherever they lie; None or empty for none.
        diameter: voxels, if it is known.
    """
    return list(_observed(tomogram, points_zyx, diameter))


def _observed(
    tomogram: Tomogram, points_zyx: np.ndarray | None, diameter: float | None
) -> Iterator[Observation]:
    yield from sign_observations(tomogram)
    yield from _margins(tomogram)
    cubes = sample_cubes(tomogram)
    spectrum = Spectrum(cubes)
    yield from _axes(tomogram, spectrum)
    yield from _noise(spectrum)
    clicked = None
    seen: list[Observation] = []
    if points_zyx is not None and len(points_zyx):
        seen.extend(place_observations(tomogram, points_zyx))
        good = points_zyx[fitting(tomogram, points_zyx)]
        if len(good):
            signal = Signal(tomogram, largest=LARGEST / tomogram.voxel_size, diameter=diameter)
            seen.extend(signal_observations(signal, good))
            if diameter is not None:
                seen.extend(border_observations(tomogram, good, diameter))
            clicked = signal.deviations(good)
    yield from _contrast(tomogram.contrast, skew(cubes), clicked)
    yield from seen


def _margins(tomogram: Tomogram) -> Iterator[Observation]:
    lower, upper = tomogram.content_box
    sides = [
        f"{low} at the start and {size - high} at the end of {axis}"
        for axis, low, high, size in zip("zyx", lower, upper, tomogram.shape, strict=True)
        if low or high < size
    ]
    if sides:
        text = f"Blank planes, left out of every measurement: {', '.join(reversed(sides))}."
        yield Observation(Severity.NOTE, "margins", text)


def _axes(tomogram: Tomogram, spectrum: Spectrum) -> Iterator[Observation]:
    """Which axis the beam's is, by the missing wedge; and whether the thin one is z."""
    wedge = spectrum.wedge()
    shortest, middle, _ = np.argsort(tomogram.shape, kind="stable")
    thin = int(shortest) if tomogram.shape[shortest] < THIN * tomogram.shape[middle] else None
    if wedge is None:
        text = "No missing wedge is seen: isotropic filling, a simulation, or mostly noise."
        yield Observation(Severity.NOTE, "wedge", text)
    else:
        yield Observation(
            Severity.NOTE,
            "wedge",
            f"The missing wedge lies around {'zyx'[wedge.beam]}, with tilts about "
            f"{'zyx'[wedge.tilt]} from {wedge.lowest:.0f}° to {wedge.highest:.0f}°.",
        )
    beam = wedge.beam if wedge is not None else thin
    if beam in _TURNS:
        why = "the missing wedge lies around it" if wedge is not None else "it is the thin one"
        yield Observation(
            Severity.WARNING,
            "axes",
            f"The beam seems to run along {'zyx'[beam]}, not z: {why}. Picks will fit this volume, "
            "but not the same volume in another orientation.",
            remedy=f"turn it, for instance with IMOD: clip {_TURNS[beam]} IN OUT",
        )
    elif thin == 0:
        yield Observation(Severity.NOTE, "axes", "z is the thin axis, as it should be.")


def _noise(spectrum: Spectrum) -> Iterator[Observation]:
    smoothness = spectrum.smoothness()
    if smoothness > SMOOTH:
        text = "Denoised or low-pass filtered: single voxels hardly vary."
        yield Observation(Severity.NOTE, "noise", text)
    elif smoothness < NOISY:
        yield Observation(
            Severity.NOTE,
            "noise",
            "Neither denoised nor filtered: single voxels vary as much as large structures.",
            remedy="pick on a denoised or low-pass filtered copy if you have one",
        )


def _contrast(
    stated: Contrast, skewness: float, clicked: np.ndarray | None
) -> Iterator[Observation]:
    """Whether protein is as dark or bright as a run will take it.

    The skew speaks for all that is dense in the tomogram, and so has the first word; a hollow
    particle can have a bright middle among dark walls.
    """
    general = probable(skewness)
    here: Contrast | None = None
    if clicked is not None:
        here = "dark" if clicked.mean() < 0 else "bright"
    said = [f"the values lean to the {general} side (skew {skewness:+.2f})"] if general else []
    if here and clicked is not None:
        said.append(f"the clicks are {here}er than around by {abs(clicked.mean()):.1f} deviations")
    likely = general or here
    if likely is None:
        text = f"Protein may be dark or bright (skew {skewness:+.2f}); {stated} is assumed."
        yield Observation(Severity.NOTE, "contrast", text)
    elif likely != stated:
        text = f"Protein seems {likely}, but is taken as {stated}: {' and '.join(said)}."
        yield Observation(Severity.WARNING, "contrast", text, {"contrast": likely})
    elif here not in (None, stated):
        why = f"{', but '.join(said)}; a hollow particle has such a middle"
        yield Observation(Severity.NOTE, "contrast", f"Protein seems {likely}, as assumed: {why}.")
    else:
        text = f"Protein seems {likely}, as assumed: {' and '.join(said)}."
        yield Observation(Severity.NOTE, "contrast", text)
