"""What every format of the registry holds to; a new one is tested by being in it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import FORMATS
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.points.writing import project_files

# Three unequal axes, odd and even, with a binning that is no whole number.
INFO = TomogramInfo("TS_01", 13.6, (61, 94, 130), TiltSeries(2.176, (813.0, 588.0, 381.0)))
OTHER = replace(INFO, name="00255")
PLACES = [[30, 40, 50], [0, 0, 0], [60, 93, 129], [12.5, 20.25, 100.125], [30.49, 40.51, 7.0]]


def whole_set() -> Picks:
    """Picks with all that picks can have."""
    rng = np.random.default_rng(5)
    n = len(PLACES)
    return Picks(
        np.array(PLACES, float),
        np.array([0.9, 0.7, 0.5, -0.25, -3.0]),  # best first
        np.array([4, 2, 9, 1, 7]),
        np.ones(n, bool),
        ("",) * n,
        np.array([0.95, 0.8, 0.5, 0.25, 0.0]),
        rotations=Rotation.from_quat(rng.normal(size=(n, 4))),
        classes=("1", "2", "1", "3", "2"),
        extra={"rlnRandomSubset": ("1", "2", "1", "2", "1"), "somebodys": tuple("abcde")},
    )


def written(folder, name, picks, *others):
    """Write one file of one or several tomograms; its path."""
    groups = [(picks, INFO), *((more, OTHER) for more in others)]
    files = project_files(name, folder / f"a{FORMATS[name].ending}", groups)
    for path, content in files.items():
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return next(iter(files))


def read(path, name):
    return read_points(
        path,
        voxel_size=INFO.voxel_size,
        tilt_series=INFO.tilt_series,
        shape_zyx=INFO.shape_zyx,
        format=name,
    )


every = pytest.mark.parametrize("name", FORMATS)


@every
def test_places_survive_the_round_trip(tmp_path, name):
    back = read(written(tmp_path, name, whole_set()), name).picks
    expected = np.array(PLACES, float)
    if FORMATS[name].whole and name != "aitom":  # whose pose has the rest
        expected = np.floor(expected + 0.5)
    # RELION's and IMOD's six decimals of Å or voxels, and IMOD's single precision
    np.testing.assert_allclose(back.points_zyx, expected, atol=2e-5, rtol=0)


@every
def test_the_axes_are_told_apart(tmp_path, name):
    moved = []
    for axis in range(3):
        place = np.full(3, 20.0)
        place[axis] += 5
        path = written(tmp_path, name, Picks.from_points([place], [0.5]))
        moved.append(read(path, name).picks.points_zyx[0] - 20)
    np.testing.assert_allclose(moved, 5 * np.eye(3), atol=2e-5)


@every
@pytest.mark.parametrize("shape_zyx", [(61, 94, 130), (60, 95, 131)])
def test_no_half_voxel_is_lost(tmp_path, name, shape_zyx):
    """A voxel's centre stays there, in tomograms of odd and of even sizes."""
    info = replace(INFO, shape_zyx=shape_zyx)
    files = project_files(
        name, tmp_path / f"a{FORMATS[name].ending}", [(Picks.from_points([[30, 40, 50]]), info)]
    )
    for path, content in files.items():
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    back = read_points(
        next(iter(files)),
        voxel_size=13.6,
        tilt_series=INFO.tilt_series,
        shape_zyx=shape_zyx,
        format=name,
    )
    np.testing.assert_allclose(back.picks.points_zyx, [[30, 40, 50]], atol=2e-5)


@every
def test_scores(tmp_path, name):
    back = read(written(tmp_path, name, whole_set()), name).picks
    if FORMATS[name].scores:
        np.testing.assert_allclose(back.scores, whole_set().scores, atol=1e-6)
    else:
        assert np.isnan(back.scores).all()


@every
def test_probabilities(tmp_path, name):
    back = read(written(tmp_path, name, whole_set()), name).picks
    if FORMATS[name].columns:
        np.testing.assert_allclose(back.probabilities, whole_set().probabilities, atol=1e-6)
    else:
        assert back.probabilities is None


@every
def test_no_score_is_no_number(tmp_path, name):
    """A score that is not there is not there in the file either."""
    none = replace(whole_set(), scores=np.full(len(PLACES), np.nan))
    path = written(tmp_path, name, none)
    assert np.isnan(read(path, name).picks.scores).all()
    if path.suffix == ".star":
        assert "rlnAutopickFigureOfMerit" not in path.read_text()
        assert "cryosamScore" not in path.read_text()


