"""`cryosam project`: many tomograms, picked by one query or clicks in each."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import evaluate, export, project_init, project_run, report
from aitom_cryosam.cli.parser import add_action
from aitom_cryosam.cli.tables import aligned
from aitom_cryosam.errors import InputError
from aitom_cryosam.names import RESULT
from aitom_cryosam.wording import listed

if TYPE_CHECKING:
    from aitom_cryosam.points.point_file import PointFile
    from aitom_cryosam.points.tilt_series import TomogramsStar
    from aitom_cryosam.points.tomogram_info import TomogramPicks
    from aitom_cryosam.project import Project, ProjectTomogram
    from aitom_cryosam.project.state import State
    from aitom_cryosam.record import Record

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions of `cryosam project` and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, line: str, *, project: bool = True) -> argparse.ArgumentParser:
        added = add_action(actions, name, line)
        if project:
            added.add_argument("project", metavar="PROJECT", help="folder, or its project.star")
        return added

    initial = action("init", "list tomograms in a file that can be edited", project=False)
    project_init.add_options(initial)
    project_run.add_options(action("run", "pick in all tomograms that are not done"))
    action("status", "show what is done and what is not")
    exporting = action("export", "write the picks of all tomograms as another program's files")
    export.add_choice(exporting)
    exporting.add_argument("--tomograms-star", metavar="FILE", help="of the RELION project")
    evaluating = action("evaluate", "compare the picks of all tomograms with known positions")
    evaluating.add_argument(
        "truth",
        metavar="TRUTH",
        help="file with the known positions, or a folder of such files, each called after its "
        "tomogram",
    )
    evaluate.add_options(evaluating)
    reporting = action("report", "write a page for each tomogram, and an index of them")
    reporting.add_argument("--out", metavar="FILE.html", help="(default: report.html in PROJECT)")
    reporting.add_argument("--overwrite", action="store_true", help="replace existing pages")


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Returns:
        0 if all is done and right, 1 if a tomogram failed.
    """
    run_action: Callable[[argparse.Namespace], int] = {
        "init": project_init.run,
        "run": project_run.run,
        "status": _status,
        "export": _export,
        "evaluate": _evaluate,
        "report": _report,
    }[args.action]
    return run_action(args)


def _status(args: argparse.Namespace) -> int:
    from aitom_cryosam.project import read_project
    from aitom_cryosam.project.state import State

    project = read_project(args.project)
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
    from aitom_cryosam.project import read_project

    project = read_project(args.project)
    args.tomograms_star = args.tomograms_star or project.tomograms_star
    star = read_tomograms_star(args.tomograms_star) if args.tomograms_star else None
    found = _records(project)
    points = (_points(*pair, star) for pair in found)
    return export.write(args, points, [(tomogram.label, record) for tomogram, record in found])


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
        record.files["picks"],
        voxel_size=info.voxel_size,
        shape_zyx=info.shape_zyx,
        tomogram=info.path,
        noted_shift=info.noted_shift,
    )
    named = points.path.with_name(tomogram.name + RESULT["picks"])
    return replace(points, path=named, names=(tomogram.label,) * len(points.picks))


def _evaluate(args: argparse.Namespace) -> int:
    from aitom_cryosam.project import read_project

    found = _records(read_project(args.project))
    args.points = [_file(tomogram, record) for tomogram, record in found]
    args.picks = [str(record.files["picks"]) for _, record in found]
    args.voxel_size, args.labels, args.truth_labels = None, None, None
    return evaluate.run(args)


def _report(args: argparse.Namespace) -> int:
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.project import read_project
    from aitom_cryosam.report.files import write_report

    project = read_project(args.project)
    page = Path(args.out) if args.out else project.folder / "report.html"
    records = [record for _, record in _records(project)]
    with ShownProgress(quiet=args.quiet) as progress:
        files = write_report(page, records, progress=progress, overwrite=args.overwrite)
    if not args.quiet:
        print(report.opening(files))
    return 0
