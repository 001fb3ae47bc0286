"""Validation: every trap of every format is found, and what is right is left alone."""

import gzip

import numpy as np
import pytest

from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import FORMATS
from aitom_cryosam.points.formats.relion_warp import write_picks, write_proposals
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.star_syntax import read_blocks, scan
from aitom_cryosam.points.tilt_series import read_tomograms_star
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.points.writing import project_files
from aitom_cryosam.validation import Report, check
from aitom_cryosam.validation.finding import Expected
from aitom_cryosam.volumes.mrc import write_volume

# 24 points all over a tomogram at 10.8 Å, from a tilt series of 3838 × 3710 pixels at 1.35 Å.
POINTS = [(z, y, x) for z in (5, 190) for y in (9, 200, 455) for x in (7, 100, 300, 470)]
PICKS = Picks.from_points(np.array(POINTS, float), np.linspace(1, 0.1, 24))
SHAPE = (200, 464, 480)
FRAME = TomogramInfo("TS_01_10.80Apx", 10.8, SHAPE, TiltSeries(1.35, (3838, 3710, 1600)))
SERIES = ("Name", "TiltSeriesPixelSize", "TomogramBinning", "SizeX", "SizeY", "SizeZ")
XYZ = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
CENTRED = tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")


def star(path, labels, rows, block="particles"):
    columns = "".join(f"_{label} #{number}\n" for number, label in enumerate(labels, 1))
    path.write_text(f"data_{block}\n\nloop_\n{columns}" + "".join(f"{row}\n" for row in rows))
    return path


def tomograms(path, *rows):
    rows = rows or ("TS_01 1.35 8 3838 3710 1600", "00255 1.35 8 3838 3710 1600")
    star(path, [f"rlnTomo{label}" for label in SERIES], rows, "global")
    return read_tomograms_star(path)


def save(files):
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(files)


def said(report: Report, severity=None) -> list[str]:
    return [
        finding.text
        for finding in report.findings
        if severity is None or finding.severity.value == severity
    ]


def of(report: Report, program: str) -> str:
    [text] = [one.text for one in report.verdicts if one.program.startswith(program)]
    return text


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_here_is_valid_without_a_finding(tmp_path, name):
    project = tomograms(tmp_path / "tomograms.star")
    other = TomogramInfo("00255_10.80Apx", 10.8, SHAPE, FRAME.tilt_series)
    groups = [(PICKS, FRAME), (PICKS, other)]
    files = save(
        project_files(name, tmp_path / "out", groups, tomograms_star=tmp_path / "tomograms.star")
    )
    assert files
    for path in files:
        if path.suffix == ".doc":
            continue
        for world in (
            Expected(),
            Expected(TomogramInfo("", 10.8, SHAPE, FRAME.tilt_series), distance=100),
            Expected(TomogramInfo("", 10.8, SHAPE if name == "eman2" else None), project),
        ):
            report = check(path, world)
            assert (report.path, said(report)) == (path, [])
            assert report.valid
            assert report.content
            assert any(verdict.reads for verdict in report.verdicts)


def test_the_files_of_a_run_are_valid_without_a_finding(tmp_path):
    write_picks(tmp_path / "a_picks.star", PICKS, FRAME)
    write_proposals(tmp_path / "a_proposals.star", PICKS, FRAME)
    for file in ("a_picks.star", "a_proposals.star"):
        report = check(tmp_path / file, Expected(FRAME))
        assert said(report) == []
        assert report.content == "24 points of TS_01 in voxels of 10.8 Å"
        assert (
            of(report, "WarpTools") == "reads 24 particles of 1 tomogram with --coords_angpix 10.8"
        )


def verdicts(tmp_path, name):
    [path, *_] = save(project_files(name, tmp_path / f"a{FORMATS[name].ending}", [(PICKS, FRAME)]))
    return {one.program: one.text for one in check(path, Expected(FRAME)).verdicts}


