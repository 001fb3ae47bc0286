"""`cryosam project`: many tomograms, picked by one query or clicks in each."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import evaluate, export, machine, method, options, report
from aitom_cryosam.cli.argument_types import whole_number
from aitom_cryosam.cli.parser import add_action
from aitom_cryosam.cli.tables import aligned
from aitom_cryosam.errors import InputError
from aitom_cryosam.names import listed

if TYPE_CHECKING:
    from aitom_cryosam.points.reading import PointFile
    from aitom_cryosam.points.tilt_series import TomogramsStar
    from aitom_cryosam.points.tomogram_info import TomogramPicks
    from aitom_cryosam.project import Project, ProjectTomogram
    from aitom_cryosam.project.running import Engine, Plan
    from aitom_cryosam.project.state import State
    from aitom_cryosam.record import Record

logger = logging.getLogger(__name__)

NAME = "{name}"
"""Stands for a tomogram's name in the path of its mask."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions of `cryosam project` and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, line: str, *, project: bool = True) -> argparse.ArgumentParser:
        added = add_action(actions, name, line)
        if project:
            added.add_argument("project", metavar="PROJECT", help="folder, or its project.star")
        return added

    _add_init(action("init", "list tomograms in a file that can be edited", project=False))
    _add_run(action("run", "pick in all tomograms that are not done"))
    action("status", "show what is done and what is not")
    exporting = action("export", "write the picks of all tomograms as another program's files")
    export.add_choice(exporting)
    exporting.add_argument("--tomograms-star", metavar="FILE", help="of the RELION project")
    evaluating = action("evaluate", "compare the picks of all tomograms with known positions")
    evaluating.add_argument("truth", metavar="TRUTH", help="file with the known positions")
    evaluate.add_options(evaluating)
    reporting = action("report", "write a page for each tomogram, and one that leads to them")
    reporting.add_argument("--out", metavar="FILE.html", help="(default: report.html in PROJECT)")
    reporting.add_argument("--overwrite", action="store_true", help="replace existing pages")


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="tomograms; a folder of them; a text file with a path a line; a pattern in quotes; "
        "RELION's tomograms.star; Warp's .settings of tilt series or folder of .tomostar",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the project")
    parser.add_argument("--overwrite", action="store_true", help="replace its project.star")
    parser.add_argument(
        "--query", type=Path, metavar="FILE", help="what to look for, of `cryosam query`"
    )
    parser.add_argument(
        "--prompts", type=Path, metavar="FILE", help="clicks in some or all of the tomograms"
    )
    parser.add_argument(
        "--rejects", type=Path, metavar="FILE", help="clicks on something else, likewise"
    )
    parser.add_argument(
        "--coords-angpix",
        type=float,
        metavar="ANGSTROM",
        help="pixel size that FILE is written in, if not the tomograms'",
    )
    parser.add_argument("--tomograms-star", type=Path, metavar="FILE", help="of the RELION project")
    options.add_volume(parser)
    options.add_regions(parser, of=f"; {NAME} in its path is the tomogram's name")
    method.add_method(parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        type=_part,
        default=(1, 1),
        metavar="I/N",
        help="only the I-th of N parts, from 1/N to N/N, as in a job array",
    )
    workers = parser.add_argument_group(
        "workers", "tomograms side by side; needs the extra project"
    )
    workers.add_argument(
        "--workers",
        type=whole_number,
        metavar="N",
        help="on this machine, 1 to work in this process (default: one a GPU for networks, else "
        "one a core as the memory allows)",
    )
    workers.add_argument(
        "--scheduler", metavar="ADDRESS", help="workers of a Dask scheduler, as tcp://node:8786"
    )
    workers.add_argument(
        "--scheduler-file", type=Path, metavar="FILE", help="the same by the file it writes"
    )
    workers.add_argument(
        "--wait",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="for the scheduler and its first worker (default: 60)",
    )
    machine.add_resources(parser)


