from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError
from aitom_cryosam.regions import RegionMask, RegionRules, find_slab
from aitom_cryosam.regions.regions import EDGE, EXCLUDED, ICE, OUTSIDE
from aitom_cryosam.simulation import microscope
from aitom_cryosam.simulation.density import ribosome_like
from aitom_cryosam.simulation.sample import make_sample, place_particles
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.mrc import write_volume

SHAPE = (20, 30, 41)


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture
def tomogram() -> Tomogram:
    return Tomogram.from_array(noise(SHAPE), voxel_size=10)


def mask_file(folder: Path, inside: np.ndarray, voxel_size: float = 10) -> Path:
    path = folder / "TS_01_membrane.mrc"
    write_volume(path, inside.astype(np.int8), voxel_size=voxel_size)
    return path


def box(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    inside = np.zeros(shape, bool)
    inside[4:10, 8:20, 12:30] = True
    return inside


def test_distances_are_those_of_a_distance_transform(tmp_path, tomogram):
    mask = RegionMask.open(mask_file(tmp_path, box()), tomogram)
    voxels = np.argwhere(np.ones(SHAPE, bool))
    outside = distance_transform_edt(~box()).ravel()
    within = distance_transform_edt(box()).ravel()
    expected = np.where(box().ravel(), -(within - 0.5), outside - 0.5) * 10
    np.testing.assert_allclose(mask.signed_distance(voxels), expected)
    assert mask.name == "membrane"
    assert mask.volume == box().mean()


def test_a_binned_mask_covers_the_voxels_it_was_binned_from(tmp_path, tomogram, caplog):
    small = np.zeros((10, 15, 21), bool)  # 41 voxels in x give 20 or 21
    small[2:5, 4:10, 6:15] = True
    mask = RegionMask.open(mask_file(tmp_path, small, voxel_size=20), tomogram)
    assert mask.binning == 2
    assert not caplog.messages  # its voxel size is as it should be
    large = np.zeros(SHAPE, bool)
    large[4:10, 8:20, 12:30] = True
    voxels = np.argwhere(np.ones(SHAPE, bool))
    np.testing.assert_array_equal(mask.contains(voxels), large.ravel())
    # The face x = 11.5 of the region is 5 voxels from x = 6.5.
    np.testing.assert_allclose(mask.signed_distance(np.array([[6.5, 12.5, 6.5]])), [50])


@pytest.mark.parametrize(
    ("shape", "voxel_size", "says"),
    [
        ((20, 30, 40), 10, "expected the tomogram's 41 x 30 x 20"),
        (SHAPE, 13, "voxels of 13 Å; expected 10 Å"),
        ((10, 15, 21), 10, "voxels of 10 Å; expected 20 Å"),
    ],
)
def test_a_mask_of_another_tomogram_is_refused(tmp_path, tomogram, shape, voxel_size, says):
    path = mask_file(tmp_path, np.ones(shape, bool), voxel_size)
    with pytest.raises(InputError, match=says):
        RegionMask.open(path, tomogram)


@pytest.mark.parametrize("kind", ["region", "exclude"])
@pytest.mark.parametrize(
    "values",
    [
        noise(SHAPE),
        3 + 0.1 * noise(SHAPE),
        1e-4 * noise(SHAPE),
        0.1 * noise(SHAPE),
        (20 * noise(SHAPE)).astype(np.int8),
        (120 + 30 * noise(SHAPE)).astype(np.uint16),
    ],
)
def test_a_tomogram_is_no_mask(tmp_path, tomogram, values, kind):
    path = tmp_path / "TS_01_rec.mrc"
    write_volume(path, values, voxel_size=10)
    with pytest.raises(
        InputError, match=r"is no mask: its values, .* as a tomogram's do; expected"
    ):
        RegionRules(**{kind: path if kind == "region" else (path,)}).of(tomogram)


@pytest.mark.parametrize(
    "values",
    [
        np.where(box(), np.int8(-1), np.int8(0)),  # 255 of 8 bits
        (noise(SHAPE) > 0).astype(np.float32) * 255,
        np.clip(0.5 + 0.3 * noise(SHAPE), -0.2, 1.2),  # shares, interpolated
        np.cumsum(box(), axis=0).astype(np.int16) * box(),  # labels
        np.where(box(), np.float32(1), np.float32(np.nan)),
    ],
)
def test_labels_and_shares_are_masks(tmp_path, tomogram, values):
    path = tmp_path / "a.mrc"
    write_volume(path, values, voxel_size=10)
    inside = RegionMask.open(path, tomogram).inside
    assert inside[5, 10, 15] == (values[5, 10, 15] > 0.5 or values[5, 10, 15] == -1)


def test_a_mask_whose_background_is_the_least_byte(tmp_path, tomogram):
    """IMOD and Amira store 0 and 1 as -128 and -127 where bytes are signed."""
    for inside, labels in ((box(), [-128, -127]), (box() | (np.indices(SHAPE)[0] < 1), [-128, 0])):
        path = tmp_path / "TS_01_membrane.mrc"
        write_volume(path, np.where(inside, labels[1], labels[0]).astype(np.int8), voxel_size=10)
        found = RegionMask.open(path, tomogram).inside
        np.testing.assert_array_equal(found, inside if labels[1] else ~inside)
        path.unlink()


def test_masks_that_leave_nothing_are_refused(tmp_path, tomogram, caplog):
    empty = mask_file(tmp_path, np.zeros(SHAPE))
    with pytest.raises(InputError, match="is an empty mask; expected voxels that are not 0"):
        RegionRules(region=empty).of(tomogram)
    full = tmp_path / "full.mrc"
    write_volume(full, np.ones(SHAPE, np.int8), voxel_size=10)
    everywhere = RegionRules(region=full).of(tomogram)
    assert everywhere.allows(np.array([[0, 0, 0]])).all()
    assert everywhere.distances_angstrom(np.zeros((1, 3))) == {}  # there is no surface
    assert caplog.messages == [f"{full} covers the whole tomogram; it leaves nothing out."]
    with pytest.raises(InputError, match="covers the whole tomogram"):
        RegionRules(exclude=(full,)).of(tomogram)
    with pytest.raises(InputError, match="leaves nothing"):
        RegionRules(edge=100).of(tomogram)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"edge": -1}, "edge as a length"),
        ({"edge": float("nan")}, "edge as a length"),
        ({"exclude_distance": 50}, "needs a mask"),
        ({"lamella": "yes"}, "lamella none or auto"),
    ],
)
def test_rules_that_make_no_sense(rules, says):
    with pytest.raises(InputError, match=says):
        RegionRules(**rules)


