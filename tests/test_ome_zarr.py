"""OME-Zarr: the same voxels in the same place as in an MRC file, or one sentence."""

import json
import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation.pairing import read_searched
from aitom_cryosam.names import file_stem
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import FORMATS
from aitom_cryosam.points.formats.relion_warp import write_picks
from aitom_cryosam.points.point_file import PointFile
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.points.writing import project_files
from aitom_cryosam.record import Record
from aitom_cryosam.regions import RegionMask
from aitom_cryosam.run_entries import tomogram_entry
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.mrc import write_volume
from aitom_cryosam.volumes.reading import read_size, read_volume
from tests.ome_zarr_images import THIRD, change, write_image, zipped

zarr = pytest.importorskip("zarr", reason="needs the package zarr")
third = pytest.mark.skipif(zarr.__version__.startswith("2."), reason="needs zarr 3")
VERSIONS = ["0.4", pytest.param(THIRD, marks=third)]

SHAPE = (20, 24, 30)
DATA = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "TS_01.zarr", DATA)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("axes", ["zyx", "xyz", "cxzy", "tczyx"])
def test_any_order_of_axes_and_any_packing(tmp_path, version, axes):
    path = write_image(tmp_path / "a.zarr", DATA, version=version, axes=axes)
    for place in (path, zipped(path), zipped(path, with_folder=True)):
        tomogram = Tomogram.open(place)
        assert (tomogram.shape, tomogram.voxel_size, tomogram.name) == (SHAPE, 10.0, "a")
        np.testing.assert_array_equal(np.asarray(tomogram.data), DATA)


def test_everything_that_is_measured_is_as_from_mrc(tmp_path, image):
    write_volume(tmp_path / "a.mrc", DATA, voxel_size=10)
    one, other = Tomogram.open(image), Tomogram.open(tmp_path / "a.mrc")
    np.testing.assert_array_equal(one.planes(2, 3, 9), other.planes(2, 3, 9))
    assert one.digest() == other.digest()
    assert (one.content_box, one.normalisation) == (other.content_box, other.normalisation)


@pytest.mark.parametrize(
    "index",
    [
        3,
        -1,
        np.int64(19),
        (slice(2, 9), 5, slice(None, None, 3)),
        (slice(None), slice(23, 3, -2)),
        (slice(5, 5), 2),
        np.ix_([1, 19], [0, 23], [29]),
        ...,
    ],
)
@pytest.mark.parametrize("chunk", [3, 8, 64])
def test_slices_are_those_of_numpy(tmp_path, index, chunk, monkeypatch):
    monkeypatch.setattr("aitom_cryosam.volumes.chunked._BLOCK_BYTES", 1 << 12)
    data = Tomogram.open(write_image(tmp_path / "a.zarr", DATA, chunk=chunk)).data
    np.testing.assert_array_equal(data[index], DATA[index])
    assert not np.asarray(data[0]).flags.writeable


def test_only_the_chunks_in_use_are_decoded_and_each_once(tmp_path, monkeypatch):
    from aitom_cryosam.volumes.stored_array import StoredArray

    monkeypatch.setattr("aitom_cryosam.volumes.chunked._BLOCK_BYTES", 1)
    boxes = []
    read = StoredArray.read
    monkeypatch.setattr(StoredArray, "read", lambda self, box: boxes.append(box) or read(self, box))
    tomogram = Tomogram.open(write_image(tmp_path / "a.zarr", DATA))
    assert boxes == []
    tomogram.data[9:12, 3, 25]
    assert boxes == [(slice(8, 16), slice(0, 8), slice(24, 30))]
    tomogram.data[8:16, :8, 24:]
    assert len(boxes) == 1


def test_level_by_voxel_size_or_the_finest(tmp_path):
    path = write_image(tmp_path / "a.zarr", DATA, sizes=(13.48, 26.96))
    assert read_size(path) == (SHAPE, 13.48)
    assert read_size(path, voxel_size=27) == ((10, 12, 15), 27.0)
    np.testing.assert_array_equal(read_volume(path, voxel_size=26.96).values, DATA[::2, ::2, ::2])
    with pytest.raises(InputError, match=r"13\.48, 26\.96 Å; expected one of these, got 20 Å"):
        read_volume(path, voxel_size=20)


