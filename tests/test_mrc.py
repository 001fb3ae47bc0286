"""MRC files, good and bad."""

import errno
import gzip
import mmap
import os
import struct
import tracemalloc
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


@pytest.mark.parametrize(
    ("name", "header", "says"),
    [
        ("a.mrc", {"ispg": 0, "mz": 1}, "by ispg 0 and mz 1 in its header"),
        ("TS_01.st", {}, "by its ending .st"),
        ("TS_01.ALI", {}, "by its ending .ali"),
        ("a.mrc", {"ispg": 1, "mz": 1}, None),
        ("TS_01.rec", {"ispg": 0}, None),
    ],
)
def test_a_tilt_series_in_place_of_its_tomogram_is_told(tmp_path, caplog, name, header, says):
    volume = read_volume(save(tmp_path / name, **header), voxel_size=10)
    np.testing.assert_array_equal(volume.data, RAMP)
    assert ("seems to be a stack of images" in caplog.text) == (says is not None)
    assert (says or "") in caplog.text


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
    with pytest.raises(InputError, match=f"{says}.*give voxel_size"):
        read_volume(path)
    assert read_volume(path, voxel_size=7.5).voxel_size == 7.5


def test_voxel_size_of_the_header(tmp_path):
    assert read_volume(save(tmp_path / "a.mrc", voxel_size=13.48)).voxel_size == 13.48
    assert read_volume(save(tmp_path / "b.mrc", voxel_size=(10, 10, 10.09))).voxel_size == 10.03


def test_voxel_size_that_contradicts_the_header_warns(tmp_path, caplog):
    assert read_volume(save(tmp_path / "a.mrc"), voxel_size=12).voxel_size == 12
    assert "header says 10 Å." in caplog.text


@pytest.mark.parametrize(("wanted", "says"), [(1, "more"), (105, "less")])
def test_nanometres_taken_for_angstrom_are_named(tmp_path, caplog, wanted, says):
    read_volume(save(tmp_path / "a.mrc"), voxel_size=wanted)
    assert f"header says 10 Å, about ten times {says} (1 nm is 10 Å)." in caplog.text


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


EM = struct.pack("<4B3i", 6, 0, 0, 5, 5, 4, 3).ljust(512, b"\0") + bytes(240)
SPIDER = {at: value for at, value in zip((0, 1, 4, 11, 21), (3, 4, 3, 5, 1040), strict=True)}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.hdf", b"\x89HDF\r\n\x1a\n", "HDF5, as EMAN2 writes it; type `e2proc3d.py {} a.mrc`"),
        ("a.tif", b"II*\0", "TIFF; type `tif2mrc {} a.mrc`"),
        ("a.tif", b"MM\0*", "TIFF; type `tif2mrc {} a.mrc`"),
        ("b c.tif", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0", "TIFF; type `tif2mrc '{}' 'b c.mrc'`"),
        ("a.em", EM, "an EM volume, as TOM and Dynamo write it; type `e2proc3d.py {} a.mrc`"),
        (
            "a.em",
            b"\3" + EM[1:4] + struct.pack(">3i", 5, 4, 3) + EM[16:],
            "an EM volume, as TOM and Dynamo write it; type `e2proc3d.py {} a.mrc`",
        ),
        *[
            (
                "a.spi",
                struct.pack(f"{order}260f", *(SPIDER.get(i, 0) for i in range(260))) + bytes(240),
                "a SPIDER volume; type `e2proc3d.py {} a.mrc`",
            )
            for order in "<>"
        ],
        *[
            (
                f"a.dm{size}",
                start.ljust(300, b"\0"),
                "of Gatan's (DM3, DM4); type `dm2mrc {} a.mrc`",
            )
            for size, start in (
                (3, struct.pack(">3i", 3, 300, 1)),
                (4, struct.pack(">iqi", 4, 300, 1)),
            )
        ],
        ("a.npy", b"\x93NUMPY", "an array of NumPy; type `python -c"),
        ("a.am", b"# AmiraMesh 3D", "AmiraMesh; type `e2proc3d.py {} a.mrc`"),
        ("a.nii", bytes(344) + b"n+1\0", "NIfTI; convert it to MRC"),
        ("a.png", b"\x89PNG", r"a picture (PNG); name the tomogram"),
        ("a.sqlite", b"SQLite format 3\0", "a database (SQLite); name the tomogram"),
        ("a.mat", b"MATLAB 5.0 MAT-file\0", "of Matlab; name the tomogram"),
        ("a.mod", b"IMODV1.2", "an IMOD model; name the tomogram"),
        ("a.mrc.zip", b"PK\3\4", "a zip archive; type `unzip {}`"),
        (
            "a.mrc.gz",
            gzip.compress(gzip.compress(b"", mtime=0), mtime=0),
            "packed twice, by gzip; unpack it once",
        ),
        ("a.mrc.xz", b"\xfd7zXZ\0", "packed by xz; type `xz -dk {}`"),
        ("a.mrc.zst", b"\x28\xb5\x2f\xfd", "packed by zstd; type `zstd -d {}`"),
        (
            "a.tar.gz",
            gzip.compress(bytes(257) + b"ustar".ljust(800), mtime=0),
            "a tar archive; type `tar",
        ),
        ("a.mrc", b"version https://git-lfs.github.com/", "a pointer of Git LFS; type `git lfs p"),
        ("a.mrc", b"<!DOCTYPE html><html>", "a web page; download the volume again"),
        ("a.csv", b"x,y,z\n" * 1000, "text; name the tomogram"),
        ("a.pdb", b"ATOM      1  N   MET A   1\n", "an atomic model; make a density of it"),
    ],
)
def test_files_of_other_kinds_say_what_to_do(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_volume(path)
    assert f"{path} is not an MRC file: it is {says.replace('{}', str(path))}" in str(error.value)


def test_readers_have_their_former_names():
    from aitom_cryosam.io.mrc import read_volume as former
    from aitom_cryosam.io.prompts import read_prompts as prompts
    from aitom_cryosam.points.prompts import read_prompts

    assert (former, prompts) == (read_volume, read_prompts)


def test_a_disk_that_maps_no_files_and_no_addresses_for_them(tmp_path, monkeypatch):
    numbers = iter([errno.ENOMEM, errno.ENODEV])

    def never(*_, **__):
        number = next(numbers)
        raise OSError(number, os.strerror(number))

    path = save(tmp_path / "a.mrc", dtype=">i2")
    monkeypatch.setattr(mmap, "mmap", never)
    with pytest.raises(MemoryError):
        read_volume(path)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, RAMP)
    assert not volume.data.flags.writeable


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


