"""Orientations: what lies at r in the reference lies at the point + R r, whoever wrote it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks, joined
from aitom_cryosam.points.formats.registry import FORMATS
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.rotations import (
    from_dynamo,
    from_eman,
    from_relion,
    of_matrices,
    to_aitom,
    to_dynamo,
    to_relion,
)
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.points.writing import project_files

FRAME = TomogramInfo("TS_01", 10.0, (200, 464, 480), TiltSeries(2.5, (1920, 1856, 800)))
X, Y, Z = np.eye(3)


def relion_matrix(rot, tilt, psi):
    """RELION's own matrix, Euler_angles2matrix, with which it projects a reference."""
    (ca, cb, cg), (sa, sb, sg) = (f(np.radians([rot, tilt, psi])) for f in (np.cos, np.sin))
    return np.array(
        [
            [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
            [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
            [sb * ca, sb * sa, cb],
        ]
    )


@pytest.mark.parametrize(
    ("angles", "reference", "tomogram"),
    [
        ((0, 90, 0), Z, -X),  # a filament's axis: tilt and psi alone say where it points
        ((0, 90, 90), Z, Y),
        ((77, 90, 90), Z, Y),  # rot spins it about itself
        ((90, 0, 0), X, -Y),
        ((0, 0, 90), X, -Y),
        ((0, 90, 0), X, Z),
    ],
)
def test_golden_vectors_of_relion(angles, reference, tomogram):
    np.testing.assert_allclose(
        from_relion(np.array([angles])).apply(reference), [tomogram], atol=1e-12
    )


@pytest.mark.parametrize(
    ("angles", "reference", "tomogram"),
    [
        ((0, 90, 0), Z, Y),
        ((90, 90, 0), Z, X),  # tdrot turns last, about the tomogram's z
        ((0, 90, 90), Z, Y),  # narot spins the particle about itself
        ((90, 0, 0), X, -Y),
    ],
)
def test_golden_vectors_of_dynamo(angles, reference, tomogram):
    np.testing.assert_allclose(
        from_dynamo(np.array([angles])).apply(reference), [tomogram], atol=1e-12
    )


def test_the_same_particle_in_relion_and_dynamo():
    # A pair that gave the same reconstruction in both programs (teamtomo/eulerangles).
    dynamo, relion = np.array([[-47.273, 1.1777, -132.3]]), np.array([[137.7, 1.1777, 42.727]])
    np.testing.assert_allclose(to_relion(from_dynamo(dynamo)), relion, atol=1e-9)
    np.testing.assert_allclose(to_dynamo(from_relion(relion)), dynamo, atol=1e-9)


def test_relion_against_its_own_matrix():
    angles = np.random.default_rng(0).uniform(-180, 180, (50, 3))
    expected = [relion_matrix(*row) for row in angles]
    np.testing.assert_allclose(from_relion(angles).as_matrix(), expected, atol=1e-12)
    again = from_relion(to_relion(Rotation.from_matrix(expected)))
    np.testing.assert_allclose(again.as_matrix(), expected, atol=1e-12)


def test_angles_of_eman():
    # Rz(az) Rx(alt) Rz(phi): alt alone takes z to -y
    np.testing.assert_allclose(from_eman([0, 90, 0]).apply(Z), -Y, atol=1e-12)
    np.testing.assert_allclose(from_eman([90, 90, 0]).apply(Z), X, atol=1e-12)


@pytest.mark.parametrize("tilt", [0, 180])
def test_where_two_angles_are_one(tilt):
    rotations = from_relion(np.array([[20.0, tilt, 30.0]]))
    for there, back in ((to_relion, from_relion), (to_dynamo, from_dynamo)):
        again = back(there(rotations))
        assert (again * rotations.inv()).magnitude()[0] < 1e-9


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (np.diag([1, 1, -1]), "point 1: its matrix is no rotation"),
        (np.diag([2, 2, 2]), "point 1: its matrix is no rotation"),
        (np.full((3, 3), np.nan), "point 1: its matrix is no rotation"),
        ([[1, 2], [3, 4]], "no matrix of 3 × 3 numbers"),
        ("abc", "no matrix of 3 × 3 numbers"),
    ],
)
def test_no_rotation(tmp_path, matrix, says):
    with pytest.raises(InputError, match=says):
        of_matrices([matrix], tmp_path / "a.json")


def picks(n=4):
    rng = np.random.default_rng(n)
    return Picks(
        rng.uniform(20, 150, (n, 3)),
        rng.normal(size=n),
        np.arange(1, n + 1),
        np.ones(n, bool),
        ("",) * n,
        rotations=Rotation.from_quat(rng.normal(size=(n, 4))),
        classes=tuple("21"[i % 2] for i in range(n)),
    ).best_first()


