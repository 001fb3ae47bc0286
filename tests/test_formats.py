"""Coordinate files of every program: golden vectors, round trips, recognition, refusals."""

import json
import pickle
import re
import sys

import imodmodel
import numpy as np
import pandas as pd
import pytest
import starfile
from hypothesis import given, settings
from hypothesis import strategies as st

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import FORMATS
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.points.writing import project_files

# A voxel of a tomogram at 10.8 Å, from a tilt series of 3838 × 3710 pixels at 1.35 Å.
GOLDEN = Picks.from_points([[100, 200, 300]], [0.5])
FRAME = TomogramInfo("TS_01_10.80Apx", 10.8, (200, 464, 480), TiltSeries(1.35, (3838, 3710, 1600)))
UNSCORED = ["relion31", "imod", "imod-model", "portal", "coords"]


def written(name, picks=GOLDEN, info=FRAME, out="a"):
    """The main file of one tomogram."""
    files = project_files(name, out + FORMATS[name].ending, [(picks, info)])
    return next(iter(files.values()))


def save(folder, name, picks=GOLDEN, info=FRAME):
    """All files of one tomogram; the main one's path."""
    files = project_files(name, folder / f"a{FORMATS[name].ending}", [(picks, info)])
    for path, content in files.items():
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return next(iter(files))


def read(path, name=None, info=FRAME):
    return read_points(
        path,
        voxel_size=info.voxel_size,
        tilt_series=info.tilt_series,
        shape_zyx=info.shape_zyx,
        format=name,
    )


def test_the_known_formats():
    assert list(FORMATS) == [
        "relion5",
        "relion4",
        "relion31",
        "warp",
        "imod",
        "imod-model",
        "dynamo",
        "motl",
        "stopgap",
        "copick",
        "portal",
        "cmm",
        "cbox",
        "coords",
        "eman2",
        "aitom",
    ]
    assert [name for name, kind in FORMATS.items() if not kind.scores] == UNSCORED


@pytest.mark.parametrize(
    ("name", "last_line"),
    [
        ("relion5", "TS_01 649.350000 -344.250000 0.000000 0.500000"),
        ("relion4", "TS_01 2400.000000 1600.000000 800.000000 0.500000"),
        ("relion31", "300 200 100"),
        (
            "warp",
            "300.000000 200.000000 100.000000 TS_01.tomostar 0.000000 0.000000 0.000000 0.500000",
        ),
        ("imod", "1 1 300.500000 200.500000 100.000000"),
        (
            "dynamo",
            "1 1 1 0 0 0 0 0 0 0.500000 0 0 0 0 0 0 0 0 0 1 0 1 0 300.000000 200.000000 100.000000",
        ),
        (
            "stopgap",
            "1 1 1 1 A 301 201 101 0.500000 0.000000 0.000000 0.000000 "
            "0.000000 0.000000 0.000000 1",
        ),
        ("portal", '{"type": "point", "location": {"x": 300.0, "y": 200.0, "z": 100.0}}'),
        ("coords", "300.000000 200.000000 100.000000"),
    ],
)
def test_golden_lines(name, last_line):
    tail = " TS_01:1 0.500000" if name in ("relion5", "relion4", "warp") else ""
    assert written(name).rstrip("\n").split("\n")[-1] == last_line + tail


def test_golden_imod_model(tmp_path):
    table = imodmodel.read(save(tmp_path, "imod-model"))
    assert table[["x", "y", "z"]].to_numpy().tolist() == [[300.5, 200.5, 100]]
    model = imodmodel.models.ImodModel.from_file(tmp_path / "a.mod")
    assert (model.header.xmax, model.header.ymax, model.header.zmax) == (480, 464, 200)
    assert model.objects[0].header.flags.scattered
    assert model.objects[0].header.pdrawsize == 16


def test_golden_copick():
    content = json.loads(written("copick"))
    [point] = content.pop("points")
    assert content == {
        "pickable_object_name": "particle",
        "user_id": "cryosam",
        "session_id": "1",
        "run_name": "TS_01",
        "voxel_spacing": 10.8,
        "unit": "angstrom",
        "trust_orientation": False,
    }
    assert point == {
        "location": {"x": 3240.0, "y": 2160.0, "z": 1080.0},
        "transformation_": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        "instance_id": 1,
        "score": 0.5,
    }


