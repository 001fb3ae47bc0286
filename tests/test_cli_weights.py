"""`cryosam weights` as a user meets it."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aitom_cryosam import checkpoints
from aitom_cryosam.checkpoints import PUBLISHED, VARIABLE
from aitom_cryosam.cli import main
from aitom_cryosam.models import MODELS
from tests.servers import serving
from tests.test_checkpoints import CLOSED, GOOD, OTHER, PAGE, put

SHA = hashlib.sha256(GOOD).hexdigest()
PAPER = {
    "dinov2_vitl14_reg": "dinov2_vitl14_reg4_pretrain.pth",
    "sam_vit_h": "sam_vit_h_4b8939.pth",
}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without weights, on which a user stands in an empty folder."""
    monkeypatch.delenv("AITOM_CRYOSAM_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(checkpoints, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def publish(monkeypatch: pytest.MonkeyPatch, name: str, **changes: object) -> None:
    """Let the publisher have the small file GOOD in the place of a real one."""
    weights = checkpoints.weights_of(PUBLISHED[name])
    changes = {"url": f"{CLOSED}/x", "size": len(GOOD), "sha256": SHA} | changes
    model = replace(PUBLISHED[name], weights=replace(weights, **changes))
    monkeypatch.setitem(PUBLISHED, name, model)
    monkeypatch.setitem(MODELS, name, model)


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A publisher that can be reached, for the two models of the paper."""
    with serving(GOOD) as url:
        for name in PAPER:
            publish(monkeypatch, name, url=url)
        yield


def weights(*arguments: object) -> int:
    return main(["weights", *map(str, arguments)])


def test_the_list(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    found = put(machine / "disk" / "dino_vitbase8_pretrain.pth")
    monkeypatch.setenv("AITOM_CRYOSAM_WEIGHTS", str(machine / "disk"))
    assert weights("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 15
    assert lines[0] == "dinov2_vits14        88 MB  Apache-2.0  missing"
    assert lines[5] == "dinov2_vitl14_reg  1218 MB  Apache-2.0  missing"
    assert lines[11] == f"dino_vitb8               ?  Apache-2.0  {found}"


def test_the_list_tells_of_a_file_that_is_not_whole(machine: Path, capsys) -> None:
    cut = put(machine / "cache" / "sam_vit_h_4b8939.pth")
    assert weights("list") == 0
    told = capsys.readouterr().out
    assert f"  {cut}, incomplete: `cryosam weights verify`\n" in told


def test_the_list_for_programs(machine: Path, capsys) -> None:
    found = put(machine / "cache" / "sam_vit_b_01ec64.pth")
    assert weights("list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["sam_vit_b"] == {
        "name": "sam_vit_b",
        "file": "sam_vit_b_01ec64.pth",
        "url": "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth",
        "size": 375042383,
        "sha256": "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        "licence": "Apache-2.0",
        "citation": "Kirillov et al., Segment Anything, ICCV 2023",
        "path": str(found),
    }
    assert rows["sam_vit_h"]["path"] is None


def test_what_the_paper_needs_comes_with_one_command(machine: Path, paper: None, capsys) -> None:
    assert weights("fetch", "paper", "sam_vit_h") == 0
    shown, errors = capsys.readouterr()
    lines = shown.splitlines()
    assert len(lines) == 6
    assert lines[3:] == [
        f"sam_vit_h: sam_vit_h_4b8939.pth, 0 MB, Apache-2.0, into {machine / 'cache'}",
        "  cite: Kirillov et al., Segment Anything, ICCV 2023",
        f"  {machine / 'cache' / 'sam_vit_h_4b8939.pth'}: right, by its sha256",
    ]
    assert errors == ""
    assert sorted(path.name for path in (machine / "cache").iterdir()) == sorted(PAPER.values())


def test_what_is_there_is_not_downloaded(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    publish(monkeypatch, "sam_vit_b")
    path = put(machine / "torch" / "hub" / "checkpoints" / "sam_vit_b_01ec64.pth")
    assert weights("fetch", "sam_vit_b") == 0
    assert (
        capsys.readouterr().out
        == f"sam_vit_b: {path} is already there, and is the published file.\n"
    )


def test_quiet_says_nothing(paper: None, capsys) -> None:
    assert weights("fetch", "sam_vit_h", "--quiet") == 0
    assert weights("verify", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_another_folder_is_named_in_the_variable(machine: Path, paper: None, capsys) -> None:
    assert weights("fetch", "--folder", machine / "disk", "sam_vit_h") == 0
    assert (machine / "disk" / "sam_vit_h_4b8939.pth").read_bytes() == GOOD
    errors = capsys.readouterr().err
    assert errors == f"warning: For them to be found there, set {VARIABLE}={machine / 'disk'}.\n"


def test_a_bad_file_that_comes_first_is_named(
    machine: Path, paper: None, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    bad = put(machine / "sam_vit_h_4b8939.pth", PAGE)
    monkeypatch.setenv("AITOM_CRYOSAM_WEIGHTS", str(bad))
    assert weights("fetch", "sam_vit_h") == 0
    good = machine / "cache" / "sam_vit_h_4b8939.pth"
    assert capsys.readouterr().err == f"warning: {bad} takes precedence over {good}; remove it.\n"


def test_no_network_is_one_sentence(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    publish(monkeypatch, "sam_vit_b")
    assert weights("fetch", "sam_vit_b") == 2
    error = capsys.readouterr().err
    assert error == (
        f"cryosam weights: {CLOSED}/x cannot be reached; check the network and its proxy, or "
        f"download it on another machine and copy it into {machine / 'cache'}.\n"
    )


def test_all_that_is_found_is_verified(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    assert weights("verify") == 2
    assert capsys.readouterr().err == (
        "cryosam weights: No weights are on this machine; type `cryosam weights fetch paper`.\n"
    )
    good = put(machine / "cache" / "sam_vit_b_01ec64.pth")
    unsure = put(machine / "cache" / "dino_vitbase8_pretrain.pth")
    publish(monkeypatch, "sam_vit_b")
    assert weights("verify") == 0
    lines = [
        f"{unsure}: a readable state dict, but no checksum of it is known; its sha256 is {SHA}",
        f"{good}: right, by its sha256",
    ]
    assert capsys.readouterr().out.splitlines() == lines
    bad = put(machine / "cache" / "sam_vit_h_4b8939.pth", OTHER)
    publish(monkeypatch, "sam_vit_h")
    assert weights("verify") == 2
    shown, errors = capsys.readouterr()
    assert shown.splitlines() == lines
    assert errors.startswith(f"cryosam weights: {bad} is not the published sam_vit_h_4b8939.pth: ")
    assert errors.count("\n") == 1


def test_names_and_files_are_verified(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    publish(monkeypatch, "sam_vit_b")
    mine = put(machine / "mine.pth")
    copied = put(machine / "here" / "sam_vit_b_01ec64.pth", OTHER)
    assert weights("verify", mine, copied.name, "sam_vit_b") == 2
    shown, errors = capsys.readouterr()
    assert shown == (
        f"{mine}: a readable state dict, but no published file has this name; its sha256 is {SHA}\n"
    )
    first, second = errors.splitlines()
    assert first.startswith("cryosam weights: sam_vit_b_01ec64.pth is not the published ")
    assert second.startswith("cryosam weights: The weights of sam_vit_b are not on this machine; ")


def test_a_file_that_is_not_there_is_said(machine: Path, capsys) -> None:
    assert weights("verify", machine / "absent.pth") == 2
    assert capsys.readouterr().err == (
        f"cryosam weights: {machine / 'absent.pth'} is not a file on this machine; "
        "correct its path.\n"
    )


def test_the_path_alone_is_printed(machine: Path, capsys) -> None:
    path = put(machine / "cache" / "sam_vit_b_01ec64.pth")
    assert weights("path", "sam_vit_b") == 0
    assert capsys.readouterr() == (f"{path}\n", "")
    assert weights("path", "sam_vit_h") == 2
    shown, errors = capsys.readouterr()
    assert shown == ""
    assert "type `cryosam weights fetch sam_vit_h`" in errors


@pytest.mark.parametrize("action", ["fetch", "verify", "path"])
def test_an_unknown_name_lists_the_known(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys, action: str
) -> None:
    publish(monkeypatch, "sam_vit_b")
    put(machine / "cache" / "sam_vit_b_01ec64.pth")
    names = ["samvit"] if action == "path" else ["sam_vit_b", "samvit"]
    assert weights(action, *names) == 2
    shown, errors = capsys.readouterr()
    assert shown == ""
    assert errors.startswith("cryosam weights: Expected one of dinov2_vits14, ")
    assert errors.rstrip().endswith(", got 'samvit'.")
    assert ("or of the presets paper" in errors) == (action != "path")


@pytest.mark.parametrize("arguments", [[], ["fetch"], ["path"], ["download", "paper"]])
def test_what_is_missing_is_said(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        weights(*arguments)
    assert "cryosam weights" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_with_its_option(machine: Path, capsys) -> None:
    (machine / "file").touch()
    assert weights("fetch", "--folder", machine / "file" / "below", "sam_vit_b") == 2
    told = capsys.readouterr().err
    assert f"Weights cannot be written into {machine / 'file' / 'below'}; " in told
    assert told.endswith("choose another --folder.\n")


def test_looking_needs_no_torch() -> None:
    code = (
        "import sys; from aitom_cryosam.cli import main; main(['weights', 'list', '--quiet']); "
        "sys.exit(bool({'torch', 'pooch', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
