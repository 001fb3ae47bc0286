"""`cryosam pick --target`: files, sentences, and what does not go together."""

import json

import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.job import Job
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.presets import VALUES
from aitom_cryosam.record import Record
from aitom_cryosam.settings import Settings
from aitom_cryosam.targets.filament import Filament
from aitom_cryosam.targets.membrane import Membrane
from aitom_cryosam.volumes.mrc import read_volume, write_volume
from tests.test_targets_membrane import CENTRE, FROM_MIDDLE, RADIUS, VOXEL, noise, vesicle_data

X, Y, Z = (f"{value:g}" for value in CENTRE[::-1])
CLICKS = [f"{X},{CENTRE[1] + RADIUS:g},{Z}", f"{X},{CENTRE[1] - RADIUS:g},{Z}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets")
    membrane = 0.8 * np.exp(-0.5 * (FROM_MIDDLE * VOXEL / 25) ** 2)
    tomograms = {"TS_01": vesicle_data(), "empty": noise(), "balls": vesicle_data() - membrane}
    for name, data in tomograms.items():
        write_volume(folder / f"{name}.mrc", data.astype(np.float32), voxel_size=VOXEL)
    return folder


def pick(folder, *options, tomogram="TS_01", out="out"):
    clicks = [part for click in CLICKS for part in ("--prompt", click)]
    path = str(folder / f"{tomogram}.mrc")
    start = ["pick", path, *clicks, "--contrast", "bright", "--target", "membrane"]
    return main([*start, "--out", str(folder / out), *options])


@pytest.fixture(scope="module")
def picked(folder):
    assert pick(folder, "--star", "relion31,warp", "--picture", "--spacing", "150") == 0
    return folder / "out"


def test_files(picked):
    record = Record.open(picked)
    record.check()
    assert set(record.files) == {
        *("picks", "labels", "semantic", "distance", "relion31", "warp", "run", "picture")
    }
    labels = read_volume(record.files["labels"]).data
    semantic = read_volume(record.files["semantic"]).data
    np.testing.assert_array_equal(semantic, labels > 0)
    distance = read_volume(record.files["distance"]).data
    assert distance[semantic > 0].max() < 100 < distance[semantic == 0].max()
    assert record.content["target"] == {
        "name": "membrane",
        "spacing_angstrom": 150.0,
        "thickness_angstrom": 70.0,
    }


def test_every_flavour_has_the_same_angles(picked):
    points = [
        read_points(picked / f"TS_01_{kind}.star", voxel_size=VOXEL).picks
        for kind in ("picks", "relion31", "warp")
    ]
    for other in points[1:]:
        turned = points[0].rotations.inv() * other.rotations
        assert np.degrees(turned.magnitude()).max() < 0.01
    rays = points[0].points_zyx[:, ::-1] - CENTRE[::-1]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    normals = points[0].rotations.apply([0, 0, 1])
    assert np.median((rays * normals).sum(axis=1)) > 0.97
    assert len(Record.open(picked).picks) == len(points[0])


def test_mask_instances_and_distances_obey_the_region(folder, picked):
    half = np.zeros(vesicle_data().shape, np.int8)
    half[:, :, int(CENTRE[2]) :] = 1
    write_volume(folder / "half.mrc", half, voxel_size=VOXEL)
    assert pick(folder, "--region", str(folder / "half.mrc"), "--spacing", "150", out="half") == 0
    record, everything = Record.open(folder / "half"), Record.open(picked)
    labels = read_volume(record.files["labels"]).data
    whole = read_volume(everything.files["labels"]).data
    assert not labels[half == 0].any()
    inside = np.where(half, whole, 0)
    assert (labels != inside).sum() < 0.02 * (inside > 0).sum()
    semantic = read_volume(record.files["semantic"]).data
    np.testing.assert_array_equal(semantic, labels > 0)
    near = [read_volume(one.files["distance"]).data[..., 0].min() for one in (everything, record)]
    assert near[1] > 1.5 * near[0]  # half a vesicle is farther from the left face
    assert half[tuple(np.round(record.picks.points_zyx).astype(int).T)].all()


def test_noise_gives_an_empty_mask_and_a_sentence(folder, capsys):
    assert pick(folder, tomogram="empty", out="empty_out") == 0
    said = capsys.readouterr()
    assert "No membrane was found, and the mask is empty" in said.err
    assert "found     0 membranes" in said.out
    record = Record.open(folder / "empty_out")
    assert not read_volume(record.files["semantic"]).data.any()
    assert len(record.picks) == 0
    json.loads((folder / "empty_out" / "empty_run.json").read_text())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--report"], "A membrane is no particle; leave --report out"),
        (["--refine"], "leave --refine out"),
        (["--cut", "none"], "Only particles are found with the setting cut; leave that"),
        (["--fdr", "0.1"], "with the setting fdr"),
        (["--top-k", "20"], "with the setting top_k"),
        (["--no-centring"], "with the setting centring"),
        (["--preset", "paper", "--semantic", "dense"], "with the setting semantic"),
        (["--reject", "1,2,3"], "with rejected places"),
        (["--suggest", "3"], "with suggestions"),
        (["--query", "query.npz"], "with a query"),
        (["--diameter", "70"], "A membrane has no diameter"),
        (["--spacing", "0"], "Expected spacing as a length above 0 Å"),
        (["--thickness", "nan"], "Expected thickness as a length above 0 Å"),
        (["--target", "particle", "--spacing", "80"], "--spacing is for membranes or filaments"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(folder, capsys, options, problem):
    assert pick(folder, *options, out="none") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert problem in lines[0]
    assert not (folder / "none").exists()


def test_a_job_refuses_settings_that_its_target_has_not():
    with pytest.raises(InputError, match="with the setting diameter; leave that out for a filame"):
        Job(tomogram="TS_01.mrc", target=Filament(), settings=Settings(diameter_angstrom=70.0))
    for preset in VALUES:
        Job(tomogram="TS_01.mrc", target=Filament(), settings=Settings(preset=preset))


def test_a_job_keeps_its_target_on_paper():
    for target in (Membrane(spacing_angstrom=60.0), Filament(diameter_angstrom=250.0), None):
        job = Job(tomogram="TS_01.mrc", prompts=((1, 2, 3),), out="out", target=target)
        again = Job.from_json(json.loads(json.dumps(job.to_json())))
        assert again.target == target


def test_a_preset_with_models_wants_the_weights_of_its_segmenter_alone(folder, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "no_weights"))
    assert pick(folder, "--preset", "paper", tomogram="empty", out="paper") == 2
    said = capsys.readouterr().err.splitlines()
    assert (
        said[0] == "warning: A membrane is followed without dinov2_vitl14_reg, which has no effect."
    )
    assert len(said) == 2
    assert "The weights of sam_vit_h are not on this machine" in said[1]
    assert not (folder / "paper").exists()


