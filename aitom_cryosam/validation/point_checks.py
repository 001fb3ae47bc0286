"""Point checks: blocks, names, units, bounds and duplicates; each yields what it finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from aitom_cryosam.errors import InputError
from aitom_cryosam.names import relion_name, series_name, tomogram_root
from aitom_cryosam.points.belonging import of_tomogram
from aitom_cryosam.points.formats.relion_warp import WARP_CRASHES
from aitom_cryosam.points.outside import otherwise
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.star_syntax import Block
from aitom_cryosam.points.table import (
    ANGLES,
    CENTRED,
    NAMES,
    ORIGINS,
    PIXEL_ORIGINS,
    PIXELS,
    SCORE,
    Table,
    Unit,
)
from aitom_cryosam.points.tilt_series import TomogramsStar
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.validation.finding import Expected, Finding, Severity
from aitom_cryosam.validation.programs import is_tomostar
from aitom_cryosam.wording import listed

_SAME_PLACE = 1e-3  # of a unit of the file
_MANY = 10  # points from which on their spread says something
_SHOWN = 3


def error_of(error: InputError | UnicodeDecodeError, path: Path) -> Finding:
    """A sentence of a reader as a finding, without the file's name."""
    if not isinstance(error, InputError):
        return Finding(Severity.ERROR, "holds bytes that are no text; expected UTF-8")
    text = str(error).removeprefix(str(path)).lstrip(":, ").rstrip(".")
    return Finding(Severity.ERROR, text)


def unit_of(table: Table, expected: Expected) -> float | None:
    """Å that one unit of the file counts, or None."""
    if table.unit in (Unit.ANGSTROM, Unit.CENTRED_ANGSTROM):
        return 1.0
    if table.unit is Unit.SCENE:
        return expected.coords_angpix or 1.0
    if table.unit is Unit.VOXEL:
        project = expected.tomograms.voxel_size if expected.tomograms else None
        return expected.coords_angpix or table.voxel_size or expected.info.voxel_size or project
    return expected.coords_angpix or table.pixel_size or pixel_size_of(table, expected)


def pixel_size_of(table: Table, expected: Expected) -> float | None:
    """Å, of the tilt series, where that is one number."""
    if expected.info.tilt_series:
        return expected.info.tilt_series.pixel_size
    sizes = {one.pixel_size for one in expected.tomograms.series} if expected.tomograms else set()
    return sizes.pop() if len(sizes) == 1 else table.pixel_size


def of_blocks(blocks: list[Block], table: Table) -> Iterator[Finding]:
    """Blocks and columns of a STAR file."""
    with_points = [block for block in blocks if {PIXELS[0], CENTRED[0]} & set(block.labels)]
    if len(with_points) > 1:
        listed = ", ".join(f"data_{block.name}" for block in with_points)
        yield Finding(Severity.WARNING, f"{listed} all have coordinates; only one is read")
    if not with_points:
        return
    block, rows = with_points[0], table.rows
    if CENTRED[0] in block.labels and all(block.name != "particles" for block in blocks):
        yield Finding(
            Severity.ERROR,
            f"the block is data_{block.name}; RELION 5 reads data_particles only: rename it",
        )
    for label in block.labels:
        values = [value.lower().lstrip("+-") for value in block.column(label)]
        if label not in table.columns and {"nan", "inf"} & set(values):
            row = next(i for i, value in enumerate(values, 1) if value in ("nan", "inf"))
            yield Finding(Severity.ERROR, f"row {row}: {label} is {block.column(label)[row - 1]}")
    if table.mixed and table.sizes is not None:
        sizes = " and ".join(f"{size:g}" for size in dict.fromkeys(table.sizes[:_SHOWN]))
        yield Finding(Severity.ERROR, f"mixes voxels of {sizes} Å; export them one by one")
    warp = any(map(is_tomostar, table.names or ()))
    if warp and (crashing := [label for label in WARP_CRASHES if label in block.labels]):
        yield Finding(
            Severity.WARNING,
            f"has {', '.join(crashing)}, on which WarpTools 2.0.0dev37 and 38 crash (warp#475, "
            "#478, #479); the format warp leaves them out",
        )
    import pandas as pd

    shifts = [label for label in (*ORIGINS, *PIXEL_ORIGINS) if label in rows]
    moved = int(rows[shifts].apply(pd.to_numeric, errors="coerce").any(axis=1).sum())
    if moved:
        text = f"{shifts[0]} and so on are not 0 in {moved} rows; they are subtracted"
        yield Finding(Severity.NOTE, text)
    if table.names and SCORE not in rows and not shifts:
        yield Finding(Severity.NOTE, f"has no scores ({SCORE}) to choose by")
    if warp and not set(ANGLES) <= set(rows):
        yield Finding(Severity.NOTE, f"has no {ANGLES[0]}, Tilt, Psi, which M needs")


