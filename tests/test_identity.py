"""Which tomogram a point is of: its path or its full name, not the last part of it."""

from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.names import distinct, result_stem, series_name
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.belonging import of_tomogram, points_in
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.points.writing import merged

LABELS = ["rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"]


def star(path, rows):
    head = "".join(f"_{label} #{i}\n" for i, label in enumerate(LABELS, 1))
    path.write_text("data_particles\n\nloop_\n" + head + "".join(row + "\n" for row in rows))
    return path


NAMES = """TS_01__preproc.hdf TS_01_bin8_SIRT-30.rec TS_01_sirt-like.rec TS_01_bin4_dctf.mrc
TS_01.mrc.mdoc TS_01_3DCTF.mrc TS_01_flipped.mrc TS_01_lp60.mrc TS_01_dose-weighted_rec.mrc
TS_01_3D.rec TS_01_dose_filtered.mrc isonet_TS_01.mrc tomo_TS_01.mrc TS_01_bin4x.mrc TS_01_8bit.mrc
TS_01_Vol.mrc TS_01_ODD_Vol.mrc TS_01_2ND_Vol.mrc TS_01_full.rec TS_01_rec.mrc TS_01_rec_16-bit.mrc
TS_01_full_rec.mrc TS_01_corrected.mrc TS_01__bin4.hdf TS_01_10.00Apx.mrc rec_TS_01.mrc
TS_01.rec.mrc TS_01_bin8_den.mrc TS_01.mrc_10.00Apx.mrc rec_TS_01_half1.mrc.gz
TS_01_half1_10.00Apx.mrc TS_01_EVN_Vol.mrc TS_01_10.00Apx_deconv.mrc TS_01_7.84A_SIRT.mrc
TS_01.ome.zarr TS_01.tomostar TS_01.mrc.tomostar TS_01_10.00Apx_deepdewedge.mrc
TS_01_alignbin8_full_rx.mrc TS_01_dose_filt.rec TS_01.rec.nad TS_01_bp_rec.mrc
corrected_TS_01.mrc denoised_TS_01_bin4.mrc _isonet2-n2n_unet-medium_TS_01_EVN.mrc"""


@pytest.mark.parametrize("name", NAMES.split())
def test_what_programs_append_comes_off_in_any_order(name):
    assert series_name(name) == "TS_01"


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("rec.mrc", "rec"),
        ("TS_01_2.mrc", "TS_01_2"),
        ("corrected.mrc", "corrected"),
        ("lamella_b2", "lamella_b2"),
        ("pos_10a", "pos_10a"),
        ("tomo_01", "tomo_01"),
        ("00255", "00255"),
        ("Grid#3_TS_01.tomostar", "Grid#3_TS_01"),
    ],
)
def test_what_is_the_name_stays(name, series):
    assert series_name(name) == series


def test_folders_tell_files_of_one_name_apart():
    label = distinct(["a/TS_01/rec.mrc", "a/TS_02/rec.mrc", "a/x.mrc"])
    assert label("a/TS_01/rec.mrc") == "TS_01/rec"
    assert label("/data/a/TS_02/rec.mrc") == "TS_02/rec"
    assert label("b/x.mrc") == "x"
    assert distinct(["TS_01.mrc", "recon/TS_01.mrc"])("TS_01.mrc") == "TS_01"
    assert distinct(["/a/TS_01.mrc"], ["/b/TS_01.mrc"])("/b/TS_01.mrc") == "TS_01"


def test_points_of_one_of_two(tmp_path):
    path = star(tmp_path / "a.star", ["TS_01/rec.mrc 1 2 3", "TS_02/rec.mrc 4 5 6"])
    points = read_points(path)
    found = of_tomogram(points, "/data/TS_02/rec.mrc").picks.points_zyx
    np.testing.assert_array_equal(found, [[6, 5, 4]])
    for name in ("rec.mrc", "/data/TS_03/rec.mrc"):
        with pytest.raises(InputError, match=r"has points of TS_01/rec, TS_02/rec; expected"):
            of_tomogram(points, name)


