"""`cryosam compare` as a user meets it."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.relion_warp import write_proposals
from aitom_cryosam.simulation.density import ribosome_like
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.mrc import write_volume
from tests.toys import small_simulation

TRUTH = "x,y,z,particleClass\n0,7,5,a\n10,7,5,a\n20,7,5,a\n30,7,5,a\n40,7,5,b\n"
COLUMNS = "picks precision recall F1 AP error (Å) seconds best F1* annotations"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Noise of 12 x 16 x 48 voxels of 10 Å with five particles of two classes, and two files."""
    data = np.random.default_rng(0).random((12, 16, 48)).astype(np.float32)
    write_volume(tmp_path / "TS.mrc", data, voxel_size=10)
    (tmp_path / "truth.csv").write_text(TRUTH)
    points = [[5, 7, x] for x in (0, 45, 10, 20, 36)]
    picks = Picks.from_points(points, [0.9, 0.8, 0.7, 0.6, 0.5])
    picks = picks.reject([3, 4], "below the cut")
    write_proposals(tmp_path / "mine.star", picks, Tomogram.open(tmp_path / "TS.mrc"))
    (tmp_path / "theirs.csv").write_text("x,y,z\n1,7,5\n30,7,5\n")
    return tmp_path


def compare(folder: Path, *options: str, radius: str = "15") -> int:
    truth = ["--truth", f"{folder}/truth.csv", "--radius", radius]
    return main(["compare", f"{folder}/TS.mrc", *truth, *options])


def test_a_folder_of_results_is_of_the_tomogram_s_own_picks(folder: Path, capsys) -> None:
    results = folder / "results"
    results.mkdir()
    asked = ["--class", "a", "--methods", "none", "--picks"]
    written = (folder / "mine.star").read_bytes()
    tables = []
    for name in ("TS_picks.star", "TS_2_picks.star"):
        (results / name).write_bytes(written)
        assert compare(folder, *asked, f"x={results}") == 0
        tables.append(capsys.readouterr().out)
    assert compare(folder, *asked, f"x={folder}/mine.star") == 0
    assert [*tables, capsys.readouterr().out] == [tables[0]] * 3
    (results / "TS_picks.star").rename(results / "TS_3_picks.star")
    assert compare(folder, *asked, f"x={results}") == 2
    assert "TS_2_picks.star, TS_3_picks.star; name the file that has" in capsys.readouterr().err


def test_a_folder_of_truths_has_one_of_the_tomogram(folder: Path, capsys) -> None:
    (folder / "truths").mkdir()
    for name in ("TS.csv", "TS_2.csv"):
        (folder / "truths" / name).write_text(TRUTH if name == "TS.csv" else "x,y,z\n1,1,1\n")
    asked = ["--methods", "none", "--picks", f"x={folder}/mine.star"]
    assert compare(folder, *asked) == 0
    of_file = capsys.readouterr().out
    truth = ["--truth", f"{folder}/truths", "--radius", "15"]
    assert main(["compare", f"{folder}/TS.mrc", *truth, *asked]) == 0
    assert capsys.readouterr().out == of_file
    (folder / "truths" / "TS.csv").unlink()
    assert main(["compare", f"{folder}/TS.mrc", *truth, *asked]) == 2
    assert "truths has points of TS_2; expected some of TS:" in capsys.readouterr().err


def test_picks_that_count_otherwise_are_told(folder: Path, capsys) -> None:
    rng = np.random.default_rng(2)
    places = rng.uniform((2, 2, 2), (45, 13, 9), (9, 3))
    for name, points in (("truth", places), ("same", places), ("turned", places[:, ::-1])):
        rows = "\n".join(",".join(map(str, point)) for point in points)
        (folder / f"{name}.csv").write_text(f"x,y,z\n{rows}\n")
    files = [f"--picks={name}={folder}/{name}.csv" for name in ("same", "turned")]
    assert compare(folder, "--methods", "none", *files, radius="20") == 0
    told = capsys.readouterr().err
    assert "turned: " in told
    assert "9 would if the truth had x, y, z in the order z, y, x." in told
    assert "same: " not in told


def both(folder: Path) -> list[str]:
    files = [f"--picks={name}={folder}/{name}" for name in ("mine.star", "theirs.csv")]
    return ["--methods", "none", *files]


