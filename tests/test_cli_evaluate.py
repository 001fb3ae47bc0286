"""`cryosam` and `cryosam evaluate` as a user meets them."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.evaluation import truth
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.relion_warp import write_picks
from aitom_cryosam.source_file import sha256_of
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.mrc import write_volume

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


@pytest.fixture
def labels(files):
    """Masks of the picks 1, 2 and 4; of all particles and a membrane; and of another shape."""
    found, truth = np.zeros((5, 10, 12), np.int16), np.zeros((5, 10, 12), np.int16)
    found[3, 2, 0:4], found[3, 2, 7:9], found[0, 5, 5] = 1, 2, 4
    truth[3, 2, 0:4], truth[3, 2, 8:11], truth[3, 9, 1], truth[3, 9, 9] = 1, 2, 3, 4
    truth[0] = -1
    for name, data in [("labels", found), ("true_labels", truth), ("other", truth[1:])]:
        write_volume(files / f"{name}.mrc", data, voxel_size=10)
    return files


@pytest.fixture
def several(files):
    """Results of 3 tomograms and a truth of 4; 00256 has no picks, 00255 those of `files`."""
    folder = files / "results"
    folder.mkdir()
    points = [[3, 2, 1], [3, 2, 8], [3, 9, 1], [0, 5, 5]]
    data = np.arange(5 * 10 * 12, dtype=np.float32).reshape(5, 10, 12)
    for name, rows in [("00255", [0, 1, 2, 3]), ("00256", []), ("00300", [2])]:
        tomogram = Tomogram.from_array(data, voxel_size=10, name=f"{name}_10.00Apx")
        picks = Picks.from_points(points, [0.9, 0.8, 0.7, 0.6]).take(rows)
        write_picks(folder / f"{tomogram.name}_picks.star", picks, tomogram)
    rows = [TRUTH.format(name=name).split("#5\n")[1] for name in ("00256", "00300", "00301")]
    rows[1] = rows[1].replace("ribosome", "proteasome")
    (files / "all.star").write_text(TRUTH.format(name="00255") + "".join(rows))
    return files


LABELS = ["--labels", "{}/labels.mrc", "--truth-labels", "{}/true_labels.mrc"]


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
        "95 % intervals        - (need several tomograms)",
        "recall of proteasome  0.500",
        "recall of ribosome    1.000",
    ]


@pytest.mark.parametrize("changed", ["picks", "labels"])
def test_files_that_are_not_as_their_run_left_them_are_refused(labels, capsys, changed):
    """A star file or labels of an earlier run would pass for those of this one."""
    names = {"picks": "TS_01_picks.star", "labels": "TS_01_labels.mrc"}
    (labels / "p.star").rename(labels / names["picks"])
    (labels / "labels.mrc").rename(labels / names["labels"])
    digests = {kind: sha256_of(labels / name) for kind, name in names.items()}
    of = {"name": "TS_01", "path": None, "shape_zyx": [5, 10, 12], "voxel_size_angstrom": 10}
    record = {"tomogram": of, "files": names, "sha256": digests}
    (labels / "TS_01_run.json").write_text(json.dumps(record))
    options = ["--labels", str(labels / names["labels"])]
    options += ["--truth-labels", str(labels / "true_labels.mrc")]
    assert evaluate(labels, *options, picks=names["picks"]) == 0
    capsys.readouterr()
    record["sha256"] = digests | {changed: "0" * 64}
    (labels / "TS_01_run.json").write_text(json.dumps(record))
    assert evaluate(labels, *options, picks=names["picks"]) == 2
    assert f"{names[changed]} is not the file that the run of TS" in capsys.readouterr().err


def test_one_class(files, capsys):
    assert evaluate(files, "--class", "ribosome") == 0
    out = capsys.readouterr().out
    assert "2 of class ribosome" in out
    assert "precision           0.500" in out
    assert "recall of" not in out


def test_positions_that_are_there_twice_are_told(files, capsys):
    """As where two files were joined that share some."""
    with (files / "t.star").open("a") as truth_file:
        truth_file.write("9 9 3 TS_01.tomostar proteasome\n")
    assert main(["evaluate", str(files / "p.star"), str(files / "t.star"), "--radius", "20"]) == 0
    assert "t.star: 1 of its positions are given twice, as in files" in capsys.readouterr().err


def test_picks_of_one_class(tmp_path, capsys):
    rows = ["TS,1,1,1,a", "TS,9,9,3,a", "TS,1,9,1,b", "TS_2,5,5,2,b"]
    (tmp_path / "t.csv").write_text("tomogram,x,y,z,class\n" + "\n".join(rows) + "\n")
    swapped = [row[:-1] + {"a": "b", "b": "a"}[row[-1]] for row in rows]
    (tmp_path / "p.csv").write_text("tomogram,x,y,z,class\n" + "\n".join(swapped) + "\n")
    report = tmp_path / "e.json"
    options = ["--voxel-size", "10", "--json", str(report), "--overwrite"]
    assert evaluate(tmp_path, *options, picks="p.csv", truth="t.csv") == 0
    assert json.loads(report.read_text())["n_matched"] == 4
    said = "Picks and particles of the classes a, b are matched whatever their class; add --class"
    assert said in capsys.readouterr().err
    assert evaluate(tmp_path, *options, "--class", "a", picks="p.csv", truth="t.csv") == 0
    found = json.loads(report.read_text())
    assert (found["n_picks"], found["n_truth"], found["n_matched"]) == (2, 2, 0)
    assert "2 of 4 picks are of class a and count" in capsys.readouterr().err
    (tmp_path / "p.csv").write_text("tomogram,x,y,z,class\nTS,1,1,1,1\n")  # by number
    assert evaluate(tmp_path, *options, "--class", "a", picks="p.csv", truth="t.csv") == 0
    assert json.loads(report.read_text())["n_matched"] == 1
    assert "matched whatever" not in capsys.readouterr().err


PLACES = np.random.default_rng(4).uniform((4, 4, 4), (60, 50, 28), (12, 3))


@pytest.mark.parametrize(
    ("truth", "says"),
    [
        (PLACES, None),
        (PLACES + 0.2, None),
        (PLACES + 1, "The particles lie x, y, z = 1.0, 1.0, 1.0 voxels from the picks that match"),
        (PLACES + np.array([0.5, 0.5, 0]), "lie x, y, z = 0.5, 0.5, 0.0 voxels from the picks"),
        (PLACES[:, ::-1], "12 would if the truth had x, y, z in the order z, y, x."),
        (PLACES[:, [1, 2, 0]], "12 would if the truth had x, y, z in the order y, z, x."),
        (PLACES * (1, -1, 1) + (0, 53, 0), "12 would if the truth counted y from the other end."),
        (
            PLACES * 4,
            "would if the truth counted pixels of 2.5 Å; correct it, or add --truth-angpix",
        ),
        (PLACES * 10, "12 would if the truth counted pixels of 1 Å; correct it"),
        (PLACES - (32, 27, 16), "12 would if the truth lay x, y, z = 32, 27, 16 voxels further,"),
        (
            PLACES[:9] + np.array([0, 0, 12]),
            "9 would if the truth lay x, y, z = 0, 0, -12 voxels further,",
        ),
        (np.random.default_rng(5).uniform((4, 4, 4), (60, 50, 28), (12, 3)), None),
        (PLACES[:4, ::-1], None),
    ],
)
def test_truth_that_counts_otherwise_is_told(tmp_path, capsys, truth, says):
    for name, points in (("TS_01_picks.star", PLACES), ("t.csv", truth)):
        head = "x,y,z\n"
        if name.endswith(".star"):
            head = "data_\n\nloop_\n" + "".join(f"_rlnCoordinate{axis}\n" for axis in "XYZ")
        rows = [("," if name == "t.csv" else " ").join(map(str, point)) for point in points]
        (tmp_path / name).write_text(head + "\n".join(rows) + "\n")
    of = {"name": "TS_01", "path": None, "shape_zyx": [32, 54, 64], "voxel_size_angstrom": 10}
    record = {"tomogram": of, "files": {"picks": "TS_01_picks.star"}}
    (tmp_path / "TS_01_run.json").write_text(json.dumps(record))
    assert evaluate(tmp_path, picks=".", truth="t.csv") == 0
    told = capsys.readouterr().err
    assert (says or "") in told
    assert bool(says) == ("would if the truth" in told or "The particles lie" in told)


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


def test_several_tomograms(several, capsys):
    assert evaluate(several, picks="results", truth="all.star") == 0
    captured = capsys.readouterr()
    assert [" ".join(line.split()) for line in captured.out.splitlines()] == [
        "tomogram picks particles matched precision recall F1 AP error (Å)",
        "00255 4 4 3 0.750 0.750 0.750 0.750 0.0",
        "00256 0 4 0 - 0.000 0.000 0.000 -",
        "00300 1 4 1 1.000 0.250 0.400 0.250 0.0",
        "total 5 12 4 0.800 0.333 0.471 0.333 0.0",
        "95 % interval 0.750–1.000 0.000–0.750 0.000–0.750 0.000–0.750 0.0–0.0",
        "mean 0.875 0.333 0.383 0.333 0.0",
        "95 % interval 0.750–1.000 0.000–0.750 0.000–0.750 0.000–0.750 0.0–0.0",
        "",
        "matched within 20 Å",
        "recall of proteasome 0.250",
        "recall of ribosome 0.500",
    ]
    assert captured.err == (
        "warning: Left out, as there are no picks: 00301 (--count-unpicked counts their "
        "particles as missed).\n"
    )


@pytest.fixture
def truths(several):
    """The truth of `several` as a folder: other formats, names only some files say, a note."""
    folder = several / "truths"
    folder.mkdir()
    (folder / "00255.star").write_text(TRUTH.format(name="00255"))
    points = [line.split() for line in TRUTH.splitlines()[8:]]
    table = "".join(f"{x},{y},{z},{kind}\n" for x, y, z, _, kind in points)
    (folder / "00256.csv").write_text("x,y,z,class\n" + table)
    (folder / "00300_10.00Apx.csv").write_text(
        "x,y,z,class\n" + table.replace("ribosome", "proteasome")
    )
    (folder / "00301_truth.coords").write_text("")
    (folder / "README.txt").write_text("Clicked by hand.\n")
    (folder / "00255.mrc").write_bytes(b"")
    return several


def test_a_folder_of_truths_is_looked_through_once(truths, monkeypatch):
    """And not for each tomogram, of which there may be thousands."""
    looked, files = [], truth._files
    monkeypatch.setattr(truth, "_files", lambda folder: looked.append(folder) or files(folder))
    (truths / "truths" / "00301_truth.coords").unlink()
    assert evaluate(truths, picks="results", truth="truths") == 0
    assert looked == [truths / "truths"]


def test_a_folder_of_truths_is_as_good_as_a_file(truths, capsys):
    (truths / "truths" / "00301_truth.coords").unlink()
    assert evaluate(truths, picks="results", truth="all.star") == 0
    of_file = capsys.readouterr().out
    assert evaluate(truths, picks="results", truth="truths") == 0
    captured = capsys.readouterr()
    assert captured.out == of_file
    assert captured.err == (
        "warning: Left out, as there are no picks: README (--count-unpicked counts their "
        "particles as missed).\n"
    )
    (truths / "truths" / "README.txt").unlink()
    options = ["--class", "ribosome", "--json", str(truths / "e.json")]
    assert evaluate(truths, *options, picks="results", truth="truths") == 0
    report = json.loads((truths / "e.json").read_text())
    assert (report["n_picks"], report["n_truth"], report["n_matched"]) == (5, 4, 2)


def test_files_that_macos_leaves_beside_others_are_passed(truths, capsys):
    results = truths / "results"
    for file in [*results.iterdir(), *(truths / "truths").iterdir()]:
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7")
    (results / "._TS_01_run.json").write_bytes(b"\0\5\26\7")
    assert evaluate(truths, picks="results", truth="truths") == 0
    assert "._" not in capsys.readouterr().err


def test_a_truth_beside_picks_and_proposals_is_the_truth(truths, capsys):
    """As in the folder of a simulation in which picking was tried."""
    (truths / "truths" / "README.txt").unlink()
    (truths / "truths" / "00301_truth.coords").write_text("9 9 3\n")
    for name in ("00301_picks.star", "00301_proposals.star", "00255_proposals.star"):
        (truths / "truths" / name).write_text("no points")
    options = ["--count-unpicked", "--json", str(truths / "e.json")]
    assert evaluate(truths, *options, picks="results", truth="truths") == 0
    assert "warning: Some" not in capsys.readouterr().err
    report = json.loads((truths / "e.json").read_text())
    assert list(report["tomograms"]) == ["00255", "00256", "00300", "00301"]
    assert (report["n_truth"], report["n_matched"]) == (13, 4)


def test_one_truth_of_two_versions_of_a_tomogram_is_refused(truths, capsys):
    table = "x,y,z,tomogram\n1,2,3,00255\n1,2,3,00255_denoised\n"
    (truths / "both.csv").write_text(table)
    assert evaluate(truths, "--voxel-size", "10", picks="both.csv", truth="truths") == 2
    says = "00255.star could be of 00255 or of 00255_denoised; give the picks of one of them, or"
    assert says in capsys.readouterr().err


def test_an_empty_truth_is_of_a_tomogram_without_particles(truths):
    (truths / "truths" / "00301_truth.coords").unlink()
    (truths / "truths" / "00300_10.00Apx.csv").write_text("x,y,z,class\n")
    options = ["--json", str(truths / "e.json")]
    assert evaluate(truths, *options, picks="results", truth="truths") == 0
    report = json.loads((truths / "e.json").read_text())
    assert report["tomograms"]["00300"]["precision"] == 0
    assert (report["n_picks"], report["n_truth"], report["n_matched"]) == (5, 8, 3)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("00256.star", "truths has 00256.csv, 00256.star of 00256; expected one"),
        (None, "The folder {} holds no files of points; name a file instead"),
    ],
)
def test_folders_that_are_no_truth(truths, capsys, extra, says):
    for path in (truths / "truths").iterdir():
        if extra is None:
            path.unlink()
    if extra:
        (truths / "truths" / extra).write_text(TRUTH.format(name="00256"))
    assert evaluate(truths, picks="results", truth="truths") == 2
    assert says.format(truths / "truths") in capsys.readouterr().err


@pytest.fixture
def copick(several):
    """The truth of `several` as the root of a copick project, a file for each class."""
    points = [line.split() for line in TRUTH.splitlines()[8:]]
    for run in ("00255", "00256", "00300", "00301"):
        folder = several / "overlay" / "ExperimentRuns" / run / "Picks"
        folder.mkdir(parents=True)
        for kind in ("ribosome", "proteasome"):
            kinds = ["proteasome" if run == "00300" else point[4] for point in points]
            mine = [map(float, p[:3]) for p, own in zip(points, kinds, strict=True) if own == kind]
            content = {
                "pickable_object_name": kind,
                "run_name": run,
                "voxel_spacing": None,
                "points": [
                    {"location": {"x": 10 * x, "y": 10 * y, "z": 10 * z}} for x, y, z in mine
                ],
            }
            (folder / f"curation_0_{kind}.json").write_text(json.dumps(content))
    return several


@pytest.mark.parametrize("root", ["overlay", "overlay/ExperimentRuns"])
def test_the_root_of_a_copick_project_is_a_truth(copick, capsys, root):
    options = ["--class", "ribosome", "--json", str(copick / "e.json"), "--overwrite"]
    options += ["--voxel-size", "10"]
    assert evaluate(copick, *options, picks="results", truth="all.star") == 0
    of_file = json.loads((copick / "e.json").read_text())
    assert evaluate(copick, *options, picks="results", truth=root) == 0
    assert json.loads((copick / "e.json").read_text())["tomograms"] == of_file["tomograms"]
    assert "Left out, as there are no picks: 00301 (--count" in capsys.readouterr().err
    assert evaluate(copick, *options, "--count-unpicked", picks="results", truth=root) == 0
    assert list(json.loads((copick / "e.json").read_text())["tomograms"])[-1] == "00301"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "proteasome.json, curation_0_ribosome.json of 00255; expected one; add --class NAME"),
        (["--class", "vault"], "ribosome.json of 00255; expected one of class 'vault'."),
    ],
)
def test_a_run_with_picks_of_several_objects_needs_a_class(copick, capsys, options, says):
    assert evaluate(copick, *options, picks="results", truth="overlay") == 2
    assert says in capsys.readouterr().err


def test_the_only_truth_of_the_only_picks(truths, capsys):
    """Neither says which tomogram it is of."""
    (truths / "p.csv").write_text("x,y,z\n1,2,3\n")
    for path in (truths / "truths").iterdir():
        if path.name != "00256.csv":
            path.unlink()
    assert evaluate(truths, "--voxel-size", "10", picks="p.csv", truth="truths") == 0
    assert "recall                0.250" in capsys.readouterr().out


def test_tomograms_without_picks_count_if_they_were_searched(several, capsys):
    options = ["--count-unpicked", "--json", str(several / "e.json")]
    assert evaluate(several, *options, picks="results", truth="all.star") == 0
    assert capsys.readouterr().err == ""
    report = json.loads((several / "e.json").read_text())
    assert list(report["tomograms"]) == ["00255", "00256", "00300", "00301"]
    assert report["tomograms"]["00301"]["n_truth"] == 4
    assert report["recall"] == 4 / 16


def test_several_files_are_as_good_as_a_folder(several, capsys):
    assert evaluate(several, picks="results", truth="all.star") == 0
    files = sorted(map(str, (several / "results").iterdir()))
    of_folder = capsys.readouterr().out
    assert main(["evaluate", *files, str(several / "all.star"), "--radius", "20"]) == 0
    assert capsys.readouterr().out == of_folder


def test_picks_of_a_tomogram_without_truth_are_left_out(several, capsys):
    assert evaluate(several, picks="results") == 2
    assert "points of TS_01; expected some of 00255" in capsys.readouterr().err
    (several / "t.star").write_text(TRUTH.format(name="00255"))
    assert evaluate(several, picks="results") == 0
    captured = capsys.readouterr()
    assert "t.star has no points there: 00256, 00300.\n" in captured.err
    assert "picks                 4\n" in captured.out


def test_a_tomogram_without_the_class_has_false_picks_only(several, capsys):
    options = ["--class", "ribosome", "--json", str(several / "e.json")]
    assert evaluate(several, *options, picks="results", truth="all.star") == 0
    report = json.loads((several / "e.json").read_text())
    assert report["tomograms"]["00300"]["precision"] == 0
    assert report["tomograms"]["00300"]["recall"] is None
    assert (report["n_picks"], report["n_truth"], report["n_matched"]) == (5, 4, 2)


def test_json_of_several_tomograms(several):
    options = ["--json", str(several / "e.json"), "--beta", "2", "--resamples", "50"]
    assert evaluate(several, *options, picks="results", truth="all.star") == 0
    report = json.loads((several / "e.json").read_text())
    assert report["f_beta"] == pytest.approx(5 * 4 / (5 + 4 * 12))
    assert report["mean"]["precision"] == 0.875
    assert report["intervals"]["resamples"] == 50
    assert report["intervals"]["total"]["localisation_error"] == [0, 0]
    assert report["tomograms"]["00255"]["scores"] == {"true": [0.9, 0.8, 0.7], "false": [0.6]}
    assert report["tomograms"]["00300"]["distances_angstrom"] == [0]
    assert report["curve"]["precision"] == pytest.approx([1, 1, 1, 1, 4 / 5])


def test_f_beta_has_a_row_of_its_own(files, several, capsys):
    assert evaluate(files, "--beta", "0.5") == 0
    assert "F0.5                  0.750\n" in capsys.readouterr().out
    assert evaluate(several, "--beta", "2", picks="results", truth="all.star") == 0
    assert capsys.readouterr().out.splitlines()[0].split()[6:8] == ["F1", "F2"]


def test_masks(labels, capsys):
    assert evaluate(labels, *(option.format(labels) for option in LABELS)) == 0
    *rows, surface = capsys.readouterr().out.splitlines()[-10:]
    assert surface.startswith("  surface distance    ")
    assert rows == [
        "masks                 1 of 3 found and 4 true ones, IoU ≥ 0.5",
        "  precision           0.333",
        "  recall              0.250",
        "  F1                  0.286",
        "  mean IoU            0.312 (of matched ones 1.000)",
        "voxels, IoU           0.455",
        "  Dice                0.625",
        "  precision           0.714",
        "  recall              0.556",
    ]


def test_one_label_of_the_truth_within_a_tolerance(labels, capsys):
    options = (*(option.format(labels) for option in LABELS), "--truth-label", "1")
    assert evaluate(labels, *options, "--tolerance", "10") == 0
    out = capsys.readouterr().out
    assert "of 3 found and 1 true ones" in out
    assert "  recall within 10 Å     1.000" in out


def test_masks_of_one_class_are_the_rows_of_the_truth(labels):
    options = [*(option.format(labels) for option in LABELS), "--json", str(labels / "e.json")]
    assert evaluate(labels, *options, "--class", "ribosome", "--iou", "0.2") == 0
    masks = json.loads((labels / "e.json").read_text())["masks"]
    assert (masks["n_found"], masks["n_truth"], masks["n_matched"]) == (3, 2, 2)
    assert masks["pairs"] == [
        {"label": 1, "truth_label": 1, "iou": 1.0},
        {"label": 2, "truth_label": 2, "iou": 0.25},
    ]


def test_the_rows_of_a_truth_of_several_tomograms_count_from_1_in_each(labels):
    first = TRUTH.format(name="TS_00") + TRUTH.format(name="TS_01").split("#5\n")[1]
    (labels / "t.star").write_text(first)
    options = [*(option.format(labels) for option in LABELS), "--json", str(labels / "e.json")]
    assert evaluate(labels, *options, "--class", "ribosome") == 0
    masks = json.loads((labels / "e.json").read_text())["masks"]
    assert [pair["truth_label"] for pair in masks["pairs"]] == [1, 2]


def test_pictures(several):
    options = ["--curve", str(several / "c.png"), "--histogram", str(several / "h.png")]
    assert evaluate(several, *options, picks="results", truth="all.star") == 0
    for name in ("c.png", "h.png"):
        assert (several / name).read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_drawn_without_a_word_where_the_home_cannot_be_written(files):
    code = "import sys; from aitom_cryosam.cli import main; sys.exit(main())"
    typed = [str(files / "p.star"), str(files / "t.star"), "--radius", "25", "--voxel-size", "10"]
    run = subprocess.run(
        [sys.executable, "-c", code, "evaluate", *typed, "--histogram", str(files / "h.png")],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "MPLCONFIGDIR"}
        | {"HOME": "/dev/null", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""},
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert (files / "h.png").exists()


def test_a_curve_needs_scores(files, capsys):
    (files / "p.csv").write_text("1,2,3\n")
    options = ["--voxel-size", "10", "--curve", str(files / "c.png")]
    assert evaluate(files, *options, picks="p.csv") == 2
    assert "1 of the 1 picks of p have no score" in capsys.readouterr().err
    assert not (files / "c.png").exists()
    options[-2:] = ["--histogram", str(files / "h.png")]
    assert evaluate(files, *options, picks="p.csv") == 0


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
    (files / "none.csv").write_text("")
    (files / "nan.star").write_text((files / "p.star").read_text().replace(" 0.800000", " x"))
    (files / "empty").mkdir()
    (files / "twice").mkdir()
    for name in ("01_picks.star", "02_picks.star"):
        (files / "twice" / name).write_text((files / "p.star").read_text())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"picks": "absent.star"}, "There is no file"),
        ({"truth": "absent.star"}, "There is no file"),
        ({"truth": "other.star"}, "points of TS_02; expected some of TS_01"),
        ({"truth": "plain.star"}, "no coordinates"),
        ({"truth": "angstrom.star"}, "Å from the centre"),
        ({"truth": "empty.csv"}, "no particles"),
        ({"options": ["--reference", "map.mrc"]}, "--reference is for an average; add --resolut"),
        ({"options": ["--tilt-range", "0,9"]}, "--tilt-range is for an average; add --resolut"),
        ({"picks": "empty"}, "empty holds no *_picks.star; name the files instead."),
        ({"picks": "twice"}, "02_picks.star has picks of TS_01, as "),
        ({"picks": "two.star", "truth": "t.csv"}, "not say which tomogram its points are of, and"),
        ({"picks": "none.csv", "truth": "two.star"}, "name it after one, such as NAME_picks.csv"),
        ({"picks": "two.star", "truth": "two.star", "options": LABELS}, "picks of 2 are compared"),
        ({"options": LABELS[:2]}, "--labels and --truth-labels belong together"),
        ({"options": [*LABELS[:3], "{}/other.mrc"]}, "shape (4, 10, 12), got (5, 10, 12)"),
        ({"options": [*LABELS, "--iou", "0"]}, "IoU"),
        ({"picks": "nan.star"}, "row 2: rlnAutopickFigureOfMerit is 'x', not a number"),
        ({"options": ["--radius", "nan"]}, "radius above 0"),
        ({"options": ["--beta", "0"]}, "beta above 0"),
        ({"options": ["--resamples", "0"]}, "at least 1 resample"),
        ({"options": ["--seed", "-1"]}, "a seed of 0 or more, got -1"),
        ({"options": [*LABELS, "--tolerance", "-1"]}, "a tolerance of 0 Å or more, got -1"),
        ({"options": [*LABELS, "--tolerance", "nan"]}, "a tolerance of 0 Å or more, got nan"),
        ({"options": ["--tolerance", "20"]}, "--tolerance is for --labels; add them, or leave"),
        ({"options": ["--truth-label", "1"]}, "--truth-label is for --labels; add them"),
        ({"options": ["--iou", "0.3"]}, "--iou is for --labels; add them, or leave it out."),
        ({"options": ["--curve", "{}/c.pdf"]}, "a PNG file to write, such as curve.png, got"),
        ({"options": ["--histogram", "{}/c"]}, "a PNG file to write, such as curve.png, got"),
        (
            {"options": ["--histogram", "{}/c.png", "--curve", "{}/c.png"]},
            "c.png; give each its own name",
        ),
        ({"options": ["--curve", "{}/p.star"]}, "p.star is an input of this run"),
        ({"options": ["--histogram", "{}"]}, "is a folder"),
        ({"options": ["--class", "virus"]}, "no class 'virus'; expected one of proteasome, ribo"),
        ({"options": ["--class", "a"], "truth": "t.csv"}, "no column particleClass"),
        ({"options": ["--voxel-size", "5"]}, "voxels of 10 Å, but the voxels here have 5 Å"),
        ({"options": ["--voxel-size", "0"]}, "above 0 Å"),
        ({"options": ["--radius", "0"]}, "radius above 0"),
        ({"options": ["--json", "/absent/folder/e.json"]}, "not an existing folder"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(labels, capsys, arguments, says):
    files = labels
    bad_input(files)
    options = arguments.pop("options", [])
    options = [option.format(files) for option in options]
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


def test_a_truth_of_relion_5_is_read_with_the_tilt_series(tmp_path, capsys):
    """Å from the centre of 400 x 400 x 400 pixels of 1 Å are voxels of 10 Å from a corner."""
    columns = "".join(
        f"_rlnCenteredCoordinate{axis}Angst #{i}\n" for i, axis in enumerate("XYZ", 2)
    )
    rows = "TS_01 -100 -100 -100\nTS_01 0 0 0\n"
    truth = tmp_path / "centred.star"
    truth.write_text(f"data_particles\n\nloop_\n_rlnTomoName #1\n{columns}{rows}")
    picks = tmp_path / "TS_01_picks.csv"
    picks.write_text("x,y,z\n10,10,10\n20,20,21\n")
    typed = ["evaluate", str(picks), str(truth), "--radius", "15", "--voxel-size", "10"]
    size = ["--unbinned-pixel-size", "1", "--unbinned-size", "400,400,400"]
    assert main([*typed, *size]) == 0
    assert "matched             2 within 15 Å" in capsys.readouterr().out
    assert main(typed) == 2
    assert "add --tomograms-star FILE" in capsys.readouterr().err