def test_one_level_takes_another_voxel_size_as_mrc_does(image, caplog):
    assert read_volume(image, voxel_size=13.5).voxel_size == 13.5
    assert "using 13.5 Å voxels; its metadata say 10 Å" in caplog.text


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("angstrom", 13.48),
        ("nanometer", 1.348),
        ("Angstroms", 13.48),
        ("\u212b", 13.48),  # Unicode's other Å
        ("micron", 1.348e-3),
        ("um", 1.348e-3),
        ("\u00b5m", 1.348e-3),
        ("\u03bcm", 1.348e-3),  # Unicode's other µ
    ],
)
def test_units_and_place(tmp_path, unit, size):
    steps = np.array([3.0, 2.0, 1.0]) * size
    path = write_image(tmp_path / "a.zarr", DATA, unit=unit, sizes=[size], translations=[steps])
    volume = read_volume(path)
    assert volume.voxel_size == pytest.approx(13.48)
    assert volume.origin == pytest.approx((3 * 13.48, 2 * 13.48, 13.48))


def test_of_several_images_the_first_is_read(tmp_path, caplog):
    path = write_image(tmp_path / "a.zarr", DATA)
    metadata = json.loads((path / ".zattrs").read_text())
    metadata["multiscales"] *= 2
    (path / ".zattrs").write_text(json.dumps(metadata))
    assert read_volume(path).voxel_size == 10
    assert "holds 2 images; the first is read" in caplog.text


def test_transformations_of_all_levels_come_last(tmp_path):
    path = write_image(tmp_path / "a.zarr", DATA, sizes=[2.0], translations=[(4, 6, 8)])
    both = [
        {"type": "scale", "scale": [5.0, 5.0, 5.0]},
        {"type": "translation", "translation": [3.0, 2.0, 1.0]},
    ]
    change(path, coordinateTransformations=both)
    volume = read_volume(path)
    assert (volume.voxel_size, volume.origin) == (10.0, (21.0, 32.0, 43.0))


def test_a_coarse_level_says_where_its_first_voxel_lies(tmp_path, caplog):
    path = write_image(
        tmp_path / "a.zarr", DATA, sizes=(10, 20), translations=[(0, 0, 0), (5, 5, 5)]
    )
    assert read_volume(path).origin == (0, 0, 0)
    assert caplog.text == ""
    assert read_volume(path, voxel_size=20).origin == (5, 5, 5)
    assert "voxel 0 of level 1 lies 5, 5, 5 Å (x, y, z) from that of the finest" in caplog.text


@pytest.mark.parametrize("name", [name for name, kind in FORMATS.items() if kind.lengths])
def test_what_counts_lengths_is_counted_from_the_finest_level(tmp_path, name):
    """Voxel k of the coarse level is voxel 2 k + 0.5 of the fine one, in all that counts Å."""
    data = DATA[:, :, :28]  # EMAN2's middle is the same in levels of even sizes only
    path = write_image(
        tmp_path / "TS_1.zarr", data, sizes=(10, 20), translations=[(0, 0, 0), (5, 5, 5)]
    )
    coarse, fine = ([[2.0, 3.5, 4.25]], [[4.5, 7.5, 9.0]])
    series = TiltSeries(2.5, (120, 96, 80), "TS_1")
    for level, (size, voxels) in enumerate([(20.0, coarse), (10.0, fine)]):
        info = TomogramInfo.of(Tomogram.open(path, voxel_size=size), series)
        made = project_files(name, tmp_path / f"a{FORMATS[name].ending}", [(_at(voxels), info)])
        file = tmp_path / f"{level}{FORMATS[name].ending}"
        file.write_text(next(iter(made.values())))
        for other, expected in ((20.0, coarse), (10.0, fine)):
            where = {"tomogram": path, "shape_zyx": read_size(path, voxel_size=other)[0]}
            read = read_points(file, voxel_size=other, tilt_series=series, format=name, **where)
            np.testing.assert_allclose(read.picks.points_zyx, expected, atol=1e-4)


def _at(points_zyx):
    return Picks.from_points(points_zyx, [0.5])