def test_files_in_one_table_with_their_agreement(folder: Path, capsys) -> None:
    assert compare(folder, "--class", "a", *both(folder)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "method      picks  precision  recall     F1     AP  error (Å)  seconds  best F1*  "
        "annotations",
        "mine.star       3      0.667   0.500  0.571  0.604        0.0        -     0.750  file",
        "theirs.csv      2      1.000   0.500  0.667      -        5.0        -         -  file",
        "",
        "4 particles of class a, matched one to one within 15 Å. AP: along all candidates,",
        "also those below a method's threshold.",
        "* at the threshold that suits the truth best, which no user knows; the other columns are "
        "at each",
        "method's own.",
        "",
        "shared/only row/only column  mine.star  theirs.csv",
        "mine.star                            3       1/2/1",
        "theirs.csv                                       2",
    ]


def test_the_json_says_the_same(folder: Path) -> None:
    assert compare(folder, "--class", "a", *both(folder), "--out", f"{folder}/out") == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "TS_comparison.json",
        "TS_comparison.png",
    ]
    report = json.loads((folder / "out" / "TS_comparison.json").read_text())
    methods = report.pop("methods")
    assert report == {
        "tomogram": f"{folder}/TS.mrc",
        "voxel_size_angstrom": 10.0,
        "truth": f"{folder}/truth.csv",
        "class": "a",
        "n_truth": 4,
        "radius_angstrom": 15.0,
        "agreement": [
            {
                "first": "mine.star",
                "second": "theirs.csv",
                "shared": 1,
                "only_first": 2,
                "only_second": 1,
            }
        ],
    }
    assert list(methods) == ["mine.star", "theirs.csv"]
    best = methods["mine.star"]["threshold_chosen_with_the_truth"]
    assert best == {"f1": 0.75, "picks": 4, "threshold": 0.6}
    assert methods["theirs.csv"]["average_precision"] is None


def test_all_classes_count_unless_one_is_named(folder: Path, capsys) -> None:
    assert compare(folder, *both(folder)) == 0
    assert "\n5 particles, matched" in capsys.readouterr().out
    assert compare(folder, "--class", "c", *both(folder)) == 2
    assert "has no class 'c'; expected one of a, b" in capsys.readouterr().err


def test_an_earlier_comparison_is_kept(folder: Path, capsys) -> None:
    options = [*both(folder), "--out", f"{folder}/out"]
    assert [compare(folder, *options), compare(folder, *options)] == [0, 2]
    assert "already exists; choose another output, or add --overwrite" in capsys.readouterr().err
    assert compare(folder, *options, "--overwrite") == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--methods", "none"], "nothing to compare; add --methods or --picks NAME=FILE"),
        (["--picks", "cryosam={f}/theirs.csv"], "Two methods are called cryosam"),
        ([], "cryosam needs a prompt; add --prompt X,Y,Z, --prompts FILE, or --draw N"),
        (["--draw", "1", "--prompt", "1,2,3"], "Expected prompts or --draw, got both"),
        (["--draw", "6"], "Expected --draw from 1 to 5, the particles of the truth, got 6"),
        (["--draw", "0"], "Expected --draw from 1 to 5, the particles of the truth, got 0"),
        (["--methods", "none", "--picks", "a={f}/none.star"], "There is no file {f}/none.star"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(
    folder: Path, capsys, options: list[str], sentence: str
) -> None:
    assert compare(folder, *(option.format(f=folder) for option in options)) == 2
    error = capsys.readouterr().err
    assert error.startswith("cryosam compare: ")
    assert sentence.format(f=folder) in error
    assert error.count("\n") == 1


def test_a_method_that_finds_nothing_leaves_the_others_their_rows(folder: Path, capsys) -> None:
    """The particle that a click on noise is said to be is wider than the tomogram."""
    files = [f"--picks=theirs={folder}/theirs.csv", "--methods", "cryosam", "--draw", "1"]
    options = [*files, "--diameter", "500", "--preset", "embedded", "--quiet"]
    assert compare(folder, *options, "--out", f"{folder}/out") == 2
    shown, errors = capsys.readouterr()
    doubt, error = errors.splitlines()
    assert doubt.startswith("warning: The click ")  # the doctor's look at noise
    assert error.startswith("error: cryosam is left out: A particle of 500 Å is 50.0 voxels wide")
    assert [line.split()[0] for line in shown.splitlines()[:2]] == ["method", "theirs"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "TS_comparison.json",
        "TS_comparison.png",
    ]


def test_a_radius_that_is_none_is_refused_before_the_work(folder: Path, capsys) -> None:
    assert compare(folder, *both(folder), radius="0") == 2
    assert "Expected a radius above 0 Å, got 0" in capsys.readouterr().err
    assert compare(folder, "--draw", "1", "--quiet", radius="-1") == 2
    assert "Expected a radius above 0 Å, got -1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--methods", "crysam"], "unknown 'crysam'; expected cryosam, cryosam+refine, aitom-dog"),
        (["--picks", "file.star"], "expected NAME=FILE, got 'file.star'"),
    ],
)
def test_misspelt_options(folder: Path, capsys, options: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit):
        compare(folder, *options)
    assert sentence in capsys.readouterr().err


