"""MRC files, good and bad."""

import gzip
import warnings

import mrcfile
import numpy as np
import pytest

from aitom_cryosam.errors import InputError
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.mrc import read_volume, write_volume

SHAPE = (3, 4, 5)
RAMP = np.arange(60).reshape(SHAPE)


def save(path, data=RAMP, dtype=np.float32, voxel_size=10.0, **header):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data.astype(dtype))
        file.voxel_size = voxel_size
        for name, value in header.items():
            file.header[name] = value
    return path


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "uint16", "float16"])
@pytest.mark.parametrize("order", "<>")
def test_every_real_mode_in_both_byte_orders(tmp_path, dtype, order):
    volume = read_volume(save(tmp_path / "a.mrc", dtype=np.dtype(dtype).newbyteorder(order)))
    assert isinstance(volume.data, np.memmap)
    assert not volume.data.flags.writeable
    np.testing.assert_array_equal(volume.data, RAMP)
    assert volume.voxel_size == 10.0


@pytest.mark.parametrize("name", ["a.rec", "a.map", "a.mrc.gz"])
def test_names_and_compression(tmp_path, name):
    plain = save(tmp_path / "plain.mrc", origin=(1, 2, 3), nxstart=7, nystart=8, nzstart=9)
    content = plain.read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    volume = read_volume(tmp_path / name)
    np.testing.assert_array_equal(volume.data, RAMP)
    assert volume.origin == (1, 2, 3)
    assert volume.nstart == (7, 8, 9)
    assert not volume.data.flags.writeable


def test_an_extended_header_is_skipped(tmp_path):
    path = tmp_path / "a.mrc"
    with mrcfile.new(path) as file:
        file.set_data(RAMP.astype(np.int16))
        file.set_extended_header(np.zeros(13, "V8"))
        file.voxel_size = 2.5
    np.testing.assert_array_equal(read_volume(path).data, RAMP)


def test_image_stack_flag_is_a_volume(tmp_path):
    np.testing.assert_array_equal(read_volume(save(tmp_path / "a.mrc", ispg=0)).data, RAMP)


def test_bytes_that_imod_marks_as_unsigned(tmp_path):
    path = save(tmp_path / "a.mrc", data=RAMP - 60, dtype=np.int8)
    content = bytearray(path.read_bytes())
    content[152:156] = (1146047817).to_bytes(4, "little")
    path.write_bytes(content)
    np.testing.assert_array_equal(read_volume(path).data, RAMP + 196)
    content[156] = 1  # the flag for signed
    path.write_bytes(content)
    np.testing.assert_array_equal(read_volume(path).data, RAMP - 60)


def test_other_axis_orders_are_turned(tmp_path):
    # Sections lie along x, rows along z, columns along y: the file's array is (x, z, y).
    path = save(
        tmp_path / "a.mrc",
        data=RAMP.transpose(2, 0, 1),
        mapc=2,
        mapr=3,
        maps=1,
        nxstart=20,
        nystart=30,
        nzstart=10,
    )
    volume = read_volume(path, voxel_size=10)
    np.testing.assert_array_equal(volume.data, RAMP)
    assert volume.nstart == (10, 20, 30)


def test_axes_never_filled_in(tmp_path):
    path = save(tmp_path / "a.mrc", mapc=0, mapr=0, maps=0)
    np.testing.assert_array_equal(read_volume(path).data, RAMP)


def test_axes_that_make_no_sense(tmp_path):
    with pytest.raises(InputError, match=r"axes \[1, 1, 3\]"):
        read_volume(save(tmp_path / "a.mrc", mapr=1))


@pytest.mark.parametrize(
    ("size", "says"),
    [(0, "no voxel size"), (1, "of 1 Å"), ((10, 10, 10.2), "unequal.*10 × 10 × 10.2")],
)
def test_voxel_size_that_must_be_asked_for(tmp_path, size, says):
    path = save(tmp_path / "a.mrc", voxel_size=size)
    with pytest.raises(InputError, match=f"{says}.*add --voxel-size"):
        read_volume(path)
    assert read_volume(path, voxel_size=7.5).voxel_size == 7.5


def test_voxel_size_of_the_header(tmp_path):
    assert read_volume(save(tmp_path / "a.mrc", voxel_size=13.48)).voxel_size == 13.48
    assert read_volume(save(tmp_path / "b.mrc", voxel_size=(10, 10, 10.09))).voxel_size == 10.03


def test_voxel_size_that_contradicts_the_header_warns(tmp_path, caplog):
    assert read_volume(save(tmp_path / "a.mrc"), voxel_size=12).voxel_size == 12
    assert "header says 10 Å" in caplog.text


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf")])
def test_voxel_size_that_is_none(tmp_path, size):
    with pytest.raises(InputError, match="above 0 Å"):
        read_volume(save(tmp_path / "a.mrc"), voxel_size=size)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"no file .*a\.mrc"):
        read_volume(tmp_path / "a.mrc")


