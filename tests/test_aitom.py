"""The AITom plugin without AITom: what it takes, what it gives, what it refuses."""

import subprocess
import sys
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam.aitom import (
    CryoSAMEncoder,
    CryoSAMMatcher,
    CryoSAMPicker,
    CryoSAMSegmenter,
    DoGPicker,
    TemplateMatchingPicker,
    get_picker,
    picking,
    register,
)
from aitom_cryosam.aitom.aitom_pickers import zyz_angles
from aitom_cryosam.errors import InputError
from aitom_cryosam.job import Job
from aitom_cryosam.picks import Picks
from aitom_cryosam.settings import PRESETS, Settings, short_name
from aitom_cryosam.simulation.simulate import Simulation
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.mrc import write_volume
from tests.toys import small_simulation

OP = {"diameter": 250.0, "top_k": 8, "cut": "none"}


@pytest.fixture(scope="module")
def world() -> Simulation:
    return small_simulation()


@pytest.fixture(scope="module")
def click(world: Simulation) -> list[float]:
    """x, y, z of a body."""
    return world.points_zyx[1, ::-1].tolist()


@pytest.fixture(scope="module")
def peaks(world: Simulation, click: list[float]) -> list[dict]:
    return picking(world.data.T, [click], voxel_size=20.0, **OP)


def locations(peaks: list[dict]) -> list[list[int]]:
    return [peak["x"].tolist() for peak in peaks]


def test_records_lie_on_the_particles_in_x_y_z_best_first(
    world: Simulation, peaks: list[dict]
) -> None:
    assert len(peaks) == 8
    values = [peak["val"] for peak in peaks]
    assert values == sorted(values, reverse=True)
    truth = world.points_zyx[:, ::-1]
    off = [np.linalg.norm(truth - x, axis=1).min() for x in locations(peaks)]
    assert max(off) < 3
    assert all(isinstance(value, np.integer) for value in peaks[0]["x"])
    assert isinstance(peaks[0]["uuid"], str)


def test_a_file_and_a_tomogram_give_what_the_array_gives(
    world: Simulation, click: list[float], peaks: list[dict], tmp_path: Path
) -> None:
    path = tmp_path / "TS_01.mrc"
    write_volume(path, world.data, voxel_size=20.0)
    assert locations(picking(path, [click], **OP)) == locations(peaks)
    tomogram = Tomogram.from_array(world.data, voxel_size=20.0)
    prompts = Picks.from_points([click[::-1]])
    assert locations(CryoSAMPicker(OP).pick(tomogram, prompts)) == locations(peaks)


def test_the_op_may_hold_the_prompts_and_limit_the_picks(
    world: Simulation, click: list[float], peaks: list[dict]
) -> None:
    op = {**OP, "voxel_size": 20.0, "prompts": click, "pick_num": 3}
    picker = CryoSAMPicker(op)
    assert locations(picker.pick(world.data.T)) == locations(peaks)[:3]
    assert op["prompts"] is click