def test_without_aitom_it_says_what_to_type(folder: Path, capsys, monkeypatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "aitom"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aitom", None)  # as if it were not installed
    for method in ("aitom-dog", "aitom-template"):
        assert compare(folder, "--methods", method) == 2
        assert "git clone https://github.com/xulabs/aitom" in capsys.readouterr().err
    assert compare(folder, *both(folder)) == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 two-lobed bodies beside 8 barrels; 40 x 76 x 90 voxels of 20 Å."""
    folder, simulation = tmp_path_factory.mktemp("world"), small_simulation()
    write_volume(folder / "TS.mrc", simulation.data, voxel_size=20)
    rows = zip(simulation.points_zyx.tolist(), simulation.classes, strict=True)
    text = "".join(f"{x},{y},{z},{kind}\n" for (z, y, x), kind in rows)
    (folder / "truth.csv").write_text("x,y,z,particleClass\n" + text)
    write_volume(folder / "map.mrc", ribosome_like(20.0).data, voxel_size=20)
    return folder


RIBOSOMES = ["--class", "ribosome_like", "--preset", "embedded"]


def test_cryosam_from_a_point_of_the_truth(world: Path, capsys) -> None:
    options = [*RIBOSOMES, "--draw", "1", "--seed", "1", "--out", f"{world}/drawn"]
    assert compare(world, *options, radius="100") == 0
    printed = capsys.readouterr()
    assert "Prompts taken from the truth, seed 1: " in printed.err
    report = json.loads((world / "drawn" / "TS_comparison.json").read_text())
    ours = report["methods"]["cryosam"]
    assert ours["annotations"] == "1 click of the truth"
    assert ours["settings"]["preset"] == "embedded"
    assert len(ours["settings"]["prompts_xyz"]) == 1
    assert ours["seconds"] > 0
    assert ours["f1"] > 0.7
    # The picks that it wrote are a method of the next comparison.
    again = f"cryosam={world}/drawn/TS_cryosam.star"
    assert compare(world, *RIBOSOMES, "--methods", "none", "--picks", again, radius="100") == 0
    (first,), (second,) = (
        [line for line in text.splitlines() if line.startswith("cryosam ")]
        for text in (printed.out, capsys.readouterr().out)
    )
    assert second.split()[:7] == first.split()[:7]


@pytest.mark.aitom
@pytest.mark.slow
@pytest.mark.skipif(find_spec("aitom") is None, reason="AITom is not importable")
def test_all_methods_in_one_table(world: Path, capsys) -> None:
    x, y, z = (world / "truth.csv").read_text().splitlines()[1].split(",")[:3]
    options = [*RIBOSOMES, "--methods", "cryosam,aitom-dog,aitom-template", "--binning", "2"]
    options += ["--prompt", f"{x},{y},{z}", "--template", f"{world}/map.mrc"]
    options += ["--angular-step", "60", "--threads", "1", "--out", f"{world}/all"]
    assert compare(world, *options, radius="100") == 0
    printed = capsys.readouterr()
    table = printed.out.splitlines()
    assert table[0].split() == ["method", *COLUMNS.split()]
    ends = [line.split("  ")[-1] for line in table[1:4]]
    assert ends == ["1 click", "none", "a template map"]
    assert "AITom's pickers take twice the --radius, 200 Å" in printed.err
    assert "72 rotations" in printed.err
    report = json.loads((world / "all" / "TS_comparison.json").read_text())
    methods = report["methods"]
    assert methods["aitom-template"]["threshold_chosen_with_the_truth"]["f1"] > 0.8
    assert methods["aitom-template"]["settings"]["binning"] == 2
    assert [(one["first"], one["second"]) for one in report["agreement"]] == [
        ("cryosam", "aitom-dog"),
        ("cryosam", "aitom-template"),
        ("aitom-dog", "aitom-template"),
    ]


@pytest.mark.aitom
@pytest.mark.skipif(find_spec("aitom") is None, reason="AITom is not importable")
def test_aitoms_pickers_need_a_template_and_a_diameter(world: Path, capsys) -> None:
    assert compare(world, "--methods", "aitom-template") == 2
    assert "aitom-template needs a density map of the particle; add --template MAP" in (
        capsys.readouterr().err
    )
    assert compare(world, "--methods", "aitom-dog", "--diameter", "0") == 2
    assert "Expected a --diameter above 0 Å, got 0" in capsys.readouterr().err
    assert compare(world, "--methods", "aitom-template", "--template", "no.mrc") == 2
    assert "There is no file no.mrc" in capsys.readouterr().err
