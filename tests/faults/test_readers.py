"""Who reads a folder in which a run was killed while its files took their places: all or nothing.

The run dies before its first, second, ... change of a name, until none is left.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.files import publishing, write_all, writing_folder
from aitom_cryosam.napari.reader import reader
from aitom_cryosam.outputs import refuse_existing_folder
from aitom_cryosam.project import read_project
from aitom_cryosam.project.state import Kind, State
from aitom_cryosam.publication import Publication
from aitom_cryosam.record import Record
from aitom_cryosam.tidying import settle
from tests.faults.world import write_tomogram

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process to kill")

FEW = ["--preset", "embedded", "--diameter", "250", "--cut", "none", "--top-k", "4", "--quiet"]


def dies(before: int, work: Callable[[], object]) -> bool:
    """Do it in a process that dies before so many names have changed; False if it lived."""
    child = os.fork()
    if child == 0:
        left, move = iter(range(before)), Publication._move

        def counted(change):
            def changed(*args, **options):
                if next(left, None) is None:
                    os._exit(9)
                return change(*args, **options)

            return changed

        def watched(self):
            for owner, name in ((Path, "rename"), (Path, "replace"), (os, "link")):
                setattr(owner, name, counted(getattr(owner, name)))
            move(self)

        try:
            Publication._move = watched  # type: ignore[method-assign]
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 9


def deaths(
    folder: Path, before: Path, work: Callable[[], object], *, step: int = 1
) -> Iterator[None]:
    """`folder` as a copy of `before` in which the work has died, for every `step`th moment."""
    for moment in range(0, 100, step):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)
        if not dies(moment, work):
            assert moment > 1
            return
        yield


def publish(result: Path, folder: Path) -> None:
    """Put a copy of a result into a folder, as a run does."""
    files = {path.name: path for path in result.iterdir()}
    with publishing(folder, {n: folder / n for n in files}, overwrite=True) as drafts:
        for name, path in files.items():
            shutil.copy(path, drafts[name])


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A project that is done, and two results of its tomogram, `old` and `new`."""
    folder = tmp_path_factory.mktemp("world")
    click = write_tomogram(folder / "TS.mrc")
    tomogram = str(folder / "TS.mrc")
    query = str(folder / "a.query")
    assert main(["query", tomogram, "--prompt", click, *FEW, "--out", query]) == 0
    out = str(folder / "project")
    assert main(["project", "init", tomogram, "--query", query, *FEW, "--out", out]) == 0
    assert main(["project", "run", out, "--workers", "1", "--quiet"]) == 0
    done = str(folder / "project" / "results" / "TS")
    for name, top in (("old", "3"), ("new", "2")):
        select = ["select", done, "--top", top, "--out", str(folder / name), "--star", "warp"]
        assert main(select) == 0
    return folder


READERS = {
    "report": ["report", "OUT", "--out", "MADE/a.html"],
    "evaluate": ["evaluate", "OUT", "TRUTH", "--radius", "100"],
    "evaluate a file": ["evaluate", "OUT/TS_picks.star", "TRUTH", "--radius", "100"],
    "export": ["export", "OUT", "--to", "coords", "--out", "MADE/coords"],
    "export a file": ["export", "OUT/TS_picks.star", "--to", "coords", "--out", "MADE/coords"],
    "select": ["select", "OUT", "--top", "1", "--out", "MADE/selected"],
    "validate": ["validate", "OUT/TS_picks.star", "OUT/TS_warp.star"],
}


@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
def test_commands_see_a_whole_result(world, tmp_path, capsys, words):
    out, truth = tmp_path / "out", world / "old" / "TS_picks.star"
    died = deaths(out, world / "old", lambda: publish(world / "new", out), step=5)
    for moment, _ in enumerate(died):
        made = tmp_path / str(moment)
        made.mkdir()
        places = {"OUT": str(out), "MADE": str(made), "TRUTH": str(truth)}
        typed = words
        for name, place in places.items():
            typed = [part.replace(name, place) for part in typed]
        assert main(typed) == 0, capsys.readouterr()
        assert [path for path in out.iterdir() if path.name.startswith(".")] == []
        record = Record.open(out)
        record.check()
        assert len(record.picks) == 2  # what has begun is ended


