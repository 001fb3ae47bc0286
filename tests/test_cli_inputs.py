"""No command replaces what it was told to read, whatever else it may replace."""

import argparse
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
