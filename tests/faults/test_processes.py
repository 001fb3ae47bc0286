"""Real runs that are killed, ended, crowded out and cut off: all of a result, or nothing.

CRYOSAM_FAULTS is the number of moments at which runs are ended.
"""

import importlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aitom_cryosam.cli.signals import heeded
from tests.faults.world import World, plain

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

MOMENTS = int(os.environ.get("CRYOSAM_FAULTS", "4"))
SPILL = (
    "from aitom_cryosam import forecast as f\nplan = f.Forecast.plan\n"
    "f.Forecast.plan = lambda *a: f.MemoryPlan(0, plan(*a).threads)\n"
)
SLOW = (
    "import time; from aitom_cryosam import publication as p\n"
    "_place = p.Publication._place\n"
    "def slow(*a):\n    time.sleep(0.05)\n    _place(*a)\n"
    "p.Publication._place = slow\n"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, float]:
    """A world with a result of 4 proposals, and how long that took."""
    world = World(tmp_path_factory.mktemp("world"))
    start = time.monotonic()
    status, told = world.run("--top-k", "4", code=SPILL)
    assert status == 0, told
    return world, time.monotonic() - start


@pytest.fixture
def world(finished: tuple[World, float], tmp_path: Path) -> World:
    """A copy of it without the result."""
    copy = World.__new__(World)
    copy.folder, copy.out, copy.tmp = tmp_path, tmp_path / "out", tmp_path / "tmp"
    copy.tmp.mkdir()
    copy.tomogram, copy.click = tmp_path / "TS.mrc", finished[0].click
    shutil.copy(finished[0].tomogram, copy.tomogram)
    return copy


def test_a_run_that_is_ended_at_any_moment_leaves_all_of_the_old_or_all_of_the_new(
    finished: tuple[World, float],
) -> None:
    world, seconds = finished
    assert world.state() == "top 4"
    for moment in range(MOMENTS):
        number = signal.SIGKILL if moment % 2 else signal.SIGTERM
        top = "6" if world.state() == "top 4" else "4"
        before = world.state()
        process = world.start("--top-k", top, "--overwrite", code=SPILL + "\n" + SLOW)
        time.sleep(seconds * 1.2 * moment / MOMENTS)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        assert plain(told), told
        ended = process.returncode
        assert ended in (0, -number, 128 + number), (ended, told)
        if ended == 128 + number:
            assert told.rstrip().endswith("cryosam pick: ended by SIGTERM.")
            assert world.hidden() == []
        if not any(name.startswith(".cryosam") for name in world.hidden()):
            assert world.state() in (before, f"top {top}")
        elif number == signal.SIGKILL:  # the next run ends what was begun, whatever becomes of it
            assert world.run("--top-k", top)[0] == 2
            assert world.state() in (before, f"top {top}")
    status, _ = world.run("--top-k", "4", "--overwrite")
    assert status == 0
    assert world.hidden() == []


INTERRUPTED = """
import signal, time
try:
    signal.raise_signal(signal.SIGINT)
    time.sleep(0.2)
except KeyboardInterrupt:  # as modules written in C++ do
    raise ImportError("initialization failed")
"""


def test_ctrl_c_waits_for_the_end_of_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    monkeypatch.syspath_prepend(tmp_path)

    def run() -> None:
        importlib.import_module("interrupted")
        time.sleep(10)

    # A shell starts what runs in its background deaf to Ctrl-C, and so it may have these tests.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), heeded():
            run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted" in sys.modules


