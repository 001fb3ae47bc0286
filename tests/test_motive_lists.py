"""Motive lists of TOM, AV3, novaSTA and STOPGAP, made here byte by byte as those programs do."""

import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.belonging import of_tomogram
from aitom_cryosam.points.formats.registry import FORMATS
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.rotations import from_av3, from_dynamo, from_relion
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.points.writing import project_files
from aitom_cryosam.validation import check

# score, two free rows, particle, tomogram, object, a free row, x y z from 1, shifts, three free
# rows, phi, psi, theta, class
FIRST = [0.5, 0, 0, 12, 51, 3, 0, 301, 201, 101, 0.25, -0.5, 0.125, 0, 0, 0, 30, 75, 60, 2]
SECOND = [0.25, 0, 0, 13, 51, 3, 0, 11, 21, 31, 0, 0, 0, 0, 0, 0, -20, 10, 100, 1]
FIRST_ZYX = [100.125, 199.5, 300.25]
STOPGAP = """
data_stopgap_motivelist

loop_
_motl_idx
_tomo_num
_object
_subtomo_num
_halfset
_orig_x
_orig_y
_orig_z
_score
_x_shift
_y_shift
_z_shift
_phi
_psi
_the
_class

 12  51  3  12  A  301.0000  201.0000  101.0000  0.5000  0.2500  -0.5000  0.1250  30.0 75.0 60.0 2
 13  51  3  13  B   11.0000   21.0000   31.0000  0.2500  0.0000   0.0000  0.0000 -20.0 10.0 100.0 1
"""


def em(path, rows, *, machine=6, number=5, size=None, trailing=b""):
    """A file of the EM format: machine and kind of number, sizes, 496 further bytes, values."""
    order = ">" if machine in (0, 3, 5) else "<"
    kind = {1: "b", 2: "h", 4: "i", 5: "f", 9: "d"}[number]
    width = len(rows[0]) if rows else 20
    sizes = size or (width, len(rows), 1)
    values = [value for row in rows for value in row]
    path.write_bytes(
        struct.pack("4B", machine, 0, 0, number)
        + struct.pack(f"{order}3i", *sizes)
        + b"A" * 496
        + struct.pack(f"{order}{len(values)}{kind}", *values)
        + trailing
    )
    return path


@pytest.fixture(params=["a.em", "a.star"])
def lists(request, tmp_path):
    """The same two particles of tomogram 51, as AV3 and as STOPGAP keep them."""
    path = tmp_path / request.param
    if path.suffix == ".em":
        return em(path, [FIRST, SECOND])
    path.write_text(STOPGAP)
    return path


def spot_in_box(orig, size, start):
    """Where in a box cut at 0-based `start` the voxel of `orig` lies, by its value."""
    tomogram = np.zeros((24, 24, 24))
    k = read_points(orig).picks.points_zyx[0].astype(int)
    tomogram[tuple(k)] = 1
    z, y, x = start
    box = tomogram[z : z + size, y : y + size, x : x + size]
    return np.argwhere(box == 1)[0].tolist()


