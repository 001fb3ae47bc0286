"""`cryosam pick`: every copy of a particle, from one or more clicks."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import (
    averaging_options,
    excluding,
    machine_options,
    method_options,
    options,
    refine,
)
from aitom_cryosam.cli.argument_types import whole_number
from aitom_cryosam.cli.arguments import add_count
from aitom_cryosam.cli.pick_output import advice, summary
from aitom_cryosam.cli.tables import labelled
from aitom_cryosam.cli.tilt_series_options import add_tilt_series, tilt_series_of_tomogram
from aitom_cryosam.doors import Door
from aitom_cryosam.errors import InputError
from aitom_cryosam.names import RESULT
from aitom_cryosam.outputs import refuse_existing, refuse_existing_folder

if TYPE_CHECKING:
    from aitom_cryosam.job import Job

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam pick`."""
    options.add_tomogram(parser)
    options.add_prompts(parser)
    options.add_rejects(parser)
    parser.add_argument(
        "--query",
        type=Path,
        metavar="FILE",
        help="what particles clicked elsewhere look like, from `cryosam query` or a run's "
        "_query.npz; instead of clicks, or with them",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    options.add_volume(parser)
    options.add_flavours(parser)
    add_tilt_series(parser)
    parser.add_argument(
        "--picture", action="store_true", help="also draw two slices with the picks, as a PNG"
    )
    parser.add_argument(
        "--report", action="store_true", help="also write a page that shows all of it, as HTML"
    )
    add_count(
        parser,
        "--suggest",
        "also list and draw the N places whose yes or no (--prompt or --reject in another "
        "run) would help most",
        type=whole_number,
        default=0,
    )
    parser.add_argument(
        "--labels-zarr", action="store_true", help="also write the masks as OME-Zarr, for napari"
    )
    parser.add_argument(
        "--refine",
        action="store_true",
        help=f"also align and average the picks, and judge the proposals again with the average; "
        f"as `cryosam refine`, into DIR/{refine.FOLDER}",
    )
    refine.add_search(averaging_options.add_wedge(parser, of="--refine"))
    options.add_targets(parser)
    options.add_regions(parser)
    excluding.add_options(parser)
    method_options.add_method(parser)
    machine_options.add_resources(parser)


def run(args: argparse.Namespace) -> int:
    """Pick, write all files, print what came out and where it is."""
    from aitom_cryosam import job
    from aitom_cryosam.beside import note_beside
    from aitom_cryosam.cli.progress import ShownProgress

    start = time.perf_counter()
    structures = excluding.structure_job(args)
    wanted = _job(args)
    for option in ("report", "refine"):
        if wanted.target is not None and getattr(args, option):
            raise InputError(
                f"A {wanted.target.name} is no particle; leave --{option} out with --target."
            )
    page = Path(args.out) / f"{wanted.name}_report.html"
    if args.report:
        refuse_existing([page], overwrite=args.overwrite)
    masks = Path(args.out) / f"{wanted.name}_labels.zarr"
    if args.labels_zarr:
        from aitom_cryosam.volumes.zarr_store import package

        package()
        refuse_existing_folder(masks, overwrite=args.overwrite)
    _check_refine(args, wanted)
    with ShownProgress(quiet=args.quiet) as progress:
        if structures is not None:
            wanted = excluding.found(structures, wanted, progress=progress)
        record = job.run(wanted, progress=progress)
    beside: dict[str, Path] = {}
    if args.report:
        from aitom_cryosam.report.files import write_report

        write_report(page, [record], overwrite=args.overwrite)
        beside["report"] = page
    if args.labels_zarr:
        wanted.open_tomogram().write_labels(masks, record.labels(), overwrite=args.overwrite)
        beside["masks"] = masks
    note_beside(record, [*beside.values()])
    if not args.quiet:
        rows = summary(record, time.perf_counter() - start)
        print(labelled([*rows, *((what, str(path)) for what, path in beside.items())]))
    if said := advice(record):
        logger.warning(said)
    if args.refine:
        try:
            refine.after_pick(args, record)
        except InputError as error:  # the picks of the first look are there
            logger.warning("Not refined: %s", error.worded(Door.COMMAND_LINE))
    return 0


def _check_refine(args: argparse.Namespace, wanted: Job) -> None:
    """Before the work: what `--refine` could not write or read."""
    typed = averaging_options.typed_wedge(args)
    if args.refine:
        done = Path(args.out) / refine.FOLDER / (wanted.name + RESULT["run"])
        refuse_existing([done], overwrite=args.overwrite)
    elif typed is not None or args.tilt_axis is not None:
        raise InputError("The tilt range is used by --refine only; add it, or leave the range out.")
    elif args.search == "full":
        raise InputError("--search full is for --refine; add it, or leave the search out.")


def _job(args: argparse.Namespace) -> Job:
    """What was typed."""
    from aitom_cryosam.job import Job
    from aitom_cryosam.points.prompts import REJECTED, parse_prompt
    from aitom_cryosam.settings import Settings

    options.refuse_pixel_size_alone(args)
    resources = machine_options.resources(args)
    target, note = options.target(args), ""
    if target is None:
        settings, note = method_options.explained_settings(args, resources)
    else:  # a network is used only where it is wanted for
        typed = method_options.typed_settings(args)
        typed.pop("diameter_angstrom", None)  # the target has it
        settings = Settings(preset="embedded" if args.preset == "auto" else args.preset, **typed)
        machine_options.warn_of_unused(args, settings, resources)
    return Job(
        tomogram=Path(args.tomogram),
        prompts=tuple(map(parse_prompt, args.prompt)),
        rejects=tuple(parse_prompt(one, REJECTED) for one in args.reject),
        query=args.query,
        target=target,
        regions=options.regions(args),
        prompts_file=Path(args.prompts) if args.prompts else None,
        rejects_file=Path(args.rejects) if args.rejects else None,
        coords_angpix=args.coords_angpix,
        out=Path(args.out),
        voxel_size=args.voxel_size,
        contrast=args.contrast,
        settings=settings,
        settings_note=note,
        resources=resources,
        star=args.star,
        tilt_series=tilt_series_of_tomogram(args),
        picture=args.picture,
        suggest=args.suggest,
        overwrite=args.overwrite,
    )
