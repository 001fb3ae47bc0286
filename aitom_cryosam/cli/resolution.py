"""`evaluate --resolution`: what the picks average to, beside what the true positions do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aitom_cryosam.cli import averaging_options, options
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.averaging.sources import Source
    from aitom_cryosam.evaluation.angles import AngularErrors
    from aitom_cryosam.evaluation.pairing import Searched
    from aitom_cryosam.picks import Picks


_OF_AVERAGES = ("reference", "reference_voxel_size", "tilt_range", "tilts", "tilt_axis")


class Averages(NamedTuple):
    """Of picks and of true positions: Å at FSC 0.143 of the halves, inf where they are unlike.

    The angular errors are of the picks' rotations, their own or else those in their average,
    against those of the true positions, likewise.
    """

    picks: float
    truth: float
    angles: AngularErrors | None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Whether to average, and the tilt range."""
    parser.add_argument(
        "--resolution",
        action="store_true",
        help="also average the picks, and the true positions, of folders that `pick` wrote, and "
        "compare how both are turned; takes minutes",
    )
    averaging_options.add_reference(
        parser, help="with --resolution: the average of the true positions begins with this map"
    )
    averaging_options.add_wedge(parser, of="--resolution")


def averages(args: argparse.Namespace, searched: Sequence[Searched]) -> Averages | None:
    """Of picks and truth, under the same mask; None if not asked for.

    Both begin with the clicks, the truth's with a map if there is one.

    Raises:
        InputError: PICKS are no results of `pick`, or too few for an average; or it is not asked
            for, but what it takes is given.
    """
    from aitom_cryosam.averaging.symmetry import Symmetry
    from aitom_cryosam.evaluation import evaluate
    from aitom_cryosam.evaluation.angles import angular_errors

    if not getattr(args, "resolution", False):  # a project has no such option
        sentence = "{} is for an average; add --resolution, or leave it out."
        options.refuse(args, _OF_AVERAGES, sentence)
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
        source = replace(averaging_options.source_of(args, record), masks=())
        found.append(source)
        true.append(replace(source, picks=one.truth.picks))
        diameters.append(record.diameter_angstrom)
    diameter = sum(diameters) / len(diameters)
    of_picks, picks = _averaged(args, found, diameter, first=False)
    of_truth, truth = _averaged(args, true, diameter, first=True)
    paired = partial(evaluate, radius=args.radius, empty_truth=True)
    pairs = [
        (mine, theirs, paired(mine, theirs, voxel_size=one.voxel_size))
        for mine, theirs, one in zip(picks, truth, searched, strict=True)
    ]
    return Averages(of_picks, of_truth, angular_errors(pairs, Symmetry(args.symmetry)))


def _averaged(
    args: argparse.Namespace, sources: Sequence[Source], diameter: float, first: bool
) -> tuple[float, list[Picks]]:
    """Å that halves agree to, and picks with rotations: their own, or else those in the average.

    Args:
        args: of the command.
        sources: of each tomogram.
        diameter: Å.
        first: whether to begin with the map that was given.
    """
    from aitom_cryosam.averaging.averaging import Averaging
    from aitom_cryosam.averaging.settings import AveragingSettings
    from aitom_cryosam.averaging.sources import box_of, oriented, particles_of
    from aitom_cryosam.cli.progress import ShownProgress

    settings = AveragingSettings(diameter=diameter)
    box, voxel_size = box_of(sources, diameter)
    reference = averaging_options.reference_of(args, box.size, voxel_size) if first else None
    particles = particles_of(sources, diameter)
    with ShownProgress(quiet=args.quiet) as progress:
        average = Averaging(particles, voxel_size, settings, progress=progress).run(reference)
    turned = [one.take(one.kept) for one in oriented(sources, average, particles, diameter)]
    own = [one.picks for one in sources]
    every = all(one.rotations is not None for one in own)
    return average.resolution, own if every else turned
