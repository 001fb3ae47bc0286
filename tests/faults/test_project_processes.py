"""Projects whose workers, runs and schedulers are killed, stopped, doubled or not there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.project import read_project
from aitom_cryosam.project.outcome import Outcome, Task
from aitom_cryosam.project.state import Kind, State
from tests.faults.world import plain, write_tomogram

dask = pytest.importorskip("dask", reason="needs the extra project")
pytest.importorskip("distributed", reason="needs the extra project")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]

COUNT = 5
FEW = ["--preset", "embedded", "--diameter", "250", "--cut", "none", "--top-k", "4"]
PROGRAM = "import sys; from aitom_cryosam.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tomograms, a query, and a project `done` in one process."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "tomos").mkdir()
    clicks = [write_tomogram(folder / "tomos" / f"TS_{i}.mrc", seed=i + 1) for i in range(COUNT)]
    query = ["query", str(folder / "tomos" / "TS_0.mrc"), "--prompt", clicks[0], *FEW]
    assert main([*query, "--out", str(folder / "a.query")]) == 0
    init = ["project", "init", str(folder / "tomos"), "--query", str(folder / "a.query"), *FEW]
    for name in ("done", "new"):
        assert main([*init, "--out", str(folder / name)]) == 0
    assert main(["project", "run", str(folder / "done"), "--workers", "1"]) == 0
    return folder


@pytest.fixture
def project(world: Path) -> Iterator[Path]:
    """Without results."""
    yield world / "new"
    shutil.rmtree(world / "new" / "results", ignore_errors=True)
    (world / "new" / "project.log").unlink(missing_ok=True)


def start(project: Path, *options: str) -> "subprocess.Popen[str]":
    """A run as a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "project", "run", str(project), *options],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finished(project: Path) -> list[str]:
    """The lines of the log on finished tomograms."""
    log = project / "project.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in lines if " picks, " in line]


def wait_for(project: Path, count: int, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 120
    while len(finished(project)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def workers(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [one for one in children if "spawn_main" in " ".join(one.cmdline())]


def content(project: Path) -> dict[str, bytes]:
    """The files of all results but what differs from run to run."""
    found = sorted((project / "results").glob("*/TS_*"))
    return {path.name: path.read_bytes() for path in found if not path.name.endswith("run.json")}


def kinds(project: Path) -> list[Kind]:
    read = read_project(project)
    return [State.of(read.job(one)).kind for one in read.tomograms]


def test_a_killed_worker_costs_its_tomogram_once(world: Path, project: Path) -> None:
    process = start(project, "--workers", "2")
    wait_for(project, 1, process)
    workers(process)[0].kill()
    _, told = process.communicate(timeout=240)
    assert process.returncode == 0, told
    assert plain(told)
    assert kinds(project) == [Kind.DONE] * COUNT
    assert content(project) == content(world / "done")
    assert len(content(project)) == COUNT * 5


def test_ctrl_c_leaves_what_is_finished_and_the_next_run_does_the_rest(project: Path) -> None:
    process = start(project, "--workers", "2")
    wait_for(project, 1, process)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert plain(told), told
    assert psutil.wait_procs(children, timeout=20)[1] == []
    before = {path: path.stat().st_mtime_ns for path in project.glob("results/*/*_run.json")}
    assert len(before) >= 1
    assert kinds(project).count(Kind.DONE) == len(before)
    process = start(project, "--workers", "1")
    out, told = process.communicate(timeout=240)
    assert process.returncode == 0, told
    assert f"{COUNT - len(before)} to do, {len(before)} done" in out
    assert kinds(project) == [Kind.DONE] * COUNT
    assert all(path.stat().st_mtime_ns == state for path, state in before.items())


def test_two_runs_at_once_share_the_work(world: Path, project: Path) -> None:
    both = [start(project, "--workers", "1") for _ in range(2)]
    told = [process.communicate(timeout=240)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert kinds(project) == [Kind.DONE] * COUNT
    lines = finished(project)
    assert len([line for line in lines if "by another run" not in line]) == COUNT
    assert content(project) == content(world / "done")


def test_a_run_waits_for_what_a_killed_run_has_claimed(project: Path) -> None:
    process = start(project, "--workers", "1")
    wait_for(project, 1, process)
    process.kill()
    process.communicate()
    assert main(["project", "run", str(project), "--workers", "1"]) == 0
    assert kinds(project) == [Kind.DONE] * COUNT


def dies(task: Task) -> Outcome:
    """In place of `pick`: what a system does to a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return Outcome(task=task)


def test_a_tomogram_that_kills_every_worker_is_given_up(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aitom_cryosam.project import cluster

    read = read_project(project)
    job = read.job(read.tomograms[0])
    task = Task.of("TS_0", job)
    once = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with once, cluster.local(cluster.Share(((0,),)), 10**9) as engine:
        with pytest.raises(InputError, match=r"A worker has version .*, the project is run by 0.0"):
            list(engine([replace(task, version="0.0")]))
        monkeypatch.setattr(cluster, "pick", dies)
        [outcome] = engine([task])
    assert "Its workers died one after the other" in outcome.failure
    state = State.of(job)
    assert (state.kind, state.why) == (Kind.FAILED, outcome.failure)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Path]:
    """The file of a scheduler that runs, without workers."""
    path = tmp_path / "scheduler.json"
    command = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    process = begin(*command, "--scheduler-file", str(path))
    yield path
    process.terminate()
    process.wait(timeout=30)


def begin(*words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{words[0]}", *words[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_workers_of_a_scheduler(world: Path, project: Path, scheduler: Path, capsys) -> None:
    run = ["project", "run", str(project), "--scheduler-file", str(scheduler)]
    assert main([*run, "--wait", "20"]) == 2
    assert "has no worker after 20 s" in capsys.readouterr().err
    address = json.loads(scheduler.read_text())["address"]
    for threads in (2, 1):
        worker = begin("worker", address, "--nthreads", str(threads), "--no-dashboard")
        try:
            status = main([*run, "--wait", "60"])
        finally:
            worker.terminate()
            worker.wait(timeout=30)
        told = capsys.readouterr()
        assert status == (2 if threads == 2 else 0), told
        assert ("--nthreads 1" in told.err) == (threads == 2)
    assert content(project) == content(world / "done")


def test_no_scheduler(project: Path, tmp_path: Path, capsys) -> None:
    missing, other = tmp_path / "scheduler.json", tmp_path / "other.json"
    other.write_text("{}")
    nonsense = {
        f"{other} names no scheduler": ["--scheduler-file", str(other)],
        "There is no file": ["--scheduler-file", str(missing)],
        "There is no scheduler at tcp://127.0.0.1:1": ["--scheduler", "tcp://127.0.0.1:1"],
        "There is no scheduler at nonsense": ["--scheduler", "nonsense"],
        "Expected one of": ["--scheduler", "tcp://127.0.0.1:1", "--workers", "2"],
    }
    for says, options in nonsense.items():
        assert main(["project", "run", str(project), *options, "--wait", "1"]) == 2
        told = capsys.readouterr().err
        assert says in told
        assert plain(told)
    assert not (project / "results").exists()
