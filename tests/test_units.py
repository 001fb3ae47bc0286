"""A unit that a file states is used, or the file is refused."""

import json
import logging
import struct

import numpy as np
import pytest

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.rotations import from_av3, from_relion
from aitom_cryosam.points.table import CENTRED
from aitom_cryosam.points.tilt_series import read_tomograms_star
from aitom_cryosam.points.tomogram_info import TiltSeries
from aitom_cryosam.volumes.mrc import write_volume

XYZ = ["rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"]


def block(name, labels, rows):
    head = "".join(f"_{label} #{i}\n" for i, label in enumerate(labels, 1))
    return f"data_{name}\n\nloop_\n" + head + "".join(f"{row}\n" for row in rows) + "\n"


def star(folder, labels, rows, optics=""):
    path = folder / "a.star"
    path.write_text(optics + block("particles", labels, rows))
    return path


def places(path, **options):
    return read_points(path, **options).picks.points_zyx[:, ::-1].tolist()


GROUPS = block("optics", ["rlnOpticsGroup", "rlnImagePixelSize"], ["1 10", "2 12"])


def test_every_row_counts_pixels_of_its_optics_group(tmp_path):
    path = star(tmp_path, [*XYZ, "rlnOpticsGroup"], ["100 50 20 1", "100 50 20 2"], GROUPS)
    assert places(path, voxel_size=10) == [[100, 50, 20], [120, 60, 24]]
    with pytest.raises(InputError, match="voxels of 10 and of 12 Å and needs the voxel size"):
        read_points(path)
    rows = ["100 50 20 1.0", "100 50 20 2.000000"]  # by pandas
    path = star(tmp_path, [*XYZ, "rlnOpticsGroup"], rows, GROUPS)
    assert places(path, voxel_size=10) == [[100, 50, 20], [120, 60, 24]]


def test_files_that_were_joined_with_their_byte_order_marks(tmp_path):
    labels = [*XYZ, "rlnMicrographName"]
    part = "\ufeff" + block("particles", labels, ["1 2 3 TS_01.tomostar"])
    (tmp_path / "a.star").write_text(part + part, encoding="utf-8")
    assert places(tmp_path / "a.star") == [[1, 2, 3]] * 2


def test_an_optics_group_that_is_not_there(tmp_path):
    path = star(tmp_path, [*XYZ, "rlnOpticsGroup"], ["1 2 3 7"], GROUPS)
    with pytest.raises(InputError, match="optics group 7, but no such group; expected one of 1, 2"):
        read_points(path)
    with pytest.raises(InputError, match="is 10 and 12 Å in data_optics; expected one, or"):
        read_points(star(tmp_path, XYZ, ["1 2 3"], GROUPS))


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        (["rlnMagnification", "rlnDetectorPixelSize"], "10000 10"),
        (["rlnMagnification", "rlnDetectorPixelSize"], "50000 50"),
        (["rlnDetectorPixelSize", "rlnLCCmax"], "10 0.5"),  # pytom-match-pick
        (["rlnPixelSize"], "10"),
        (["rlnImagePixelSize"], "10"),
        (["cryosamVoxelSize"], "10"),
    ],
)
def test_a_stated_pixel_size(tmp_path, labels, values):
    path = star(tmp_path, [*XYZ, *labels], [f"1 2 3 {values}"])
    assert read_points(path).voxel_size == 10
    with pytest.raises(InputError, match="voxels of 10 Å, but the voxels here have 5 Å"):
        read_points(path, voxel_size=5)
    assert places(path, voxel_size=5, coords_angpix=10) == [[2, 4, 6]]


def test_two_statements_that_differ(tmp_path):
    path = star(tmp_path, [*XYZ, "rlnPixelSize", "cryosamVoxelSize"], ["1 2 3 10 12"])
    with pytest.raises(InputError, match="cryosamVoxelSize says 12 Å and rlnPixelSize 10 Å"):
        read_points(path)


def test_what_the_user_says_goes_first_and_is_told(tmp_path, caplog):
    path = star(tmp_path, [*XYZ, "rlnPixelSize"], ["1 2 3 10"])
    assert places(path, voxel_size=5, coords_angpix=20) == [[4, 8, 12]]
    assert "states pixels of 10 Å; taking them as 20 Å, as asked for" in caplog.text
    caplog.clear()
    assert places(path, voxel_size=5, coords_angpix=10) == [[2, 4, 6]]
    assert not caplog.text