def test_rejects_are_given_as_prompts_are(
    world: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []
    monkeypatch.setattr("aitom_cryosam.aitom.cryosam.pick", lambda job, **_: jobs.append(job))
    tomogram = Tomogram.from_array(world.data, voxel_size=20.0)
    picker = CryoSAMPicker({**OP, "prompts": [1, 2, 3], "rejects": [4, 5, 6]})
    picker.run(tomogram)
    picker.run(tomogram, rejects=[[7, 8, 9]])
    picker.run(tomogram, rejects=tmp_path / "clicks.csv")
    picker.run(tomogram, rejects=Picks.from_points([[6, 5, 4]]))
    picker.run(tomogram, rejects=[])
    rows = [((4, 5, 6),), ((7, 8, 9),), (), ((4, 5, 6),), ()]
    assert [job.rejects for job in jobs] == rows
    assert {job.prompts for job in jobs} == {((1, 2, 3),)}
    assert [job.rejects_file for job in jobs] == [None, None, tmp_path / "clicks.csv", None, None]
    with pytest.raises(InputError, match="Expected rejects as rows"):
        picker.run(tomogram, rejects=[["a", "b", "c"]])


def test_every_setting_is_a_key_upon_its_preset(tmp_path: Path) -> None:
    names = {short_name(field.name) for field in fields(Settings)}
    assert names < set(CryoSAMPicker.keys)
    machine = {"device", "memory", "cache", "checkpoints", "compiled"}
    assert set(CryoSAMEncoder.keys) == names | machine | {"voxel_size", "contrast"}
    assert CryoSAMPicker({"preset": "embedded"}).settings == Settings()
    files = {name: tmp_path / name for name in ("dinov2_vitl14_reg", "sam_vit_h")}
    for file in files.values():
        file.touch()
    op = {"preset": "paper", "ratios": [8, 4], "checkpoints": files}
    paper = CryoSAMPicker(op).settings
    assert (paper.encoder, paper.ratios) == (PRESETS["paper"].encoder, (8, 4))


@pytest.mark.parametrize(
    ("picker", "op", "says"),
    [
        (CryoSAMPicker, ["diameter"], "op of CryoSAMPicker as a dictionary, got"),
        (CryoSAMPicker, {"diametre": 250}, "no key 'diametre' in its op; it knows prompts, reje"),
        (CryoSAMMatcher, {"prompts": [[1, 2, 3]]}, "CryoSAMMatcher has no key 'prompts'"),
        (CryoSAMPicker, {"diameter": "250"}, "a length above 0 Å as diameter, got '250'"),
        (CryoSAMPicker, {"diameter": -1}, "a length above 0 Å as diameter, got -1"),
        (CryoSAMPicker, {"encoder": {}}, "a name, a number or a list of numbers as encoder"),
        (CryoSAMPicker, {"encoder": ["filterbank"]}, "list of numbers as encoder"),
        (CryoSAMPicker, {"ratios": [4, 8]}, "that fall"),
        (CryoSAMPicker, {"preset": "best"}, "auto, embedded, paper, networks, got 'best'"),
        (CryoSAMPicker, {"preset": []}, r"networks, got \[\]"),
        (CryoSAMPicker, {"voxel_size": "10"}, "a length above 0 Å as voxel_size"),
        (CryoSAMPicker, {"voxel_size": True}, "a length above 0 Å as voxel_size"),
        (CryoSAMPicker, {"contrast": 1}, "'dark' or 'bright' as contrast"),
        (CryoSAMPicker, {"pick_num": 2.5}, "a whole number from 1 as pick_num"),
        (DoGPicker, {"s1": 0}, "a number above 0 as s1 in the op of DoGPicker, got 0"),
        (DoGPicker, {"diameter": 9}, "DoGPicker has no key 'diameter'"),
        (DoGPicker, {"partition_op": {"overlap_width": 9}}, "with nonoverlap_width and overlap_w"),
        (TemplateMatchingPicker, {"angles": [[0, 0]]}, "rows of phi, theta, psi as angles"),
        (TemplateMatchingPicker, {"template": [1]}, "an array or a file as template"),
    ],
)
def test_an_op_that_cannot_be_used_is_one_sentence(picker: type, op: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        picker(op)


@pytest.mark.parametrize(
    ("volume", "op", "says"),
    [
        (np.ones((4, 5, 6)), {}, "give voxel_size in Å"),
        (np.ones((4, 5)), {"voxel_size": 10}, "volume of shape"),
        ([[1]], {"voxel_size": 10}, "a path, an array .x, y, z. or a Tomogram, got list"),
        ("missing.mrc", {}, "There is no file missing.mrc"),
        ("tomogram", {"voxel_size": 10}, "has its own voxel_size; leave it out of op"),
        ("tomogram", {"contrast": "dark"}, "has its own contrast; leave it out of op"),
        ("tomogram", {}, "There is no prompt; give prompts as rows"),
        ("tomogram", {"prompts": [[1, 2]]}, r"rows of x, y, z in voxels, got \(\[1.0, 2.0\],\)"),
        ("tomogram", {"prompts": [[1, 2, 3], [1]]}, "Expected prompts as rows"),
        ("tomogram", {"prompts": [["a", "b", "c"]]}, "Expected prompts as rows"),
        ("tomogram", {"prompts": [[80, 10, 39]]}, None),
        ("tomogram", {"prompts": [[10, 80, 39]]}, "The prompt 10,80,39 lies outside"),
        ("tomogram", {"prompts": "missing.csv"}, "There is no file missing.csv"),
    ],
)
def test_a_volume_or_prompt_that_cannot_be_used_is_one_sentence(
    world: Simulation, volume: object, op: dict, says: str | None
) -> None:
    if isinstance(volume, str) and volume == "tomogram":
        volume = Tomogram.from_array(world.data, voxel_size=20.0)
    picker = CryoSAMPicker({**OP, "top_k": 1, **op})
    if says is None:
        assert len(picker.pick(volume)) == 1
    else:
        with pytest.raises(InputError, match=says):
            picker.pick(volume)


def test_the_backends_in_a_row_find_particles(world: Simulation, click: list[float]) -> None:
    op = {**OP, "voxel_size": 20.0}
    volume = world.data.T
    masks = CryoSAMSegmenter(op).masks(volume, [click])
    features = CryoSAMEncoder(op).encode(volume)
    found = CryoSAMMatcher(op).match(features, features.masked_mean(masks))
    assert len(found) == 8
    best = np.linalg.norm(world.points_zyx[:, ::-1] - found[0]["x"], axis=1)
    assert best.min() < 5  # a maximum of the similarity, not yet centred


def test_segments_are_an_array_x_y_z_with_the_numbers_of_the_prompts(
    world: Simulation, click: list[float]
) -> None:
    other = world.points_zyx[2, ::-1]
    segmenter = CryoSAMSegmenter({**OP, "voxel_size": 20.0})
    labels = segmenter.segment(world.data.T, [click, other])
    assert labels.shape == (90, 76, 40)
    assert labels[tuple(np.round(click).astype(int))] == 1
    assert labels[tuple(np.round(other).astype(int))] == 2
    assert set(np.unique(labels)) == {0, 1, 2}


@pytest.mark.parametrize(
    ("backend", "missing"),
    [(CryoSAMEncoder, "diameter"), (CryoSAMSegmenter, "diameter"), (CryoSAMMatcher, "voxel_size")],
)
def test_backends_say_what_their_op_lacks(world: Simulation, backend: type, missing: str) -> None:
    calls = {
        CryoSAMEncoder: lambda it: it.encode(world.data.T),
        CryoSAMSegmenter: lambda it: it.segment(world.data.T, [[1, 2, 3]]),
        CryoSAMMatcher: lambda it: it.match(None, None),
    }
    op = {"voxel_size": 20.0, "diameter": 250.0}
    del op[missing]
    with pytest.raises(InputError, match=f"{missing}, Å, in the op of {backend.__name__}"):
        calls[backend](backend(op))


def test_the_entry_point_names_the_picker() -> None:
    assert entry_points(group="aitom.pickers")["cryosam"].value.endswith(":CryoSAMPicker")
    assert get_picker("cryosam") is CryoSAMPicker


def test_an_unknown_picker_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="no picker 'xx'; expected one of cryosam, dog, templ"):
        get_picker("xx")


@pytest.mark.parametrize("call", [register, lambda: get_picker("dog")])
def test_without_aitom_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch, call) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "aitom"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aitom", None)  # as if it were not there
    with pytest.raises(InputError, match="type: git clone https://github"):
        call()