@pytest.mark.parametrize("size", [8, 9])
def test_a_particle_is_in_the_middle_of_what_is_extracted(tmp_path, size):
    """STOPGAP begins at floor(orig) - floor(size / 2), novaSTA at round(orig - size / 2), from 1.

    Both take voxel floor(size / 2) of a box, from 0, as its middle.
    """
    row = [0.0] * 20
    row[7:10] = [11, 13, 12]
    path = em(tmp_path / "a.em", [row])
    stopgap = [place - size // 2 - 1 for place in (12, 13, 11)]  # z y x; Matlab counts from 1
    nova = [round(place - size // 2) - 1 for place in (12, 13, 11)]
    assert stopgap == nova
    assert spot_in_box(path, size, stopgap) == [size // 2] * 3


def test_places_scores_classes_and_orientations(lists):
    points = read_points(lists)
    np.testing.assert_allclose(points.picks.points_zyx, [FIRST_ZYX, [30, 20, 10]])
    assert points.picks.scores.tolist() == [0.5, 0.25]
    assert points.classes == ("2", "1")
    assert points.names is None  # of one tomogram, which is known by a number only
    phi, psi, theta = np.radians([30, 75, 60])
    # STOPGAP's own sg_euler2matrix: the reference is turned by phi, then theta, then psi.
    about_z = [
        np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        for a in (psi, phi)
    ]
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(theta), -np.sin(theta)], [0, np.sin(theta), np.cos(theta)]]
    )
    expected = about_z[0] @ about_x @ about_z[1]
    np.testing.assert_allclose(points.picks.rotations.as_matrix()[0], expected, atol=1e-7)


def test_angles_against_the_other_conventions():
    """STOPGAP takes Dynamo's tdrot, tilt, narot for -psi, -theta, -phi, and cryoCAT RELION's so."""
    angles = np.random.default_rng(3).uniform(-180, 180, (20, 3))
    tdrot, tilt, narot = angles.T
    av3 = from_av3(-np.stack([narot, tilt, tdrot], axis=1))
    assert (av3.inv() * from_dynamo(angles)).magnitude().max() < 1e-9
    zxz = Rotation.from_euler("ZYZ", angles, degrees=True).as_euler("zxz", degrees=True)
    av3 = from_av3(-zxz[:, ::-1])
    assert (av3.inv() * from_relion(angles)).magnitude().max() < 1e-9


@pytest.mark.parametrize("machine", [0, 1, 3, 5, 6])
@pytest.mark.parametrize("number", [5, 9])
def test_every_machine(tmp_path, machine, number):
    path = em(tmp_path / "a.em", [FIRST, SECOND], machine=machine, number=number)
    np.testing.assert_allclose(read_points(path).picks.points_zyx[0], FIRST_ZYX)


def test_whole_numbers(tmp_path):
    whole = [round(value) for value in FIRST]
    for number in (2, 4):
        path = em(tmp_path / "a.em", [whole], number=number)
        np.testing.assert_array_equal(read_points(path).picks.points_zyx, [[100, 200, 300]])


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        ([FIRST], {"size": (20, 2, 1)}, "is cut off: its header has 2 particles"),
        ([FIRST[:19]], {}, "is an image of 19 × 1 × 1 numbers; expected a motive list, 20 × part"),
        ([FIRST], {"size": (20, 1, 2)}, "is an image of 20 × 1 × 2 numbers"),
        ([FIRST], {"size": (20, -1, 1)}, "is an image of 20 × -1 × 1 numbers"),
        ([[*FIRST[:7], np.nan, *FIRST[8:]]], {}, "row 1: x is 'nan', not a number"),
        ([[*FIRST[:10], np.inf, *FIRST[11:]]], {}, "row 1: x is 'inf', not a number"),
    ],
)
def test_what_is_no_list_in_the_em_format(tmp_path, rows, options, says):
    path = em(tmp_path / "a.em", rows, **options)
    with pytest.raises(InputError, match=says):
        read_points(path)


@pytest.mark.parametrize("content", [b"", b"\6\0\0\5", b"\4" + b"\0" * 600, b"text" * 200])
def test_what_is_no_em_format(tmp_path, content):
    (tmp_path / "a.em").write_bytes(content)
    with pytest.raises(InputError, match="is not a motive list in the EM format"):
        read_points(tmp_path / "a.em")


def test_columns_of_stopgap_in_any_order_and_number(tmp_path):
    text = "data_stopgap_motivelist\n\nloop_\n_orig_z\n_orig_x\n_orig_y\n 101.0 301 201\n"
    (tmp_path / "a.star").write_text(text)
    points = read_points(tmp_path / "a.star")
    np.testing.assert_array_equal(points.picks.points_zyx, [[100, 200, 300]])
    assert (points.names, points.classes, points.picks.rotations) == (None, None, None)
    assert np.isnan(points.picks.scores).all()
    (tmp_path / "a.star").write_text(text.replace("_orig_z", "_z"))
    with pytest.raises(InputError, match="no block data_stopgap_motivelist with the columns orig_"):
        read_points(tmp_path / "a.star")
    (tmp_path / "a.star").write_text(text.replace("301", "none"))
    with pytest.raises(InputError, match="row 1: orig_x is 'none', not a number"):
        read_points(tmp_path / "a.star")


def test_rows_that_share_a_particle_are_told(tmp_path, caplog):
    em(tmp_path / "a.em", [FIRST, SECOND])
    read_points(tmp_path / "a.em")
    assert not caplog.messages
    other = [*FIRST[:4], 52, *FIRST[5:]]  # of another tomogram
    again = [*FIRST[:19], 1]
    read_points(em(tmp_path / "b.em", [FIRST, other, again, SECOND]))
    assert "1 of 4 rows are of a particle that an earlier row is of, too" in caplog.text


