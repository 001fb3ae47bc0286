"""Projects of copick: their tomograms are found, and picks and masks come back through copick."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.copick_project import is_config, located, tomograms_of, write_back
from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.tomogram import Tomogram
from tests.faults.world import write_tomogram

copick = pytest.importorskip("copick", reason="needs the package copick")

SHAPE = (12, 16, 20)
DATA = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
POINTS_ZYX = np.array([(3.0, 4.0, 5.0), (6.5, 8.0, 15.0)])


@pytest.fixture(scope="module")
def overlay(tmp_path_factory):
    """Two runs; the first with two types at 10 Å, as copick itself writes them."""
    folder = tmp_path_factory.mktemp("copick")
    root = copick.from_file(str(write_config(folder)))
    for run, kinds in (("TS_01", ("wbp", "denoised")), ("TS_02", ("wbp",))):
        spacing = root.new_run(run).new_voxel_spacing(10.0)
        for kind in kinds:
            spacing.new_tomogram(kind).from_numpy(DATA, levels=2)
    return folder / "overlay"


@pytest.fixture
def config(tmp_path, overlay):
    shutil.copytree(overlay, tmp_path / "overlay")
    return write_config(tmp_path)


def write_config(folder):
    path = folder / "config.json"
    (folder / "overlay").mkdir(exist_ok=True)
    content = {
        "config_type": "filesystem",
        "name": "test",
        "description": "",
        "version": copick.__version__,
        "pickable_objects": [
            {"name": "ribosome", "is_particle": True, "label": 1, "color": [0, 117, 220, 255]}
        ],
        "overlay_root": f"local://{folder}/overlay",
        "overlay_fs_args": {"auto_mkdir": True},
    }
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_tomograms_lie_where_copick_sees_them(config):
    every = tomograms_of(config)
    assert sorted(map(str, every)) == ["TS_01/denoised@10", "TS_01/wbp@10", "TS_02/wbp@10"]
    [one] = tomograms_of(config, runs=["TS_02"], kind="wbp", voxel_size=10)
    tomogram = Tomogram.open(one.path)
    assert (tomogram.name, tomogram.voxel_size, tomogram.origin) == ("TS_02", 10.0, (0, 0, 0))
    np.testing.assert_array_equal(np.asarray(tomogram.data), DATA)
    spacing = copick.from_file(str(config)).get_run("TS_02").get_voxel_spacing(10.0)
    np.testing.assert_array_equal(spacing.get_tomogram("wbp").numpy(), tomogram.data[:, :, :])
    coarse = Tomogram.open(one.path, voxel_size=20)
    assert coarse.shape == (6, 8, 10)


def test_a_project_of_many_tomograms_is_made_from_it(config):
    from aitom_cryosam.project.sources import names_of
    from aitom_cryosam.project.sources import tomograms_of as sources

    assert len(sources(config)) == 3
    chosen = sources(f"{config}/*/wbp@10")
    assert names_of(chosen) == ["TS_01", "TS_02"]
    assert [one.path for one in tomograms_of(config, kind="wbp")] == chosen


def test_a_tomogram_is_named_as_a_path(config):
    wanted = "/ExperimentRuns/TS_02/VoxelSpacing10.000/wbp.zarr"
    for text in ("TS_02", "TS_02/wbp", "TS_02/wbp@10.0", "TS_02/@10"):
        assert located(f"{config}/{text}").endswith(wanted)
    assert located("a/b.mrc") == "a/b.mrc"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("TS_01", "can be .*wbp@10.*name one of them"),
        ("TS_01/sirt", "has no tomogram sirt there; it has"),
        ("TS_01/wbp@7.5", "no tomogram wbp with voxels of 7.5 Å there; it has TS_01/"),
        ("TS_03/wbp@10", "has no run TS_03; it has TS_01, TS_02"),
        ("TS_01/wbp@ten", "correct its voxel spacing"),
    ],
)
def test_names_that_are_not_there(config, text, words):
    with pytest.raises(InputError, match=words):
        located(f"{config}/{text}")


@pytest.mark.parametrize("makes_folders", [True, False])
def test_picks_and_masks_come_back(config, makes_folders):
    changed(config, overlay_fs_args={"auto_mkdir": makes_folders})
    labels = np.zeros(SHAPE, np.int32)
    labels[2:5, 3:6, 4:7] = 7
    picks = Picks.from_points(POINTS_ZYX)
    info = TomogramInfo("TS_02", 10.0, SHAPE)
    place = {"object_name": "ribosome", "user": "cryosam", "session": "1"}
    written = write_back(config, [(picks, info, lambda: labels)], **place)
    assert all(path.exists() for path in written)
    run = copick.from_file(str(config)).get_run("TS_02")
    [found] = run.get_picks(object_name="ribosome", user_id="cryosam", session_id="1")
    places = [[p.location.z, p.location.y, p.location.x] for p in found.points]
    np.testing.assert_allclose(places, POINTS_ZYX * 10)
    [masks] = run.get_segmentations(name="ribosome", user_id="cryosam", is_instance=True)
    np.testing.assert_array_equal(masks.numpy(), labels)
    with pytest.raises(InputError, match="TS_02 has picks or masks of ribosome by cryosam"):
        write_back(config, [(picks, info, None)], **place)
    write_back(config, [(picks.take(np.array([1])), info, None)], overwrite=True, **place)
    run = copick.from_file(str(config)).get_run("TS_02")
    assert len(run.get_picks(object_name="ribosome")[0].points) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"object_name": "virus"}, "has no object virus; it has ribosome"),
        ({"user": "my_name"}, "Expected a user id without"),
        ({"session": ""}, "Expected a session id without"),
        ({"others": [TomogramInfo("TS_09", 10.0)]}, "has no run TS_09; it has TS_01, TS_02"),
        ({"others": [TomogramInfo("TS_01")]}, "needs the voxel size"),
        ({"others": [TomogramInfo("rec_TS_02", 10.0)]}, "Several of the tomograms are of the run"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(config, change, words):
    before = sorted(config.parent.rglob("*"))
    asked = {"object_name": "ribosome", "user": "cryosam", "session": "1"}
    asked["others"] = []
    asked |= change
    infos = [TomogramInfo("TS_02", 10.0, SHAPE), *asked.pop("others")]
    with pytest.raises(InputError, match=words):
        write_back(config, [(Picks.from_points(POINTS_ZYX), one, None) for one in infos], **asked)
    assert sorted(config.parent.rglob("*")) == before


@pytest.mark.parametrize("raised", [KeyboardInterrupt, InputError("damaged")])
def test_masks_that_are_interrupted_are_not_left(config, raised):
    def labels():
        raise raised

    info, place = TomogramInfo("TS_02", 10.0, SHAPE), {"object_name": "ribosome"}
    place |= {"user": "cryosam", "session": "1"}
    with pytest.raises((KeyboardInterrupt, InputError)):
        write_back(config, [(Picks.from_points(POINTS_ZYX), info, labels)], **place)
    run = copick.from_file(str(config)).get_run("TS_02")
    assert not run.get_segmentations(name="ribosome")
    assert write_back(config, [(Picks.from_points(POINTS_ZYX), info, None)], **place)


def changed(config, **values):
    content = json.loads(config.read_text("utf-8"))
    config.write_text(json.dumps({**content, **values}), "utf-8")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"overlay_root": "local:///nowhere"}, "has /nowhere as its overlay_root, which is no"),
        (
            {"static_root": "/nowhere/at/all", "overlay_root": "local:///nowhere"},
            "has /nowhere/at/all as its static_root, which is no folder; correct it",
        ),
        ({"config_type": "else"}, "copick cannot open the project"),
        ({"pickable_objects": 7}, "copick cannot open the project"),
    ],
)
def test_configurations_that_cannot_be_used(config, values, words):
    changed(config, **values)
    with pytest.raises(InputError, match=words):
        tomograms_of(config)


@pytest.mark.parametrize("missing", ["static_root", "overlay_root"])
def test_a_root_that_is_not_there_is_told_and_passed(config, tmp_path, caplog, missing):
    """copick itself opens such a project, as one whose tomograms are only in part copied."""
    other = ({"static_root", "overlay_root"} - {missing}).pop()
    changed(config, **{missing: f"local://{tmp_path}/gone", other: f"local://{tmp_path}/overlay"})
    [one] = tomograms_of(config, runs=["TS_02"])
    assert one.path.is_relative_to(tmp_path / "overlay")
    assert Tomogram.open(one.path).shape == SHAPE
    said = f"has {tmp_path}/gone as its {missing}, which is no folder; only what its other root"
    assert said in caplog.text
    assert copick.from_file(str(config)).get_run("TS_02") is not None
    group = (Picks.from_points(POINTS_ZYX), TomogramInfo("TS_02", 10.0), None)
    asked = {"object_name": "ribosome", "user": "me", "session": "1"}
    if missing == "overlay_root":
        with pytest.raises(InputError, match="/gone as its overlay_root, which is no folder; corr"):
            write_back(config, [group], **asked)
    else:
        [path] = write_back(config, [group], **asked)
        assert path.is_relative_to(tmp_path / "overlay")
    assert not (tmp_path / "gone").exists()


def test_what_is_no_configuration(tmp_path, config):
    for content in ("{", "[]", "{}", "7"):
        path = tmp_path / "a.json"
        path.write_text(content, "utf-8")
        assert not is_config(path)
        with pytest.raises(InputError, match="is not the configuration of a copick project"):
            tomograms_of(path)
    with pytest.raises(InputError, match="There is no file"):
        tomograms_of(tmp_path / "b.json")
    assert is_config(config)


def test_the_logging_of_the_program_stays_as_it_is(config):
    asked = f"""