def _part(text: str) -> tuple[int, int]:
    try:
        number, of = (int(value) for value in text.split("/"))
        if of < 1:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected I/N, as 1/8, got {text!r}") from None
    return number, of


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Returns:
        0 if all is done and right, 1 if a tomogram failed.

    Raises:
        InputError: a file or option cannot be used.
    """
    run_action: Callable[[argparse.Namespace], int] = {
        "init": _init,
        "run": _run,
        "status": _status,
        "export": _export,
        "evaluate": _evaluate,
        "report": _report,
    }[args.action]
    return run_action(args)


def _init(args: argparse.Namespace) -> int:
    from aitom_cryosam.particle_query import ParticleQuery
    from aitom_cryosam.project import FILE, Project, ProjectTomogram
    from aitom_cryosam.project.sources import names_of, tomograms_of, warn_of_versions
    from aitom_cryosam.prompting import sized
    from aitom_cryosam.resources import Resources
    from aitom_cryosam.source_file import existing_file

    options.refuse_pixel_size_alone(args)
    rules = options.regions(args)
    stars = [Path(one) for one in args.sources if one.endswith(".star")]
    tomograms_star = args.tomograms_star or (stars[0] if len(stars) == 1 else None)
    for path in (args.prompts, args.rejects, tomograms_star):
        if path is not None:
            existing_file(path)
    settings = method.settings(args, Resources())
    if args.query is not None:
        sized(settings, ParticleQuery.read(args.query), args.contrast)  # refused if it cannot fit
    paths = list(dict.fromkeys(path for one in args.sources for path in tomograms_of(one)))
    warn_of_versions(paths)
    names = names_of(paths)
    clicked, rejected = (_clicked(file, args, paths) for file in (args.prompts, args.rejects))
    regions = _masks(rules.region, names)
    excluded = [_masks(path, names) for path in rules.exclude]
    project = Project(
        path=Path(args.out).absolute() / FILE,
        settings=settings,
        tomograms=tuple(
            ProjectTomogram(
                name=name,
                path=path,
                contrast=args.contrast,
                voxel_size=args.voxel_size,
                prompts=args.prompts.absolute() if path in clicked else None,
                rejects=args.rejects.absolute() if path in rejected else None,
                region=regions.get(name),
                exclude=tuple(masks[name] for masks in excluded if name in masks),
            )
            for name, path in zip(names, paths, strict=True)
        ),
        query=_absolute(args.query),
        coords_angpix=args.coords_angpix,
        tomograms_star=_absolute(tomograms_star),
        exclude_distance=rules.exclude_distance,
        edge=rules.edge,
        lamella=rules.lamella,
    )
    project.write(overwrite=args.overwrite)
    if not args.quiet:
        print(f"tomograms {len(paths)}")
        if args.prompts:
            print(f"clicks    in {len(clicked)} of them")
        print(f"file      {project.path}")
    if args.prompts is None and args.query is None:
        logger.warning(
            "The project has neither clicks nor a query, so that nothing can be picked yet; write "
            "them into its file, or give --prompts or --query."
        )
    return 0


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _clicked(file: Path | None, args: argparse.Namespace, paths: Sequence[Path]) -> set[Path]:
    """The tomograms that a file of clicks has clicks in.

    Raises:
        InputError: it cannot be read, or has none in any.
    """
    from aitom_cryosam.points.reading import points_in, read_points
    from aitom_cryosam.points.tilt_series import read_tomograms_star
    from aitom_cryosam.volumes.reading import read_size

    if file is None:
        return set()
    star = args.tomograms_star
    shape, voxel_size = read_size(paths[0], voxel_size=args.voxel_size)
    points = read_points(
        file,
        voxel_size=voxel_size,
        coords_angpix=args.coords_angpix,
        tomograms=read_tomograms_star(star) if star else None,
        shape_zyx=shape,
    )
    return points_in(points, paths)


def _masks(pattern: Path | None, names: Sequence[str]) -> dict[str, Path]:
    """The mask of each tomogram, by name.

    Raises:
        InputError: there is none, or one that all should have.
    """
    if pattern is None:
        return {}
    masks = {name: Path(str(pattern).replace(NAME, name)).absolute() for name in names}
    if NAME not in str(pattern) and len(names) > 1:
        raise InputError(
            f"{pattern} is a mask of one tomogram, and there are {len(names)}; give a path "
            f"with {NAME} in it, as masks/{NAME}.mrc."
        )
    found = {name: path for name, path in masks.items() if path.exists()}
    if not found:
        raise InputError(f"There is no mask {pattern} of any tomogram, as {masks[names[0]]}.")
    lost = [name for name in names if name not in found]
    if lost:
        raise InputError(
            f"There is no mask {masks[lost[0]]}, nor of {len(lost) - 1} other tomograms; draw "
            "them, or leave the option out and write the masks there are into the table."
        )
    return found


def _run(args: argparse.Namespace) -> int:
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.project import Project
    from aitom_cryosam.project.running import Plan, in_words, outcomes

    project = Project.read(args.project)
    number, of = args.only
    here = not (args.scheduler or args.scheduler_file)
    resources = machine.resources(args, here=here)
    plan = Plan.of(project, project.part(number, of), resources)
    machine.tell_unused(args, project.settings, resources)
    if not args.quiet:
        _tell(plan)
    failed, picks, total = [], 0, len(plan.tasks)
    with _engine(args, plan) as engine, ShownProgress(quiet=args.quiet) as progress:
        if total:
            progress("tomograms", 0, total)
        for done, outcome in enumerate(outcomes(project, plan, engine), 1):
            progress.line(f"{outcome.task.name}  {in_words(outcome)}")
            progress("tomograms", done, total)
            picks += outcome.picks
            if outcome.failure:
                failed.append(outcome)
    if total and not args.quiet:
        print(f"{total - len(failed)} of {total} done, {picks} picks; {project.results}")
    names = defaultdict[str, list[str]](list)
    for outcome in failed:
        names[outcome.failure].append(outcome.task.name)
    for failure, of in names.items():
        many = f" ({len(of)} tomograms)" if len(of) > 1 else ""
        print(f"cryosam project: {listed(of)}{many}: {failure}", file=sys.stderr)
    return 1 if failed else 0


@contextmanager
def _engine(args: argparse.Namespace, plan: Plan) -> Iterator[Engine]:
    """What works on the plan.

    Raises:
        InputError: options contradict each other, Dask is missing, or there are no workers.
    """
    from aitom_cryosam.project.running import serial

    elsewhere = args.scheduler or args.scheduler_file
    if sum(bool(one) for one in (args.workers, args.scheduler, args.scheduler_file)) > 1:
        raise InputError("Expected one of --workers, --scheduler and --scheduler-file, got more.")
    if args.workers == 1 or (len(plan.tasks) < 2 and not elsewhere):
        yield serial
        return
    try:
        from aitom_cryosam.project import cluster
    except ImportError:
        if args.workers or elsewhere:
            raise InputError(
                "Several workers need Dask; install it with pip install "
                "'aitom-cryosam[project]', or leave the option out."
            ) from None
        logger.info("One tomogram at a time; pip install 'aitom-cryosam[project]' for several.")
        yield serial
        return
    if elsewhere:
        with cluster.remote(args.scheduler, args.scheduler_file, args.wait) as engine:
            yield engine
        return
    ram = machine.resources(args).wanted
    parts = cluster.share(plan.worker_bytes(), ram, workers=args.workers, gpus=_gpus(args, plan))
    if len(parts.cores) == 1:
        yield serial
        return
    with cluster.local(parts, ram) as engine:
        yield engine


def _gpus(args: argparse.Namespace, plan: Plan) -> list[str]:
    """The GPUs of this machine, if networks are to run and none is named."""
    if args.device != "auto" or not plan.networks:
        return []
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    numbers = visible.split(",") if visible else map(str, range(torch.cuda.device_count()))
    return list(numbers) if torch.cuda.is_available() else []


def _tell(plan: Plan) -> None:
    """What is going to be done, and why again."""
    print(f"{len(plan.tasks)} to do, {plan.done} done")
    reasons = Counter(state.why for _, state in plan.tasks if state.why)
    for why, count in reasons.most_common(10):
        print(f"{count:6} again: {why}")
    if plan.unready:
        names = listed(plan.unready)
        print(f"{len(plan.unready):6} have neither clicks nor a query: {names}")


def _status(args: argparse.Namespace) -> int:
    from aitom_cryosam.project import Project
    from aitom_cryosam.project.state import State

    project = Project.read(args.project)
    rows = [("tomogram", "state", "picks", "seconds", "")]
    counts, picks = Counter[str](), 0
    for one in project.tomograms:
        state = State.of(project.job(one))
        counts[state.kind.value] += 1
        found, seconds = _numbers(state)
        picks += int(found or 0)
        rows.append((one.name, state.kind.value, found, seconds, state.why))
    print(aligned(rows, left=(0, 1, 4)))
    total = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    print(f"\n{len(project.tomograms)} tomograms: {total}; {picks} picks")
    return 0


def _numbers(state: State) -> tuple[str, str]:
    """Picks and seconds of the last run."""
    if state.record is None:
        return "", ""
    counts = state.record.content.get("counts", {})
    return str(counts.get("picks", "")), f"{sum(state.record.seconds.values()):.0f}"


def _records(project: Project) -> list[tuple[ProjectTomogram, Record]]:
    """Of all tomograms that have a result.

    Raises:
        InputError: none has.
    """
    from aitom_cryosam.project.state import Kind, State

    found, lacking, old = [], [], {}
    for one in project.tomograms:
        state = State.of(project.job(one))
        if state.record is None:
            lacking.append(one.name)
            continue
        found.append((one, state.record))
        if state.kind is not Kind.DONE:
            old[one.name] = state.why
    if not found:
        raise InputError(f"{project.path} has no results yet; pick with `cryosam project run`.")
    if lacking:
        logger.warning("Left out, as there is no result yet: %s.", listed(lacking))
    if old:
        logger.warning(
            "Of an earlier run, which `cryosam project run` would renew: the results of %s (%s).",
            listed(old),
            listed(dict.fromkeys(old.values())),
        )
    return found


def _export(args: argparse.Namespace) -> int:
    from aitom_cryosam.points.tilt_series import read_tomograms_star
    from aitom_cryosam.project import Project

    project = Project.read(args.project)
    args.tomograms_star = args.tomograms_star or project.tomograms_star
    star = read_tomograms_star(args.tomograms_star) if args.tomograms_star else None
    return export.write(args, (_points(*pair, star) for pair in _records(project)))


def _points(tomogram: ProjectTomogram, record: Record, star: TomogramsStar | None) -> TomogramPicks:
    """The picks of a tomogram, by its name in the project."""
    from aitom_cryosam.points.table import PARTICLE_ID

    picks = _file(tomogram, record).picks
    extra = {label: column for label, column in picks.extra.items() if label != PARTICLE_ID}
    series = star.of(tomogram.path) if star else None
    return replace(picks, extra=extra), replace(
        record.info, name=tomogram.label, tilt_series=series
    )


def _file(tomogram: ProjectTomogram, record: Record) -> PointFile:
    """The file of picks, as if it called the tomogram by its name in the project."""
    from aitom_cryosam.points.reading import read_points

    record.check("picks")
    info = record.info
    points = read_points(
        record.files["picks"], voxel_size=info.voxel_size, shape_zyx=info.shape_zyx
    )
    named = points.path.with_name(f"{tomogram.name}_picks.star")
    return replace(points, path=named, names=(tomogram.label,) * len(points.picks))


def _evaluate(args: argparse.Namespace) -> int:
    from aitom_cryosam.project import Project

    found = _records(Project.read(args.project))
    args.points = [_file(tomogram, record) for tomogram, record in found]
    args.picks = [str(record.files["picks"]) for _, record in found]
    args.voxel_size, args.labels, args.truth_labels = None, None, None
    return evaluate.run(args)


def _report(args: argparse.Namespace) -> int:
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.project import Project
    from aitom_cryosam.report.files import write_report

    project = Project.read(args.project)
    page = Path(args.out) if args.out else project.folder / "report.html"
    records = [record for _, record in _records(project)]
    with ShownProgress(quiet=args.quiet) as progress:
        files = write_report(page, records, progress=progress, overwrite=args.overwrite)
    if not args.quiet:
        print(report.opening(files))
    return 0
