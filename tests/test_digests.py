"""Checksums of large files, remembered across processes."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aitom_cryosam import checkpoints, digests
from aitom_cryosam.digests import Digests
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS


@pytest.fixture(autouse=True)
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read; all are large and have been quiet for long."""
    names: list[str] = []

    def counted(path: Path) -> str:
        names.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(digests, "sha256_of", counted)
    monkeypatch.setattr(digests, "_LARGE", 1)
    monkeypatch.setattr(digests, "_QUIET_NS", -(10**12))
    new_process()
    return names


def new_process() -> None:
    Digests._here.clear()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "w.pth"
    path.write_bytes(b"abc")
    return path


ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def of(path: Path) -> str:
    """As another process would ask."""
    new_process()
    return Digests(path.parent / "cache" / "digests.json").of(path)


def test_a_file_is_read_once_by_all_processes(weights: Path, reads: list[str]) -> None:
    assert {of(weights) for _ in range(3)} == {ABC}
    link = weights.with_name("link.pth")
    link.symlink_to(weights)
    assert of(link) == ABC
    assert reads == ["w.pth"]
    memory = weights.parent / "cache" / "digests.json"
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600
    assert [path.name for path in memory.parent.iterdir()] == ["digests.json"]


def test_an_altered_file_is_found_even_if_its_time_is_set_back(weights: Path) -> None:
    os.utime(weights, ns=(1, 1))
    assert of(weights) == ABC
    weights.write_bytes(b"xyz")
    os.utime(weights, ns=(1, 1))
    assert weights.stat().st_mtime_ns == 1
    assert of(weights) == hashlib.sha256(b"xyz").hexdigest()
    other = weights.with_name("other")
    other.write_bytes(b"abc")
    os.utime(other, ns=(1, 1))
    other.replace(weights)
    assert of(weights) == ABC


def test_altered_weights_are_refused_by_the_next_process(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = MODELS["sam_vit_b"].weights
    assert published is not None
    model = replace(
        MODELS["sam_vit_b"], weights=replace(published, file="w.pth", size=3, sha256=ABC)
    )
    monkeypatch.setattr(checkpoints, "_named", lambda: [weights.parent])
    monkeypatch.setattr(checkpoints, "_cache", lambda: weights.parent / "cache")
    for _ in range(2):
        new_process()
        assert checkpoints.require(model) == weights
    weights.write_bytes(b"abx")
    new_process()
    with pytest.raises(InputError, match=r"w\.pth is not the published w\.pth: its sha256 is"):
        checkpoints.require(model)


def test_a_file_that_changed_just_now_is_read_again(
    weights: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_QUIET_NS", 10**12)
    assert of(weights) == of(weights) == ABC
    assert len(reads) == 2


def test_a_small_file_is_not_written_down(
    weights: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_LARGE", 4)
    assert of(weights) == Digests(weights.parent / "none").of(weights) == ABC
    assert reads == ["w.pth"]
    assert [path.name for path in weights.parent.iterdir()] == ["w.pth"]


@pytest.mark.parametrize(
    "content",
    ["", "no JSON", "[]", "3", '{"w": 3}', '{"w": [1, 2, 3]}', '{"w": [3, "x"]}', "[" * 9999],
)
def test_a_damaged_memory_is_replaced(weights: Path, reads: list[str], content: str) -> None:
    memory = weights.parent / "cache" / "digests.json"
    memory.parent.mkdir()
    memory.write_text(content)
    assert of(weights) == of(weights) == ABC
    assert reads == ["w.pth"]


def lie(weights: Path) -> Path:
    """A memory that says something else of the file."""
    assert of(weights) == ABC
    memory = weights.parent / "cache" / "digests.json"
    memory.write_text(memory.read_text().replace(ABC, "0" * 64))
    return memory


def test_what_others_may_have_written_is_not_believed(weights: Path) -> None:
    memory = lie(weights)
    assert of(weights) == "0" * 64  # the lie would be believed
    memory.chmod(0o666)
    assert of(weights) == ABC
    memory = lie(weights)
    elsewhere = memory.with_name("elsewhere")
    memory.rename(elsewhere)
    memory.symlink_to(elsewhere)
    assert of(weights) == ABC


def test_somebody_elses_memory_is_not_believed(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie(weights)
    monkeypatch.setattr(os, "geteuid", lambda: weights.stat().st_uid + 1)
    assert of(weights) == ABC


def test_without_a_place_to_write_files_are_read_once_a_process(
    weights: Path, reads: list[str]
) -> None:
    memory = weights / "cache" / "digests.json"  # below a file
    new_process()
    assert Digests(memory).of(weights) == Digests(memory).of(weights) == ABC
    assert reads == ["w.pth"]


def test_only_so_many_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_MOST", 3)
    for name in "abcda":
        (tmp_path / name).write_text(name)
        of(tmp_path / name)
    known = json.loads((tmp_path / "cache" / "digests.json").read_text())
    assert [Path(path).name for path in known] == ["c", "d", "a"]


def test_a_real_process_remembers_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(bytes(1 << 24))
    code = (
        "import sys; from pathlib import Path; from aitom_cryosam import digests; "
        "digests._QUIET_NS = -(10**12); "
        "print(digests.Digests(Path(sys.argv[1]) / 'memory.json').of(sys.argv[2]))"
    )
    asked = [sys.executable, "-c", code, str(tmp_path), str(path)]
    first = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    assert first == hashlib.sha256(bytes(1 << 24)).hexdigest()
    memory = tmp_path / "memory.json"
    memory.write_text(memory.read_text().replace(first, "0" * 64))
    assert subprocess.run(asked, capture_output=True, text=True).stdout.strip() == "0" * 64