def test_golden_eman():
    assert json.loads(written("eman2")) == {
        "apix_unbin": 1.35,
        "boxes_3d": [[480.0, -256.0, 0.0, "cryosam", 0.5, 0]],
        "class_list": {"0": {"boxsize": 256, "name": "particle"}},
    }


def test_golden_cmm():
    assert written("cmm").splitlines() == [
        "<marker_sets>",
        '<marker_set name="markers">',
        '<marker id="1" x="3240.000000" y="2160.000000" z="1080.000000" '
        'r="1" g="1" b="0" radius="172.8" score="0.500000"/>',
        "</marker_set>",
        "</marker_sets>",
    ]


def test_golden_cbox(tmp_path):
    blocks = starfile.read(save(tmp_path, "cbox"), always_dict=True)
    assert list(blocks) == ["global", "cryolo", "cryolo_include"]
    assert blocks["global"] == {"cbox_format_version": 1.0}
    box = blocks["cryolo"].iloc[0]
    assert box[["CoordinateX", "CoordinateY", "CoordinateZ"]].tolist() == [284, 184, 100]
    assert box[["Width", "Height", "Depth", "Confidence"]].tolist() == [32, 32, 32, 0.5]
    assert " <NA> <NA> 0.500000 <NA> <NA>\n" in (tmp_path / "a.cbox").read_text()
    assert blocks["cryolo_include"]["slice_index"].tolist() == [100]


def test_golden_aitom(tmp_path):
    path = save(tmp_path, "aitom")
    [item] = json.loads(path.read_text())
    assert item["peak"] == {"loc": [300, 200, 100]}
    with (tmp_path / "a.pickle").open("rb") as file:
        [record] = pickle.load(file)
    assert (record["val"], [value.tolist() for value in record["x"]]) == (0.5, [300, 200, 100])
    assert item["uuid"] == record["uuid"]


def test_the_tables_of_dynamo_name_their_tomograms(tmp_path, caplog):
    groups = [(GOLDEN, FRAME), (GOLDEN, TomogramInfo("recon/00255.mrc"))]
    for path, content in project_files("dynamo", tmp_path / "all.tbl", groups).items():
        path.write_text(content)
    assert (tmp_path / "all.doc").read_text() == "1 TS_01_10.80Apx\n2 recon/00255.mrc\n"
    assert read_points(tmp_path / "all.tbl").names == ("TS_01_10.80Apx", "recon/00255.mrc")
    (tmp_path / "all.doc").unlink()
    catalogue = tmp_path / "indices_column20.doc"
    catalogue.write_text("1 TS_01.rec\n\n2 TS_02.rec\n\n")
    assert read_points(tmp_path / "all.tbl").names == ("TS_01.rec", "TS_02.rec")
    catalogue.write_text("7 TS_07.rec\n")
    assert not caplog.text
    assert read_points(tmp_path / "all.tbl").names == ("1", "2")
    assert "called by their numbers, as there is no all.doc beside it with a number" in caplog.text
    assert [line.split()[0] for line in (tmp_path / "all.tbl").open()] == ["1", "2"]


def test_a_doc_that_lacks_a_tomogram(tmp_path):
    save(tmp_path, "dynamo")
    (tmp_path / "a.doc").write_text("2 TS_02\n")
    with pytest.raises(InputError, match=r"a\.doc does not name the tomogram 1 of .*a\.tbl"):
        read_points(tmp_path / "a.tbl")


sizes = st.integers(2, 600)
scale = st.floats(0.3, 20, allow_nan=False)
fraction = st.floats(0, 1, allow_nan=False, exclude_max=True)