def of_names(table: Table, names: list[str], tomograms: TomogramsStar | None) -> Iterator[Finding]:
    """Names that Warp or RELION would not find: both compare them to the letter."""
    unique = list(dict.fromkeys(names))
    exact = NAMES[0] in table.rows and set(table.columns) in (set(PIXELS), set(CENTRED))
    if NAMES[0] not in table.rows:
        wrong = [name for name in unique if not is_tomostar(name)]
        if wrong:
            yield Finding(
                Severity.WARNING,
                f"{NAMES[1]} is '{wrong[0]}'; WarpTools finds only "
                f"'{tomogram_root(wrong[0])}.tomostar'",
            )
    elif exact:
        for name in [name for name in unique if re.search(r"[\\/]|\.(mrc|rec|map)$", name)][:1]:
            yield Finding(
                Severity.WARNING,
                f"{NAMES[0]} is the file '{name}'; expected a name as in tomograms.star",
            )
    if tomograms is None:
        return
    wrong = [text for name in unique if (text := _unknown(name, tomograms, exact=exact))]
    for text in wrong[:_SHOWN]:
        yield Finding(Severity.ERROR, text)
    if len(wrong) > _SHOWN:
        yield Finding(Severity.ERROR, f"and {len(wrong) - _SHOWN} more names like these")
    yield from _without_points(unique, tomograms)


def _without_points(names: list[str], tomograms: TomogramsStar) -> Iterator[Finding]:
    """Tomograms of the project that a file of several has nothing of."""
    there = {series_name(name) for name in names}
    missing = [str(one.name) for one in tomograms.series if series_name(str(one.name)) not in there]
    if len(names) > 1 and missing:
        yield Finding(
            Severity.WARNING,
            f"has no point of {len(missing)} tomograms of tomograms.star "
            f"({listed(missing, _SHOWN)}), which WarpTools may not pass over (warp#505): take them "
            "out of its input",
        )


def _unknown(name: str, tomograms: TomogramsStar, *, exact: bool) -> str:
    """What is wrong with a name, or nothing."""
    known = [str(one.name) for one in tomograms.series]
    if name in known:
        return ""
    for other in known if name.isdigit() else ():
        if other.isdigit() and int(other) == int(name):
            return f"the tomogram '{name}' has lost its zeros: tomograms.star has '{other}'"
    try:
        found = tomograms.of(name).name
    except InputError:
        return f"the tomogram '{name}' is not in tomograms.star ({listed(known, _SHOWN)})"
    return f"RELION does not know '{name}': tomograms.star has '{found}'" if exact else ""


def of_unit(table: Table, values: np.ndarray) -> Iterator[Finding]:
    """What the values, (n, 3), themselves speak against; nothing is concluded from it."""
    below = int((values < -0.5).any(axis=1).sum())
    if table.unit in (Unit.CENTRED_ANGSTROM, Unit.CENTRED_PIXEL):
        if len(values) >= _MANY and (values[:, :2] >= 0).all():
            yield Finding(
                Severity.WARNING,
                f"none of {len(values)} points lies left of or below the centre; do they count "
                "from the corner?",
            )
    elif below and table.unit is not Unit.SCENE:
        yield Finding(
            Severity.WARNING,
            f"{below} of {len(values)} points have coordinates below 0; do they count from the "
            "centre, in Å?",
        )
    elif len(values) >= _MANY and values.max() <= 1:
        yield Finding(
            Severity.WARNING,
            "all coordinates lie from 0 to 1; WarpTools wants --normalized_coords, others voxels",
        )


