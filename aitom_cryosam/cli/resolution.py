"""`evaluate --resolution`: what the picks average to, beside what the true positions do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aitom_cryosam.cli import averaging, options
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.averaging.sources import Source
    from aitom_cryosam.evaluation.pairing import Searched


class Resolutions(NamedTuple):
    """Å, at FSC 0.143 of the halves; inf where they have nothing in common."""

    picks: float
    truth: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """Whether to average, and the tilt range."""
    parser.add_argument(
        "--resolution",
        action="store_true",
        help="also average the picks, and the true positions, of folders that `pick` wrote; "
        "takes minutes",
    )
    averaging.add_wedge(parser, of="--resolution")


def resolutions(args: argparse.Namespace, searched: Sequence[Searched]) -> Resolutions | None:
    """Of both averages, which begin with the same clicks and have the same mask; None if not asked.

    Raises:
        InputError: PICKS are no results of `pick`, or too few for an average.
    """
    if not getattr(args, "resolution", False):  # a project has no such option
        return None
    known = {one.files["picks"].resolve(): one for one in options.records_of(args.picks)}
    found, true, diameters = [], [], []
    for one in searched:
        record = known.get(Path(one.picks.path).resolve())
        if record is None:
            raise InputError(
                f"{one.picks.path} is no result of `pick`; expected its folder, as --resolution "
                "needs the tomogram."
            )
        source = replace(averaging.source_of(args, record), masks=())
        found.append(source)
        true.append(replace(source, picks=one.truth.picks))
        diameters.append(record.diameter_angstrom)
    diameter = sum(diameters) / len(diameters)
    return Resolutions(_resolution(args, found, diameter), _resolution(args, true, diameter))


def _resolution(args: argparse.Namespace, sources: Sequence[Source], diameter: float) -> float:
    from aitom_cryosam.averaging.averaging import Averaging
    from aitom_cryosam.averaging.sources import box_of, particles_of
    from aitom_cryosam.cli.progress import ShownProgress

    settings = averaging.usual_settings(diameter)
    _, voxel_size = box_of(sources, diameter)
    with ShownProgress(quiet=args.quiet) as progress:
        work = Averaging(particles_of(sources, diameter), voxel_size, settings, progress=progress)
        return work.run().resolution
