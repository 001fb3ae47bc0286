"""`cryosam export`: picks of one or many tomograms become a project's files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import starfile
from scipy.spatial.transform import Rotation

from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import FORMATS
from aitom_cryosam.points.formats.relion_warp import write_picks, write_proposals
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.points.writing import project_files
from aitom_cryosam.record import Record
from aitom_cryosam.volumes.mrc import write_volume

SHAPE = (200, 464, 480)
PICKS = Picks.from_points([[100, 200, 300], [1, 2, 3], [4, 5, 6]], [0.5, 0.9, 0.7]).reject([2], "x")
SERIES = ["--unbinned-pixel-size", "1.35", "--unbinned-size", "3838,3710,1600"]


def result(folder, name):
    """The files of a run that matter here."""
    folder.mkdir()
    write_picks(folder / f"{name}_picks.star", PICKS, TomogramInfo(name, 10.8))
    write_proposals(folder / f"{name}_proposals.star", PICKS, TomogramInfo(name, 10.8))
    record = {"name": name, "path": None, "shape_zyx": SHAPE, "voxel_size_angstrom": 10.8}
    (folder / f"{name}_run.json").write_text(json.dumps({"tomogram": record}))
    return folder


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Two result folders and their project, in the working folder."""
    monkeypatch.chdir(tmp_path)
    result(tmp_path / "one", "00255_10.80Apx")
    result(tmp_path / "two", "TS_02_10.80Apx")
    labels = ("Name", "TiltSeriesPixelSize", "TomogramBinning", "SizeX", "SizeY", "SizeZ")
    (tmp_path / "tomograms.star").write_text(
        "data_global\n\nloop_\n"
        + "".join(f"_rlnTomo{label} #{i}\n" for i, label in enumerate(labels, 1))
        + "00255 1.35 8 3838 3710 1600\nTS_02 1.35 8 3838 3710 1200\n"
    )
    return tmp_path


def export(*options):
    return main(["export", *map(str, options)])


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_project_of_relion5(world, capsys):
    options = ["--to", "relion5", "--out", "out", "--tomograms-star", "tomograms.star"]
    assert export("one", "two", *options) == 0
    assert files(world / "out") == [
        "00255_cryosam.star",
        "TS_02_cryosam.star",
        "import.star",
        "optimisation_set.star",
        "particles.star",
    ]
    blocks = starfile.read("out/particles.star", always_dict=True, parse_as_string=["rlnTomoName"])
    assert list(blocks) == ["particles"]
    assert blocks["particles"].to_numpy().tolist() == [
        ["00255", -2558.25, -2482.65, -1069.2, 0.9, "00255:2", 0.9],
        ["00255", 649.35, -344.25, 0.0, 0.5, "00255:1", 0.5],
        ["TS_02", -2558.25, -2482.65, -799.2, 0.9, "TS_02:2", 0.9],
        ["TS_02", 649.35, -344.25, 270.0, 0.5, "TS_02:1", 0.5],
    ]
    listed = starfile.read("out/import.star", parse_as_string=["rlnTomoName"])
    assert list(listed) == ["rlnTomoName", "rlnTomoImportParticleFile"]
    assert listed.to_numpy().tolist() == [
        ["00255", "out/00255_cryosam.star"],
        ["TS_02", "out/TS_02_cryosam.star"],
    ]
    for name, path in listed.to_numpy():
        part = starfile.read(path, parse_as_string=["rlnTomoName"])
        assert part["rlnTomoName"].tolist() == [name, name]
    text = (world / "out/optimisation_set.star").read_text()
    assert text.startswith("data_optimisation_set\n")
    assert text.split()[-2:] == ["out/particles.star", "tomograms.star"]
    assert capsys.readouterr().out.splitlines()[:3] == [
        "picks     2 of 00255",
        "picks     2 of TS_02",
        "files     out/particles.star",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relion4", ["particles.star"]),
        ("relion31", ["00255_cryosam.star", "TS_02_cryosam.star"]),
        (
            "warp",
            ["00255_10.80Apx_cryosam.star", "TS_02_10.80Apx_cryosam.star", "particles.star"],
        ),
        ("imod", ["00255_cryosam.txt", "TS_02_cryosam.txt"]),
        ("dynamo", ["particles.doc", "particles.tbl"]),
        ("motl", ["particles.doc", "particles.em"]),
        ("stopgap", ["particles.doc", "particles.star"]),
        (
            "copick",
            [
                "ExperimentRuns/00255/Picks/cryosam_1_80S-ribosome.json",
                "ExperimentRuns/TS_02/Picks/cryosam_1_80S-ribosome.json",
            ],
        ),
        ("eman2", ["info/00255_info.json", "info/TS_02_info.json"]),
        (
            "aitom",
            [
                "00255_cryosam.json",
                "00255_cryosam.pickle",
                "TS_02_cryosam.json",
                "TS_02_cryosam.pickle",
            ],
        ),
    ],
)
def test_a_folder_of_every_layout(world, name, expected):
    options = ["--to", name, "--out", "out", "--object", "80S_ribosome"]
    assert export("one", "two", *options, "--tomograms-star", "tomograms.star") == 0
    assert files(world / "out") == expected