@st.composite
def worlds(draw):
    """A frame of odd or even sizes with some binning, and picks within it."""
    shape = np.array(draw(st.tuples(sizes, sizes, sizes)))
    pixel, binning = draw(scale), draw(st.floats(1, 16))
    extra = draw(st.tuples(*[st.integers(-9, 9)] * 3))
    size = tuple(float(max(1, round(n * binning) + e)) for n, e in zip(shape, extra, strict=True))
    info = TomogramInfo(
        "00255", pixel * binning, tuple(map(int, shape)), TiltSeries(pixel, size[::-1])
    )
    rows = draw(st.lists(st.tuples(fraction, fraction, fraction, st.floats(-9, 9)), max_size=5))
    table = np.array(rows).reshape(-1, 4)
    return info, Picks.from_points(table[:, :3] * shape - 0.5, table[:, 3]).best_first()


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None)
@given(world=worlds())
def test_round_trips(tmp_path_factory, name, world):
    info, picks = world
    path = save(tmp_path_factory.mktemp("a"), name, picks, info)
    back = read(path, name, info).picks
    expected = picks.points_zyx
    if FORMATS[name].whole:
        expected = np.floor(expected + 0.5)
        np.testing.assert_array_equal(back.points_zyx, expected)
    np.testing.assert_allclose(back.points_zyx, expected, atol=1e-3, rtol=0)
    written = np.float32(picks.scores) if name == "motl" else np.round(picks.scores, 6)
    blank = name in ("dynamo", "motl", "stopgap", "eman2") and not written.any()
    if FORMATS[name].scores and not blank:  # in these 0 everywhere is no score
        np.testing.assert_allclose(back.scores, picks.scores, atol=1e-6, rtol=0)
    else:
        assert np.isnan(back.scores).all()


@settings(max_examples=15, deadline=None)
@given(world=worlds())
def test_a_chain_through_every_format(tmp_path_factory, world):
    info, picks = world
    now = picks
    for name in (name for name in FORMATS if not FORMATS[name].whole):
        now = read(save(tmp_path_factory.mktemp("a"), name, now, info), name, info).picks
    np.testing.assert_allclose(now.points_zyx, picks.points_zyx, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_recognised(tmp_path, name):
    back = read(save(tmp_path, name))
    np.testing.assert_allclose(back.picks.points_zyx, [[100, 200, 300]], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("imod", "a.dat"),
        ("imod-model", "a.txt"),
        ("warp", "a.txt"),
        ("copick", "a.txt"),
        ("aitom", "a"),
        ("cbox", "a.star"),
        ("portal", "a.jsonl"),
        ("portal", "a.json"),
    ],
)
def test_the_content_counts_where_the_ending_says_nothing(tmp_path, name, other):
    path = save(tmp_path, name).rename(tmp_path / other)
    np.testing.assert_allclose(read(path).picks.points_zyx, [[100, 200, 300]], atol=1e-4)


@pytest.mark.parametrize("name", FORMATS)
def test_no_picks_are_a_file_that_is_read(tmp_path, name):
    nothing = GOLDEN.take(np.array([], int))
    assert len(read(save(tmp_path, name, nothing), name).picks) == 0


@pytest.mark.parametrize("name", FORMATS)
def test_points_without_scores_make_no_nan(tmp_path, name):
    path = save(tmp_path, name, Picks.from_points([[1, 2, 3]]))
    if name != "aitom":  # whose own score is null
        assert not re.search(rb"\bnan\b", path.read_bytes(), re.I)
    np.testing.assert_allclose(read(path, name).picks.points_zyx, [[1, 2, 3]])


@pytest.mark.parametrize(
    "name", ["relion5", "relion4", "warp", "dynamo", "motl", "stopgap", "copick"]
)
def test_leading_zeros_survive(tmp_path, name):
    info = TomogramInfo("00255", 10.8, (200, 464, 480), FRAME.tilt_series)
    [back] = read(save(tmp_path, name, info=info)).names
    assert back.removesuffix(".tomostar") == "00255"


@pytest.mark.parametrize("name", ["relion5", "relion4"])
def test_the_name_of_the_project_is_kept_to_the_letter(tmp_path, name):
    info = TomogramInfo(
        "rec_TS_01.mrc", 10.8, tilt_series=TiltSeries(1.35, (8, 8, 8), "TS_01.tomostar")
    )
    points = read(save(tmp_path, name, info=info), name, info)
    assert points.names == ("TS_01.tomostar",)
    np.testing.assert_allclose(points.picks.points_zyx, [[100, 200, 300]])


