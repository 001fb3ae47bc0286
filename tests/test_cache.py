"""The cache: what comes out of it is what was put in, or it is made again and says why."""

import logging
import multiprocessing
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from aitom_cryosam.cache import Cache
from aitom_cryosam.cache import folder as cache_module
from aitom_cryosam.encoders.filterbank import FilterBankEncoder
from aitom_cryosam.errors import InputError
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.tomogram import Tomogram

DATA = np.random.default_rng(0).standard_normal((9, 14, 21)).astype(np.float32)
TOMOGRAM = Tomogram.from_array(DATA, voxel_size=10, name="TS_01")


class Counting(FilterBankEncoder):
    """Knows how many planes it has encoded, and waits if it is told to."""

    def __init__(self, diameter: float = 9.0, meeting: Path | None = None) -> None:
        super().__init__(diameter)
        self.planes = 0
        self.meeting = meeting

    def encode(self, planes):
        self.planes += len(planes)
        if self.meeting is not None:
            (self.meeting / str(os.getpid())).touch()
            while len(list(self.meeting.iterdir())) < 2:
                time.sleep(0.01)
        return super().encode(planes)


def tokens_through(folder, *, tomogram=TOMOGRAM, diameter=9.0, **settings):
    """(planes encoded, bytes of all tokens)."""
    encoder = Counting(diameter)
    cache = None if folder is None else Cache(folder)
    features = TriplanarFeatures.extract(tomogram, encoder, cache=cache, **settings)
    return encoder.planes, b"".join(view.tokens.tobytes() for view in features.views)


def test_a_second_run_encodes_nothing_and_has_the_same_tokens(tmp_path):
    _, expected = tokens_through(None, slab=2, shrinkage=0.1)
    planes, first = tokens_through(tmp_path / "new", slab=2, shrinkage=0.1)
    again, second = tokens_through(tmp_path / "new", slab=2, shrinkage=0.1)
    assert planes >= 5 + 7 + 11
    assert again == 0
    assert first == second == expected
    assert [entry.problem for entry in Cache(tmp_path / "new").entries()] == [None]


def test_progress_is_complete_either_way(tmp_path):
    for _ in range(2):
        told: list[tuple[str, int, int]] = []
        tokens_through(tmp_path, progress=lambda *now, told=told: told.append(now))
        assert told[-1] == ("features", 44, 44)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"diameter": 12.0}, "encoder.radius (found 4.5, wanted 6.0)"),
        ({"slab": 3}, "slab (found 2, wanted 3)"),
        ({"shrinkage": 0.2}, "shrinkage (found None, wanted 0.2)"),
        (
            {"tomogram": replace(TOMOGRAM, contrast="bright")},
            "contrast (found dark, wanted bright)",
        ),
        ({"tomogram": Tomogram.from_array(2 * DATA, voxel_size=10, name="TS_01")}, "data (found "),
        ({"tomogram": replace(TOMOGRAM, data=DATA.astype(np.float64))}, "data (found "),
    ],
)
def test_whatever_the_tokens_depend_on_makes_another_entry(tmp_path, caplog, changes, says):
    caplog.set_level(logging.INFO)
    tokens_through(tmp_path, slab=2)
    older = Cache(tmp_path).entries()[0].name
    settings = {"slab": 2, **changes}
    planes, found = tokens_through(tmp_path, **settings)
    assert planes > 0
    assert found == tokens_through(None, **settings)[1]
    assert f"Features of TS_01 are computed: {older}" in caplog.text
    assert says in caplog.text
    assert tokens_through(tmp_path, **settings) == (0, found)
    assert len(Cache(tmp_path).entries()) == 2


def test_the_log_names_the_entry_that_differs_least(tmp_path, caplog):
    tokens_through(tmp_path, slab=4, shrinkage=0.1)
    tokens_through(tmp_path, slab=2, shrinkage=0.2)
    tokens_through(tmp_path, tomogram=Tomogram.from_array(DATA**2, voxel_size=10, name="TS_02"))
    caplog.set_level(logging.INFO)
    tokens_through(tmp_path, slab=4)
    assert caplog.messages[0].endswith(" differs in shrinkage (found 0.1, wanted None).")


