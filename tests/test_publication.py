"""The files of one result: all of the new, or all of the old."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from aitom_cryosam import temporaries
from aitom_cryosam.errors import InputError
from aitom_cryosam.files import publishing, write_all
from aitom_cryosam.outputs import check_output, output_folder, ready_to_write, refuse_existing
from aitom_cryosam.publication import MARK, Publication
from aitom_cryosam.temporaries import leftovers, temporary_folder

NAMES = ("a_picks.star", "a_labels.mrc", "a_run.json")


def write(folder, text, *, names=NAMES, meanwhile=None, **options):
    paths = {name: folder / name for name in names}
    with publishing(folder, paths, **options) as drafts:
        for draft in drafts.values():
            draft.write_text(text)
        if meanwhile is not None:
            meanwhile()


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def all_of(text, names=NAMES):
    return dict.fromkeys(names, text)


def test_all_are_new_and_nothing_else_is_left(tmp_path):
    write(tmp_path, "old")
    assert contents(tmp_path) == all_of("old")
    (tmp_path / "b_picks.star").write_text("another tomogram's")
    write(tmp_path, "new", overwrite=True)
    assert contents(tmp_path) == {**all_of("new"), "b_picks.star": "another tomogram's"}
    assert len(os.listdir(tmp_path)) == 4


def test_files_that_the_new_result_does_not_have_go_with_the_old(tmp_path):
    write(tmp_path, "old")
    write(tmp_path, "new", names=NAMES[1:], stale=[tmp_path / NAMES[0]], overwrite=True)
    assert contents(tmp_path) == all_of("new", NAMES[1:])


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("number", range(3))
def test_a_folder_in_the_way_of_one_leaves_all_as_it_was(tmp_path, number, overwrite):
    if overwrite:
        write(tmp_path, "old")
        (tmp_path / NAMES[number]).unlink()
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"folder|exists"):
        write(tmp_path, "new", meanwhile=(tmp_path / NAMES[number]).mkdir, overwrite=overwrite)
    assert contents(tmp_path) == before
    assert leftovers(tmp_path) == []
    assert not list(tmp_path.glob(".*"))


def test_without_overwrite_the_later_of_two_is_refused_in_a_race(tmp_path):
    with pytest.raises(InputError, match=r"a_picks\.star already exists"):
        write(tmp_path, "slow", meanwhile=lambda: write(tmp_path, "fast"))
    assert contents(tmp_path) == all_of("fast")


def test_a_disk_that_is_full_at_the_last_file(tmp_path, monkeypatch):
    write(tmp_path, "old")
    rename = Path.replace

    def full(self, target):
        if Path(target) == tmp_path / NAMES[2] and self.read_text() == "new":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match="No space left"):
        write(tmp_path, "new", overwrite=True)
    assert contents(tmp_path) == all_of("old")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_twice_while_files_take_their_places(tmp_path, monkeypatch):
    """The system gives it to any thread, as to one of a numerical library."""
    write(tmp_path, "old")
    done, rename, calls = threading.Event(), Path.replace, iter(range(10))
    other = threading.Thread(target=done.wait)

    def interrupted(self, target):
        if next(calls):
            signal.pthread_kill(other.ident, signal.SIGINT)
            time.sleep(0.05)
        return rename(self, target)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    other.start()
    monkeypatch.setattr(Path, "replace", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, "new", overwrite=True)
    finally:
        done.set()
        signal.signal(signal.SIGINT, before)
    assert contents(tmp_path) == all_of("new")


def test_a_quota_that_the_disk_tells_of_when_it_writes(tmp_path, monkeypatch):
    """Of one in forty files, more than are waited for one by one."""
    names = [f"{number}_picks.star" for number in range(40)]
    write(tmp_path, "old", names=names)
    to_disk, asked = os.fsync, []

    def full(handle):
        asked.append(handle)
        if len(asked) == 35:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        to_disk(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write(tmp_path, "new", names=names, overwrite=True)
    assert contents(tmp_path) == all_of("old", names)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("lacking", [["link"], ["link", "chmod", "utime", "fsync"]])
def test_disks_without_hard_links(tmp_path, monkeypatch, lacking):
    """As those of cameras, and of other systems' servers."""

    def never(*paths, **options):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    for what in lacking:
        monkeypatch.setattr(os, what, never)
    write(tmp_path, "old")
    with pytest.raises(InputError, match="already exists"):
        write(tmp_path, "new")
    write(tmp_path, "new", overwrite=True)
    assert contents(tmp_path) == all_of("new")


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    home = tmp_path / "home"
    home.mkdir()
    (home / NAMES[0]).symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="already exists"):
        write(home, "new")
    write(home, "new", overwrite=True)
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (home / NAMES[0]).is_symlink()