def test_what_each_program_does_with_relion5(tmp_path):
    assert verdicts(tmp_path, "relion5") == {
        "RELION 5 Extract": "reads 24 particles of 1 tomogram in Å from the centre",
        "RELION 5 Import Coordinates": "refuses: no rlnTomoImportParticleFile: it wants a list of "
        "files (relion#1287)",
        "RELION 4 import_particles": "refuses: no rlnCoordinateX, Y, Z in data_particles",
        "RELION 3.1": "refuses: no rlnCoordinateX, Y, Z in data_particles",
        "WarpTools ts_export_particles": "refuses: it does not read rlnCenteredCoordinateXAngst "
        "(warp#288)",
        "M create_species": "refuses: it does not read rlnCenteredCoordinateXAngst (warp#288)",
    }


def test_what_each_program_does_with_relion4(tmp_path):
    found = verdicts(tmp_path, "relion4")
    pixels = "reads 24 particles of 1 tomogram in pixels of the tilt series"
    assert found["RELION 5 Extract"] == found["RELION 4 import_particles"] == pixels
    assert found["WarpTools ts_export_particles"] == (
        "refuses: no rlnTomoName is like TS_01.tomostar, a file name without folder"
    )
    assert found["M create_species"] == "refuses: no rlnAngleRot, rlnAngleTilt, rlnAnglePsi in " + (
        "data_particles"
    )


def test_what_each_program_does_with_warp(tmp_path):
    found = verdicts(tmp_path, "warp")
    assert found["RELION 5 Extract"] == "refuses: no rlnTomoName in data_particles"
    assert found["WarpTools ts_export_particles"].endswith("1 tomogram with --coords_angpix 10.8")
    assert found["M create_species"] == (
        "reads 24 particles of 1 tomogram, by file name, with --angpix_coords 10.8"
    )


def test_voxels_that_relion_takes_for_pixels_are_told(tmp_path):
    rows = [f"TS_01.tomostar {x} {y} {z}" for z, y, x in POINTS]
    path = star(tmp_path / "a.star", ("rlnTomoName", *XYZ), rows)
    project = tomograms(tmp_path / "tomograms.star", "TS_01.tomostar 1.35 8 3838 3710 1600")
    report = check(path, Expected(TomogramInfo("", 10.8), project))
    assert of(report, "RELION 5 Extract") == (
        "reads 24 particles of 1 tomogram in pixels of the tilt series, 8 times too near to the "
        "corner: they count 10.8 Å"
    )


@pytest.mark.parametrize(
    ("labels", "row", "program", "says"),
    [
        (XYZ, "1.5 2 3", "RELION 3.1", "tomogram beside it, fractions cut off"),
        (XYZ, "1.0 2 3", "RELION 3.1", "reads 1 particle in voxels of the tomogram beside it"),
        (XYZ, "1 2 3", "WarpTools", "refuses: no rlnMicrographName in data_particles"),
        (
            (*XYZ, "rlnTomoName", "rlnOriginXAngst"),
            "1 2 3 a.tomostar 4",
            "WarpTools",
            "refuses: shifts in Å without rlnImagePixelSize",
        ),
        (
            (*XYZ, "rlnTomoName", "rlnOriginXAngst", "rlnImagePixelSize"),
            "1 2 3 a.tomostar 4 2",
            "WarpTools",
            "reads 1 particle of 1 tomogram with --coords_angpix 2",
        ),
    ],
)
def test_verdicts(tmp_path, labels, row, program, says):
    assert of(check(star(tmp_path / "a.star", labels, [row])), program).endswith(says)


def test_the_project_knows_the_voxel_size(tmp_path):
    path = star(tmp_path / "a.star", (*XYZ, "rlnMicrographName"), ["1 2 3 TS_01.tomostar"])
    world = Expected(tomograms=tomograms(tmp_path / "tomograms.star"))
    assert of(check(path, world), "WarpTools").endswith("with --coords_angpix 10.8")


def test_some_names_that_warp_does_not_find(tmp_path):
    labels = (*XYZ, "rlnMicrographName", *ANGLES)
    rows = ["1 2 3 a.tomostar 0 0 0", "4 5 6 sub/b.tomostar 0 0 0"]
    report = check(star(tmp_path / "a.star", labels, rows))
    assert of(report, "WarpTools").endswith("1 of them without a name like TS_01.tomostar are lost")
    assert of(report, "RELION 3.1").endswith("beside it, all as of one")
    assert said(report, "warning") == [
        "rlnMicrographName is 'sub/b.tomostar'; WarpTools finds only 'b.tomostar'"
    ]


