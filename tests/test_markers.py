"""Markers of ChimeraX, as it writes them, on maps that it shows where their headers place them."""

from dataclasses import replace

import mrcfile
import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import known_format
from aitom_cryosam.points.formats.relion_warp import write_picks
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.prompts import read_prompts
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.validation import check
from aitom_cryosam.validation.finding import Expected
from aitom_cryosam.volumes.placement import Placement

SHAPE = (20, 30, 40)
K_ZYX = np.array([[5, 12, 33], [7.5, 8, 9]])


def tomogram(path, *, voxel_size=10.0, origin=(0, 0, 0), start=(0, 0, 0)):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32))
        file.voxel_size = voxel_size
        header = file.header
        header.origin.x, header.origin.y, header.origin.z = origin
        header.nxstart, header.nystart, header.nzstart = start
    return path


def markers(path, places_xyz, name="markers"):
    """One set in one file, as ChimeraX 1.9 writes it: five digits, colours from 0 to 1."""
    lines = [
        f'<marker id="{number}" x="{x:.5g}" y="{y:.5g}" z="{z:.5g}" r="1" g="1" b="0" radius="1"/>'
        for number, (x, y, z) in enumerate(places_xyz, 1)
    ]
    path.write_text("\n".join([f'<marker_set name="{name}">', *lines, "</marker_set>"]))
    return path


def scene(voxel_size=10.0, origin=(0, 0, 0)):
    """Where ChimeraX shows the two points, x y z."""
    return K_ZYX[:, ::-1] * voxel_size + origin


def test_markers_are_clicks(tmp_path, caplog):
    one = Tomogram.open(tomogram(tmp_path / "TS_01.mrc"))
    path = markers(tmp_path / "clicks.cmm", scene())
    np.testing.assert_allclose(read_prompts(one, path=path).points_zyx, K_ZYX)
    path = path.rename(tmp_path / "clicks.xml")
    np.testing.assert_allclose(read_prompts(one, path=path).points_zyx, K_ZYX)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("header", "origin"),
    [
        ({"origin": (-150, 40, 1000)}, (-150, 40, 1000)),
        ({"start": (-15, 4, 100)}, (-150, 40, 1000)),
        ({"origin": (-20, 0, 0), "start": (7, 7, 7)}, (-20, 0, 0)),
    ],
)
def test_the_header_places_the_map(tmp_path, caplog, header, origin):
    one = Tomogram.open(tomogram(tmp_path / "TS_01.mrc", **header))
    path = markers(tmp_path / "clicks.cmm", scene(origin=origin))
    np.testing.assert_allclose(read_prompts(one, path=path).points_zyx, K_ZYX)
    given = ",".join(f"{value:g}" for value in origin)
    assert f"are counted from {given} Å, where ChimeraX shows" in caplog.text
    assert "if it was shown from 0, as by ArtiaX, give coords_angpix=1." in caplog.text
    caplog.clear()
    path = markers(tmp_path / "clicks.cmm", scene())  # as ArtiaX shows it
    found = read_prompts(one, path=path, coords_angpix=1).points_zyx
    np.testing.assert_allclose(found, K_ZYX)
    assert not caplog.messages


@pytest.mark.parametrize(("stated", "shown"), [(0, "1"), (1, "1"), (20, "20")])
def test_a_voxel_size_that_chimerax_did_not_know(tmp_path, stated, shown):
    path = tomogram(tmp_path / "TS_01.mrc", voxel_size=stated)
    one = Tomogram.open(path, voxel_size=10)
    clicks = markers(tmp_path / "clicks.cmm", scene())
    says = f"in voxels of {shown} Å, as its header says, but the voxels here have 10 Å; give coord"
    with pytest.raises(InputError, match=says):
        read_prompts(one, path=clicks)
    found = read_prompts(one, path=clicks, coords_angpix=1)  # it was set in ChimeraX
    np.testing.assert_allclose(found.points_zyx, K_ZYX)
    clicks = markers(tmp_path / "clicks.cmm", K_ZYX[:, ::-1])
    found = read_prompts(one, path=clicks, coords_angpix=10)  # they count voxels
    np.testing.assert_allclose(found.points_zyx, K_ZYX)


