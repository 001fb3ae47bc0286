"""What `cryosam project run` takes, for each tomogram and for workers side by side.

    python benchmarks/project_run.py [--tomograms 24] [--shape 64,256,256] [--pairs 8]

On simulated tomograms and one query: how long each stage takes on one core, and what is read and
written; how much longer a project takes than the same picks alone, one after the other in one
process; how much faster two workers with a core each are than one with one core.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitom_cryosam import Settings, job
from aitom_cryosam.project import FILE, Project, ProjectTomogram, write_project
from aitom_cryosam.project.running import Plan, outcomes
from aitom_cryosam.simulation.density import barrel, ribosome_like
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import simulate
from aitom_cryosam.volumes.mrc import write_volume

VOXEL_SIZE = 10.0
COPIES_PER_VOXEL = 12 / (64 * 256 * 256)  # of each of two kinds
MIRRORED = [
    (slice(None, None, z), slice(None, None, y), slice(None, None, x))
    for z in (1, -1)
    for y in (1, -1)
    for x in (1, -1)
]
"""Eight tomograms of one simulation."""
PROGRAM = "import sys; from aitom_cryosam.cli import main; sys.exit(main())"
CALLS = ("open", "os.rename", "os.link", "os.remove", "os.mkdir")
WORKERS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tomograms", type=int, default=24)
    parser.add_argument("--shape", default="64,256,256", help="voxels along z, y, x")
    parser.add_argument("--pairs", type=int, default=8, help="picked alone and in the project")
    args = parser.parse_args()
    depth, height, width = map(int, args.shape.split(","))
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        os.environ["TMPDIR"] = tempfile.tempdir = name  # what is temporary is seen, too
        project = made(Path(name), args.tomograms, (depth, height, width))
        os.sched_setaffinity(0, cores[:1])
        pairs(project, args.pairs)
        if len(cores) > 1:
            throughput(project, cores)


def made(folder: Path, tomograms: int, shape_zyx: tuple[int, int, int]) -> Project:
    """A project with a query of clicks, in which nothing is done."""
    (folder / "tomos").mkdir()
    paths = []
    for number in range(tomograms):
        scene, turned = divmod(number, len(MIRRORED))
        if turned == 0:
            count = max(2, round(COPIES_PER_VOXEL * np.prod(shape_zyx)))
            simulation = simulate(
                [(body(VOXEL_SIZE), count) for body in (ribosome_like, barrel)],
                SimulationSettings(
                    shape_zyx=shape_zyx, voxel_size=VOXEL_SIZE, membranes=1, seed=scene
                ),
            )
        paths.append(folder / "tomos" / f"TS_{number:02}.mrc")
        data = np.ascontiguousarray(simulation.data[MIRRORED[turned]])
        write_volume(paths[-1], data, voxel_size=VOXEL_SIZE)
        if number == 0:
            clicks = tuple(
                tuple(point[::-1]) for point in simulation.points_zyx[: min(count, 5)].tolist()
            )
    settings = Settings(preset="embedded")
    first = job.Job(tomogram=paths[0], prompts=clicks, out=folder / "first", settings=settings)
    project = Project(
        path=folder / "project" / FILE,
        settings=settings,
        tomograms=tuple(ProjectTomogram(name=path.stem, path=path) for path in paths),
        query=job.run(first).files["query"],
    )
    write_project(project)
    return project


@dataclass
class Traffic:
    """What happens to files while a block runs.

    Attributes:
        folder: whose files count.
        calls: files opened, made, moved, linked or removed.
        read: bytes through `read`; what is mapped into memory is not among them.
        written: bytes.
    """

    folder: Path
    calls: Counter[str] = field(default_factory=Counter)
    read: int = 0
    written: int = 0
    _on: bool = False

    def __post_init__(self) -> None:
        sys.addaudithook(self._heard)

    def _heard(self, event: str, given: tuple[Any, ...]) -> None:
        if self._on and event in CALLS and str(given[0]).startswith(str(self.folder)):
            self.calls[event.removeprefix("os.")] += 1

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count while the block runs."""
        before, self._on = _bytes(), True
        try:
            yield
        finally:
            self._on = False
            read, written = _bytes()
            self.read += read - before[0]
            self.written += written - before[1]


def _bytes() -> tuple[int, int]:
    """That this process has read and written so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    values = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    return values["rchar"], values["wchar"]


def pairs(project: Project, count: int) -> None:
    """Tomograms alone and in the project by turns; what each takes."""
    chosen = project.tomograms[:count]
    traffic = Traffic(project.folder.parent)
    seconds, worked = defaultdict[str, float](float), defaultdict[str, float](float)
    stages, results = defaultdict[str, float](float), 0

    def timed(kind: str, work: Callable[[ProjectTomogram], None], one: ProjectTomogram) -> None:
        start, begun = time.perf_counter(), time.process_time()
        work(one)
        seconds[kind] += time.perf_counter() - start
        worked[kind] += time.process_time() - begun

    def alone(one: ProjectTomogram) -> None:
        nonlocal results
        with traffic.counted():
            record = job.run(replace(project.job(one), out=project.folder / "alone" / one.name))
        for stage, spent in record.seconds.items():
            stages[stage] += spent
        results += sum(path.stat().st_size for path in record.files.values())

    def within(one: ProjectTomogram) -> None:
        for outcome in outcomes(project, Plan.of(project, [one])):
            if outcome.failure:
                raise SystemExit(outcome.failure)

    for number, one in enumerate(chosen):
        both = [("alone", alone), ("project", within)]
        for kind, work in both[:: 1 if number % 2 else -1]:
            timed(kind, work, one)
    n, whole = len(chosen), sum(stages.values())
    print(f"one tomogram on one core ({n} of them): {worked['alone'] / n:.1f} s of the processor")
    for stage, spent in stages.items():
        print(f"  {stage:12}{100 * spent / whole:5.1f} %")
    size = np.mean([one.path.stat().st_size for one in chosen])
    print(
        f"  mapped and read once {size / 1e6:.1f} MB, read besides {traffic.read / n / 1e6:.1f} MB"
    )
    print(f"  written {traffic.written / n / 1e6:.2f} MB, of results {results / n / 1e6:.2f} MB")
    print(
        f"  calls {', '.join(f'{kind} {value / n:.0f}' for kind, value in traffic.calls.items())}"
    )
    rate = WORKERS * n / worked["alone"]
    print(
        f"{WORKERS} workers of one core: {rate:.1f} tomograms a second, {rate * size / 1e6:.0f} "
        f"MB/s read, {rate * traffic.written / n / 1e6:.1f} MB/s written, "
        f"{rate * sum(traffic.calls.values()) / n:.0f} calls a second"
    )
    for name, of in (("seconds", seconds), ("seconds of the processor", worked)):
        print(
            f"{n} alone {of['alone']:.1f}, in the project {of['project']:.1f} {name}: "
            f"{100 * (of['project'] / of['alone'] - 1):+.1f} %"
        )
    shutil.rmtree(project.results)


def throughput(project: Project, cores: list[int]) -> None:
    """All tomograms by one worker on one core, and by two on two."""
    taken = []
    for workers in (1, 2):
        taken.append(_run(project, workers, cores[:workers]))
        print(f"{len(project.tomograms)} by {workers} on {workers}: {taken[-1]:.1f} s", flush=True)
        shutil.rmtree(project.results)
    print(f"two workers do {taken[0] / taken[1]:.2f} times as many as one")


def _run(project: Project, workers: int, cores: list[int]) -> float:
    start = time.perf_counter()
    words = ["project", "run", str(project.path), "--workers", str(workers), "--quiet"]
    subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