def of_places(
    path: Path, table: Table, values: np.ndarray, expected: Expected
) -> Iterator[Finding]:
    """Points, (n, 3) values, outside of their tomogram, or all in a corner of it."""
    info, tomograms = expected.info, expected.tomograms
    series = tomograms or info.tilt_series
    if not len(values) or (series is None and info.shape_zyx is None):
        return
    if tomograms and any(_unknown(name, tomograms, exact=False) for name in set(table.names or ())):
        return  # told already
    voxel_size = info.voxel_size or table.voxel_size or (tomograms and tomograms.voxel_size)
    missing = ""
    if table.unit is Unit.CENTRED_ANGSTROM and series is None:
        missing = f"Å from the centre; {Remedy.TOMOGRAMS_STAR.said()}"
    elif table.unit is Unit.CENTRED_PIXEL and info.shape_zyx is None:
        missing = f"pixels from the centre; {Remedy.SHAPE.said()}"
    elif table.unit is Unit.VOXEL and not (voxel_size or info.shape_zyx):
        missing = Remedy.VOXEL_SIZE.said()
    if missing:
        yield Finding(Severity.NOTE, f"bounds are not checked: {missing}")
        return
    # Without the tomogram's voxel size, pixels of the tilt series do as well.
    voxel_size = voxel_size or pixel_size_of(table, expected) or 1.0
    try:
        points = read_points(
            path,
            voxel_size=voxel_size,
            coords_angpix=expected.coords_angpix,
            tilt_series=info.tilt_series,
            tomograms=tomograms,
            shape_zyx=info.shape_zyx,
            tomogram=info.path,
            format=expected.format,
        )
        points = of_tomogram(points, info.name) if info.name else points
    except InputError as error:
        yield error_of(error, path)
        return
    rows = np.array(points.names or [info.name] * len(points.picks))
    for name in dict.fromkeys(rows.tolist()):
        within = _shaped(name, info, tomograms, voxel_size)
        if within is not None:
            yield from _against(points.picks.points_zyx[rows == name], name, within)


def _shaped(
    name: str, info: TomogramInfo, tomograms: TomogramsStar | None, voxel_size: float
) -> TomogramInfo | None:
    """The tomogram of a name, with its shape; None if that is not known."""
    if info.shape_zyx is not None:
        return info
    try:
        series = tomograms.of(name) if tomograms else info.tilt_series
    except InputError:
        return None
    if series is None or series.size_xyz is None:
        return None
    # One voxel more: a tomogram may be rounded up.
    z, y, x = (
        int(np.ceil(size * series.pixel_size / voxel_size)) + 1 for size in series.size_xyz[::-1]
    )
    return TomogramInfo(name, voxel_size, (z, y, x))


def _against(points_zyx: np.ndarray, name: str, info: TomogramInfo) -> Iterator[Finding]:
    outside = info.outside(points_zyx)
    of = f" of {relion_name(name)}" if name else ""
    if len(outside):
        x, y, z = points_zyx[outside[0], ::-1]
        yield Finding(
            Severity.ERROR,
            f"{len(outside)} of {len(points_zyx)} points{of} lie outside, the first at voxel "
            f"{x:.6g},{y:.6g},{z:.6g} of {info.bounds()}"
            f"{otherwise(info, points_zyx) or '; are they in pixels of another size?'}",
        )
    reach = points_zyx.max(axis=0) / info.known_shape("A bound")[::-1]
    if len(points_zyx) >= _MANY and reach.max() < 0.5:
        yield Finding(
            Severity.WARNING,
            f"all {len(points_zyx)} points{of} lie in the first {reach.max():.0%} of every axis; "
            "are they in pixels of another size?",
        )


def of_pairs(
    table: Table, values: np.ndarray, names: list[str], expected: Expected
) -> Iterator[Finding]:
    """Points, (n, 3) values, in one place, and such as are closer than a distance."""
    groups = np.array(names or [""] * len(values))
    for radius, text in _radii(table, expected):
        if radius is None:
            yield Finding(Severity.NOTE, text)
            continue
        close = _closer(values, groups, radius)
        if len(close):
            row, other = close[0] + 1
            found = f"{len(close)} points {text} another, as rows {row} and {other}"
            yield Finding(Severity.WARNING, found)


def _radii(table: Table, expected: Expected) -> Iterator[tuple[float | None, str]]:
    """How near, in the file's unit, is too near, and what to say of it."""
    yield _SAME_PLACE, "are in one place with"
    if expected.distance is not None:
        unit = unit_of(table, expected)
        if unit is None:
            yield None, f"distances are not checked: {Remedy.VOXEL_SIZE.said()}"
        else:
            yield expected.distance / unit, f"are closer than {expected.distance:g} Å to"


def _closer(values: np.ndarray, groups: np.ndarray, radius: float) -> np.ndarray:
    """(m, 2) indices of each point that another of its group is that near to, and of that one."""
    found = [np.empty((0, 2), np.int64)]
    for group in dict.fromkeys(groups.tolist()):
        rows = np.flatnonzero(groups == group)
        distances, nearest = cKDTree(values[rows]).query(values[rows], k=2)
        here = np.arange(len(rows))
        near = distances[:, 1] < radius
        other = np.where(nearest[:, 1] == here, nearest[:, 0], nearest[:, 1])  # in one place
        found.append(np.stack([rows[near], rows[other[near]]], axis=1))
    together = np.concatenate(found)
    return together[np.argsort(together[:, 0])]
