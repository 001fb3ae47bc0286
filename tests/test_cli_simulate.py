"""`cryosam simulate`: from the command line to three files."""

from __future__ import annotations

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.points.reading import read_points

SMALL = ["--shape", "70,80,40", "--membranes", "0", "--tilt-range", "-60,60", "--count", "2,1"]


def run(*arguments: object) -> int:
    return main(["simulate", *map(str, arguments)])


@pytest.fixture
def map_path(tmp_path: Path) -> Path:
    path = tmp_path / "ball.mrc"
    z, y, x = np.ogrid[-9:10, -9:10, -9:10]
    with mrcfile.new(path) as file:
        file.set_data(np.exp(-(z**2 + y**2 + x**2) / 20).astype(np.float32))
        file.voxel_size = 8.0
    return path


def test_invented_particles_to_three_files(tmp_path: Path, capsys) -> None:
    out = tmp_path / "new" / "folder"
    assert run(*SMALL, "--out", out, "--name", "TS_01") == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "TS_01.mrc",
        "TS_01_truth.star",
        "TS_01_truth_labels.mrc",
    ]
    assert "    2 ribosome_like\n    1 barrel\n" in capsys.readouterr().out
    assert run(*SMALL, "--out", tmp_path / "quiet", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    with mrcfile.open(out / "TS_01.mrc") as file:
        assert file.data.shape == (40, 80, 70)
        assert file.voxel_size.x == 10
    truth = read_points(out / "TS_01_truth.star", voxel_size=10.0)
    assert truth.classes == ("ribosome_like", "ribosome_like", "barrel")
    assert truth.names == ("TS_01.tomostar",) * 3


def test_every_option_reaches_the_simulation(tmp_path: Path, map_path: Path) -> None:
    basic = [map_path, "--shape", "30,36,24", "--membranes", "0", "--count", "2"]
    changes: list[list[object]] = [
        [],
        ["--tilt-range", "-40,40"],
        ["--tilt-step", "5"],
        ["--snr", "inf"],
        ["--defocus", "0"],
        ["--seed", "1"],
        ["--contrast", "bright"],
        ["--denoise", "10"],
        ["--voxel-size", "9"],
        ["--map-voxel-size", "9"],
    ]
    contents = set()
    for i, change in enumerate(changes):
        assert run(*basic, *change, "--out", tmp_path, "--name", f"a{i}") == 0
        contents.add((tmp_path / f"a{i}.mrc").read_bytes())
    assert len(contents) == len(changes)


def test_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        assert run(*SMALL, "--out", tmp_path / name) == 0
    for name in ("simulated.mrc", "simulated_truth_labels.mrc", "simulated_truth.star"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_results_are_replaced_only_when_told(tmp_path: Path, capsys) -> None:
    assert run(*SMALL, "--out", tmp_path) == 0
    assert run(*SMALL, "--out", tmp_path) == 2
    assert "already exists" in capsys.readouterr().err
    assert run(*SMALL, "--out", tmp_path, "--overwrite") == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--shape", "50,60"], "Expected --shape X,Y,Z, got 2 numbers."),
        (["--count", "1,2,3"], "Expected --count with 1 number or 2, one per map, got 3."),
        (["--count", "900"], "particles fit without overlap"),
        (["--name", "a b"], "Expected a name without spaces"),
        (["nowhere.mrc"], "There is no file nowhere.mrc."),
        (["--map-voxel-size", "5"], "--map-voxel-size is for density maps; give one, or leave"),
        (["--snr", "0"], "Expected a signal-to-noise ratio above 0"),
    ],
)
def test_bad_input_is_one_sentence_and_no_file(
    tmp_path: Path, capsys, options: list[str], sentence: str
) -> None:
    assert run(*SMALL, "--out", tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("out/*"))


def test_two_maps_of_one_name_are_refused(map_path: Path, tmp_path: Path, capsys) -> None:
    assert run(map_path, map_path, "--out", tmp_path) == 2
    assert "Two maps would be the class ball" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        ("--shape", "a,b,c", "expected whole numbers and commas, got 'a,b,c'"),
        ("--tilt-range", "-60", "expected LOW,HIGH in degrees, got '-60'"),
    ],
)
def test_numbers_that_are_none_stop_at_the_option(
    tmp_path: Path, capsys, option: str, text: str, says: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("--out", tmp_path, option, text)
    assert says in capsys.readouterr().err