def test_a_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_volume(tmp_path)


@pytest.mark.parametrize("content", [b"", b"data_\n", b"x,y,z\n" * 1000, bytes(5000)])
def test_not_mrc(tmp_path, content):
    (tmp_path / "a.mrc").write_bytes(content)
    with pytest.raises(InputError, match="is not an MRC file"):
        read_volume(tmp_path / "a.mrc")


def test_cut_off(tmp_path):
    path = save(tmp_path / "a.mrc")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="cut off: 7 bytes are missing"):
        read_volume(path)


@pytest.mark.parametrize("bytes_lost", [-9, -40])
def test_cut_off_gzip(tmp_path, bytes_lost):
    content = save(tmp_path / "a.mrc", data=np.random.default_rng(0).random((3, 4, 500)))
    (tmp_path / "a.mrc.gz").write_bytes(gzip.compress(content.read_bytes())[:bytes_lost])
    with pytest.raises(InputError, match="damaged inside its compression"):
        read_volume(tmp_path / "a.mrc.gz")


def test_gzip_of_something_cut_off(tmp_path):
    content = save(tmp_path / "a.mrc").read_bytes()
    (tmp_path / "a.mrc.gz").write_bytes(gzip.compress(content[:-7]))
    with pytest.raises(InputError, match="cut off"):
        read_volume(tmp_path / "a.mrc.gz")


@pytest.mark.parametrize("mode", [3, 4])
def test_complex(tmp_path, mode):
    with pytest.raises(InputError, match="complex"):
        read_volume(save(tmp_path / "a.mrc", mode=mode))


def test_four_bits(tmp_path):
    with pytest.raises(InputError, match="4-bit"):
        read_volume(save(tmp_path / "a.mrc", mode=101))


def test_image(tmp_path):
    with pytest.raises(InputError, match="two-dimensional"):
        read_volume(save(tmp_path / "a.mrc", data=RAMP[0]))


def test_volume_stack(tmp_path):
    with pytest.raises(InputError, match="stack of volumes"):
        read_volume(save(tmp_path / "a.mrc", data=RAMP.reshape(1, *SHAPE)))


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [(32767, "int16"), (32768, "uint16"), (65535, "uint16"), (65536, "float32")],
)
def test_labels_take_the_smallest_type_and_the_place_of_the_tomogram(tmp_path, largest, dtype):
    source = save(tmp_path / "t.mrc", origin=(1, 2, 3), nxstart=4, nystart=5, nzstart=6)
    tomogram = Tomogram.open(source)
    labels = np.zeros(SHAPE, np.int64)
    labels[2, 1, 4] = largest
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tomogram.write_labels(tmp_path / "l.mrc", labels)
    assert mrcfile.validate(tmp_path / "l.mrc")
    volume = read_volume(tmp_path / "l.mrc")
    assert volume.data.dtype == dtype
    assert volume.data[2, 1, 4] == largest
    assert (volume.voxel_size, volume.origin, volume.nstart) == (10.0, (1, 2, 3), (4, 5, 6))


def test_negative_labels_and_too_large_ones(tmp_path):
    tomogram = Tomogram.open(save(tmp_path / "t.mrc"))
    tomogram.write_labels(tmp_path / "l.mrc", RAMP - 1)
    assert read_volume(tmp_path / "l.mrc").data.dtype == np.int16
    tomogram.write_labels(tmp_path / "f.mrc", RAMP * 1000 - 1)
    assert read_volume(tmp_path / "f.mrc").data.dtype == np.float32
    with pytest.raises(InputError, match="up to 16777216, got 16777217"):
        tomogram.write_labels(tmp_path / "x.mrc", RAMP + 2**24 - 58)
    assert not (tmp_path / "x.mrc").exists()


def test_labels_of_another_shape(tmp_path):
    tomogram = Tomogram.open(save(tmp_path / "t.mrc"))
    with pytest.raises(InputError, match=r"\(3, 4, 5\), got \(5, 4, 3\)"):
        tomogram.write_labels(tmp_path / "l.mrc", RAMP.T)


def test_same_data_same_bytes(tmp_path):
    write_volume(tmp_path / "a.mrc", RAMP.astype(np.float32), voxel_size=10)
    write_volume(tmp_path / "b.mrc", RAMP.astype(np.float32), voxel_size=10)
    content = (tmp_path / "a.mrc").read_bytes()
    assert content == (tmp_path / "b.mrc").read_bytes()
    assert content[224:304].rstrip(b"\0 ") == b"Written by aitom_cryosam"  # no time in it


def test_type_that_mrc_does_not_have(tmp_path):
    with pytest.raises(InputError, match="no float64"):
        write_volume(tmp_path / "a.mrc", RAMP.astype(float), voxel_size=10)