def killed(folder, after, *, overwrite):
    """What a process leaves that is killed after it has moved some of the files."""
    temporary = folder / f"{temporaries.PREFIX}{temporaries._HOST}-{2**22 + 1}-x"
    temporary.mkdir()
    moves = {f"{number}": name for number, name in enumerate(NAMES)}
    for draft in moves:
        (temporary / draft).write_text("new")
    publication = Publication(temporary, folder, moves, overwrite=overwrite)
    (temporary / MARK).write_text(json.dumps({"moves": moves, "stale": [], "overwrite": overwrite}))
    if overwrite:
        (temporary / "replaced").mkdir()
        for name in NAMES:
            publication._keep(name, gone=False)
    for draft, name in list(moves.items())[:after]:
        publication._place(temporary / draft, folder / name)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("after", range(4))
def test_what_a_killed_process_has_begun_is_ended_by_the_next(tmp_path, after, overwrite):
    if overwrite:
        write(tmp_path, "old")
    killed(tmp_path, after, overwrite=overwrite)
    output_folder(tmp_path)
    assert contents(tmp_path) == all_of("new")
    assert len(os.listdir(tmp_path)) == 3


REFUSALS = {
    "existing": lambda folder, paths: refuse_existing(paths),
    "output": lambda folder, paths: check_output(folder, paths),
    "ready": lambda folder, paths: ready_to_write(paths),
    "writing": lambda folder, paths: write(folder, "newer"),
}


@pytest.mark.parametrize("refuse", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("after", range(4))
def test_a_run_that_is_refused_ends_it_too(tmp_path, after, refuse):
    write(tmp_path, "old")
    killed(tmp_path, after, overwrite=True)
    with pytest.raises(InputError, match="already exists"):
        refuse(tmp_path, [tmp_path / name for name in NAMES])
    assert contents(tmp_path) == all_of("new")
    assert len(os.listdir(tmp_path)) == 3


@pytest.mark.parametrize("after", range(1, 3))
def test_or_taken_back_where_a_foreign_file_is_in_the_way(tmp_path, after):
    killed(tmp_path, after, overwrite=False)
    (tmp_path / NAMES[2]).write_text("foreign")
    output_folder(tmp_path)
    assert contents(tmp_path) == {NAMES[2]: "foreign"}


def test_a_mark_that_points_elsewhere_is_not_believed(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    killed(home, 0, overwrite=True)
    mark = next(home.glob(".*")) / MARK
    mark.write_text(json.dumps({"moves": {"0": "../out"}, "stale": [], "overwrite": True}))
    output_folder(home)
    assert os.listdir(home) == []
    assert os.listdir(tmp_path) == ["home"]


def test_several_files_in_several_folders_are_one_thing(tmp_path):
    (tmp_path / "b").mkdir()
    files = {tmp_path / "a" / "x": "1", tmp_path / "b" / "y": b"2"}
    write_all(files)
    assert (tmp_path / "a" / "x").read_text() == "1"
    assert (tmp_path / "b" / "y").read_text() == "2"
    (tmp_path / "a" / "x").unlink()
    with pytest.raises(InputError, match="y already exists"):
        write_all(files)
    assert not (tmp_path / "a" / "x").exists()


def _race(folder, text, overwrite):
    try:
        write(folder, text, overwrite=overwrite)
    except InputError:
        return None
    return text


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_writers_at_once_never_mix(tmp_path, overwrite):
    with get_context("fork").Pool(2) as pool:
        for number in range(10):
            folder = tmp_path / str(number)
            folder.mkdir()
            jobs = [(folder, text * 200_000, overwrite) for text in "ab"]
            wrote = [text for text in pool.starmap(_race, jobs) if text]
            assert len(wrote) == (2 if overwrite else 1)
            assert len(set(contents(folder).values())) == 1
            assert len(os.listdir(folder)) == 3


def test_leftovers_are_those_of_processes_that_are_gone(tmp_path):
    code = (
        "import os, sys; from aitom_cryosam.temporaries import temporary_folder\n"
        "with temporary_folder(sys.argv[1]) as folder:\n"
        "    (folder / 'half').touch(); os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    with temporary_folder(tmp_path) as living:
        (tmp_path / ".cryosam-elsewhere-1-x").mkdir()
        assert len(leftovers(tmp_path)) == 1
        assert len(os.listdir(tmp_path)) == 3
        output_folder(tmp_path)
        assert sorted(os.listdir(tmp_path)) == sorted([living.name, ".cryosam-elsewhere-1-x"])


def test_a_name_that_the_disk_cannot_hold_is_known_before_the_work(tmp_path):
    with pytest.raises(InputError, match="is too long for this disk"):
        write(tmp_path, "new", names=["x" * 300])
    with pytest.raises(InputError, match="is too long for this disk"):
        output_folder(tmp_path / ("x" * 300))


def test_folders_that_were_made_for_a_failed_result_go_with_it(tmp_path):
    folder = tmp_path / "a" / "b"
    with pytest.raises(InputError), publishing(folder, {"one": folder / "one"}):
        raise InputError("It cannot be made.")
    assert os.listdir(tmp_path) == []
    with pytest.raises(InputError), publishing(tmp_path, {"one": tmp_path / "one"}):
        raise InputError("It cannot be made.")
    assert tmp_path.is_dir()
