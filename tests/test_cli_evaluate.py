"""`cryosam` and `cryosam evaluate` as a user meets them."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.io.star import write_picks
from aitom_cryosam.picks import Picks
from aitom_cryosam.tomogram import Tomogram

TRUTH = """data_

loop_
_rlnCoordinateX #1
_rlnCoordinateY #2
_rlnCoordinateZ #3
_rlnMicrographName #4
_particleClass #5
1 2 3 {name}.tomostar ribosome
9 2 3 {name}.tomostar ribosome
1 9 3 {name}.tomostar proteasome
9 9 3 {name}.tomostar proteasome
"""


@pytest.fixture
def files(tmp_path):
    """Picks of both ribosomes, of one proteasome and of nothing; and the truth."""
    data = np.arange(5 * 10 * 12, dtype=np.float32).reshape(5, 10, 12)
    tomogram = Tomogram.from_array(data, voxel_size=10, name="TS_01_10.00Apx")
    points = [[3, 2, 1], [3, 2, 8], [3, 9, 1], [0, 5, 5]]
    write_picks(tmp_path / "p.star", Picks.from_points(points, [0.9, 0.8, 0.7, 0.6]), tomogram)
    write_picks(tmp_path / "none.star", Picks.from_points(np.zeros((0, 3))), tomogram)
    (tmp_path / "t.star").write_text(TRUTH.format(name="TS_01"))
    return tmp_path


def evaluate(files, *options, picks="p.star", truth="t.star"):
    return main(["evaluate", str(files / picks), str(files / truth), "--radius", "20", *options])


def test_table(files, capsys):
    assert evaluate(files) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        "picks                 4",
        "particles             4",
        "matched               3 within 20 Å",
        "precision             0.750",
        "recall                0.750",
        "F1                    0.750",
        "average precision     0.750",
        "localisation error    0.0 Å (median)",
        "recall of proteasome  0.500",
        "recall of ribosome    1.000",
    ]


def test_one_class(files, capsys):
    assert evaluate(files, "--class", "ribosome") == 0
    out = capsys.readouterr().out
    assert "2 of class ribosome" in out
    assert "precision           0.500" in out
    assert "recall of" not in out


def test_json(files):
    path = files / "e.json"
    assert evaluate(files, "--json", str(path)) == 0
    report = json.loads(path.read_text())
    assert report["precision"] == report["f1"] == 0.75
    assert report["localisation_error"] == 0
    assert report["recall_by_class"] == {"proteasome": 0.5, "ribosome": 1}
    assert report["curve"]["recall"] == [0.25, 0.5, 0.75, 0.75]
    assert report["radius_angstrom"] == 20
    assert evaluate(files, "--json", str(path)) == 2
    assert evaluate(files, "--json", str(path), "--overwrite") == 0


def test_no_picks(files, capsys):
    assert evaluate(files, "--json", str(files / "e.json"), picks="none.star") == 0
    out = capsys.readouterr().out
    assert "picks                 0" in out
    assert "precision             -" in out
    assert "F1                    0.000" in out
    assert json.loads((files / "e.json").read_text())["precision"] is None


def test_picks_without_a_voxel_size(files, capsys):
    (files / "p.csv").write_text("1,2,3\n")
    assert evaluate(files, picks="p.csv") == 2
    assert "p.csv states no voxel size; add --voxel-size ANGSTROM." in capsys.readouterr().err
    assert evaluate(files, "--voxel-size", "10", picks="p.csv") == 0
    assert "average precision     -" in capsys.readouterr().out


def test_truth_in_another_pixel_size(files, capsys):
    (files / "t.csv").write_text("4,8,12\n36,8,12\n")
    assert evaluate(files, "--truth-angpix", "2.5", truth="t.csv") == 0
    assert "recall              1.000" in capsys.readouterr().out


def test_truth_of_a_processed_name_warns(files, capsys):
    (files / "t.star").write_text(TRUTH.format(name="TS_01_den"))
    assert evaluate(files) == 0
    assert "warning: " in capsys.readouterr().err


def bad_input(files):
    header = "data_\n\nloop_\n"
    (files / "other.star").write_text(TRUTH.format(name="TS_02"))
    (files / "plain.star").write_text(header + "_rlnAngleRot #1\n1\n")
    centred = "".join(f"_rlnCenteredCoordinate{axis}Angst #1\n" for axis in "XYZ")
    (files / "angstrom.star").write_text(header + centred + "1 2 3\n")
    (files / "empty.csv").write_text("")
    (files / "t.csv").write_text("1,2,3\n")
    both = (files / "p.star").read_text().replace("_rlnMicro", "_rlnTomo", 1)
    rows = both.replace("TS_01.tomostar", "TS_02.tomostar", 1)
    (files / "two.star").write_text(rows.replace("_rlnTomographName", "_rlnMicrographName"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"picks": "absent.star"}, "There is no file"),
        ({"truth": "absent.star"}, "There is no file"),
        ({"truth": "other.star"}, "points of TS_02; expected some of TS_01"),
        ({"truth": "plain.star"}, "no coordinates"),
        ({"truth": "angstrom.star"}, "Å from the centre"),
        ({"truth": "empty.csv"}, "no particles"),
        ({"picks": "two.star"}, "picks of 2 tomograms; expected one"),
        ({"options": ["--class", "virus"]}, "no class 'virus'; expected one of proteasome, ribo"),
        ({"options": ["--class", "a"], "truth": "t.csv"}, "no column particleClass"),
        ({"options": ["--voxel-size", "5"]}, "voxels of 10 Å, but the voxels here have 5 Å"),
        ({"options": ["--voxel-size", "0"]}, "above 0 Å"),
        ({"options": ["--radius", "0"]}, "radius above 0"),
        ({"options": ["--json", "/absent/folder/e.json"]}, "not an existing folder"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(files, capsys, arguments, says):
    bad_input(files)
    options = arguments.pop("options", [])
    assert evaluate(files, *options, **arguments) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("cryosam evaluate: ")


def test_ctrl_c_is_one_line(files, capsys, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aitom_cryosam.evaluation.evaluate", interrupt)
    assert evaluate(files) == 130
    assert capsys.readouterr().err == "cryosam evaluate: interrupted.\n"


@pytest.mark.parametrize("argv", [[], ["fly"], ["evaluate"], ["evaluate", "a", "b"]])
def test_wrong_arguments(capsys, argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--help"], ["evaluate", "--help"], ["--version"]])
def test_help_is_quick_and_imports_nothing_heavy(argv):
    code = (
        "import sys; from aitom_cryosam.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'torch', 'mrcfile'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    begin = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "cryosam" in run.stdout
    assert time.perf_counter() - begin < 1


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(command in out for command in ("pick", "demo", "evaluate", "simulate"))