def test_colours(tmp_path):
    with pytest.raises(InputError, match=r"holds colours \(mode 16\); convert it to one grey"):
        read_volume(save(tmp_path / "a.mrc", mode=16))


def test_four_bits(tmp_path):
    with pytest.raises(InputError, match="4-bit"):
        read_volume(save(tmp_path / "a.mrc", mode=101))


def test_image(tmp_path):
    with pytest.raises(InputError, match="two-dimensional"):
        read_volume(save(tmp_path / "a.mrc", data=RAMP[0]))


def test_volume_stack(tmp_path):
    two = np.stack([RAMP, RAMP])
    with pytest.raises(InputError, match="stack of volumes of 3 sections each with 6 sections"):
        read_volume(save(tmp_path / "a.mrc", data=two))
    with pytest.raises(InputError, match="stack of volumes with 3 sections"):
        read_volume(save(tmp_path / "b.mrc", ispg=401, mz=0))


def test_a_stack_of_one_volume_is_a_volume(tmp_path):
    # mrcfile writes an array (1, D, H, W), as networks put out, with the space group 401.
    path = save(tmp_path / "a.mrc", data=RAMP.reshape(1, *SHAPE))
    np.testing.assert_array_equal(read_volume(path).data, RAMP)


def raw(path, values, dtype, low, high, *, order="<"):
    """Bytes of mode 0 under a header that gives their range, without IMOD's stamp."""
    save(path, data=values, dtype=np.dtype(np.int8), dmin=low, dmax=high)
    content = bytearray(path.read_bytes())
    if order == ">":
        content[:224] = np.frombuffer(content[:224], "<u4").astype(">u4").tobytes()
        content[208:216] = b"MAP \x11\x11\0\0"
    content[1024:] = values.astype(dtype).tobytes()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("order", "<>")
def test_bytes_without_a_stamp_go_by_the_range_of_the_header(tmp_path, caplog, order):
    unsigned = raw(tmp_path / "u.mrc", RAMP + 180, np.uint8, 180, 239, order=order)
    np.testing.assert_array_equal(read_volume(unsigned).data, RAMP + 180)
    unsigned = raw(tmp_path / "v.mrc", RAMP + 100, np.uint8, 100, 159, order=order)
    np.testing.assert_array_equal(read_volume(unsigned).data, RAMP + 100)
    assert "read as unsigned, as its header gives values of 100 to 159" in caplog.text
    caplog.clear()
    signed = raw(tmp_path / "s.mrc", RAMP - 40, np.int8, -40, 19, order=order)
    np.testing.assert_array_equal(read_volume(signed).data, RAMP - 40)
    small = raw(tmp_path / "p.mrc", RAMP, np.int8, 0, 59, order=order)
    np.testing.assert_array_equal(read_volume(small).data, RAMP)
    assert not caplog.text  # either way the values are the same


