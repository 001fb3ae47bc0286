"""Real runs that are killed, ended, crowded out and cut off: all of a result, or nothing."""

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.faults.world import World, plain

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

SPILL = "from aitom_cryosam.resources import Resources\nResources.ram = property(lambda self: 0)"
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