import logging
from aitom_cryosam.copick_project import tomograms_of
logging.basicConfig(level=logging.ERROR)
before = logging.root.handlers[:], logging.root.level
assert tomograms_of({str(config)!r})
assert (logging.root.handlers, logging.root.level) == before
"""
    assert subprocess.run([sys.executable, "-c", asked]).returncode == 0  # where it is imported


def test_a_project_without_runs(config, tmp_path):
    (tmp_path / "empty").mkdir()
    changed(config, overlay_root=f"local://{tmp_path}/empty")
    with pytest.raises(InputError, match="has no runs; it has none"):
        tomograms_of(config)


def test_without_the_package(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "copick", None)
    with pytest.raises(InputError, match=r"pip install 'aitom-cryosam\[copick\]'"):
        tomograms_of(config)


def test_export_into_a_project(config, tmp_path, capsys):
    points = tmp_path / "TS_02.csv"
    points.write_text("x,y,z\n5,4,3\n", "utf-8")
    tomogram = located(f"{config}/TS_02")
    content = config.read_bytes()
    command = ["export", str(points), "--tomo", tomogram, "--to", "copick", "--out", str(config)]
    assert main([*command, "--object", "ribosome", "--session-id", "7"]) == 0
    assert config.read_bytes() == content
    [found] = copick.from_file(str(config)).get_run("TS_02").get_picks(session_id="7")
    place = found.points[0].location
    assert (place.x, place.y, place.z) == (50, 40, 30)
    assert str(found.path) in capsys.readouterr().out


def test_a_project_exports_masks_as_its_results_do(config, tmp_path):
    click = write_tomogram(tmp_path / "TS.mrc")
    spacing = copick.from_file(str(config)).new_run("TS_03").new_voxel_spacing(20.0)
    spacing.new_tomogram("wbp").from_numpy(np.array(Tomogram.open(tmp_path / "TS.mrc").data))
    tomogram, query, many = f"{config}/TS_03/wbp", tmp_path / "q.npz", tmp_path / "many"
    asked = ["--diameter", "250", "--cut", "none", "--top-k", "4"]
    assert main(["query", tomogram, "--prompt", click, *asked[:2], "--out", str(query)]) == 0
    options = [*asked[2:], "--query", str(query), "--out", str(many)]
    assert main(["project", "init", tomogram, *options]) == 0
    assert main(["project", "run", str(many)]) == 0
    into = ["--to", "copick", "--out", str(config), "--object", "ribosome", "--session-id"]
    assert main(["project", "export", str(many), *into, "1"]) == 0
    assert main(["export", str(many / "results" / "TS_03"), *into, "2"]) == 0
    run = copick.from_file(str(config)).get_run("TS_03")
    of_project, of_result = (
        run.get_segmentations(session_id=one, is_instance=True)[0].numpy() for one in "12"
    )
    assert of_project.max() > 0
    np.testing.assert_array_equal(of_project, of_result)


def test_the_command_line_takes_it_for_a_tomogram(config, capsys):
    assert main(["doctor", f"{config}/TS_02/wbp@10"]) in (0, 1)
    assert "Å" in capsys.readouterr().out
    assert main(["doctor", f"{config}/TS_07"]) == 2
    assert "has no run TS_07" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "options", "says"),
    [
        ("ribosome", ["--prompt", "5,5,5"], "A click lies in one tomogram, but 2 are chosen"),
        ("ribosome", ["--reject=5,5,5", "--query", "q"], "A click lies in one tomogram"),
        ("ribosom", ["--query", "q"], "has no object ribosom"),
        ("ribosome:a_b/1", ["--query", "q"], "a user id without spaces"),
        ("ribosome:me/7", ["--query", "q"], "by me in session 7; choose another"),
        ("ribosome", ["--run-names", "TS_01", "--prompt", "5,5,5"], None),
        ("ribosome:me/7", ["--query", "q", "--overwrite"], None),
    ],
)
def test_the_command_of_copick_refuses_before_it_picks(config, monkeypatch, output, options, says):
    from click.testing import CliRunner

    from aitom_cryosam.cli import copick as command

    root = copick.from_file(str(config))
    root.get_run("TS_02").new_picks(object_name="ribosome", user_id="me", session_id="7").store()
    typed = []
    monkeypatch.setattr(command, "main", lambda arguments: typed.append(arguments) or 0)
    arguments = ["-c", str(config), "-t", "wbp@10", "-o", output, "--out", "out", *options]
    result = CliRunner().invoke(command.cryosam, arguments)
    if says is None:
        assert result.exit_code == 0
        assert {one[0] for one in typed} == {"pick", "export"}
    else:
        assert (result.exit_code, typed) == (2, [])
        assert says in " ".join(result.output.split())
