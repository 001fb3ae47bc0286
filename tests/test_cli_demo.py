"""`cryosam demo`, made small: 40 x 76 x 90 voxels of 20 Å."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from aitom_cryosam.cli import demo, main


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "VOXEL_SIZE", 20.0)
        patch.setattr(demo, "SHAPE_ZYX", (40, 76, 90))
        patch.setattr(demo, "MEMBRANES", 1)
        yield


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "new"
    assert main(["demo", "--out", str(folder), "--quiet"]) == 0
    return folder


def test_every_file_is_there(out: Path) -> None:
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        "demo_labels.mrc",
        "demo_picks.png",
        "demo_picks.star",
        "demo_proposals.star",
        "demo_query.npz",
        "demo_run.json",
        "demo_trace.npz",
        "simulated/demo.mrc",
        "simulated/demo_truth.star",
        "simulated/demo_truth_labels.mrc",
    ]


def test_a_second_demo_says_what_to_type(out: Path, capsys: pytest.CaptureFixture) -> None:
    before = (out / "demo_picks.star").read_bytes()
    assert main(["demo", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "holds an earlier demo; add --overwrite to replace it, or --out DIR" in error
    assert error.count("\n") == 1
    assert main(["demo", "--out", str(out), "--overwrite"]) == 0
    assert (out / "demo_picks.star").read_bytes() == before
    printed = capsys.readouterr().out
    assert "\nprecision           " in printed

    # The commands that it prints do what it did.
    lines = printed.replace("\\\n", "").splitlines()
    pick, evaluate = (shlex.split(line)[1:] for line in lines if line.startswith("  cryosam"))
    click = json.loads((out / "demo_run.json").read_text())["prompts"][0]["xyz"]
    assert pick[:2] == ["pick", str(out / "simulated" / "demo.mrc")]
    assert [float(value) for value in pick[3].split(",")] == click
    evaluate[1] = str(out / "demo_picks.star")
    assert main(evaluate) == 0
    rows = (*capsys.readouterr().out.splitlines(), *printed.splitlines())
    again, first = (float(row.split()[1]) for row in rows if row.startswith("precision"))
    assert abs(again - first) <= 0.0055  # three digits and two, both rounded


@pytest.mark.slow
def test_own_densities_and_seed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    z, y, x = np.ogrid[-9:10, -9:10, -9:10]
    with mrcfile.new(tmp_path / "ball.mrc") as file:
        file.set_data(np.exp(-(z**2 + y**2 + x**2) / 20).astype(np.float32))
        file.voxel_size = 20.0
    arguments = ["--density", str(tmp_path / "ball.mrc"), "--seed", "3", "--out", str(tmp_path)]
    assert main(["demo", *arguments]) == 0
    assert " ball (beside 1 vesicle)" in capsys.readouterr().out
    assert "ball" in (tmp_path / "simulated" / "demo_truth.star").read_text()