def test_a_pixel_size_of_points_in_angstrom_has_no_effect(tmp_path, caplog):
    (tmp_path / "a.csv").write_text("x [nm],y [nm],z [nm]\n1,2,3\n")
    assert places(tmp_path / "a.csv", voxel_size=10, coords_angpix=1) == [[1, 2, 3]]
    assert not caplog.text
    assert places(tmp_path / "a.csv", voxel_size=10, coords_angpix=5) == [[1, 2, 3]]
    assert (
        "a.csv counts Å, not pixels: their size of 5 Å, as asked for, has no effect" in caplog.text
    )


def test_relion4_states_its_tilt_series(tmp_path):
    optics = block("optics", ["rlnOpticsGroup", "rlnTomoTiltSeriesPixelSize"], ["1 2", "2 4"])
    labels = ["rlnTomoName", *XYZ, "rlnOpticsGroup"]
    path = star(tmp_path, labels, ["TS_01 100 50 20 1", "TS_02 100 50 20 2"], optics)
    assert places(path, voxel_size=10) == [[20, 10, 4], [40, 20, 8]]
    with pytest.raises(InputError, match="row 2: the file states a tilt series of 4 Å"):
        read_points(path, voxel_size=10, tilt_series=TiltSeries(2.0))


def test_relion5_states_its_tilt_series(tmp_path, caplog):
    """Its centre is that of the tilt series' own size: another pixel size is another place."""
    optics = block("optics", ["rlnOpticsGroup", "rlnTomoTiltSeriesPixelSize"], ["1 2", "2 4"])
    labels = ["rlnTomoName", *CENTRED, "rlnOpticsGroup"]
    path = star(tmp_path, labels, ["TS_01 0 0 0 1", "TS_02 0 0 0 2"], optics)
    series = TiltSeries(2.0, (400, 300, 200))
    assert places(path, voxel_size=10, tilt_series=series) == [[40, 30, 20]] * 2
    assert "row 2: the file states a tilt series of 4 Å" in caplog.text
    caplog.clear()
    one = star(tmp_path, labels, ["TS_01 0 0 0 1"], optics)
    assert places(one, voxel_size=10, tilt_series=series) == [[40, 30, 20]]
    assert not caplog.text


@pytest.mark.parametrize("time", ["", "1"])
def test_particles_of_m_count_angstrom(tmp_path, caplog, time):
    """M may have a pose at each of several times; files of one time can lack its number."""
    poses = [*(f"wrpCoordinate{axis}" for axis in "XYZ"), "wrpAngleRot", "wrpAngleTilt"]
    later = [f"{label}2" for label in poses] if time else []
    labels = [*(label + time for label in poses), *later, "wrpSourceName", "wrpRandomSubset"]
    row = f"10 20 30 0 90 {'7 7 7 7 7' if time else ''} TS_01.tomostar 2"
    found = read_points(star(tmp_path, labels, [row]), voxel_size=10, coords_angpix=1)
    assert found.picks.points_zyx.tolist() == [[3, 2, 1]]
    assert (found.names, found.picks.extra) == (("TS_01.tomostar",), {"wrpRandomSubset": ("2",)})
    turned = found.picks.rotations.apply([0, 0, 1])
    np.testing.assert_allclose(
        turned, from_relion(np.array([[0, 90, 0]])).apply([0, 0, 1]), atol=1e-9
    )
    assert ("poses at 2 times here; the first is taken" in caplog.text) == bool(time)
    with pytest.raises(InputError, match="a coordinate in Å needs the voxel size"):
        read_points(star(tmp_path, labels, [row]))
    both = [*XYZ, *labels, "rlnMicrographName"]
    assert places(star(tmp_path, both, [f"1 2 3 {row} TS_01"]), voxel_size=10) == [[1, 2, 3]]
    named = [*labels, "rlnMicrographName"]
    assert read_points(star(tmp_path, named, [f"{row} A"]), voxel_size=10).names == ("A",)


def test_shifts_in_pixels_of_the_images(tmp_path):
    shifts = [f"rlnOrigin{axis}" for axis in "XYZ"]
    optics = block("optics", ["rlnImagePixelSize"], ["2.5"])
    path = star(tmp_path, [*XYZ, *shifts], ["100 50 20 4 8 -4"], optics)
    assert places(path, voxel_size=2.5) == [[96, 42, 24]]
    both = [*shifts, *[f"{label}Angst" for label in shifts]]
    path = star(tmp_path, [*XYZ, *both], ["100 50 20 4 8 -4 10 20 -10"], optics)
    assert places(path, voxel_size=2.5) == [[96, 42, 24]]
    path = star(tmp_path, [*XYZ, *both], ["100 50 20 4 8 -4 99 20 -10"], optics)
    with pytest.raises(InputError, match="rlnOriginXAngst and rlnOriginX are different shifts"):
        read_points(path, voxel_size=2.5)