def test_of_two_units_that_of_relion_5_counts_unless_the_user_says_else(tmp_path, caplog):
    """RELION 5's ParticleSet reads Å from the centre, and writes such files without the pixels."""
    centred = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
    path = star(tmp_path / "a.star", *PIXELS, *centred, rows=["3 2 1 649.35 -344.25 0"])
    np.testing.assert_array_equal(read(path, "warp").picks.points_zyx, [[1, 2, 3]])
    np.testing.assert_allclose(read(path, "relion5").picks.points_zyx, [[100, 200, 300]])
    assert caplog.text == ""
    np.testing.assert_allclose(read(path).picks.points_zyx, [[100, 200, 300]])
    assert "rlnCoordinateX and rlnCenteredCoordinateXAngst; the latter are read" in caplog.text
    found = read_points(path, voxel_size=10.8, coords_angpix=5.4)
    np.testing.assert_allclose(found.picks.points_zyx, [[0.5, 1, 1.5]])
    path = star(tmp_path / "a.star", *PIXELS, rows=["3 2 1"])
    with pytest.raises(InputError, match="expected the columns rlnCenteredCoordinateXAngst"):
        read(path, "relion5")


@pytest.mark.parametrize(
    ("name", "info", "says"),
    [
        ("relion5", TomogramInfo("a"), "format relion5 needs the voxel size; give voxel_size"),
        (
            "relion5",
            TomogramInfo("a", 10),
            "without tomograms.star, needs the tomogram's size",
        ),
        ("cmm", TomogramInfo("a"), "format cmm needs the voxel size"),
        ("relion4", TomogramInfo("a"), "format relion4 needs the voxel size"),
        (
            "relion4",
            TomogramInfo("a", 10),
            "needs the pixel size of the tilt series; give its Tilt",
        ),
        ("copick", TomogramInfo("a"), "format copick needs the voxel size"),
        ("eman2", TomogramInfo("a", 10), "format eman2 needs the pixel size"),
        (
            "eman2",
            TomogramInfo("a", tilt_series=TiltSeries(1)),
            "format eman2 needs the voxel size",
        ),
        (
            "eman2",
            TomogramInfo("a", 10, tilt_series=TiltSeries(1)),
            "format eman2 needs the tomogram's size",
        ),
    ],
)
def test_what_a_format_needs(name, info, says):
    with pytest.raises(InputError, match=says):
        written(name, info=info)


@pytest.mark.parametrize(
    "name", ["relion31", "imod", "dynamo", "motl", "stopgap", "portal", "cbox", "coords", "aitom"]
)
def test_formats_in_voxels_need_no_sizes(name):
    assert written(name, info=TomogramInfo("a")) == written(name, info=TomogramInfo("a", 10))


@pytest.mark.parametrize(
    ("shape_zyx", "says"),
    [
        ((96, 240, 240), "240 × 240 × 96 voxels, about 2 times .*, or give coords_angpix=5"),
        ((12, 31, 30), "30 × 31 × 12 voxels, about 0.253 times"),
        ((48, 120, 120), None),
        ((50, 130, 120), None),
        ((96, 240, 120), None),
    ],
)
def test_a_model_of_another_binning_is_told(tmp_path, caplog, shape_zyx, says):
    info = TomogramInfo("a", 10.0, shape_zyx)
    path = tmp_path / "a.mod"
    group = (Picks.from_points([[1, 2, 3]]), info)
    path.write_bytes(FORMATS["imod-model"].write([group], Particle()))
    read_points(path, voxel_size=10, shape_zyx=(48, 120, 120))
    assert bool(caplog.messages) == (says is not None)
    assert re.search(says or "", caplog.text)


def test_imodmodel_absent(monkeypatch, tmp_path):
    path = save(tmp_path, "imod-model")
    monkeypatch.setitem(sys.modules, "imodmodel", None)
    with pytest.raises(InputError, match=r"pip install 'aitom-cryosam\[imod\]'"):
        written("imod-model")
    assert len(read_points(path).picks) == 1


def test_objects_of_a_model_are_classes(tmp_path):
    rows = pd.DataFrame(
        {"object_id": [0, 0, 1], "contour_id": [0, 1, 0], "x": [1, 2, 3], "y": [4, 5, 6], "z": 7.0}
    )
    imodmodel.write(rows, tmp_path / "a.mod")
    points = read_points(tmp_path / "a.mod")
    assert points.classes == ("1", "1", "2")
    np.testing.assert_array_equal(points.picks.points_zyx[2], [7, 5.5, 2.5])