def test_napari_sees_a_whole_result(world, tmp_path):
    out = tmp_path / "out"
    tmp_path.joinpath("none").mkdir()
    for _ in deaths(out, tmp_path / "none", lambda: publish(world / "new", out), step=3):
        assert reader(str(out)) is not None
        Record.open(out).check()


def test_a_project_sees_what_is_done(world, tmp_path):
    project = read_project(world / "project")
    (one,) = project.tomograms
    job = project.job(one)
    assert job.out is not None
    done = job.out.rename(tmp_path / "done")
    (tmp_path / "none").mkdir()
    try:
        for ask in (lambda: State.of(job).kind is Kind.DONE, lambda: job.done):
            for _ in deaths(job.out, tmp_path / "none", lambda: publish(done, job.out), step=3):
                assert ask()
    finally:
        shutil.rmtree(job.out, ignore_errors=True)
        done.rename(job.out)


def write_folder(path, *, meanwhile=lambda: None, overwrite=False):
    with writing_folder(path, overwrite=overwrite) as draft:
        draft.mkdir()
        (draft / "new").touch()
        meanwhile()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_is_the_old_one_or_the_new_one(tmp_path, overwrite):
    before, place = tmp_path / "before", tmp_path / "place"
    (before / "a.zarr" if overwrite else before).mkdir(parents=True)
    if overwrite:
        (before / "a.zarr" / "old").touch()

    for _ in deaths(place, before, lambda: write_folder(place / "a.zarr", overwrite=overwrite)):
        with pytest.raises(InputError, match="already exists"):
            refuse_existing_folder(place / "a.zarr")
        assert [path.name for path in place.rglob("*")] == ["a.zarr", "new"]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "old").touch()
    to_disk = os.fsync

    def broken(handle):
        if any(path.name == "new" for path in (tmp_path / "a.zarr").iterdir()):
            raise OSError(5, "broken")
        to_disk(handle)

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(InputError, match="Cannot write"):
        write_folder(tmp_path / "a.zarr", overwrite=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zarr", "old"]


def test_a_folder_that_has_come_meanwhile_is_not_replaced(tmp_path):
    def foreign() -> None:
        (tmp_path / "a.zarr").mkdir()
        (tmp_path / "a.zarr" / "foreign").touch()

    with pytest.raises(InputError, match=r"a\.zarr already exists"):
        write_folder(tmp_path / "a.zarr", meanwhile=foreign)
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zarr", "foreign"]


def test_files_in_several_folders(tmp_path):
    home, before = tmp_path / "home", tmp_path / "before"
    files = {home / "a" / "x": "new", home / "b" / "y": "new"}
    for path in files:
        old = before / path.relative_to(home)
        old.parent.mkdir(parents=True)
        old.write_text("old")
    for _ in deaths(home, before, lambda: write_all(files, overwrite=True)):
        with pytest.raises(InputError, match="already exists"):
            write_all(files)
        assert [path.read_text() for path in files] == ["new", "new"]


def test_a_closed_folder_is_one_sentence(world, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(world / "old", out)
    assert dies(8, lambda: publish(world / "new", out))

    def closed(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Publication, "_place", closed)
    with pytest.raises(InputError, match=r"left half of its result in .*out.*Permission denied"):
        Record.open(out)
    monkeypatch.undo()
    Record.open(out).check()


def test_a_folder_of_a_thousand_results_is_listed_once(tmp_path, monkeypatch):
    result, out = tmp_path / "result", tmp_path / "out"
    for folder in (result, out):
        folder.mkdir()
    names = ["a_picks.star", "a_run.json"]
    for name in names:
        (result / name).touch()
    os.utime(out, (0, 0))
    settle(out)
    listed: list[Path] = []
    monkeypatch.setattr(os, "scandir", listed.append)
    settle(out)
    assert listed == []
    monkeypatch.undo()
    assert dies(1, lambda: publish(result, out))
    settle(out)
    assert sorted(os.listdir(out)) == names