def test_fractions_of_warps_template_matching(tmp_path):
    rows = [f"0.{i}1 0.{i}2 0.{i}3 TS_01.tomostar" for i in range(1, 6)]
    path = star(tmp_path, [*XYZ, "rlnMicrographName"], rows)
    with pytest.raises(InputError, match="all 5 coordinates lie between 0 and 1"):
        read_points(path, voxel_size=10)
    path = star(tmp_path, [*XYZ, "rlnMicrographName"], rows[:1])
    with pytest.raises(InputError, match="as Warp's template matching writes them"):
        read_points(path, voxel_size=10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x [nm],y [nm],z [nm]\n1,2,3\n", [1, 2, 3]),
        ("coord_x;coord_y;coord_z\n1;2;3\n", [1, 2, 3]),
        ("X_angstrom\tY_angstrom\tZ_angstrom\n10\t20\t30\n", [1, 2, 3]),
        ("z_px,y_px,x_px\n3,2,1\n", [1, 2, 3]),
        ("# z y x\n3 2 1\n", [1, 2, 3]),
        ("# x,y,z,score\n1,2,3,0.5\n", [1, 2, 3]),  # NumPy's savetxt
        ("# by hand\n%z y x score\n3 2 1 0.5\n", [1, 2, 3]),
        ("  # x [nm], y [nm], z [nm]\n1,2,3\n", [1, 2, 3]),
        ("# x [Å], y [Å], z [Å]\n10,20,30\n", [1, 2, 3]),
        ("sep=;\nx;y;z\n1;2;3\n;;\n;;\n", [1, 2, 3]),  # Excel's
        ("x|y|z\n1|2|3\n", [1, 2, 3]),
        ("# x|y|z\n1|2|3\n", [1, 2, 3]),
        ("# made by us\n1 2 3\n", [1, 2, 3]),
        ("index,axis-0,axis-1,axis-2,axis-3\n0,0,3,2,1\n1,0,3,2,1\n", [1, 2, 3]),
        ("index,axis-0,axis-1,axis-2\n0,3,2,1\n", [1, 2, 3]),
        ("label,centroid-0,centroid-1,centroid-2\n7,3,2,1\n", [1, 2, 3]),  # scikit-image
        ("x (μm),y (μm),z (μm)\n0.001,0.002,0.003\n", [1, 2, 3]),
        ("x,y,z,unit\n10,20,30,Angstrom\n", [1, 2, 3]),
        ("x,y,z,units\n1,2,3,nm\n", [1, 2, 3]),
        ("x,y,z,unit\n1,2,3,voxel\n", [1, 2, 3]),
    ],
)
def test_what_a_header_says(tmp_path, text, expected):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert places(tmp_path / "a.csv", voxel_size=10)[0] == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,1,2\n40,30,12\n", "begins with 0,1,2, a header of a table without names or a point"),
        ("x,y_nm,z\n1,2,3\n", "x, y and z in several columns or units"),
        ("x,y,z,x_px\n1,2,3,4\n", "x, y and z in several columns or units"),
        ("axis-0,axis-1,axis-2,axis-3\n0,3,2,1\n1,3,2,1\n", "several places of axis-0"),
        ("width,y,z\n1,2,3\n", "no coordinates; expected the columns x, y, z, got width, y, z"),
        ("axis-0,axis-1,axis-1,axis-2\n1,2,2,3\n", "no coordinates; expected the columns x, y"),
        ("x,y,z,unit\n1,2,3,nm\n1,2,3,voxel\n", "unit says 'nm and voxel'; expected voxel,"),
        ("x,y,z,unit\n1,2,3,furlong\n", "the column unit says 'furlong'; expected voxel,"),
        (" ,X,Y,Slice,Counter\n1,3,2,1,0\n", "ImageJ, which counts slices from 1; write z = Sli"),
        ("Name,X,Y,Width,Height,C,Z,T\na,3,2,0,0,1,1,1\n", "regions of ImageJ, by their corners"),
        ("CCC,pIndex,xOffset,yOffset,zOffset\n1,1,0,0,0\n", "PEET, whose points are in the model"),
        (
            "shape-type,axis-0,axis-1,axis-2\nellipse,3,2,1\nellipse,3,2,9\n",
            "corners of shapes of napari",
        ),
    ],
)
def test_headers_that_are_refused(tmp_path, text, says):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=says):
        read_points(tmp_path / "a.csv", voxel_size=10)


