"""`pick --exclude-target`: membranes or filaments are followed first, and picks keep away."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import machine_options
from aitom_cryosam.cli.arguments import add_repeatable
from aitom_cryosam.errors import InputError
from aitom_cryosam.outputs import refuse_existing
from aitom_cryosam.targets import STRUCTURES, structure

if TYPE_CHECKING:
    from aitom_cryosam.job import Job
    from aitom_cryosam.progress import Progress

logger = logging.getLogger(__name__)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which structure, and the clicks on it."""
    group = parser.add_argument_group("structures that picks keep away from, in the same run")
    group.add_argument(
        "--exclude-target",
        choices=tuple(STRUCTURES),
        help="follow these from --exclude-prompt first, into a folder of that name in DIR, and "
        "exclude what is found as --exclude does",
    )
    add_repeatable(
        group, "--exclude-prompt", "X,Y,Z", "a click on one of them, in voxels from 0; repeatable"
    )


def structure_job(args: argparse.Namespace) -> Job | None:
    """The job that finds what picks keep away from; None if not asked for.

    Its mask is added to what `--exclude` was given.

    Raises:
        InputError: the options do not go together, or the mask exists.
    """
    from aitom_cryosam.job import Job
    from aitom_cryosam.points.prompts import parse_prompt

    wanted, clicks = args.exclude_target, args.exclude_prompt
    if wanted is None and not clicks:
        return None
    if wanted is None or not clicks:
        raise InputError("--exclude-target and --exclude-prompt belong together; give both.")
    if args.target != "particle":
        raise InputError("--exclude-target is for particles; leave it or --target out.")
    job = Job(
        tomogram=args.tomogram,
        prompts=tuple(map(parse_prompt, clicks)),
        target=structure(wanted),
        out=Path(args.out) / wanted,
        voxel_size=args.voxel_size,
        contrast=args.contrast,
        resources=machine_options.resources(args),
        overwrite=args.overwrite,
    )
    refuse_existing(job.files.values(), overwrite=args.overwrite)
    args.exclude = [*args.exclude, str(job.files["semantic"])]
    return job


def found(job: Job, asked: Job, *, progress: Progress) -> Job:
    """Follow the structures; the job of the particles, whose mask is then there."""
    from aitom_cryosam import job as jobs

    refuse_existing(asked.files.values(), overwrite=asked.overwrite)  # before the work
    record = jobs.run(job, progress=progress)
    if record.content["counts"]["structures"]:
        return asked
    assert job.target is not None
    logger.warning("No %s was found; none is excluded.", job.target.name)
    masks = tuple(path for path in asked.regions.exclude if path != job.files["semantic"])
    distance = asked.regions.exclude_distance if masks else 0.0
    return replace(asked, regions=replace(asked.regions, exclude=masks, exclude_distance=distance))