def test_a_result_notes_where_its_level_lies_for_when_the_tomogram_is_gone(tmp_path):
    path = write_image(
        tmp_path / "TS_1.zarr", DATA, sizes=(10, 20), translations=[(0, 0, 0), (5, 5, 5)]
    )
    for size, shift in ((10.0, None), (20.0, (5.0, 5.0, 5.0))):
        entry = tomogram_entry(Tomogram.open(path, voxel_size=size))
        assert entry.get("shift_xyz_angstrom") == shift
    (tmp_path / "TS_1_run.json").write_text(json.dumps({"tomogram": entry}))

    def exported():
        info = Record.open(tmp_path).info
        made = project_files("copick", tmp_path / "a.json", [(_at([[2, 3, 4]]), info)])
        return json.loads(next(iter(made.values())))["points"][0]["location"]

    assert exported() == {"x": 85.0, "y": 65.0, "z": 45.0}
    shutil.rmtree(path)
    assert exported() == {"x": 85.0, "y": 65.0, "z": 45.0}


def test_what_counts_lengths_heeds_what_was_noted_of_a_level_that_is_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    moved = [(0, 0, 0), (5, 5, 5)]
    path = write_image(tmp_path / "TS_1.zarr", DATA, sizes=(10, 20), translations=moved)
    tomogram = Tomogram.open(path, voxel_size=20)
    write_picks(tmp_path / "TS_1_picks.star", _at([[2, 3, 4]]), tomogram)
    entry = tomogram_entry(tomogram)
    (tmp_path / "TS_1_run.json").write_text(json.dumps({"tomogram": entry}))
    (tmp_path / "truth.csv").write_text("x,y,z,unit\n85,65,45,angstrom\n")
    for gone in (False, True):
        if gone:
            shutil.rmtree(path)
        [found] = read_searched([tmp_path / "TS_1_picks.star"], tmp_path / "truth.csv")
        np.testing.assert_allclose(found.truth.picks.points_zyx, [[2, 3, 4]])
        written = f"{gone}.json"
        assert main(["export", "TS_1_picks.star", "--to", "copick", "--out", written]) == 0
        location = json.loads(Path(written).read_text())["points"][0]["location"]
        assert location == {"x": 85.0, "y": 65.0, "z": 45.0}


def test_one_truth_of_levels_that_lie_differently(tmp_path):
    """Tomograms of the same voxels and shape, of which one's coarse level begins elsewhere."""
    truth = tmp_path / "truth.csv"
    truth.write_text("tomo_name,x,y,z,unit\nTS_1,85,65,45,angstrom\nTS_2,85,65,45,angstrom\n")
    picks = []
    for name, at in (("TS_1", 5), ("TS_2", 0)):
        moved = [(0, 0, 0), (at, at, at)]
        path = write_image(tmp_path / f"{name}.zarr", DATA, sizes=(10, 20), translations=moved)
        where = {"voxel_size": 20.0, "tomogram": path, "shape_zyx": (10, 12, 15)}
        picks.append(PointFile(Path(f"{name}_picks.star"), _at([[2, 3, 4]]), (name,), **where))
    one, other = read_searched(picks, truth)
    np.testing.assert_allclose(one.truth.picks.points_zyx, [[2, 3, 4]])
    np.testing.assert_allclose(other.truth.picks.points_zyx, [[2.25, 3.25, 4.25]])


def test_voxels_of_one_level_are_those_of_another_by_their_size(tmp_path):
    path = write_image(
        tmp_path / "TS_1.zarr", DATA, sizes=(10, 20), translations=[(0, 0, 0), (5, 5, 5)]
    )
    file = tmp_path / "a.csv"
    file.write_text("x,y,z\n4.5,7.5,9\n")
    read = read_points(file, voxel_size=20, coords_angpix=10, tomogram=path)
    assert read.picks.points_zyx.tolist() == [[4.25, 3.5, 2.0]]
    read = read_points(file, voxel_size=10, coords_angpix=20, tomogram=path)
    assert read.picks.points_zyx.tolist() == [[18.5, 15.5, 9.5]]
    read = read_points(file, voxel_size=20, tomogram=path)  # of this level
    assert read.picks.points_zyx.tolist() == [[9.0, 7.5, 4.5]]


@pytest.mark.parametrize(
    ("what", "numbers"),
    [
        ("chunks", [4, 4]),
        ("chunks", [4, 4, 0]),
        ("chunks", ["a", 4, 4]),
        ("shape", ["20", 24, 30]),
        ("shape", [{}, 24, 30]),
    ],
)
def test_a_shape_that_is_none(image, what, numbers):
    """Zarr 2 takes it as it is, zarr 3 not."""
    file = image / "0" / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | {what: numbers}))
    with pytest.raises(InputError, match="; copy it again"):
        read_volume(image)