def written(folder, name, these, info=FRAME):
    files = project_files(name, folder / f"a{FORMATS[name].ending}", [(these, info)])
    for path, content in files.items():
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return next(iter(files))


def read(path, name):
    size, series = FRAME.voxel_size, FRAME.tilt_series
    return read_points(
        path, voxel_size=size, tilt_series=series, shape_zyx=FRAME.shape_zyx, format=name
    ).picks


def angle_between(one, other):
    return np.degrees((one.inv() * other).magnitude())


def test_any_format_to_any_other(tmp_path):
    turning = [name for name, kind in FORMATS.items() if kind.rotations]
    star = ["relion5", "relion4", "relion31", "warp"]
    assert turning == [*star, "dynamo", "motl", "stopgap", "copick", "portal", "aitom"]
    these = picks()
    for name in turning:
        for other in turning:
            now = read(written(tmp_path, name, these), name)
            again = read(written(tmp_path, other, now), other)
            assert angle_between(again.rotations, these.rotations).max() < 1e-4, (name, other)


def test_untold_orientations_stay_untold(tmp_path):
    these = Picks.from_points([[1, 2, 3]], [0.5])
    for name in FORMATS:
        assert read(written(tmp_path, name, these), name).rotations is None
    assert "rlnAngle" not in written(tmp_path, "relion5", these).read_text()


def test_one_orientation_in_every_file(tmp_path):
    these = Picks.from_points([[100, 200, 300]], [0.5])
    turned = replace(these, rotations=from_relion(np.array([[0, 90, 90]])))
    assert "0.000000 90.000000 90.000000" in written(tmp_path, "warp", turned).read_text()
    matrix = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    content = json.loads(written(tmp_path, "copick", turned).read_text())
    assert content["trust_orientation"] is True
    [point] = content["points"]
    assert np.allclose(np.array(point["transformation_"])[:3, :3], matrix)
    assert point["transformation_"][3] == [0, 0, 0, 1]
    [line] = written(tmp_path, "portal", turned).read_text().splitlines()
    assert json.loads(line)["type"] == "orientedPoint"
    assert np.allclose(json.loads(line)["xyz_rotation_matrix"], matrix)
    row = written(tmp_path, "dynamo", turned).read_text().split()
    assert np.allclose(from_dynamo(np.array(row[6:9], float)[None]).as_matrix()[0], matrix)
    [item] = json.loads(written(tmp_path, "aitom", turned).read_text())
    assert np.allclose(item["angle"], [0, np.pi / 2, np.pi / 2])
    assert np.allclose(item["loc"], 0)


def star(path, labels, rows):
    head = "".join(f"_{label} #{i}\n" for i, label in enumerate(labels, 1))
    path.write_text("data_particles\n\nloop_\n" + head + "".join(row + "\n" for row in rows))
    return path


SUBTOMOGRAM = [f"rlnTomoSubtomogram{angle}" for angle in ("Rot", "Tilt", "Psi")]
ANGLES = [f"rlnAngle{angle}" for angle in ("Rot", "Tilt", "Psi")]
PIXELS = [f"rlnCoordinate{axis}" for axis in "XYZ"]
SHIFTS = [f"rlnOrigin{axis}Angst" for axis in "XYZ"]


def test_subtomogram_rotations_turn_shifts_and_particles(tmp_path):
    labels = ["rlnTomoName", *PIXELS, *SHIFTS, *SUBTOMOGRAM, *ANGLES, "rlnAngleTiltPrior"]
    path = star(tmp_path / "a.star", labels, ["TS_01 400 320 160 20 10 5 30 60 75 3 4 5 90"])
    points = read_points(path, voxel_size=10, tilt_series=TiltSeries(2.5)).picks
    frame, particle = relion_matrix(30, 60, 75), relion_matrix(3, 4, 5)
    expected = np.array([400, 320, 160]) * 0.25 - frame @ [2, 1, 0.5]
    np.testing.assert_allclose(points.points_zyx[0, ::-1], expected)
    np.testing.assert_allclose(points.rotations.as_matrix()[0], frame @ particle, atol=1e-12)
    assert points.extra == {}  # a prior within the subtomogram would be wrong outside of it


def test_a_subtomogram_rotation_alone(tmp_path):
    path = star(tmp_path / "a.star", [*PIXELS, *SUBTOMOGRAM, *ANGLES], ["1 2 3 30 60 75 0 0 0"])
    found = read_points(path).picks.rotations.as_matrix()[0]
    np.testing.assert_allclose(found, relion_matrix(30, 60, 75), atol=1e-12)


