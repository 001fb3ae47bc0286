"""`cryosam project run`: pick in all tomograms of a project, in one process or several."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import machine_options
from aitom_cryosam.cli.argument_types import whole_number
from aitom_cryosam.cli.arguments import add_count, add_number
from aitom_cryosam.errors import InputError
from aitom_cryosam.wording import listed

if TYPE_CHECKING:
    from aitom_cryosam.project.outcome import Outcome
    from aitom_cryosam.project.running import Engine, Plan

logger = logging.getLogger(__name__)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam project run`."""
    parser.add_argument(
        "--only",
        type=_part,
        default=(1, 1),
        metavar="I/N",
        help="only the I-th of N parts, from 1/N to N/N, as in a job array",
    )
    workers = parser.add_argument_group(
        "workers", "several tomograms at a time; needs pip install 'aitom-cryosam[project]'"
    )
    add_count(
        workers,
        "--workers",
        "processes on this machine; 1 for this process only (default: one per GPU for "
        "networks, else one per core, as the memory allows)",
        type=whole_number,
    )
    workers.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="workers of a Dask scheduler, such as tcp://node:8786",
    )
    workers.add_argument(
        "--scheduler-file",
        type=Path,
        metavar="FILE",
        help="likewise, by the file that the scheduler writes",
    )
    add_number(
        workers,
        "--wait",
        "SECONDS",
        "for the scheduler and its first worker (default: 60)",
        default=60.0,
    )
    machine_options.add_resources(parser)


def _part(text: str) -> tuple[int, int]:
    try:
        number, of = (int(value) for value in text.split("/"))
        if of < 1:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected I/N, such as 1/8, got {text!r}") from None
    return number, of


def run(args: argparse.Namespace) -> int:
    """Pick, say what came out of each tomogram.

    Returns:
        0 if all is done, 1 if a tomogram failed.
    """
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.project import read_project
    from aitom_cryosam.project.running import Plan, in_words, outcomes

    project = read_project(args.project)
    number, of = args.only
    here = not (args.scheduler or args.scheduler_file)
    resources = machine_options.resources(args, here=here)
    plan = Plan.of(project, project.part(number, of), resources)
    machine_options.warn_of_unused(args, project.settings, resources)
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
    _tell_failures(failed)
    return 1 if failed else 0


def _tell_failures(failed: Sequence[Outcome]) -> None:
    """Each once, with the tomograms that it stopped."""
    names = defaultdict[str, list[str]](list)
    for outcome in failed:
        names[outcome.failure].append(outcome.task.name)
    for failure, of in names.items():
        many = f" ({len(of)} tomograms)" if len(of) > 1 else ""
        print(f"cryosam project: {listed(of)}{many}: {failure}", file=sys.stderr)


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
    ram = machine_options.resources(args).wanted
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