@every
def test_some_scores_are_not_there(tmp_path, name, caplog):
    scores = np.array([0.9, 0.7, np.nan, -0.25, np.nan])
    path = written(tmp_path, name, replace(whole_set(), scores=scores))
    found = read(path, name).picks.scores
    if not FORMATS[name].scores:
        assert np.isnan(found).all()
        return
    has_numbers_only = name in ("dynamo", "motl", "stopgap", "eman2")
    expected = np.nan_to_num(scores) if has_numbers_only else scores
    np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1e-6)
    if path.suffix == ".star" and not has_numbers_only:
        assert "rlnAutopickFigureOfMerit" not in path.read_text()
        assert "2 of 5 picks have no score" in caplog.text


@every
def test_rotations(tmp_path, name):
    back = read(written(tmp_path, name, whole_set()), name).picks
    if not FORMATS[name].rotations:
        assert back.rotations is None
        return
    turned = (back.rotations.inv() * whole_set().rotations).magnitude()
    assert np.degrees(turned).max() < 1e-4


@every
def test_classes(tmp_path, name):
    back = read(written(tmp_path, name, whole_set()), name).picks
    if FORMATS[name].classes:
        assert back.classes == whole_set().classes
    else:
        assert back.classes is None or len(set(back.classes)) == 1


@every
def test_columns_of_other_programs(tmp_path, name):
    back = read(written(tmp_path, name, whole_set()), name).picks
    for label, column in whole_set().extra.items():
        assert back.extra.get(label) == (column if FORMATS[name].columns else None)


@every
def test_what_is_lost_is_told_in_one_line(tmp_path, name, caplog):
    written(tmp_path, name, whole_set())
    told = [line for line in caplog.messages if line.endswith(", which are left out.")]
    kind = FORMATS[name]
    exact = not kind.whole or kind.posed
    holds = (exact, kind.scores, kind.columns, kind.rotations, kind.classes, kind.columns)
    assert len(told) == (0 if all(holds) else 1)
    words = (
        *("fractions of voxels", "scores", "probabilities"),
        *("rotations", "classes", "further columns"),
    )
    for held, word in zip(holds, words, strict=True):
        assert (word in "".join(told)) == (not held)


@every
def test_nothing_is_told_of_plain_points(tmp_path, name, caplog):
    written(tmp_path, name, Picks.from_points([[1, 2, 3]]))
    assert not caplog.messages


@pytest.mark.parametrize("name", [name for name, kind in FORMATS.items() if kind.whole])
def test_rounded_places_are_told(tmp_path, name, caplog):
    written(tmp_path, name, Picks.from_points([[1.0, 2.5, 3.0]]))
    assert caplog.messages == [
        f"Files of the format {name} cannot hold fractions of voxels, which are left out."
    ]


@every
def test_no_picks(tmp_path, name):
    for nothing in (whole_set().take(np.zeros(0, int)), Picks.from_points(np.empty((0, 3)))):
        assert len(read(written(tmp_path, name, nothing), name).picks) == 0


@every
def test_one_pick(tmp_path, name):
    assert len(read(written(tmp_path, name, whole_set().take(np.array([2]))), name).picks) == 1


@every
def test_the_same_bytes_twice(tmp_path, name):
    first = written(tmp_path, name, whole_set()).read_bytes()
    assert written(tmp_path, name, whole_set()).read_bytes() == first


@every
def test_files_of_several_tomograms(tmp_path, name):
    if not FORMATS[name].names:
        with pytest.raises(InputError, match="holds one tomogram, got 2; give a folder as out"):
            written(tmp_path, name, whole_set(), whole_set())
        return
    back = read(written(tmp_path, name, whole_set(), whole_set()), name)
    assert [one.removesuffix(".tomostar") for one in back.names] == ["TS_01"] * 5 + ["00255"] * 5


@every
def test_a_file_is_recognised_by_itself(tmp_path, name):
    path = written(tmp_path, name, whole_set())
    np.testing.assert_allclose(
        read(path, None).picks.points_zyx[0], [30, 40, 50], atol=2e-5
    )  # fmt: skip


@every
def test_broken_files_are_refused_in_one_sentence(tmp_path, name):
    """Cut, altered and mixed up: read as points, or refused without an exception's own text."""
    path = written(tmp_path, name, whole_set())
    good, rng = path.read_bytes(), np.random.default_rng(11)
    refused = 0
    for turn in range(60):
        bad = bytearray(good)
        for _ in range(rng.integers(1, 6)):
            place = rng.integers(len(bad))
            if turn % 3 == 0:
                del bad[place:]
                bad += b" "
            elif turn % 3 == 1:
                bad[place] = rng.integers(256)
            else:
                bad[place:place] = rng.choice([b"\n", b" ", b"nan", b"null", b"-", b'"', b"\xff"])
        path.write_bytes(bytes(bad))
        try:
            read(path, name)
        except InputError as error:
            refused += 1
            text = str(error)
            assert "\n" not in text
            assert text.endswith(".")
            assert not any(word in text for word in ("Error", "Exception", "Traceback", "codec"))
    assert refused