def test_without_a_unit_the_user_says_the_voxel_size(tmp_path):
    path = write_image(tmp_path / "a.zarr", DATA, unit=None, translations=[(10, 20, 30)])
    with pytest.raises(InputError, match="gives no unit of length that is known"):
        read_volume(path)
    assert read_volume(path, voxel_size=5).origin == (5, 10, 15)


def test_unit_scale_stands_for_unknown(tmp_path):
    with pytest.raises(InputError, match="voxel size of 1 Å, which stands for unknown"):
        read_volume(write_image(tmp_path / "a.zarr", DATA, sizes=[1.0]))


@third
@pytest.mark.parametrize("lost", [False, True])
def test_shards(tmp_path, lost):
    path = write_image(tmp_path / "a.zarr", DATA, version=THIRD, chunk=4, shard=12)
    if lost:
        (path / "0" / "c" / "1" / "0" / "2").unlink()
        with pytest.raises(InputError, match="chunk 0/c/1/0/2 is missing"):
            Tomogram.open(path).check()
    else:
        np.testing.assert_array_equal(read_volume(path).values, DATA)


@pytest.mark.parametrize("separator", ["/", "."])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_lost_chunk_is_told_from_a_blank_one(tmp_path, version, separator):
    data = DATA.copy()
    data[8:, 16:, :8] = 0
    data[:, :, 22:] = 0
    path = write_image(tmp_path / "a.zarr", data, version=version, separator=separator)
    chunk = ["1", "2", "0"] if version == "0.4" else ["c", "1", "2", "0"]
    (path / "0" / separator.join(chunk)).unlink(missing_ok=True)
    with pytest.raises(InputError, match="is missing; copy it again"):  # its edge is the chunk's
        Tomogram.open(path).check()
    data[7:, 15:, :9] = 0
    path = write_image(tmp_path / "b.zarr", data, version=version, separator=separator)
    (path / "0" / separator.join(chunk)).unlink(missing_ok=True)
    np.testing.assert_array_equal(read_volume(path).values, data)


def test_masks_may_leave_chunks_out(tmp_path, image):
    mask = np.zeros(SHAPE, np.uint8)
    mask[8:16, 8:16, 8:16] = 1
    path = write_image(tmp_path / "membrane.zarr", mask)
    for chunk in (path / "0").rglob("*"):
        if chunk.is_file() and chunk.name.isdigit() and str(chunk)[-5:] != "1/1/1":
            chunk.unlink()
    found = RegionMask.open(path, Tomogram.open(image))
    np.testing.assert_array_equal(found.inside, mask > 0)
    assert (found.name, found.binning) == ("membrane", 1)


def test_a_mask_of_the_level_in_use_or_a_binned_one(tmp_path):
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:9, 2:20, 6:21] = 1
    tomogram = Tomogram.open(write_image(tmp_path / "a.zarr", DATA, sizes=(10, 20)))
    several = write_image(tmp_path / "m.zarr", mask, sizes=(10, 20))
    binned = write_image(tmp_path / "n.zarr", mask[::2, ::2, ::2], sizes=(20, 40))
    assert RegionMask.open(several, tomogram).binning == 1
    assert RegionMask.open(binned, tomogram).binning == 2


def test_a_store_that_changes_meanwhile(image):
    tomogram = Tomogram.open(image)
    tomogram.plane(0, 3)
    write_image(image, DATA)
    with pytest.raises(InputError, match="was changed or removed while it was read"):
        tomogram.plane(0, 3)


def test_no_space(image, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 100))
    tomogram = Tomogram.open(image)
    with pytest.raises(InputError, match="set TMPDIR to another folder"):
        tomogram.check()


def test_without_the_package(image, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"pip install 'aitom-cryosam\[zarr\]'"):
        Tomogram.open(image)


def image_with(tmp_path, **values):
    path = write_image(tmp_path / "a.zarr", DATA)
    change(path, **values)
    return path


SPACE = {"type": "space", "unit": "angstrom"}
AXES = [{"name": name, **SPACE} for name in "zyx"]


def dataset(path="0", *transformations):
    return [{"path": path, "coordinateTransformations": list(transformations)}]