def test_tomograms_are_named_by_the_list_beside(lists):
    lists.with_suffix(".doc").write_text("50 TS_50\n51 recon/TS_51.rec\n")
    points = read_points(lists)
    assert points.names == ("recon/TS_51.rec",) * 2
    assert len(of_tomogram(points, "TS_51").picks) == 2


@pytest.mark.parametrize("name", ["0051.rec", "051_bin4.mrc"])
def test_a_number_has_no_zeros_in_front(tmp_path, name, caplog):
    points = read_points(em(tmp_path / "a.em", [FIRST, [*FIRST[:4], 52, *FIRST[5:]]]))
    assert points.names == ("51", "52")
    assert len(of_tomogram(points, name).picks) == 1
    assert "taking the points of 51 as of 0" in caplog.text
    with pytest.raises(InputError, match="has points of 51, 52; expected some of 0510"):
        of_tomogram(points, "0510.rec")


def test_what_stopgap_reads(tmp_path):
    """Its reader takes the whole line of a label as the label, and every column must be there."""
    picks = Picks.from_points([[100.125, 199.5, 300.25], [30, 20, 10]], [0.5, 0.25])
    info = TomogramInfo("TS_01.mrc")
    [(_, text), *_] = project_files("stopgap", tmp_path / "a.star", [(picks, info)]).items()
    lines = text.splitlines()
    start = lines.index("loop_")
    labels = [line for line in lines[start:] if line.startswith("_")]
    assert labels == [line for line in STOPGAP.splitlines() if line.startswith("_")]
    assert lines[start + 17].split()[5:12] == [
        *("301", "201", "101"),
        *("0.500000", "0.250000", "-0.500000", "0.125000"),
    ]


def test_what_av3_reads(tmp_path):
    picks = Picks.from_points([[100.125, 199.5, 300.25]], [0.5])
    files = project_files("motl", tmp_path / "a.em", [(picks, TomogramInfo("TS_01.mrc"))])
    content = files[tmp_path / "a.em"]
    assert struct.unpack_from("<4B3i", content) == (6, 0, 0, 5, 20, 1, 1)
    values = struct.unpack_from("<20f", content, 512)
    assert len(content) == 512 + 80
    assert values == (
        *(0.5, 0, 0, 1, 1, 1, 0, 301, 201, 101, 0.25, -0.5, 0.125),
        *(0, 0, 0, 0, 0, 0, 1),
    )
    assert files[tmp_path / "a.doc"] == "1 TS_01.mrc\n"


@pytest.mark.parametrize("name", ["motl", "stopgap", "dynamo"])
def test_tomograms_called_by_numbers_keep_them(tmp_path, name):
    """These programs look for the tomogram 51 as 51.rec."""
    picks = Picks.from_points([[1, 2, 3]], [0.5])
    groups = [(picks, TomogramInfo(name)) for name in ("recon/0051.rec", "12.mrc")]
    path = tmp_path / f"a{FORMATS[name].ending}"
    for place, content in project_files(name, path, groups).items():
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    assert path.with_suffix(".doc").read_text() == "51 recon/0051.rec\n12 12.mrc\n"
    path.with_suffix(".doc").unlink()
    assert read_points(path).names == ("51", "12")


def test_validate_says_what_the_programs_do(lists):
    report = check(lists)
    assert report.content == "2 points in voxels"
    assert report.valid
    first = report.verdicts[0]
    assert first.program == ("TOM, AV3, novaSTA" if lists.suffix == ".em" else "STOPGAP")
    assert first.text.startswith(("read 2 points", "reads 2 points"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("_score\n", "_score #9\n"), "refuses: it knows no label 'score #9'; it takes no numbers"),
        (("_class\n", "_group\n"), "refuses: it knows no label 'group'"),
        (("_halfset\n", ""), "refuses: no halfset"),
    ],
)
def test_what_stopgap_refuses(tmp_path, change, says):
    text = STOPGAP.replace(*change)
    if not change[1]:
        text = text.replace("  A  ", "  ").replace("  B  ", "  ")
    (tmp_path / "a.star").write_text(text)
    [verdict] = check(tmp_path / "a.star").verdicts
    assert (verdict.reads, verdict.text) == (False, says)