def test_columns_of_another_program_pass_unchanged(tmp_path):
    labels = ["rlnMicrographName", *PIXELS, "rlnClassNumber", "rlnRandomSubset", "myOwn"]
    rows = ["TS_01.tomostar 1 2 3 2 0012 1e-05", "TS_01.tomostar 4 5 6 1 2 a'b"]
    path = star(tmp_path / "a.star", labels, rows)
    out = tmp_path / "b.star"
    options = ["--voxel-size", "10", "--quiet"]
    assert main(["export", str(path), "--to", "warp", "--out", str(out), *options]) == 0
    lines = out.read_text().splitlines()
    columns = [line.split()[0] for line in lines if line.startswith("_")]
    first = columns.index("_rlnClassNumber")
    assert columns[first : first + 3] == ["_rlnClassNumber", "_rlnRandomSubset", "_myOwn"]
    assert [line.split()[first : first + 3] for line in lines if line[:1].isdigit()] == [
        ["2", "0012", "1e-05"],
        ["1", "2", "a'b"],
    ]


def test_columns_that_warptools_crashes_on(tmp_path, caplog):
    labels = ["rlnMicrographName", *PIXELS, "rlnImageName", "rlnVoltage", "rlnTomoParticleName"]
    path = star(tmp_path / "a.star", labels, ["TS_01.tomostar 1 2 3 a.mrc 300 TS_01/1"])
    these = read_points(path).picks
    text = written(tmp_path, "warp", these).read_text()
    assert "ImageName" not in text
    told = "as WarpTools crashes on them: rlnImageName, rlnVoltage, rlnTomoParticleName."
    assert told in caplog.text
    assert "300" in written(tmp_path, "relion4", these).read_text().split()


def test_what_a_format_cannot_hold_is_told(tmp_path, caplog):
    written(tmp_path, "coords", picks())
    assert caplog.messages == [
        "Files of the format coords cannot hold scores, rotations or classes, which are left out."
    ]


def test_named_classes_of_dynamo_get_numbers(tmp_path, caplog):
    these = picks()
    named = replace(these, classes=("ribosome", "FAS", "FAS", "ribosome"))
    assert read(written(tmp_path, "dynamo", named), "dynamo").classes == ("2", "1", "1", "2")
    assert "Dynamo's classes are numbers: 1 is FAS, 2 is ribosome." in caplog.text


@pytest.mark.parametrize("name", [name for name, kind in FORMATS.items() if kind.classes])
def test_numbered_classes_survive(tmp_path, name):
    these = picks()
    assert read(written(tmp_path, name, these), name).classes == these.classes


def test_take_and_reject_carry_everything():
    these = picks()
    back = these.take(np.array([3, 1])).reject([0], "x")
    assert back.classes == (these.classes[3], these.classes[1])
    assert angle_between(back.rotations, these.rotations[[3, 1]]).max() == 0
    none = these.take(np.zeros(4, bool))
    assert (len(none), len(none.rotations), none.classes) == (0, 0, ())


def test_joined_parts(caplog):
    turned, plain = picks(), Picks.from_points([[1, 2, 3]])
    both = joined([plain, turned])
    assert both.classes == ("none", *turned.classes)
    assert angle_between(both.rotations[1:], turned.rotations).max() == 0
    assert "Some of the joined points have no rotation" in caplog.text
    assert joined([plain, plain]).rotations is None


def test_probabilities_of_joined_parts(caplog):
    rated = replace(picks(), probabilities=np.array([0.9, 0.5, 0.25, 0.0]))
    assert joined([rated, rated]).probabilities.tolist() == [0.9, 0.5, 0.25, 0.0] * 2
    assert not caplog.messages
    assert joined([rated, picks()]).probabilities is None
    told = "Left out, as not all of the joined files have them: probabilities."
    assert caplog.messages == [told]


def test_columns_of_different_lengths():
    with pytest.raises(InputError, match="of every column of Picks"):
        replace(picks(), rotations=Rotation.identity(3))


def test_orientations_of_eman(tmp_path):
    angles = {"az": 20.0, "alt": 30.0, "phi": 40.0}
    matrix = from_eman([20, 30, 40]).inv().as_matrix()
    text = json.dumps(np.column_stack([matrix, [1, 2, 3]]).ravel().tolist())
    boxes = [
        [0, 0, 0, "manual", 0.5, 0, {"xform.align3d": {"__class__": "Transform", **form}}]
        for form in (angles, {"matrix": text})
    ]
    path = tmp_path / "a_info.json"
    path.write_text(json.dumps({"apix_unbin": 2.5, "boxes_3d": boxes}))
    found = read(path, None).rotations
    assert angle_between(found, from_eman([20, 30, 40])).max() < 1e-6


def test_untrusted_orientations_of_copick(tmp_path):
    content = json.loads(written(tmp_path, "copick", picks()).read_text())
    (tmp_path / "b.json").write_text(json.dumps(content | {"trust_orientation": False}))
    assert read(tmp_path / "b.json", None).rotations is None


