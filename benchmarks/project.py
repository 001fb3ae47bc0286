"""Time and memory of `cryosam project` on a thousand finished tomograms, without picking in them.

    python benchmarks/project.py [--tomograms 1000] [--picks 200]

The results are made up: one small tomogram is picked, and its files are written under a thousand
names with so many picks each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitom_cryosam import Picks, Settings, job
from aitom_cryosam.points.formats.relion_warp import write_picks
from aitom_cryosam.project import FILE, Project, ProjectTomogram, write_project
from aitom_cryosam.record import Record
from aitom_cryosam.simulation.density import ribosome_like
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import simulate
from aitom_cryosam.source_file import FileStamp, sha256_of
from aitom_cryosam.volumes.mrc import write_volume

SETTINGS = Settings(preset="embedded", diameter_angstrom=250.0, cut="none", top_k=4)
PROGRAM = "import sys; from aitom_cryosam.cli import main; sys.exit(main())"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tomograms", type=int, default=1000)
    parser.add_argument("--picks", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        project = made_up(Path(name), args.tomograms, args.picks)
        print("command                    seconds  of the processor  megabytes")
        for words in (
            ["status", str(project)],
            ["run", str(project)],
            ["export", str(project), "--to", "relion5", "--out", f"{name}/relion5"],
            ["export", str(project), "--to", "warp", "--out", f"{name}/warp"],
        ):
            seconds, worked, megabytes = measured(words)
            called = " ".join(word for word in words if "/" not in word)
            print(f"{called:25}{seconds:9.1f}{worked:18.1f}{megabytes:11.0f}")


def made_up(folder: Path, tomograms: int, picks: int) -> Path:
    """A project whose tomograms are all done, with so many picks each."""
    first = folder / "tomos" / "TS_0000.mrc"
    first.parent.mkdir()
    scene = SimulationSettings(
        shape_zyx=(24, 48, 52), voxel_size=20.0, membranes=0, denoise=15.0, snr=0.5, seed=1
    )
    made = simulate([(ribosome_like(20.0), 4)], scene)
    write_volume(first, made.data, voxel_size=20.0)
    clicked = job.Job(
        tomogram=first,
        prompts=(tuple(made.points_zyx[0, ::-1]),),
        out=folder / "first",
        settings=SETTINGS,
    )
    query = job.run(clicked).files["query"]
    paths = [first.with_name(f"TS_{number:04}.mrc") for number in range(tomograms)]
    for path in paths[1:]:
        os.link(first, path)
    project = Project(
        path=folder / "project" / FILE,
        settings=SETTINGS,
        tomograms=tuple(ProjectTomogram(name=path.stem, path=path) for path in paths),
        query=query,
    )
    write_project(project)
    record = job.run(project.job(project.tomograms[0]))
    many = _many(record, picks)
    for tomogram in project.tomograms:
        _write_again(project.job(tomogram), record, many)
    return project.path


def _many(record: Record, count: int) -> Picks:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, np.array(record.info.shape_zyx) - 1, (count, 3))
    return replace(Picks.from_points(points, rng.uniform(size=count)), probabilities=np.ones(count))


def _write_again(wanted: job.Job, record: Record, picks: Picks) -> None:
    """The files of a run on one tomogram as if it was on another, with other picks."""
    files = wanted.files
    files["run"].parent.mkdir(parents=True, exist_ok=True)
    write_picks(files["picks"], picks, replace(record.info, name=wanted.name), overwrite=True)
    for kind, path in files.items():
        if kind not in ("picks", "run") and path != record.files[kind]:
            os.link(record.files[kind], path)
    content = json.loads(json.dumps(dict(record.content)))
    content["tomogram"] |= {"path": str(wanted.tomogram), "name": wanted.name}
    content["counts"]["picks"] = len(picks)
    content["files"] = {kind: path.name for kind, path in files.items()}
    content["sha256"]["picks"] = sha256_of(files["picks"])
    content["job"] = wanted.to_json()
    content["inputs"]["tomogram"] = asdict(FileStamp.of(wanted.tomogram))
    files["run"].write_text(json.dumps(content))


def measured(words: list[str]) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and the most memory (10^6 bytes) of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", PROGRAM, "project", *words, "--quiet"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, worked, after.ru_maxrss / 1e3


if __name__ == "__main__":
    main()
