"""Validation: what is wrong with a file of points, and what each program would do with it.

A unit is never guessed: what looks like another one is a warning, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from aitom_cryosam.errors import InputError
from aitom_cryosam.io.formats import FORMATS, reader
from aitom_cryosam.io.frame import Frame, relion_name, tomogram_root
from aitom_cryosam.io.points import of_tomogram, read_points
from aitom_cryosam.io.star_blocks import Block, scan
from aitom_cryosam.io.table import (
    CENTRED,
    NAMES,
    ORIGINS,
    PIXEL_ORIGINS,
    PIXELS,
    SCORE,
    VOXEL_SIZE,
    Table,
    Unit,
    numbers,
)
from aitom_cryosam.io.text import is_number
from aitom_cryosam.io.tomograms_star import TomogramsStar, read_tomograms_star
from aitom_cryosam.programs import (
    ANGLES,
    LISTED,
    StarPoints,
    Verdict,
    is_tomostar,
    of_format,
    of_star,
)

_SET = ("rlnTomoParticlesFile", "rlnTomoTomogramsFile")
_PROJECT = ("rlnTomoName", "rlnTomoTiltSeriesPixelSize")
_SAME_PLACE = 1e-3  # of a unit of the file
_MANY = 10  # points from which on their spread says something
_SHOWN = 3


_ANYWHERE = Frame("")


class Severity(Enum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing, in one sentence without the file's name."""

    severity: Severity
    text: str


