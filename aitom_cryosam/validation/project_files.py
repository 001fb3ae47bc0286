"""Files of a RELION project that name others: lists, optimisation sets, tomograms.star."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.star_syntax import Block, scan
from aitom_cryosam.points.star_units import SERIES
from aitom_cryosam.points.table import NAMES
from aitom_cryosam.points.tilt_series import read_tomograms_star
from aitom_cryosam.validation.finding import Expected, Finding, Severity
from aitom_cryosam.validation.point_checks import error_of
from aitom_cryosam.validation.point_files import has_points
from aitom_cryosam.validation.programs import LISTED, StarPoints, of_star
from aitom_cryosam.validation.report import Report

Check = Callable[[Path, Expected], Report]
"""What makes a report of a file that another one names."""
_SET = ("rlnTomoParticlesFile", "rlnTomoTomogramsFile")
_PROJECT = (NAMES[0], SERIES)


def of_project(
    path: Path, blocks: list[Block], expected: Expected, follow: Check | None
) -> Report | None:
    """A report of a list, an optimisation set or a tomograms.star; None if it is none.

    Args:
        path: of the file.
        blocks: its own.
        expected: what it is checked against.
        follow: checks the files that it names; None for not at all.
    """
    for block in blocks:
        if follow and block.has(LISTED):
            return _of_list(path, blocks, block, expected, follow)
        if follow and block.has(_SET):
            return _of_set(path, block, expected, follow)
        if block.has(_PROJECT) and not has_points(blocks) and block.rows:
            return _of_tomograms(path)
    return None


def _of_list(
    path: Path, blocks: list[Block], block: Block, expected: Expected, follow: Check
) -> Report:
    findings: list[Finding] = []
    first: tuple[str, set[str]] | None = None
    for name, written in zip(*(block.column(label) for label in LISTED), strict=False):
        part, report = _named(path, written, expected, follow)
        findings += [Finding(one.severity, f"{written}: {one.text}") for one in report.findings]
        if not report.valid or part.suffix.lower() != ".star":
            continue
        inside = next((b for b in scan(part.read_text(errors="replace"))[0] if b.labels), None)
        if inside is None:
            continue
        first = first or (written, set(inside.labels))
        findings += [
            Finding(Severity.ERROR, f"{written}: {text}") for text in _apart(inside, name, *first)
        ]
    content = f"a list for RELION's Import Coordinates, of {len(block.rows)} in all"
    return Report(path, content, tuple(findings), of_star(StarPoints(blocks))[1:2])


def _apart(inside: Block, name: str, first: str, labels: set[str]) -> Iterator[str]:
    """What RELION 5 stumbles over in a file of a list, beside the labels of the first one."""
    names = inside.column(NAMES[0]) if NAMES[0] in inside.labels else None
    if names and names[0] != name:
        yield f"is listed as '{name}' but is of '{names[0]}'"
    if names == []:
        yield "has no rows, on which RELION 5 fails; take it off the list"
    if differing := sorted(labels ^ set(inside.labels)):
        yield f"has not the same columns as {first}, as RELION 5 expects ({differing[0]})"


def _of_set(path: Path, block: Block, expected: Expected, follow: Check) -> Report:
    findings: list[Finding] = []
    particles, tomograms = ((block.column(label) or [""])[0] for label in _SET)
    project, report = _named(path, tomograms, expected, follow)
    findings += [Finding(one.severity, f"{tomograms}: {one.text}") for one in report.findings]
    if report.valid:
        expected = replace(expected, tomograms=read_tomograms_star(project))
    _, report = _named(path, particles, expected, follow)
    shown = particles or '""'
    findings += [Finding(one.severity, f"{shown}: {one.text}") for one in report.findings]
    return Report(path, "an optimisation set of RELION", tuple(findings), report.verdicts[:1])


def _named(path: Path, written: str, expected: Expected, follow: Check) -> tuple[Path, Report]:
    """A file that another one names, relative to the project: any folder above it, or this one."""
    if not written.strip("\"'"):
        return path, Report(path, findings=(Finding(Severity.ERROR, "a file has no name"),))
    places = [Path(written), *(folder / written for folder in path.absolute().parents)]
    found = next((place for place in places if os.path.isfile(place)), places[0])
    return found, follow(found, expected)


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