def test_turned_axes_and_numbers_that_are_none(tmp_path):
    path = tomogram(tmp_path / "a.mrc", origin=(np.nan, 0, 0), start=(-1, -2, -3))
    with mrcfile.open(path, "r+") as file:
        file.header.mapc, file.header.mapr, file.header.maps = 3, 1, 2
        file.header.mx, file.header.my, file.header.mz = 30, 20, 40
        file.header.cella = (300, 200, 400)
    assert Placement.of(path) == Placement((-20, -30, -10), (10, 10, 10))
    path = tomogram(tmp_path / "a.mrc", start=(100000, 0, 0))  # never filled in
    assert Placement.of(path).origin_xyz == (0, 0, 0)


def test_a_cell_without_steps_is_shown_in_units_of_one(tmp_path):
    path = tomogram(tmp_path / "TS_01.mrc", origin=(-20, 0, 5))
    with mrcfile.open(path, "r+", permissive=True) as file:
        file.header.mx = file.header.my = file.header.mz = 0
    assert Placement.of(path) == Placement((-20, 0, 5), (1, 1, 1))


@pytest.mark.parametrize(("first", "counts"), [(400, True), (401, False)])
def test_a_first_voxel_that_is_too_far_off_was_never_filled_in(tmp_path, first, counts):
    path = tomogram(tmp_path / "TS_01.mrc", start=(first, 0, 0))
    assert Placement.of(path).origin_xyz == (10 * first * counts, 0, 0)


def test_without_the_tomogram_they_count_from_the_first_voxel(tmp_path, caplog):
    path = markers(tmp_path / "a.cmm", scene())
    np.testing.assert_allclose(read_points(path, voxel_size=10).picks.points_zyx, K_ZYX)
    assert "Å from the first voxel: the header of their tomogram, by whose origin" in caplog.text
    with pytest.raises(InputError, match="a marker in Å needs the voxel size"):
        read_points(path)


def test_sets_are_classes_where_their_names_tell(tmp_path):
    first = markers(tmp_path / "a.cmm", scene(), "ribosome &amp; mRNA").read_text()
    second = markers(tmp_path / "b.cmm", scene() + 100, "markers 2").read_text()
    path = tmp_path / "c.cmm"
    path.write_text(f"<marker_sets>\n{first}\n{second}\n</marker_sets>")
    points = read_points(path, voxel_size=10)
    assert points.classes == ("ribosome & mRNA",) * 2 + ("markers 2",) * 2
    np.testing.assert_allclose(points.picks.points_zyx, [*K_ZYX, *(K_ZYX + 10)])
    path.write_text(f"<marker_sets>\n{second}\n{second}\n</marker_sets>")
    assert read_points(path, voxel_size=10).classes is None


def test_what_chimera_keeps_beside(tmp_path):
    """Notes, links and attributes of others do not matter; numbers give the order."""
    (tmp_path / "a.cmm").write_text(
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<marker_set name="marker set 1" x="3">\n'
        '<marker id="2" x="90" y="80" z="75" note="two &lt; three" nr="1" ng="0" nb="0"/>\n'
        '<marker id="1" x="330" y="120" z="50" radius="2.5" coordinate_system="3" />\n'
        '<link id1="1" id2="2" r="1" g="1" b="0" radius="1"/>\n</marker_set>\n'
    )
    points = read_points(tmp_path / "a.cmm", voxel_size=10)
    np.testing.assert_allclose(points.picks.points_zyx, K_ZYX)
    assert points.classes is None
    assert np.isnan(points.picks.scores).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<marker_set", "is not a file of markers of ChimeraX"),
        ("1 2 3", "is not a file of markers of ChimeraX"),
        ("<a/>", "has no marker_set; expected markers"),
        ('<marker_set><marker x="1" y="2"/></marker_set>', "row 1: z is 'None', not a number"),
        ('<marker_set><marker x="1" y="b" z="2"/></marker_set>', "row 1: y is 'b', not a number"),
    ],
)
def test_what_is_no_file_of_markers(tmp_path, text, says):
    (tmp_path / "a.cmm").write_text(text)
    with pytest.raises(InputError, match=says):
        read_points(tmp_path / "a.cmm", voxel_size=10)