@pytest.mark.parametrize("name", FORMATS)
def test_there_and_back(world, name):
    out = f"out{FORMATS[name].ending}"
    assert export("one", "--to", name, "--out", out, *SERIES) == 0
    back = ["--voxel-size", "10.8", "--shape", "480,464,200", *SERIES, "--from", name]
    assert export(out, "--to", "warp", "--out", "back.star", *back) == 0
    points = read_points("back.star").picks.points_zyx
    np.testing.assert_allclose(points, [[1, 2, 3], [100, 200, 300]], atol=1e-4)


def test_only_kept_picks_best_first(world):
    assert export("one/00255_10.80Apx_proposals.star", "--to", "coords", "--out", "a.coords") == 0
    assert (world / "a.coords").read_text().split() == [
        *("3.000000", "2.000000", "1.000000"),
        *("300.000000", "200.000000", "100.000000"),
    ]


@pytest.mark.parametrize("option", [("--min-score", "0.9"), ("--top", "1")])
def test_only_some(world, option):
    assert export("one", "two", "--to", "warp", "--out", "a.star", *option) == 0
    table = starfile.read("a.star", parse_as_string=["rlnMicrographName"])
    assert table["rlnMicrographName"].tolist() == ["00255.tomostar", "TS_02.tomostar"]
    assert table["rlnAutopickFigureOfMerit"].tolist() == [0.9, 0.9]


def test_files_without_a_pick_are_a_warning(world, capsys):
    assert export("one", "--to", "warp", "--out", "a.star", "--min-score", "9", "--quiet") == 0
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith("warning: No pick scores 9 or more: the files that were written hold")


def test_relion5_without_the_tilt_series_warns_once(world, capsys):
    assert export("one", "--to", "relion5", "--out", "out") == 0
    assert capsys.readouterr().err.count("unbinned size is not known") == 1
    # 300 · 10.8 − 480 · 10.8 / 2 and so on
    assert starfile.read("out/particles.star").to_numpy()[1, 1:4].tolist() == [648, -345.6, 0]


def test_relion5_with_the_pixel_size_alone(world):
    options = ["--out", "a.star", "--unbinned-pixel-size", "1.35"]
    assert export("one", "--to", "relion5", *options) == 0
    assert starfile.read("a.star").to_numpy()[1, 1:4].tolist() == [648, -345.6, 0]


def test_two_files_of_one_tomogram_are_joined(world):
    (world / "more.csv").write_text("x,y,z,score,tomogram\n7,8,9,0.8,rec_00255.mrc\n")
    assert export("one", "more.csv", "--to", "warp", "--out", "a.star") == 0
    table = starfile.read("a.star", parse_as_string=["rlnMicrographName"])
    assert table["rlnMicrographName"].tolist() == ["00255.tomostar"] * 3
    assert table["rlnAutopickFigureOfMerit"].tolist() == [0.9, 0.8, 0.5]


