"""`cryosam validate`: check files of points, and say what each program does with them."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitom_cryosam.cli.arguments import add_length
from aitom_cryosam.cli.tilt_series_options import tilt_series_of, tomograms_of
from aitom_cryosam.cli.tomogram_info_options import add_tomogram_info, size_of
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.validation import Report
    from aitom_cryosam.validation.finding import Expected


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam validate`."""
    parser.epilog = "Ends with 0 if no file has an error, else with 2."
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="points in any format, a list for Import Coordinates, or an optimisation set",
    )
    parser.add_argument(
        "--from", dest="source", metavar="FORMAT", help="of FILE, if it is not clear from the file"
    )
    add_length(parser, "--coords-angpix", "pixel size that FILE is written in")
    add_length(parser, "--distance", "report points that are closer than this")
    parser.add_argument(
        "--json", metavar="FILE", help="also write the reports as JSON; - is stdout"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --json FILE")
    add_tomogram_info(parser, "what FILE is checked against")


def run(args: argparse.Namespace) -> int:
    """Print a report for each file.

    Returns:
        0, or 2 if any file has an error.

    Raises:
        InputError: an option cannot be used.
    """
    from aitom_cryosam.files import write_text
    from aitom_cryosam.outputs import ready_to_write
    from aitom_cryosam.validation import check

    expected = _expected(args)
    if args.json and args.json != "-":
        ready_to_write([args.json], overwrite=args.overwrite)
    reports = [check(path, expected) for path in args.files]
    machine = json.dumps([_plain(report) for report in reports], indent=1, ensure_ascii=False)
    if args.json == "-":
        print(machine)
    else:
        print("\n".join(_text(report, quiet=args.quiet) for report in reports))
        if args.json:
            write_text(args.json, machine + "\n", overwrite=args.overwrite)
    return 0 if all(report.valid for report in reports) else 2


def _expected(args: argparse.Namespace) -> Expected:
    from aitom_cryosam.points.formats.registry import known_format
    from aitom_cryosam.points.tomogram_info import TomogramInfo
    from aitom_cryosam.validation.finding import Expected

    for name in ("voxel_size", "coords_angpix", "distance"):
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"Expected --{name.replace('_', '-')} above 0 Å, got {value:g}.")
    if args.source:
        known_format(args.source)
    tomograms = tomograms_of(args)
    tilt_series = tomograms.of(args.tomo) if tomograms and args.tomo else tilt_series_of(args)
    shape, voxel_size = size_of(args)
    place = Path(args.tomo) if args.tomo else None
    return Expected(
        TomogramInfo(args.tomo or "", voxel_size, shape, tilt_series, place),
        tomograms,
        args.coords_angpix,
        args.distance,
        args.source,
    )


def _text(report: Report, *, quiet: bool) -> str:
    from aitom_cryosam.validation.finding import Severity

    lines = [f"{report.path}: {report.content or 'no points'}"]
    lines += [
        f"  {finding.severity.value:8} {finding.text}"
        for finding in report.findings
        if not quiet or finding.severity is Severity.ERROR
    ]
    if not quiet:
        width = max((len(verdict.program) for verdict in report.verdicts), default=0)
        lines += [f"  {verdict.program:{width}}  {verdict.text}" for verdict in report.verdicts]
    return "\n".join(lines)


def _plain(report: Report) -> dict[str, Any]:
    return {
        "path": str(report.path),
        "content": report.content,
        "valid": report.valid,
        "findings": [
            {"severity": finding.severity.value, "text": finding.text}
            for finding in report.findings
        ],
        "programs": [vars(verdict) for verdict in report.verdicts],
    }