def test_tables_of_programs_that_count_angstrom(tmp_path, caplog):
    matrix = [f"transform_{row}{column}" for row in range(4) for column in range(4)]
    turned = "0,-1,0,0,1,0,0,0,0,0,1,0,0,0,0,1"
    (tmp_path / "a.csv").write_text(
        f"run_name,x,y,z,{','.join(matrix)},score,instance_id\nTS_1,10,20,30,{turned},0.9,1\n"
    )
    found = read_points(tmp_path / "a.csv", voxel_size=10)
    assert found.picks.points_zyx.tolist() == [[3, 2, 1]]
    assert (found.names, found.picks.scores.tolist()) == (("TS_1",), [0.9])
    np.testing.assert_allclose(found.picks.rotations.apply([1, 0, 0]), [[0, 1, 0]], atol=1e-9)
    assert "taken as Å, which they are in tables with columns transform_00" in caplog.text
    (tmp_path / "b.csv").write_text("id,experiment,particle_type,x,y,z\n0,TS_1,ribosome,10,20,30\n")
    assert places(tmp_path / "b.csv", voxel_size=10) == [[1, 2, 3]]
    assert "columns experiment and particle_type" in caplog.text
    (tmp_path / "c.csv").write_text(
        "Density\tPolyData\tTomo3D\tType\tLabel\tCode\tX\tY\tZ\n"
        "a/tomo_den_0.mrc\ta/p.vtp\ta/tomo_rec_0.mrc\tSAWLC\t3\tpdb_4v4r\t10\t20\t30\n"
    )
    found = read_points(tmp_path / "c.csv", voxel_size=10)
    assert found.picks.points_zyx.tolist() == [[3, 2, 1]]
    assert (found.names, found.classes) == (("a/tomo_rec_0.mrc",), ("pdb_4v4r",))


def test_two_columns_of_one_name_that_mean_nothing(tmp_path, caplog):
    (tmp_path / "a.csv").write_text("x,y,z,note,note\n3,2,1,a,b\n")
    assert places(tmp_path / "a.csv", voxel_size=10) == [[3, 2, 1]]
    assert "not read, as unknown: the column note, note." in caplog.text
    for axes in ("x,y,z", "axis-2,axis-1,axis-0"):
        (tmp_path / "a.csv").write_text(f"{axes},score,confidence\n3,2,1,0.5,7\n")
        found = read_points(tmp_path / "a.csv", voxel_size=10)
        assert found.picks.scores.tolist() == [0.5]


def test_a_table_of_regions_has_sizes_and_numbers(tmp_path):
    """scikit-image's label is a number of its own for each, its volume no tomogram."""
    text = "label,centroid_x,centroid_y,centroid_z,volume\n1,3,2,1,520\n2,6,5,4,310.5\n"
    (tmp_path / "a.csv").write_text(text)
    found = read_points(tmp_path / "a.csv", voxel_size=10)
    assert found.picks.points_zyx.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert (found.names, found.classes) == (None, None)
    (tmp_path / "a.csv").write_text(text.replace("520", "TS_1").replace("2,6", "1,6"))
    found = read_points(tmp_path / "a.csv", voxel_size=10)
    assert (found.names, found.classes) == (("TS_1", "310.5"), ("1", "1"))


def test_a_table_with_the_labels_of_a_star_file_is_read_as_one(tmp_path, caplog):
    labels = [*XYZ, "rlnTomoName", *(f"rlnOrigin{axis}Angst" for axis in "XYZ"), "rlnObject"]
    (tmp_path / "a.csv").write_text(f",{','.join(labels)}\n0,100,50,20,TS_1,10,0,0,7\n")
    found = read_points(tmp_path / "a.csv", voxel_size=10, tilt_series=TiltSeries(1))
    assert found.picks.points_zyx[:, ::-1].tolist() == [[9, 5, 2]]
    assert (found.names, found.picks.extra) == (("TS_1",), {"rlnObject": ("7",)})
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text("Unnamed: 0" + text)
    again = read_points(tmp_path / "a.csv", voxel_size=10, tilt_series=TiltSeries(1))
    assert again.picks.points_zyx[:, ::-1].tolist() == [[9, 5, 2]]
    (tmp_path / "a.csv").write_text("mine" + text)
    assert places(tmp_path / "a.csv", voxel_size=10) == [[100, 50, 20]]
    assert "not read, as unknown: the column rlnoriginxangst." in caplog.text
    (tmp_path / "b.csv").write_text(f"{','.join(CENTRED)}\n-100,50,20\n")
    size = TiltSeries(1, (400, 300, 200))
    assert places(tmp_path / "b.csv", voxel_size=10, tilt_series=size) == [[10, 20, 12]]


