"""What a file states beside its coordinates is used, or the file is refused: never passed over."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.volumes.mrc import read_volume, write_volume

_LOOP = "data_particles\n\nloop_\n"
_XYZ = "".join(f"_rlnCoordinate{axis}\n" for axis in "XYZ")
_ROW = "1 1 1 0.5 -0.5 1 0 0 0 0.3 " + "0 " * 9 + "7 0 2 0 100 200 300"


def copick(*points: dict[str, object], **stated: object) -> str:
    usual = {"pickable_object_name": "ribosome", "run_name": "TS_1", "voxel_spacing": 10.0}
    return json.dumps({**usual, **stated, "points": points})


def moved(x: float, y: float = 0, z: float = 0) -> list[list[float]]:
    return [[1, 0, 0, x], [0, 1, 0, y], [0, 0, 1, z], [0, 0, 0, 1]]


def model(
    image_size: float = 1.0,
    pixel_size: float = 1.0,
    unit: int = 0,
    *,
    origin: tuple[float, ...] = (0, 0, 0),
    loaded: tuple[float, ...] = (0, 0, 0),
    flags: int = 0,
) -> bytes:
    """An IMOD model of the point 10, 20, 30 on an image of that voxel size (Å).

    Bit 14 of its flags says that 3dmod has stored the image's origin, and that of what it had
    loaded; both with IMOD's sign.
    """
    header = bytearray(b"IMODV1.2".ljust(240, b"\0"))
    struct.pack_into(">fi", header, 216, pixel_size, unit)
    struct.pack_into(">I", header, 152, flags)
    contour = struct.pack(">4i3f", 1, 0, 0, 0, 10.5, 20.5, 30)
    old, new = (*[1] * 3, *origin, *[0] * 3), (*[image_size] * 3, *loaded, *[0] * 3)
    image = struct.pack(">i18f", 72, *old, *new)
    return bytes(header) + b"OBJT" + bytes(176) + b"CONT" + contour + b"MINX" + image + b"IEOF"


PLACE = {"x": 100, "y": 200, "z": 300}
READ = {
    "a shift along x alone": (
        "a.star", f"{_LOOP}{_XYZ}_rlnOriginXAngst\n10 20 30 10\n", [[9, 20, 30]],
    ),
    "a shift along y alone, in pixels": (
        "a.star", f"{_LOOP}{_XYZ}_rlnOriginY\n10 20 30 4\n", [[10, 16, 30]],
    ),
    "voxel sizes by row": (
        "a.csv", "tomo,x,y,z,apix\nA,10,20,30,5\nB,10,20,30,10\n", [[5, 10, 15], [10, 20, 30]],
    ),
    "the same voxel size": ("a.csv", "x,y,z,Voxel Size (Å)\n1,2,3,10\n", [[1, 2, 3]]),
    "a voxel size that is left open": ("a.csv", "x,y,z,apix\n1,2,3,none\n", [[1, 2, 3]]),
    "centred coordinates that are left open": (
        "a.star",
        f"{_LOOP}{_XYZ}{_XYZ.replace('rln', 'rlnCentered').replace(chr(10), 'Angst' + chr(10))}"
        "10 20 30 <NA> <NA> <NA>\n",
        [[10, 20, 30]],
    ),
    "a pixel size that is left open": (
        "a.star", f"{_LOOP}{_XYZ}_rlnPixelSize\n_rlnOriginX\n10 20 30 nan 4\n", [[6, 20, 30]],
    ),
    "an optics group that is left open": (
        "a.star",
        f"data_optics\n\nloop_\n_rlnOpticsGroup\n_rlnImagePixelSize\n1 <NA>\n\n{_LOOP}{_XYZ}"
        "_rlnOpticsGroup\n10 20 30 1\n",
        [[10, 20, 30]],
    ),
    "shifts, angles, a class and a name that are left open": (
        "a.star",
        f"{_LOOP}{_XYZ}_rlnOriginXAngst\n_rlnOriginYAngst\n_rlnAngleRot\n_rlnClassNumber\n"
        "_rlnMicrographName\n10 20 30 nan 20 nan <NA> None\n10 20 30 nan 0 nan <NA> None\n",
        [[10, 18, 30], [10, 20, 30]],
    ),
    "one frame": ("a.csv", "frame,x,y,z\n0,1,2,3\n0,4,5,6\n", [[1, 2, 3], [4, 5, 6]]),
    "a transformation that turns": (
        "a.json", copick({"location": PLACE, "transformation_": moved(0)}), [[10, 20, 30]],
    ),
    "a transformation that is the pose": (
        "a.json", copick({"location": PLACE, "transformation_": moved(100, 200, 300)}),
        [[10, 20, 30]],
    ),
    "a transformation that shifts": (
        "a.json", copick({"location": PLACE, "transformation_": moved(50, -20)}), [[15, 18, 30]],
    ),
    "a unit in other letters": (
        "a.json", copick({"location": PLACE}, unit="Angstrom"), [[10, 20, 30]],
    ),
    "another unit": ("a.json", copick({"location": PLACE}, unit="nm"), [[100, 200, 300]]),
    "a run without a name": ("a.json", copick({"location": PLACE}, run_name=""), [[10, 20, 30]]),
    "Dynamo's pixel size, unknown": ("a.tbl", f"{_ROW} {'0 ' * 9}1\n", [[100.5, 199.5, 301]]),
    "Dynamo's pixel size, left out": ("a.tbl", f"{_ROW} {'0 ' * 9}0\n", [[100.5, 199.5, 301]]),
    "a model of this image": ("a.mod", model(10), [[10, 20, 30]]),
    "a model of the whole of a trimmed image": (
        "a.mod", model(10, origin=(-50, 7, -70), loaded=(-50, 7, -70), flags=1 << 14),
        [[10, 20, 30]],
    ),
    "a model of a part of an image": (
        "a.mod", model(10, origin=(-50, 7, -70), loaded=(-1050, 7, -470), flags=1 << 14),
        [[110, 20, 70]],
    ),
    "a model of an image whose origin it does not state": (
        "a.mod", model(10, loaded=(-1050, 7, -470)), [[10, 20, 30]],
    ),
    "a model of an image without a size": ("a.mod", model(1), [[10, 20, 30]]),
}  # fmt: skip
REFUSED = {
    "a model of a part that was flipped": (
        "a.mod", model(10, loaded=(-1000, 0, 0), flags=1 << 14 | 1 << 16), "a part .* flipped",
    ),
    "micrograph": (
        "a.star", f"{_LOOP}{_XYZ}_rlnMicrographPixelSize\n1 2 3 5\n", "voxels of 5 Å, but .* 10 Å",
    ),
    "micrograph, with names": (
        "a.star", f"{_LOOP}{_XYZ}_rlnMicrographPixelSize\n_rlnTomoName\n1 2 3 5 a\n",
        "voxels of 5 Å, but .* 10 Å",
    ),
    "micrograph against images": (
        "a.star", f"{_LOOP}{_XYZ}_rlnMicrographPixelSize\n_rlnImagePixelSize\n1 2 3 10 5\n",
        "rlnMicrographPixelSize says 10 Å and rlnImagePixelSize 5 Å",
    ),
    "csv": ("a.csv", "x,y,z,pixel_size\n1,2,3,5\n", "voxels of 5 Å, but the voxels here have 10"),
    "no size": ("a.csv", "x,y,z,apix\n1,2,3,none\n1,2,3,10\n", "the voxel size is 'none'"),
    "no number": (
        "a.star", f"{_LOOP}{_XYZ}_rlnPixelSize\n1 2 3 nan\n1 2 3 10\n", "rlnPixelSize is 'nan'",
    ),
    "frames": ("a.csv", "Frame,x,y,z\n0,1,2,3\n1,1,2,3\n", "several places of frame"),
    "a name that is missing": (
        "a.csv", "tomogram,x,y,z\nTS_1,1,2,3\n,1,2,3\n", "row 2 names no tomogram",
    ),
    "a name that is NaN": (
        "a.csv", "tomogram,x,y,z\nTS_1,1,2,3\nnan,1,2,3\n", "row 2 names no tomogram",
    ),
    "an angle that is NaN": (
        "a.star", f"{_LOOP}{_XYZ}_rlnAngleRot\n1 2 3 nan\n1 2 3 9\n", "rlnAngleRot is 'nan'",
    ),
    "a score of hundreds of digits": (
        "a.json", copick({"location": PLACE, "score": 10**400}), "row 1: .* is '10*', not a number",
    ),
    "Dynamo": ("a.tbl", f"{_ROW} {'0 ' * 9}5\n", "voxels of 5 Å, but the voxels here have 10 Å"),
    "Dynamo's endless shift": ("a.tbl", _ROW.replace("0.5 -0.5", "Inf 0"), "x is 'inf'"),
    "IMOD": ("a.mod", model(5), "voxels of 5 Å, but the voxels here have 10 Å"),
}  # fmt: skip


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("case", READ)
def test_what_is_stated_is_used(tmp_path: Path, case: str) -> None:
    name, content, points = READ[case]
    found = read_points(written(tmp_path, name, content), voxel_size=10)
    assert found.picks.points_zyx[:, ::-1].tolist() == points
    if "left open" in case:
        assert (found.names, found.classes, found.picks.rotations) == (None, None, None)


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_is_refused(tmp_path: Path, case: str) -> None:
    name, content, sentence = REFUSED[case]
    with pytest.raises(InputError, match=sentence):
        read_points(written(tmp_path, name, content), voxel_size=10)


def test_nobody_is_called_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "tomogram,x,y,z\n,1,2,3\n,4,5,6\n")
    assert read_points(path, voxel_size=10).names is None


def test_a_column_that_may_scale_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_points(written(tmp_path, "a.csv", "x,y,z,Bin\n1,2,3,4\n"), voxel_size=10)
    assert "not read, as unknown: the column bin" in caplog.text


def test_points_before_the_first_voxel_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, "a.csv", "x,y,z\n-0.5,2,3\n1,-40,3\n")
    read_points(path, voxel_size=10, shape_zyx=(9, 9, 9))
    assert not caplog.text
    read_points(path, voxel_size=10)
    assert "a.csv: 1 of 2 points lie before the first voxel, x, y or z below 0" in caplog.text


def test_columns_that_may_be_added_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_points(written(tmp_path, "a.csv", "x,y,z,dx,shift_y,id\n1,2,3,0.5,0,4\n"), voxel_size=10)
    assert "not read, as unknown: the column dx." in caplog.text


def test_sixteen_bits_of_the_other_sign_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.mrc"
    write_volume(path, np.arange(-30, 30).reshape(3, 4, 5).astype(np.int16), voxel_size=10)
    content = bytearray(path.read_bytes())
    assert read_volume(path).data.min() == -30
    assert not caplog.text
    struct.pack_into("<i", content, 12, 6)
    path.write_bytes(content)
    read_volume(path)
    assert "mode 6 holds values of 0 to 65535, but its header gives -30 to 29" in caplog.text


def test_an_origin_that_is_no_number_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    write_volume(path, np.ones((3, 4, 5), np.float32), voxel_size=10, origin=(1, 2, 3))
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, 196, float("nan"))
    path.write_bytes(content)
    assert read_volume(path).origin == (0, 2, 3)


def test_annotations_of_the_portal_count_the_voxels_of_their_folder(tmp_path, monkeypatch):
    folder = tmp_path / "TS_1" / "Reconstructions" / "VoxelSpacing10.012" / "Annotations" / "100"
    folder.mkdir(parents=True)
    written(folder, "a_point.ndjson", '{"location": {"x": 300, "y": 200, "z": 100}}\n')
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=r"voxels of 10\.012 Å, but the voxels here have 20 Å"):
        read_points("a_point.ndjson", voxel_size=20)
    assert read_points("a_point.ndjson").voxel_size == 10.012


@pytest.mark.parametrize(
    ("voxel_size", "told"), [(13.48, False), (13.476, False), (20, True), (None, False)]
)
def test_a_voxel_size_in_a_name_is_told_where_it_is_another(tmp_path, caplog, voxel_size, told):
    path = written(tmp_path, "TS_01_13.48Apx_ribosome.star", f"{_LOOP}{_XYZ}30 20 10\n")
    found = read_points(path, voxel_size=voxel_size)
    assert found.picks.points_zyx.tolist() == [[10, 20, 30]]
    assert ("says 13.48 Å; check the voxel size, or give coords" in caplog.text) == told
    caplog.clear()
    label = "_rlnMicrographName\n"
    path = written(tmp_path, "a.star", f"{_LOOP}{_XYZ}{label}30 20 10 TS_01_13.48Apx.mrc\n")
    read_points(path, voxel_size=voxel_size)
    assert ("the name TS_01_13.48Apx.mrc says" in caplog.text) == told
