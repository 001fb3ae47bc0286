"""`cryosam average` as a user runs it."""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import mrcfile
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.rotations import angles_between, common_rotation
from aitom_cryosam.averaging.tilts import read_tilts, wedge_of_tilts
from aitom_cryosam.cli import averaging_options, main
from aitom_cryosam.errors import InputError
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.simulation.density import ribosome_like
from aitom_cryosam.simulation.files import write_simulation
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import Simulation, simulate


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    settings = SimulationSettings(
        shape_zyx=(48, 120, 130), voxel_size=20.0, membranes=0, snr=0.5, denoise=15.0, seed=4
    )
    return simulate([(ribosome_like(20.0), 26)], settings)


@pytest.fixture(scope="module")
def result(simulation: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `pick` wrote, from one click."""
    folder = tmp_path_factory.mktemp("averaging")
    tomogram, *_ = write_simulation(simulation, folder, "TS_01")
    click = ",".join(f"{value:.1f}" for value in simulation.points_zyx[0, ::-1])
    out = str(folder / "picked")
    arguments = ["--prompt", click, "--out", out, "--diameter", "240"]
    arguments += ["--looks", "1", "--top-k", "200"]  # what is picked is another test's
    assert main(["pick", str(tomogram), *arguments, "--quiet"]) == 0
    return folder / "picked"


@pytest.fixture(scope="module")
def averaged(result: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("averaged")
    arguments = ["average", str(result), "--out", str(out), "--tilt-range", "-60,60"]
    arguments += ["--iterations", "2", "--classes", "2", "--star", "relion5,relion4,relion31,warp"]
    arguments += ["--unbinned-pixel-size", "5", "--unbinned-size", "520,480,192"]
    assert main([*arguments, "--quiet"]) == 0
    return out


def errors(points_zyx: np.ndarray, found: Rotation, simulation: Simulation) -> np.ndarray:
    """Degrees, of the picks that are true ones, after one rotation common to all."""
    truth = Rotation.from_matrix(simulation.rotations[:, ::-1, ::-1])
    squares = ((points_zyx[:, None] - simulation.points_zyx) ** 2).sum(axis=-1)
    true = np.flatnonzero(squares.min(axis=1) < 4**2)
    assert len(true) >= 20
    found, wanted = found[true], truth[squares.argmin(axis=1)[true]]
    return angles_between(found * common_rotation(found, wanted), wanted)


def test_particles_are_oriented_and_the_average_is_there(averaged, simulation):
    picks = read_points(averaged / "TS_01_oriented.star").picks
    assert np.median(errors(picks.points_zyx, picks.rotations, simulation)) < 10
    assert set(picks.extra["rlnRandomSubset"]) == {"1", "2"}
    assert np.array(picks.extra["cryosamCorrelation"], float).min() > 0.1
    record = json.loads((averaged / "TS_01_average.json").read_text())
    assert 40 <= record["resolution_angstrom"] < 90
    assert record["particles"] == record["classes"][0]["particles"] == len(picks)
    assert set(picks.classes) == {"1"}
    assert record["tomograms"][0]["tilts"] == {
        "lowest": -60,
        "highest": 60,
        "axis": 0,
        "estimated": False,
    }
    with mrcfile.open(averaged / "TS_01_average.mrc") as f:
        assert f.voxel_size.x == pytest.approx(20)
        size = len(f.data)
        middle = f.data[size // 2 - 3 : size // 2 + 3, size // 2 - 3 : size // 2 + 3]
        assert middle.mean() > 3 * abs(f.data[:2].mean())  # protein is bright
    for half in "12":
        assert (averaged / f"TS_01_average_half{half}.mrc").is_file()
    assert (averaged / "TS_01_average_fsc.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("flavour", ["relion5", "relion4", "relion31", "warp"])
def test_another_library_reads_the_orientations(averaged, simulation, flavour):
    """RELION's angles turn the tomogram into the reference: the inverse of Rz Ry Rz of starfile."""
    starfile = pytest.importorskip("starfile")
    table = starfile.read(averaged / f"TS_01_oriented_{flavour}.star")
    angles = table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy()
    found = Rotation.from_euler("ZYZ", angles, degrees=True).inv()
    if flavour == "relion5":
        columns = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
        points = (table[columns].to_numpy() + np.array([520, 480, 192]) * 5 / 2) / 20
    else:
        columns = [f"rlnCoordinate{axis}" for axis in "XYZ"]
        points = table[columns].to_numpy() * (5 / 20 if flavour == "relion4" else 1)
    assert np.median(errors(points[:, ::-1], found, simulation)) < 10


def test_what_was_written_is_not_overwritten(averaged, result, capsys):
    assert main(["average", str(result), "--out", str(averaged)]) == 2
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tilt-range", "0,0"], "tilt range as -60,60"),
        (["--tilt-range", "-0", "0"], "tilt range as -60,60"),  # as other programs take it
        (["--tilt-range", "-60,60", "--diameter", "2000"], "does not fit into a tomogram"),
        (["--tilt-range", "-60,60", "--diameter", "9"], "0.5 voxels wide; expected 2 or more"),
        (["--name", "a/b"], "Expected a name without slashes, got 'a/b'"),
        (["--tilt-range", "-60,60", "--reference-voxel-size", "5"], "is for --reference MAP; add"),
        (["--tilt-range", "-60,60", "--symmetry", "X"], "Expected a symmetry"),
        (["--tilt-range", "-60,60", "--reference", "none.mrc"], "no file none.mrc"),
        (["--tilts", "none.tlt"], "no file none.tlt"),
        (["--tilt-range", "-60,60", "--classes", "5"], "Expected 1 to 4 classes, got 5"),
        (["--tilt-range", "-60,60", "--iterations", "0"], "1 iteration or more"),
    ],
)
def test_bad_input_is_one_sentence(result, tmp_path, capsys, arguments, sentence):
    assert main(["average", str(result), "--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert not list((tmp_path / "out").glob("*.mrc"))


@pytest.mark.slow
def test_compare_has_a_row_with_the_second_look(result, simulation, tmp_path, capsys):
    tomogram, truth = (result.parent / f"TS_01{end}" for end in (".mrc", "_truth.star"))
    arguments = ["--truth", str(truth), "--radius", "120", "--diameter", "240", "--draw", "1"]
    arguments += ["--methods", "cryosam,cryosam+refine", "--tilt-range", "-60,60", "--quiet"]
    arguments += ["--looks", "1", "--top-k", "200"]  # fewer to align
    assert main(["compare", str(tomogram), *arguments, "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "TS_01_comparison.json").read_text())
    first, second = (report["methods"][name] for name in ("cryosam", "cryosam+refine"))
    assert second["f1"] >= first["f1"] - 0.05
    assert read_points(tmp_path / "TS_01_cryosam+refine.star").picks.rotations is not None


@pytest.mark.slow
def test_evaluate_has_the_resolution_of_picks_and_truth(result, tmp_path, capsys):
    truth = str(result.parent / "TS_01_truth.star")
    arguments = ["--radius", "120", "--resolution", "--tilt-range", "-60,60", "--quiet"]
    file = tmp_path / "numbers.json"
    assert main(["evaluate", str(result), truth, *arguments, "--json", str(file)]) == 0
    assert " (of the true positions " in capsys.readouterr().out
    numbers = json.loads(file.read_text())
    found, angles = numbers["resolution_angstrom"], numbers["angular_error_degrees"]
    assert 40 <= found["truth"] <= 90
    assert found["picks"] <= 1.3 * found["truth"]
    assert angles["of_averages"]  # PICKS have no rotations of their own
    assert angles["median"] < 15


def test_a_resolution_needs_the_tomogram(result, tmp_path, capsys):
    truth, picks = str(result.parent / "TS_01_truth.star"), str(result / "TS_01_picks.star")
    assert main(["evaluate", picks, truth, "--radius", "120", "--resolution"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_folder_without_results_is_refused(tmp_path, capsys):
    assert main(["average", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "expected a folder that `pick` wrote" in capsys.readouterr().err


def test_another_tomogram_of_the_same_name_is_refused(result, tmp_path, capsys):
    record = json.loads((result / "TS_01_run.json").read_text())
    record["tomogram"]["sha256"] = "0" * 64
    for path in result.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "TS_01_run.json").write_text(json.dumps(record))
    assert main(["average", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "is not the tomogram that" in capsys.readouterr().err


class TestTilts:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.tlt", "-60.5\n0\n\n57\n"),
            ("a.rawtlt", " -60.5\n 0.0\n 57.0\n"),
            ("a.tlt", "-60.5 0 57\n"),
            (
                "a.aln",
                "# AreTomo Alignment\n# SEC ROT GMAG TX TY SMEAN SFIT SCALE BASE TILT\n"
                "0 85 1 3 4 1 1 1 0 -60.5\n1 85 1 3 4 1 1 1 0 0\n2 85 1 3 4 1 1 1 0 57\n"
                "# Local Alignment\n0 0 -512.1 3 4 0.5\n",
            ),
            (
                "a.mdoc",
                "[ZValue = 0]\nTiltAngle = -60.5\n[ZValue = 1]\nTiltAngle = 0\nTiltAngle=57\n",
            ),
            ("a.csv", "image,tilt angle\n0,-60.5\n1,0\n2,57\n"),
            ("order.txt", "1 -60.5 3.0\n2 0 6.0\n3 57 9.0\n"),
            ("dose.tlt", "# degrees, dose\n-60.5\t3\n0\t6\n57\t9\n"),
            ("commas.tlt", "-60,5\n0,00\n57\n"),
            ("commas.rawtlt", "-60,5 3,0\n0,00 6,0\n57,0 9,0\n"),
            ("a.xml", "<TiltSeries><Angles>60.5\n0\n-57</Angles></TiltSeries>"),
            (
                "level.xml",
                '<TiltSeries LevelAngleX="3" LevelAngleY="-1.5">\n<Angles>62\n1.5\n-55.5\n-70'
                "</Angles>\n<UseTilt>True\nTrue\nTrue\nFalse</UseTilt></TiltSeries>",
            ),
            ("a.star", "data_\n\nloop_\n_rlnTomoYTilt #1\n-60.5\n0\n57\n"),
            (
                "a.tomostar",
                "data_\n\nloop_\n_wrpMovieName #1\n_wrpAngleTilt #2\na 60.5\nb 0\nc -57\n",
            ),
        ],
    )
    def test_files_of_tilts(self, tmp_path, name, text):
        """Warp's angles are the negative of RELION's, IMOD's and AreTomo's."""
        (tmp_path / name).write_text(text)
        assert read_tilts(tmp_path / name).tolist() == [-60.5, 0, 57]

    def test_columns_parted_by_commas_are_no_decimal_commas(self, tmp_path):
        (tmp_path / "a.csv").write_text("0,0\n1,3\n2,6\n")
        assert read_tilts(tmp_path / "a.csv").tolist() == [0, 3, 6]

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
    def test_any_encoding(self, tmp_path, encoding):
        (tmp_path / "a.mdoc").write_text("TiltAngle = -60.5\nTiltAngle = 57\n\xc5", encoding)
        assert read_tilts(tmp_path / "a.mdoc").tolist() == [-60.5, 57]

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("protein\n", "one number a line"),
            ("1 0 0 1 3.5 2\n1 0 0 1 0.5 4\n", "one number a line"),  # .xf
            ("1 1 -60 -60 3000\n2 2 57 57 3100\n", "one number a line"),  # .defocus
            ("\n", "some in degrees"),
            ("-60\n0\n90.5\n", r"a tilt of 90\.5° cannot be"),
            ("-60\n0\n1567301525373690323140608.00\n", r"a tilt of 1\.5673e\+24° cannot be"),
        ],
    )
    def test_a_file_of_something_else_is_refused(self, tmp_path, text, sentence):
        (tmp_path / "a.tlt").write_text(text)
        with pytest.raises(InputError, match=sentence):
            read_tilts(tmp_path / "a.tlt")

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            pytest.param(
                "data_\n\nloop_\n_rlnTomoName\n_rlnTomoTiltSeriesStarFile\nTS_01 a/TS_01.star\n",
                r"names the files of tilt series, as a/TS_01\.star",
                id="names of their files",
            ),
            pytest.param(  # WarpTools writes those of a whole project into one file
                "".join(f"data_TS_{n}\n\nloop_\n_rlnTomoYTilt #1\n-60\n60\n\n" for n in (1, 2)),
                "of 2 tilt series; expected one: copy its block",
                id="several series",
            ),
            pytest.param(
                "data_\n\nloop_\n_rlnTomoXTilt\n_rlnTomoYTilt\n-52 5\n0 1\n54 -6\n",
                r"tilts about x \(rlnTomoXTilt\), not y",
                id="about x",
            ),
        ],
    )
    def test_a_star_file_without_the_tilts_of_one_series_is_refused(self, tmp_path, text, sentence):
        (tmp_path / "a.star").write_text(text)
        with pytest.raises(InputError, match=sentence):
            read_tilts(tmp_path / "a.star")

    @pytest.mark.parametrize("text", ["-60\n-30\n0\n", "1\n40\n66\n"])
    def test_a_part_of_a_tilt_series_is_told(self, tmp_path, caplog, text):
        """As the first of two runs from 0, or a list of doses."""
        (tmp_path / "a.tlt").write_text(text)
        wedge_of_tilts(tmp_path / "a.tlt")
        assert "if they are a part of a tilt series, or no tilts but doses" in caplog.text


def test_a_tilt_series_is_known_by_the_path_of_the_tomogram(tmp_path):
    """Every folder's reconstruction is called rec.mrc."""
    rows = "".join(f"TS_0{n} 2.{n} 4000 4000 2000 10 TS_0{n}/rec.mrc\n" for n in (1, 2))
    labels = ("Name", "TiltSeriesPixelSize", "SizeX", "SizeY", "SizeZ", "TomogramBinning")
    head = "".join(f"_rlnTomo{label}\n" for label in (*labels, "ReconstructedTomogram"))
    (tmp_path / "tomograms.star").write_text(f"data_global\n\nloop_\n{head}{rows}")
    parser = argparse.ArgumentParser()
    averaging_options.add_results(parser)
    typed = ["x", "--out", "y", "--tomograms-star", str(tmp_path / "tomograms.star")]
    record = SimpleNamespace(tomogram_path=tmp_path / "TS_02" / "rec.mrc", info=TomogramInfo("rec"))
    (info,) = averaging_options.infos_of(parser.parse_args(typed), [record])
    assert info.tilt_series.name == "TS_02"
