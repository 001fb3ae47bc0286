"""Results are complete under their name, or absent."""

import errno
import os
from pathlib import Path

import pytest

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import publishing, write_all, write_text, writing
from aitom_cryosam.outputs import check_output, output_folder, refuse_existing


def write_half(path, error, **options):
    with writing(path, **options) as temporary:
        temporary.write_text("half")
        raise error


def test_text_has_lf_and_utf8(tmp_path):
    write_text(tmp_path / "a.star", "é\nb\n")
    assert (tmp_path / "a.star").read_bytes() == b"\xc3\xa9\nb\n"
    assert os.listdir(tmp_path) == ["a.star"]


def test_temporary_file_has_its_name_in_a_folder_of_its_own_beside(tmp_path):
    with writing(tmp_path / "a.png") as temporary:
        assert (temporary.parent.parent, temporary.name) == (tmp_path, "a.png")
        assert temporary.parent.stat().st_mode & 0o777 == 0o700
        temporary.touch()
        assert not (tmp_path / "a.png").exists()
    assert (tmp_path / "a.png").exists()


def test_existing_result_stays_unless_overwritten(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(InputError, match=r"a\.txt already exists; .*overwrite=True"):
        write_text(path, "new")
    assert path.read_text() == "old"
    write_text(path, "new", overwrite=True)
    assert path.read_text() == "new"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_interrupted_writing_leaves_the_old_file_alone(tmp_path, stop):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(stop):
        write_half(path, stop, overwrite=True)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "No space left to write .*a.txt"),
        (errno.EDQUOT, "No space left"),
        (errno.EACCES, "not writable"),
        (errno.EROFS, "not writable"),
        (errno.EIO, "Cannot write .*a.txt"),
    ],
)
def test_failure_of_the_disk_is_a_sentence(tmp_path, number, sentence):
    with pytest.raises(InputError, match=sentence):
        write_half(tmp_path / "a.txt", OSError(number, os.strerror(number)))
    assert os.listdir(tmp_path) == []


def test_the_file_is_named_by_its_place_and_not_by_its_draft(tmp_path):
    with (
        pytest.raises(InputError, match=f"No space left to write {tmp_path}/a.txt: "),
        publishing(tmp_path, {"a": tmp_path / "a.txt"}) as drafts,
        writing(drafts["a"]),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="not an existing folder"):
        write_text(tmp_path / "no" / "a.txt", "text")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        refuse_existing([tmp_path], overwrite=True)


def test_output_folder_is_made_and_left_empty(tmp_path):
    folder = output_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert os.listdir(folder) == []
    assert output_folder(folder) == folder


def test_a_folder_that_takes_no_file_is_not_left(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    for write in (output_folder, lambda folder: write_all({folder / "a.txt": "text"})):
        with pytest.raises(InputError, match=f"No space left to write {tmp_path / 'a' / 'b'}"):
            write(tmp_path / "a" / "b")
        assert os.listdir(tmp_path) == []


def test_a_folder_is_checked_without_being_made(tmp_path):
    check_output(tmp_path / "a" / "b")
    check_output(tmp_path)
    assert os.listdir(tmp_path) == []
    (tmp_path / "there").touch()
    with pytest.raises(InputError, match="already exists"):
        check_output(tmp_path, [tmp_path / "new", tmp_path / "there"])
    check_output(tmp_path, [tmp_path / "new", tmp_path / "there"], overwrite=True)


@pytest.mark.parametrize("ask", [output_folder, check_output])
def test_output_folder_under_a_file(tmp_path, ask):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "b"):
        with pytest.raises(InputError, match="not an existing folder"):
            ask(path)


@pytest.mark.parametrize("ask", [output_folder, check_output])
def test_output_folder_of_an_impossible_name(tmp_path, ask):
    for name in ("a\0b", "x" * 300):
        with pytest.raises(InputError, match=r"Cannot write|too long"):
            ask(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
@pytest.mark.parametrize("ask", [output_folder, check_output])
def test_output_folder_not_writable(tmp_path, ask):
    tmp_path.chmod(0o500)
    for folder in (tmp_path, tmp_path / "a" / "b"):
        with pytest.raises(InputError, match="not writable"):
            ask(folder)