def test_the_header_of_a_tomogram(world):
    write_volume("TS_07.mrc", np.zeros((4, 6, 8), np.int8), voxel_size=20.0)
    (world / "a.csv").write_text("x,y,z\n7,5,3\n")
    assert export("a.csv", "--to", "relion5", "--out", "a.star", "--tomo", "TS_07.mrc") == 0
    [row] = starfile.read("a.star").to_numpy().tolist()
    assert row == ["TS_07", 60.0, 40.0, 20.0, "TS_07:1"]  # and no score
    (world / "a.csv").write_text("x,y,z\n1,1,1\n7,5,4\n")
    assert export("a.csv", "--to", "coords", "--out", "a.coords", "--tomo", "TS_07.mrc") == 2


def test_only_the_points_of_that_tomogram(world):
    assert export("one", "two", "--to", "warp", "--out", "a.star") == 0
    write_volume("TS_02.mrc", np.broadcast_to(np.int8(0), SHAPE), voxel_size=10.8)
    assert export("a.star", "--to", "warp", "--out", "b.star", "--tomo", "TS_02.mrc") == 0
    assert read_points("b.star").names == ("TS_02.tomostar",) * 2


def test_existing_files_stay(world, capsys):
    options = ["one", "--to", "aitom", "--out", "a.json"]
    (world / "a.pickle").write_text("old")
    assert export(*options) == 2
    assert "a.pickle already exists" in capsys.readouterr().err
    assert not (world / "a.json").exists()
    assert export(*options, "--overwrite") == 0
    assert len(json.loads((world / "a.json").read_text())) == 2


def test_a_tilt_series_that_cannot_be_this_one(world, capsys):
    options = ["--unbinned-pixel-size", "1.35", "--unbinned-size", "3838,3710,800"]
    assert export("one", "--to", "relion5", "--out", "a.star", *options) == 0
    assert "Along z the unbinned size is 0.50 times" in capsys.readouterr().err


BAD = {
    "format": (["one", "--to", "eman"], "Expected a format of relion5, relion4, relion31, warp"),
    "from": (["one", "--to", "warp", "--from", "x"], "Expected a format of relion5"),
    "no file": (["absent.star", "--to", "warp"], "There is no file absent.star"),
    "empty folder": ([".", "--to", "warp"], "holds no *_picks.star"),
    "many": (["one", "two", "--to", "imod", "--out", "a.txt"], "holds one tomogram, got 2"),
    "z, y, x": (
        ["zyx.csv", "--to", "warp", "--shape", "480,464,200"],
        "y 0 to 463, z 0 to 199; as z,y,x all would lie inside: give x,y,z.",
    ),
    "outside": (
        ["out.csv", "--to", "warp", "--shape", "480,464,200"],
        "out.csv, row 2: the voxel 480,5,5 lies outside out, which has x 0 to 479",
    ),
    "nan": (["nan.csv", "--to", "warp"], "row 1: z is 'nan', not a number"),
    "voxel size": (["out.csv", "--to", "copick"], "needs the voxel size; add --voxel-size"),
    "two sizes": (["one", "--to", "warp", "--voxel-size", "5"], "written in voxels of 10.8 Å"),
    "mixed": (["one", "mixed.star", "--to", "warp"], "voxels of 10.8 Å and of 5 Å"),
    "other project": (
        ["out.csv", "--to", "relion4", "--tomograms-star", "tomograms.star"],
        "no tilt series for out; expected one of 00255, TS_02: rename it, or use the project's own "
        "file; or say by --tomo FILE which tomogram it is.",
    ),
    "both": (
        ["one", "--to", "relion4", "--tomograms-star", "tomograms.star", *SERIES],
        "got both; leave one out",
    ),
    "half": (["one", "--to", "relion4", *SERIES[2:]], "needs --unbinned-pixel-size"),
    "pixel": (["one", "--to", "relion4", "--unbinned-pixel-size", "0"], "above 0 Å, got 0"),
    "no series": (["one", "--to", "relion4"], "needs the pixel size of the tilt series"),
    "space": (["one", "--to", "relion5", "--out", "a b", *SERIES], "no path with a space: 'a b/"),
    "place": (["one", "--to", "warp", "--out", "out.csv/a.star"], "not an existing folder"),
    "score": (["out.csv", "--to", "warp", "--min-score", "1"], "leave --min-score out"),
    "object": (["one", "--to", "copick", "--object", "../a"], "object's name of letters"),
    "record": (["damaged/a_picks.star", "--to", "warp"], "is not the record of a run"),
}


