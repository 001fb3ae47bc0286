"""Prompts and other points from files and from the command line."""

from dataclasses import replace

import numpy as np
import pytest

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.belonging import of_tomogram
from aitom_cryosam.points.prompts import read_prompts, read_rejects
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TiltSeries
from aitom_cryosam.tomogram import Tomogram

SHAPE = (10, 20, 30)


@pytest.fixture
def tomogram():
    data = np.random.default_rng(0).standard_normal(SHAPE)
    data[:, :3] = 0  # a blank margin in y
    return Tomogram.from_array(data, voxel_size=10, name="TS_01_10.00Apx")


def star(path, *columns, rows, block="particles", before=""):
    header = "".join(f"_{column} #{i}\n" for i, column in enumerate(columns, 1))
    path.write_text(f"{before}data_{block}\n\nloop_\n{header}" + "\n".join(rows) + "\n")
    return path


PIXELS = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
CENTRED = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
ORIGINS = tuple(f"rlnOrigin{axis}Angst" for axis in "XYZ")


def test_typed_prompts_are_x_y_z(tomogram):
    prompts = read_prompts(tomogram, ["25,15,5", " 24.5 , 14 , 4 "])
    np.testing.assert_array_equal(prompts.points_zyx, [[5, 15, 25], [4, 14, 24.5]])
    assert prompts.ids.tolist() == [1, 2]
    assert np.isnan(prompts.scores).all()


def test_typed_prompts_come_before_those_of_the_file(tomogram, tmp_path):
    (tmp_path / "a.csv").write_text("1,4,7\n")
    prompts = read_prompts(tomogram, ["25,15,5"], tmp_path / "a.csv")
    np.testing.assert_array_equal(prompts.points_zyx, [[5, 15, 25], [7, 4, 1]])
    assert prompts.ids.tolist() == [1, 2]


@pytest.mark.parametrize("text", ["1,2", "1,2,3,4", "a,b,c", "1;2;3", "", "nan,1,2", "1,inf,2"])
def test_not_three_numbers(tomogram, text):
    with pytest.raises(InputError, match=r"Expected a prompt X,Y,Z .* got"):
        read_prompts(tomogram, [text])


def test_no_prompt_at_all(tomogram):
    with pytest.raises(InputError, match="no prompt; give prompts as rows of x, y, z"):
        read_prompts(tomogram)


@pytest.mark.parametrize("text", ["30,15,5", "29.5,15,5", "5,20,5", "5,15,10", "-1,15,5"])
def test_outside_says_the_bounds(tomogram, text):
    with pytest.raises(InputError, match=f"{text} lies outside .* x 0 to 29, y 0 to 19, z 0 to 9"):
        read_prompts(tomogram, [text])


def test_half_a_voxel_over_the_edge_is_inside(tomogram):
    assert len(read_prompts(tomogram, ["29.49,15,-0.5"])) == 1


@pytest.mark.parametrize(
    ("order", "text"),
    [("z,y,x", "5,15,25"), ("x,z,y", "25,5,15"), ("y,x,z", "15,25,5"), ("y,z,x", "15,5,25"),
     ("z,x,y", "5,25,15")],
)  # fmt: skip
def test_wrong_order_says_so(order, text):
    """x = 25, y = 15, z = 5, each in its own place only, typed in each of the other orders."""
    tomogram = Tomogram.from_array(
        np.random.default_rng(0).standard_normal((6, 16, 26)), voxel_size=10
    )
    with pytest.raises(InputError, match=f"as {order} it would lie inside: type x,y,z"):
        read_prompts(tomogram, [text])


def test_typed_in_angstrom_says_so(tomogram):
    said = f"in Å it would lie inside: divide by {tomogram.voxel_size:g}"
    with pytest.raises(InputError, match=said):
        read_prompts(tomogram, [f"{25 * tomogram.voxel_size},15,5"])
    with pytest.raises(InputError, match=r"z 0 to 9\.$"):
        read_prompts(tomogram, ["99999,15,5"])


def test_a_unit_or_a_first_voxel_of_another_kind_says_so(tomogram):
    """30 × 20 × 10 voxels of 10 Å."""
    for text, said in (
        ("30,15,5", "counted from 1, as 3dmod shows voxels, it would lie inside: subtract 1"),
        ("250,150,50", "in Å it would lie inside: divide by 10."),
        ("31,15,5", "in Å it would lie inside: divide by 10."),
        ("-5,0,0", "counted from the middle it would lie inside: add 15,10,5"),
    ):
        with pytest.raises(InputError, match=said):
            read_prompts(tomogram, [text])
    fine = replace(tomogram, voxel_size=20.0)
    with pytest.raises(InputError, match=r"divide by 20, if in nm by 2\."):
        read_prompts(fine, ["50,25,15"])


