"""`cryosam select`: other picks from a run's proposals, without a new run."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import options
from aitom_cryosam.cli.arguments import add_count, add_number
from aitom_cryosam.cli.tilt_series_options import add_tilt_series, tilt_series_of_record
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.record import Record

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam select`."""
    options.add_results(parser)
    add_number(parser, "--cut", "SCORE", "keep proposals that score at least this much")
    add_number(
        parser,
        "--fdr",
        "SHARE",
        "keep as many as an expected share of false picks allows, such as 0.1",
    )
    add_count(parser, "--top", "keep at most the N best")
    parser.add_argument(
        "--reject-ids",
        type=Path,
        metavar="FILE",
        help="numbers of instances (cryosamInstanceId) to leave out, one a line",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FILE",
        help="picks curated in any program; only those in FILE are kept",
    )
    options.add_regions(parser)
    options.add_flavours(parser)
    add_tilt_series(parser)


def run(args: argparse.Namespace) -> int:
    """Select, write new results, print how many picks there are now.

    Raises:
        InputError: a file or option cannot be used; then nothing is written for that tomogram
            and those after it.
    """
    from aitom_cryosam.selection import Selection, write_selection

    records = options.records_of(args.results)
    selection = Selection(
        cut=args.cut,
        fdr=args.fdr,
        top=args.top,
        regions=options.regions(args),
        reject_ids=_numbers(args.reject_ids) if args.reject_ids else frozenset(),
        keep=args.keep,
    )
    series = [tilt_series_of_record(args, record) for record in records]
    # Before the first is written.
    chosen = [selection.of(*pair) for pair in zip(records, series, strict=True)]
    for record, proposals, tilt_series in zip(records, chosen, series, strict=True):
        new = write_selection(
            record,
            selection,
            proposals,
            args.out,
            star=args.star,
            tilt_series=tilt_series,
            overwrite=args.overwrite,
        )
        _tell(record, new, quiet=args.quiet)
    return 0


def _tell(record: Record, new: Record, *, quiet: bool) -> None:
    before, after = len(record.picks), len(new.picks)
    if not quiet:
        print(f"{record.info.name}: {after} picks, {before} before; {new.files['picks']}")
    if after == 0:
        scores, why = record.proposals.scores, "the run has no proposals"
        if len(scores):
            counts = new.proposals.left_out.most_common()
            left_out = ", ".join(f"{count} {reason}" for reason, count in counts)
            best = f"the best of {len(scores)} proposals has a score of {scores.max():.3f}"
            why = f"{best}; left out: {left_out}"
        logger.warning("%s: nothing is selected; %s.", record.info.name, why)
    missing = len(set(new.picks.ids.tolist()) - set(record.picks.ids.tolist()))
    if missing and not quiet:
        logger.info("%d of them were no picks of the run and have no mask.", missing)


def _numbers(path: Path) -> frozenset[int]:
    """Whole numbers of a text file, apart by white space or commas.

    Raises:
        InputError: there is no such file, or it holds anything else.
    """
    from aitom_cryosam.points.table import text_of

    words = text_of(path).replace(",", " ").split()
    try:
        return frozenset(map(int, words))
    except ValueError:
        raise InputError(f"Expected whole numbers in {path}, one a line.") from None