SCALE = {"type": "scale", "scale": [10.0, 10.0, 10.0]}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"datasets": []}, "without datasets"),
        ({"datasets": ["0"]}, "without a path"),
        ({"datasets": dataset("../b", SCALE)}, "without a path inside"),
        ({"datasets": dataset("7", SCALE)}, "is not an array"),
        ({"datasets": dataset("0")}, "gives no scale for 0"),
        ({"datasets": dataset("0", {"type": "scale", "scale": [1, 2]})}, "with 3 numbers"),
        ({"datasets": dataset("0", {"type": "scale", "scale": [1, 2, -3]})}, "with 3 numbers"),
        ({"datasets": dataset("0", {"type": "scale", "scale": [1, "a", 3]})}, "with 3 numbers"),
        ({"datasets": dataset("0", {"type": "scale", "path": "s"})}, "with 3 numbers"),
        ({"datasets": dataset("0", {"type": "affine"})}, "scale or translation"),
        ({"datasets": dataset("0", 7)}, "scale or translation"),
        ({"datasets": dataset("0", {"type": "scale", "scale": [10, 10, 13]})}, "unequal voxel"),
        ({"axes": None}, "expected 0.4 or 0.5, with named axes"),
        ({"axes": ["z", "y", "x"], "version": "0.3"}, "of version 0.3"),
        ({"version": "0.6"}, "of version 0.6"),
        ({"axes": AXES[:2]}, "expected z, y and x"),
        ({"axes": [*AXES, AXES[0]]}, "expected z, y and x"),
        (
            {
                "axes": [{"name": "c"}, *AXES],
                "datasets": dataset("0", {"type": "scale", "scale": [1, 10, 10, 10]}),
            },
            "its array has 3 axes, but the metadata name 4",
        ),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path, values, words):
    with pytest.raises(InputError, match=words):
        Tomogram.open(image_with(tmp_path, **values))


def two_channels(path):
    write_image(path, DATA, axes="czyx")
    root = zarr.open_group(str(path), mode="r+")
    values = np.zeros((2, 4, 4, 4), np.float32)
    if hasattr(root, "create_array"):
        root.create_array("0", data=values, overwrite=True)
    else:
        root.create_dataset("0", data=values, overwrite=True)


def of_complex_numbers(path):
    write_image(path, DATA.astype(np.complex64))


def without_multiscales(path):
    write_image(path, DATA)
    (path / ".zattrs").write_text("{}", "utf-8")


def an_array(path):
    write_image(path.with_name("b.zarr"), DATA)
    (path.with_name("b.zarr") / "0").rename(path)


def a_collection(path):
    write_image(path, DATA)
    (path / ".zattrs").write_text('{"bioformats2raw.layout": 3}', "utf-8")


def not_json(path):
    write_image(path, DATA)
    (path / ".zattrs").write_text('{"multiscales": [', "utf-8")


def json_of_a_list(path):
    write_image(path, DATA)
    (path / ".zattrs").write_text("[1]", "utf-8")


def no_zip(path):
    path.write_bytes(b"PK\x03\x04 and nothing")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "There is no file"),
        (lambda path: path.mkdir(), "has no multiscales"),
        (without_multiscales, "has no multiscales; expected an OME-Zarr image"),
        (an_array, "it is a bare array"),
        (a_collection, "name one of them"),
        (not_json, "is damaged; expected JSON"),
        (json_of_a_list, "is damaged; expected JSON"),
        (two_channels, "has 2 of c; expected one volume"),
        (of_complex_numbers, "holds complex64; expected real numbers"),
        (no_zip, "neither a zarr folder nor a sound zip file"),
    ],
)
def test_what_is_no_image_is_one_sentence(tmp_path, make, words):
    path = tmp_path / "a.zarr"
    make(path)
    with pytest.raises(InputError, match=words):
        Tomogram.open(path)


@pytest.mark.parametrize("kept", [0, 10, 20, -1])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_chunk_that_is_cut_off(tmp_path, version, kept):
    path = write_image(tmp_path / "a.zarr", DATA, version=version)
    chunk = path / "0" / ("1/1/1" if version == "0.4" else "c/1/1/1")
    chunk.write_bytes(chunk.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"level 0: .* chunk .* is (damaged|cut off)"):
        Tomogram.open(path).check()


def test_a_damaged_zip_file(image):
    path = zipped(image)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        Tomogram.open(path).check()