def test_a_file_of_points_outside_says_how_all_would_lie_inside(tomogram, tmp_path, caplog):
    path = tmp_path / "a.csv"
    for rows, said in (
        ("5,15,25\n4,14,9\n", "as z,y,x all would lie inside: give x,y,z; left out with all"),
        ("30,15,9\n25,20,10\n25,15,5\n", "all would lie inside: subtract 1; left out"),
        ("250,150,50\n240,140,50\n25,15,5\n", "2 of 3; give coords_angpix in Å if its pixels"),
    ):
        path.write_text("x,y,z\n" + rows)
        read_prompts(tomogram, path=path)
        assert said in caplog.text
    path.write_text("x,y,z\n-5,0,0\n-6,0,0\n")
    with pytest.raises(InputError, match="counted from the middle all would lie inside: add 15,10"):
        read_prompts(tomogram, path=path)


def test_blank_margin(tomogram):
    with pytest.raises(InputError, match=r"25,1,5 lies on the blank margin"):
        read_prompts(tomogram, ["25,1,5"])


def test_a_file_in_another_pixel_size(tomogram, tmp_path):
    path = star(tmp_path / "a.star", *PIXELS, rows=["100 60 20"])
    with pytest.raises(InputError, match="give coords_angpix"):
        read_prompts(tomogram, path=path)
    prompts = read_prompts(tomogram, path=path, coords_angpix=2.5)
    np.testing.assert_array_equal(prompts.points_zyx, [[5, 15, 25]])


def test_bad_points_of_a_file_are_left_out(tomogram, tmp_path, caplog):
    (tmp_path / "a.csv").write_text("25,1,5\n25,15,5\n99,15,5\n24,14,4\n")
    prompts = read_prompts(tomogram, path=tmp_path / "a.csv")
    np.testing.assert_array_equal(prompts.points_zyx, [[5, 15, 25], [4, 14, 24]])
    assert prompts.ids.tolist() == [1, 2]
    assert "the prompt 25,1,5 lies on the blank margin" in caplog.text
    assert "left out with all such prompts, 2 of 4" in caplog.text


def test_clicks_of_several_classes_are_told(tomogram, tmp_path, caplog):
    (tmp_path / "a.csv").write_text("x,y,z,class\n25,15,5,ribosome\n24,14,4,vault\n")
    assert len(read_prompts(tomogram, path=tmp_path / "a.csv")) == 2
    assert (
        "a.csv: its clicks are of 2 classes, ribosome, vault, and all are taken as one"
        in caplog.text
    )
    caplog.clear()
    assert len(read_rejects(tomogram, path=tmp_path / "a.csv")) == 2
    (tmp_path / "a.csv").write_text("x,y,z,class\n25,15,5,1\n24,14,4,1\n")
    assert len(read_prompts(tomogram, path=tmp_path / "a.csv")) == 2
    assert not caplog.text


def test_proposals_are_clicks_where_they_are_kept(tomogram, tmp_path, caplog):
    """And rejected places where they are not, as in a file of picks that were judged."""
    labels = "".join(f"_{label}\n" for label in (*PIXELS, "cryosamKept"))
    file = tmp_path / "a.star"
    file.write_text(f"data_\n\nloop_\n{labels}25 15 5 1\n24 14 4 0\n23 15 5 0\n")
    assert read_prompts(tomogram, path=file).points_zyx.tolist() == [[5, 15, 25]]
    assert f"{file}: 2 of its points are not kept (cryosamKept), and are no clicks." in caplog.text
    assert read_rejects(tomogram, path=file).points_zyx.tolist() == [[4, 14, 24], [5, 15, 23]]
    file.write_text(file.read_text().replace("5 1\n", "5 0\n"))
    with pytest.raises(InputError, match=r"none of its 3 points is kept \(cryosamKept\)"):
        read_prompts(tomogram, path=file)


def test_bad_points_only_are_refused(tomogram, tmp_path):
    (tmp_path / "a.csv").write_text("99,15,5\n25,1,5\n")
    with pytest.raises(InputError, match=r"the prompt 99,15,5 lies outside .* give coords_angpix"):
        read_prompts(tomogram, ["25,15,5"], tmp_path / "a.csv")