@pytest.mark.parametrize(
    ("text", "classes"),
    [("2 1 300.5 200.5 100\n", ("2",)), ("1 300.5 200.5 100\n", None), ("300.5 200.5 100\n", None)],
)
def test_point_lists_of_imod(tmp_path, text, classes):
    (tmp_path / "a.txt").write_text(text)
    points = read_points(tmp_path / "a.txt", format="imod")
    np.testing.assert_array_equal(points.picks.points_zyx, [[100, 200, 300]])
    assert points.classes == classes


def test_three_columns_are_voxels_unless_said_otherwise(tmp_path):
    (tmp_path / "a.txt").write_text("300.5 200.5 100\n")
    points = read_points(tmp_path / "a.txt").picks.points_zyx
    np.testing.assert_array_equal(points, [[100, 200.5, 300.5]])


def test_shifts_of_dynamo_are_added(tmp_path):
    row = ["0"] * 26
    row[3:6], row[23:26] = ["1", "2", "3"], ["10", "20", "30"]
    (tmp_path / "a.tbl").write_text(" ".join(row) + " 7 7\n")
    points = read_points(tmp_path / "a.tbl").picks.points_zyx
    np.testing.assert_array_equal(points, [[33, 22, 11]])


def test_angstrom_of_copick_become_voxels_of_the_tomogram(tmp_path):
    path = save(tmp_path, "copick")
    assert read_points(path).voxel_size == 10.8
    points = read_points(path, voxel_size=21.6).picks.points_zyx
    np.testing.assert_array_equal(points, [[50, 100, 150]])


def star(path, *columns, rows):
    header = "".join(f"_{column} #{i}\n" for i, column in enumerate(columns, 1))
    path.write_text("data_particles\n\nloop_\n" + header + "\n".join(rows) + "\n")
    return path


PIXELS = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")


def test_pixels_of_relion4_are_never_guessed(tmp_path, caplog):
    path = save(tmp_path, "relion4")
    np.testing.assert_array_equal(
        read_points(path, voxel_size=10.8).picks.points_zyx, [[800, 1600, 2400]]
    )
    assert "taking rlnCoordinateX as voxels; if it counts pixels" in caplog.text
    for options in ({"coords_angpix": 1.35}, {"tilt_series": TiltSeries(1.35)}):
        points = read_points(path, voxel_size=10.8, **options).picks.points_zyx
        np.testing.assert_allclose(points, [[100, 200, 300]])
    with pytest.raises(InputError, match="the format relion4 needs the pixel size"):
        read_points(path, voxel_size=10.8, format="relion4")


def test_a_tilt_series_does_not_change_voxels_of_warp(tmp_path):
    points = read_points(save(tmp_path, "warp"), voxel_size=10.8, tilt_series=TiltSeries(1.35))
    np.testing.assert_array_equal(points.picks.points_zyx, [[100, 200, 300]])


def test_origins_in_pixels(tmp_path):
    origins = ("rlnOriginX", "rlnOriginY", "rlnOriginZ")
    path = star(tmp_path / "a.star", *PIXELS, *origins, rows=["100 60 20 10 -20 5"])
    points = read_points(path, voxel_size=10).picks.points_zyx
    np.testing.assert_array_equal(points, [[15, 80, 90]])
    points = read_points(path, voxel_size=10, coords_angpix=5).picks.points_zyx
    np.testing.assert_array_equal(points, [[7.5, 40, 45]])
    path = star(
        tmp_path / "b.star", *PIXELS, *origins, "rlnPixelSize", rows=["100 60 20 10 -20 5 2"]
    )
    points = read_points(path, voxel_size=10, coords_angpix=10).picks.points_zyx
    np.testing.assert_array_equal(points, [[19, 64, 98]])
    with pytest.raises(InputError, match="written in voxels of 2 Å, but the voxels here have 10"):
        read_points(path, voxel_size=10)