MISTAKES = ": an empty value or one with a space, a comment behind it, or a file that is cut off"
GOOD = "data_particles\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n_rlnCoordinateZ #3\n"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (GOOD + "1 2 3\n\n", []),
        ("# made by us\n\n" + GOOD + "\n1 2 3\n", []),
        ("# the data_particles\n" + GOOD, ["line 1: RELION begins a block at data_ in a comment"]),
        (
            GOOD + "1 2 3\n\n4 5 6\n\n7 8 9\n",
            ["line 8: no row after this blank line is read by RELION"],
        ),
        (GOOD + "1 2 3\n1 a b 3\n", ["line 8: 4 values for 3 columns" + MISTAKES]),
        (GOOD.replace(" #2", "#2"), ["line 5: no space before # in _rlnCoordinateY#2"]),
        (
            GOOD + "1 2 3\n\n" + GOOD,
            ["line 9: a second block data_particles is not read by RELION"],
        ),
        (GOOD + "loop_\n", ["line 7: a second loop_ in data_particles"]),
        (
            "loop_\n_a #1\n",
            ["line 1: text before the first data_; begin it with #, or call a plain table .csv"],
        ),
        (GOOD.replace("_rln", "rln"), ["line 4: no label begins with _ above rlnCoordinateX"]),
        ("data_\n_a 1\n_b 2\n", []),
        (
            GOOD.replace("data_", "DATA_").replace("loop_", "Loop_") + "1 2 3\n",
            [
                "line 1: RELION and Warp read data_ in small letters only",
                "line 3: RELION and Warp read loop_ in small letters only",
            ],
        ),
    ],
)
def test_what_strict_readers_stumble_over(text, problems):
    assert [problem.text for problem in scan(text)[1]] == problems


def test_blocks_as_they_are():
    [general, particles], _ = scan("data_general\n\n_a 1\n_b\n\n" + GOOD + "1 2 3\n4 5 6\n")
    assert (general.name, general.labels, general.rows) == ("general", ["a", "b"], [["1", ""]])
    assert particles.column("rlnCoordinateY") == ["2", "5"]
    assert particles.has(XYZ)
    assert not general.has(XYZ)


def test_keywords_in_capitals(tmp_path):
    path = tmp_path / "a.star"
    path.write_text(GOOD.replace("data_", "DATA_").replace("loop_", "LOOP_") + "1 2 3\n")
    [particles] = read_blocks(path)
    assert (particles.name, particles.rows) == ("particles", [["1", "2", "3"]])
    path.rename(tmp_path / "a.txt")
    assert read_points(tmp_path / "a.txt").picks.points_zyx.tolist() == [[3, 2, 1]]
    assert "in small letters" in " ".join(str(f.text) for f in check(tmp_path / "a.txt").findings)
    path.write_text("data_\nloop_\n_a\nData_1\nDATA_2\n")
    assert [block.rows for block in read_blocks(path)] == [[["Data_1"], ["DATA_2"]]]


NAMED = ("rlnTomoName", *XYZ, "rlnAutopickFigureOfMerit")
WARP = (*XYZ, "rlnMicrographName", *ANGLES, "rlnAutopickFigureOfMerit")


