"""The AITom plugin with AITom itself: its consumers take our records, its pickers run as ours."""

import json
import pickle
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from aitom_cryosam.aitom import CryoSAMPicker, aitom_module, get_picker, register
from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.aitom import peaks_json, records
from aitom_cryosam.simulation.density import ribosome_like
from aitom_cryosam.simulation.simulate import Simulation
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.mrc import write_volume
from tests.toys import small_simulation

pytestmark = [
    pytest.mark.aitom,
    pytest.mark.skipif(
        find_spec("aitom") is None,
        reason="AITom is not importable; type: git clone https://github.com/xulabs/aitom aitom "
        '&& export PYTHONPATH="$PWD/aitom"',
    ),
]


@pytest.fixture(scope="module")
def world() -> Simulation:
    return small_simulation()


@pytest.fixture
def peaks() -> list[dict]:
    """Three records; the second is 3 voxels from the first, the last at a corner."""
    points = np.array([[20, 30, 40], [20, 33, 40], [1, 2, 3]])
    return records(Picks.from_points(points, np.array([3.0, 2.0, 1.0])))


def test_registered_it_is_one_of_aitoms_pickers(world: Simulation) -> None:
    register()
    import aitom.pick.cryosam
    from aitom.pick.cryosam import CryoSAMPicker as Registered
    from aitom.pick.cryosam import picking

    assert Registered is CryoSAMPicker
    assert aitom.pick.cryosam.picking is picking
    click = world.points_zyx[1, ::-1]
    found = picking(world.data.T, [click], voxel_size=20.0, diameter=250.0, top_k=1, cut="none")
    assert np.linalg.norm(found[0]["x"] - click) < 3
    assert not hasattr(np, "float")


def test_aitom_reads_a_file_as_the_array_that_picking_takes(
    world: Simulation, tmp_path: Path
) -> None:
    write_volume(tmp_path / "a.mrc", world.data, voxel_size=20.0)
    volume = aitom_module("aitom.io.file").read_mrc_data(str(tmp_path / "a.mrc"))
    np.testing.assert_array_equal(volume, world.data.T)


def test_do_filter_keeps_the_better_of_two_close_picks(peaks: list[dict]) -> None:
    do_filter = aitom_module("aitom.pick.dog.particle_picking_dog__filter").do_filter
    assert [peak["val"] for peak in do_filter(peaks, 3.5)] == [3.0, 1.0]
    assert do_filter(peaks, 2.5) == peaks


def test_peaks_to_subvolumes_cuts_around_the_picks(peaks: list[dict], world: Simulation) -> None:
    util = aitom_module("aitom.classify.deep.unsupervised.autoencoder.autoencoder_util")
    cut = util.peaks_to_subvolumes(world.data.T, peaks, 16)["vs"]
    first, _, corner = (cut[peak["uuid"]] for peak in peaks)
    np.testing.assert_array_equal(first["v"], world.data[12:28, 22:38, 32:48].T)
    assert corner["v"] is None  # reaches out of the volume


def test_lines_and_points_for_imod(peaks: list[dict], tmp_path: Path) -> None:
    display = aitom_module("aitom.pick.plot.particle_location_display_imod")
    loaded = json.loads(peaks_json(peaks))
    locations = np.array([item["peak"]["loc"] for item in loaded])
    lines = display.generate_lines(locations, 4)
    display.write_point_file(lines, tmp_path / "points.txt")
    table = np.loadtxt(tmp_path / "points.txt")
    # object, contour, x, y, z: two ends of each of two lines at 4 levels of 3 picks
    assert table.shape == (48, 5)
    assert table[:2].tolist() == [[1, 1, 36, 30, 20], [1, 1, 44, 30, 20]]
    same = display.generate_lines(np.array([peak["x"] for peak in peaks]), 4)
    assert same == lines


def test_what_aitoms_script_does_with_its_own_records(peaks: list[dict], tmp_path: Path) -> None:
    assert [value.tolist() for value in peaks[0]["x"]] == [40, 30, 20]
    files = aitom_module("aitom.io.file")
    files.pickle_dump(peaks, tmp_path / "peaks.pickle")
    back = files.pickle_load(tmp_path / "peaks.pickle")
    assert [peak["x"].tolist() for peak in back] == [[40, 30, 20], [40, 33, 20], [3, 2, 1]]
    assert pickle.dumps(back[0]["uuid"]) == pickle.dumps(peaks[0]["uuid"])


def test_dog_finds_dark_and_bright_particles_alike(world: Simulation) -> None:
    dog = get_picker("dog")({"s1": 5, "contrast": "dark", "pick_num": 20})
    found = dog.pick(world.data.T)
    assert len(found) == 20
    truth = world.points_zyx[:, ::-1]
    off = [np.linalg.norm(truth - peak["x"], axis=1).min() for peak in found[:10]]
    assert max(off) < 2.5
    values = [peak["val"] for peak in found]
    assert values == sorted(values, reverse=True)
    bright = get_picker("dog")({"s1": 5, "contrast": "bright", "pick_num": 20})
    assert [peak["x"] for peak in bright.pick(-world.data.T)] == [peak["x"] for peak in found]