def test_a_typed_prompt_beside_good_ones_must_be_good(tomogram):
    with pytest.raises(InputError, match="25,1,5 lies on the blank margin"):
        read_prompts(tomogram, ["25,15,5", "25,1,5"])


def test_prompts_in_the_pixels_of_the_tilt_series(tomogram, tmp_path):
    path = star(tmp_path / "a.star", "rlnTomoName", *PIXELS, rows=["TS_01 100 60 20"])
    prompts = read_prompts(tomogram, path=path, tilt_series=TiltSeries(2.5))
    np.testing.assert_array_equal(prompts.points_zyx, [[5, 15, 25]])
    path = star(tmp_path / "a.star", "rlnTomoName", *CENTRED, rows=["TS_01 100 50 0"])
    prompts = read_prompts(tomogram, path=path, tilt_series=TiltSeries(2.5, (120, 80, 40)))
    np.testing.assert_array_equal(prompts.points_zyx, [[5, 15, 25]])


@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_a_pixel_size_that_is_none(tomogram, tmp_path, size):
    path = star(tmp_path / "a.star", *PIXELS, rows=["1 2 3"])
    with pytest.raises(InputError, match="above 0 Å"):
        read_points(path, voxel_size=10, coords_angpix=size)


@pytest.mark.parametrize("text", ["", "# nothing\n", "x,y,z\n"])
def test_empty_csv(tomogram, tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match="holds no points"):
        read_prompts(tomogram, path=tmp_path / "a.csv")


def test_empty_star(tomogram, tmp_path):
    with pytest.raises(InputError, match="holds no points"):
        read_prompts(tomogram, path=star(tmp_path / "a.star", *PIXELS, rows=[]))


@pytest.mark.parametrize(
    "text",
    [
        "x,y,z\n25,15,5\n24.5,14,4\n",
        "\ufeffZ;X;Y\r\n5;25;15\r\n4;24.5;14\r\n",
        "25,15,5\n24.5,14,4\n",
        "25 15 5\n\n24.5\t14  4",
        "x;y;z\n25;15;5\n24,5;14;4,0\n",
        "25,0;15,0;5,0\n24,5;14;4\n",
        "25,0 15,0 5,0\n24,5 14 4\n",
        'x,y,z\n25,15,5\n"24,5","14","4"\n',
        '"index","axis-0","axis-1","axis-2"\n0.0,5,15,25\n1.0,4,14,24.5\n',
        "# clicked in napari\nname,x,y,z\nfirst,25,15,5\nsecond one,24.5,14,4\n",
    ],
)
def test_csv(tomogram, tmp_path, text):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    prompts = read_prompts(tomogram, path=tmp_path / "a.csv")
    np.testing.assert_array_equal(prompts.points_zyx, [[5, 15, 25], [4, 14, 24.5]])


def test_decimal_commas_are_told_once(tmp_path, caplog):
    (tmp_path / "a.csv").write_text("x;y;z\n1,5;2,5;3,5\n")
    assert read_points(tmp_path / "a.csv").picks.points_zyx.tolist() == [[3.5, 2.5, 1.5]]
    assert caplog.messages == [
        f"{tmp_path / 'a.csv'}: the commas in its numbers are read as decimal points."
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b,c\n1,2,3\n", "no coordinates; expected the columns x, y, z"),
        ("1,2,3,4\n", "4 columns without names; add a header"),
        ("x,y,z\n1,2,3\n1,2\n", "row 2: 2 values; expected 3"),
        ("x,y,z\n1,5,2,5,3,5\n", "6 values; expected 3; beside decimal commas, columns are"),
        ("x,y,z\n1,2,3\n1,two,3\n", "row 2: y is 'two', not a number"),
        ("x,y,z\n1,2,nan\n", "row 1: z is 'nan', not a number"),
        ("1,2,nan\n", "row 1: z is 'nan', not a number"),
        ("# z y x\n1,2,nan\n", "row 1: x is 'nan', not a number"),
        ("Pos X [nm],Pos Y [nm],Pos Z [nm]\n1,,3\n", "row 1: Pos Y .nm. is '', not a number"),
        ("index,axis-0,axis-1,axis-2\n0,1,2,inf\n", "row 1: axis-2 is 'inf', not a number"),
        ("x,y,z,CCC\n1,2,3,high\n", "row 1: CCC is 'high', not a number"),
        (f"x,y,z\n1,2,{10**400}\n", "row 1: z is '10{39}', not a number"),
    ],
)
def test_bad_csv(tmp_path, text, says):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=says):
        read_points(tmp_path / "a.csv")


