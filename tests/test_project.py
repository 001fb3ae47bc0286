"""Projects: the file, where tomograms come from, and what is done when."""

import shutil
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from aitom_cryosam import Settings
from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.project import FILE, Project, ProjectTomogram, read_project, write_project
from aitom_cryosam.project.project_file import project_text
from aitom_cryosam.project.sources import names_of, tomograms_of
from aitom_cryosam.project.state import Kind, State
from aitom_cryosam.record import Record
from aitom_cryosam.volumes.mrc import write_volume
from tests.faults.world import write_tomogram

FEW = ["--preset", "embedded", "--diameter", "250", "--cut", "none", "--top-k", "4"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tomograms of one file name in two folders, a third one, a query, and a finished run."""
    folder = tmp_path_factory.mktemp("world")
    for name in ("TS_01", "TS_02"):
        (folder / "tomos" / name).mkdir(parents=True)
    click = write_tomogram(folder / "tomos" / "TS_01" / "rec.mrc")
    write_tomogram(folder / "tomos" / "TS_02" / "rec.mrc", seed=2)
    write_tomogram(folder / "tomos" / "TS_02" / "other.mrc", seed=3)
    query = ["query", str(folder / "tomos/TS_01/rec.mrc"), "--prompt", click, *FEW]
    assert main([*query, "--out", str(folder / "a.query")]) == 0
    init = ["project", "init", str(folder / "tomos"), "--query", str(folder / "a.query"), *FEW]
    assert main([*init, "--out", str(folder / "project")]) == 0
    assert main(["project", "run", str(folder / "project")]) == 0
    return folder


@pytest.fixture
def project(world: Path, tmp_path: Path) -> Path:
    """A copy of its project in a copy of its folder, times of files kept."""
    shutil.copytree(world, tmp_path / "world")
    return tmp_path / "world" / "project"


def states(project: Path) -> dict[str, tuple[Kind, str]]:
    read = read_project(project)
    found = ((one.name, State.of(read.job(one))) for one in read.tomograms)
    return {name: (state.kind, state.why) for name, state in found}


def edit(project: Path, old: str, new: str) -> None:
    text = (project / FILE).read_text()
    assert old in text
    (project / FILE).write_text(text.replace(old, new))


NAMES = ["TS_01_rec", "other", "TS_02_rec"]


def test_a_run_is_what_single_picks_are(world: Path, tmp_path: Path) -> None:
    project = read_project(world / "project")
    assert sorted(one.name for one in project.tomograms) == sorted(NAMES)
    for one in project.tomograms:
        pick = ["pick", str(one.path), "--query", str(world / "a.query"), *FEW]
        assert main([*pick, "--out", str(tmp_path / one.name)]) == 0
        single = Record.open(tmp_path / one.name)
        record = Record.open(project.results / one.name)
        for kind in set(single.files) - {"run"}:
            assert single.files[kind].read_bytes() == record.files[kind].read_bytes(), kind


def test_nothing_is_left_to_do(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*_run.json")}
    assert len(before) == 3
    assert main(["project", "run", str(project)]) == 0
    assert "0 to do, 3 done" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert main(["project", "status", str(project)]) == 0
    assert "3 tomograms: 3 done; 12 picks" in capsys.readouterr().out


def test_what_has_changed_is_done_again_and_says_why(project: Path) -> None:
    def why(name: str) -> str:
        kind, text = states(project)[name]
        assert (kind is Kind.CHANGED) == bool(text)
        return text

    tomogram = project.parent / "tomos" / "TS_02" / "other.mrc"
    tomogram.touch()  # the same voxels
    assert why("other") == ""
    values = bytearray(tomogram.read_bytes())
    values[-4:] = b"\0\0\0\0"
    tomogram.write_bytes(values)
    assert why("other") == "the tomogram has changed"
    assert why("TS_01_rec") == ""
    edit(project, "_top_k                4", "_top_k                3")
    assert why("TS_01_rec") == "top_k was 4, is 3"
    edit(project, "_top_k                3", "_top_k                4")
    (project / "results" / "TS_01_rec" / "rec_picks.star").unlink()
    assert why("TS_01_rec") == "rec_picks.star is missing"
    query = Record.open(project / "results" / "TS_02_rec").files["query"]
    shutil.copy(query, project.parent / "b.query")
    assert why("TS_02_rec") == ""
    edit(project, "a.query", "b.query")
    query.write_bytes(query.read_bytes())
    assert why("TS_02_rec") == ""  # of the same content
    (project.parent / "b.query").write_bytes(b"another")
    assert why("TS_02_rec") == "the query has changed"


def test_a_moved_project_is_still_done(world: Path, tmp_path: Path) -> None:
    shutil.move(shutil.copytree(world, tmp_path / "a"), tmp_path / "b")
    assert {kind for kind, _ in states(tmp_path / "b" / "project").values()} == {Kind.DONE}


def test_a_disk_without_space_for_all_results_is_told_before_the_first(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = shutil.disk_usage(project)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=300_000))
    assert main(["project", "run", str(project)]) == 0
    assert "not all tomograms" not in capsys.readouterr().err
    shutil.rmtree(project / "results")  # files of 120 kB each
    assert main(["project", "run", str(project)]) == 0
    told = capsys.readouterr().err
    assert "The results will take 359 kB, and 300 kB are free on the disk of" in told
    assert "not all tomograms will be picked; free some." in told


def test_results_are_exported_after_the_tomograms_are_gone(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(project.parent / "tomos")
    export = ["project", "export", str(project), "--to", "warp"]
    assert main([*export, "--out", str(tmp_path / "warp")]) == 0
    assert "Of an earlier run" in caplog.text
    assert (tmp_path / "warp" / "particles.star").is_file()


def test_a_log_that_cannot_be_written_costs_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As that of another user, or on a disk that is full."""
    (project / "project.log").unlink()
    (project / "project.log").mkdir()
    shutil.rmtree(project / "results")
    assert main(["project", "run", str(project), "--workers", "1"]) == 0
    assert capsys.readouterr().err.count("project.log cannot be written (Is a directory)") == 1
    assert {kind for kind, _ in states(project).values()} == {Kind.DONE}


def test_one_broken_tomogram_costs_only_itself(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.parent / "tomos" / "TS_02" / "rec.mrc"
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])
    shutil.rmtree(project / "results" / "other")
    assert main(["project", "run", str(project)]) == 1
    told = capsys.readouterr()
    assert "1 of 2 done" in told.out
    [sentence] = [line for line in told.err.splitlines() if line.startswith("cryosam project:")]
    assert sentence.startswith("cryosam project: TS_02_rec: ")
    assert "Traceback" not in told.err
    assert main(["project", "status", str(project)]) == 0
    assert sentence.split("TS_02_rec: ")[1] in capsys.readouterr().out
    path.write_bytes(whole)
    assert main(["project", "run", str(project)]) == 0
    assert "1 to do, 2 done" in capsys.readouterr().out
    assert {kind for kind, _ in states(project).values()} == {Kind.DONE}
    assert "failed" not in "".join(map(str, project.rglob("*")))
    log = (project / "project.log").read_text()
    assert sentence.split("TS_02_rec: ")[1] in log


