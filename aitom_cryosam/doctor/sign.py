"""Sign: whole numbers that were written with one and are read with the other look torn."""

from __future__ import annotations

import numpy as np

from aitom_cryosam.doctor.observation import Observation
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.validation.finding import Severity

_TORN = 1e-3
"""Share of neighbours that differ by more than half of what the numbers can hold."""
_MORE = 5.0
"""Times that it is this share with the other sign; where values are spread evenly over all that
the numbers can hold, it is 1."""


def sign_observations(tomogram: Tomogram) -> list[Observation]:
    """A warning where the numbers of a tomogram would be far smoother with the other sign."""
    plane = np.asarray(tomogram.data[tomogram.shape[0] // 2])
    if plane.dtype.kind not in "iu":
        return []
    size = plane.dtype.itemsize
    plane = np.ascontiguousarray(plane, plane.dtype.newbyteorder("="))
    signed = plane.dtype.kind == "i"
    other = f"{'u' if signed else 'i'}{size}"
    torn = _torn(plane)
    if torn < max(_TORN, _MORE * _torn(plane.view(other))):
        return []
    here, there = ("signed", "unsigned") if signed else ("unsigned", "signed")
    text = (
        f"Its {8 * size}-bit numbers, read as {here}, jump over half of their range at "
        f"{torn:.2%} of the voxels, but not as {there} ones: the picture is torn."
    )
    remedy = (
        "read it so, and write it again: python -c \"import mrcfile; mrcfile.write('OUT', "
        f"mrcfile.read('IN').view('{other}').astype('f4'), voxel_size=ANGSTROM)\""
    )
    return [Observation(Severity.WARNING, "header", text, remedy=remedy)]


def _torn(plane: np.ndarray) -> float:
    """Share of neighbours along x in a plane (h, w) that differ by more than half of the range."""
    half = 1 << (8 * plane.dtype.itemsize - 1)
    return float((np.abs(np.diff(plane.astype(np.float32), axis=-1)) > half).mean())