@pytest.mark.parametrize(
    ("labels", "rows", "severity", "says"),
    [
        (NAMED, ["a nan 2 3 1"], "error", "row 1: rlnCoordinateX is 'nan', not a number"),
        (NAMED, ["a 1 2 3 1", "a 1 2 4 -inf"], "error", "row 2: rlnAutopickFigureOfMerit is -inf"),
        (
            NAMED,
            ["a 1 2 3 1", "a 1 2 3 2"],
            "warning",
            "2 points are in one place with another, as rows 1 and 2",
        ),
        (NAMED, ["a 1 2 3 1", "b 1 2 3 2"], None, None),
        (NAMED, ["a -1 2 3 1"], "warning", "1 of 1 points have coordinates below 0"),
        (NAMED, ["a -0.5 2 3 1"], None, None),
        (NAMED[:-1], ["a 1 2 3"], "note", "has no scores (rlnAutopickFigureOfMerit)"),
        (NAMED, ["x/a.mrc 1 2 3 1"], "warning", "rlnTomoName is the file 'x/a.mrc'"),
        (WARP, ["1 2 3 a.mrc 0 0 0 1"], "warning", "rlnMicrographName is 'a.mrc'; WarpTools finds"),
        (WARP, ["1 2 3 a.tomostar 0 0 0 1"], None, None),
        ((*XYZ, WARP[3], WARP[-1]), ["1 2 3 a.tomostar 1"], "note", "which M needs"),
        ((*XYZ, "rlnOriginX"), ["1 2 3 4"], "note", "rlnOriginX and so on are not 0 in 1 rows"),
        ((*XYZ, "rlnOriginX"), ["1 2 3 0"], None, None),
        ((*XYZ, "cryosamVoxelSize"), ["1 2 3 10", "4 5 6 5"], "error", "voxels of 10 and 5 Å"),
        (XYZ, [f"0.{i} 0.2 0.{i}5" for i in range(1, 10)] + ["1 1 1"], "warning", "normalized"),
        (CENTRED, [f"{i} {i} -4" for i in range(10)], "warning", "none of 10 points lies left"),
        (CENTRED, [f"{i} {i} -4" for i in range(9)], None, None),
        ((*CENTRED, *XYZ), ["1 2 3 4 5 6"], None, None),
        (XYZ[:2], ["1 2"], "error", "no coordinates in z"),
        (("rlnImageName",), ["a"], "error", "has no coordinates; expected the columns"),
        (XYZ, [], "warning", "holds no points"),
    ],
)
def test_traps_of_star_files(tmp_path, labels, rows, severity, says):
    findings = check(star(tmp_path / "a.star", labels, rows)).findings
    if says is None:
        assert findings == ()
    else:
        [finding] = findings
        assert finding.severity.value == severity
        assert says in finding.text


def test_the_block_that_relion5_does_not_read(tmp_path):
    path = star(tmp_path / "a.star", ("rlnTomoName", *CENTRED), ["a 1 -2 3"], block="")
    report = check(path)
    assert said(report, "error") == [
        "the block is data_; RELION 5 reads data_particles only: rename it"
    ]
    assert of(report, "RELION 5 Extract") == "refuses: no block data_particles, but data_"


def test_line_ends_of_windows(tmp_path):
    path = tmp_path / "a.star"
    path.write_bytes((GOOD + "1 2 3\n").replace("\n", "\r\n").encode())
    assert said(check(path)) == ["has CRLF line ends; programs expect LF"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("TS_01", None),
        ("00255", None),
        ("255", "the tomogram '255' has lost its zeros: tomograms.star has '00255'"),
        ("rec_TS_01.mrc", "RELION does not know 'rec_TS_01.mrc': tomograms.star has 'TS_01'"),
        ("TS_02", "the tomogram 'TS_02' is not in tomograms.star (TS_01, 00255)"),
    ],
)
def test_names_of_the_project(tmp_path, name, says):
    project = tomograms(tmp_path / "tomograms.star")
    path = star(tmp_path / "a.star", NAMED, [f"{name} 1 2 3 1"])
    assert said(check(path, Expected(tomograms=project)), "error") == ([says] if says else [])


def test_many_unknown_names_are_counted(tmp_path):
    rows = [f"T{i} 1 2 3 1" for i in range(5)]
    path = star(tmp_path / "a.star", NAMED, rows)
    errors = said(check(path, Expected(tomograms=tomograms(tmp_path / "tomograms.star"))), "error")
    assert len(errors) == 4
    assert errors[3] == "and 2 more names like these"


@pytest.mark.parametrize(
    ("x", "outside"),
    [
        (-0.51, "are they in pixels of another size?"),
        (-0.5, None),
        (479.49, None),
        (479.5, "counted from 1, as 3dmod shows voxels, all would lie inside: subtract 1"),
        (480.6, "are they in pixels of another size?"),
        (-100, "counted from the middle all would lie inside: add 240,232,100"),
    ],
)
def test_bounds_of_the_tomogram(tmp_path, x, outside):
    (tmp_path / "a.coords").write_text(f"1 2 3\n{x} 5 6\n")
    errors = said(check(tmp_path / "a.coords", Expected(FRAME)), "error")
    assert len(errors) == int(outside is not None)
    if outside:
        (tmp_path / "b.coords").write_text("5 6 400\n")
        [turned] = said(check(tmp_path / "b.coords", Expected(FRAME)), "error")
        assert turned.endswith("z 0 to 199; as z,y,x it would lie inside: give x,y,z")
        assert errors[0].startswith("1 of 2 points of TS_01 lie outside, the first at voxel ")
        assert errors[0].endswith(f"x 0 to 479, y 0 to 463, z 0 to 199; {outside}")