def test_a_network_is_left_out_with_the_embedded_segmenter(folder, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "no_weights"))
    options = ["--preset", "networks", "--segmenter", "contour"]
    assert pick(folder, *options, tomogram="empty", out="alone") == 0
    said = "A membrane is followed without dinov2_vitl14_reg, which has no effect."
    assert said in capsys.readouterr().err
    record = Record.open(folder / "alone")
    assert record.content["warnings"][0] == said
    assert record.content["weights"] == {}


def test_a_membrane_is_outlined_by_the_masks_of_a_sam(folder, picked):
    pytest.importorskip("segment_anything")
    from tests.tiny_models import write_tiny_sam

    weights = write_tiny_sam(folder / "tiny.pth")
    options = ["--segmenter", "sam_vit_b", "--checkpoint", f"sam_vit_b={weights}"]
    assert pick(folder, *options, "--device", "cpu", out="sam") == 0
    record = Record.open(folder / "sam")
    assert set(record.content["weights"]) == {"sam_vit_b"}
    labels = read_volume(record.files["labels"]).data > 0
    truth = np.abs(FROM_MIDDLE) * VOXEL <= 35
    assert labels[truth].mean() > 0.8  # whatever masks of chance weights say,
    assert labels.sum() < 2 * truth.sum()  # what is found is the sheet, and thin


def particles(folder, out, *options, tomogram="TS_01"):
    """Picks of a ball, all that are proposed."""
    path = str(folder / f"{tomogram}.mrc")
    start = ["pick", path, "--contrast", "bright", "--prompt", "80,8,8", "--diameter", "160"]
    return main([*start, "--cut", "none", "--top-k", "20", "--out", str(folder / out), *options])


def test_picks_keep_away_from_a_membrane_that_is_found_in_the_same_run(folder):
    clicks = [part for click in CLICKS for part in ("--exclude-prompt", click)]
    distance = ["--exclude-distance", "100"]
    assert particles(folder, "away", "--exclude-target", "membrane", *clicks, *distance) == 0
    membrane, record = Record.open(folder / "away" / "membrane"), Record.open(folder / "away")
    assert membrane.content["counts"]["structures"] == 1
    assert record.content["inputs"]["excluded 1"]["path"] == str(membrane.files["semantic"])
    distance = read_volume(membrane.files["distance"]).data
    near = distance[tuple(np.round(record.proposals.points_zyx).astype(int).T)]
    assert (near[record.proposals.kept] > 80).all()
    assert particles(folder, "away", "--exclude-target", "membrane", *clicks) == 2


def test_no_membrane_excludes_nothing(folder, capsys):
    clicks = [part for click in CLICKS for part in ("--exclude-prompt", click)]
    options = ["--exclude-target", "membrane", *clicks, "--exclude-distance", "100"]
    assert particles(folder, "none", *options, tomogram="balls") == 0
    assert "No membrane was found; none is excluded." in capsys.readouterr().err
    assert "excluded 1" not in Record.open(folder / "none").content["inputs"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--exclude-target", "membrane"], "belong together"),
        (["--exclude-prompt", "1,2,3"], "belong together"),
        (["--exclude-target", "membrane", "--exclude-prompt", "1,2"], "1,2"),
    ],
)
def test_what_excludes_nothing_is_refused(folder, capsys, options, says):
    assert particles(folder, "refused", *options) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.strip().splitlines()) == 1
    assert not (folder / "refused").exists()


@pytest.mark.parametrize("typed", ["select --top 3", "refine --tilt-range -60,60"])
def test_points_of_a_membrane_are_no_proposals(folder, picked, capsys, typed):
    command, *options = typed.split()
    assert main([command, str(picked), *options, "--out", str(folder / "no")]) == 2
    told = capsys.readouterr().err
    assert "is of a membrane, which is no particle" in told
    assert told.count("\n") == 1
    assert not (folder / "no").exists()


def test_a_result_without_points_knows_its_voxel_size(folder, picked, capsys):
    assert pick(folder, tomogram="empty", out="no_points") == 0
    (folder / "truth.csv").write_text("x,y,z\n9,9,9\n")
    labels, true = folder / "no_points" / "empty_labels.mrc", picked / "TS_01_labels.mrc"
    evaluate = ["evaluate", str(folder / "no_points"), str(folder / "truth.csv"), "--radius", "100"]
    capsys.readouterr()
    assert main([*evaluate, "--labels", str(labels), "--truth-labels", str(true)]) == 0
    assert "Å voxels; its header says" not in capsys.readouterr().err  # it took 1 Å
