"""Tomograms: planes that can be compared, margins that do not count."""

import gzip
import warnings

import mrcfile
import numpy as np
import pytest

from aitom_cryosam.errors import InputError
from aitom_cryosam.tomogram import CLIP, Tomogram

SHAPE = (20, 24, 30)


def noise(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def with_margin(data, lower=(2, 3, 1), upper=(18, 23, 26), value=7.0):
    """The data inside the box, one value outside."""
    result = np.full_like(data, value)
    box = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
    result[box] = data[box]
    return result


def save(path, data):
    with mrcfile.new(path, overwrite=True) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mrcfile's own, on NaN
        file.set_data(data)
        file.voxel_size = 10
    return path


def test_open_keeps_the_data_on_disk_and_the_name_as_text(tmp_path):
    tomogram = Tomogram.open(save(tmp_path / "0012.mrc", noise()), contrast="bright")
    assert isinstance(tomogram.data, np.memmap)
    assert (tomogram.name, tomogram.shape, tomogram.voxel_size) == ("0012", SHAPE, 10.0)
    assert tomogram.contrast == "bright"
    with pytest.raises(ValueError, match="read-only"):
        tomogram.data[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("file", "name"),
    [("TS_1.5.rec", "TS_1.5"), ("a.map", "a"), ("b.mrc.gz", "b"), ("c.MRC", "c")],
)
def test_name_is_the_stem(tmp_path, file, name):
    path = save(tmp_path / "x.mrc", noise())
    content = path.read_bytes()
    (tmp_path / file).write_bytes(gzip.compress(content) if file.endswith(".gz") else content)
    assert Tomogram.open(tmp_path / file).name == name


def test_planes_along_each_axis():
    tomogram = Tomogram.from_array(noise(), voxel_size=10, contrast="bright")
    whole = tomogram.box((0, 0, 0), SHAPE)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(tomogram.plane(0, 3), whole[3])
    np.testing.assert_array_equal(tomogram.plane(1, 4), whole[:, 4])
    np.testing.assert_array_equal(tomogram.plane(2, 5), whole[:, :, 5])
    np.testing.assert_array_equal(tomogram.planes(2, 5, 8), np.moveaxis(whole[:, :, 5:8], 2, 0))
    np.testing.assert_array_equal(tomogram.box((1, 2, 3), (4, 6, 8)), whole[1:4, 2:6, 3:8])


@pytest.mark.parametrize("box", [((-1, 0, 0), (2, 2, 2)), ((0, 0, 0), (21, 2, 2))])
def test_box_outside(box):
    with pytest.raises(IndexError, match="leaves the shape"):
        Tomogram.from_array(noise(), voxel_size=10).box(*box)


def test_protein_is_positive():
    data = noise()
    data[10, 11, 12] = -5
    assert Tomogram.from_array(data, voxel_size=10).plane(0, 10)[11, 12] > 4
    assert Tomogram.from_array(data, voxel_size=10, contrast="bright").plane(0, 10)[11, 12] < -4


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16])
def test_units_of_the_data_do_not_matter(dtype):
    data = 3 * 300 + 300 * noise()
    tomogram = Tomogram.from_array(data.astype(dtype), voxel_size=10, contrast="bright")
    assert tomogram.normalisation.centre == pytest.approx(900, abs=10)
    assert tomogram.normalisation.scale == pytest.approx(294, abs=6)  # cut at 1 % and 99 %
    np.testing.assert_allclose(
        tomogram.box((0, 0, 0), SHAPE).ravel()[:9], (data.ravel()[:9] - 900) / 294, atol=0.1
    )


def test_float16_does_not_overflow():
    data = (60000 + 500 * noise((40, 50, 60))).astype(np.float16)
    tomogram = Tomogram.from_array(data, voxel_size=10)
    assert tomogram.normalisation.centre == pytest.approx(60000, abs=50)
    assert tomogram.content_box == ((0, 0, 0), (40, 50, 60))


def test_gold_is_cut_and_does_not_change_the_scale():
    data = noise()
    plain = Tomogram.from_array(data, voxel_size=10).normalisation
    data[3:5, 3:6, 3:6] = -1e4
    tomogram = Tomogram.from_array(data, voxel_size=10)
    assert tomogram.normalisation.scale == pytest.approx(plain.scale, rel=0.05)
    assert tomogram.plane(0, 4)[4, 4] == CLIP


@pytest.mark.parametrize("value", [1e9, -1e20, 1e30, 3e38])
def test_one_bad_voxel_changes_nothing_else(value):
    data = noise()
    plain = Tomogram.from_array(data, voxel_size=10)
    bad = data.copy()
    bad[4, 5, 6] = value
    tomogram = Tomogram.from_array(bad, voxel_size=10)
    assert tomogram.content_box == ((0, 0, 0), SHAPE)
    assert not tomogram.is_blank((10, 12, 15))
    assert tomogram.normalisation.scale == pytest.approx(plain.normalisation.scale, rel=1e-3)
    plane = tomogram.plane(0, 4)
    assert plane[5, 6] == (CLIP if value < 0 else -CLIP)
    others = np.arange(24) != 5
    np.testing.assert_allclose(plane[others], plain.plane(0, 4)[others], atol=5e-3)