def test_what_all_fail_of_is_said_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project.parent / "a.query").write_bytes(b"another")
    assert main(["project", "run", str(project), "--workers", "1", "--quiet"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "other" in line
    assert "TS_02_rec (3 tomograms): " in line
    assert line.endswith("a.query is not the query of a run.")


def test_export_evaluate_and_report(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = project / "relion"
    assert main(["project", "export", str(project), "--to", "warp", "--out", str(out)]) == 0
    text = (out / "particles.star").read_text()
    rows = [line.split() for line in text.splitlines() if ".tomostar" in line]
    labels = [line.split()[0] for line in text.splitlines() if line.startswith("_")]
    ids = [row[labels.index("_cryosamParticleId")] for row in rows]
    assert len(set(ids)) == len(ids) == 12
    assert {name.split(":")[0] for name in ids} == set(NAMES)
    evaluated = ["project", "evaluate", str(project), str(out / "particles.star")]
    capsys.readouterr()
    assert main(["project", "report", str(project)]) == 0
    assert (project / "report.html").is_file()
    assert len(list((project / "report_pages").iterdir())) == 3
    capsys.readouterr()
    assert main([*evaluated, "--radius", "10"]) == 0
    table = capsys.readouterr().out.splitlines()
    [total] = [line.split() for line in table if line.startswith("total")]
    assert total[1:7] == ["12", "12", "12", "1.000", "1.000", "1.000"]
    assert {line.split()[0] for line in table[1:4]} == set(NAMES)
    far = out / "far.csv"
    far.write_text("rlnTomoName,x,y,z\n" + "".join(f"{name},999,9,9\n" for name in NAMES))
    assert main([*evaluated[:3], str(far), "--radius", "10"]) == 0
    assert "1 of 1 points lie outside TS_01_rec, which has x 0 to 51, " in capsys.readouterr().err


def test_what_is_not_as_the_project_has_it_is_named(project: Path, tmp_path: Path, capsys) -> None:
    read = read_project(project)
    tomograms = {one.name: one.path for one in read.tomograms}
    with mrcfile.open(tomograms["other"], mode="r+") as file:
        file.voxel_size = 21.0
    assert states(project)["other"] == (Kind.CHANGED, "the tomogram has changed")
    shutil.rmtree(read.results / "TS_02_rec")
    for typed in (
        ["export", str(project), "--to", "warp", "--out", str(tmp_path / "warp")],
        ["report", str(project)],
    ):
        assert main(["project", *typed]) == 0
        told = capsys.readouterr().err
        assert "Left out, as there is no result yet: TS_02_rec." in told
        assert "the results of other (the tomogram has changed)." in told


def test_a_project_without_clicks_says_so(world: Path, tmp_path: Path, capsys) -> None:
    init = ["project", "init", str(world / "tomos"), *FEW, "--quiet", "--out"]
    assert main([*init, str(tmp_path / "bare")]) == 0
    assert "has neither clicks nor a query" in capsys.readouterr().err
    assert main([*init, str(tmp_path / "q"), "--query", str(world / "a.query")]) == 0
    assert capsys.readouterr().err == ""


def test_clicks_of_some_tomograms(world: Path, tmp_path: Path) -> None:
    clicks = tmp_path / "clicks.csv"
    lines = ["rlnTomoName,x,y,z"]
    project = read_project(world / "project")
    one = next(one for one in project.tomograms if one.name == "other")
    x, y, z = Record.open(project.results / "other").picks.points_zyx[0, ::-1]
    lines.append(f"other,{x},{y},{z}")
    clicks.write_text("\n".join(lines) + "\n")
    init = ["project", "init", str(one.path.parent), "--prompts", str(clicks), *FEW]
    assert main([*init, "--out", str(tmp_path / "p")]) == 0
    made = tmp_path / "p"
    assert states(made)["other"][0] is Kind.MISSING
    assert states(made)["rec"][0] is Kind.NO_CLICKS
    assert main(["project", "run", str(made)]) == 0
    assert states(made)["other"][0] is Kind.DONE
    clicks.write_text("\n".join([*lines, "rec,20,20,12"]) + "\n")  # a click elsewhere
    assert states(made)["other"][0] is Kind.DONE
    clicks.write_text("\n".join([lines[0], f"other,{x + 1},{y},{z}"]) + "\n")
    assert states(made)["other"] == (Kind.CHANGED, "the prompts has changed")


def test_a_job_array_does_every_tomogram_once(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = read_project(project)
    parts = [one.name for number in (1, 2) for one in read.part(number, 2)]
    assert sorted(parts) == sorted(NAMES)
    assert main(["project", "run", str(project), "--only", "1/2"]) == 0
    assert "0 to do, 2 done" in capsys.readouterr().out
    assert main(["project", "run", str(project), "--only", "0/2"]) == 2
    assert "a part from 1/2 to 2/2, got 0/2" in capsys.readouterr().err


# The file.

FULL = ProjectTomogram(
    name="TS_01",
    path=Path("/data/a b/TS_01.mrc"),
    contrast="bright",
    voxel_size=13.6,
    prompts=Path("/data/clicks.star"),
    rejects=Path("/data/no.star"),
    query=Path("/data/own.query"),
    region=Path("/p/masks/cell.mrc"),
    exclude=(Path("/p/one.mrc"), Path("/q/two.mrc")),
)


def test_there_and_back(tmp_path: Path) -> None:
    home = tmp_path / "p"
    home.mkdir()
    project = Project(
        path=home / FILE,
        settings=Settings(
            preset="paper", ratios=(8, 4), diameter_angstrom=120.5, cut=0.25, shrinkage=None
        ),
        tomograms=(FULL, replace(FULL, name="TS_02", path=tmp_path / "TS_02.mrc", exclude=())),
        query=home / "ribosome.query",
        coords_angpix=1.35,
        tomograms_star=Path("/data/tomograms.star"),
        exclude_distance=100.0,
        edge=50.0,
        lamella="auto",
    )
    write_project(project)
    read = read_project(home)
    assert read == project
    assert "  ../TS_02.mrc  " in project_text(project)
    assert "_query                ribosome.query" in project_text(project)
    for preset in ("embedded", "networks"):
        whole = replace(project, settings=Settings(preset=preset, merge="consensus", cut="none"))
        write_project(whole, overwrite=True)
        assert read_project(home).settings == whole.settings


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("data_settings", "data_other", "needs the tables settings, tomograms"),
        ("_preset  ", "_presets ", "the setting presets, expected one of preset"),
        ("embedded", "embeded", "Expected a preset of"),
        ("_top_k                4", "_top_k                many", "Expected a whole number"),
        ("_top_k  ", "_window 3\n_top_k  ", "The setting window has no effect with the segmenter"),
        ("_cryosamContrast #", "_cryosamContrats #", "the column cryosamContrats"),
        ("dark", "black", "has the contrast 'black', expected dark or bright"),
        ("TS_02_rec ", "TS_01_rec ", "2 tomograms called TS_01_rec"),
        ("TS_02_rec ", "../TS_02  ", "is no name for a folder"),
        ("_query                ", "_edge few\n_query                ", "edge is 'few'"),
        ("none", "none none", "values for 9 columns"),
    ],
)
def test_an_edited_file_that_makes_no_sense(
    project: Path, old: str, new: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(project, old, new)
    for command in ("status", "run"):
        assert main(["project", command, str(project)]) == 2
        told = capsys.readouterr().err
        assert says in told
        assert "Traceback" not in told


def test_an_empty_project(project: Path) -> None:
    text = (project / FILE).read_text()
    heading, _, _ = text.rpartition("#9")
    (project / FILE).write_text(f"{heading}#9\n")
    with pytest.raises(InputError, match="has no tomogram"):
        read_project(project)
    with pytest.raises(InputError, match="There is no project"):
        read_project(project.parent)


def test_bad_starts(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tomos, out = str(world / "tomos"), str(tmp_path / "p")
    query = str(world / "a.query")
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("missing.mrc\n")
    (tmp_path / "clicks.csv").write_text("x,y,z\n1,2,3\n")
    (tmp_path / "other.csv").write_text("rlnTomoName,x,y,z\nelse,1,2,3\n")
    bad = {
        "names no tomogram": [str(tmp_path / "empty")],
        "There is no": [str(tmp_path / "nothing")],
        "of which 1 are not there": [str(tmp_path / "list.txt")],
        "Cannot tell which": [str(tmp_path / "clicks.csv")],
        "There is no file": [tomos, "--query", str(tmp_path / "no.query")],
        "is not the query of a run": [tomos, "--query", str(world / "tomos/TS_01/rec.mrc")],
        "does not say in which of 3": [tomos, "--prompts", str(tmp_path / "clicks.csv")],
        "has points of else": [tomos, "--prompts", str(tmp_path / "other.csv")],
        "is a mask of one tomogram": [tomos, "--region", str(world / "tomos/TS_01/rec.mrc")],
        "There is no mask": [tomos, "--exclude", str(tmp_path / "{name}.mrc")],
        "is of dark protein": [tomos, "--query", query, "--contrast", "bright"],
        "made with shrinkage": [tomos, "--query", query, "--shrinkage", "0.5"],
    }
    for says, sources in bad.items():
        assert main(["project", "init", *sources, "--out", out, "--preset", "embedded"]) == 2
        assert says in capsys.readouterr().err
    assert not Path(out).exists()
    assert main(["project", "export", str(world / "nowhere"), "--to", "warp", "--out", out]) == 2


# Where tomograms come from.


def volumes(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write_volume(folder / name, np.zeros((2, 2, 2), np.float32), voxel_size=10)
    return [folder / name for name in names]


def test_folders_lists_and_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = volumes(tmp_path / "a", "TS_1.mrc", "TS_2.rec", "TS_1_labels.mrc")[:2]
    (tmp_path / "a" / "notes.txt").write_text("# mine\nTS_2.rec\n\n")
    (tmp_path / "a" / "._TS_1.mrc").write_bytes(b"\0\5\26\7")  # beside it, by macOS
    assert tomograms_of(tmp_path / "a") == made
    assert tomograms_of(tmp_path) == made
    assert tomograms_of(tmp_path / "a" / "notes.txt") == made[1:]
    assert tomograms_of(f"{tmp_path}/*/*.rec") == made[1:]
    assert tomograms_of(made[0]) == made[:1]
    monkeypatch.chdir(tmp_path)
    assert tomograms_of("a") == made
    (tmp_path / "z" / "TS_3.zarr").mkdir(parents=True)
    assert tomograms_of("z") == [tmp_path / "z" / "TS_3.zarr"]
    assert names_of(tomograms_of("z")) == ["TS_3"]


def test_names(tmp_path: Path) -> None:
    paths = [Path(one) for one in ("/a/TS_01/rec.mrc", "/a/TS_02/rec.mrc", "/b/rec_TS_03.mrc")]
    assert names_of(paths) == ["TS_01_rec", "TS_02_rec", "TS_03"]
    versions = [Path("/a/TS_1_10.00Apx.mrc"), Path("/a/TS_1_7.00Apx.mrc"), Path("/a/TS_2.mrc")]
    assert names_of(versions) == ["TS_1_10.00Apx", "TS_1_7.00Apx", "TS_2"]
    assert names_of([Path("/a/TS_1.mrc"), Path("/a/TS_1.rec")]) == ["TS_1", "TS_1-2"]


def test_versions_of_one_tilt_series_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    volumes(tmp_path / "a", "TS_1.mrc", "TS_1_half1.mrc", "TS_1_half2.mrc", "TS_2.mrc")
    init = ["project", "init", str(tmp_path / "a"), "--preset", "embedded"]
    assert main([*init, "--out", str(tmp_path / "p")]) == 0
    assert "1 tilt series come more than once, as TS_1.mrc and TS_1_half1.mrc" in caplog.text


def test_copies_of_one_tomogram_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    for name, data in (("a", rng.random((9, 30, 40))), ("b", rng.random((9, 30, 40)))):
        write_volume(tmp_path / f"{name}.mrc", data.astype(np.float32), voxel_size=10)
    copy = bytearray((tmp_path / "a.mrc").read_bytes())
    copy[224:300] = b"another label".ljust(76)
    (tmp_path / "c.mrc").write_bytes(copy)
    (tmp_path / "d.mrc").symlink_to("b.mrc")
    init = ["project", "init", str(tmp_path), "--preset", "embedded"]
    assert main([*init, "--out", str(tmp_path / "p")]) == 0
    told = [text for text in caplog.messages if "same voxels" in text]
    assert told == [
        f"The same voxels are in {tmp_path}/a.mrc, {tmp_path}/c.mrc (and so with 1 more); each "
        "file is picked in: leave all but one of a tomogram out."
    ]


@pytest.mark.parametrize("label", ["rlnMicrographName", "rlnTomoName"])
def test_a_star_file_of_isonet_lists_volumes(tmp_path: Path, label: str) -> None:
    made = volumes(tmp_path / "tomoset", "TS_1.rec", "TS_2.rec")
    labels = ("rlnIndex", label, "rlnPixelSize", "rlnDeconvTomoName", "rlnMaskName")
    rows = "".join(f"{n} tomoset/TS_{n}.rec 10.8 None None\n" for n in (1, 2))
    star = tmp_path / "isonet.star"
    star.write_text("data_\n\nloop_\n" + "".join(f"_{one}\n" for one in labels) + rows)
    assert tomograms_of(star) == made
    init = ["project", "init", str(star), "--preset", "embedded", "--out", str(tmp_path / "p")]
    assert main(init) == 0
    assert read_project(tmp_path / "p").tomograms_star is None
    star.write_text("data_\n\nloop_\n_rlnMicrographName\nTS_1.tomostar\n")
    with pytest.raises(InputError, match=r"is no tomograms\.star"):
        tomograms_of(star)


def test_a_list_of_isonet_without_whole_tomograms(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is denoised goes before halves; where there are only those, it is told."""
    corrected, half = volumes(tmp_path / "a", "_isonet2_unet-medium_TS_1.mrc", "TS_1_EVN.mrc")
    star = tmp_path / "isonet.star"
    head = "data_\n\nloop_\n_rlnTomoName\n_rlnTomoReconstructedTomogramHalf1\n"
    head += "_rlnCorrectedTomoName\n"
    star.write_text(f"{head}None a/{half.name} a/{corrected.name}\n")
    assert tomograms_of(star) == [corrected]
    star.write_text(f"{head}None a/{half.name} None\n")
    assert not caplog.text
    assert tomograms_of(star) == [half]
    assert "names only halves of 1 tomogram, such as a/TS_1_EVN.mrc" in caplog.text


def test_relion(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    project = tmp_path / "relion"
    made = volumes(project / "Tomograms" / "job005" / "tomograms", "rec_a.mrc", "rec_b.mrc")
    half = "Tomograms/job005/tomograms/rec_a_half1.mrc"
    rows = "".join(
        f"{one.stem[4:]} 1.35 {half} Tomograms/job005/tomograms/{one.name}\n" for one in made
    )
    star = project / "Tomograms" / "job005" / "tomograms.star"
    head = "_rlnTomoName #1\n_rlnTomoTiltSeriesPixelSize #2\n"
    head += "_rlnTomoReconstructedTomogramHalf1 #3\n_rlnTomoReconstructedTomogram #4\n"
    star.write_text(f"data_global\n\nloop_\n{head}{rows}")
    assert tomograms_of(star) == made
    assert (
        main(["project", "init", str(star), "--preset", "embedded", "--out", str(project / "p")])
        == 0
    )
    read = read_project(project / "p")
    assert read.tomograms_star == star
    assert [one.name for one in read.tomograms] == ["a", "b"]
    assert "only halves" not in caplog.text
    volumes(made[0].parent, "rec_a_half1.mrc")
    star.write_text(f"data_global\n\nloop_\n{head}a 1.35 {half} None\n")
    assert [one.name for one in tomograms_of(star)] == ["rec_a_half1.mrc"]
    assert f"names only halves of 1 tomogram, such as {half}, which have more noise" in caplog.text
    sizes = "".join(f"_rlnTomoSize{axis} #{5 + i}\n" for i, axis in enumerate("XYZ"))
    star.write_text(
        f"data_global\n\nloop_\n{head}{sizes}{rows}".replace(".mrc\n", ".mrc 16 16 16\n")
    )
    clicks = project / "particles.star"  # which only the tilt series' size makes voxels of
    places = "".join(
        f"_rlnCenteredCoordinate{axis}Angst #{2 + i}\n" for i, axis in enumerate("XYZ")
    )
    clicks.write_text(f"data_particles\n\nloop_\n_rlnTomoName #1\n{places}a 0 0 0\n")
    init = ["project", "init", str(star), "--prompts", str(clicks), "--out", str(project / "q")]
    assert main(init) == 0
    assert [one.prompts for one in read_project(project / "q").tomograms] == [clicks, None]
    star.write_text("data_\n\nloop_\n_rlnTomoName #1\n_rlnTomoTiltSeriesPixelSize #2\na 1.35\n")
    with pytest.raises(InputError, match="names no reconstructed tomograms"):
        tomograms_of(star)


def test_warp(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = volumes(
        tmp_path / "warp_ts" / "reconstruction", "TS_1_10.00Apx.mrc", "TS_2_10.00Apx.mrc"
    )
    series = tmp_path / "tomostar"
    series.mkdir()
    for name in ("TS_1", "TS_2", "TS_3"):
        (series / f"{name}.tomostar").write_text("data_\n")
    settings = tmp_path / "warp_ts.settings"
    settings.write_text(
        '<?xml version="1.0" encoding="utf-16"?>\n<Settings><Import>'
        '<Param Name="DataFolder" Value="tomostar" />'
        '<Param Name="ProcessingFolder" Value="warp_ts" /></Import></Settings>\n'
    )
    (tmp_path / "a.settings").mkdir()
    assert tomograms_of(settings) == made
    assert tomograms_of(series) == made
    assert "1 tilt series are not reconstructed, first TS_3" in caplog.text
    volumes(tmp_path / "warp_ts" / "reconstruction", "TS_1_7.00Apx.mrc")
    with pytest.raises(InputError, match=r"TS_1_10.00Apx.mrc and TS_1_7.00Apx.mrc"):
        tomograms_of(settings)
    settings.write_text(settings.read_text().replace("tomostar", "frames"))
    with pytest.raises(InputError, match=r"not of tilt series: its DataFolder, .*frames, has no"):
        tomograms_of(settings)
    settings.write_text("<Settings>")
    with pytest.raises(InputError, match="is not Warp's settings"):
        tomograms_of(settings)