def test_damaged_metadata_of_the_array(image):
    metadata = image / "0" / ".zarray"
    content = json.loads(metadata.read_text("utf-8"))
    metadata.write_text(json.dumps({**content, "compressor": {"id": "nonsense"}}), "utf-8")
    with pytest.raises(InputError, match=r"is not an array that zarr|is damaged"):
        Tomogram.open(image).check()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/TS_01.ome.zarr", "TS_01"),
        ("TS_02.zarr.zip", "TS_02"),
        ("TS_03.ozx", "TS_03"),
        ("p/ExperimentRuns/TS_04/VoxelSpacing10.000/wbp.zarr", "TS_04"),
    ],
)
def test_names(path, name):
    assert file_stem(path) == name


def test_nothing_is_said_of_a_sound_image(image, caplog):
    with caplog.at_level(logging.INFO):
        Tomogram.open(image).check()
    assert caplog.text == ""


LABELS = np.zeros(SHAPE, np.int32)
LABELS[3:6, 7:9, 20:29] = 300


def tomogram_at(origin):
    return Tomogram(DATA, 13.48, "a", "dark", origin=origin)


def test_labels_lie_on_their_tomogram(tmp_path):
    tomogram_at((3.0, 2.0, 1.0)).write_labels(tmp_path / "a_labels.zarr", LABELS)
    volume = read_volume(tmp_path / "a_labels.zarr")
    np.testing.assert_array_equal(volume.values, LABELS)
    assert volume.values.dtype == np.uint16
    assert (volume.voxel_size, volume.origin) == (13.48, (3.0, 2.0, 1.0))


def test_labels_replace_only_when_asked_to(tmp_path):
    path = tmp_path / "a_labels.zarr"
    tomogram_at((0, 0, 0)).write_labels(path, LABELS)
    with pytest.raises(InputError, match="already exists"):
        tomogram_at((0, 0, 0)).write_labels(path, LABELS * 2)
    tomogram_at((0, 0, 0)).write_labels(path, LABELS // 300, overwrite=True)
    assert read_volume(path).values.max() == 1
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_labels_without_a_place_to_write_leave_nothing(tmp_path):
    with pytest.raises(InputError, match="is not an existing folder"):
        tomogram_at((0, 0, 0)).write_labels(tmp_path / "none" / "a.zarr", LABELS)
    (tmp_path / "a.zarr").write_text("mine", "utf-8")
    with pytest.raises(InputError, match="already exists"):
        tomogram_at((0, 0, 0)).write_labels(tmp_path / "a.zarr", LABELS, overwrite=True)
    assert (tmp_path / "a.zarr").read_text("utf-8") == "mine"


def test_another_library_believes_our_labels(tmp_path):
    models = pytest.importorskip("ome_zarr_models.v04", reason="needs ome-zarr-models")
    tomogram_at((3.0, 2.0, 1.0)).write_labels(tmp_path / "a_labels.zarr", LABELS)
    image = models.Image.from_zarr(zarr.open_group(str(tmp_path / "a_labels.zarr"), mode="r"))
    [multiscale] = image.attributes.multiscales
    assert [(axis.name, axis.unit) for axis in multiscale.axes] == [(a, "angstrom") for a in "zyx"]
    scale, translation = multiscale.datasets[0].coordinateTransformations
    assert (scale.scale, translation.translation) == ([13.48] * 3, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("version", VERSIONS)
def test_images_that_another_library_writes(tmp_path, version):
    writer = pytest.importorskip("ome_zarr.writer", reason="needs ome-zarr")
    formats = pytest.importorskip("ome_zarr.format", reason="needs ome-zarr")
    kind = formats.FormatV04() if version == "0.4" else formats.FormatV05()
    if not hasattr(kind, "zarr_format"):
        pytest.skip("needs ome-zarr 0.12")
    steps = [
        [{"type": "scale", "scale": [s, s, s]}, {"type": "translation", "translation": [1, 2, 3]}]
        for s in (10.0, 20.0)
    ]
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=kind.zarr_format)
    writer.write_multiscale(
        [DATA, DATA[::2, ::2, ::2]],
        group,
        axes=[{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"],
        coordinate_transformations=steps,
        fmt=kind,
    )
    volume = read_volume(tmp_path / "a.zarr", voxel_size=200)
    np.testing.assert_array_equal(volume.values, DATA[::2, ::2, ::2])
    assert volume.origin == (30, 20, 10)
