"""IMOD: point lists for `point2model`, and models through imodmodel.

A voxel centre k has the model coordinates (kx + 0.5, ky + 0.5, kz). Objects are read as classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import pandas as pd

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.formats.text import cells
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.table import Table, Unit, numbers, reading
from aitom_cryosam.points.tomogram_info import TomogramPicks

_TO_MODEL = np.array([0.5, 0.5, 0.0])  # x, y, z


def text(groups: Sequence[TomogramPicks]) -> str:
    """One line a point: object, contour, x, y, z."""
    return "".join(
        f"1 1 {x:.6f} {y:.6f} {z:.6f}\n"
        for picks, _ in groups
        for x, y, z in picks.points_zyx[:, ::-1] + _TO_MODEL
    )


def read_text(path: Path) -> Table:
    """`object contour x y z`, `contour x y z` or `x y z` a line.

    Raises:
        InputError: the lines have another number of values, or not all the same.
    """
    rows = cells(path)
    widths = {len(row) for row in rows} or {3}
    if len(widths) > 1 or not widths <= {3, 4, 5}:
        raise InputError(f"{path} is not a point list of IMOD: object contour x y z in each line.")
    table = pd.DataFrame(rows, columns=["object", "contour", *"xyz"][-min(widths) :], dtype=str)
    points = numbers(table, ("x", "y", "z"), path) - _TO_MODEL
    return Table.of(points, Unit.VOXEL, classes=table.get("object"))


def model(groups: Sequence[TomogramPicks], particle: Particle) -> bytes:
    """A binary model: one object of scattered points, drawn as spheres of the box's size.

    Raises:
        InputError: imodmodel is not installed.
    """
    imodmodel = _imodmodel()
    [(picks, info)] = groups
    points = pd.DataFrame(picks.points_zyx[:, ::-1] + _TO_MODEL, columns=["x", "y", "z"])
    result = imodmodel.models.ImodModel.from_dataframe(points)
    for thing in result.objects:
        thing.header.pdrawsize = particle.box // 2
    if info.shape_zyx is not None:
        result.header.zmax, result.header.ymax, result.header.xmax = info.shape_zyx
    with TemporaryDirectory() as folder:
        path = Path(folder) / "points.mod"
        result.to_file(path)
        return path.read_bytes()


def read_model(path: Path) -> Table:
    """All points of all objects and contours of a binary model.

    Raises:
        InputError: imodmodel is not installed, or the file is no model.
    """
    content = path.read_bytes()
    if content[:5] != b"IMODV":
        raise InputError(f"{path} is not a binary IMOD model.")
    if b"IEOF" not in content:  # imodmodel would look for it forever
        raise InputError(f"{path} is cut off: an IMOD model ends with IEOF; copy it again.")
    imodmodel = _imodmodel()
    with reading(path, "an IMOD model that can be read"):
        objects = imodmodel.models.ImodModel.from_file(path).objects
        parts = [
            (str(number), np.reshape(contour.points, (-1, 3)))
            for number, thing in enumerate(objects, 1)
            for contour in thing.contours
        ]
    points = np.concatenate([points for _, points in parts] or [np.empty((0, 3))])
    classes = [number for number, points in parts for _ in points]
    return Table.of(points.astype(np.float64) - _TO_MODEL, Unit.VOXEL, classes=classes)


def _imodmodel() -> ModuleType:
    try:
        import imodmodel
    except ImportError:
        raise InputError(
            "IMOD models need the package imodmodel; type pip install 'aitom-cryosam[imod]'."
        ) from None
    return imodmodel
