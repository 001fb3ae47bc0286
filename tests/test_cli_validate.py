"""`cryosam validate`: a report for people and one for machines, and an exit status."""

import json

import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.relion_warp import write_picks
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.volumes.mrc import write_volume


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A tomogram of 10 × 20 × 30 voxels and a pick in it, in the working folder."""
    monkeypatch.chdir(tmp_path)
    write_volume("T_10.00Apx.mrc", np.zeros((10, 20, 30), np.float32), voxel_size=10)
    write_picks("T_picks.star", Picks.from_points([[1, 2, 29]], [0.5]), TomogramInfo("T", 10.0))
    (tmp_path / "tomograms.star").write_text(
        "data_global\n\nloop_\n_rlnTomoName #1\n_rlnTomoTiltSeriesPixelSize #2\n"
        "_rlnTomoSizeX #3\n_rlnTomoSizeY #4\n_rlnTomoSizeZ #5\nT 5 60 40 20\n"
    )
    return tmp_path


def validate(*options):
    return main(["validate", *map(str, options)])


def test_a_valid_file(world, capsys):
    assert validate("T_picks.star", "--tomo", "T_10.00Apx.mrc") == 0
    assert capsys.readouterr().out == (
        "T_picks.star: 1 point of T in voxels of 10 Å\n"
        "  RELION 5 Extract               refuses: no rlnTomoName in data_particles\n"
        "  RELION 5 Import Coordinates    refuses: no rlnTomoImportParticleFile: it wants a list "
        "of files (relion#1287)\n"
        "  RELION 4 import_particles      refuses: no rlnTomoName in data_particles\n"
        "  RELION 3.1                     reads 1 particle in voxels of the tomogram beside it\n"
        "  WarpTools ts_export_particles  reads 1 particle of 1 tomogram with --coords_angpix 10\n"
        "  M create_species               reads 1 particle of 1 tomogram, by file name, with "
        "--angpix_coords 10\n"
    )


def test_one_bad_file_of_several(world, capsys):
    (world / "a.coords").write_text("30 2 1\n30 2 1\n")
    assert validate("T_picks.star", "a.coords", "--tomo", "T_10.00Apx.mrc", "--quiet") == 2
    assert capsys.readouterr().out == (
        "T_picks.star: 1 point of T in voxels of 10 Å\n"
        "a.coords: 2 points in voxels\n"
        "  error    2 of 2 points of T lie outside, the first at voxel 30,2,1 of x 0 to 29, "
        "y 0 to 19, z 0 to 9; counted from 1, as 3dmod shows voxels, all would lie inside: "
        "subtract 1\n"
    )
    assert validate("a.coords", "--tomo", "T_10.00Apx.mrc", "--coords-angpix", 5) == 0
    assert "  warning  2 points are in one place with another, as rows 1 and 2" in (
        capsys.readouterr().out
    )


def test_json_for_machines(world, capsys):
    assert validate("T_picks.star", "nothing.star", "--json", "report.json") == 2
    capsys.readouterr()
    good, bad = json.loads((world / "report.json").read_text())
    assert (good["path"], good["valid"], good["findings"]) == ("T_picks.star", True, [])
    assert good["programs"][4] == {
        "program": "WarpTools ts_export_particles",
        "reads": True,
        "text": "reads 1 particle of 1 tomogram with --coords_angpix 10",
    }
    assert bad == {
        "path": "nothing.star",
        "content": "",
        "valid": False,
        "findings": [{"severity": "error", "text": "does not exist"}],
        "programs": [],
    }
    assert validate("T_picks.star", "--json", "report.json") == 2
    assert "report.json" in capsys.readouterr().err
    assert validate("T_picks.star", "--json", "report.json", "--overwrite") == 0
    capsys.readouterr()
    assert validate("T_picks.star", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)[0]["valid"]


def test_what_export_wrote_is_valid_in_its_project(world, capsys):
    options = ["--tomograms-star", "tomograms.star"]
    assert main(["export", "T_picks.star", "--to", "relion5", "--out", "out", *options]) == 0
    files = sorted((world / "out").iterdir())
    assert [path.name for path in files] == [
        "T_cryosam.star",
        "import.star",
        "optimisation_set.star",
        "particles.star",
    ]
    assert validate(*files, *options, "--quiet") == 0
    capsys.readouterr()
    assert validate("out/particles.star", *options, "--tomo", "T_10.00Apx.mrc") == 0
    out = capsys.readouterr().out
    assert "reads 1 particle of 1 tomogram in Å from the centre" in out
    assert not {"error", "warning", "note"} & set(out.split())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--distance", "0"], "Expected --distance above 0 Å, got 0"),
        (["--coords-angpix", "nan"], "Expected --coords-angpix above 0 Å, got nan"),
        (["--from", "mrc"], "Expected a format of relion5, "),
        (["--tomo", "none.mrc"], "There is no file none.mrc"),
        (["--tomograms-star", "T_picks.star"], "T_picks.star is no tomograms.star"),
        (["--unbinned-size", "1,2,3"], "--unbinned-size needs --unbinned-pixel-size"),
    ],
)
def test_bad_options(world, capsys, options, says):
    assert validate("T_picks.star", *options) == 2
    assert capsys.readouterr().err.startswith(f"cryosam validate: {says}")