def test_an_empty_cache_has_nothing_of_the_tomogram(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    tokens_through(tmp_path / "new")
    assert caplog.messages[0] == (
        "Features of TS_01 are computed: nothing of this tomogram is in the cache."
    )


def test_the_name_and_the_voxel_size_do_not_matter(tmp_path):
    tokens_through(tmp_path)
    assert tokens_through(tmp_path, tomogram=replace(TOMOGRAM, name="b", voxel_size=3.0))[0] == 0


def test_another_version_is_ignored_and_said(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(cache_module, "version_of", lambda _: "0.0.9")
    tokens_through(tmp_path)
    monkeypatch.undo()
    caplog.set_level(logging.INFO)
    assert tokens_through(tmp_path)[0] > 0
    assert "differs in version (found 0.0.9, wanted " in caplog.text
    problems = {entry.problem for entry in Cache(tmp_path).entries()}
    assert problems == {None, "written by version 0.0.9"}


@pytest.mark.parametrize("size", [0, 60, 200, -1])
@pytest.mark.parametrize("name", ["z", "x"])
def test_a_truncated_file_is_made_again(tmp_path, caplog, name, size):
    _, expected = tokens_through(tmp_path)
    path = Cache(tmp_path).entries()[0].path / f"{name}.npy"
    content = path.read_bytes()
    path.write_bytes(content[:size])
    planes, found = tokens_through(tmp_path)
    assert planes > 0
    assert found == expected
    assert "is damaged and is made again" in caplog.text
    assert path.read_bytes() == content
    assert tokens_through(tmp_path)[0] == 0


def test_a_missing_file_and_one_of_another_shape_are_made_again(tmp_path):
    _, expected = tokens_through(tmp_path)
    path = Cache(tmp_path).entries()[0].path / "y.npy"
    path.unlink()
    assert tokens_through(tmp_path)[1] == expected
    np.save(path, np.zeros((2, 2), np.float16))
    assert tokens_through(tmp_path)[1] == expected


def test_tokens_outlive_their_entry(tmp_path):
    """A cleared cache does not take the tokens from a run that is at work."""
    features = TriplanarFeatures.extract(TOMOGRAM, Counting(), cache=Cache(tmp_path))
    before = [view.tokens.tobytes() for view in features.views]
    assert Cache(tmp_path).remove(Cache(tmp_path).entries()[0])
    assert list(tmp_path.iterdir()) == []
    assert [view.tokens.tobytes() for view in features.views] == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_ends_early_leaves_nothing(tmp_path, error):
    def stop(*_: object) -> None:
        raise error

    with pytest.raises(error):
        tokens_through(tmp_path, progress=stop)
    assert list(tmp_path.iterdir()) == []


def _in_a_process(folder: Path, meeting: Path, results: multiprocessing.Queue) -> None:
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("aitom_cryosam").addHandler(handler)
    logging.getLogger("aitom_cryosam").setLevel(logging.INFO)
    features = TriplanarFeatures.extract(TOMOGRAM, Counting(meeting=meeting), cache=Cache(folder))
    results.put((b"".join(view.tokens.tobytes() for view in features.views), messages))


def test_two_processes_at_once_end_with_one_entry(tmp_path):
    """Neither can end its first plane before the other has begun."""
    folder, meeting = tmp_path / "cache", tmp_path / "meeting"
    meeting.mkdir()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    arguments = (folder, meeting, results)
    processes = [context.Process(target=_in_a_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    (one, first), (other, second) = (results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert one == other == tokens_through(None)[1]
    assert len(list(folder.iterdir())) == 1
    assert sum("Another process was faster" in text for text in first + second) == 1
    assert tokens_through(folder) == (0, one)


def test_a_cache_that_cannot_be_made_is_one_sentence_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    encoder = Counting()
    with pytest.raises(InputError, match=r"^Cannot write to the cache .* \(Not a directory\); "):
        TriplanarFeatures.extract(TOMOGRAM, encoder, cache=Cache(tmp_path / "file" / "cache"))
    assert encoder.planes == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_closed_folder_is_one_sentence_but_gives_what_it_has(tmp_path):
    _, expected = tokens_through(tmp_path)
    tmp_path.chmod(0o500)
    try:
        assert tokens_through(tmp_path) == (0, expected)
        with pytest.raises(InputError, match="Permission denied"):
            tokens_through(tmp_path, slab=2)
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_one_sentence_before_any_work(tmp_path, monkeypatch):
    encoder = Counting()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=7))
    with pytest.raises(InputError, match=r"^The features need .* kB in .*, where 7 bytes are free"):
        TriplanarFeatures.extract(TOMOGRAM, encoder, cache=Cache(tmp_path))
    assert encoder.planes == 0
    assert list(tmp_path.iterdir()) == []


EMBEDDING = np.arange(24, dtype=np.float16).reshape(2, 3, 4)


def test_embeddings_come_back_as_they_were(tmp_path):
    store = Cache(tmp_path).embeddings(TOMOGRAM, {"segmenter": "sam", "size": 64})
    assert store.get(0, 3) is None
    store.put(0, 3, EMBEDDING)
    store.put(2, 3, 2 * EMBEDDING)
    store.put(2, 3, 4 * EMBEDDING)
    again = Cache(tmp_path).embeddings(TOMOGRAM, {"segmenter": "sam", "size": 64})
    assert again.get(0, 3).dtype == np.float16
    np.testing.assert_array_equal(again.get(0, 3), EMBEDDING)
    np.testing.assert_array_equal(again.get(2, 3), 4 * EMBEDDING)
    assert again.get(1, 3) is None
    other = Cache(tmp_path).embeddings(TOMOGRAM, {"segmenter": "sam", "size": 65})
    assert other.get(0, 3) is None
    assert [entry.kind for entry in Cache(tmp_path).entries()] == ["embeddings"] * 2


@pytest.mark.parametrize("size", [0, 30, -1])
def test_a_truncated_embedding_is_none_and_said(tmp_path, caplog, size):
    store = Cache(tmp_path).embeddings(TOMOGRAM, {})
    store.put(1, 2, EMBEDDING)
    path = store.folder / "y00002.npy"
    path.write_bytes(path.read_bytes()[:size])
    assert store.get(1, 2) is None
    assert "is damaged and is computed again" in caplog.text
    store.put(1, 2, EMBEDDING)
    np.testing.assert_array_equal(store.get(1, 2), EMBEDDING)


def test_a_store_that_cannot_be_written_says_so_once(tmp_path, caplog):
    store = Cache(tmp_path).embeddings(TOMOGRAM, {})
    Cache(tmp_path).remove(Cache(tmp_path).entries()[0])
    store.put(1, 2, EMBEDDING)
    store.put(1, 3, EMBEDDING)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Embeddings are no longer kept: ")


def test_what_does_not_belong_to_a_cache_is_left_alone(tmp_path):
    (tmp_path / "features-of-mine").mkdir()
    (tmp_path / "notes.txt").touch()
    assert Cache(tmp_path).entries() == []
    assert Cache(tmp_path / "missing").entries() == []


@pytest.mark.parametrize("name", ["z.npy", "signature.json"])
def test_a_flipped_bit_is_noticed(tmp_path, caplog, name):
    _, expected = tokens_through(tmp_path)
    path = Cache(tmp_path).entries()[0].path / name
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    planes, found = tokens_through(tmp_path)
    assert planes > 0
    assert found == expected
    assert "is damaged and is made again" in caplog.text


def test_a_flipped_bit_in_an_embedding_is_noticed(tmp_path, caplog):
    store = Cache(tmp_path).embeddings(TOMOGRAM, {})
    store.put(1, 2, EMBEDDING)
    path = store.folder / "y00002.npy"
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    assert store.get(1, 2) is None
    assert "is damaged and is computed again" in caplog.text


@pytest.mark.parametrize("kind", ["file", "link", "pipe"])
def test_an_entry_that_is_no_folder_is_replaced(tmp_path, kind):
    tokens_through(tmp_path / "cache")
    entry = Cache(tmp_path / "cache").entries()[0]
    shutil.rmtree(entry.path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").touch()
    if kind == "file":
        entry.path.touch()
    elif kind == "link":
        entry.path.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(entry.path)
    assert Cache(tmp_path / "cache").entries()[0].problem == "damaged"
    assert tokens_through(tmp_path / "cache")[0] > 0
    assert tokens_through(tmp_path / "cache")[0] == 0
    assert (tmp_path / "elsewhere" / "precious").exists()
    assert Cache(tmp_path / "cache").remove(Cache(tmp_path / "cache").entries()[0])


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[1]",
        "null",
        '{"tomogram": 1, "signature": 2, "sha256": {}}',
        '{"tomogram": "a", "signature": {"a": 1}, "sha256": []}',
        "1" * 5000,
        '{"signature": ' + '{"a": ' * 900 + "1" + "}" * 901,
    ],
)
def test_a_signature_that_is_none(tmp_path, text):
    tokens_through(tmp_path)
    entry = Cache(tmp_path).entries()[0]
    (entry.path / "signature.json").write_text(text)
    assert Cache(tmp_path).entries()[0].problem == "damaged"
    assert tokens_through(tmp_path)[0] > 0
    assert tokens_through(tmp_path)[0] == 0
