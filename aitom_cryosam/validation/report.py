"""Validation: what is wrong with a file of points, and what each program would do with it.

A unit is never guessed: what looks like another one is a warning, never an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.names import relion_name
from aitom_cryosam.points.formats.columns import is_number
from aitom_cryosam.points.formats.registry import FORMATS, reader
from aitom_cryosam.points.star_syntax import Block, scan
from aitom_cryosam.points.table import CENTRED, NAMES, PIXELS, Table, Unit, text_of
from aitom_cryosam.points.tilt_series import read_tomograms_star
from aitom_cryosam.settling import settle
from aitom_cryosam.validation.finding import Expected, Finding, Severity
from aitom_cryosam.validation.point_checks import (
    error_of,
    of_blocks,
    of_names,
    of_pairs,
    of_places,
    of_unit,
    pixel_size_of,
    unit_of,
)
from aitom_cryosam.validation.programs import (
    LISTED,
    Outcome,
    StarPoints,
    of_format,
    of_star,
    of_stopgap,
)
from aitom_cryosam.wording import plural

_SET = ("rlnTomoParticlesFile", "rlnTomoTomogramsFile")
_BINARY = (".pickle", ".pkl", ".em")
_PROJECT = ("rlnTomoName", "rlnTomoTiltSeriesPixelSize")


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
    verdicts: tuple[Outcome, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether there is no error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def check(path: str | Path, expected: Expected | None = None) -> Report:
    """Read a file as every program would.

    Args:
        path: any format of `formats.FORMATS`, a list for RELION's Import Coordinates, an
            optimisation set or `tomograms.star`.
        expected: what it is checked against.

    Returns:
        A report, also of a file that cannot be read at all.
    """
    return _check(Path(path), expected or Expected(), follow=True)


def _check(path: Path, expected: Expected, *, follow: bool) -> Report:
    """A report; of files that name others only to `follow` them, which ends any circle."""
    trouble = _no_points(path)
    if trouble:
        return Report(path, findings=(Finding(Severity.ERROR, trouble),))
    blocks: list[Block] = []
    findings: list[Finding] = []
    content = path.read_bytes()
    if path.suffix.lower() in (".star", ".cbox") or re.search(rb"^data_", content, re.M):
        text = content.decode("utf-8", "replace")
        blocks, problems = scan(text)
        findings += [Finding(Severity.ERROR, problem.text) for problem in problems]
        if "\r\n" in text:
            findings.append(Finding(Severity.WARNING, "has CRLF line ends; programs expect LF"))
    report = _project(path, blocks, expected, follow=follow) or _points(path, blocks, expected)
    order = list(Severity)
    every = dict.fromkeys([*findings, *report.findings])  # the scanner and the reader agree
    findings = sorted(every, key=lambda one: order.index(one.severity))
    return Report(path, report.content, tuple(findings), report.verdicts)


def _no_points(path: Path) -> str:
    """Why a file cannot be one of points, if that shows at once."""
    try:
        settle(path.parent)
    except InputError as error:
        return error.problem
    if os.path.isdir(path):
        return "is a folder; name the files in it"
    if not os.path.exists(path):  # False also where no system could have such a name
        return "does not exist"
    if not os.path.isfile(path):
        return "is a pipe or a device; expected a file: save it first"
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not head.strip():
        return "is empty"
    if head[208:212] == b"MAP ":
        return "is an MRC volume; expected a file of points"
    if b"\0" in head and head[:5] != b"IMODV" and path.suffix.lower() not in _BINARY:
        return "is binary; expected a text file of points, an IMOD model or a motive list (.em)"
    return ""


# Files of points


def _points(path: Path, blocks: list[Block], expected: Expected) -> Report:
    try:
        table = reader(path, expected.format)(path)
        values = table.points_xyz(path)
    except (InputError, UnicodeDecodeError) as error:
        verdicts = of_star(StarPoints(blocks)) if _has_points(blocks) else ()
        return Report(path, "", (error_of(error, path),), verdicts)
    names = list(table.names or ())
    findings = [
        *(of_blocks(blocks, table) if blocks else ()),
        *of_names(table, names, expected.tomograms),
        *of_unit(table, values),
        *of_places(path, table, values, expected),
        *of_pairs(table, values, names, expected),
    ]
    if not len(values):
        findings.append(Finding(Severity.WARNING, "holds no points"))
    if _has_points(blocks):
        pixel_size = pixel_size_of(table, expected) or _series_pixel(blocks)
        unit = unit_of(table, expected) if table.unit in (Unit.VOXEL, Unit.PIXEL) else None
        verdicts = of_star(StarPoints(blocks, unit, pixel_size))
    elif (name := expected.format or _format(path)) == "stopgap":
        verdicts = of_stopgap(text_of(path), len(values))
    else:
        verdicts = of_format(name, len(values))
    tomograms = sorted(set(map(relion_name, names)))
    of = f" of {tomograms[0]}" if len(tomograms) == 1 else ""
    of = f" of {len(tomograms)} tomograms" if len(tomograms) > 1 else of
    content = f"{plural(len(values), 'point')}{of} in {_meaning(table, expected)}"
    return Report(path, content, tuple(findings), verdicts)


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


def _meaning(table: Table, expected: Expected) -> str:
    if table.unit not in (Unit.VOXEL, Unit.PIXEL):
        return table.unit.value
    if expected.coords_angpix:
        return f"pixels of {expected.coords_angpix:g} Å"
    if table.unit is Unit.VOXEL:
        return f"voxels of {table.voxel_size:g} Å" if table.voxel_size else "voxels"
    return "pixels of the tilt series"


def _series_pixel(blocks: list[Block]) -> float | None:
    """Å, of the tilt series, as a block states it."""
    values = [block.column(_PROJECT[1]) for block in blocks if _PROJECT[1] in block.labels]
    try:
        return float(values[0][0])
    except (IndexError, ValueError):
        return None


# Files that name others


def _project(path: Path, blocks: list[Block], expected: Expected, *, follow: bool) -> Report | None:
    """A report of a list, an optimisation set or a tomograms.star; None if it is none."""
    for block in blocks:
        if follow and block.has(LISTED):
            return _of_list(path, blocks, block, expected)
        if follow and block.has(_SET):
            return _of_set(path, block, expected)
        if block.has(_PROJECT) and not _has_points(blocks) and block.rows:
            return _of_tomograms(path)
    return None


def _of_list(path: Path, blocks: list[Block], block: Block, expected: Expected) -> Report:
    findings: list[Finding] = []
    for name, written in zip(*(block.column(label) for label in LISTED), strict=False):
        part, report = _named(path, written, expected)
        findings += [Finding(one.severity, f"{written}: {one.text}") for one in report.findings]
        if not report.valid or part.suffix.lower() != ".star":
            continue
        inside = next(
            (
                b.column(NAMES[0])
                for b in scan(part.read_text(errors="replace"))[0]
                if NAMES[0] in b.labels
            ),
            [],
        )
        if inside and inside[0] != name:
            text = f"{written}: is listed as '{name}' but is of '{inside[0]}'"
            findings.append(Finding(Severity.ERROR, text))
    content = f"a list for RELION's Import Coordinates, of {len(block.rows)} in all"
    return Report(path, content, tuple(findings), of_star(StarPoints(blocks))[1:2])


def _of_set(path: Path, block: Block, expected: Expected) -> Report:
    findings: list[Finding] = []
    particles, tomograms = ((block.column(label) or [""])[0] for label in _SET)
    project, report = _named(path, tomograms, expected)
    findings += [Finding(one.severity, f"{tomograms}: {one.text}") for one in report.findings]
    if report.valid:
        expected = replace(expected, tomograms=read_tomograms_star(project))
    _, report = _named(path, particles, expected)
    shown = particles or '""'
    findings += [Finding(one.severity, f"{shown}: {one.text}") for one in report.findings]
    return Report(path, "an optimisation set of RELION", tuple(findings), report.verdicts[:1])


def _named(path: Path, written: str, expected: Expected) -> tuple[Path, Report]:
    """A file that another one names, relative to the project: any folder above it, or this one."""
    if not written.strip("\"'"):
        return path, Report(path, findings=(Finding(Severity.ERROR, "a file has no name"),))
    places = [Path(written), *(folder / written for folder in path.absolute().parents)]
    found = next((place for place in places if os.path.isfile(place)), places[0])
    return found, _check(found, expected, follow=False)


def _of_tomograms(path: Path) -> Report:
    try:
        project = read_tomograms_star(path)
    except InputError as error:
        return Report(path, findings=(error_of(error, path),))
    findings = []
    names = [str(one.name) for one in project.series]
    for name in sorted({name for name in names if names.count(name) > 1})[:3]:
        findings.append(Finding(Severity.ERROR, f"has two tilt series '{name}'"))
    if any(one.size_xyz is None for one in project.series):
        text = "has no rlnTomoSizeX, Y, Z: Å from the centre cannot be placed by it"
        findings.append(Finding(Severity.WARNING, text))
    return Report(path, f"{len(names)} tilt series of a RELION project", tuple(findings))