@pytest.mark.parametrize(("x", "outside"), [(2590.6, False), (2610, True), (-2610, True)])
def test_bounds_of_the_project(tmp_path, x, outside):
    # 3838 · 1.35 / 2 = 2590.65
    project = tomograms(tmp_path / "tomograms.star")
    path = star(tmp_path / "a.star", ("rlnTomoName", *CENTRED), [f"TS_01 {x} 5 6"])
    assert len(said(check(path, Expected(tomograms=project)), "error")) == int(outside)


def test_bounds_in_pixels_of_the_tilt_series_without_a_binning(tmp_path):
    labels = [f"rlnTomo{label}" for label in SERIES if label != "TomogramBinning"]
    star(tmp_path / "tomograms.star", labels, ["TS_01 1.35 3838 3710 1600"], "global")
    project = read_tomograms_star(tmp_path / "tomograms.star")
    path = star(tmp_path / "a.star", NAMED, ["TS_01 3837 5 6 1", "TS_01 5 3712 6 1"])
    [error] = said(check(path, Expected(tomograms=project)), "error")
    assert error == (
        "1 of 2 points of TS_01 lie outside, the first at voxel 5,3712,6 of x 0 to 3838, "
        "y 0 to 3710, z 0 to 1600; are they in pixels of another size?"
    )


def test_points_that_fill_a_corner_only(tmp_path):
    # Voxels written as if they were pixels of the tilt series (relion#1059).
    rows = [f"TS_01 {x} {y} {z} 1" for z, y, x in POINTS]
    path = star(tmp_path / "a.star", NAMED, rows)
    [warning] = said(check(path, Expected(tomograms=tomograms(tmp_path / "tomograms.star"))))
    assert warning == (
        "all 24 points of TS_01 lie in the first 12% of every axis; are they in pixels of another "
        "size?"
    )


def test_points_of_another_tomogram(tmp_path):
    path = star(tmp_path / "a.star", WARP, ["1 2 3 TS_02.tomostar 0 0 0 1"])
    assert said(check(path, Expected(FRAME))) == [
        "has points of TS_02; expected some of TS_01: if they are of it, call it so in the file"
    ]


def test_no_program_takes_csv(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n")
    assert check(tmp_path / "a.csv").verdicts == ()
    (tmp_path / "a.coords").write_text("1 2 3\n")
    assert of(check(tmp_path / "a.coords"), "RELION 5").startswith("reads 1 point named by a list")


def test_what_cannot_be_checked_is_told(tmp_path):
    path = star(tmp_path / "a.star", CENTRED, ["1 2 3"])
    world = Expected(TomogramInfo("", 10.8, SHAPE))
    assert said(check(path, world)) == [
        "bounds are not checked: Å from the centre; give the project's tomograms.star"
    ]
    (tmp_path / "a.coords").write_text("1 2 3\n")
    assert said(check(tmp_path / "a.coords", Expected(distance=5))) == [
        "distances are not checked: give voxel_size in Å"
    ]


@pytest.mark.parametrize(
    ("distance", "close"), [(29.9, []), (30.1, ["to another, as rows 1 and 3"])]
)
def test_points_that_are_too_close(tmp_path, distance, close):
    (tmp_path / "a.coords").write_text("1 2 3\n90 9 9\n1 2 6\n")
    found = said(check(tmp_path / "a.coords", Expected(TomogramInfo("", 10), distance=distance)))
    assert [text.split("Å ")[1] for text in found] == close


def test_pixels_of_another_size(tmp_path):
    (tmp_path / "a.coords").write_text("900 2 3\n")
    assert len(said(check(tmp_path / "a.coords", Expected(FRAME)), "error")) == 1
    assert said(check(tmp_path / "a.coords", Expected(FRAME, coords_angpix=5.4))) == []


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("a.star", b"", "is empty"),
        ("a.star", b" \n\n", "is empty"),
        ("a.png", b"\x89PNG\0\0", "is binary; expected a text file of points, an IMOD model"),
        ("a.gz", gzip.compress(b"1 2 3", mtime=0), "is binary; expected a text file of points"),
        ("a.json", b"{", "is not a JSON file"),
        ("a.tbl", b"1 2 3\n", "is not a Dynamo table"),
        ("a.txt", "1 2 3 ü\n".encode("latin1"), "has 4 columns without names"),
        ("a.mod", b"IMODV1.2" + bytes(300), "is cut off: an IMOD model ends with IEOF"),
        ("a.box", b"1 2 3 4\n", "holds boxes without z"),
    ],
)
def test_files_that_are_none(tmp_path, file, content, says):
    (tmp_path / file).write_bytes(content)
    report = check(tmp_path / file)
    assert not report.valid
    assert says in said(report)[0]


