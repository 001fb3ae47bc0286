"""The preset of the paper from files to files, with small random networks of the real classes."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import starfile

from aitom_cryosam import CryoSAM, Settings, Tomogram, checkpoint_file, networks
from aitom_cryosam.cli import main
from aitom_cryosam.forecast import forecast_on
from aitom_cryosam.napari.session import Session
from aitom_cryosam.record import Record
from aitom_cryosam.resources import Resources
from aitom_cryosam.scoring.verdict import SAME
from aitom_cryosam.trace import Trace
from aitom_cryosam.trials import tried
from aitom_cryosam.volumes.mrc import read_volume, write_volume
from tests.tiny_dino import write_tiny_dino
from tests.tiny_models import write_tiny_sam

SHAPE = (20, 24, 28)
PROMPT = "9,12,10"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[Path, list[str]]:
    """A folder with a tomogram, and the options that name its small networks.

    The particle is as wide as the tomogram, so that random masks are no wider.
    """
    folder = tmp_path_factory.mktemp("paper")
    noise = np.random.default_rng(3).standard_normal(SHAPE).astype(np.float32)
    write_volume(folder / "TS_01.mrc", noise, voxel_size=10.0)
    options = ["--preset", "paper", "--diameter", "200", "--tau-iou", "0", "--tau-sim", "-1"]
    options += ["--ratios", "8,4", "--top-k", "6", "--device", "cpu", "--contrast", "bright"]
    for name in ("dinov2_vitl14_reg", "dino_vitb16"):
        options += ["--checkpoint", f"{name}={write_tiny_dino(folder, name)}"]
    sam = write_tiny_sam(folder / "sam.pth")
    options += ["--checkpoint", f"sam_vit_h={sam}", "--checkpoint", f"sam_vit_b={sam}"]
    return folder, options


def pick(world, out: Path, *more: str, prompt: str = PROMPT) -> int:
    folder, options = world
    typed = [str(folder / "TS_01.mrc"), "--prompt", prompt, "--out", str(out)]
    return main(["pick", *typed, *options, *more])


def test_every_proposal_of_the_paper_is_a_pick_without_a_cut(world, tmp_path) -> None:
    assert pick(world, tmp_path, "--cut", "none") == 0
    record = json.loads((tmp_path / "TS_01_run.json").read_text())
    assert record["settings"]["segmenter"] == "sam_vit_h"
    assert list(record["weights"]) == ["dinov2_vitl14_reg", "sam_vit_h"]
    assert {len(found["sha256"]) for found in record["weights"].values()} == {64}
    proposals = starfile.read(tmp_path / "TS_01_proposals.star")
    assert 1 < len(proposals) <= 6
    picks = starfile.read(tmp_path / "TS_01_picks.star", always_dict=True)["particles"]
    labels = read_volume(tmp_path / "TS_01_labels.mrc").data
    assert labels.shape == SHAPE
    assert set(np.unique(labels)) - {0} <= set(picks["cryosamInstanceId"])
    assert labels.any()


@pytest.mark.parametrize(
    "options",
    [
        ["--encoder", "dino_vitb16", "--segmenter", "sam_vit_b", "--normalisation", "imagenet"],
        ["--encoder", "sam_vit_b", "--token-size", "40"],
        ["--window", "2", "--merge", "consensus", "--ratios", "1"],
        ["--segmenter", "contour", "--shrinkage", "0.1", "--pooling", "core", "--diameter", "90"],
        ["--encoder", "filterbank", "--slab", "0.25"],
    ],
)
def test_every_part_can_be_changed(world, tmp_path, options) -> None:
    assert pick(world, tmp_path, "--cut", "none", *options) == 0
    assert (tmp_path / "TS_01_picks.star").exists()


def test_a_second_run_takes_features_and_embeddings_from_the_cache(
    world, tmp_path, caplog, monkeypatch
) -> None:
    cached = ["--cache", str(tmp_path / "cache"), "--cut", "none"]
    caplog.set_level(logging.INFO)
    assert pick(world, tmp_path / "first", *cached) == 0
    assert "nothing of this tomogram is in the cache" in caplog.text
    caplog.clear()
    from aitom_cryosam.encoders.network import NetworkEncoder

    monkeypatch.setattr(NetworkEncoder, "encode", None)  # it would not do
    assert pick(world, tmp_path / "same", *cached) == 0
    assert pick(world, tmp_path / "other", *cached, prompt="20,6,8") == 0
    assert caplog.text.count("Features of TS_01: from the cache.") == 2
    assert caplog.text.count("Embeddings of TS_01: from the cache.") == 2
    for name in ("TS_01_picks.star", "TS_01_labels.mrc"):
        assert (tmp_path / "first" / name).read_bytes()[1024:] == (
            (tmp_path / "same" / name).read_bytes()[1024:]
        )


def test_other_settings_say_why_the_cache_does_not_serve(world, tmp_path, caplog) -> None:
    cached = ["--cache", str(tmp_path / "cache"), "--cut", "none"]
    caplog.set_level(logging.INFO)
    assert pick(world, tmp_path / "a", *cached) == 0
    assert pick(world, tmp_path / "b", *cached, "--normalisation", "imagenet") == 0
    assert "differs in encoder.colours" in caplog.text


DOUBTS = (
    *(
        f"warning: The click {PROMPT} {doubt}"
        for doubt in ("stands out less than ", "is near the border")
    ),
    "warning: Without effect, as ",  # checkpoints of all models are given, and two are used
)
LARGE = ["--segmenter", "sam_vit_l", "--checkpoint"]
BAD = {
    "missing": (["--encoder", "dino_vits16"], "type `cryosam weights fetch dino_vits16`"),
    "other": ([*LARGE, "sam_vit_l=other.pth"], "expected sam_vit_l's own file"),
    "code": ([*LARGE, "sam_vit_l=code.pth"], "holds Python objects besides tensors"),
    "half": ([*LARGE, "sam_vit_l=half.pth"], "expected a PyTorch state dict"),
    "budget": (["--memory", "10kB"], "allow more with --memory"),
    "amount": (["--memory", "some"], "Expected an amount of memory"),
    "cuda": (["--device", "cuda:7"], "The device cuda:7 was asked for"),
    "device": (["--device", "tpu"], "Expected auto, cuda, cuda:N, mps or cpu as device"),
    "token": (["--token-size", "1"], "expected a token size from 10 to 240"),
    "cache": (["--cache", "TS_01.mrc"], "Cannot write to the cache"),
}


@pytest.mark.parametrize(("options", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence(world, tmp_path, capsys, monkeypatch, options, sentence) -> None:
    import torch

    if "cuda:7" in options and torch.cuda.device_count() > 7:
        pytest.skip("this machine has a device cuda:7")
    monkeypatch.chdir(world[0])
    good = Path("sam.pth").read_bytes()
    Path("half.pth").write_bytes(good[: len(good) // 2])
    torch.save({"a": print}, "code.pth")
    Path("other.pth").write_bytes(Path("dinov2_vitl14_reg.pth").read_bytes())
    Path("other.json").write_bytes(Path("sam.json").read_bytes())
    assert pick(world, tmp_path, "--quiet", *options) == 2
    *before, error = capsys.readouterr().err.splitlines()
    assert error.startswith("cryosam pick: ")
    assert error.endswith(".")
    assert sentence in error
    # Beside it stands that the click is into noise and near the border, which it is, and so on.
    assert all(line.startswith(DOUBTS) for line in before)
    assert len(before) <= len(DOUBTS)
    assert not list(tmp_path.iterdir())


def test_tokens_on_disk_give_the_same_picks() -> None:
    noise = np.random.default_rng(5).standard_normal((24, 40, 44)).astype(np.float32)
    tomogram = Tomogram.from_array(noise, voxel_size=10, contrast="bright")
    settings = Settings(diameter_angstrom=80, cut="none", top_k=20)
    needs = forecast_on(tomogram, settings, 8)
    in_memory, on_disk = (
        CryoSAM(settings, resources=Resources(ram_bytes=ram)).pick(tomogram, [(20, 20, 12)])
        for ram in (10**9, needs.least_bytes)
    )
    assert needs.plan(Resources(ram_bytes=needs.least_bytes)).token_room == 0
    assert len(in_memory.picks) > 1
    assert np.array_equal(in_memory.picks.points_zyx, on_disk.picks.points_zyx)
    assert np.array_equal(in_memory.picks.scores, on_disk.picks.scores)
    assert np.array_equal(in_memory.labels(), on_disk.labels())


def test_networks_are_loaded_once_a_process(world, tmp_path, monkeypatch) -> None:
    networks.release()
    loaded: list[str] = []
    load = checkpoint_file.load

    def counted(path):
        loaded.append(Path(path).name)
        return load(path)

    monkeypatch.setattr(checkpoint_file, "load", counted)
    for run in ("one", "two"):
        assert pick(world, tmp_path / run, "--cut", "none") == 0
    assert len(loaded) == 2
    assert "sam.pth" in loaded
    proposals = [tmp_path / run / "TS_01_proposals.star" for run in ("one", "two")]
    assert proposals[0].read_bytes() == proposals[1].read_bytes()
    # One SAM serves the encoder and the segmenter.
    assert pick(world, tmp_path / "three", "--encoder", "sam_vit_h") == 0
    assert len(loaded) == 2
    # Another content under the same name is another network.
    folder, options = world
    other = write_tiny_sam(tmp_path / "sam.pth", seed=7)
    changed = [f"sam_vit_h={other}" if "sam_vit_h=" in text else text for text in options]
    assert pick((folder, changed), tmp_path / "four") == 0
    assert loaded[2:] == ["sam.pth"]
    networks.release()
    assert pick(world, tmp_path / "five") == 0
    assert len(loaded) == 5


@pytest.mark.parametrize("preset", ["networks", "paper"])
def test_a_run_goes_on_with_balls_where_no_mask_is_a_particle(world, tmp_path, preset) -> None:
    """SAM's random masks are all wider than a particle of 8 voxels."""
    small = ["--preset", preset, "--diameter", "80", "--cut", "none", "--semantic", "union"]
    if preset == "paper":  # to the letter
        assert pick(world, tmp_path, *small) == 2
        assert not list(tmp_path.iterdir())
    assert pick(world, tmp_path, *small, "--mask-fallback", "all", "--report") == 0
    record = Record.open(tmp_path)
    ids = record.picks.ids.tolist()
    assert len(ids) > 1
    assert record.content["balls"] == ids
    assert "no mask" not in record.proposals.reasons
    (prompt,) = record.content["prompts"]
    assert (prompt["used"], prompt["mask_is_ball"]) == (True, True)
    where, picks = (text for text in record.warnings if "a ball of the particle's" in text)
    assert f"the prompt {PROMPT}: the outline is wider than the particle" in where
    assert picks.startswith(f"{len(ids)} of {len(ids)} picks have no mask")
    assert [mask.is_ball for mask in record.masks] == [True] * len(ids)
    labels = record.labels()
    assert set(np.unique(labels)) - {0} <= set(ids)
    semantic = read_volume(tmp_path / "TS_01_semantic.mrc").values
    np.testing.assert_array_equal(semantic > 0, np.asarray(labels) > 0)
    (mask,) = Trace.read(record.files["trace"]).masks
    assert mask.is_ball
    page = (tmp_path / "TS_01_report.html").read_text()
    assert f"none; a ball of {prompt['mask_voxels']} voxels" in page
    assert main(["select", str(tmp_path), "--top", "1", "--out", str(tmp_path / "one")]) == 0
    assert Record.open(tmp_path / "one").masks[0].is_ball


