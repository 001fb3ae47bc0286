"""Options that several commands share: what they refuse, and what they say has no effect."""

import sys

import numpy as np
import pytest

from aitom_cryosam.cli import build_parser, machine_options, main, view
from aitom_cryosam.settings import Settings
from aitom_cryosam.volumes.mrc import write_volume
from tests.faults.world import write_tomogram


@pytest.mark.parametrize(
    "command",
    [
        ["pick", "TS.mrc", "--prompt", "1,2,3", "--out", "out"],
        ["pick", "TS.mrc", "--prompt", "1,2,3", "--out", "out", "--target", "membrane"],
        ["query", "TS.mrc", "--prompt", "1,2,3", "--out", "out"],
        ["doctor", "TS.mrc"],
    ],
)
def test_a_device_that_does_not_exist_is_refused_also_where_none_is_used(
    tmp_path, monkeypatch, capsys, command
):
    monkeypatch.chdir(tmp_path)
    data = np.random.default_rng(0).normal(size=(8, 9, 10)).astype(np.float32)
    write_volume(tmp_path / "TS.mrc", data, voxel_size=20.0)
    assert main([*command, "--device", "cuda:99"]) == 2
    assert "The device cuda:99 was asked for, but this machine has" in capsys.readouterr().err


def test_a_folder_of_results_of_many_tomograms_is_told_from_one(tmp_path, capsys):
    for name in ("TS_01", "TS_02"):
        (tmp_path / "project" / "results" / name).mkdir(parents=True)
        (tmp_path / "project" / "results" / name / f"{name}_run.json").touch()
    for folder in (tmp_path / "project", tmp_path / "project" / "results"):
        for command in (["average"], ["refine"], ["select"], ["report"]):
            out = str(tmp_path / "out.html")
            assert main([*command, str(folder), "--out", out]) == 2
            told = capsys.readouterr().err
            assert f"{folder} holds no *_run.json; expected a folder that `pick` wrote, her" in told
            assert f"{tmp_path}/project/results/TS_01, " in told


def test_view_says_what_cannot_be_shown(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(view, "find_spec", bool)  # what is refused needs no napari
    (tmp_path / "a.txt").touch()
    for name, says in {
        "": "holds no *_run.json; expected a folder that `pick` wrote.",
        "nothing": "There is no file",
        "a.txt": "Expected a result or a tomogram to show",
    }.items():
        assert main(["view", str(tmp_path / name)]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one display")
def test_view_says_that_there_is_no_display(tmp_path, capsys, monkeypatch):
    """As on a machine that one is logged in to; Qt would end the process."""
    monkeypatch.setattr(view, "find_spec", bool)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    write_tomogram(tmp_path / "TS.mrc")
    assert main(["view", str(tmp_path / "TS.mrc")]) == 2
    assert "There is no display to open napari on" in capsys.readouterr().err


SAM = {"encoder": "sam_vit_b", "segmenter": "sam_vit_b"}


@pytest.mark.parametrize(
    ("typed", "settings", "says"),
    [
        (["--compile"], {}, "as no network is used here: --compile."),
        (["--device", "cuda"], {}, "as no network is used here: --device cuda."),
        (["--device", "cuda", "--refine", "--search", "full"], {}, ""),
        (["--device", "cpu"], {}, ""),
        (["--device", "cuda", "--compile"], SAM, ""),
        (["--checkpoint", "sam_vit_b=FILE"], SAM, ""),
        (["--checkpoint", "sam_vit_h=FILE"], SAM, "as sam_vit_b is used here: --checkpoint sam_"),
        (["--compile"], {"encoder": "dino_vits8"}, "as dino_vits8 is used here: --compile."),
    ],
)
def test_options_without_effect_are_told(tmp_path, caplog, typed, settings, says):
    (tmp_path / "FILE").touch()
    typed = [word.replace("FILE", str(tmp_path / "FILE")) for word in typed]
    pick = ["pick", "TS.mrc", "--prompt", "1,2,3", "--out", "out", *typed]
    args = build_parser(pick).parse_args(pick)
    machine_options.warn_of_unused(
        args, Settings(**settings), machine_options.resources(args, here=False)
    )
    assert len(caplog.messages) == bool(says)
    assert says in caplog.text
