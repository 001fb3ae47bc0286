"""Checking: what is wrong with a file of points, and what each program would do with it.

A unit is never guessed: what looks like another one is a warning, never an error.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.file_kinds import FileKind
from aitom_cryosam.points.star_syntax import Block, begins_block, scan
from aitom_cryosam.tidying import settle
from aitom_cryosam.validation.finding import Expected, Finding, Severity
from aitom_cryosam.validation.point_files import of_points
from aitom_cryosam.validation.project_files import of_project
from aitom_cryosam.validation.report import Report

_BINARY = (".pickle", ".pkl", ".em")


def check(path: str | Path, expected: Expected | None = None) -> Report:
    """Read a file as every program would.

    Args:
        path: any format of `registry.FORMATS`, a list for RELION's Import Coordinates, an
            optimisation set or `tomograms.star`.
        expected: what it is checked against.

    Returns:
        A report, also of a file that cannot be read at all.
    """
    return _check(Path(path), expected or Expected(), follow=True)


def _check(path: Path, expected: Expected, *, follow: bool) -> Report:
    """A report; of files that name others only to `follow` them, which ends any circle."""
    following = partial(_check, follow=False) if follow else None
    trouble = _no_points(path)
    if trouble:
        return Report(path, findings=(Finding(Severity.ERROR, trouble),))
    blocks: list[Block] = []
    findings: list[Finding] = []
    content = path.read_bytes()
    if path.suffix.lower() in (".star", ".cbox") or begins_block(content):
        text = content.decode("utf-8", "replace")
        blocks, problems = scan(text)
        findings += [Finding(Severity.ERROR, problem.text) for problem in problems]
        if "\r\n" in text:
            findings.append(Finding(Severity.WARNING, "has CRLF line ends; programs expect LF"))
    report = of_project(path, blocks, expected, following) or of_points(path, blocks, expected)
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
    if (
        b"\0" in head
        and FileKind.of(head) is not FileKind.IMOD_MODEL
        and path.suffix.lower() not in _BINARY
    ):
        return "is binary; expected a text file of points, an IMOD model or a motive list (.em)"
    return ""