def test_star_with_other_blocks_first(tmp_path):
    path = star(
        tmp_path / "a.star",
        "rlnTomoName",
        *PIXELS,
        "rlnAngleRot",
        rows=["0012 1.5 2 3 0"],
        before="# version 50001\n\ndata_general\n\n_rlnX 1\n\ndata_optics\n\nloop_\n_rlnY #1\n7\n",
    )
    points = read_points(path)
    np.testing.assert_array_equal(points.picks.points_zyx, [[3, 2, 1.5]])
    assert points.names == ("0012",)


def test_star_of_one_particle_without_a_loop(tmp_path):
    (tmp_path / "a.star").write_text(
        "data_\n\n_rlnCoordinateX 1\n_rlnCoordinateY 2\n_rlnCoordinateZ 3\n"
    )
    np.testing.assert_array_equal(read_points(tmp_path / "a.star").picks.points_zyx, [[3, 2, 1]])


def test_origins_are_subtracted(tmp_path):
    path = star(tmp_path / "a.star", *PIXELS, *ORIGINS, rows=["100 60 20 10 -20 5"])
    points = read_points(path, voxel_size=10).picks.points_zyx
    np.testing.assert_array_equal(points, [[19.5, 62, 99]])
    points = read_points(path, voxel_size=10, coords_angpix=2.5).picks.points_zyx
    np.testing.assert_array_equal(points, [[4.5, 17, 24]])
    with pytest.raises(InputError, match="needs the voxel size"):
        read_points(path)


def test_origins_of_zero_need_no_voxel_size(tmp_path):
    path = star(tmp_path / "a.star", *PIXELS, *ORIGINS, rows=["100 60 20 0 0 0"])
    np.testing.assert_array_equal(read_points(path).picks.points_zyx, [[20, 60, 100]])


@pytest.mark.parametrize(
    ("columns", "rows", "says"),
    [
        (("rlnTomoName", "rlnAngleRot"), ["a 1"], "no coordinates; expected .*rlnCoordinateX"),
        (PIXELS[:2], ["1 2"], "no coordinates"),
        (
            (*PIXELS, *CENTRED),
            ["1 2 3 4 5 6"],
            "Å from the centre of an unbinned tomogram whose size",
        ),
        (CENTRED, ["1 2 3"], "Å from the centre of an unbinned tomogram whose size"),
        (PIXELS, ["1 2 3", "1 no 3"], "row 2: rlnCoordinateY is 'no', not a number"),
        ((*PIXELS, "rlnLCCmax"), ["1 2 3 no"], "row 1: rlnLCCmax is 'no', not a number"),
        (PIXELS, ["1 2 3", "1 2"], "line 8: 2 values for 3 columns"),
        (PIXELS, ["1 2 3", "1 2 3 4 5"], "line 8: 5 values for 3 columns"),
    ],
)
def test_bad_star(tmp_path, columns, rows, says):
    with pytest.raises(InputError, match=says):
        read_points(star(tmp_path / "a.star", *columns, rows=rows))


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe" * 99, b"data_\n", b"data_\n\nloop_\n"])
def test_not_star(tmp_path, content):
    (tmp_path / "a.star").write_bytes(content)
    with pytest.raises(InputError, match=r"no coordinates|is binary"):
        read_points(tmp_path / "a.star")


def test_not_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\x00\xff\xfe" * 99)
    with pytest.raises(InputError, match="is binary; expected a text file"):
        read_points(tmp_path / "a.csv")


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no file"):
        read_points(tmp_path / "a.star")


def test_voxel_size_that_the_file_states(tmp_path):
    path = star(tmp_path / "a.star", *PIXELS, "cryosamVoxelSize", rows=["1 2 3 10"])
    assert read_points(path).voxel_size == 10
    assert read_points(path, voxel_size=10.05).voxel_size == 10
    with pytest.raises(InputError, match="voxels of 10 Å, but the voxels here have 5 Å"):
        read_points(path, voxel_size=5)
    points = read_points(path, voxel_size=5, coords_angpix=10).picks.points_zyx
    np.testing.assert_array_equal(points, [[6, 4, 2]])