@dataclass(frozen=True)
class Report:
    """What there is to say of a file.

    Attributes:
        path: the file.
        content: what it holds, in a few words; empty if that cannot be told.
        findings: errors first.
        verdicts: what each program does with it.
    """

    path: Path
    content: str = ""
    findings: tuple[Finding, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether there is no error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


@dataclass(frozen=True)
class World:
    """What points are checked against, as far as it is known.

    Attributes:
        frame: the tomogram; its name is empty if the points may be of several.
        tomograms: the tilt series of the project.
        coords_angpix: Å, what the file's pixels count, if not voxels.
        distance: Å, closer points are told.
        format: a name in `formats.FORMATS`, where the file leaves it open.
    """

    frame: Frame = _ANYWHERE
    tomograms: TomogramsStar | None = None
    coords_angpix: float | None = None
    distance: float | None = None
    format: str | None = None


def check(path: str | Path, world: World | None = None) -> Report:
    """Read a file as every program would.

    Args:
        path: any format of `formats.FORMATS`, a list for RELION's Import Coordinates, an
            optimisation set or `tomograms.star`.
        world: what it is checked against.

    Returns:
        A report, also of a file that cannot be read at all.
    """
    path, world = Path(path), world or World()
    trouble = _no_points(path)
    if trouble:
        return Report(path, findings=(Finding(Severity.ERROR, trouble),))
    blocks: list[Block] = []
    findings: list[Finding] = []
    head = path.read_bytes()
    if path.suffix.lower() in (".star", ".cbox") or re.search(rb"^data_", head, re.M):
        text = head.decode("utf-8", "replace")
        blocks, problems = scan(text)
        findings += [Finding(Severity.ERROR, problem) for problem in problems]
        if "\r\n" in text:
            findings.append(Finding(Severity.WARNING, "has CRLF line ends; programs expect LF"))
    project = _project(path, blocks, world)
    report = project or _points(path, blocks, world)
    order = list(Severity)
    findings = sorted([*findings, *report.findings], key=lambda one: order.index(one.severity))
    return Report(path, report.content, tuple(findings), report.verdicts)


def _no_points(path: Path) -> str:
    """Why a file cannot be one of points, if that shows at once."""
    if path.is_dir():
        return "is a folder; name the files in it"
    if not path.is_file():
        return "does not exist"
    head = path.read_bytes()[:4096]
    if not head.strip():
        return "is empty"
    if head[208:212] == b"MAP ":
        return "is an MRC volume, no file of points; --tomo takes it"
    if b"\0" in head and head[:5] != b"IMODV" and path.suffix.lower() not in (".pickle", ".pkl"):
        return "is binary; expected a text file of points, or an IMOD model"
    return ""


# Files of points


def _points(path: Path, blocks: list[Block], world: World) -> Report:
    try:
        table = reader(path, world.format)(path)
        values = numbers(table.rows, table.columns, path)
    except (InputError, UnicodeDecodeError) as error:
        star = StarPoints(blocks)
        return Report(
            path, "", (_error(error, path),), of_star(star) if _has_points(blocks) else ()
        )
    names = _names(table)
    findings = [
        *(_of_blocks(blocks, table) if blocks else ()),
        *_of_names(table, names, world.tomograms),
        *_of_unit(table, values),
        *_of_places(path, table, values, world),
        *_of_pairs(table, values, names, world),
    ]
    if not len(values):
        findings.append(Finding(Severity.WARNING, "holds no points"))
    name = world.format or _format(path)
    verdicts = (
        of_star(
            StarPoints(
                blocks, _unit(table, world), _pixel_size(table, world) or _series_pixel(blocks)
            )
        )
        if _has_points(blocks)
        else of_format(name, len(values))
    )
    tomograms = sorted(set(map(relion_name, names)))
    of = f" of {tomograms[0]}" if len(tomograms) == 1 else ""
    of = f" of {len(tomograms)} tomograms" if len(tomograms) > 1 else of
    plural = "" if len(values) == 1 else "s"
    content = f"{len(values)} point{plural}{of} in {_meaning(table, world)}"
    return Report(path, content, tuple(findings), verdicts)


def _error(error: Exception, path: Path) -> Finding:
    text = str(error).removeprefix(str(path)).lstrip(":, ").rstrip(".")
    return Finding(Severity.ERROR, text)


def _has_points(blocks: Iterable[Block]) -> bool:
    """Whether RELION's coordinates are in it, in z or not."""
    return any({PIXELS[0], CENTRED[0]} & set(block.labels) for block in blocks)


def _format(path: Path) -> str:
    """The format that the file itself shows; none if only we know it, as csv."""
    if path.suffix.lower() in (".pickle", ".pkl"):
        return "aitom"
    found = reader(path)
    name = next((name for name, kind in FORMATS.items() if kind.read is found), "")
    if name == "coords":
        first = next(line for line in path.read_text().splitlines() if line.strip())
        return name if all(map(is_number, first.split())) else ""
    return name


def _names(table: Table) -> list[str]:
    """The tomogram of every point; none if the file does not say."""
    label = next((label for label in NAMES if label in table.rows), None)
    return list(map(str, table.rows[label])) if label else []


def _meaning(table: Table, world: World) -> str:
    if table.unit not in (Unit.VOXEL, Unit.PIXEL):
        return table.unit.value
    if world.coords_angpix:
        return f"pixels of {world.coords_angpix:g} Å"
    if table.unit is Unit.VOXEL:
        return f"voxels of {table.voxel_size:g} Å" if table.voxel_size else "voxels"
    return "pixels of the tilt series"


def _unit(table: Table, world: World) -> float | None:
    """Å that one unit of the file counts, or None."""
    if table.unit in (Unit.ANGSTROM, Unit.CENTRED_ANGSTROM):
        return 1.0
    if table.unit is Unit.VOXEL:
        project = world.tomograms and world.tomograms.voxel_size
        return world.coords_angpix or table.voxel_size or world.frame.voxel_size or project
    return world.coords_angpix or table.pixel_size or _pixel_size(table, world)


def _pixel_size(table: Table, world: World) -> float | None:
    """Å, of the tilt series, where that is one number."""
    if world.frame.unbinned:
        return world.frame.unbinned.pixel_size
    sizes = {one.pixel_size for one in world.tomograms.series} if world.tomograms else set()
    return sizes.pop() if len(sizes) == 1 else table.pixel_size


def _series_pixel(blocks: list[Block]) -> float | None:
    """The same, as a STAR file itself states it."""
    values = [block.column(_PROJECT[1]) for block in blocks if _PROJECT[1] in block.labels]
    try:
        return float(values[0][0])
    except (IndexError, ValueError):
        return None


def _of_blocks(blocks: list[Block], table: Table) -> Iterator[Finding]:
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
    if VOXEL_SIZE in rows and rows[VOXEL_SIZE].nunique() > 1:
        sizes = " and ".join(f"{size:g}" for size in rows[VOXEL_SIZE].unique()[:_SHOWN])
        yield Finding(Severity.ERROR, f"mixes voxels of {sizes} Å; export them one by one")
    shifts = [label for label in (*ORIGINS, *PIXEL_ORIGINS) if label in rows]
    moved = int(rows[shifts].apply(pd.to_numeric, errors="coerce").any(axis=1).sum())
    if moved:
        text = f"{shifts[0]} and so on are not 0 in {moved} rows; they are subtracted"
        yield Finding(Severity.NOTE, text)
    if _names(table) and SCORE not in rows and not shifts:
        yield Finding(Severity.NOTE, f"has no scores ({SCORE}) to choose by")
    if any(map(is_tomostar, _names(table))) and not set(ANGLES) <= set(rows):
        yield Finding(Severity.WARNING, f"has no {ANGLES[0]}, Tilt, Psi: M does not take it")


def _of_names(table: Table, names: list[str], tomograms: TomogramsStar | None) -> Iterator[Finding]:
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
        listed = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
        return f"the tomogram '{name}' is not in tomograms.star ({listed})"
    return f"RELION does not know '{name}': tomograms.star has '{found}'" if exact else ""


def _of_unit(table: Table, values: np.ndarray) -> Iterator[Finding]:
    """What the values themselves speak against; nothing is concluded from it."""
    below = int((values < -0.5).any(axis=1).sum())
    if table.unit in (Unit.CENTRED_ANGSTROM, Unit.CENTRED_PIXEL):
        if len(values) >= _MANY and (values[:, :2] >= 0).all():
            yield Finding(
                Severity.WARNING,
                f"none of {len(values)} points lies left of or below the centre; do they count "
                "from the corner?",
            )
    elif below:
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


def _of_places(path: Path, table: Table, values: np.ndarray, world: World) -> Iterator[Finding]:
    """Points outside of their tomogram, or all in a corner of it."""
    frame, tomograms = world.frame, world.tomograms
    series = tomograms or frame.unbinned
    if not len(values) or (series is None and frame.shape_zyx is None):
        return
    if tomograms and any(_unknown(name, tomograms, exact=False) for name in set(_names(table))):
        return  # told already
    voxel_size = frame.voxel_size or table.voxel_size or (tomograms and tomograms.voxel_size)
    missing = ""
    if table.unit is Unit.CENTRED_ANGSTROM and series is None:
        missing = "Å from the centre need --tomograms-star FILE"
    elif table.unit is Unit.CENTRED_PIXEL and frame.shape_zyx is None:
        missing = "pixels from the centre need --tomo FILE"
    elif table.unit is Unit.VOXEL and not (voxel_size or frame.shape_zyx):
        missing = "add --voxel-size ANGSTROM"
    if missing:
        yield Finding(Severity.NOTE, f"bounds are not checked: {missing}")
        return
    # Without the tomogram's voxel size, pixels of the tilt series do as well.
    voxel_size = voxel_size or _pixel_size(table, world) or 1.0
    try:
        points = read_points(
            path,
            voxel_size=voxel_size,
            coords_angpix=world.coords_angpix,
            unbinned=frame.unbinned,
            tomograms=tomograms,
            shape_zyx=frame.shape_zyx,
            format=world.format,
        )
        points = of_tomogram(points, frame.name) if frame.name else points
    except InputError as error:
        yield _error(error, path)
        return
    rows = np.array(points.names or [frame.name] * len(points.picks))
    for name in dict.fromkeys(rows.tolist()):
        within = _shaped(name, frame, tomograms, voxel_size)
        if within is not None:
            yield from _against(points.picks.points_zyx[rows == name], name, within)


def _shaped(
    name: str, frame: Frame, tomograms: TomogramsStar | None, voxel_size: float
) -> Frame | None:
    """The tomogram of a name, with its shape; None if that is not known."""
    if frame.shape_zyx is not None:
        return frame
    try:
        series = tomograms.of(name) if tomograms else frame.unbinned
    except InputError:
        return None
    if series is None or series.size_xyz is None:
        return None
    # One voxel more: a tomogram may be rounded up.
    z, y, x = (
        int(np.ceil(size * series.pixel_size / voxel_size)) + 1 for size in series.size_xyz[::-1]
    )
    return Frame(name, voxel_size, (z, y, x))


def _against(points_zyx: np.ndarray, name: str, frame: Frame) -> Iterator[Finding]:
    outside = frame.outside(points_zyx)
    of = f" of {relion_name(name)}" if name else ""
    if len(outside):
        x, y, z = points_zyx[outside[0], ::-1]
        yield Finding(
            Severity.ERROR,
            f"{len(outside)} of {len(points_zyx)} points{of} lie outside, the first at voxel "
            f"{x:.6g},{y:.6g},{z:.6g} of {frame.bounds()}; is the pixel size another?",
        )
    reach = points_zyx.max(axis=0) / frame.known_shape("A bound")[::-1]
    if len(points_zyx) >= _MANY and reach.max() < 0.5:
        yield Finding(
            Severity.WARNING,
            f"all {len(points_zyx)} points{of} lie in the first {reach.max():.0%} of every axis; "
            "is the pixel size another?",
        )


def _of_pairs(
    table: Table, values: np.ndarray, names: list[str], world: World
) -> Iterator[Finding]:
    """Points in one place, and such as are closer than a distance."""
    groups = np.array(names or [""] * len(values))
    for radius, text in _radii(table, world):
        if radius is None:
            yield Finding(Severity.NOTE, text)
            continue
        close = _closer(values, groups, radius)
        if len(close):
            row, other = close[0] + 1
            found = f"{len(close)} points {text} another, as rows {row} and {other}"
            yield Finding(Severity.WARNING, found)


def _radii(table: Table, world: World) -> Iterator[tuple[float | None, str]]:
    """How near, in the file's unit, is too near, and what to say of it."""
    yield _SAME_PLACE, "are in one place with"
    if world.distance is not None:
        unit = _unit(table, world)
        if unit is None:
            yield None, "distances are not checked: add --voxel-size ANGSTROM"
        else:
            yield world.distance / unit, f"are closer than {world.distance:g} Å to"


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


# Files that name others


def _project(path: Path, blocks: list[Block], world: World) -> Report | None:
    """A report of a list, an optimisation set or a tomograms.star; None if it is none."""
    for block in blocks:
        if block.has(LISTED):
            return _of_list(path, blocks, block, world)
        if block.has(_SET):
            return _of_set(path, block, world)
        if block.has(_PROJECT) and not _has_points(blocks) and block.rows:
            return _of_tomograms(path)
    return None


def _of_list(path: Path, blocks: list[Block], block: Block, world: World) -> Report:
    findings: list[Finding] = []
    for name, written in zip(*(block.column(label) for label in LISTED), strict=True):
        part, report = _named(path, written, world)
        findings += [Finding(one.severity, f"{written}: {one.text}") for one in report.findings]
        if not report.valid or part.suffix.lower() != ".star":
            continue
        inside = next(
            (b.column(NAMES[0]) for b in scan(part.read_text())[0] if NAMES[0] in b.labels), []
        )
        if inside and inside[0] != name:
            text = f"{written}: is listed as '{name}' but is of '{inside[0]}'"
            findings.append(Finding(Severity.ERROR, text))
    content = f"a list for RELION's Import Coordinates, of {len(block.rows)} in all"
    return Report(path, content, tuple(findings), of_star(StarPoints(blocks))[1:2])


def _of_set(path: Path, block: Block, world: World) -> Report:
    findings: list[Finding] = []
    particles, tomograms = ((block.column(label) or [""])[0] for label in _SET)
    project, report = _named(path, tomograms, world)
    findings += [Finding(one.severity, f"{tomograms}: {one.text}") for one in report.findings]
    if report.valid:
        world = World(
            world.frame, read_tomograms_star(project), world.coords_angpix, world.distance
        )
    _, report = _named(path, particles, world)
    findings += [Finding(one.severity, f"{particles}: {one.text}") for one in report.findings]
    return Report(path, "an optimisation set of RELION", tuple(findings), report.verdicts[:1])


def _named(path: Path, written: str, world: World) -> tuple[Path, Report]:
    """A file that another one names, relative to the project: any folder above it, or this one."""
    if not written.strip("\"'"):
        return path, Report(path, findings=(Finding(Severity.ERROR, "a file has no name"),))
    places = [Path(written), *(folder / written for folder in path.absolute().parents)]
    found = next((place for place in places if place.is_file()), places[0])
    return found, check(found, world)


def _of_tomograms(path: Path) -> Report:
    try:
        project = read_tomograms_star(path)
    except InputError as error:
        return Report(path, findings=(_error(error, path),))
    findings = []
    names = [str(one.name) for one in project.series]
    for name in sorted({name for name in names if names.count(name) > 1})[:_SHOWN]:
        findings.append(Finding(Severity.ERROR, f"has two tilt series '{name}'"))
    if any(one.size_xyz is None for one in project.series):
        text = "has no rlnTomoSizeX, Y, Z: Å from the centre cannot be placed by it"
        findings.append(Finding(Severity.WARNING, text))
    return Report(path, f"{len(names)} tilt series of a RELION project", tuple(findings))