@pytest.mark.parametrize("unit", [1e-38, 1e-30, 1e-12, 1e12, 1e30, 1e37])
def test_the_unit_of_the_values_does_not_matter(unit):
    data = noise()
    plain = Tomogram.from_array(data, voxel_size=10)
    scaled = Tomogram.from_array((data * np.float64(unit)).astype(np.float32), voxel_size=10)
    assert scaled.content_box == ((0, 0, 0), SHAPE)
    np.testing.assert_allclose(scaled.plane(1, 7), plain.plane(1, 7), atol=1e-3)


def test_saturated_bytes():
    data = np.clip(noise() * 400, -128, 127).astype(np.int8)  # three of four at the limits
    tomogram = Tomogram.from_array(data, voxel_size=10)
    assert tomogram.content_box == ((0, 0, 0), SHAPE)
    assert abs(tomogram.plane(0, 3)).max() < 2


def test_values_that_change_along_one_axis_only():
    data = np.broadcast_to(np.arange(30, dtype=np.float32), SHAPE)
    assert Tomogram.from_array(data, voxel_size=10).content_box == ((0, 0, 0), SHAPE)


@pytest.mark.parametrize(("varies", "is_content"), [(0.3, True), (0.05, False)])
def test_a_margin_that_hardly_varies_is_none_of_the_content(varies, is_content):
    data = noise()
    data[:3] *= varies
    first = 0 if is_content else 3
    assert Tomogram.from_array(data, voxel_size=10).content_box == ((first, 0, 0), SHAPE)


def test_planes_without_variation_between_others():
    data = noise()
    data[5:15] = 2
    assert Tomogram.from_array(data, voxel_size=10).content_box == ((0, 0, 0), SHAPE)


def test_sparse_values_still_get_a_scale():
    data = np.zeros(SHAPE, np.int8)
    data[10, 10, 10:12] = 3
    assert Tomogram.from_array(data, voxel_size=10).normalisation.scale > 0


@pytest.mark.parametrize("margin", [noise(seed=1) * 0.05 + 7, np.full(SHAPE, 7, np.float32)])
def test_margins_do_not_count(margin):
    data = noise()
    inside = (slice(2, 18), slice(3, 23), slice(1, 26))
    margin = margin.copy()
    margin[inside] = data[inside]
    tomogram = Tomogram.from_array(margin, voxel_size=10)
    assert tomogram.content_box == ((2, 3, 1), (18, 23, 26))
    alone = Tomogram.from_array(data[inside], voxel_size=10)
    assert tomogram.normalisation.scale == pytest.approx(alone.normalisation.scale, rel=0.02)
    assert tomogram.normalisation.centre == pytest.approx(alone.normalisation.centre, abs=0.02)
    assert tomogram.is_blank((1, 10, 10))
    assert tomogram.is_blank((10, 23, 10))
    assert tomogram.is_blank((10, 10, 25.6))
    assert not tomogram.is_blank((10, 22.4, 25.4))
    assert tomogram.is_blank((-50, 10, 10))


def test_filled_corners_of_a_rotated_volume():
    data = noise()
    y, x = np.mgrid[:24, :30]
    data[:, abs(y - 11.5) / 12 + abs(x - 14.5) / 15 > 1] = 100.0
    tomogram = Tomogram.from_array(data, voxel_size=10)
    assert tomogram.normalisation.centre == pytest.approx(0, abs=0.05)
    assert tomogram.normalisation.scale == pytest.approx(1, abs=0.05)
    assert tomogram.is_blank((10, 2, 2))
    assert not tomogram.is_blank((10, 12, 15))


def test_a_particle_in_values_that_were_cut_off_is_no_margin():
    data = np.clip(noise() * 40, -128, 127).astype(np.int8)
    z, y, x = np.ogrid[:20, :24, :30]
    data[(z - 10) ** 2 + (y - 12) ** 2 + (x - 15) ** 2 < 25] = -128
    assert not Tomogram.from_array(data, voxel_size=10).is_blank((10, 12, 15))


def test_mostly_padding():
    data = with_margin(noise(), (8, 9, 7), (13, 15, 14), 0)
    assert Tomogram.from_array(data, voxel_size=10).content_box == ((8, 9, 7), (13, 15, 14))


def test_turning_the_volume_changes_nothing():
    data = with_margin(noise())
    reference = Tomogram.from_array(data, voxel_size=10)
    turned = Tomogram.from_array(data.transpose(2, 0, 1), voxel_size=10)
    assert turned.content_box == ((1, 2, 3), (26, 18, 23))
    assert turned.normalisation == reference.normalisation
    np.testing.assert_array_equal(turned.plane(0, 9), reference.plane(2, 9))