def names_file(tmp_path, *names):
    rows = [f"{name} {i} 5 5" for i, name in enumerate(names)]
    return read_points(star(tmp_path / "a.star", "rlnMicrographName", *PIXELS, rows=rows))


@pytest.mark.parametrize(
    "name", ["TS_01", "TS_01.tomostar", "x/y/TS_01_7.90Apx.mrc", "rec_TS_01.mrc", "TS_01.rec"]
)
def test_rows_of_the_tomogram_are_chosen(tmp_path, caplog, name):
    points = names_file(tmp_path, "TS_02.tomostar", name, "TS_1.tomostar", "TS_01_den.tomostar")
    chosen = of_tomogram(points, "TS_01_10.00Apx")
    assert chosen.names == (name,)
    assert chosen.picks.points_zyx[0, 2] == 1
    assert not caplog.text


@pytest.mark.parametrize("other", ["TS_01_den", "TS_01_filtered_bin4", "TS_01_raw.mrc"])
def test_names_that_differ_by_processing_warn(tmp_path, caplog, other):
    assert len(of_tomogram(names_file(tmp_path, other, "TS_02"), "TS_01").picks) == 1
    assert len(of_tomogram(names_file(tmp_path, "TS_01.tomostar"), other).picks) == 1
    assert "of TS_01" in caplog.text


@pytest.mark.parametrize("other", ["TS_02", "TS_01_2", "TS_1", "TS_011", "TS_01_den_2", "TS_01den"])
def test_names_of_other_tomograms(tmp_path, other):
    with pytest.raises(InputError, match=f"has points of {other}; expected some of TS_01"):
        of_tomogram(names_file(tmp_path, other), "TS_01")


def test_two_similar_names_are_ambiguous(tmp_path):
    with pytest.raises(InputError, match="points of TS_01_den, TS_01_raw; expected"):
        of_tomogram(names_file(tmp_path, "TS_01_raw", "TS_01_den"), "TS_01")


def test_without_names_every_row_counts(tmp_path):
    points = read_points(star(tmp_path / "a.star", *PIXELS, rows=["1 2 3", "4 5 6"]))
    assert len(of_tomogram(points, "TS_01").picks) == 2


def test_prompts_of_another_tomogram(tomogram, tmp_path):
    path = star(tmp_path / "a.star", "rlnMicrographName", *PIXELS, rows=["TS_02.tomostar 5 5 5"])
    with pytest.raises(InputError, match="points of TS_02; expected some of TS_01"):
        read_prompts(tomogram, path=path)


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "voxel_size", "count", "first_zyx"),
    [
        ("pytom_match_pick/CCDC147C_001_14.00Apx_particles.star", 14, 1500, [134, 489, 358]),
        ("relion3.0/cryocat_relion_3.0.star", 5.364, 3, [422.955, 733.955, 1028.455]),
        ("relion3.1/cryocat_bin1_1deg_500.star", 1.971, 2, [777.879, 3272.708, 4052.123]),
        # 938.008 − 7.24711 / 2.446 and so on
        ("relion3.1/cryocat_relion_3.1_optics.star", 2.446, 3, [935.045, 1481.733, 915.652]),
        # (944 · 1.971 − 3.783296) / 10 and so on: it states the tilt series' pixel size
        ("relion4/cryocat_relion_4.0_first400lines.star", 10, 355, [185.684, 84.122, 334.944]),
        (
            "warp/tomodrgn_warptools_test_4-tomos_10-ptcls_box-32_angpix-12.star",
            12,
            40,
            [28.146, 564.065, 494.521],
        ),
        ("warp/warp2_particles_matching.star", 4, 1218, [75.828, 397.132, 354.242]),
    ],
)
def test_files_of_other_programs(data_dir, file, voxel_size, count, first_zyx):
    points = read_points(data_dir / "coordinate_files" / file, voxel_size=voxel_size)
    assert len(points.picks) == count
    np.testing.assert_allclose(points.picks.points_zyx[0], first_zyx, atol=1e-3)


@pytest.mark.data
def test_truth_of_the_simulated_tomogram(data_dir, caplog):
    points = read_points(data_dir / "simulated" / "shrec_like_truth.star", voxel_size=10)
    assert len(of_tomogram(points, "shrec_like_den").picks) == 390
    assert "taking the points of shrec_like as of shrec_like_den" in caplog.text
    assert points.classes is not None
    assert points.classes.count("p4v4r") == 80