def test_the_clicked_particle_is_a_pick_without_a_mask_and_no_other_is(world, tmp_path) -> None:
    small = ["--preset", "networks", "--diameter", "80", "--cut", "none"]
    assert pick(world, tmp_path, *small) == 0
    record = Record.open(tmp_path)
    (mask,) = record.masks
    assert mask.is_ball
    (point,) = record.picks.points_zyx
    away = np.linalg.norm(point[::-1] - np.array(PROMPT.split(","), float))
    assert away < SAME * 8
    assert set(record.proposals.reasons) == {"", "no mask"}


def test_query_presets_and_session_need_no_outline_either(world) -> None:
    folder, _ = world
    names = {"dinov2_vitl14_reg": "dinov2_vitl14_reg.pth", "sam_vit_h": "sam.pth"}
    resources = Resources(
        device="cpu", checkpoints={name: folder / file for name, file in names.items()}
    )
    tomogram = Tomogram.open(folder / "TS_01.mrc", contrast="bright")
    settings = Settings(preset="networks", diameter_angstrom=80, ratios=(4,))
    clicks = np.array([(10.0, 12, 9), (8, 6, 20)])
    query = CryoSAM(settings, resources=resources).query(tomogram, clicks[:, ::-1])
    assert len(query.instances) == 2
    assert np.isfinite(query.prompt_features).all()
    (trial,) = tried(tomogram, clicks, {"networks": settings}, resources)
    assert trial.problem == ""
    mask = Session(tomogram, resources).mask(clicks[0], settings)
    assert mask.is_ball
    assert mask.diameter == pytest.approx(8, rel=0.05)