def test_markers_are_written_where_chimerax_shows_the_map(tmp_path, caplog):
    one = Tomogram.open(tomogram(tmp_path / "TS_01.mrc", origin=(-150, 40, 1000)))
    picks = Picks.from_points(K_ZYX, [0.9, 0.5])
    write_picks(tmp_path / "TS_01_picks.star", picks, one)
    out = tmp_path / "out.cmm"
    options = ["--tomo", str(one.path), "--to", "cmm", "--out", str(out)]
    assert main(["export", str(tmp_path / "TS_01_picks.star"), *options]) == 0
    assert 'id="1" x="180.000000" y="160.000000" z="1050.000000"' in out.read_text()
    assert "its markers count Å from -150,40,1000 in voxels of 10 Å" in caplog.text
    points = read_points(out, voxel_size=10, tomogram=one.path).picks
    np.testing.assert_allclose(points.points_zyx, K_ZYX)
    np.testing.assert_allclose(points.scores, [0.9, 0.5])


@pytest.mark.parametrize("by", ["classes", "particle"])
def test_any_name_of_a_set_comes_back(tmp_path, by):
    name = "70S & \"30S\" <'small'>"
    picks = Picks.from_points(K_ZYX, [0.9, 0.5])
    if by == "classes":
        picks = replace(picks, classes=(name,) * 2)
    particle = Particle(name if by == "particle" else "particle")
    write = known_format("cmm").write
    (tmp_path / "a.cmm").write_text(write([(picks, TomogramInfo("a", 10.0))], particle))
    assert read_points(tmp_path / "a.cmm", voxel_size=10).classes == (name,) * 2


def test_markers_are_truth(tmp_path, capsys):
    one = Tomogram.open(tomogram(tmp_path / "TS_01.mrc", origin=(-150, 40, 1000)))
    write_picks(tmp_path / "TS_01_picks.star", Picks.from_points(K_ZYX, [0.9, 0.5]), one)
    truth = markers(tmp_path / "truth.cmm", scene(origin=(-150, 40, 1000))[:1], "ribosome")
    picks = f"them={tmp_path / 'TS_01_picks.star'}"
    options = ["--truth", str(truth), "--methods", "none", "--picks", picks, "--radius", "20"]
    assert main(["compare", str(one.path), *options]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:5] == [
        "them",
        "2",
        "0.500",
        "1.000",
        "0.667",
    ]
    markers(truth, scene()[:1])
    options = [str(tmp_path / "TS_01_picks.star"), str(truth), "--radius", "20"]
    assert main(["evaluate", *options, "--truth-angpix", "1"]) == 0
    assert "1.000" in capsys.readouterr().out


def test_validate(tmp_path):
    path = tomogram(tmp_path / "TS_01.mrc", origin=(-1500, 0, 0))
    there = markers(tmp_path / "a.cmm", scene(origin=(-1500, 0, 0)))
    info = TomogramInfo("TS_01.mrc", 10.0, SHAPE, path=path)
    report = check(there, Expected(info))
    assert report.valid
    assert not report.findings
    assert [one.program for one in report.verdicts] == ["ChimeraX"]
    elsewhere = markers(tmp_path / "a.cmm", scene())
    assert "2 of 2 points of TS_01 lie outside" in str(check(elsewhere, Expected(info)).findings)
    assert check(elsewhere, Expected(info, coords_angpix=1)).valid
