"""No command replaces what it was told to read, whatever else it may replace."""

import argparse
import re
from pathlib import Path

import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.cli.inputs import inputs_of
from aitom_cryosam.result_files import result_paths
from tests.faults.world import write_tomogram


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tomogram, a result of it, and a link to the result's folder."""
    folder = tmp_path_factory.mktemp("world")
    click = write_tomogram(folder / "TS.mrc")
    pick = ["pick", str(folder / "TS.mrc"), "--prompt", click, "--diameter", "250", "--top-k", "4"]
    assert main([*pick, "--cut", "none", "--out", str(folder / "p"), "--quiet"]) == 0
    (folder / "link").symlink_to("p")
    return folder


TYPED = {
    "refine": "refine p --out p",
    "select": "select p --top 2 --out p",
    "select, by the record": "select p/TS_run.json --top 2 --out p",
    "select, by a link": "select p --top 2 --out link",
    "export": "export p/TS_picks.star --to warp --out p/TS_picks.star",
    "export of a folder": "export p --to warp --out p/TS_picks.star",
    "a query onto its tomogram": "query TS.mrc --prompts p/TS_picks.star --out TS.mrc",
    "a query onto its clicks": "query TS.mrc --prompts p/TS_picks.star --out p/TS_picks.star",
    "pick onto its clicks": "pick TS.mrc --prompts p/TS_picks.star --out p",
    "pick onto its query": "pick TS.mrc --query p/TS_query.npz --out p",
    "validate": "validate p/TS_picks.star --json p/TS_picks.star",
    "evaluate": "evaluate p p/TS_picks.star --radius 100 --json p/TS_picks.star",
    "simulate": "simulate TS.mrc --out . --name TS --count 1 --shape 100,100,100",
}


@pytest.mark.parametrize("typed", TYPED.values(), ids=TYPED)
@pytest.mark.parametrize("overwrite", [True, False])
def test_an_input_is_never_replaced(
    world: Path,
    typed: str,
    overwrite: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(world)
    files = [path for path in world.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    assert main([*typed.split(), *(["--overwrite"] if overwrite else [])]) == 2
    assert "is an input of this run and would be replaced" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in world.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("target", ["particle", "membrane"])
def test_every_file_of_a_result_is_an_input(tmp_path: Path, target: str) -> None:
    files = result_paths(
        tmp_path, "TS", picture=True, suggested=True, semantic="dense", target=target
    )
    for path in files.values():
        path.touch()
    for typed in (tmp_path, files["run"]):
        args = argparse.Namespace(command="select", results=[str(typed)])
        assert set(files.values()) <= set(inputs_of(args))


def test_a_page_and_an_average_may_lie_in_the_folder_that_they_are_of(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    for more in ([], ["--overwrite"]):
        assert main(["report", "p", "--out", "p/TS_report.html", *more]) == 0


WITHOUT_REACH = {
    "pick": "pick {} --prompt 9,9,9 --out new",
    "pick, clicks": "pick TS.mrc --prompts {} --out new",
    "pick, query": "pick TS.mrc --query {} --out new",
    "pick, region": "pick TS.mrc --prompt 9,9,9 --region {} --out new",
    "query": "query {} --prompt 9,9,9 --out new",
    "doctor": "doctor {}",
    "picking": "picking {} new.json --prompt 9,9,9",
    "select": "select {} --top 2 --out new",
    "report": "report {} --out new.html",
    "report, truth": "report p --truth {} --out new.html",
    "average": "average {} --out new",
    "refine": "refine {} --out new",
    "export": "export {} --to warp --out new",
    "export, tomogram": "export p --to warp --out new --tomo {}",
    "validate": "validate {}",
    "validate, tomogram": "validate p/TS_picks.star --tomo {}",
    "evaluate": "evaluate {} p/TS_picks.star --radius 100",
    "evaluate, truth": "evaluate p {} --radius 100",
    "compare": "compare {} --truth p/TS_picks.star --radius 100 --out new",
    "simulate": "simulate {} --out new",
    "demo": "demo --out {}",
    "project init": "project init {} --query p/TS_query.npz --out new",
    "project run": "project run {}",
    "project status": "project status {}",
}


@pytest.mark.parametrize("typed", WITHOUT_REACH.values(), ids=WITHOUT_REACH)
def test_a_path_that_the_system_does_not_look_at_is_one_sentence(
    world: Path,
    typed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As of a name that is too long, or in a folder that is closed to this user."""
    monkeypatch.chdir(world)
    assert main(typed.format("x" * 300).split()) == 2
    told = capsys.readouterr()
    assert re.search(r"opened|no project|There is no|too long|does not exist", told.err + told.out)
    assert not list(world.glob("new*"))