def test_dog_is_aitoms_own(world: Simulation) -> None:
    util = aitom_module("aitom.pick.dog.particle_picking_dog__util")
    own = sorted(util.peak(-world.data.T, 5, 5.5), key=lambda peak: -peak["val"])
    ours = get_picker("dog")({"s1": 5, "t": 0, "peak_dist_min": 0.5}).pick(world.data.T)
    assert [peak["x"] for peak in ours] == [peak["x"] for peak in own]


def test_dog_in_parts_on_two_processes_finds_the_same(world: Simulation) -> None:
    whole = {"s1": 3, "pick_num": 8}
    parts = {"nonoverlap_width": 50, "overlap_width": 40, "save_vg": False}
    op = {**whole, "partition_op": parts, "multiprocessing_process_num": 2}
    found, same = (get_picker("dog")(one).pick(world.data.T) for one in (op, whole))
    assert [peak["x"] for peak in found] == [peak["x"] for peak in same]


def test_dog_follows_aitoms_rule_of_seven_nanometres(world: Simulation) -> None:
    tomogram = Tomogram.from_array(world.data, voxel_size=20.0)  # 3 voxels
    default, told = get_picker("dog")().pick(tomogram), get_picker("dog")({"s1": 3}).pick(tomogram)
    assert [peak["x"] for peak in default] == [peak["x"] for peak in told]
    with pytest.raises(InputError, match="give voxel_size in Å"):
        get_picker("dog")().pick(world.data.T)
    with pytest.raises(InputError, match="s2 above s1 in the op of DoGPicker, got 4 and 5"):
        get_picker("dog")({"s1": 5, "s2": 4}).pick(tomogram)


def test_aitoms_printing_does_not_reach_the_user(world: Simulation, capsys) -> None:
    get_picker("dog")({"s1": 5}).pick(world.data.T)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("shape", [(30, 27, 22), (29, 26, 23)])
@pytest.mark.parametrize("size", [(7, 9, 5), (8, 6, 4)])
def test_template_matching_finds_a_planted_template_at_its_middle(
    shape: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(0)
    template, volume = rng.random(size), 0.05 * rng.random(shape)
    volume[12 : 12 + size[0], 9 : 9 + size[1], 5 : 5 + size[2]] -= template
    op = {"template": template, "angles": [(0.0, 0.0, 0.0)], "pick_num": 1}
    (found,) = get_picker("template_matching")(op).pick(volume)
    middle = np.array([12, 9, 5]) + (np.array(size) - 1) / 2
    assert np.abs(found["x"] - middle).max() <= 0.5


@pytest.mark.slow
def test_template_matching_finds_turned_particles(world: Simulation) -> None:
    template = ribosome_like(20.0).data.T
    op = {"template": template, "angle_step": 60, "t": 8, "pick_num": 16}
    found = get_picker("template_matching")(op).pick(world.data.T)
    truth = world.points_zyx[:, ::-1]
    off = [np.linalg.norm(truth - peak["x"], axis=1).min() for peak in found]
    assert len(off) == 16
    assert max(off) < 2.5


def test_a_template_that_does_not_fit_is_refused(world: Simulation, tmp_path: Path) -> None:
    matching = get_picker("template_matching")
    with pytest.raises(InputError, match="There is no template"):
        matching().pick(world.data.T)
    big = np.arange(40 * 40 * 41.0).reshape(40, 40, 41)
    with pytest.raises(InputError, match=r"\(40, 40, 41\), does not fit into the volume, \(90, 76"):
        matching({"template": big}).pick(world.data.T)
    with pytest.raises(InputError, match=r"that is not constant, got \(4, 5, 6\)"):
        matching({"template": np.ones((4, 5, 6))}).pick(world.data.T)
    write_volume(tmp_path / "t.mrc", np.eye(8, dtype=np.float32)[None].repeat(8, 0), voxel_size=15)
    with pytest.raises(InputError, match="voxels of 15 Å, but the volume has 20 Å"):
        matching({"template": tmp_path / "t.mrc", "voxel_size": 20.0}).pick(world.data.T)


def test_aitoms_own_rotation_brings_an_oriented_pick_into_the_frame_of_the_average() -> None:
    density, size = ribosome_like(16.0), 25
    rng = np.random.default_rng(4)
    middle = np.full(3, size // 2)

    def lying(rotation: Rotation, shift_zyx: np.ndarray) -> np.ndarray:
        """What lies at r in the density is at the middle + shift + R r."""
        back = rotation.as_matrix()[::-1, ::-1].T
        offset = density.centre_zyx - back @ (middle + shift_zyx)
        return ndimage.affine_transform(
            density.spline, back, offset, output_shape=(size,) * 3, prefilter=False
        )

    reference = lying(Rotation.identity(), np.zeros(3))
    for rotation in Rotation.random(4, rng):
        shift = rng.uniform(-0.45, 0.45, 3)
        pick = replace(
            Picks.from_points([middle + shift], [1.0]),
            rotations=Rotation.from_quat([rotation.as_quat()]),
        )
        (record,) = records(pick)
        assert record["x"].tolist() == middle.tolist()
        volume = lying(rotation, shift).transpose(2, 1, 0)  # x, y, z, as AITom's
        rotate = aitom_module("aitom.geometry.rotate").rotate_pad_mean
        aligned = rotate(volume, angle=record["angle"], loc_r=record["loc"]).transpose(2, 1, 0)
        assert np.corrcoef(aligned.ravel(), reference.ravel())[0, 1] > 0.97