@pytest.mark.parametrize(
    ("file", "text"), [("a.csv", "x,y,z,class\n1,2,3,möglich\n"), ("a.coords", "# café\n1 2 3\n")]
)
def test_tables_in_letters_of_windows(tmp_path, file, text):
    (tmp_path / file).write_text(text, "latin-1")
    report = check(tmp_path / file)
    assert report.valid
    assert report.content == "1 point in voxels"


def test_no_file_a_folder_and_a_tomogram(tmp_path):
    assert said(check(tmp_path / "a.star")) == ["does not exist"]
    assert said(check(tmp_path)) == ["is a folder; name the files in it"]
    write_volume(tmp_path / "a.mrc", np.zeros((3, 4, 5), np.float32), voxel_size=10)
    assert said(check(tmp_path / "a.mrc")) == ["is an MRC volume; expected a file of points"]


LIST = ("rlnTomoName", "rlnTomoImportParticleFile")


def test_a_list_is_followed(tmp_path):
    star(tmp_path / "a.star", ("rlnTomoName", *CENTRED), ["TS_01 1 -2 3"])
    path = star(tmp_path / "list.star", LIST, ["TS_01 a.star", "TS_02 b.star", "TS_03 a.star"])
    report = check(path)
    assert report.content == "a list for RELION's Import Coordinates, of 3 in all"
    assert said(report, "error") == [
        "b.star: does not exist",
        "a.star: is listed as 'TS_03' but is of 'TS_01'",
    ]
    assert of(report, "RELION 5 Import Coordinates") == "reads a list of 3 files"


def test_files_of_a_list_have_rows_and_the_same_columns(tmp_path):
    """RELION 5 joins them as they stand."""
    star(tmp_path / "a.star", ("rlnTomoName", *CENTRED), ["TS_01 1 -2 3"])
    star(tmp_path / "b.star", ("rlnTomoName", *CENTRED, "rlnClassNumber"), ["TS_02 1 -2 3 1"])
    star(tmp_path / "c.star", ("rlnTomoName", *CENTRED[::-1]), [])
    path = star(tmp_path / "list.star", LIST, ["TS_01 a.star", "TS_02 b.star", "TS_03 c.star"])
    assert said(check(path), "error") == [
        "b.star: has not the same columns as a.star, as RELION 5 expects (rlnClassNumber)",
        "c.star: has no rows, on which RELION 5 fails; take it off the list",
    ]


def test_a_list_that_names_itself_and_a_row_that_names_nothing(tmp_path):
    errors = said(check(star(tmp_path / "a.star", LIST, ["TS_01 a.star", "TS_02"])), "error")
    short = "line 7: 1 values for 2 columns" + MISTAKES
    assert errors[:2] == [short, f"a.star: {short}"]


def test_an_optimisation_set_is_followed(tmp_path):
    tomograms(tmp_path / "tomograms.star")
    star(tmp_path / "a.star", ("rlnTomoName", *CENTRED), ["TS_09 1 -2 3"])
    path = tmp_path / "job" / "set.star"
    path.parent.mkdir()
    star(path, ("rlnTomoParticlesFile", "rlnTomoTomogramsFile"), ["a.star tomograms.star"])
    [error] = said(check(path), "error")
    assert error == "a.star: the tomogram 'TS_09' is not in tomograms.star (TS_01, 00255)"
    path.write_text('data_\n\n_rlnTomoParticlesFile ""\n_rlnTomoTomogramsFile x.star\n')
    assert said(check(path)) == ["x.star: does not exist", '"": a file has no name']