def model(flags=0, pixel_size=1.0, unit=0, more=b""):
    head = b"IMODV1.2" + bytes(128) + struct.pack(">4iI", 64, 64, 24, 1, flags) + bytes(60)
    head += struct.pack(">fi", pixel_size, unit) + bytes(16)
    contour = b"CONT" + struct.pack(">iIii3f", 1, 0, 0, 0, 40.5, 30.5, 12)
    return head + b"OBJT" + bytes(176) + contour + more + b"IEOF"


def mesh():
    indices = [-23, 0, 1, 2, -22, -1]
    head = struct.pack(">iiIhh", 3, len(indices), 0, 0, 0)
    return b"MESH" + head + bytes(36) + struct.pack(">6i", *indices)


@pytest.mark.parametrize("length", [0, 12, 16, 40])
def test_models_are_read_by_the_lengths_they_state(tmp_path, length):
    more = b"IMAT" + struct.pack(">i", length) + bytes(length) + mesh()
    (tmp_path / "a.mod").write_bytes(model(more=more))
    assert places(tmp_path / "a.mod") == [[40, 30, 12]]


def test_a_flipped_model_is_turned_back(tmp_path):
    (tmp_path / "a.mod").write_bytes(model(flags=1 << 16))
    assert places(tmp_path / "a.mod") == [[40, 11.5, 30.5]]


def test_a_model_states_its_pixel_size(tmp_path):
    (tmp_path / "a.mod").write_bytes(model(pixel_size=0.5, unit=-9))
    assert read_points(tmp_path / "a.mod").voxel_size == 5
    with pytest.raises(InputError, match="voxels of 5 Å, but the voxels here have 10 Å"):
        read_points(tmp_path / "a.mod", voxel_size=10)


@pytest.mark.parametrize("cut", [241, 300, 420, 440])
def test_a_model_that_is_cut_off(tmp_path, cut):
    (tmp_path / "a.mod").write_bytes(model()[:cut])
    with pytest.raises(InputError, match="is cut off: an IMOD model ends with IEOF"):
        read_points(tmp_path / "a.mod")


def test_a_length_that_goes_back(tmp_path):
    more = b"IMAT" + struct.pack(">i", -8) + bytes(8)
    (tmp_path / "a.mod").write_bytes(model(more=more))
    with pytest.raises(InputError, match="is cut off"):
        read_points(tmp_path / "a.mod")


def test_boxes_along_filaments_stand_behind_their_ends(tmp_path):
    labels = ["CoordinateX", "CoordinateY", "CoordinateZ", "filamentid", "Width", "Height"]
    ends = block("filament_vertices", labels, ["0 0 5 0 20 20", "90 0 5 0 20 20"])
    boxes = block("cryolo", labels, ["30 10 5 0 20 20"])
    (tmp_path / "a.cbox").write_text(f"data_global\n\n_cbox_format_version 1.0\n\n{ends}\n{boxes}")
    assert read_points(tmp_path / "a.cbox").picks.points_zyx.tolist() == [[5, 20, 40]]


def test_complex_numbers_of_matlab_are_real(tmp_path):
    row = [*["0"] * 9, "0.5", *["0"] * 9, "3", "0", "1", "0", "40.5+0i", "30", "-1.2e1-1.7075e-06i"]
    (tmp_path / "a.tbl").write_text(" ".join([*row, "0+1.7075e-06i"]) + "\n")
    assert read_points(tmp_path / "a.tbl").picks.points_zyx.tolist() == [[-12, 30, 40.5]]


def test_rows_of_dynamo(tmp_path, caplog):
    row = ["1", "1", "1", ".5", "0", "-1", *["0"] * 3, "nan", *["0"] * 9, "3", "0", "nan", "0"]
    (tmp_path / "a.tbl").write_text(" ".join([*row, "40", "30", "12", *["0"] * 9]) + "\n")
    with caplog.at_level(logging.WARNING):
        points = read_points(tmp_path / "a.tbl")
    assert points.picks.points_zyx.tolist() == [[11, 30, 40.5]]
    assert points.classes == ("none",)
    assert np.isnan(points.picks.scores).all()


def test_sizes_that_tomograms_star_leaves_open(tmp_path):
    labels = ["rlnTomoName", "rlnTomoTiltSeriesPixelSize", "rlnTomoTomogramBinning"]
    labels += [f"rlnTomoSize{axis}" for axis in "XYZ"]
    rows = ["TS_01 1.35 nan 3838 3710 <NA>", "TS_02 1.35 8 0 0 0", "TS_03 1.35 8 4 5 6"]
    (tmp_path / "t.star").write_text(block("global", labels, rows))
    first, second, third = read_tomograms_star(tmp_path / "t.star").series
    assert (first.size_xyz, first.binning) == (None, None)
    assert (second.size_xyz, second.binning) == (None, 8)
    assert third.size_xyz == (4, 5, 6)