def test_a_score_of_pytom_match_pick(tmp_path):
    path = star(tmp_path / "a.star", *PIXELS, "rlnLCCmax", rows=["1 2 3 0.25"])
    assert read_points(path).picks.scores.tolist() == [0.25]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("a.box", "24 40 0 0\n", "boxes without z; expected a .cbox"),
        ("a.mod", "1 2 3\n", "is not a binary IMOD model"),
        ("a.mod", "IMODV1.2 IEOF", "is not a binary IMOD model"),
        ("a.mod", "IMODV1.2" + "\0" * 240, "is cut off: an IMOD model ends with IEOF"),
        ("a.tbl", "1 2 3\n", "is not a Dynamo table"),
        ("a.tbl", "x " * 26, "is not a Dynamo table"),
        ("a.cbox", "data_cryolo\n\nloop_\n_CoordinateX #1\n1\n", "has no boxes"),
        ("a.ndjson", '{"x": 1}\n', "is not an ndjson file of points"),
        ("a.ndjson", "x\n", "is not an ndjson file of points"),
        ("a.json", "{", "is not a JSON file"),
        ("a.json", "{}", "expected JSON of copick, EMAN2 or AITom"),
        ("a.json", '{"versions": {}}', "is the record of a run; name the file \\*_picks.star"),
        ("a.json", "3", "expected JSON of copick, EMAN2 or AITom"),
        ("a.json", '[{"y": 1}]', "is not a list of AITom's picks"),
        ("a.json", '[{"peak": {"loc": [1, 2]}}]', "is not a list of AITom's picks"),
        ("a.json", '[{"peak": {"loc": [1, 2, NaN]}}]', "row 1: z is 'nan', not a number"),
        ("a.json", '{"boxes_3d": [1, 2]}', "with boxes_3d, a list of x, y, z, method, score"),
        ("a.json", '{"boxes_3d": [[1, 2, 3]], "apix_unbin": 0}', "apix_unbin is '0'"),
        (
            "a.json",
            '{"pickable_object_name": 1, "points": [3]}',
            "is not a file of picks of copick",
        ),
        (
            "a.json",
            '{"pickable_object_name": 1, "unit": "voxel", "points": []}',
            "the unit is 'voxel'; expected angstrom or nm",
        ),
        ("a.pickle", "x", "is not a pickle of AITom's records"),
        ("a.star", "data_\n\n_rlnTomoParticlesFile a.star\n", "use the particles file that it"),
        (
            "a.star",
            "data_\n\n_rlnCoordinateX 1\n_rlnCoordinateY 1\n",
            "no coordinates in z: its particles are of images",
        ),
    ],
)
def test_bad_files(tmp_path, file, content, says):
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=says):
        read_points(tmp_path / file, voxel_size=10)


def test_a_pickle_runs_nothing(tmp_path):
    class Harm:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'harm')!r}, 'w')",)

    (tmp_path / "a.pickle").write_bytes(pickle.dumps([Harm()]))
    with pytest.raises(InputError, match=r"it would run builtins\.exec; write its points as text"):
        read_points(tmp_path / "a.pickle")
    assert not (tmp_path / "harm").exists()
    (tmp_path / "a.pickle").write_bytes(b"c" + b"os\nsys\ttem\n.")
    with pytest.raises(InputError, match=r"it would run os\.sys\\ttem; write"):
        read_points(tmp_path / "a.pickle")


@pytest.mark.parametrize("x", [[1, 2, 3], np.array([1, 2, 3]), list(np.array([1, 2, 3]))])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_pickles_of_any_protocol(tmp_path, x, protocol):
    record = {"val": np.float64(0.5), "x": x, "uuid": "6ad66107"}
    (tmp_path / "a.pickle").write_bytes(pickle.dumps([record], protocol=protocol))
    picks = read_points(tmp_path / "a.pickle").picks
    np.testing.assert_array_equal(picks.points_zyx, [[3, 2, 1]])
    assert picks.scores.tolist() == [0.5]


def test_centred_pixels_need_shape_and_voxel_size(tmp_path):
    path = save(tmp_path, "eman2")
    with pytest.raises(InputError, match="from the centre needs the voxel size"):
        read_points(path)
    with pytest.raises(InputError, match="from the centre needs the tomogram's size"):
        read_points(path, voxel_size=10.8)


