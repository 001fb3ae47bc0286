"""STAR files: the golden vectors of each program, and what is written is read back."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import starfile
from hypothesis import given, settings
from hypothesis import strategies as st

from aitom_cryosam.errors import InputError
from aitom_cryosam.names import relion_name, tomogram_root
from aitom_cryosam.picks import Picks, joined
from aitom_cryosam.points.formats.relion_warp import (
    FLAVOURS,
    write_flavour,
    write_picks,
    write_proposals,
)
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TiltSeries
from aitom_cryosam.tomogram import Tomogram

# A voxel of a tomogram at 10.8 Å, from a tilt series of 3838 × 3710 pixels at 1.35 Å.
GOLDEN = Picks.from_points([[100, 200, 300]], [0.5])
SERIES = TiltSeries(1.35, (3838, 3710, 1600))


@cache  # looking for its margins takes longer than all else here
def tomogram(shape=(200, 464, 480), voxel_size=10.8, name="TS_01_10.80Apx"):
    data = np.broadcast_to(np.arange(shape[2], dtype=np.float32), shape)
    return Tomogram.from_array(data, voxel_size=voxel_size, name=name)


def picks():
    """Three kept and one rejected, not in the order of their scores."""
    points = [[1.25, 20, 300.5], [2, 21, 301], [3, 22, 302], [4, 23, 303]]
    return Picks.from_points(points, [0.25, 0.75, 0.5, 0.9]).reject([3], "too small a mask")


def lines(path):
    return path.read_bytes().decode().split("\n")


def test_picks_file_to_the_letter(tmp_path):
    write_picks(tmp_path / "a.star", picks(), tomogram())
    name_and_angles = "TS_01.tomostar 0.000000 0.000000 0.000000"
    assert lines(tmp_path / "a.star") == [
        "data_particles",
        "",
        "loop_",
        "_rlnCoordinateX #1",
        "_rlnCoordinateY #2",
        "_rlnCoordinateZ #3",
        "_rlnMicrographName #4",
        "_rlnAngleRot #5",
        "_rlnAngleTilt #6",
        "_rlnAnglePsi #7",
        "_rlnAutopickFigureOfMerit #8",
        "_cryosamParticleId #9",
        "_cryosamScore #10",
        "_cryosamInstanceId #11",
        "_cryosamVoxelSize #12",
        f"301.000000 21.000000 2.000000 {name_and_angles} 0.750000 TS_01:2 0.750000 2 10.800000",
        f"302.000000 22.000000 3.000000 {name_and_angles} 0.500000 TS_01:3 0.500000 3 10.800000",
        f"300.500000 20.000000 1.250000 {name_and_angles} 0.250000 TS_01:1 0.250000 1 10.800000",
        "",
        "",
        "",
    ]


def test_proposals_file(tmp_path):
    write_proposals(tmp_path / "a.star", picks(), tomogram())
    rows = [line.split() for line in lines(tmp_path / "a.star") if line.count(" ") > 2]
    assert [row[10:] for row in rows] == [
        ["4", "10.800000", "0", "too_small_a_mask"],
        ["2", "10.800000", "1", "none"],
        ["3", "10.800000", "1", "none"],
        ["1", "10.800000", "1", "none"],
    ]
    back = read_points(tmp_path / "a.star").picks
    assert back.kept.tolist() == [False, True, True, True]
    assert back.reasons == ("too_small_a_mask", "", "", "")
    assert back.ids.tolist() == [4, 2, 3, 1]


def test_probabilities_are_written_and_read_back_where_there_are_any(tmp_path):
    judged = replace(picks(), probabilities=np.array([0.5, 0.875, 0.75, 0.125]))
    write_proposals(tmp_path / "a.star", judged, tomogram())
    back = read_points(tmp_path / "a.star").picks
    assert back.probabilities.tolist() == [0.125, 0.875, 0.75, 0.5]  # best score first
    assert back.take(back.kept).probabilities.tolist() == [0.875, 0.75, 0.5]
    write_picks(tmp_path / "b.star", picks(), tomogram())
    assert read_points(tmp_path / "b.star").picks.probabilities is None
    with pytest.raises(InputError, match="every column"):
        replace(picks(), probabilities=np.array([0.5]))


def test_particles_keep_their_names(tmp_path):
    """Through WarpTools and M, which drop what begins with rln, and through joined files."""
    write_picks(tmp_path / "a.star", picks(), tomogram())
    text = (tmp_path / "a.star").read_text().replace("rlnAutopickFigureOfMerit", "rlnNothing")
    (tmp_path / "b.star").write_text(text.replace("cryosamInstanceId", "cryosamNothing"))
    back = read_points(tmp_path / "b.star").picks
    assert back.scores.tolist() == [0.75, 0.5, 0.25]
    assert back.ids.tolist() == [2, 3, 1]
    renamed = replace(tomogram(), name="other")
    write_flavour("warp", tmp_path / "c.star", joined([back, back]), renamed)
    names = starfile.read(tmp_path / "c.star")["cryosamParticleId"].tolist()
    assert names == ["TS_01:2", "TS_01:2", "TS_01:3", "TS_01:3", "TS_01:1", "TS_01:1"]
    twice = joined([picks(), picks()])
    write_flavour("warp", tmp_path / "d.star", twice, tomogram())
    names = starfile.read(tmp_path / "d.star")["cryosamParticleId"].tolist()
    assert names[:2] == ["TS_01:2", "TS_01:2.1"]
    assert len(set(names)) == 6


def test_no_picks_is_a_file_with_a_header(tmp_path):
    nothing = picks().take(np.array([], int))
    for write in (write_picks, write_proposals):
        path = tmp_path / f"{write.__name__}.star"
        write(path, nothing, tomogram())
        assert lines(path)[3] == "_rlnCoordinateX #1"
        assert len(read_points(path).picks) == 0
        assert len(starfile.read(path)) == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_picks_in_every_flavour(tmp_path, flavour):
    nothing = picks().take(np.array([], int))
    write_flavour(flavour, tmp_path / "a.star", nothing, tomogram(), tilt_series=SERIES)
    assert len(starfile.read(tmp_path / "a.star")) == 0


@pytest.mark.parametrize(
    ("flavour", "row"),
    [
        (
            "warp",
            "300.000000 200.000000 100.000000 TS_01.tomostar 0.000000 0.000000 0.000000 0.500000",
        ),
        ("relion31", "300 200 100"),
        ("relion4", "TS_01 2400.000000 1600.000000 800.000000 0.500000"),
        ("relion5", "TS_01 649.350000 -344.250000 0.000000 0.500000"),
    ],
)
def test_golden_vectors(tmp_path, flavour, row):
    write_flavour(flavour, tmp_path / "a.star", GOLDEN, tomogram(), tilt_series=SERIES)
    tail = "" if flavour == "relion31" else " TS_01:1 0.500000"
    assert lines(tmp_path / "a.star")[-4] == row + tail
    assert lines(tmp_path / "a.star")[0] == "data_particles"


@pytest.mark.parametrize(
    ("flavour", "labels"),
    [
        ("relion31", ["rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"]),
        (
            "relion4",
            [
                "rlnTomoName",
                "rlnCoordinateX",
                "rlnCoordinateY",
                "rlnCoordinateZ",
                "rlnAutopickFigureOfMerit",
                "cryosamParticleId",
                "cryosamScore",
            ],
        ),
        (
            "relion5",
            [
                "rlnTomoName",
                "rlnCenteredCoordinateXAngst",
                "rlnCenteredCoordinateYAngst",
                "rlnCenteredCoordinateZAngst",
                "rlnAutopickFigureOfMerit",
                "cryosamParticleId",
                "cryosamScore",
            ],
        ),
    ],
)
def test_columns(tmp_path, flavour, labels):
    write_flavour(flavour, tmp_path / "a.star", picks(), tomogram(), tilt_series=SERIES)
    table = starfile.read(tmp_path / "a.star")
    assert list(table) == labels
    assert len(table) == 3  # without the rejected one


def test_relion31_rounds_to_whole_voxels(tmp_path):
    points = Picks.from_points([[1.4, 2.5, 3.6]], [1])
    write_flavour("relion31", tmp_path / "a.star", points, tomogram())
    assert lines(tmp_path / "a.star")[-4] == "4 3 1"


def test_relion5_without_the_tilt_series(tmp_path, caplog):
    write_flavour("relion5", tmp_path / "a.star", GOLDEN, tomogram())
    # 300 · 10.8 − 480 · 10.8 / 2, and so on; at most half a voxel from the exact 649.35, −344.25.
    row = "TS_01 648.000000 -345.600000 0.000000 0.500000"
    assert lines(tmp_path / "a.star")[-4].startswith(row)
    assert "unbinned size is not known" in caplog.text


def test_relion4_without_the_tilt_series(tmp_path):
    with pytest.raises(InputError, match="needs the pixel size"):
        write_flavour("relion4", tmp_path / "a.star", GOLDEN, tomogram())
    assert not (tmp_path / "a.star").exists()


def test_flavour_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match="relion5, relion4, relion31, warp, got 'eman'"):
        write_flavour("eman", tmp_path / "a.star", GOLDEN, tomogram())


def test_relion5_is_read_back_with_the_tilt_series(tmp_path):
    write_flavour("relion5", tmp_path / "a.star", GOLDEN, tomogram(), tilt_series=SERIES)
    back = read_points(tmp_path / "a.star", voxel_size=10.8, tilt_series=SERIES)
    np.testing.assert_allclose(back.picks.points_zyx, [[100, 200, 300]], atol=1e-6)


def test_points_without_scores_have_no_column_of_them(tmp_path):
    write_picks(tmp_path / "a.star", Picks.from_points([[1, 2, 3]]), tomogram())
    text = (tmp_path / "a.star").read_text()
    assert "FigureOfMerit" not in text
    assert "cryosamScore" not in text
    assert "nan" not in text
    assert np.isnan(read_points(tmp_path / "a.star").picks.scores).all()


def test_no_negative_zero(tmp_path):
    write_picks(tmp_path / "a.star", Picks.from_points([[-1e-9, 0, 0]], [0]), tomogram())
    assert "-0" not in (tmp_path / "a.star").read_text()


@pytest.mark.parametrize("name", ["0012", "00255", "1e5", "data_7", "nan"])
def test_names_that_look_like_something_else_survive(tmp_path, name):
    write_picks(tmp_path / "a.star", GOLDEN, tomogram(name=name))
    assert read_points(tmp_path / "a.star").names == (f"{name}.tomostar",)


def test_leading_zeros_survive_in_relion(tmp_path):
    write_flavour(
        "relion4", tmp_path / "a.star", GOLDEN, tomogram(name="00255"), tilt_series=SERIES
    )
    assert read_points(tmp_path / "a.star").names == ("00255",)


def test_a_name_that_star_cannot_hold(tmp_path):
    write_picks(tmp_path / "a.star", GOLDEN, tomogram(name="my tomo #1's"))
    back = read_points(tmp_path / "a.star")
    assert back.names == ("my_tomo_#1_s.tomostar",)
    assert len(back.picks) == 1


@pytest.mark.parametrize(
    ("name", "root", "relion"),
    [
        ("TS_01.tomostar", "TS_01", "TS_01"),
        ("TS_01_10.00Apx.mrc", "TS_01", "TS_01"),
        ("TS_01_10.00Apx_den.mrc", "TS_01", "TS_01"),
        ("/a b/recon/01006_10.73Apx.mrc", "01006", "01006"),
        (r"C:\data\TS_01.rec", "TS_01", "TS_01"),
        ("Tomograms/rec_TS_01_half1.mrc", "rec_TS_01_half1", "TS_01"),
        ("v1.5.mrc.gz", "v1.5", "v1.5"),
        ("Grid#3_TS_01.tomostar", "Grid#3_TS_01", "Grid#3_TS_01"),
        ("TS_03.mrc_13.28Apx.mrc", "TS_03.mrc", "TS_03.mrc"),
        ("TS_03.mrc.tomostar", "TS_03.mrc", "TS_03.mrc"),
    ],
)
def test_names(name, root, relion):
    assert tomogram_root(name) == root
    assert relion_name(name) == relion


def test_existing_file_stays(tmp_path):
    (tmp_path / "a.star").write_text("old")
    with pytest.raises(InputError, match="already exists"):
        write_picks(tmp_path / "a.star", GOLDEN, tomogram())
    write_picks(tmp_path / "a.star", GOLDEN, tomogram(), overwrite=True)
    assert lines(tmp_path / "a.star")[0] == "data_particles"


coordinates = st.floats(-1e4, 1e4, allow_nan=False)
rows = st.lists(st.tuples(coordinates, coordinates, coordinates, st.floats(-10, 10)), max_size=8)


@settings(deadline=None)
@given(rows=rows)
def test_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("star") / "a.star"
    table = np.array(rows).reshape(-1, 4)
    original = Picks.from_points(table[:, :3], table[:, 3])
    write_picks(path, original, tomogram(name="007"))
    first = path.read_bytes()
    back = read_points(path)
    expected = original.best_first()
    np.testing.assert_allclose(back.picks.points_zyx, expected.points_zyx, atol=1e-6, rtol=0)
    np.testing.assert_allclose(back.picks.scores, expected.scores, atol=1e-6, rtol=0)
    assert back.picks.ids.tolist() == expected.ids.tolist()
    assert set(back.names or ()) <= {"007.tomostar"}
    write_picks(path, original, tomogram(name="007"), overwrite=True)
    assert path.read_bytes() == first