def test_an_optimisation_set_in_place_of_tomograms_star(tmp_path):
    labels = ["rlnTomoParticlesFile", "rlnTomoTomogramsFile"]
    rows = ["Extract/job012/particles.star Tomograms/job006/tomograms.star"]
    (tmp_path / "o.star").write_text(block("optimisation_set", labels, rows))
    with pytest.raises(InputError, match=r"it names, Tomograms/job006/tomograms\.star\."):
        read_tomograms_star(tmp_path / "o.star")


def test_boxes_without_depth(tmp_path):
    labels = ["CoordinateX", "CoordinateY", "CoordinateZ", "Width", "Height", "Confidence"]
    rows = ["10 20 7 32 32 0.5", "11 21 8 32 32 <NA>"]
    (tmp_path / "a.cbox").write_text(block("cryolo", labels, rows))
    picks = read_points(tmp_path / "a.cbox").picks
    assert picks.points_zyx.tolist() == [[7, 36, 26], [8, 37, 27]]
    assert picks.scores[0] == 0.5
    assert np.isnan(picks.scores[1])


def test_fields_that_copick_leaves_open(tmp_path):
    empty = {"pickable_object_name": None, "run_name": None, "voxel_spacing": None}
    points = [{"location": {"x": 10, "y": 20, "z": 30}, "score": score} for score in (0.5, None)]
    (tmp_path / "a.json").write_text(json.dumps({**empty, "points": points}))
    found = read_points(tmp_path / "a.json", voxel_size=10)
    assert found.picks.points_zyx.tolist() == [[3, 2, 1]] * 2
    assert (found.names, found.classes, found.voxel_size) == (None, ("none", "none"), None)
    (tmp_path / "a.json").write_text(json.dumps({**empty, "points": None}))
    assert len(read_points(tmp_path / "a.json", voxel_size=10).picks) == 0


def test_a_table_of_imodmodel_counts_from_the_corner(tmp_path, caplog):
    """As the model does that it was read from; the objects are classes."""
    path = tmp_path / "a.csv"
    path.write_text(",object_id,contour_id,x,y,z\n0,0,0,40.5,30.5,12.0\n1,2,0,10.5,11.5,3\n")
    found = read_points(path)
    assert found.picks.points_zyx.tolist() == [[12, 30, 40], [3, 11, 10]]
    assert found.classes == ("0", "2")
    assert "its x and y count from the corner of the first voxel" in caplog.text


def test_boxes_may_be_told_by_a_corner(tmp_path, caplog):
    path = tmp_path / "a.csv"
    path.write_text("x,y,z,w,h,d\n1,2,3,9,9,9\n")
    assert read_points(path).picks.points_zyx.tolist() == [[3, 2, 1]]
    assert caplog.messages == [f"{path}: not read, as unknown: the column w, h, d."]


def test_beads_on_images_are_no_points_of_a_tomogram(tmp_path):
    path = tmp_path / "TS_01.fid"
    path.write_bytes(b"IMODV1.2" + bytes(300))
    with pytest.raises(InputError, match="in the images of a tilt series; name a model of the"):
        read_points(path)


@pytest.mark.parametrize("label", ["nx", "rot", "euler_z", "Q1", "phi"])
def test_columns_of_angles_are_told(tmp_path, caplog, label):
    path = tmp_path / "a.csv"
    path.write_text(f"x,y,z,{label}\n1,2,3,0\n4,5,6,0\n")
    read_points(path)
    assert not caplog.messages
    path.write_text(f"x,y,z,{label}\n1,2,3,0\n4,5,6,0.5\n")
    read_points(path)
    assert caplog.messages == [f"{path}: not read, as unknown: the column {label.lower()}."]


@pytest.mark.parametrize(("width", "says"), [(20, "columns 8 to 10"), (42, r"ends in \.tbl")])
def test_tables_without_names_that_are_known_by_their_width(tmp_path, width, says):
    path = tmp_path / "a.csv"
    path.write_text(",".join(["1"] * width) + "\n")
    with pytest.raises(InputError, match=f"has {width} columns without names.*{says}"):
        read_points(path)


def test_a_volume_is_no_file_of_points(tmp_path):
    path = tmp_path / "a.mrc"
    write_volume(path, np.zeros((3, 4, 5), np.float32), voxel_size=10)
    with pytest.raises(InputError, match=r"a\.mrc is an MRC volume; .* of their centroids"):
        read_points(path)


def test_a_table_with_users_and_sessions_is_of_copick(tmp_path, caplog):
    path = tmp_path / "a.csv"
    path.write_text(
        "run_name,object_name,user_id,session_id,location_x,location_y,location_z\n"
        "TS_1,vault,me,1,10,20,30\n"
    )
    assert read_points(path, voxel_size=10).picks.points_zyx.tolist() == [[3, 2, 1]]
    assert "its x, y, z are taken as Å, which they are in tables with columns" in caplog.text