@pytest.mark.data
def test_real_files_have_orientations(data_dir):
    files = data_dir / "coordinate_files"
    portal = read_points(next((files / "portal").glob("*Oriented*")))
    assert abs(portal.picks.rotations[0].as_matrix()[0, 1] + 0.1391974240541458) < 1e-7
    copick = read_points(files / "copick" / "CCDC147C_001_microtubule.json")
    assert len(copick.picks.rotations) == 597
    [table] = (files / "dynamo").glob("*.tbl")
    first = read_points(table).picks.rotations[0]
    expected = Rotation.from_euler("zxz", [144.13, -79.159, -180], degrees=True).inv()
    assert (first.inv() * expected).magnitude() < 1e-9
    [path] = (files / "pytom_match_pick").glob("*.star")
    first = read_points(path).picks.rotations[0]
    np.testing.assert_allclose(
        first.as_matrix(), relion_matrix(-165.000023, 87.452668, -137.999998), atol=1e-9
    )


def test_against_eulerangles():
    eulerangles = pytest.importorskip("eulerangles")
    angles = np.random.default_rng(1).uniform(-180, 180, (20, 3))
    for source, target, there, back in (
        ("dynamo", "relion", from_dynamo, to_relion),
        ("relion", "dynamo", from_relion, to_dynamo),
    ):
        theirs = eulerangles.convert_eulers(angles, source_meta=source, target_meta=target)
        ours = back(there(angles))
        other = from_relion if target == "relion" else from_dynamo
        assert (other(np.asarray(theirs)).inv() * other(ours)).magnitude().max() < 1e-9


def written_by_others(kind, matrices):
    """The text of a file with a point for each matrix, of which None is none."""
    place = {"x": 10.0, "y": 20.0, "z": 30.0}
    if kind == "portal":
        rotated = [{} if m is None else {"xyz_rotation_matrix": m.tolist()} for m in matrices]
        return "".join(json.dumps({"location": place, **one}) + "\n" for one in rotated)
    if kind == "copick":
        turned = [None if m is None else np.pad(m, (0, 1)).tolist() for m in matrices]
        points = [{"location": place, "transformation_": m} for m in turned]
        content = {"pickable_object_name": "a", "voxel_spacing": 10, "points": points}
        return json.dumps(content)
    if kind == "aitom":
        turned = [None if m is None else to_aitom(Rotation.from_matrix([m]))[0] for m in matrices]
        return json.dumps(
            [{"x": [1, 2, 3]} | ({} if m is None else {"angle": m.tolist()}) for m in turned]
        )
    boxes = [
        [1, 2, 3, "manual", 0.5, 0]
        + (
            []
            if m is None
            else [{"xform.align3d": {"matrix": np.pad(m.T, [(0, 0), (0, 1)]).tolist()}}]
        )
        for m in matrices
    ]
    return json.dumps({"apix_unbin": 2.5, "boxes_3d": boxes})


@pytest.mark.parametrize("kind", ["copick", "portal", "aitom", "eman2"])
def test_one_point_without_orientation_costs_the_others_nothing(tmp_path, kind, caplog):
    turned = Rotation.from_euler("zyx", [[30, 40, 50], [10, 20, 70]], degrees=True)
    path = tmp_path / f"a{FORMATS[kind].ending}"
    path.write_text(written_by_others(kind, [turned[0].as_matrix(), None, turned[1].as_matrix()]))
    found = read(path, kind).rotations
    expected = Rotation.concatenate([turned[0], Rotation.identity(), turned[1]])
    assert angle_between(found, expected).max() < 1e-6
    told = f"{path}: 1 of 3 points have no orientation; they are taken as not turned."
    assert told in caplog.messages
    path.write_text(written_by_others(kind, [None, None]))
    assert read(path, kind).rotations is None


def test_a_file_of_one_class_is_called_as_it(tmp_path, caplog):
    these = replace(picks(), classes=("FAS",) * 4)
    path = written(tmp_path, "copick", these)
    assert json.loads(path.read_text())["pickable_object_name"] == "FAS"
    assert not caplog.messages


def test_each_class_is_an_object_of_copick(tmp_path, caplog):
    these = replace(picks(), classes=("80S ribosome", "FAS", "FAS", "80S ribosome"))
    files = project_files("copick", tmp_path, [(these, FRAME)])
    found = {
        path.name: [point["instance_id"] for point in json.loads(text)["points"]]
        for path, text in files.items()
    }
    ids = these.ids.tolist()
    assert found == {
        "cryosam_1_80S-ribosome.json": [ids[0], ids[3]],
        "cryosam_1_FAS.json": [ids[1], ids[2]],
    }
    assert not caplog.messages
    [path] = project_files("copick", tmp_path, [(these, FRAME)], particle=Particle("mine"))
    assert path.name == "cryosam_1_mine.json"
    assert caplog.messages == [
        "Files of the format copick cannot hold classes, which are left out."
    ]