@pytest.mark.parametrize(("options", "says"), BAD.values(), ids=BAD)
def test_bad_input(world, capsys, options, says):
    (world / "out.csv").write_text("x,y,z\n5,5,5\n480,5,5\n")
    (world / "zyx.csv").write_text("x,y,z\n5,6,300\n5,6,7\n")
    (world / "nan.csv").write_text("x,y,z\n5,5,nan\n")
    write_picks("mixed.star", PICKS, TomogramInfo("00255", 5.0))
    result(world / "damaged", "a")
    (world / "damaged" / "a_run.json").write_text("{}")
    before = files(world)
    out = [] if "--out" in options else ["--out", "new.star"]
    assert export(*options, *out) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert files(world) == before


@pytest.mark.parametrize("option", [["--top", "0"], ["--box", "x"], ["--shape", "1,2"]])
def test_options_that_make_no_sense(world, option):
    with pytest.raises(SystemExit):
        export("one", "--to", "warp", "--out", "a.star", *option)


def test_a_name_that_a_star_file_cannot_hold_is_told(tmp_path, caplog):
    named = [(PICKS, TomogramInfo("data set/TS 01.mrc", 10.0))]
    project_files("dynamo", tmp_path, named)
    assert caplog.text == ""
    project_files("warp", tmp_path / "a.star", named)
    assert "'TS 01.mrc' as TS_01. Rename" in caplog.text


def test_files_of_warp_in_voxels_of_several_sizes(tmp_path, caplog):
    groups = [(PICKS, TomogramInfo("a", 10.0)), (PICKS, TomogramInfo("b", 5.0))]
    names = sorted(path.name for path in project_files("warp", tmp_path, groups))
    assert names == ["a_10.00Apx_cryosam.star", "b_5.00Apx_cryosam.star"]
    assert "their voxel sizes differ" in caplog.text
    with pytest.raises(InputError, match="counts voxels of one size, and those of the tomograms"):
        project_files("warp", tmp_path / "a.star", groups)


@pytest.mark.parametrize("format", ["relion5", "relion4", "warp"])
def test_tomograms_that_differ_in_their_columns(tmp_path, format, caplog):
    """One file of all, in which no value is open."""
    series = TiltSeries(1.35, (3838, 3710, 1600))
    turned = replace(
        PICKS.take(PICKS.kept),
        rotations=Rotation.from_rotvec([[0, 0, 1], [0, 0.5, 1]]),
        classes=("7", "8"),
        extra={"rlnHelicalTubeID": ("1", "2"), "cryosamParticleId": ("old:5", "old:6")},
    )
    bare = replace(PICKS.take(PICKS.kept), classes=("ribosome", "ribosome"))
    groups = [
        (bare, TomogramInfo("A", 10.8, SHAPE, series)),
        (PICKS.take([]), TomogramInfo("B", 10.8, SHAPE, series)),
        (turned, TomogramInfo("C", 10.8, SHAPE, series)),
    ]
    made = project_files(format, tmp_path, groups)
    (tmp_path / "a.star").write_text(made[tmp_path / "particles.star"])
    table = starfile.read(tmp_path / "a.star")
    assert not table.isna().to_numpy().any()
    assert table["particleClass"].astype(str).tolist() == ["ribosome", "ribosome", "7", "8"]
    assert table["cryosamParticleId"].tolist() == ["A:1", "A:2", "old:5", "old:6"]
    angles = table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy()
    assert not angles[:2].any()
    assert angles[2:].any(axis=1).all()
    assert "rlnHelicalTubeID" not in table
    assert "not all of the joined files have them: rlnHelicalTubeID" in caplog.text