def test_a_pixel_size_in_another_unit_is_told(tmp_path, caplog):
    path = tmp_path / "a.csv"
    path.write_text("x,y,z,pixel_size_nm\n1,2,3,0.5\n")
    read_points(path, voxel_size=10)
    assert caplog.messages == [f"{path}: not read, as unknown: the column pixel_size_nm."]


def test_a_generic_list_of_artiax(tmp_path, caplog):
    """Its shifts are added to its places, and its angles are TOM's."""
    path = tmp_path / "a.tsv"
    labels = "pos_x pos_y pos_z shift_x shift_y shift_z phi the psi score"
    path.write_text("\t".join(labels.split()) + "\n10\t20\t30\t1\t-2\t0.5\t40\t50\t60\t0.7\n")
    found = read_points(path)
    assert found.picks.points_zyx.tolist() == [[30.5, 18, 11]]
    turned = found.picks.rotations.inv() * from_av3(np.array([[40, 50, 60]]))
    assert turned.magnitude()[0] < 1e-9
    assert not caplog.messages
    path.write_text(path.read_text().splitlines()[0] + "\n")
    assert len(read_points(path).picks) == 0


def test_shifts_in_a_table_of_copick_are_added(tmp_path):
    path = tmp_path / "a.csv"
    matrix = [f"transform_{row}{column}" for row in range(4) for column in range(4)]
    values = "1,0,0,5,0,1,0,-10,0,0,1,0,0,0,0,1"
    path.write_text(f"run_name,x,y,z,{','.join(matrix)},score\nTS_1,100,200,300,{values},0.5\n")
    found = read_points(path, voxel_size=10)
    np.testing.assert_allclose(found.picks.points_zyx, [[30, 19, 10.5]])


def test_a_star_file_of_copick_counts_voxels(tmp_path):
    """Its optics state images of the tomogram's voxels, and no tilt series as RELION's do."""
    path = tmp_path / "a.star"
    optics = "data_optics\n\nloop_\n_rlnOpticsGroup\n_rlnImagePixelSize\n1 10\n\n"
    labels = "".join(f"_rlnCoordinate{axis}\n" for axis in "XYZ")
    path.write_text(
        f"{optics}data_particles\n\nloop_\n_rlnTomoName\n{labels}_rlnOpticsGroup\nTS_1 1 2 3 1\n"
    )
    series = TiltSeries(2.5, (400, 400, 200))
    found = read_points(path, voxel_size=10, tilt_series=series)
    assert found.picks.points_zyx.tolist() == [[3, 2, 1]]
    with pytest.raises(InputError, match="written in voxels of 10 Å, but the voxels here have 5 Å"):
        read_points(path, voxel_size=5, tilt_series=series)


def test_labels_of_the_first_pytom_match_pick(tmp_path):
    path = tmp_path / "a.star"
    labels = ("CoordinateX", "CoordinateY", "CoordinateZ", "LCCmax", "DetectorPixelSize")
    text = "data_\n\nloop_\n" + "".join(f"_ptm{one}\n" for one in (*labels, "MicrographName"))
    path.write_text(text + "10 20 30 0.4 5 TS_1\n")
    found = read_points(path, voxel_size=5)
    assert found.picks.points_zyx.tolist() == [[30, 20, 10]]
    assert (found.picks.scores.tolist(), found.names) == ([0.4], ("TS_1",))
    with pytest.raises(InputError, match="written in voxels of 5 Å"):
        read_points(path, voxel_size=10)


def test_files_of_pytme(tmp_path):
    """Its STAR files have a score of its own; its tables the pixel size a column too early."""
    path = tmp_path / "a.star"
    labels = [f"rlnCoordinate{axis}" for axis in "XYZ"]
    text = "data_particles\n\nloop_\n" + "".join(f"_{one}\n" for one in [*labels, "pytmeScore"])
    path.write_text(text + "10\t20\t30\t0.4\n")
    assert read_points(path).picks.scores.tolist() == [0.4]
    path = tmp_path / "a.tbl"
    row = "0 1 0 0 0 0 1 2 3 0.4 0.4 0 0 -90 90 -60 60 0 0 0 0 0 0 10 20 30 0 0 0 0 0 0 0 0 5 3 0 0"
    path.write_text(f"{row}\n")
    assert read_points(path, voxel_size=5).picks.points_zyx.tolist() == [[30, 20, 10]]
    with pytest.raises(InputError, match="written in voxels of 5 Å"):
        read_points(path, voxel_size=10)


