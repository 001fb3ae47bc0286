"""Prompts: the clicks that a user types or keeps in a file, checked against the tomogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.io.points import of_tomogram, read_points
from aitom_cryosam.picks import Picks
from aitom_cryosam.tomogram import Tomogram


def read_prompts(
    tomogram: Tomogram,
    texts: Sequence[str] = (),
    path: str | Path | None = None,
    *,
    coords_angpix: float | None = None,
) -> Picks:
    """The prompts of a run, numbered from 1: the typed ones, then those of the file.

    Args:
        tomogram: which they point into.
        texts: "X,Y,Z" each, voxels.
        path: STAR or CSV (see `points.read_points`); only this tomogram's rows count.
        coords_angpix: Å, the pixel size that the file's coordinates are written in.

    Raises:
        InputError: there is no prompt, or one is not three numbers, lies outside the tomogram
            or on its blank margin, or the file cannot be used.
    """
    points = [_parse(text) for text in texts]
    _check(points, tomogram, "The prompt")
    if path is not None:
        file = read_points(path, voxel_size=tomogram.voxel_size, coords_angpix=coords_angpix)
        if not len(file.picks):
            raise InputError(f"{path} holds no points; expected at least one prompt.")
        chosen = of_tomogram(file, tomogram.name).picks.points_zyx
        unit = "" if coords_angpix else " (in pixels of another size? add --coords-angpix ANGSTROM)"
        _check(chosen, tomogram, f"{path}: the prompt", unit)
        points.extend(chosen)
    if not points:
        raise InputError("There is no prompt; add --prompt X,Y,Z or --prompts FILE.")
    return Picks.from_points(np.array(points))


def _parse(text: str) -> np.ndarray:
    """(3,) z y x from "X,Y,Z"."""
    try:
        x, y, z = (float(value) for value in text.split(","))
    except ValueError:
        raise InputError(f"Expected a prompt X,Y,Z of three numbers, got {text!r}.") from None
    if not all(map(math.isfinite, (x, y, z))):
        raise InputError(f"Expected a prompt X,Y,Z of finite numbers, got {text!r}.")
    return np.array([z, y, x])


def _check(
    points_zyx: Sequence[np.ndarray] | np.ndarray, tomogram: Tomogram, called: str, hint: str = ""
) -> None:
    for point in points_zyx:
        at = f"{called} {','.join(f'{value:g}' for value in point[::-1])}"
        if not _inside(point, tomogram.shape):
            bounds = ", ".join(
                f"{axis} 0 to {size - 1}"
                for axis, size in zip("xyz", tomogram.shape[::-1], strict=True)
            )
            if _inside(point[::-1], tomogram.shape):
                hint = "; as z,y,x it would lie inside: type it as x,y,z"
            raise InputError(f"{at} lies outside {tomogram.name}, which has {bounds}{hint}.")
        if tomogram.is_blank(point):
            raise InputError(
                f"{at} lies on the blank margin of {tomogram.name}; click on a particle."
            )


def _inside(point_zyx: np.ndarray, shape: tuple[int, int, int]) -> bool:
    return all(-0.5 <= value < size - 0.5 for value, size in zip(point_zyx, shape, strict=True))
