"""`cryosam pick`: from the command line to its files, and every input that cannot be used."""

import errno
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest
import starfile

from aitom_cryosam import CryoSAM
from aitom_cryosam.cli import main, pick_output, refine
from aitom_cryosam.picks import Picks
from aitom_cryosam.simulation.files import write_simulation
from tests.toys import small_simulation

STEM = "TS_01_20.00Apx"
COLUMNS = [
    "rlnCoordinateX",
    "rlnCoordinateY",
    "rlnCoordinateZ",
    "rlnMicrographName",
    "rlnAngleRot",
    "rlnAngleTilt",
    "rlnAnglePsi",
    "rlnAutopickFigureOfMerit",
    "cryosamParticleId",
    "cryosamScore",
    "cryosamInstanceId",
    "cryosamVoxelSize",
    "cryosamProbability",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a tomogram, its truth, and a click in x,y,z."""
    folder = tmp_path_factory.mktemp("world")
    simulation = small_simulation()
    write_simulation(simulation, folder, STEM)
    with mrcfile.open(folder / f"{STEM}.mrc", mode="r+") as file:
        file.header.origin = (11, 22, 33)
        file.header.nxstart = 5
    click = ",".join(f"{value:.2f}" for value in simulation.points_zyx[1, ::-1])
    (folder / "click.csv").write_text(f"x,y,z\n{click}\n")
    return folder, click


@pytest.fixture(scope="module")
def golden(world):
    """The folder that one run wrote."""
    folder, click = world
    out = folder / "new" / "out"
    before = (folder / f"{STEM}.mrc").read_bytes()
    options = ["--cut", "none", "--top-k", "15", "--star", "relion5,relion4,relion31,warp"]
    options += ["--unbinned-pixel-size", "2.5", "--unbinned-size", "720,608,320"]
    assert pick(folder / f"{STEM}.mrc", out, "--prompt", click, *options) == 0
    assert (folder / f"{STEM}.mrc").read_bytes() == before
    return out


def pick(tomogram, out, *options):
    return main(["pick", str(tomogram), "--out", str(out), *map(str, options)])


def table(path):
    return starfile.read(path, always_dict=True)["particles"]


def test_every_file_is_there(golden):
    kinds = [
        "labels.mrc",
        "picks.star",
        "proposals.star",
        "query.npz",
        "relion31.star",
        "relion4.star",
    ]
    kinds += ["relion5.star", "run.json", "trace.npz", "warp.star"]
    assert sorted(os.listdir(golden)) == [f"{STEM}_{kind}" for kind in kinds]


def test_picks_are_as_warp_reads_them(golden):
    picks = table(golden / f"{STEM}_picks.star")
    assert list(picks) == COLUMNS
    assert set(picks["rlnMicrographName"]) == {"TS_01.tomostar"}
    assert (picks[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] == 0).all(axis=None)
    assert picks["rlnAutopickFigureOfMerit"].is_monotonic_decreasing
    assert (picks["cryosamVoxelSize"] == 20).all()
    assert picks["rlnCoordinateX"].between(0, 89).all()
    assert picks["rlnCoordinateY"].between(0, 75).all()
    assert picks["rlnCoordinateZ"].between(0, 39).all()


def test_proposals_say_why_they_are_no_picks(golden):
    picks, proposals = (table(golden / f"{STEM}_{kind}.star") for kind in ("picks", "proposals"))
    assert list(proposals) == [*COLUMNS, "cryosamKept", "cryosamReason"]
    assert len(proposals) == 15
    kept = proposals[proposals["cryosamKept"] == 1]
    assert kept["cryosamInstanceId"].tolist() == picks["cryosamInstanceId"].tolist()
    assert (kept["cryosamReason"] == "none").all()
    assert set(proposals[proposals["cryosamKept"] == 0]["cryosamReason"]) <= {
        "no_mask",
        "duplicate",
    }


def test_labels_lie_on_the_tomogram_and_name_the_picks(golden):
    picks = table(golden / f"{STEM}_picks.star")
    with mrcfile.open(golden / f"{STEM}_labels.mrc") as file:
        assert file.data.shape == (40, 76, 90)
        assert file.data.dtype == np.int16
        assert file.voxel_size.x == file.voxel_size.z == 20
        assert file.header.origin.item() == (11, 22, 33)
        assert file.header.nxstart == 5
        ids = set(np.unique(file.data).tolist()) - {0}
        assert ids <= set(picks["cryosamInstanceId"])
        assert len(ids) >= 0.9 * len(picks)
        nearest = file.data[tuple(picks[COLUMNS[2::-1]].to_numpy().round().astype(int).T)]
    assert (nearest == picks["cryosamInstanceId"]).mean() > 0.8


def test_flavours_are_the_same_picks(golden):
    picks = table(golden / f"{STEM}_picks.star")[COLUMNS[:3]].to_numpy()
    warp, old, four, five = (
        table(golden / f"{STEM}_{kind}.star") for kind in ("warp", "relion31", "relion4", "relion5")
    )
    centred = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
    np.testing.assert_allclose(warp[COLUMNS[:3]], picks)
    np.testing.assert_allclose(old[COLUMNS[:3]], picks, atol=0.51)
    np.testing.assert_allclose(four[COLUMNS[:3]], picks * 8, atol=1e-4)
    np.testing.assert_allclose(five[centred], picks * 20 - [900, 760, 400], atol=1e-3)


def test_the_run_is_recorded(golden, world):
    run = json.loads((golden / f"{STEM}_run.json").read_text())
    assert {
        "versions",
        "settings",
        "tomogram",
        "weights",
        "prompts",
        "diameter_angstrom",
        "diameter_estimated",
        "counts",
        "seconds",
        "peak_megabytes",
    } <= set(run)
    assert run["settings"]["top_k"] == run["counts"]["proposals"] == 15
    assert run["counts"]["picks"] == len(table(golden / f"{STEM}_picks.star"))
    assert run["tomogram"]["shape_zyx"] == [40, 76, 90]
    assert run["tomogram"]["contrast"] == "dark"
    assert len(run["tomogram"]["sha256"]) == 64
    assert run["prompts"][0]["xyz"] == [float(value) for value in world[1].split(",")]
    assert run["prompts"][0]["used"]
    assert set(run["prompts"][0]["walks"]) == {"+z", "-z", "+y", "-y", "+x", "-x"}
    assert run["seconds"].keys() == run["peak_megabytes"].keys()


def test_evaluate_reads_what_pick_wrote(golden, world, capsys):
    truth = world[0] / f"{STEM}_truth.star"
    report = world[0] / "evaluation.json"
    command = ["evaluate", golden / f"{STEM}_picks.star", truth, "--radius", "125"]
    command += ["--class", "ribosome_like", "--json", report]
    assert main([str(part) for part in command]) == 0
    assert json.loads(report.read_text())["average_precision"] > 0.6
    told = capsys.readouterr()
    assert "localisation error" in told.out
    assert "outside" not in told.err
    (world[0] / "far.csv").write_text("x,y,z\n10,20,30\n90,20,30\n")
    assert main(["evaluate", str(command[1]), str(world[0] / "far.csv"), "--radius", "125"]) == 0
    told = capsys.readouterr().err
    assert "far.csv: 1 of 2 points lie outside TS_01, which has x 0 to 89, y" in told
    assert "angpix" not in told
    (world[0] / "far.csv").write_text("x,y,z\n190,20,30\n90,20,30\n")
    assert main(["evaluate", str(command[1]), str(world[0] / "far.csv"), "--radius", "125"]) == 0
    told = capsys.readouterr().err
    assert (
        "in pixels of another size, correct it, or add --truth-angpix ANGSTROM if that is" in told
    )


def test_a_result_is_replaced_only_when_told(world, capsys):
    folder, _ = world
    command = (folder / f"{STEM}.mrc", folder / "twice", "--prompts", folder / "click.csv")
    command = (*command, "--top-k", "5", "--quiet")
    assert pick(*command) == 0
    first = {path.name: path.read_bytes() for path in (folder / "twice").iterdir()}
    capsys.readouterr()
    assert pick(*command) == 2
    error = capsys.readouterr().err
    assert "already exists" in error
    assert "--overwrite" in error
    assert {path.name: path.read_bytes() for path in (folder / "twice").iterdir()} == first
    assert pick(*command, "--overwrite") == 0
    again = {path.name: path.read_bytes() for path in (folder / "twice").iterdir()}
    assert {name for name in first if first[name] != again[name]} <= {f"{STEM}_run.json"}


SHAPE = (12, 20, 30)


def save(path, data, voxel_size=10.0, **header):
    with mrcfile.new(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mrcfile's own, on NaN
        file.set_data(data)
        file.voxel_size = voxel_size
        for name, value in header.items():
            file.header[name] = value
    return path


def star(path, *columns):
    header = "".join(f"_{column} #{i}\n" for i, column in enumerate(columns, 1))
    path.write_text(f"data_particles\n\nloop_\n{header}" + " ".join("5" for _ in columns) + "\n")


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """A folder full of files that cannot be used, and a.mrc, which can."""
    folder = tmp_path_factory.mktemp("bad")
    noise = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    noise[:, :3] = 0  # a blank margin in y
    save(folder / "a.mrc", noise)
    (folder / "text.mrc").write_text("no tomogram\n" * 200)
    (folder / "short.mrc").write_bytes((folder / "a.mrc").read_bytes()[:-9])
    save(folder / "complex.mrc", noise.astype(np.complex64))
    save(folder / "image.mrc", noise[5])
    save(folder / "stack.mrc", np.stack([noise, noise]))
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        broken = noise.copy()
        broken[3, 10, 4] = value
        save(folder / f"{name}.mrc", broken)
    save(folder / "constant.mrc", np.ones_like(noise))
    save(folder / "size0.mrc", noise, voxel_size=0.0)
    save(folder / "size1.mrc", noise, voxel_size=1.0)
    save(folder / "unequal.mrc", noise, voxel_size=(10.0, 10.0, 11.0))
    (folder / "none.csv").write_text("x,y,z\n")
    (folder / "empty.csv").write_text("")
    pixels = [f"rlnCoordinate{axis}" for axis in "XYZ"]
    centred = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
    star(folder / "plain.star", "rlnAngleRot")
    star(folder / "centred.star", *centred)
    star(folder / "other.star", *pixels, "rlnMicrographName")  # of the tomogram 5
    (folder / "outside.csv").write_text("300,5,5\n")
    (folder / "file").write_text("not a folder\n")
    return folder


CLICK = ("--prompt", "15,10,5")
BAD = {
    "no file": (["absent.mrc", *CLICK], "There is no file"),
    "not MRC": (["text.mrc", *CLICK], "is not an MRC file"),
    "truncated": (["short.mrc", *CLICK], "cut off: 9 bytes are missing"),
    "complex": (["complex.mrc", *CLICK], "complex"),
    "2D": (["image.mrc", *CLICK], "two-dimensional"),
    "volume stack": (["stack.mrc", *CLICK], "stack of volumes"),
    "NaN": (["nan.mrc", *CLICK], "plane z = 3 holds NaN or infinity"),
    "Inf": (["inf.mrc", *CLICK], "plane z = 3 holds NaN or infinity"),
    "constant": (["constant.mrc", *CLICK], "every voxel is 1"),
    "voxel size 0": (["size0.mrc", *CLICK], "add --voxel-size"),
    "voxel size 1": (["size1.mrc", *CLICK], "add --voxel-size"),
    "anisotropic": (["unequal.mrc", *CLICK], "add --voxel-size"),
    "no prompt": (["a.mrc"], "There is no prompt"),
    "outside": (["a.mrc", "--prompt", "99,10,5"], "x 0 to 29, y 0 to 19, z 0 to 11"),
    "margin": (["a.mrc", "--prompt", "15,1,5"], "blank margin"),
    "not a number": (["a.mrc", "--prompt", "15,ten,5"], "Expected a prompt X,Y,Z"),
    "nan": (["a.mrc", "--prompt", "15,nan,5"], "of finite numbers"),
    "two numbers": (["a.mrc", "--prompt", "15,10"], "Expected a prompt X,Y,Z"),
    "wrong order": (["a.mrc", "--prompt", "5,10,25"], "as z,y,x it would lie inside"),
    "header without prompts": (["a.mrc", "--prompts", "none.csv"], "holds no points"),
    "empty prompt file": (["a.mrc", "--prompts", "empty.csv"], "holds no points"),
    "no prompt file": (["a.mrc", "--prompts", "absent.csv"], "There is no file"),
    "click for file": (["a.mrc", "--prompts", "15,10,5"], "give clicks by --prompt X,Y,Z"),
    "file for click": (["a.mrc", "--prompt", "none.csv"], "files of clicks by --prompts FILE"),
    "no coordinates": (["a.mrc", "--prompts", "plain.star"], "no coordinates"),
    "unknown size": (["a.mrc", "--prompts", "centred.star"], "Å from the centre"),
    "other tomogram": (["a.mrc", "--prompts", "other.star"], "points of 5; expected some of a"),
    "file outside": (["a.mrc", "--prompts", "outside.csv"], "add --coords-angpix"),
    "out is a file": (["a.mrc", *CLICK, "--out", "file"], "is not an existing folder"),
    "diameter": (["a.mrc", *CLICK, "--diameter", "-5"], "a length above 0 Å as diameter, got -5"),
    "ratios": (["a.mrc", *CLICK, "--ratios", "4,8"], "whole numbers from 1 that fall"),
    "unbinned": (["a.mrc", *CLICK, "--star", "relion4"], "--unbinned-pixel-size"),
}


def assert_one_sentence(error, says):
    assert says in error
    assert error.startswith("cryosam pick: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error


@pytest.mark.parametrize(("arguments", "says"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_sentence_and_nothing_is_written(
    bad, tmp_path, monkeypatch, capsys, arguments, says
):
    monkeypatch.chdir(bad)
    before = sorted(os.listdir(bad))
    assert main(["pick", "--out", str(tmp_path / "out"), *arguments]) == 2
    captured = capsys.readouterr()
    assert_one_sentence(captured.err, says)
    assert captured.out == ""
    assert not list(tmp_path.glob("out/*"))
    assert sorted(os.listdir(bad)) == before


def test_refine_looks_again_with_what_was_typed(world, tmp_path, monkeypatch):
    folder, click = world
    seen = []
    monkeypatch.setattr(refine, "run", seen.append)
    options = ["--prompt", click, "--refine", "--tilt-range", "-50,55", "--star", "warp"]
    assert pick(folder / f"{STEM}.mrc", tmp_path, *options) == 0
    (asked,) = seen
    assert asked.results == [str(tmp_path / f"{STEM}_run.json")]
    assert asked.out == str(tmp_path / "refined")
    assert (asked.tilt_range, asked.star, asked.iterations) == ((-50, 55), ("warp",), 3)


def test_what_cannot_be_refined_stays_as_picked(world, tmp_path, capsys):
    folder, click = world
    options = ["--prompt", click, "--refine", "--tilt-range", "-60,60", "--top-k", "8"]
    assert pick(folder / f"{STEM}.mrc", tmp_path, *options) == 0
    assert "warning: Not refined: Expected at least 10 picks" in capsys.readouterr().err
    assert (tmp_path / f"{STEM}_picks.star").is_file()
    assert not (tmp_path / "refined").exists()


def test_a_tilt_range_that_nobody_asks_for_is_refused(world, tmp_path, capsys):
    folder, click = world
    options = ["--prompt", click, "--tilt-range", "-60,60"]
    assert pick(folder / f"{STEM}.mrc", tmp_path, *options) == 2
    assert "used by --refine only" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EACCES, "is not writable"),
        (errno.EROFS, "is not writable"),
        (errno.ENOSPC, "No space left"),
        (errno.EDQUOT, "No space left"),
    ],
)
def test_a_folder_that_takes_no_file_is_known_before_the_work(
    bad, tmp_path, monkeypatch, capsys, number, says
):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pathlib.Path, "write_bytes", refuse)
    monkeypatch.setattr("aitom_cryosam.picker.CryoSAM.pick", None)  # would not be called
    assert pick(bad / "a.mrc", tmp_path, *CLICK) == 2
    assert_one_sentence(capsys.readouterr().err, says)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # mrcfile's file
def test_a_disk_that_fills_up_leaves_no_partial_file(world, tmp_path, capsys):
    folder, click = world
    options = ["--prompt", click, "--top-k", "5", "--quiet"]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # the labels need 547,200
    try:
        status = pick(folder / f"{STEM}.mrc", tmp_path, *options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 2
    assert_one_sentence(capsys.readouterr().err, f"No space left to write {tmp_path}")
    # Files of text fit; each is there as a whole.
    assert {path.suffix for path in tmp_path.iterdir()} <= {".star"}
    assert not list(tmp_path.glob(".*"))


def test_ctrl_c_leaves_nothing(world, tmp_path):
    folder, click = world
    command = [sys.executable, "-m", "aitom_cryosam", "pick", str(folder / f"{STEM}.mrc")]
    command += ["--prompt", click, "--out", str(tmp_path)]
    # A shell that runs the tests in the background would have them ignore Ctrl-C.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    assert process.stderr is not None
    lines = [""]
    while not lines[-1].startswith("features"):  # the work is well under way
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    process.send_signal(signal.SIGINT)
    lines += process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 130, lines
    assert lines[-1] == "cryosam pick: interrupted."
    assert "Traceback" not in "".join(lines)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kept", "warned"), [(1, True), (3, False)])
def test_few_picks_are_doubted(world, tmp_path, capsys, monkeypatch, kept, warned):
    """Of about 30 proposals, 1 is few."""
    folder, click = world
    pick = CryoSAM.pick

    def picky(self, tomogram, prompts, **given):
        found = pick(self, tomogram, prompts, **given)
        some = found.proposals.take(np.arange(30)).reject(np.arange(kept, 30), "chance")
        return replace(found, proposals=some, masks=[])

    monkeypatch.setattr(CryoSAM, "pick", picky)
    typed = [str(folder / f"{STEM}.mrc"), "--prompt", click, "--out", str(tmp_path)]
    assert main(["pick", *typed]) == 0
    assert (
        "Only 1 of 30 proposals are picks; the best of the others" in capsys.readouterr().err
    ) == warned


def test_a_run_that_considered_no_place_says_where_to_look():
    """As with a region and an exclusion that leave nothing; there is no best score to tell."""
    said = pick_output._nothing(SimpleNamespace(proposals=Picks.none()))
    assert said.startswith("No picks, as no place was considered")
    assert "--region, --exclude" in said
