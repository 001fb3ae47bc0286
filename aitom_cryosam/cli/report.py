"""`cryosam report`: what runs found, as pages that need nothing but a browser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import options
from aitom_cryosam.cli.arguments import add_length

if TYPE_CHECKING:
    from aitom_cryosam.record import Record
    from aitom_cryosam.report.page import KnownPositions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam report`."""
    parser.add_argument(
        "results", nargs="+", metavar="RESULT", help="folders that `pick` wrote, or their run.json"
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE.html",
        help="the page; for several tomograms an index of their pages, which are written beside it",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing pages")
    truth = parser.add_argument_group("known positions", "to see where a run is wrong")
    truth.add_argument(
        "--truth",
        metavar="FILE",
        help="known positions in any format of `export`, or a folder of such files",
    )
    add_length(truth, "--radius", "of the matching (default: the particle's)")
    truth.add_argument(
        "--class", dest="particle_class", metavar="NAME", help="only this class of the truth"
    )
    add_length(truth, "--truth-angpix", "pixel size of the truth")


def run(args: argparse.Namespace) -> int:
    """Write the pages, say where they are.

    Raises:
        InputError: a result cannot be used; pages written before stay.
    """
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.report.files import write_report

    out = Path(args.out)
    if args.truth is None:
        sentence = "{0} is for --truth FILE; add it, or leave {0} out."
        options.refuse(args, ("radius", "particle_class", "truth_angpix"), sentence)
    records = [record for result in args.results for record in _records(Path(result))]
    truths = [_truth(args, record) for record in records] if args.truth else None
    with ShownProgress(quiet=args.quiet) as progress:
        shown = progress if len(records) > 1 else None
        files = write_report(out, records, truths=truths, progress=shown, overwrite=args.overwrite)
    if not args.quiet:
        print(opening(files))
    return 0


def opening(files: Sequence[Path]) -> str:
    """What to open of the pages that were written."""
    pages = f", with {len(files) - 1} pages beside it" if len(files) > 1 else ""
    return f"open {files[0]}{pages}"


def _records(path: Path) -> Iterator[Record]:
    from aitom_cryosam.record import records_at

    for record in records_at(path):
        record.check()
        yield record


def _truth(args: argparse.Namespace, record: Record) -> KnownPositions:
    from aitom_cryosam.evaluation.pairing import of_class
    from aitom_cryosam.evaluation.truth import truth_file
    from aitom_cryosam.points.belonging import of_tomogram
    from aitom_cryosam.points.reading import read_points
    from aitom_cryosam.points.tomogram_info import warn_of_outside
    from aitom_cryosam.report.page import KnownPositions

    file = truth_file(args.truth, record.info.name, args.particle_class)
    everything = read_points(
        file,
        voxel_size=record.info.voxel_size,
        coords_angpix=args.truth_angpix,
        shape_zyx=record.info.shape_zyx,
        tomogram=record.info.path,
        noted_shift=record.info.noted_shift,
    )
    here = of_class(of_tomogram(everything, record.info.name), everything, args.particle_class)
    warn_of_outside(file, [(record.info, here.picks.points_zyx)])
    radius = record.diameter_angstrom / 2 if args.radius is None else args.radius
    return KnownPositions(here.picks, radius)