def test_digest_is_of_the_content(tmp_path):
    data = noise()
    digest = Tomogram.from_array(data, voxel_size=10).digest()
    assert len(digest) == 64
    assert Tomogram.open(save(tmp_path / "a.mrc", data)).digest() == digest
    assert Tomogram.open(save(tmp_path / "b.mrc", data.astype(">f4"))).digest() == digest
    assert Tomogram.from_array(data.transpose(1, 0, 2), voxel_size=10).digest() != digest
    data[1, 2, 3] += 1
    assert Tomogram.from_array(data, voxel_size=10).digest() != digest


def test_an_array_is_neither_copied_nor_locked():
    data = noise()
    tomogram = Tomogram.from_array(data, voxel_size=10)
    assert np.shares_memory(tomogram.data, data)
    data[0, 0, 0] = 1  # still the caller's


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path, value):
    data = noise()
    data[5, 6, 7] = value
    with pytest.raises(InputError, match=r"a\.mrc: plane z = 5 holds NaN or infinity"):
        Tomogram.open(save(tmp_path / "a.mrc", data)).check()
    with pytest.raises(InputError, match="tomogram: plane z = 5 holds NaN or infinity"):
        Tomogram.from_array(data, voxel_size=10)


def test_constant(tmp_path):
    with pytest.raises(InputError, match=r"a\.mrc: every voxel is 3"):
        Tomogram.open(save(tmp_path / "a.mrc", np.full(SHAPE, 3, np.int16))).check()


class Counted:
    """An array that is not in memory: slices of it are read, and counted."""

    def __init__(self, data):
        self._data = data
        self.shape, self.dtype = data.shape, data.dtype
        self.read = 0

    def __getitem__(self, index):
        found = self._data[index]
        self.read += found.size
        return found.copy()


def test_any_sliced_array_is_read_when_it_is_needed():
    data = with_margin(noise())
    lazy = Counted(data)
    tomogram = Tomogram(data=lazy, voxel_size=10.0, name="lazy", contrast="dark")
    assert tomogram.shape == SHAPE
    assert lazy.read == 0
    whole = Tomogram.from_array(data, voxel_size=10)
    assert tomogram.content_box == whole.content_box == ((2, 3, 1), (18, 23, 26))
    assert tomogram.normalisation == whole.normalisation
    np.testing.assert_array_equal(tomogram.planes(1, 4, 6), whole.planes(1, 4, 6))
    assert tomogram.digest() == whole.digest()
    assert tomogram.is_blank((0, 0, 0))
    assert not tomogram.is_blank((10, 12, 15))


def test_open_reads_no_voxel(tmp_path, monkeypatch):
    path = save(tmp_path / "a.mrc", np.full(SHAPE, np.nan, np.float32))

    def read(*_):
        raise AssertionError("a voxel was read")

    with monkeypatch.context() as patched:
        patched.setattr(np.memmap, "__getitem__", read)
        tomogram = Tomogram.open(path)
        assert (tomogram.shape, tomogram.voxel_size) == (SHAPE, 10)
    with pytest.raises(InputError, match="plane z = 0 holds NaN"):
        tomogram.plane(0, 3)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.zeros((3, 4)), r"\(D, H, W\), got \(3, 4\)"),
        (np.zeros((3, 4, 0)), r"\(D, H, W\), got \(3, 4, 0\)"),
        (np.zeros(SHAPE, complex), "real numbers, got complex128"),
        ([[[1]], [[1, 2]]], "got a value of the type list that makes none"),
    ],
)
def test_array_that_is_no_volume(data, says):
    with pytest.raises(InputError, match=says):
        Tomogram.from_array(data, voxel_size=10)


def test_options_that_make_no_sense():
    with pytest.raises(InputError, match="above 0 Å"):
        Tomogram.from_array(noise(), voxel_size=0)
    for size in ("13,6", None, [10, 10, 10]):
        with pytest.raises(InputError, match="a voxel size in Å, one number, got"):
            Tomogram.from_array(noise(), voxel_size=size)  # type: ignore[arg-type]
    for name in ("", "../TS_01", "a\0b"):  # files are written under it
        with pytest.raises(InputError, match="a name of the tomogram without slashes"):
            Tomogram.from_array(noise(), voxel_size=10, name=name)
    with pytest.raises(InputError, match="'dark' or 'bright', got 'grey'"):
        Tomogram.from_array(noise(), voxel_size=10, contrast="grey")  # type: ignore[arg-type]


@pytest.mark.data
def test_blank_margin_of_the_real_tomogram(data_dir):
    tomogram = Tomogram.open(data_dir / "apoferritin_10491" / "apof_left.mrc")
    (z0, y0, x0), (z1, y1, x1) = tomogram.content_box
    assert (z0, z1, x0, x1) == (0, 85, 0, 174)
    assert 12 <= y0 <= 16
    assert 458 <= y1 <= 462
    assert tomogram.normalisation.centre == 3