def test_a_tomograms_star(tmp_path):
    tomograms(tmp_path / "a.star")
    report = check(tmp_path / "a.star")
    assert (report.content, report.findings) == ("2 tilt series of a RELION project", ())
    tomograms(tmp_path / "a.star", "T 1 1 9 9 9", "T 1 1 9 9 9")
    assert said(check(tmp_path / "a.star"), "error") == ["has two tilt series 'T'"]
    star(tmp_path / "a.star", [f"rlnTomo{label}" for label in SERIES[:2]], ["T 1"], "global")
    assert said(check(tmp_path / "a.star"), "warning") == [
        "has no rlnTomoSizeX, Y, Z: Å from the centre cannot be placed by it"
    ]


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "content", "severities", "readers"),
    [
        (
            "copick/CCDC147C_001_microtubule.json",
            "597 points of CCDC147C_001 in Å from the corner",
            "",
            "copick",
        ),
        ("cryolo/2d_center.box", "", "error", ""),
        ("cryolo/3d_particle.cbox", "3 points in voxels", "", "crYOLO"),
        (
            "dynamo/b4_motl_CR_tm_topbott_clean600_1_dynamo.tbl",
            "1343 points of 70 tomograms in voxels",
            "",
            "Dynamo",
        ),
        ("imod/points.mod", "3 points in voxels", "", "IMOD 3dmod"),
        (
            "portal/czportal_10445_TS_105_5_69546_Point_first5.ndjson",
            "5 points in voxels",
            "",
            "CryoET Data Portal",
        ),
        (
            "pytom_match_pick/CCDC147C_001_14.00Apx_particles.star",
            "1500 points of CCDC147C_001 in voxels of 14 Å",
            "warning",
            "RELION 3.1, M create_species",
        ),
        (
            "relion3.0/cryocat_relion_3.0.star",
            "3 points of 01006 in voxels of 5.364 Å",
            "warning note",
            "RELION 3.1, M create_species",
        ),
        (
            "relion3.1/cryocat_bin1_1deg_500.star",
            "2 points of 2 tomograms in voxels of 1.971 Å",
            "warning note",
            "RELION 3.1, M create_species",
        ),
        (
            "relion3.1/cryocat_relion_3.1_optics.star",
            "3 points of 2 tomograms in voxels of 2.446 Å",
            "warning note",
            "M create_species",
        ),
        ("relion3.1/cryodrgn_relion31.star", "", "error", ""),
        (
            "relion4/cryocat_relion_4.0_first400lines.star",
            "355 points of 3 tomograms in pixels of the tilt series",
            "note",
            "RELION 5 Extract, M create_species",
        ),
        (
            "relion4/relion_repo_tests/tilt_series_metadata/tilt_series.star",
            "5 tilt series of a RELION project",
            "",
            "",
        ),
        ("relion5/R5_tutorial_run_tomograms.star", "5 tilt series of a RELION project", "", ""),
        ("relion5/cryodrgn_relion5.star", "", "error", ""),
        (
            "relion5/cylindra_job_dirs/Picks/job_picks/particles.star",
            "5 points of 2 tomograms in Å from the centre of the unbinned tomogram",
            "note",
            "RELION 5 Extract",
        ),
        (
            "relion5/cylindra_job_dirs/Picks/job_picks/optimisation_set.star",
            "an optimisation set of RELION",
            "error note",
            "RELION 5 Extract",
        ),
        ("relion5/cylindra_job_dirs/Picks/job_picks/job.star", "", "error", ""),
        (
            "relion5/cylindra_job_dirs/Refine3D/job_refine/run_it040_optimisation_set.star",
            "an optimisation set of RELION",
            "error",
            "",
        ),
        ("relion5/cylindra_job_dirs/Tomograms/job_tomo/tilt_series/13pf_MT.star", "", "error", ""),
        (
            "warp/warp2_particles_matching.star",
            "1218 points of 5 tomograms in voxels of 4 Å",
            "warning",
            "RELION 5 Extract, WarpTools ts_export_particles, M create_species",
        ),
        (
            "warp/warp2_matching_optimisation_set.star",
            "an optimisation set of RELION",
            "error error",
            "",
        ),
    ],
)
def test_files_of_other_programs(data_dir, file, content, severities, readers):
    report = check(data_dir / "coordinate_files" / file)
    assert report.content == content
    assert " ".join(finding.severity.value for finding in report.findings) == severities
    assert ", ".join(one.program for one in report.verdicts if one.reads) == readers