def test_what_relion5_imports_together_has_the_same_columns_and_some_rows(tmp_path):
    """Its Import Coordinates fails on other columns, and on a file without rows."""
    series = TiltSeries(1.35, (3838, 3710, 1600))
    plain = PICKS.take(PICKS.kept)
    turned = replace(plain, rotations=Rotation.from_rotvec([[0, 0, 1], [0, 0.5, 1]]))
    open_score = replace(plain, scores=np.array([0.5, np.nan]))
    of = [("A", plain), ("B", PICKS.take([])), ("C", turned), ("D", open_score)]
    groups = [(picks, TomogramInfo(name, 10.8, SHAPE, series)) for name, picks in of]
    made = project_files("relion5", tmp_path, groups)
    assert [path.name for path in made] == [
        *("particles.star", "A_cryosam.star", "C_cryosam.star", "D_cryosam.star", "import.star"),
    ]
    whole, *parts, listed = made.values()
    assert all(_labels(text) == _labels(whole) for text in parts)
    assert [row for text in parts for row in _rows(text)] == _rows(whole)
    assert [line.split()[0] for line in listed.splitlines() if "_cryosam" in line] == [
        "A",
        "C",
        "D",
    ]
    assert len(project_files("relion5", tmp_path, [groups[1]])) == 3


def _labels(text):
    return [line for line in text.splitlines() if line.startswith("_")]


def _rows(text):
    return [line for line in text.splitlines() if line.startswith(("A ", "B ", "C ", "D "))]


@pytest.mark.parametrize(
    ("format", "says"),
    [("relion5", "size of 3 tomograms is not known"), ("warp", "WarpTools crashes on them")],
)
def test_what_is_so_of_many_tomograms_is_said_once(tmp_path, format, says, caplog):
    picks = replace(PICKS, extra={"rlnVoltage": ("300",) * 3})
    groups = [(picks, TomogramInfo(name, 10.8, SHAPE)) for name in "ABC"]
    made = project_files(format, tmp_path, groups)
    assert len(caplog.messages) == 1
    assert says in caplog.messages[0]
    assert all(
        ("rlnVoltage" in text) == (format != "warp") for text in made.values() if "A:1" in text
    )


def test_a_set_of_one_tomogram_names_the_project(tmp_path):
    groups = [
        (PICKS, TomogramInfo("rec_TS_1.mrc", 10.0, tilt_series=TiltSeries(1, (9, 9, 9), "TS_1")))
    ]
    made = project_files("relion5", "out", groups, tomograms_star="a/tomograms.star")
    assert [path.name for path in made] == [
        "particles.star",
        "rec_TS_1_cryosam.star",
        "import.star",
        "optimisation_set.star",
    ]
    last = list(made.values())[-1]
    assert last.split()[-2:] == ["out/particles.star", "a/tomograms.star"]


def test_pick_needs_the_tomograms_own_project(world, capsys):
    write_volume("TS_07.mrc", np.random.default_rng(0).random((9, 9, 9), np.float32), voxel_size=9)
    options = ["--prompt", "4,4,4", "--out", "out", "--star", "relion5"]
    assert main(["pick", "TS_07.mrc", *options, "--tomograms-star", "tomograms.star"]) == 2
    assert "no tilt series for TS_07; expected one of 00255" in capsys.readouterr().err
    assert not (world / "out").exists()


def test_the_same_picks_twice(world, capsys):
    [picks] = Path("one").glob("*_picks.star")
    for again in ("one", f"./{picks}"):
        assert export("one", again, "--to", "warp", "--out", "a.star") == 2
        assert f"{Path(again) if again.endswith('star') else picks} is given twice" in (
            capsys.readouterr().err
        )
    Path("copy").mkdir()
    (Path("copy") / picks.name).write_bytes(picks.read_bytes())
    assert export("one", f"copy/{picks.name}", "--to", "warp", "--out", "a.star") == 0
    told = capsys.readouterr().err
    count = len(read_points(picks).picks)
    assert f"{count} of {count} picks lie where an earlier file has one, too" in told


def test_each_record_is_read_once(world, monkeypatch):
    opened, read = [], Record.open
    monkeypatch.setattr(Record, "open", lambda path: opened.append(path) or read(path))
    assert export("one", "two", "--to", "copick", "--out", "picks") == 0
    assert [path.parent.name for path in opened] == ["one", "two"]