def test_a_format_that_does_not_exist(tmp_path):
    known = r"Expected a format of relion5, .*aitom, got 'eman'"
    with pytest.raises(InputError, match=known):
        project_files("eman", "a", [(GOLDEN, FRAME)])
    with pytest.raises(InputError, match=known):
        read_points(save(tmp_path, "warp"), format="eman")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.cs", b"\x93NUMPY\1\0v\0{'descr': [('location/center_x_frac', '<f4')]}", "have no z"),
        ("a.npy", b"\x93NUMPY\1\0v\0{'descr': '<f8'}", "array of NumPy; write its points as text"),
        ("a.xml", b"<ParticleList><Particle><PickPosition X='1'/>", "PyTom; take X, Y, Z of Pick"),
        (
            "a.species",
            b'<?xml version="1.0"?><Species>',
            "species of M; name its file of particles",
        ),
        ("a.sqlite", b"SQLite format 3\0", "database, as of Scipion; export the coordinates"),
        ("a.h5", b"\x89HDF\r\n\x1a\n\0", "is HDF5; write its points as text"),
        ("a.xlsx", b"PK\3\4\0", "a spreadsheet or an archive; save the table as csv"),
        ("a.star.gz", b"\x1f\x8b\x08\0", "is packed; unpack it"),
        ("a.em", b"\x1f\x8b\x08\0", "is packed; unpack it"),
        ("a.csv", b"PK\3\4\0", "a spreadsheet or an archive; save the table as csv"),
        ("a.star", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS; type `git lfs pull`"),
        ("a.tbl", b"\n<!DOCTYPE html><html>", "a web page; download the file itself"),
        ("a.landmarkAscii", b"# AmiraMesh 3D ASCII 2.0\n", "is of Amira; write its points as text"),
        ("a.txt", b"# imod ascii file version 2.0\n\nimod 1\n", "name the model itself, or type"),
        ("a.json", b"[[1, 2, 3]]", "AITom's picks; write other points as text with the columns x,"),
        ("a.json", b"<HTML>", "a web page; download the file itself"),
        (
            "c.json",
            b'{"pickable_objects": []}',
            "configuration of a copick project; name a file of",
        ),
        ("m.json", b'{"annotation_object": {}, "files": []}', "name the .ndjson file beside it"),
        (
            "b.xml",
            b'<?xml version="1.0"?><TiltSeries>',
            "is XML that is not read; write its points",
        ),
        (
            "a.mat",
            b"MATLAB 5.0 MAT-file\0",
            "is of Matlab; write its points as text with the columns",
        ),
        ("a.lst", b"#LSX\n0 a.hdf\n", "a list of images of EMAN2; name the JSON of the tomogram"),
        ("a.vll", b"> TS_01.rec\n", "a list of volumes of Dynamo; name its table, .tbl"),
        ("a.doc", b"1 TS_01.rec\n", "a list of tomograms; name the table, .tbl, or the motive"),
        ("a.prm", b"fnVolume = {'TS_01.rec'}\n", "a project of PEET; name the models in"),
        ("a.fcsv", b"# Markups fiducial file version = 4.11\n", "of 3D Slicer, which counts mm"),
        ("a.xml", b"<objlist><object x='1'/></objlist>", "DeepFinder; take x, y, z of object"),
        (
            "a.star",
            b"data_\nloop_\n_rlnTomoName\n_rlnTomoImportParticleFile\nTS_1 TS_1.star\n",
            "only names other files; use the particles file that it names",
        ),
        (
            "a.star",
            b"data_\nloop_\n_eluCoordinateX\n_eluCoordinateY\n_eluCoordinateZ\n1 2 3\n",
            "has eluCoordinateX and so on, not rlnCoordinateX; write rln for elu in its labels",
        ),
        (
            "a.star",
            b"data_\nloop_\n_wrpCoordinateX1\n_wrpCoordinateY1\n1 2\n",
            "has no coordinates; expected the columns rlnCoordinateX",
        ),
        (
            "a.star",
            b"data_\nloop_\n_rlnCoordinateX\n1\n",
            "has no coordinates; expected the columns rlnCoordinateX",
        ),
        (
            "a.cbox",
            b"data_cryolo\nloop_\n_CoordinateX\n_CoordinateY\n_CoordinateZ\n_Width\n_Height\n"
            b"9 9 <NA> 4 4\n",
            "holds boxes without z",
        ),
        ("a.tloc", b"\x80\x04", "of TomoTwin; name the .cbox or .coords of tomotwin_pick"),
    ],
)
def test_points_of_other_kinds_say_what_to_do(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        read_points(tmp_path / name)
    assert says in str(error.value)


@pytest.mark.parametrize("name", ["warp", "stopgap", "imod", "dynamo", "cmm", "cbox", "portal"])
@pytest.mark.parametrize("how", ["mark", "UTF-16", "Windows", "Macintosh"])
def test_texts_of_other_machines(tmp_path, name, how):
    path = save(tmp_path, name)
    points = read_points(path, voxel_size=10.8).picks.points_zyx
    text = path.read_text(encoding="utf-8")
    path.write_bytes(
        {
            "mark": text.encode("utf-8-sig"),
            "UTF-16": text.encode("utf-16"),
            "Windows": text.replace("\n", "\r\n").encode(),
            "Macintosh": text.replace("\n", "\r").encode(),
        }[how]
    )
    np.testing.assert_array_equal(read_points(path, voxel_size=10.8).picks.points_zyx, points)


def test_the_name_of_an_object():
    assert Particle("80S-ribosome_1.2").box == 32
    for name in ("a b", "../a"):
        with pytest.raises(InputError, match="object's name of letters"):
            project_files("copick", "a", [(GOLDEN, FRAME)], particle=Particle(name))
    for name in ("", " ", "a\nb", "a\0"):
        with pytest.raises(InputError, match="object's name, one line of text"):
            Particle(name)


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "count", "first_zyx", "score", "name", "classes"),
    [
        # 187.2 / 8.2 and so on
        (
            "copick/CCDC147C_001_microtubule.json",
            597,
            [72.1624, 677.1286, 22.8293],
            0.0,
            "CCDC147C_001",
            {"microtubule"},
        ),
        # 27.721405 + 12.5, 12.257084 + 12.5
        ("cryolo/3d_particle.cbox", 3, [50, 40.2214, 24.7571], None, None, None),
        # 167 + 0.6847, 548 + 1.1602, 507 + 1.0651
        (
            "dynamo/b4_motl_CR_tm_topbott_clean600_1_dynamo.tbl",
            1343,
            [167.6847, 549.1602, 508.0651],
            0.1593,
            "2",
            {"1"},
        ),
        ("imod/points.mod", 3, [3, 1.5, 0.5], None, None, {"1"}),
        ("imod/two_contour_example.mod", 25, [80, 64.1667, 63.8333], None, None, {"1"}),
        ("imod/multiple_objects_example.mod", 6, [134, 661.3334, 366.5001], None, None, {"2", "3"}),
        (
            "portal/czportal_10445_TS_105_5_69546_Point_first5.ndjson",
            5,
            [296.9947, 335.828, 42.3176],
            None,
            None,
            None,
        ),
        (
            "portal/czportal_10445_TS_105_5_175505_OrientedPoint_first3.ndjson",
            3,
            [329.2352, 1234.6791, 575.2534],
            None,
            None,
            None,
        ),
        (
            "pytom_match_pick/CCDC147C_001_14.00Apx_particles.star",
            1500,
            [134, 489, 358],
            0.317795,
            "CCDC147C_001_14.00Apx",
            None,
        ),
    ],
)
def test_files_of_other_programs(data_dir, file, count, first_zyx, score, name, classes):
    points = read_points(data_dir / "coordinate_files" / file)
    assert len(points.picks) == count
    np.testing.assert_allclose(points.picks.points_zyx[0], first_zyx, atol=1e-4)
    np.testing.assert_equal(points.picks.scores[0], np.nan if score is None else score)
    assert points.names is None if name is None else points.names[0] == name
    assert (points.classes and set(points.classes)) == classes


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("cryolo/2d_center.box", "boxes without z"),
        ("relion3.1/cryodrgn_relion31.star", "no coordinates in z"),
        ("relion5/cryodrgn_relion5.star", "no coordinates in z"),
        ("warp/warp2_matching_optimisation_set.star", "only names other files"),
        ("relion5/cylindra_job_dirs/Picks/job_picks/particles.star", "give its TiltSeries"),
    ],
)
def test_files_that_hold_no_points_say_so(data_dir, file, says):
    with pytest.raises(InputError, match=says):
        read_points(data_dir / "coordinate_files" / file)