@pytest.mark.parametrize(("flags", "low", "high"), [(0, -128, 127), (1, 0, 255)])
def test_a_range_that_the_stamp_excludes_is_told(tmp_path, caplog, flags, low, high):
    path = raw(tmp_path / "a.mrc", RAMP, np.int8, low, high)
    content = bytearray(path.read_bytes())
    content[152:160] = struct.pack("<2i", 1146047817, flags)
    path.write_bytes(content)
    np.testing.assert_array_equal(read_volume(path).data, RAMP)
    assert f"but its header gives {low} to {high}; if the picture looks torn" in caplog.text
    caplog.clear()
    content[152:160] = struct.pack("<2i", 1146047817, 1 - flags)
    path.write_bytes(content)
    np.testing.assert_array_equal(read_volume(path).data, RAMP)
    assert not caplog.text


@pytest.mark.parametrize("limits", [(0, 0), (0, -1), (-5, 200), (np.nan, np.nan), (0, 3e5)])
def test_bytes_whose_sign_nobody_states_are_told(tmp_path, caplog, limits):
    volume = read_volume(raw(tmp_path / "a.mrc", RAMP - 40, np.int8, *limits))
    np.testing.assert_array_equal(volume.data, RAMP - 40)
    assert "read as signed; its header does not tell" in caplog.text


def test_an_empty_mask_of_ours_is_known_to_be_signed(tmp_path, caplog):
    write_volume(tmp_path / "a.mrc", np.zeros(RAMP.shape, np.int8), voxel_size=10)
    assert read_volume(tmp_path / "a.mrc").data.dtype == np.int8
    assert not caplog.text


@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz"])
def test_an_extended_header_that_is_counted_but_not_there(tmp_path, caplog, name):
    content = save(tmp_path / "plain.mrc", nsymbt=57600).read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    np.testing.assert_array_equal(read_volume(tmp_path / name).data, RAMP)
    assert "counts 57600 bytes of an extended header (nsymbt) that is not there" in caplog.text


def test_an_extended_header_of_less_than_nothing(tmp_path):
    np.testing.assert_array_equal(read_volume(save(tmp_path / "a.mrc", nsymbt=-1)).data, RAMP)


def test_bytes_behind_the_voxels_are_told(tmp_path, caplog):
    path = save(tmp_path / "a.mrc")
    path.write_bytes(path.read_bytes() + bytes(12))
    np.testing.assert_array_equal(read_volume(path).data, RAMP)
    assert "12 bytes more than its header counts" in caplog.text


@pytest.mark.parametrize("steps", [(0, 0, 0), (5, 4, 0), (-5, 4, 3)])
def test_a_cell_without_steps_gives_no_voxel_size(tmp_path, steps):
    path = save(tmp_path / "a.mrc", **dict(zip(("mx", "my", "mz"), steps, strict=True)))
    with pytest.raises(InputError, match=r"no voxel size.*\(mx, my, mz\); give voxel_size"):
        read_volume(path)


@pytest.mark.parametrize("size", [1e-9, 1e6])
def test_a_voxel_size_that_cannot_be(tmp_path, size):
    with pytest.raises(InputError, match="which cannot be; give voxel_size"):
        read_volume(save(tmp_path / "a.mrc", voxel_size=size))


@pytest.mark.parametrize("stamp", [b"\x44\x44", b"\0\0"])
def test_a_machine_stamp_of_the_other_byte_order(tmp_path, stamp):
    path = save(tmp_path / "a.mrc", data=RAMP - 30, dtype=np.dtype(">i2"))
    content = bytearray(path.read_bytes())
    content[212:214] = stamp
    path.write_bytes(content)
    np.testing.assert_array_equal(read_volume(path).data, RAMP - 30)


@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz"])
def test_sizes_in_a_header_are_claims(tmp_path, name):
    content = save(tmp_path / "plain.mrc", nx=60000, ny=60000, nz=60000).read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    tracemalloc.start()
    with pytest.raises(InputError, match="cut off"):
        read_volume(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.mrc")
    with pytest.raises(InputError, match="pipe or a device"):
        read_volume(tmp_path / "a.mrc")


@pytest.mark.parametrize("change", ["cut", "write", "replace", "remove"])
def test_a_file_that_changes_after_it_was_opened(tmp_path, change):
    path = save(tmp_path / "a.mrc", data=np.random.default_rng(0).normal(size=SHAPE))
    tomogram = Tomogram.open(path)
    tomogram.plane(0, 1)
    if change == "cut":
        os.truncate(path, 1024)
    elif change == "write":
        os.utime(path, ns=(0, 0))
    elif change == "replace":
        (tmp_path / "b.mrc").write_bytes(path.read_bytes())
        (tmp_path / "b.mrc").replace(path)
    else:
        path.unlink()
    with pytest.raises(InputError, match=r"a\.mrc was changed or removed while it was read"):
        tomogram.plane(0, 1)


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
