"""Which preset a run takes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aitom_cryosam import checkpoints, device
from aitom_cryosam.errors import InputError
from aitom_cryosam.models import MODELS
from aitom_cryosam.presets import CHOICES
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import PRESETS, Settings, choose

FILES = ("dinov2_vitl14_reg4_pretrain.pth", "sam_vit_h_4b8939.pth")

SHA256 = {model.weights.file: model.weights.sha256 for model in MODELS.values() if model.weights}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder with weights: it is empty."""
    monkeypatch.setenv("AITOM_CRYOSAM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(checkpoints, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    # Empty files stand for the published ones.
    monkeypatch.setattr(checkpoints, "digest", lambda path: SHA256[Path(path).name])
    return tmp_path


def gpu(monkeypatch: pytest.MonkeyPatch, *, there: bool) -> None:
    monkeypatch.setattr(device, "_trouble", lambda _: "")
    device._first_working.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(there))
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (8_000_000_000, 10_000_000_000))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_the_networks_of_the_presets() -> None:
    assert CHOICES == ("auto", "embedded", "paper", "networks")
    assert PRESETS["embedded"].networks == []
    names = [model.name for model in PRESETS["paper"].networks]
    assert names == ["dinov2_vitl14_reg", "sam_vit_h"]
    assert PRESETS["networks"].networks == PRESETS["paper"].networks


def test_auto_is_embedded_and_says_what_else_the_machine_can_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu(monkeypatch, there=True)
    embedded = PRESETS["embedded"]
    missing = "no weights of dinov2_vitl14_reg and sam_vit_h"
    assert choose("auto", Resources()) == (embedded, missing)
    (folder / FILES[0]).touch()
    assert choose("auto", Resources()) == (embedded, "no weights of sam_vit_h")
    (folder / FILES[1]).touch()
    there = "the networks, whose weights and a GPU are there, can be asked for"
    assert choose("auto", Resources()) == (embedded, there)
    assert choose("auto", Resources(device="cpu")) == (embedded, "device cpu")
    gpu(monkeypatch, there=False)
    assert choose("auto", Resources()) == (embedded, "no GPU")
    with pytest.raises(InputError, match="The device cuda was asked for"):
        choose("auto", Resources(device="cuda"))


def test_given_checkpoints_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, there=True)
    (folder / FILES[0]).touch()
    mine = folder / "mine.pth"
    resources = Resources(checkpoints={"sam_vit_h": mine})
    with pytest.raises(InputError, match=r"mine\.pth is not a file"):
        choose("auto", resources)
    mine.touch()
    assert choose("networks", resources)[0] == PRESETS["networks"]
    assert choose("paper", resources)[0] == PRESETS["paper"]


def test_what_is_asked_for_is_taken_or_refused(folder: Path) -> None:
    assert choose("embedded", Resources()) == (PRESETS["embedded"], "asked for")
    (folder / FILES[0]).touch()
    with pytest.raises(InputError, match="The weights of sam_vit_h are not on this machine; type"):
        choose("paper", Resources())
    (folder / FILES[1]).touch()
    assert choose("paper", Resources()) == (PRESETS["paper"], "asked for")
    assert Settings.of("paper") == PRESETS["paper"]
    assert Settings.of("embedded", top_k=3) == Settings(preset="embedded", top_k=3)
    with pytest.raises(
        InputError, match="Expected a preset of auto, embedded, paper, networks, got 'best'"
    ):
        choose("best", Resources())


def test_only_the_networks_that_remain_need_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu(monkeypatch, there=True)
    (folder / FILES[0]).touch()
    settings, reason = choose("paper", Resources(), {"segmenter": "contour"})
    assert (settings.preset, settings.segmenter, settings.tau_sim) == ("paper", "contour", 0.5)
    assert reason == "asked for"
    with pytest.raises(InputError, match="The weights of sam_vit_b are not on this machine"):
        choose("embedded", Resources(), {"segmenter": "sam_vit_b"})
    with pytest.raises(InputError, match="as tau_iou, got 2"):
        choose("embedded", Resources(), {"tau_iou": 2})


def test_without_weights_torch_is_not_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "XDG_CACHE_HOME"):  # of the user's cache in another process
        monkeypatch.setenv(variable, str(folder))
    code = (
        "import sys; from aitom_cryosam.settings import choose; "
        "from aitom_cryosam.resources import Resources; "
        "print(choose('auto', Resources())[0].preset, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "embedded False\n"
