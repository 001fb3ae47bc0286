"""Checkpoints: where they are found, what is read from them, what is refused, what is fetched."""

import hashlib
import io
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aitom_cryosam import checkpoints
from aitom_cryosam import download as downloading
from aitom_cryosam.checkpoint_file import config, load
from aitom_cryosam.checkpoints import fetch, find, parse_checkpoints, require, verify
from aitom_cryosam.doors import Door
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS, Model, Weights
from tests.servers import serving

TENSORS = {"blocks.0.weight": torch.arange(6.0).reshape(2, 3), "norm.bias": torch.ones(4)}
PAGE = b"\n<!DOCTYPE html><html><body>Please log in.</body></html>"
CLOSED = "http://127.0.0.1:9"  # the discard port: nobody listens


def saved(content: object, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


GOOD = saved(TENSORS)


def published(url: str = CLOSED, body: bytes = GOOD, *, hashed: bool = True) -> Model:
    """A model whose weights are `body` and lie at `url`."""
    weights = Weights(
        file="tiny_0123.pth",
        url=f"{url}/tiny_0123.pth",
        size=len(body) if hashed else None,
        sha256=hashlib.sha256(body).hexdigest() if hashed else None,
        licence="Apache-2.0",
        citation="Somebody, Somewhere, 2026",
    )
    return Model(name="tiny", family="dino", weights=weights)


TINY = published()


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without weights: the user's cache and TORCH_HOME are empty."""
    monkeypatch.delenv("AITOM_CRYOSAM_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(checkpoints, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    return tmp_path


def put(path: Path, body: bytes = GOOD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


# Where


def test_the_places_in_their_order(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(TINY) is None
    hub = put(machine / "torch" / "hub" / "checkpoints" / "tiny_0123.pth")
    assert find(TINY) == hub
    cached = put(machine / "cache" / "tiny_0123.pth")
    assert find(TINY) == cached
    second = put(machine / "b" / "tiny_0123.pth")
    empty = machine / "a"
    monkeypatch.setenv("AITOM_CRYOSAM_WEIGHTS", f"{empty}{os.pathsep}{machine / 'b'}")
    assert find(TINY) == second
    mine = put(machine / "mine.pth")
    assert find(TINY, {"tiny": mine}) == mine
    assert find(TINY, {"other": mine}) == second


def test_the_variable_may_name_the_file_itself(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(machine / "shared" / "tiny_0123.pth")
    monkeypatch.setenv("AITOM_CRYOSAM_WEIGHTS", str(file))
    assert find(TINY) == file
    monkeypatch.setenv("AITOM_CRYOSAM_WEIGHTS", str(put(machine / "shared" / "other.pth")))
    assert find(TINY) is None


def test_torch_home_as_torch_has_it(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkpoints._torch_home() == Path(torch.hub._get_torch_home())
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine / "xdg"))
    assert checkpoints._torch_home() == machine / "xdg" / "torch"
    assert checkpoints._torch_home() == Path(torch.hub._get_torch_home())


def test_a_given_file_that_is_not_there_is_not_passed_over(machine: Path) -> None:
    put(machine / "cache" / "tiny_0123.pth")
    with pytest.raises(InputError, match=r"absent\.pth is not a file on this machine"):
        find(TINY, {"tiny": machine / "absent.pth"})


def test_missing_weights_say_how_to_get_them(machine: Path) -> None:
    with pytest.raises(InputError) as caught:
        require(TINY)
    assert caught.value.worded(Door.COMMAND_LINE) == (
        "The weights of tiny are not on this machine; type `cryosam weights fetch tiny`, or "
        f"download {CLOSED}/tiny_0123.pth on another machine and copy it into "
        f"{machine / 'cache'}, or, if you have the file, add --checkpoint tiny=FILE."
    )
    cached = put(machine / "cache" / "tiny_0123.pth")
    assert require(TINY) == cached


def test_an_embedded_model_has_no_weights() -> None:
    with pytest.raises(InputError, match="contour needs no weights; expected one of dinov2_vits14"):
        find(MODELS["contour"])


# What was typed


def test_files_by_name_and_by_published_name(machine: Path) -> None:
    mine = put(machine / "a=b" / "mine.pth")
    large = put(machine / "x=y" / "sam_vit_h_4b8939.pth")
    assert parse_checkpoints([f"dino_vits8={mine}", str(large)]) == {
        "dino_vits8": mine,
        "sam_vit_h": large,
    }
    assert parse_checkpoints([]) == {}


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (
            ["{}"],
            r"does not say of which model; expected NAME=FILE with NAME one of dinov2_vits14,",
        ),
        (["samvit={}"], "samvit=.* does not say of which model"),
        (["contour={}"], "contour=.* does not say of which model"),
        (["sam_vit_b={}", "sam_vit_b={}"], "Two checkpoints are given for sam_vit_b"),
        (["sam_vit_b={}x"], r"mine\.pthx is not a file on this machine"),
        (["sam_vit_b="], "is not a file on this machine"),
        (["/nowhere/sam_vit_b_01ec64.pth"], "/nowhere/sam_vit_b_01ec64.pth is not a file"),
    ],
)
def test_what_was_typed_wrong(machine: Path, texts: list[str], says: str) -> None:
    mine = put(machine / "mine.pth")
    with pytest.raises(InputError, match=says):
        parse_checkpoints([text.format(mine) for text in texts])


# What is in them


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("keys", [(), ("model",), ("teacher",), ("model", "state_dict")])
def test_a_state_dict_is_read_whatever_it_is_wrapped_in(
    machine: Path, legacy: bool, keys: tuple[str, ...]
) -> None:
    content: dict = TENSORS
    for key in keys:
        content = {key: content, "epoch": 3}
    found = load(put(machine / "w.pth", saved(content, legacy=legacy)))
    assert list(found) == ["blocks.0.weight", "norm.bias"]
    assert found["blocks.0.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


class Code:
    """What runs when a pickle of it is read."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (PAGE, "is a web page, not a checkpoint"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
        (GOOD[: len(GOOD) // 2], "is truncated: its end is missing"),
        (saved(TENSORS, legacy=True)[:200], "is truncated, or no checkpoint at all"),
        (saved(TENSORS, legacy=True)[:-8], "is truncated, or no checkpoint at all"),
        (b"", "is truncated, or no checkpoint at all"),
        (b"just a text", "is truncated, or no checkpoint at all"),
        (saved({"a": Code()}), "holds Python objects besides tensors, which may run code"),
        (pickle.dumps(Code()), "holds Python objects besides tensors, which may run code"),
        (saved([torch.ones(2)]), "holds no state dict"),
        (saved({}), "holds no state dict"),
        (saved({"a": torch.ones(2), "b": 1}), "holds no state dict"),
        (saved(torch.ones(2)), "holds no state dict"),
    ],
)
def test_what_is_no_state_dict(
    machine: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, says: str
) -> None:
    monkeypatch.chdir(machine)
    path = put(machine / "w.pth", body)
    with pytest.raises(InputError, match=rf"w\.pth {says}.*; expected a PyTorch state dict"):
        load(path)
    assert not (machine / "ran").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_wherever_it_is_cut_it_is_no_checkpoint(machine: Path, legacy: bool) -> None:
    body = saved(TENSORS, legacy=legacy)
    for length in range(0, len(body), 13):
        with pytest.raises(InputError, match=r"w\.pth (is truncated|holds)"):
            load(put(machine / "w.pth", body[:length]))


def test_no_file_and_a_folder(machine: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.pth cannot be read \(No such file"):
        load(machine / "absent.pth")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        load(machine)


def test_the_widths_of_another_model_lie_beside_it(machine: Path) -> None:
    path = put(machine / "tiny.pth")
    assert config(path) is None
    beside = machine / "tiny.json"
    beside.write_text(json.dumps({"embed_dim": 12, "depth": 2}))
    assert config(path) == {"embed_dim": 12, "depth": 2}
    beside.write_text("{embed_dim")
    with pytest.raises(InputError, match=r"tiny\.json is not JSON that can be read; mend or"):
        config(path)
    beside.write_text("[12, 2]")
    with pytest.raises(InputError, match="holds a JSON list; expected an object"):
        config(path)


# Whether they are what they claim


def test_right_files_pass(machine: Path) -> None:
    path = put(machine / "w.pth")
    for hashed in (True, False):
        model = published(hashed=hashed)
        assert model.weights is not None
        verify(path, model.weights)


@pytest.mark.parametrize(
    ("body", "hashed", "says"),
    [
        (PAGE, True, "is a web page, not a checkpoint"),
        (GOOD[:-1], True, f"is truncated: it has {len(GOOD) - 1} of {len(GOOD)} bytes"),
        (
            GOOD + b"x",
            True,
            r"is not the published tiny_0123\.pth: its sha256 is [0-9a-f]{64}, exp",
        ),
        (saved({"a": torch.ones(2)}) + b"x" * 9999, True, "is not the published tiny_0123"),
        (PAGE, False, "is a web page, not a checkpoint"),
        (GOOD[:-30], False, "is truncated: its end is missing"),
        (saved({"a": Code()}), False, "holds Python objects besides tensors"),
    ],
)
def test_wrong_files_are_told_apart(machine: Path, body: bytes, hashed: bool, says: str) -> None:
    path = put(machine / "w.pth", body)
    model = published(hashed=hashed)
    assert model.weights is not None
    with pytest.raises(InputError, match=rf"w\.pth {says}.*; remove it and type `cryosam weights"):
        verify(path, model.weights)


# From the network


@pytest.mark.parametrize("hashed", [True, False])
def test_a_download_lands_where_it_is_found(machine: Path, hashed: bool) -> None:
    with serving(GOOD) as url:
        model = published(url, hashed=hashed)
        path = fetch(model)
    assert path == machine / "cache" / "tiny_0123.pth"
    assert path.read_bytes() == GOOD
    assert find(model) == path
    assert fetch(model) == path  # the server is gone: nothing is downloaded


def test_the_folder_of_the_variable_is_filled(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = (machine / "sam_vit_b_01ec64.pth", machine / "disk", machine / "second")
    monkeypatch.setenv("AITOM_CRYOSAM_WEIGHTS", os.pathsep.join(map(str, places)))
    with serving(GOOD) as url:
        assert fetch(published(url)) == machine / "disk" / "tiny_0123.pth"
        assert fetch(published(url), folder=machine / "new") == machine / "new" / "tiny_0123.pth"


def test_a_bad_file_is_replaced(machine: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = put(machine / "cache" / "tiny_0123.pth", PAGE)
    with serving(GOOD) as url:
        fetch(published(url))
    assert path.read_bytes() == GOOD
    assert "tiny_0123.pth is a web page, not a checkpoint; it is downloaded again." in caplog.text


OTHER = saved({"a": torch.ones(2)}).ljust(len(GOOD), b"x")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"body": OTHER}, r"What came from http.* is not the published tiny_0123\.pth: its sha256"),
        ({"body": PAGE}, "What came from http.* is a web page, not a checkpoint, so it was not k"),
        ({"body": GOOD[:99]}, f"What came from http.* is truncated: it has 99 of {len(GOOD)} byt"),
        ({"body": PAGE, "status": 404}, "answers 404 Not Found; try later"),
        ({"body": PAGE, "status": 503}, "answers 503 Service Unavailable; try la"),
        (None, "http://127.0.0.1:9/tiny_0123.pth cannot be reached; check the network"),
    ],
)
def test_nothing_is_left_of_a_failed_download(
    machine: Path, answer: dict | None, says: str
) -> None:
    with (
        serving(**(answer or {"body": b""})) as url,
        pytest.raises(InputError, match=says) as caught,
    ):
        fetch(published(url if answer else CLOSED))
    assert f"copy it into {machine / 'cache'}." in str(caught.value)
    assert list((machine / "cache").iterdir()) == []


def test_a_failed_download_leaves_what_was_there(machine: Path) -> None:
    path = put(machine / "cache" / "tiny_0123.pth", OTHER)
    with pytest.raises(InputError, match="cannot be reached"):
        fetch(published())
    assert path.read_bytes() == OTHER


def test_a_download_that_broke_off_is_gone_on_with(machine: Path) -> None:
    asked: list[str | None] = []
    with serving(GOOD[:99], promised=len(GOOD)) as url:
        with pytest.raises(InputError, match=r"broke off; type the command again to go on") as told:
            fetch(published(url))
        assert f"copy it into {machine / 'cache'}." in str(told.value)
        assert [path.name for path in (machine / "cache").iterdir()] == [".tiny_0123.pth.part"]
    with serving(GOOD, ranges=True, asked=asked) as url:
        assert fetch(published(url)).read_bytes() == GOOD
    assert asked == ["bytes=99-"]
    assert [path.name for path in (machine / "cache").iterdir()] == ["tiny_0123.pth"]


def test_a_publisher_that_knows_no_ranges_sends_all_again(machine: Path) -> None:
    put(machine / "cache" / ".tiny_0123.pth.part", GOOD[:50])
    with serving(GOOD) as url:
        assert fetch(published(url)).read_bytes() == GOOD


def test_a_rest_that_does_not_fit_is_thrown_away(machine: Path) -> None:
    put(machine / "cache" / ".tiny_0123.pth.part", b"x" * 50)
    with serving(GOOD, ranges=True) as url:
        with pytest.raises(InputError, match="so it was not kept"):
            fetch(published(url))
        assert fetch(published(url)).read_bytes() == GOOD


def test_a_publisher_that_sends_for_ever_is_stopped(machine: Path) -> None:
    with (
        serving(GOOD * 1000) as url,
        pytest.raises(InputError, match=f"sends more than the {len(GOOD)} bytes of the file"),
    ):
        fetch(published(url))
    assert list((machine / "cache").iterdir()) == []


def test_a_trickle_is_stopped(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "_STALL", 0.3)
    with (
        serving(GOOD, pause=0.02) as url,
        pytest.raises(InputError, match=r"stalled: less than 65536 bytes came in 0\.3 seconds"),
    ):
        fetch(published(url))


def test_a_planted_link_is_not_written_through(machine: Path) -> None:
    precious = put(machine / "precious", b"precious")
    (machine / "cache").mkdir()
    part = machine / "cache" / ".tiny_0123.pth.part"
    part.symlink_to(precious)
    with serving(GOOD) as url, pytest.raises(InputError, match="Cannot write"):
        fetch(published(url))
    part.unlink()
    os.link(precious, part)
    with serving(GOOD) as url, pytest.raises(InputError, match="another name of a file"):
        fetch(published(url))
    assert precious.read_bytes() == b"precious"


def test_weights_that_were_altered_are_refused_unless_they_are_named(machine: Path) -> None:
    path = put(machine / "cache" / "tiny_0123.pth", GOOD[:-1] + b"x")
    with pytest.raises(InputError, match=r"is not the published tiny_0123\.pth: its sha256 is"):
        require(TINY)
    assert require(TINY, {"tiny": path}) == path
    put(path)
    assert require(TINY) == path


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (torch.tensor([1.0, float("nan")]), "holds NaN or infinity in a.weight"),
        (torch.tensor([float("inf")], dtype=torch.float16), "holds NaN or infinity in a.weight"),
        (torch.ones(3).to_sparse(), "holds a sparse, quantised or empty tensor, a.weight"),
        (torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "sparse, quantised"),
    ],
)
def test_tensors_that_cannot_be_weights(machine: Path, tensor: torch.Tensor, says: str) -> None:
    path = put(machine / "w.pth", saved({"ok": torch.ones(2), "a.weight": tensor}))
    with pytest.raises(InputError, match=rf"w\.pth .*{says}"):
        load(path)


def test_an_interrupt_leaves_nothing_under_the_name(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, weights: Weights) -> None:
        assert path.read_bytes() == GOOD  # all of it came, under another name
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "refuse_other", interrupted)
    with serving(GOOD) as url, pytest.raises(KeyboardInterrupt):
        fetch(published(url))
    assert not (machine / "cache" / "tiny_0123.pth").exists()


def test_a_disk_that_is_too_small_is_refused_before(machine: Path) -> None:
    assert TINY.weights is not None
    huge = replace(TINY, weights=replace(TINY.weights, size=10**18))
    with pytest.raises(
        InputError, match=r"has \S+ GB left and tiny_0123.pth needs 1000000000.0 GB"
    ):
        fetch(huge)
    assert not list((machine / "cache").iterdir())


def test_the_registry_is_whole() -> None:
    files = [checkpoints.weights_of(model) for model in checkpoints.PUBLISHED.values()]
    assert len(files) == 15
    assert len({weights.file for weights in files}) == 15
    assert len({weights.sha256 for weights in files if weights.sha256}) == 12
    for weights in files:
        assert weights.url.startswith("https://")
        assert weights.url.endswith(f"/{weights.file}")
        assert weights.sha256 is None or len(bytes.fromhex(weights.sha256)) == 32
        assert (weights.sha256 is None) == (weights.size is None)