@pytest.mark.data
@pytest.mark.parametrize(
    ("particles", "project"),
    [
        ("warp2_particles_matching.star", "warp2_matching_tomograms.star"),
        ("{}.star", "{}_tomograms.star"),
    ],
)
def test_exports_of_warptools_fit_their_project(data_dir, particles, project):
    name = "tomodrgn_warptools_test_4-tomos_10-ptcls_box-32_angpix-12"
    folder = data_dir / "coordinate_files" / "warp"
    world = Expected(tomograms=read_tomograms_star(folder / project.format(name)))
    report = check(folder / particles.format(name), world)
    assert [finding.partition(",")[0] for finding in said(report)] == ["has rlnImageName"]
    assert "times too near to the corner" in of(report, "RELION 5 Extract")


def test_an_export_of_warptools_counts_pixels_of_its_images(tmp_path):
    optics = (
        "data_optics\n\nloop_\n_rlnTomoSubtomogramBinning #1\n_rlnImagePixelSize #2\n2.5 4.0\n\n"
    )
    path = star(tmp_path / "a.star", NAMED, ["TS_01.tomostar 1 2 3 1"])
    assert check(path).content == "1 point of TS_01 in voxels"
    path.write_text(optics + path.read_text())
    assert check(path).content == "1 point of TS_01 in voxels of 4 Å"
    path.write_text(path.read_text().replace(".tomostar", ""))
    assert check(path).content == "1 point of TS_01 in pixels of the tilt series"


def test_labels_whose_numbers_are_others(tmp_path):
    """Warp takes a column by the number behind its label, and all others by its place."""
    path = tmp_path / "a.star"
    path.write_text(
        "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #3\n_rlnCoordinateZ #2\n1 2 3\n"
    )
    assert said(check(path), "error") == [
        "line 5: _rlnCoordinateY has the number 3, but is the label 2: Warp goes by the numbers"
    ]
    assert read_points(path).picks.points_zyx.tolist() == [[3, 2, 1]]


def test_columns_that_warptools_crashes_on(tmp_path):
    labels = (*XYZ, "rlnMicrographName", *ANGLES, "rlnMagnification", "rlnVoltage")
    report = check(star(tmp_path / "a.star", labels, ["1 2 3 a.tomostar 0 0 0 10000 300"]))
    [warning] = said(report, "warning")
    assert warning.startswith("has rlnMagnification, rlnVoltage, on which WarpTools 2.0.0dev37")


def test_tomograms_without_a_point_in_a_file_of_several(tmp_path):
    project = tomograms(
        tmp_path / "tomograms.star", *(f"TS_0{i} 1.35 8 3838 3710 1600" for i in (1, 2, 3))
    )
    labels = ("rlnTomoName", *CENTRED)
    path = star(tmp_path / "a.star", labels, ["TS_01 1 -2 3", "TS_03 1 -2 3"])
    [warning] = said(check(path, Expected(tomograms=project)), "warning")
    assert warning.startswith("has no point of 1 tomograms of tomograms.star (TS_02)")
    path = star(tmp_path / "b.star", labels, ["TS_01 1 -2 3"])
    assert said(check(path, Expected(tomograms=project)), "warning") == []


@pytest.mark.parametrize("name", ["9" * 5000, "a\0b"])
def test_a_list_of_files_that_no_system_has(tmp_path, name):
    path = star(tmp_path / "a.star", LIST, [f"TS_01 {name}"])
    if "\0" in name:
        assert not check(path).valid
    else:
        assert said(check(path), "error") == [f"{name}: does not exist"]