def test_every_point_has_its_reason(tmp_path, tomogram):
    path = mask_file(tmp_path, box())
    points = np.array([[6.0, 12, 20], [6, 12, 34], [6, 12, 31], [1, 12, 20]])
    out = RegionRules(region=path, edge=20).of(tomogram).left_out(points)
    assert out[OUTSIDE].tolist() == [False, True, True, True]
    assert out[EDGE].tolist() == [False, False, False, True]
    out = RegionRules(exclude=(path,), exclude_distance=20).of(tomogram).left_out(points)
    assert out[EXCLUDED].tolist() == [True, False, True, False]
    assert RegionRules().of(tomogram).allows(points).all()
    assert not RegionRules().any


def test_edges_are_faces_of_voxels(tomogram):
    regions = RegionRules(edge=20).of(tomogram)
    allowed = regions.allows(
        np.array([[1.5, 15, 20], [1.4, 15, 20], [17.5, 15, 20], [17.6, 15, 20]])
    )
    assert allowed.tolist() == [True, False, True, False]


def test_rules_go_through_json(tmp_path):
    rules = RegionRules(
        region=tmp_path / "r.mrc", exclude=(tmp_path / "m.mrc",), exclude_distance=50, edge=20
    )
    assert RegionRules.from_json(rules.to_json()) == rules
    with pytest.raises(InputError, match="rules for regions"):
        RegionRules.from_json({"nonsense": 1})


@pytest.mark.parametrize("slope", [0.0, 0.08])
def test_the_lamella_is_where_the_sample_is(slope):
    data = noise((90, 200, 260))
    x = np.arange(260)
    bottom, top = 24 + slope * (x - 130), 62 + slope * (x - 130)
    z = np.arange(90)[:, None, None]
    inside = (z >= bottom) & (z <= top)
    data += 3 * gaussian_filter(noise(data.shape, 1), 2) * 8 * inside
    slab = find_slab(Tomogram.from_array(data, voxel_size=10))
    assert slab is not None
    for place in ([100.0, 30], [100, 130], [60, 230]):
        low, high = (np.array([1, *place]) @ plane for plane in (slab.bottom, slab.top))
        assert low == pytest.approx(24 + slope * (place[1] - 130), abs=2.5)
        assert high == pytest.approx(62 + slope * (place[1] - 130), abs=2.5)
    points = np.array([[40.0, 100, 130], [10, 100, 130], [80, 100, 130]])
    assert slab.contains(points).tolist() == [True, False, False]


@pytest.mark.parametrize("snr", [0.3, 0.05])
def test_the_lamella_of_a_simulated_cell_between_empty_ice(snr):
    shape, slab = (84, 140, 140), slice(24, 60)
    settings = SimulationSettings(shape_zyx=shape, voxel_size=20.0, membranes=0, snr=snr, seed=1)
    rng = np.random.default_rng(1)
    body = ribosome_like(20.0)
    inner = replace(settings, shape_zyx=(36, 140, 140))
    points = place_particles([body.radius] * 30, [], inner, rng) + np.array([slab.start, 0, 0])
    turns = Rotation.random(30, random_state=1).as_matrix()
    sample, _ = make_sample([body] * 30, points, turns, [], settings)
    crowd = gaussian_filter(rng.standard_normal((36, 140, 140)), 1.2)
    sample[slab] += 0.2 * sample.max() * np.maximum(crowd / crowd.std(), 0)
    images = microscope.recorded(microscope.tilt_images(sample, settings), settings, rng)
    data = -microscope.back_projection(images, settings).astype(np.float32)
    found = find_slab(Tomogram.from_array(data, voxel_size=20.0))
    assert found is not None
    for plane, height in ((found.bottom, slab.start - 0.5), (found.top, slab.stop - 0.5)):
        assert np.array([1, 70, 70]) @ plane == pytest.approx(height, abs=4)
    assert found.contains(points).mean() > 0.95


def test_a_tomogram_that_is_full_has_no_lamella_to_find():
    tomogram = Tomogram.from_array(noise((60, 130, 130)), voxel_size=10)
    assert find_slab(tomogram) is None
    points = np.array([[0.0, 0, 0], [59, 129, 129]])
    regions = RegionRules(lamella="auto").of(tomogram)
    assert regions.allows(points).all()
    assert ICE not in regions.left_out(points)
