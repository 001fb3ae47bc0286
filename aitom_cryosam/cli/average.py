"""`cryosam average`: the picks of one or many tomograms, aligned and averaged."""

from __future__ import annotations

import argparse
import logging
import math
import time
from typing import TYPE_CHECKING, Any

from aitom_cryosam.cli import averaging_options, options
from aitom_cryosam.cli.arguments import add_count
from aitom_cryosam.cli.tables import file_rows, labelled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aitom_cryosam.averaging.average import Average
    from aitom_cryosam.averaging.classes import Class
    from aitom_cryosam.averaging.sources import Source

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam average`."""
    averaging_options.add_results(parser)
    parser.add_argument(
        "--symmetry",
        default="C1",
        metavar="C1...I|auto",
        help="of the particle; auto looks for one in the average (default: C1)",
    )
    add_count(
        parser,
        "--classes",
        "2 to 4: sort the picks into classes; the average is of the best, and a class of "
        "noise is left out (default: 1)",
        default=1,
    )
    parser.add_argument(
        "--name", metavar="NAME", help="of the average's files (default: the tomogram's)"
    )


def run(args: argparse.Namespace) -> int:
    """Average, write all files, print what came out."""
    from aitom_cryosam.averaging.averaging import Averaging
    from aitom_cryosam.averaging.classes import check_classes, classified
    from aitom_cryosam.averaging.outcome import average_paths, write_average
    from aitom_cryosam.averaging.settings import AveragingSettings
    from aitom_cryosam.averaging.sources import (
        box_of,
        oriented,
        particles_of,
        warn_of_missing_masks,
        with_classes,
    )
    from aitom_cryosam.averaging.symmetry import Symmetry
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.outputs import check_output

    start = time.perf_counter()
    records = options.records_of(args.results)
    infos = averaging_options.infos_of(args, records)
    name = args.name or infos[0].name
    check_classes(args.classes, sum(len(one.picks) for one in records))
    paths = average_paths(args.out, name, infos, args.star, args.classes)
    check_output(args.out, paths.values(), overwrite=args.overwrite)
    diameter = averaging_options.diameter_of(args, records)
    settings = AveragingSettings(
        diameter=diameter,
        iterations=args.iterations,
        step=args.step,
        symmetry=None if args.symmetry == "auto" else Symmetry(args.symmetry),
        device=averaging_options.device_of(args),
    )
    sources = [averaging_options.source_of(args, record) for record in records]
    box, voxel_size = box_of(sources, diameter)
    first = averaging_options.reference_of(args, box.size, voxel_size)
    particles = particles_of(sources, diameter)
    warn_of_missing_masks(particles)
    with ShownProgress(quiet=args.quiet) as progress:
        work = Averaging(particles, voxel_size, settings, progress=progress)
        average = work.run(first)
        classes: list[Class] = []
        if args.classes > 1:
            classes = classified(work, average, args.classes, progress=progress)
        average = work.symmetric(classes[0].average if classes else average)
    paths = {kind: path for kind, path in paths.items() if kind not in _unused(args, classes)}
    picks = oriented(sources, average, particles, diameter)
    if classes:
        picks = with_classes(picks, classes)
    write_average(
        paths,
        average,
        picks,
        infos,
        _record(args, sources, diameter, box.bin, classes, time.perf_counter() - start),
        classes=classes,
        star=args.star,
        overwrite=args.overwrite,
    )
    if not args.quiet:
        print(_summary(average, sources, paths, time.perf_counter() - start))
    _warn(average)
    return 0


def _warn(average: Average) -> None:
    """Of what makes the resolution, or all of it, mean little."""
    if average.is_limited_by_voxels:
        logger.warning(
            "The half-maps agree up to the last shell, %s: the voxel size limits the resolution, "
            "or denoising put the same features into both. To find out, average the tomogram as "
            "it was reconstructed.",
            f"{average.resolution:.1f} Å",
        )
    elif not math.isfinite(average.resolution):
        logger.warning(
            "The two half-maps have nothing in common: the picks are too few, or of several "
            "kinds. Their orientations mean nothing."
        )


def _unused(args: argparse.Namespace, classes: Sequence[Class]) -> set[str]:
    """The files of classes that have no particles."""
    return {f"class{k}" for k in range(len(classes) + 1, args.classes + 1) if k > 1}


def _record(
    args: argparse.Namespace,
    sources: Sequence[Source],
    diameter: float,
    bin_: int,
    classes: Sequence[Class],
    seconds: float,
) -> dict[str, Any]:
    """What the run did, for its JSON file."""
    record = {
        "diameter_angstrom": round(diameter, 1),
        "binning": bin_,
        "reference": args.reference or "the clicks",
        "iterations": args.iterations,
        "first_step_degrees": args.step,
        "tomograms": [
            {
                "name": one.tomogram.name,
                "picks": len(one.picks),
                "tilts": {
                    "lowest": one.wedge.lowest,
                    "highest": one.wedge.highest,
                    "axis": one.wedge.axis,
                    "estimated": not (args.tilts or args.tilt_range),
                },
            }
            for one in sources
        ],
        "seconds": round(seconds, 1),
    }
    if classes:
        record["classes"] = [
            {
                "particles": one.average.count,
                "median_correlation": round(one.correlation, 4),
                "noise": one.noise,
            }
            for one in classes
        ]
    return record


def _summary(
    average: Average, sources: list[Source], paths: dict[str, Path], seconds: float
) -> str:
    rows = [
        ("averaged", f"{average.count} of {sum(len(one.picks) for one in sources)} picks"),
        ("box", f"{len(average.volume)} voxels of {average.voxel_size:g} Å"),
        *(("tilts" if not i else "", str(one.wedge)) for i, one in enumerate(sources)),
        ("halves", f"agree to {average.resolution_text} (FSC 0.143)"),
        ("symmetry", average.symmetry.name),
        ("seconds", f"{seconds:.0f}"),
        *file_rows(paths.values()),
    ]
    return labelled(rows)
