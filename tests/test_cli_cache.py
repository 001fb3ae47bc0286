"""`cryosam cache`: shows what is there, and removes what it is told to."""

import os
import time

import numpy as np
import pytest

from aitom_cryosam.cache import Cache
from aitom_cryosam.cli import main
from aitom_cryosam.cli.cache import default_folder
from aitom_cryosam.tomogram import Tomogram

DAY = 86400


@pytest.fixture
def cache(tmp_path):
    """An embedding store of 1 plane, one from 10 days ago, and something else."""
    data = np.random.default_rng(0).standard_normal((3, 4, 5))
    tomogram = Tomogram.from_array(data, voxel_size=10, name="TS_01")
    made = Cache(tmp_path)
    made.embeddings(tomogram, {"size": 1}).put(0, 0, np.zeros(500, np.float32))
    old = made.embeddings(tomogram, {"size": 2}).folder
    for path in (*old.iterdir(), old):
        os.utime(path, (time.time() - 10 * DAY,) * 2)
    (tmp_path / "notes.txt").touch()
    return made


def names(cache):
    return [entry.name for entry in sorted(cache.entries(), key=lambda entry: -entry.modified)]


def run(cache, *arguments):
    return main(["cache", *arguments, "--cache", str(cache.folder)])


def test_list_shows_every_entry(cache, capsys):
    (cache.entries()[0].path / "signature.json").write_text("{")
    assert run(cache, "list") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["entry", "tomogram", "kind", "size", "written", "usable"]
    rows = {line.split()[0]: line for line in shown[1:-1]}
    assert sorted(rows) == sorted(names(cache))
    damaged, good = (rows[entry.name] for entry in cache.entries())
    assert damaged.endswith("  no: damaged")
    assert "  TS_01     embeddings" in good
    assert good.endswith("  yes")
    assert shown[-1].startswith("2 entries, ")
    assert shown[-1].endswith(f" kB, in {cache.folder}")


def test_entries_from_the_future_are_there(cache, capsys):
    """The clocks of file servers and of machines differ."""
    for entry in cache.entries():
        os.utime(entry.path, (time.time() + 60,) * 2)
    assert run(cache, "list") == 0
    assert "2 entries" in capsys.readouterr().out
    assert run(cache, "clear") == 0
    assert cache.entries() == []


def test_list_of_nothing(tmp_path, capsys):
    assert main(["cache", "list", "--cache", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"0 entries, 0 bytes, in {tmp_path}\n"


def test_clear_removes_all_entries_and_nothing_else(cache, capsys):
    assert run(cache, "clear") == 0
    assert [path.name for path in cache.folder.iterdir()] == ["notes.txt"]
    assert capsys.readouterr().out.startswith("removed 2 entries, ")


def test_clear_by_age(cache):
    new, _ = names(cache)
    assert run(cache, "clear", "--older-than", "11") == 0
    assert len(cache.entries()) == 2
    assert run(cache, "clear", "--older-than", "9") == 0
    assert names(cache) == [new]


def test_clear_by_name(cache):
    new, old = names(cache)
    assert run(cache, "clear", new) == 0
    assert names(cache) == [old]


def test_an_unfinished_entry_goes_only_when_it_is_old(cache, capsys):
    left = cache.folder / f".features-{'0' * 16}-{'1' * 32}"
    left.mkdir()
    assert run(cache, "list") == 0
    assert "no: unfinished" in capsys.readouterr().out
    assert run(cache, "clear") == 0
    assert f"{left.name} is left" in capsys.readouterr().err
    os.utime(left, (time.time() - 2 * DAY,) * 2)
    assert run(cache, "clear") == 0
    assert not left.exists()


def test_quiet_and_nothing_typed(cache, capsys):
    assert run(cache, "clear", "--quiet") == 0
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit):
        main(["cache"])
    assert "the following arguments are required: action\n" in capsys.readouterr().err


def test_an_unknown_name_or_folder_is_one_sentence(cache, capsys):
    assert run(cache, "clear", "features-1") == 2
    assert "There is no entry features-1 in " in capsys.readouterr().err
    assert len(cache.entries()) == 2
    assert main(["cache", "list", "--cache", str(cache.folder / "no")]) == 2
    assert "no is not an existing folder; check --cache." in capsys.readouterr().err


def test_the_user_cache_is_looked_at_without_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder().parts[-2:] == ("aitom_cryosam", "features")
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out == f"0 entries, 0 bytes, in {default_folder()}\n"
    assert not default_folder().exists()
