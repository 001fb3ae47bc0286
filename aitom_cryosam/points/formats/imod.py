"""IMOD: point lists for `point2model`, and binary models, written through imodmodel.

A voxel centre k has the model coordinates (kx + 0.5, ky + 0.5, kz). Objects are read as classes.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE
from aitom_cryosam.points.formats.text import cells
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.table import FROM_CORNER, Table, Unit, numbers
from aitom_cryosam.points.tomogram_info import TomogramPicks

logger = logging.getLogger(__name__)

_HEADER = 240
_FLIPPED = 1 << 16
_NEARLY_WHOLE = 0.05  # voxels
_HAS_ORIGIN = 1 << 14  # of the image, in otrans of MINX
_ANGSTROM_PER_UNIT = {3: 1e13, 1: 1e10, -2: 1e8, -3: 1e7, -6: 1e4, -9: 10.0, -10: 1.0}


def text(groups: Sequence[TomogramPicks]) -> str:
    """One line a point: object, contour, x, y, z."""
    return "".join(
        f"1 1 {x:.6f} {y:.6f} {z:.6f}\n"
        for picks, _ in groups
        for x, y, z in picks.points_zyx[:, ::-1] + FROM_CORNER
    )


def read_text(path: Path) -> Table:
    """`object contour x y z`, `contour x y z` or `x y z` a line.

    Raises:
        InputError: the lines have another number of values, or not all the same.
    """
    import pandas as pd

    rows = cells(path, tell=True)
    widths = {len(row) for row in rows} or {3}
    if len(widths) > 1 or not widths <= {3, 4, 5}:
        raise InputError(f"{path} is not a point list of IMOD: object contour x y z in each line.")
    table = pd.DataFrame(rows, columns=["object", "contour", *"xyz"][-min(widths) :], dtype=str)
    points = numbers(table, ("x", "y", "z"), path) - FROM_CORNER
    return Table.of(points, Unit.VOXEL, classes=table.get("object"))


def model(groups: Sequence[TomogramPicks], particle: Particle) -> bytes:
    """A binary model: one object of scattered points, drawn as spheres of the box's size.

    Raises:
        InputError: imodmodel is not installed.
    """
    import pandas as pd

    imodmodel = _imodmodel()
    [(picks, info)] = groups
    points = pd.DataFrame(picks.points_zyx[:, ::-1] + FROM_CORNER, columns=["x", "y", "z"])
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
    """All points of all objects and contours of a binary model; meshes and the rest are passed.

    A model last drawn on an image with y and z flipped is stored so, and turned back here. One
    that was saved while a part of the image was loaded counts from that part.

    Raises:
        InputError: the file is no model, is cut off, or is of a part that was flipped.
    """
    content = path.read_bytes()
    if content[:5] != b"IMODV" or len(content) < _HEADER:
        raise InputError(f"{path} is not a binary IMOD model.")
    flags, pixel_size, unit = (
        struct.unpack_from(kind, content, place)[0]
        for kind, place in ((">I", 152), (">f", 216), (">i", 220))
    )
    image_sizes, part = np.zeros(3), np.zeros(3)
    points, classes, objects = [np.empty((0, 3))], [], 0
    for kind, start, end in _chunks(path, content):
        if kind == b"OBJT":
            objects += 1
        elif kind == b"MINX" and end - start >= 76:
            image_sizes = np.array(struct.unpack_from(">3f", content, start + 40))
            if flags & _HAS_ORIGIN:
                origin, loaded = (
                    np.array(struct.unpack_from(">3f", content, start + at)) for at in (16, 52)
                )
                part = _part(origin - loaded, image_sizes)
        elif kind == b"CONT":
            contour = np.frombuffer(content[start + 16 : end], ">f4").reshape(-1, 3)
            points.append(contour.astype(np.float64))
            classes += [str(objects)] * len(contour)
    points_xyz = np.concatenate(points) + part
    if part.any():
        if flags & _FLIPPED:
            raise InputError(
                f"{path} was saved while a part of the image was loaded, flipped; load the whole "
                "of it in 3dmod, not flipped, and save the model again."
            )
        logger.warning(
            "%s was saved while a part of the image was loaded, from voxel %g, %g, %g (x, y, z); "
            "its points are counted from the whole one's first.",
            path,
            *part,
        )
    if flags & _FLIPPED:
        points_xyz = points_xyz[:, [0, 2, 1]]
    if unit in _ANGSTROM_PER_UNIT and 0 < pixel_size < np.inf:
        voxel_size = pixel_size * _ANGSTROM_PER_UNIT[unit]
    else:  # what the header does not say, the image says that the model was drawn on
        voxel_size = _voxel_size(image_sizes)
    table = Table.of(
        points_xyz - FROM_CORNER,
        Unit.VOXEL,
        classes=classes,
        voxel_size=voxel_size,
    )
    sizes = struct.unpack_from(">3i", content, 136)
    whole = min(sizes) > 0 and not (part.any() or flags & _FLIPPED)
    return replace(table, image_xyz=sizes) if whole else table


def _part(shift_xyz: np.ndarray, sizes_xyz: np.ndarray) -> np.ndarray:
    """(3,) voxels, x y z: where the part that 3dmod had loaded begins; 0 for a whole image."""
    if not (np.isfinite(shift_xyz).all() and (sizes_xyz > 0).all()):
        return np.zeros(3)
    begin = shift_xyz / sizes_xyz
    nearest = np.round(begin)
    sound = (nearest >= 0).all() and (np.abs(begin - nearest) < _NEARLY_WHOLE).all()
    return nearest if sound else np.zeros(3)


def _voxel_size(sizes_xyz: np.ndarray) -> float | None:
    """Å, of an image by its sizes along x, y, z; 1 stands for unknown."""
    size = float(sizes_xyz[0])
    usable = np.isfinite(sizes_xyz).all() and size > 0 and size != 1
    return size if usable and np.ptp(sizes_xyz) <= SAME_SIZE * size else None


def _chunks(path: Path, content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of every chunk; all but three kinds state their length.

    Raises:
        InputError: the file ends before its end mark.
    """
    place = _HEADER
    while content[place : place + 4] != b"IEOF":
        kind, start = content[place : place + 4], place + 4
        sizes = struct.unpack_from(">2i", content, start) if start + 8 <= len(content) else (-1, 0)
        if kind == b"OBJT":
            end = start + 176
        elif kind == b"CONT":
            end = start + 16 + 12 * sizes[0]
        elif kind == b"MESH":
            end = start + 16 + 12 * sizes[0] + 4 * sizes[1]
        else:
            end = start + 4 + sizes[0]
        if min(sizes[0], end - start) < 0 or end > len(content):
            raise InputError(f"{path} is cut off: an IMOD model ends with IEOF; copy it again.")
        yield kind, start, end
        place = end


def _imodmodel() -> ModuleType:
    try:
        import imodmodel
    except ImportError:
        raise InputError(
            "Writing IMOD models needs the package imodmodel; type "
            "pip install 'aitom-cryosam[imod]'."
        ) from None
    return imodmodel
