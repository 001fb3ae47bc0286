"""What the plugin asks of AITom and what it hands over, with AITom's own types and shapes.

All tests run with a stand-in (`aitom_stand_in.py`), and once more with AITom if it is there.
"""

from __future__ import annotations

import inspect
import json
import pickle
import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

from aitom_cryosam.aitom import aitom_module, get_picker
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.aitom import records
from aitom_cryosam.volumes.mrc import write_volume
from tests import aitom_stand_in

REAL = find_spec("aitom") is not None
SHAPE = (30, 27, 22)  # x, y, z


@pytest.fixture(
    autouse=True,
    params=[
        "stand-in",
        pytest.param(
            "AITom",
            marks=[
                pytest.mark.aitom,
                pytest.mark.skipif(not REAL, reason="AITom is not importable"),
            ],
        ),
    ],
)
def aitom(request, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "stand-in":
        for name in [name for name in sys.modules if name.split(".")[0] == "aitom"]:
            monkeypatch.delitem(sys.modules, name)
        for name, module in aitom_stand_in.modules().items():
            monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def bright() -> np.ndarray:
    """(x, y, z) float32, two spheres of radius 3, the second one fainter."""
    grid = np.indices(SHAPE)
    volume = np.zeros(SHAPE, np.float32)
    for centre, value in (((20, 9, 8), 2.0), ((9, 17, 13), 1.5)):
        away = np.linalg.norm(grid - np.reshape(centre, (3, 1, 1, 1)), axis=0)
        volume += value * (away <= 3)
    return volume + np.random.default_rng(0).normal(0, 0.05, SHAPE).astype(np.float32)


def function(name: str):
    (module,) = [
        module
        for module, functions in aitom_stand_in.FUNCTIONS.items()
        if name in [one.__name__ for one in functions]
    ]
    return getattr(aitom_module(module), name)


@pytest.mark.parametrize(
    "written", [one for group in aitom_stand_in.FUNCTIONS.values() for one in group]
)
def test_the_parameters_are_aitoms(written) -> None:
    found = inspect.signature(function(written.__name__)).parameters
    wanted = inspect.signature(written).parameters
    assert list(found) == list(wanted)
    assert [one.default for one in found.values()] == [one.default for one in wanted.values()]


def assert_record(record, *, whole: type | tuple[type, ...]) -> None:
    """A dictionary with these three and nothing else, as AITom's own."""
    assert set(record) == {"val", "x", "uuid"}
    assert type(record["val"]) is float
    assert len(record["x"]) == 3
    assert all(isinstance(value, whole) for value in record["x"])
    assert type(record["uuid"]) is str
    assert len(record["uuid"]) == 36


def test_peaks_of_aitom_are_records(bright) -> None:
    peaks = function("peak__partition")(bright, s1=3, s2=3.3, find_maxima=True)
    assert isinstance(peaks, list)
    for one in peaks:
        assert_record(one, whole=np.integer)
    assert [one["val"] for one in peaks] == sorted((one["val"] for one in peaks), reverse=True)


def test_our_records_are_such_peaks() -> None:
    ours = records(Picks.from_points([[8.4, 9, 20], [13, 17, 9]], np.array([0.5, 2])), "TS_01")
    for one in ours:
        assert_record(one, whole=np.integer)
    kept = function("do_filter")(ours, 2.0)
    assert [one["val"] for one in kept] == [2.0, 0.5]
    assert kept[0] is ours[0]  # AITom hands on the records themselves
    assert [one["val"] for one in function("do_filter")(ours, 100.0)] == [2.0]
    assert pickle.loads(pickle.dumps(ours))[0]["uuid"] == ours[0]["uuid"]


def test_volumes_are_x_y_z(tmp_path, bright) -> None:
    write_volume(tmp_path / "a.mrc", bright.T, voxel_size=20.0)
    read = function("read_mrc_data")(str(tmp_path / "a.mrc"))
    assert read.shape == SHAPE
    np.testing.assert_array_equal(read, bright)


def test_boxes_are_cut_around_our_records(bright) -> None:
    ours = records(Picks.from_points([[8, 9, 20], [1, 2, 3]], np.array([2.0, 1.0])))
    cut = function("peaks_to_subvolumes")(bright, ours, 8)
    inner, corner = (cut["vs"][one["uuid"]] for one in ours)
    np.testing.assert_array_equal(inner["v"], bright[16:24, 5:13, 4:12])
    assert corner["v"] is None
    assert cut["v_siz"].tolist() == [8, 8, 8]


def test_a_box_has_its_start_and_its_end() -> None:
    place = function("subvolume_center_start_end")(np.array([15, 14, 11]), SHAPE, (7, 8, 5))
    assert place.tolist() == [[11, 18], [10, 18], [8, 13]]
    assert np.issubdtype(place.dtype, np.integer)
    assert function("subvolume_center_start_end")(np.array([3, 14, 11]), SHAPE, (7, 8, 5)) is None


def test_maxima_are_indices_by_axis(bright) -> None:
    found = function("local_maxima")(bright)
    assert isinstance(found, tuple)
    assert len(found) == 3
    assert len(set(map(len, found))) == 1
    assert bright.max() in bright[found]


def test_a_scan_leaves_four_volumes(tmp_path, bright) -> None:
    template = bright[16:25, 5:14, 4:13].astype(np.float64)
    np.save(tmp_path / "template.npy", template)
    np.save(tmp_path / "map.npy", bright.astype(np.float64))
    found = function("scan")(
        {
            "id": "one",
            "out_dir": str(tmp_path),
            "mode": "normalized-cor",
            "angles": [(0.0, 0.0, 0.0)],
            "template": str(tmp_path / "template.npy"),
            "map": str(tmp_path / "map.npy"),
        }
    )
    assert set(found) == {"c", "phi", "theta", "psi"}
    for path in found.values():
        assert np.load(path).shape == SHAPE


@pytest.mark.parametrize("contrast", ["dark", "bright"])
def test_the_picker_of_dog_finds_the_spheres(bright, contrast) -> None:
    volume = -bright if contrast == "dark" else bright
    op = {"s1": 3, "contrast": contrast, "pick_num": 2, "t": 0}
    found = get_picker("dog")(op).pick(volume)
    assert len(found) == 2
    for one, place in zip(found, [(20, 9, 8), (9, 17, 13)], strict=True):
        assert np.linalg.norm(np.array(one["x"]) - place) < 2


def test_the_picker_of_template_matching_finds_the_middle_of_the_template(bright) -> None:
    op = {
        "template": bright[16:25, 5:14, 4:13],
        "angles": [(0.0, 0.0, 0.0)],
        "contrast": "bright",
        "pick_num": 1,
    }
    (found,) = get_picker("template_matching")(op).pick(bright)
    assert_record(found, whole=np.integer)
    assert np.linalg.norm(found["x"] - np.array([20, 9, 8])) < 1.5


def test_cryosam_gives_records(bright) -> None:
    op = {"voxel_size": 20.0, "diameter": 120.0, "cut": "none", "top_k": 3, "contrast": "bright"}
    found = get_picker("cryosam")({**op, "prompts": [(20, 9, 8)]}).pick(bright)
    assert found
    for one in found:
        assert_record(one, whole=np.integer)
    json.dumps([[int(value) for value in one["x"]] for one in found])
    assert function("do_filter")(found, 1.0)[0] is found[0]


def test_the_stand_in_is_what_is_imported(request) -> None:
    module = import_module("aitom.filter.local_extrema")
    is_ours = module.local_maxima is aitom_stand_in.local_maxima
    assert is_ours == ("stand-in" in request.node.name)
