"""Running: all that is missing or has changed in a project, once, whatever happens to some."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.forecast import forecast_on, usual_diameter
from aitom_cryosam.job import Job
from aitom_cryosam.outputs import free_space, output_folder
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.project.outcome import Outcome, Task, pick
from aitom_cryosam.project.project import Project, ProjectTomogram
from aitom_cryosam.project.state import Kind, State
from aitom_cryosam.resources import Resources
from aitom_cryosam.result_files import volume_bytes
from aitom_cryosam.source_file import FileStamp
from aitom_cryosam.volumes.reading import read_size
from aitom_cryosam.wording import plural, size_text

logger = logging.getLogger(__name__)

LOG = "project.log"
Engine = Callable[[Iterable[Task]], Iterator[Outcome]]
"""Picks in tomograms, and gives what came of each as it ends."""


def serial(tasks: Iterable[Task]) -> Iterator[Outcome]:
    """One after the other, in this process."""
    return map(pick, tasks)


@dataclass
class Plan:
    """What a run will do, and why.

    Attributes:
        tasks: to do, each with what its state says.
        done: how many are done already.
        unready: names of those that have neither clicks nor query.
        networks: whether the method has any.
    """

    tasks: list[tuple[Task, State]] = field(default_factory=list)
    done: int = 0
    unready: list[str] = field(default_factory=list)
    networks: bool = False

    @classmethod
    def of(
        cls,
        project: Project,
        tomograms: Sequence[ProjectTomogram] | None = None,
        resources: Resources | None = None,
    ) -> Plan:
        """What is to be done.

        Args:
            project: with these tomograms.
            tomograms: some of them; all if None.
            resources: of one run.
        """
        plan = cls(networks=bool(project.settings.networks))
        for one in project.tomograms if tomograms is None else tomograms:
            job = project.job(one, resources)
            state = State.of(job)
            if state.kind is Kind.DONE:
                plan.done += 1
            elif state.kind is Kind.NO_CLICKS:
                plan.unready.append(one.name)
            else:
                plan.tasks.append((Task.of(one.name, job), state))
        return plan

    def worker_bytes(self) -> int:
        """Memory of a worker that picks in the largest tomogram on one core; 0 if none opens."""
        jobs = [Job.from_json(task.job) for task, _ in self.tasks]
        for job in sorted(jobs, key=_file_bytes, reverse=True):
            with suppress(InputError):
                tomogram, settings = job.open_tomogram(), job.settings
                given = job.query and ParticleQuery.read(job.query).diameter_angstrom
                size = settings.diameter_angstrom or given
                voxels = size / tomogram.voxel_size if size else usual_diameter(tomogram)
                needs = forecast_on(tomogram, settings, voxels)
                return replace(needs, cores=1).bytes
        return 0


def outcomes(project: Project, plan: Plan, engine: Engine = serial) -> Iterator[Outcome]:
    """Do what is planned; each tomogram's end as it comes, and a line for it in the log.

    Those that another run works on are looked at again at the end, when that is done or dead.

    Raises:
        InputError: the folder of results cannot be written, or the engine cannot work.
    """
    output_folder(project.results)
    _tell_space(project, plan)
    log = project.folder / LOG
    _log(log, f"run: {len(plan.tasks)} to do, {plan.done} done")
    for task, state in plan.tasks:
        if state.why:
            _log(log, f"{task.name}: again, as {state.why}")
    tasks = [task for task, _ in plan.tasks]
    while tasks:
        busy = []
        for outcome in engine(tasks):
            if outcome.busy:
                busy.append(replace(outcome.task, wait=True))
                continue
            _log(log, f"{outcome.task.name}: {in_words(outcome)}")
            for line in (*outcome.warnings, *outcome.details.splitlines()):
                _log(log, f"{outcome.task.name}:   {line}")
            yield outcome
        tasks = busy


def _tell_space(project: Project, plan: Plan) -> None:
    """Say before hours of work that the disk will not take the masks of all tomograms."""
    size = 0
    for job in (Job.from_json(task.job) for task, state in plan.tasks if state.record is None):
        with suppress(InputError):  # its turn says it
            shape, _ = read_size(job.inputs["tomogram"], voxel_size=job.voxel_size)
            size += volume_bytes(job.files, shape)
    if size > (free := free_space(project.results)):
        logger.warning(
            "The results will take %s, and %s are free on the disk of %s: not all tomograms will "
            "be picked; free some.",
            size_text(size),
            size_text(free),
            project.results,
        )


def _file_bytes(job: Job) -> int:
    with suppress(OSError):
        return FileStamp.of(job.inputs["tomogram"]).size
    return 0


def in_words(outcome: Outcome) -> str:
    """A line on a tomogram that is finished."""
    if outcome.failure:
        return f"failed: {outcome.failure}"
    if not outcome.seconds:
        return f"{outcome.picks} picks, by another run"
    warned = len(outcome.warnings)
    told = f", {plural(warned, 'warning')}" if warned else ""
    return f"{outcome.picks} picks, {outcome.seconds:.0f} s{told}"


def _log(path: Path, line: str) -> None:
    """One write a line: several runs may log at once. It is worth no run."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
    except OSError as error:
        logger.warning("%s cannot be written (%s), and lacks this run.", path, error.strerror)