def test_two_of_one_name_are_not_paired(tmp_path, capsys):
    picks = star(tmp_path / "p.star", ["TS_01/rec.mrc 10 10 10", "TS_02/rec.mrc 40 40 10"])
    truth = star(tmp_path / "t.star", ["TS_01/rec.mrc 40 40 10", "TS_02/rec.mrc 40 40 10"])
    options = ["--radius", "30", "--voxel-size", "10"]
    assert main(["evaluate", str(picks), str(truth), *options]) == 0
    assert "TS_01/rec" in capsys.readouterr().out


def test_two_of_one_name_are_written_apart(caplog):
    picks = Picks.from_points([[1, 2, 3]])
    groups = [(picks, TomogramInfo(f"/d/{name}/rec.mrc", 10.0)) for name in ("TS_01", "TS_02")]
    assert [info.name for _, info in merged(groups)] == ["TS_01_rec", "TS_02_rec"]
    assert "after their folders: TS_01_rec (/d/TS_01/rec.mrc), TS_02_rec" in caplog.text


@pytest.mark.parametrize(
    ("path", "run"),
    [
        ("10/TS_1/Reconstructions/VoxelSpacing9.8/Annotations/100/a-1.0_point.ndjson", "TS_1"),
        ("10/TS_1/Tomograms/VoxelSpacing9.800/Annotations/me-a-1.0.ndjson", "TS_1"),
        ("C:\\TS_1\\Reconstructions\\VoxelSpacing9.8\\Annotations\\1\\a.ndjson", "TS_1"),
        ("Annotations/100/TS_1.ndjson", "TS_1"),
    ],
)
def test_annotations_of_the_portal_are_of_their_run(path, run):
    assert result_stem(path) == run


def test_two_files_of_one_name_that_name_no_tomogram(tmp_path, capsys):
    files = [tmp_path / name / "picks.csv" for name in ("TS_01", "TS_02")]
    for file in files:
        file.parent.mkdir()
        file.write_text("x,y,z\n40,30,12\n")
    out = ["--to", "coords", "--out", str(tmp_path / "out")]
    assert main(["export", *map(str, files), *out]) == 0
    written = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert written == ["TS_01_picks_cryosam.coords", "TS_02_picks_cryosam.coords"]
    assert "after their folders: TS_01_picks" in capsys.readouterr().err


@pytest.mark.parametrize("label", ["run_name", "Experiment", "tomo_id", "micrograph", "filename"])
def test_columns_of_names(tmp_path, label):
    (tmp_path / "a.csv").write_text(f"{label},x,y,z\nTS_01,1,2,3\n")
    assert read_points(tmp_path / "a.csv").names == ("TS_01",)


def test_an_unknown_column_of_words_is_told(tmp_path, caplog):
    (tmp_path / "a.csv").write_text("grid,n,x,y,z\nTS_01,5,1,2,3\n")
    assert read_points(tmp_path / "a.csv").names is None
    assert "not read, as unknown: the column grid." in caplog.text


def test_tomograms_that_a_file_has_points_of(tmp_path):
    paths = [Path("a", name) for name in ("TS_01.mrc", "TS_02.mrc", "TS_03.mrc")]
    some = read_points(star(tmp_path / "some.star", ["TS_01 1 2 3", "TS_03 1 2 3"]))
    assert points_in(some, paths) == {paths[0], paths[2]}
    with pytest.raises(
        InputError, match=r"some\.star has points of TS_01, TS_03; expected some of"
    ):
        points_in(some, paths[1:2])
    (tmp_path / "plain.csv").write_text("x,y,z\n1,2,3\n")
    plain = read_points(tmp_path / "plain.csv")
    assert points_in(plain, paths[:1]) == {paths[0]}
    with pytest.raises(InputError, match="does not say in which of 3 tomograms its points are"):
        points_in(plain, paths)