def test_probabilities_of_some_points_only(tmp_path, caplog):
    """As where files of picks have been joined by another program."""
    path = tmp_path / "a.star"
    labels = "".join(
        f"_{one}\n" for one in (*(f"rlnCoordinate{a}" for a in "XYZ"), "cryosamProbability")
    )
    path.write_text(f"data_\n\nloop_\n{labels}1 2 3 0.5\n4 5 6 nan\n")
    assert read_points(path).picks.probabilities is None
    told = f"{path}: 1 of 2 points have no cryosamProbability, and so it is not read."
    assert caplog.messages == [told]
    path.write_text(f"data_\n\nloop_\n{labels}1 2 3 0.5\n4 5 6 0.25\n")
    assert read_points(path).picks.probabilities.tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    "label", ["metric_best", "CC_score", "mean_confidence", "Similarity", "peak value"]
)
def test_scores_by_less_usual_names(tmp_path, caplog, label):
    path = tmp_path / "a.csv"
    path.write_text(f"x,y,z,size,{label},score_threshold\n1,2,3,37,0.5,0.1\n4,5,6,37,0.7,0.1\n")
    assert read_points(path).picks.scores.tolist() == [0.5, 0.7]
    path.write_text(f"x,y,z,{label},score\n1,2,3,7,0.5\n")  # a usual name goes before
    assert read_points(path).picks.scores.tolist() == [0.5]
    assert not caplog.messages


def test_tables_of_emclarity_are_not_taken_for_those_of_dynamo(tmp_path):
    """Columns 11 to 13 are x, y, z, and 17 to 25 a rotation, here of 90° about z."""
    row = [1.03, 6, 0, 1, 0, 0, 0, 0, 0, 1, 600, 700, 200, 90, 0, 0, 0, 1, 0, -1, 0, 0, 0, 0, 1, 1]
    path = tmp_path / "TS_01_1_bin6.csv"
    path.write_text(" ".join(map(str, row)) + "\n")
    with pytest.raises(InputError, match="a table of emClarity, whose columns 11 to 13 count"):
        read_points(path)
    row[20] = 2
    path.write_text(" ".join(map(str, row)) + "\n")
    with pytest.raises(InputError, match=r"26 columns without names.*ends in \.tbl"):
        read_points(path)


@pytest.mark.parametrize("names", ["Xpos,Ypos,Zpos", "xcoor,ycoor,zcoor", "XCoord,YCoord,ZCoord"])
def test_axes_in_one_word_with_what_they_are(tmp_path, names):
    (tmp_path / "a.csv").write_text(f"{names}\n3,2,1\n")
    assert places(tmp_path / "a.csv", voxel_size=10) == [[3, 2, 1]]


def test_sizes_of_boxes_along_axes_are_told(tmp_path, caplog):
    path = tmp_path / "a.csv"
    path.write_text("x,y,z,x_size,y_size,z_size\n3,2,1,9,9,9\n")
    read_points(path)
    assert caplog.messages == [f"{path}: not read, as unknown: the column x_size, y_size, z_size."]


PICKED = "data_\n\nloop_\n_rlnTomoName\n" + "".join(f"_{axis}\n" for axis in XYZ)
FOUR = TiltSeries(2.5, (400, 400, 200))  # at 10 Å 100 x 100 x 50 voxels


@pytest.mark.parametrize("kind", ["particles", "spheres", "filaments"])
def test_clicks_in_the_picker_of_relion_5_count_voxels(tmp_path, kind):
    """Also beside its tomograms.star, by which RELION 4's coordinates count pixels."""
    path = tmp_path / "Picks" / "job009" / "annotations" / f"TS_01_{kind}.star"
    path.parent.mkdir(parents=True)
    path.write_text(PICKED + "TS_01 30 40 20\n")
    assert places(path, voxel_size=10, tilt_series=FOUR) == [[30, 40, 20]]


def test_voxels_that_are_taken_as_pixels_of_the_tilt_series_lie_in_a_corner(tmp_path, caplog):
    path = tmp_path / "a.star"
    path.write_text(PICKED + "TS_01 30 40 20\nTS_01 90 80 40\nTS_01 50 60 30\n")
    assert places(path, voxel_size=10, tilt_series=FOUR)[1] == [22.5, 20, 10]
    assert "in the first 22 % of every axis, as pixels of the tilt series" in caplog.text
    assert "coords_angpix=10" in caplog.text
    caplog.clear()
    path.write_text(PICKED + "TS_01 30 40 20\nTS_01 290 80 40\nTS_01 50 60 30\n")
    places(path, voxel_size=10, tilt_series=FOUR)
    assert not caplog.text