def test_ctrl_c_that_waits_for_an_import_ends_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "short.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with heeded():
            importlib.import_module("short")
        time.sleep(0.2)  # else it would interrupt whatever comes after, as Python's own end
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_is_ignored_stays_so(number: int) -> None:
    """As SIGHUP of what `nohup` starts, which goes on when its terminal is closed."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with heeded():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_ctrl_c_in_the_first_second_is_quiet(world: World) -> None:
    begun = (  # before that the process is Python's own, which ends as it likes
        "import aitom_cryosam.cli as c; build = c.build_parser\n"
        "def begun(given):\n    print('begun', flush=True)\n    return build(given)\n"
        "c.build_parser = begun\n"
    )
    for wait in (0.0, 0.2, 0.4):  # seconds, of a run that may take less than one
        process = world.start(code=begun)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 130, told
        assert plain(told), told
        assert world.state() == "none"


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_slow_writers_never_mix(world: World, overwrite: bool) -> None:
    options = ["--overwrite"] if overwrite else []
    both = [world.start("--top-k", top, *options, code=SLOW) for top in ("4", "6")]
    told = [process.communicate(timeout=120)[1] for process in both]
    assert sorted(process.returncode for process in both) == ([0, 0] if overwrite else [0, 2])
    assert overwrite or any("already exists" in text for text in told)
    assert world.state() in ("top 4", "top 6")
    assert world.hidden() == []


def test_a_disk_that_fills_up_leaves_the_old_result(world: World) -> None:
    assert world.run("--top-k", "4")[0] == 0
    before = world.content()
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))\n"
    ignore = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    status, told = world.run("--top-k", "6", "--overwrite", code=limit + ignore)
    assert status == 2
    assert "No space left to write" in told
    assert world.content() == before
    assert world.hidden() == []


def test_a_folder_that_is_removed_during_the_run_is_made_again(world: World) -> None:
    world.out.mkdir()
    code = (
        "import shutil; from aitom_cryosam import result as r; write = r.Result.write\n"
        "def removed(self, folder, **k):\n    shutil.rmtree(folder)\n"
        "    return write(self, folder, **k)\n"
        "r.Result.write = removed\n"
    )
    status, told = world.run("--top-k", "4", code=code)
    assert (status, plain(told)) == (0, True)
    assert world.state() == "top 4"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_read_only_folder(world: World) -> None:
    world.out.mkdir(mode=0o500)
    status, told = world.run()
    assert (status, "is not writable" in told) == (2, True)


@pytest.mark.parametrize("link", ["file", "nowhere"])
def test_a_planted_link_is_never_written_through(world: World, link: str) -> None:
    precious = world.folder / "precious"
    if link == "file":
        precious.write_text("precious")
    world.out.mkdir()
    (world.out / "TS_picks.star").symlink_to(precious)
    status, told = world.run()
    assert (status, "already exists" in told) == (2, True)
    assert world.run("--top-k", "4", "--overwrite")[0] == 0
    assert world.state() == "top 4"
    assert precious.exists() == (link == "file")
    assert link == "nowhere" or precious.read_text() == "precious"


@pytest.mark.parametrize("closed", ["out", "err", "both", "full out", "full err", "cut pipe"])
def test_streams_that_are_closed_or_full_cost_nothing(world: World, closed: str) -> None:
    shell = {
        "out": ">&-",
        "err": "2>&-",
        "both": "<&- >&- 2>&-",
        "full out": ">/dev/full",
        "full err": "2>/dev/full",
        "cut pipe": "2>&1 | head -c 1 >/dev/null",
    }[closed]
    process = world.start("--top-k", "4")
    process.kill()
    process.communicate()
    command = " ".join(f"'{word}'" for word in process.args)  # type: ignore[union-attr]
    environment = {**os.environ, "TMPDIR": str(world.tmp)}
    done = subprocess.run(
        ["bash", "-c", f"{command} {shell}"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert plain(done.stderr), done.stderr
    assert done.returncode == (1 if closed == "full out" else 0)
    assert world.state() == "top 4"


@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_tomogram_that_shrinks_during_the_run_is_one_sentence(
    world: World, finished: tuple[World, float], share: float
) -> None:
    process = world.start("--top-k", "4")
    time.sleep(finished[1] * share)
    os.truncate(world.tomogram, 2000)
    _, told = process.communicate(timeout=120)
    if process.returncode == 0:  # it had been read by then
        assert world.state() == "top 4"
        return
    assert process.returncode == 2, told
    assert re.search("cut off|changed or removed", told.splitlines()[-1]), told
    assert world.state() == "none"


def test_a_tomogram_that_is_cut_off_while_it_is_mapped_is_one_sentence(world: World) -> None:
    # The file is cut after the last look at it, which no timing from outside can hit for sure.
    code = (
        "import os; from aitom_cryosam.source_file import SourceFile as S; check = S.check\n"
        "def cut(self):\n    check(self)\n    os.truncate(self.path, 0)\n"
        "S.check = cut\n"
    )
    status, told = world.run(code=code)
    assert (status, plain(told)) == (2, True)
    assert "a file was cut off while it was read" in told
    assert world.hidden() == []


def test_an_address_space_that_does_not_suffice_is_one_sentence(world: World) -> None:
    soft = 1_200_000_000
    code = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({soft}, {soft}))\n"
    status, told = world.run("--top-k", "4", code=code)
    assert plain(told), told
    assert status in (0, 1, 2)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != soft  # of that process only
