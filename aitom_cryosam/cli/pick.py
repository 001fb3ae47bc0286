"""`cryosam pick`: every copy of a particle, from one or more clicks."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
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
from aitom_cryosam.cli.tables import file_rows, labelled
from aitom_cryosam.cli.tilt_series_options import add_tilt_series, tilt_series_of_tomogram
from aitom_cryosam.doors import Door
from aitom_cryosam.errors import InputError
from aitom_cryosam.names import RESULT
from aitom_cryosam.outputs import refuse_existing, refuse_existing_folder
from aitom_cryosam.wording import plural

if TYPE_CHECKING:
    from aitom_cryosam.job import Job
    from aitom_cryosam.record import Record

logger = logging.getLogger(__name__)

FEW = 0.05
"""Share of the proposals: where less are picks, a click may have been an odd one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam pick`."""
    options.add_tomogram(parser)
    options.add_prompts(parser)
    options.add_rejects(parser)
    parser.add_argument(
        "--query",
        type=Path,
        metavar="FILE",
        help="what particles clicked elsewhere look like, of `cryosam query` or a run's "
        "_query.npz; in place of clicks or beside them",
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
    parser.add_argument(
        "--suggest",
        type=whole_number,
        default=0,
        metavar="N",
        help="also list and draw the N places whose yes or no (--prompt or --reject in another "
        "run) would help most",
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
    """Pick, write all files, print what came out and where it is.

    Raises:
        InputError: a file or option cannot be used; nothing is written then.
    """
    from aitom_cryosam import job
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.record import note_beside

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
        summary = _summary if wanted.target is None else _structure_summary
        rows = summary(record, time.perf_counter() - start)
        print(labelled([*rows, *((what, str(path)) for what, path in beside.items())]))
    if advice := _advice(record):
        logger.warning(advice)
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


def _summary(record: Record, seconds: float) -> list[tuple[str, str]]:
    """What to print at the end of a run."""
    used = int(record.prompts.kept.sum())
    return [
        ("diameter", record.diameter_told),
        ("prompts", f"{used} of {len(record.prompts)} used"),
        ("picks", f"{len(record.picks)} of {len(record.proposals)} proposals{_expected(record)}"),
        ("left out", _left_out(record)),
        ("cut", _cut_line(record)),
        ("seconds", f"{seconds:.0f}: {_seconds(record)}"),
        *_asked(record),
        *file_rows(record.files.values()),
    ]


def _asked(record: Record) -> Iterator[tuple[str, str]]:
    """The suggestions, to be typed after --prompt or --reject."""
    from aitom_cryosam.geometry import as_typed
    from aitom_cryosam.scoring.suggestions import rows_of

    points = record.proposals.points_zyx[rows_of(record.proposals)].round(1)
    if len(points):
        yield "ask about", "  ".join(map(as_typed, points))


def _structure_summary(record: Record, seconds: float) -> list[tuple[str, str]]:
    """As `_summary`, of membranes or filaments."""
    used, counts = int(record.prompts.kept.sum()), record.content["counts"]
    name = record.content["target"]["name"]
    return [
        ("prompts", f"{used} of {len(record.prompts)} used"),
        ("found", plural(counts["structures"], name)),
        ("points", f"{counts['picks']}, {record.content['target']['spacing_angstrom']:g} Å apart"),
        ("seconds", f"{seconds:.0f}: {_seconds(record)}"),
        *file_rows(record.files.values()),
    ]


def _advice(record: Record) -> str:
    """What to try where less was found than is to be expected; empty where enough was."""
    target = record.content.get("target")
    if target is not None:
        found = record.content["counts"]["structures"]
        return "" if found else _no_structure(target["name"], record)
    if not len(record.picks):
        return _nothing(record)
    few = len(record.picks) < FEW * len(record.proposals)
    return _few(record) if few and record.settings.cut == "auto" else ""


def _no_structure(name: str, record: Record) -> str:
    """What to try where none was found."""
    if record.prompts.kept.any():
        return f"No {name} lies where it may, and the mask is empty: look at the region's options."
    other = "bright" if record.contrast == "dark" else "dark"
    return (
        f"No {name} was found, and the mask is empty: at no click is there more than the noise "
        f"makes. Click on the middle of a {name} where it is clear, or try --contrast {other} if "
        f"it is {other}."
    )


def _left_out(record: Record) -> str:
    counts = record.proposals.left_out.most_common()
    return ", ".join(f"{count} {reason}" for reason, count in counts) or "none"


def _expected(record: Record) -> str:
    if record.by_clusters:
        return ", by clusters, as nearly all places are alike: the probabilities do not tell here"
    share = record.content["counts"].get("expected_precision")
    return "" if share is None else f"; {100 * share:.0f} % of them right, by their probabilities"


def _cut_line(record: Record) -> str:
    scores = record.picks.scores
    lowest = f"; the lowest pick has {scores.min():.3f}" if len(scores) else ""
    return f"{record.settings.cut}{lowest}"


def _seconds(record: Record) -> str:
    """The stages that took a while."""
    return ", ".join(f"{k} {v:.0f}" for k, v in record.seconds.items() if v >= 0.5)


def _nothing(record: Record) -> str:
    """What to try after a run without picks."""
    if not len(record.proposals):
        return (
            "No picks, as no place was considered: none that is like the particle lies where picks "
            "may be. Check --region, --exclude, --edge, --lamella and --tau-sim."
        )
    other = "bright" if record.contrast == "dark" else "dark"
    scores = record.proposals.scores
    best = f" (the best proposal has {scores.max():.3f})" if len(scores) else ""
    return (
        f"No picks. Left out: {_left_out(record)}. Try --contrast {other} if protein is {other}, "
        "--diameter ANGSTROM, a click nearer to a particle's centre, more than one --prompt, "
        f"or a lower --cut{best}; --cut none keeps all."
    )


def _few(record: Record) -> str:
    """What to try where more was to be expected."""
    proposals = record.proposals
    best = ""
    if proposals.probabilities is not None and not proposals.kept.all():
        probable = proposals.probabilities[~proposals.kept].max()
        best = f"; of the others the best is one with a probability of {probable:.2f}"
    return (
        f"Only {len(record.picks)} of {len(proposals)} proposals are picks{best}. If you see more "
        "of these particles, click on two or three others too (--prompt): a single click can be "
        "on an odd copy."
    )
