"""tomograms.star: which tilt series a tomogram is of, and what follows from it."""

import numpy as np
import pytest

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tilt_series import read_tomograms_star
from aitom_cryosam.points.tomogram_info import TiltSeries

LABELS = (
    "rlnTomoName",
    "rlnTomoTiltSeriesPixelSize",
    "rlnTomoTomogramBinning",
    "rlnTomoSizeX",
    "rlnTomoSizeY",
    "rlnTomoSizeZ",
    "rlnTomoReconstructedTomogram",
)
ROWS = (
    "00255 1.35 8 3838 3710 1600 Tomograms/job009/tomograms/rec_00255.mrc",
    "TS_02 1.35 8 3838 3710 1200 Tomograms/job009/tomograms/rec_TS_03.mrc",
    "TS_03 1.35 8 3838 3710 800 Tomograms/job010/tomograms/rec_moved.mrc",
)


def table(path, *rows, labels=LABELS):
    header = "".join(f"_{label} #{i}\n" for i, label in enumerate(labels, 1))
    path.write_text(f"# version 50001\n\ndata_global\n\nloop_\n{header}" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def tomograms(tmp_path):
    return read_tomograms_star(table(tmp_path / "tomograms.star", *ROWS))


def test_a_row(tomograms):
    assert tomograms.of("00255") == TiltSeries(1.35, (3838, 3710, 1600), "00255", 8)
    assert tomograms.voxel_size == 10.8


@pytest.mark.parametrize(
    ("tomogram", "name"),
    [
        ("00255.tomostar", "00255"),
        ("255.mrc", "00255"),
        ("elsewhere/00255_10.80Apx.mrc", "00255"),
        ("rec_00255_half1.mrc", "00255"),
        ("TS_02", "TS_02"),
        ("TS_03", "TS_03"),  # its name goes before another one's reconstruction
        ("rec_moved", "TS_03"),
        # The path of a reconstruction goes before all names, folder by folder.
        ("Tomograms/job009/tomograms/rec_TS_03.mrc", "TS_02"),
        ("/project/Tomograms/job009/tomograms/rec_TS_03.mrc", "TS_02"),
        ("/project/MyTomograms/job009/tomograms/rec_TS_03.mrc", "TS_03"),
        ("/project/Tomograms/job011/tomograms/rec_TS_03.mrc", "TS_03"),
    ],
)
def test_which_row(tomograms, tomogram, name):
    assert tomograms.of(tomogram).name == name


def test_a_tomogram_of_another_project(tomograms):
    with pytest.raises(InputError, match="no tilt series for TS_04; expected one of 00255, TS_02"):
        tomograms.of("TS_04.mrc")


def test_an_ambiguous_name(tmp_path):
    path = table(tmp_path / "a.star", "TS_01.tomostar 1 ", "rec_TS_01 2", labels=LABELS[:2])
    with pytest.raises(InputError, match="has 2 tilt series for TS_01; expected one of TS_01"):
        read_tomograms_star(path).of("TS_01")


def test_sizes_and_binning_may_be_absent(tmp_path):
    path = table(tmp_path / "a.star", "TS_01.tomostar 1.667", labels=LABELS[:2])
    tomograms = read_tomograms_star(path)
    assert tomograms.of("TS_01_10.00Apx.mrc") == TiltSeries(1.667, None, "TS_01.tomostar")
    assert tomograms.voxel_size is None


def test_one_voxel_size_or_none(tmp_path):
    path = table(tmp_path / "a.star", "a 1 8", "b 2 8", labels=LABELS[:3])
    assert read_tomograms_star(path).voxel_size is None


@pytest.mark.parametrize(
    ("labels", "row", "says"),
    [
        (LABELS[:1], "a", "is no tomograms.star: no table has the columns rlnTomoName and"),
        (LABELS[:2], "a 0", "rlnTomoTiltSeriesPixelSize is '0"),
        (LABELS[:2], "a x", "rlnTomoTiltSeriesPixelSize is 'x'; expected a number above 0"),
        (LABELS[:6], "a 1 1 5 big 5", "rlnTomoSizeY is 'big'"),
    ],
)
def test_bad_tables(tmp_path, labels, row, says):
    with pytest.raises(InputError, match=says):
        read_tomograms_star(table(tmp_path / "a.star", row, labels=labels))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        read_tomograms_star(tmp_path / "a.star")


def test_points_of_several_tomograms_have_their_own_sizes(tmp_path, tomograms):
    labels = ("rlnTomoName", *(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"))
    rows = ["00255 649.35 -344.25 0", "TS_02 649.35 -344.25 0"]
    points = read_points(table(tmp_path / "a.star", *rows, labels=labels), tomograms=tomograms)
    # 1600 / 2 · 1.35 / 10.8 and 1200 / 2 · 1.35 / 10.8
    np.testing.assert_allclose(points.picks.points_zyx, [[100, 200, 300], [75, 200, 300]])
    assert points.names == ("00255", "TS_02")
    assert points.voxel_size == 10.8


def test_points_of_another_project(tmp_path, tomograms):
    labels = ("rlnTomoName", *(f"rlnCoordinate{axis}" for axis in "XYZ"))
    path = table(tmp_path / "a.star", "TS_99 1 2 3", labels=labels)
    with pytest.raises(InputError, match="no tilt series for TS_99"):
        read_points(path, tomograms=tomograms)


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "tomogram", "expected", "voxel_size"),
    [
        (
            "relion5/R5_tutorial_run_tomograms.star",
            "Tomograms/job006/tomograms/rec_TS_43_half2.mrc",
            TiltSeries(1.35, (4000, 4000, 2000), "TS_43", 7.407407),
            10,
        ),
        (
            "relion5/cylindra_job_dirs/Tomograms/job_tomo/tomograms.star",
            "14pf_MT.mrc",
            TiltSeries(10.52, (84, 136, 44), "TS_02", 1),
            10.52,
        ),
        (
            "pytom_match_pick/relion5_project_example/Tomograms/job009/tomograms.star",
            "tomo200528_107",
            TiltSeries(1.724, (4000, 4000, 2000), "tomo200528_107", 8.12065),
            14,
        ),
        (
            "relion4/relion_repo_tests/tilt_series_metadata/tilt_series.star",
            "220728_TS_54",
            TiltSeries(1.35, (4000, 4000, 3000), "220728_TS_54", 8),
            10.8,
        ),
        (
            "warp/warp2_matching_tomograms.star",
            "TS_1_4.00Apx.mrc",
            TiltSeries(0.7894, (4400, 6000, 1000), "TS_1.tomostar"),
            None,
        ),
    ],
)
def test_tables_of_other_programs(data_dir, file, tomogram, expected, voxel_size):
    tomograms = read_tomograms_star(data_dir / "coordinate_files" / file)
    assert tomograms.of(tomogram) == expected
    assert tomograms.voxel_size == voxel_size


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "count", "first_zyx"),
    [
        # 44 / 2 + 11.16 / 10.52, 136 / 2 + 765.48005 / 10.52, 84 / 2 − 176.94 / 10.52
        ("Picks/job_picks/particles.star", 5, [23.0608, 140.7643, 25.1806]),
        # less rlnOrigin*Angst, turned by rlnTomoSubtomogram*: see test_rotations.py
        ("Class3D/job_class3d/run_it025_data.star", 10, [34.7302, -16.1260, 113.6853]),
    ],
)
def test_particles_of_a_relion5_project(data_dir, file, count, first_zyx):
    project = data_dir / "coordinate_files" / "relion5" / "cylindra_job_dirs"
    tomograms = read_tomograms_star(project / "Tomograms" / "job_tomo" / "tomograms.star")
    points = read_points(project / file, tomograms=tomograms)
    assert len(points.picks) == count
    np.testing.assert_allclose(points.picks.points_zyx[0], first_zyx, atol=1e-4)