def test_the_angles_cover_all_directions_once() -> None:
    angles = zyz_angles(90)
    # 4 psi at each pole; 4 phi on the equator with 4 psi each.
    assert len(angles) == 4 + 16 + 4
    assert len(set(angles)) == 24
    assert sorted({theta for _, theta, _ in angles}) == [0, np.pi / 2, np.pi]


OLD = """
import numpy
import numpy as N
import numpy.linalg as LA
import cPickle as pickle
from numpy import float as from_numpy, zeros
whole = N.zeros(2, dtype=N.int).astype(numpy.float)
def later(n):
    import numpy
    return numpy.ones(n, dtype=N.bool), numpy.float_, LA.norm([3, 4])
"""
USE = """
import sys
import numpy
import aitom.early
from aitom_cryosam.aitom import aitom_module

before = set(vars(numpy))
old = aitom_module("aitom.old")
assert old.whole.dtype == float
assert old.from_numpy is float
assert old.pickle.__name__ == "pickle"
ones, double, norm = old.later(3)
assert ones.tolist() == [True] * 3
assert double is numpy.float64
assert norm == 5
assert aitom.early.later() is int  # imported before
assert set(vars(numpy)) == before, set(vars(numpy)) - before
assert not hasattr(numpy, "float")
assert "cPickle" not in sys.modules
aitom_module("aitom.needy")
"""


def test_dropped_names_are_served_to_aitoms_modules_alone(tmp_path: Path) -> None:
    package = tmp_path / "aitom"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "old.py").write_text(OLD)
    (package / "early.py").write_text("import numpy as N\ndef later():\n    return N.int\n")
    (package / "needy.py").write_text("import no_such_package\n")
    error = subprocess.run(
        [sys.executable, "-c", USE],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[1]}"},
    ).stderr
    assert error.splitlines()[-1] == (
        "aitom_cryosam.errors.InputError: AITom's aitom.needy needs the package no_such_package; "
        "type: pip install no_such_package"
    )
