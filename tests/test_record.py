"""Records: what a run left is read back, also that of version 0.1."""

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam import CryoSAM, Result, Settings, Tomogram
from aitom_cryosam.beside import note_beside, record_beside
from aitom_cryosam.cli import main
from aitom_cryosam.cli.pick_output import summary
from aitom_cryosam.errors import InputError
from aitom_cryosam.masks import ball, labels
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.record import Record
from aitom_cryosam.result_files import result_paths
from aitom_cryosam.run_entries import SCHEMA
from aitom_cryosam.selection import Selection, write_selection
from aitom_cryosam.source_file import FileStamp
from aitom_cryosam.volumes.mrc import write_volume
from tests.toys import small_simulation

OLD = Path(__file__).parent / "results_of_0.1"
STEM = "TS_01"
SETTINGS = Settings(preset="embedded", cut="none", top_k=12, diameter_angstrom=250.0)


@pytest.fixture(scope="module")
def tomogram(tmp_path_factory: pytest.TempPathFactory) -> Tomogram:
    path = tmp_path_factory.mktemp("tomogram") / f"{STEM}.mrc"
    write_volume(path, small_simulation().data, voxel_size=20.0)
    return Tomogram.open(path)


@pytest.fixture(scope="module")
def result(tomogram: Tomogram) -> Result:
    click = small_simulation().points_zyx[1, ::-1]
    return CryoSAM(SETTINGS).pick(tomogram, [click])


@pytest.fixture(scope="module")
def record(result: Result, tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("record")
    result.write(folder, star=["warp"], picture=True)
    return Record.open(folder)


def test_what_was_found_is_read_back(record: Record, result: Result) -> None:
    for found, wanted in ((record.proposals, result.proposals), (record.picks, result.picks)):
        np.testing.assert_allclose(found.points_zyx, wanted.points_zyx, atol=1e-6)
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-6)
        assert found.ids.tolist() == wanted.ids.tolist()
        assert found.kept.tolist() == wanted.kept.tolist()
        assert found.reasons == wanted.reasons
    np.testing.assert_allclose(record.prompts.points_zyx, result.prompts.points_zyx, atol=5e-4)
    assert record.prompts.kept.tolist() == result.prompts.kept.tolist()
    assert record.settings == SETTINGS
    assert record.diameter_angstrom == 250
    assert record.content["schema"] == SCHEMA
    assert list(record.seconds) == list(result.stages.seconds)
    assert record.provenance["versions"]["numpy"] == np.__version__


def test_what_to_expect_is_recorded(record: Record, result: Result) -> None:
    found, wanted = record.proposals.probabilities, result.proposals.probabilities
    assert found is not None
    assert wanted is not None
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert found.max() == 1  # the click
    counts = record.content["counts"]
    assert counts["expected_precision"] == pytest.approx(
        found[record.proposals.kept].mean(), abs=1e-3
    )
    assert counts["expected_particles"] == pytest.approx(found.sum(), abs=0.1)


def test_nothing_is_expected_where_clusters_decided(
    result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(result, by_clusters=True).write(tmp_path / "a")
    record = Record.open(tmp_path / "a")
    assert record.by_clusters
    assert record.content["counts"]["decided_by"] == "clusters"
    assert "expected_precision" not in record.content["counts"]
    [picks] = [value for label, value in summary(record, 1.0) if label == "picks"]
    assert "right" not in picks
    assert "by clusters: nearly all places look alike" in picks
    for typed, stays in (("--top 2", True), ("--cut -100", False), ("--fdr 0.9", False)):
        select = ["select", str(tmp_path / "a"), *typed.split(), "--overwrite", "--quiet"]
        assert main([*select, "--out", str(tmp_path / "b")]) == 0
        chosen = Record.open(tmp_path / "b")
        assert chosen.by_clusters is stays
        assert ("expected_precision" in chosen.content["counts"]) is not stays


def test_masks_are_the_labels(record: Record, result: Result) -> None:
    labels = result.labels()
    assert (record.labels() == labels).all()
    assert [mask.id for mask in record.masks] == result.picks.ids.tolist()
    for mask in record.masks:
        assert mask.volume == (labels == mask.id).sum()
        assert (labels[tuple(mask.voxels_zyx.T)] == mask.id).all()
    whole = {mask.id: mask.volume for mask in result.masks}
    assert np.mean([mask.volume == whole[mask.id] for mask in record.masks]) > 0.5


def test_the_query_travels(record: Record, result: Result, tmp_path: Path) -> None:
    query = record.query
    assert query.vector.tobytes() == result.query.vector.tobytes()
    assert query.prompt_features.tobytes() == result.query.prompt_features.tobytes()
    assert query.prompts_zyx.tolist() == result.prompts.points_zyx.tolist()
    assert (query.diameter_angstrom, query.voxel_size, query.contrast) == (250, 20, "dark")
    assert query.pooling == "core"
    assert query.signature["encoder"]["encoder"] == "filterbank"
    assert query.signature["shrinkage"] == 0.1
    # One mask: its own mean is the query.
    np.testing.assert_allclose(query.prompt_features[0], query.vector, rtol=1e-6)
    query.write(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == record.files["query"].read_bytes()


def test_the_tomogram_is_opened_as_it_was(record: Record, tomogram: Tomogram) -> None:
    assert record.info.shape_zyx == tomogram.shape
    assert (record.info.name, record.info.voxel_size) == (STEM, 20)
    opened = record.tomogram()
    assert (opened.path, opened.contrast) == (tomogram.path, "dark")
    assert opened.digest() == record.provenance["sha256"]


def test_the_files_are_named(record: Record) -> None:
    kinds = ["picks", "proposals", "labels", "warp", "query", "trace", "run", "picture"]
    assert list(record.files) == kinds
    assert all(path.is_file() for path in record.files.values())
    folder = record.path.parent
    assert record.files == result_paths(folder, STEM, ["warp"], picture=True)
    (folder / f"._{record.path.name}").write_bytes(b"\0\5\26\7")  # beside it, by macOS
    assert [one.path for one in Record.all_in(folder)] == [record.path]


def test_a_result_of_version_0_1_is_read(tmp_path: Path) -> None:
    """Its texts were written by version 0.1; the labels are balls here, to be small."""
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    old = Record.open(tmp_path)
    assert "schema" not in old.content
    assert (old.info.name, old.info.voxel_size) == ("TS_01_20.00Apx", 20)
    assert old.info.shape_zyx == (24, 52, 60)
    assert old.tomogram_path == Path("TS_01_20.00Apx.mrc")
    assert (old.settings.preset, old.settings.top_k, old.settings.cut) == ("embedded", 12, "auto")
    assert old.prompts.points_zyx.tolist() == [[13.18, 16.09, 10.92], [1, 1, 1]]
    assert old.diameter_angstrom == 250
    assert (len(old.proposals), len(old.picks)) == (12, 6)
    assert old.proposals.reasons == ("",) * 6 + ("chance",) * 6
    assert old.picks.points_zyx[0].tolist() == [12.342215, 16.25975, 11.218945]
    assert old.warnings == ()
    assert set(old.files) == {"picks", "proposals", "labels", "run"}
    with pytest.raises(InputError, match=r"There is no file .*TS_01_20\.00Apx_labels\.mrc"):
        old.labels()
    with pytest.raises(InputError, match=r"names no file of its query\."):
        _ = old.query
    balls = [ball(point, 3, (24, 52, 60)) for point in old.picks.points_zyx[:5]]
    numbered = [replace(mask, id=number) for number, mask in enumerate(balls, 1)]
    volume = labels((24, 52, 60), numbered).astype(np.int16)
    write_volume(old.files["labels"], volume, voxel_size=20.0)
    assert [mask.volume for mask in old.masks] == [mask.volume for mask in balls] + [0]
    assert main(["select", str(tmp_path), "--top", "3", "--out", str(tmp_path / "new")]) == 0
    new = Record.open(tmp_path / "new")
    assert set(new.files) == set(old.files)
    assert set(np.unique(new.labels())) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda run: run.pop("tomogram"), "is not the record of a run"),
        (lambda run: run["tomogram"].update(shape_zyx=[1, 2]), "is not the record of a run"),
        (lambda run: run.update(schema=SCHEMA + 1), "written by a newer version"),
        (lambda run: run["settings"].update(magic=1), "There is no setting 'magic'"),
        (lambda run: run.pop("diameter_angstrom"), "is not the record of a run"),
    ],
)
def test_a_record_that_cannot_be_used(record: Record, tmp_path: Path, change, says: str) -> None:
    content = json.loads(record.path.read_text())
    change(content)
    path = tmp_path / "a_run.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=says):
        _everything(path)


def _everything(path: Path) -> None:
    record = Record.open(path)
    _ = record.settings, record.diameter_angstrom, record.prompts


def test_what_is_no_record(record: Record, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="record of one run"):
        Record.open(tmp_path)
    with pytest.raises(InputError, match="There is no file"):
        Record.open(tmp_path / "a_run.json")
    for name in "ab":
        (tmp_path / f"{name}_run.json").write_bytes(record.path.read_bytes())
    with pytest.raises(InputError, match=r"has a_run\.json, b_run\.json"):
        Record.open(tmp_path)
    with pytest.raises(InputError, match=r"There is no file .*TS_01_proposals\.star"):
        _ = Record.open(tmp_path / "a_run.json").proposals


@pytest.mark.parametrize("content", [b"", b"no query", b"PK\x03\x04"])
def test_a_damaged_query(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="is not the query of a run"):
        ParticleQuery.read(tmp_path / "a.npz")


def test_a_set_of_files_that_is_mixed_is_refused(record: Record, tmp_path: Path) -> None:
    record.check()
    folder = tmp_path / "mixed"
    shutil.copytree(record.path.parent, folder)
    picks = folder / record.files["picks"].name
    picks.write_text(picks.read_text().replace("0", "1", 1))
    with pytest.raises(InputError, match=r"picks\.star is not the file that the run of .* wrote"):
        Record.open(folder).check()
    with pytest.raises(InputError, match="is not the file"):
        record_beside(picks)
    with pytest.raises(
        InputError, match=r"picks\.star is no result; expected .* here .*_run\.json"
    ):
        Record.open(picks)
    shutil.copy(record.files["picks"], picks)
    for kind in ("picture", "warp", "trace", "query"):  # thrown away: what is left is one result
        (folder / record.files[kind].name).unlink()
    Record.open(folder).check()
    assert main(["select", str(folder), "--top", "2", "--out", str(tmp_path / "two")]) == 0
    assert len(Record.open(tmp_path / "two").picks) == 2
    run = folder / record.path.name
    whole = run.read_text()
    content = json.loads(whole)
    for entry, values, said in (
        ("files", content["files"] | {"picks": "a" * 5000}, "is not the record of a run"),
        ("files", content["files"] | {"picks": "\u2460" * 100}, "is not the record of a run"),
        ("files", {"picks": picks.name}, "names no file of its "),
        ("seconds", {"features": 10**400}, "is not the record of a run"),
    ):
        run.write_text(json.dumps(content | {entry: values}))
        with pytest.raises(InputError, match=said):
            _ = Record.open(folder).check() or Record.open(folder).seconds
    run.write_text(whole)
    picks.unlink()
    with pytest.raises(InputError, match="There is no file"):
        Record.open(folder).check()


def test_a_tomogram_is_found_as_it_lies_to_the_result(
    result: Result, tomogram: Tomogram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old" / "recon").mkdir(parents=True)
    shutil.copy(tomogram.path, tmp_path / "old" / "recon" / "a.mrc")
    monkeypatch.chdir(tmp_path / "old")
    replace(result, tomogram=Tomogram.open("recon/a.mrc")).write("picks/a")
    monkeypatch.chdir(tmp_path)  # the path was typed in another folder
    assert Record.open("old/picks/a").tomogram().shape == tomogram.shape
    (tmp_path / "old").rename(tmp_path / "new")
    record = Record.open("new/picks/a")
    assert record.tomogram().path == tmp_path / "new" / "recon" / "a.mrc"
    write_volume(
        tmp_path / "new" / "recon" / "a.mrc", -result.tomogram.data, voxel_size=20.0, overwrite=True
    )
    with pytest.raises(InputError, match="was replaced after the run; pick it again"):
        record.tomogram()
    (tmp_path / "new" / "recon" / "a.mrc").unlink()
    with pytest.raises(InputError, match=r"There is no file .*a\.mrc.*or beside a_run\.json"):
        Record.open("new/picks/a").tomogram()


def test_a_tomogram_of_the_same_time_is_told_by_its_voxels(
    result: Result, tomogram: Tomogram, tmp_path: Path
) -> None:
    path = tmp_path / "a.mrc"
    shutil.copy(tomogram.path, path)
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    replace(result, tomogram=Tomogram.open(path)).write(tmp_path)
    record = Record.open(tmp_path)
    stamped = {**record.content, "inputs": {"tomogram": asdict(FileStamp.of(path))}}
    write_volume(path, -result.tomogram.data, voxel_size=20.0, overwrite=True)
    os.utime(path, ns=times)  # as a copy keeps it
    record = replace(record, content=stamped)
    assert record.tomogram().path == path
    with pytest.raises(InputError, match="was replaced after the run; pick it again"):
        record.tomogram(by_voxels=True)


def test_the_record_names_files_beside_it_only(record: Record, tmp_path: Path) -> None:
    content = json.loads(record.path.read_text())
    content["files"]["picks"] = "../elsewhere/../../x.star"
    (tmp_path / "a_run.json").write_text(json.dumps(content))
    assert Record.open(tmp_path).files["picks"] == tmp_path / "x.star"


def test_results_of_an_earlier_run_do_not_stay_beside_the_new(
    result: Result, tmp_path: Path
) -> None:
    result.write(tmp_path, star=["warp", "relion31"])
    (tmp_path / f"{STEM}_relion5.star").write_text("somebody else's")
    beside = [tmp_path / f"{STEM}_{end}" for end in ("report.html", "labels.zarr")]
    beside[0].touch()
    (beside[1] / "0").mkdir(parents=True)
    note_beside(Record.open(tmp_path), beside)
    Record.open(tmp_path).check()
    result.write(tmp_path, star=["warp"], overwrite=True)
    for gone in ("relion31.star", "report.html", "labels.zarr"):
        assert not (tmp_path / f"{STEM}_{gone}").exists()
    assert (tmp_path / f"{STEM}_relion5.star").exists()
    Record.open(tmp_path).check()


def test_what_no_record_names_is_somebody_elses(result: Result, tmp_path: Path) -> None:
    result.write(tmp_path)
    for name in ("report.html", "labels.zarr"):
        (tmp_path / f"{STEM}_{name}").write_text("mine")
    result.write(tmp_path, overwrite=True)
    other = Record.open(tmp_path)
    note_beside(other, [tmp_path / f"{STEM}_report.html"])
    write_selection(Record.open(tmp_path), Selection(top=1), other.proposals, tmp_path / "new")
    (tmp_path / "new" / f"{STEM}_report.html").write_text("mine")  # it has the name of the other's
    result.write(tmp_path / "new", overwrite=True)
    for place in (tmp_path / f"{STEM}_labels.zarr", tmp_path / "new" / f"{STEM}_report.html"):
        assert place.read_text() == "mine"


def test_a_tomogram_that_changed_since_is_not_written_about(
    tomogram: Tomogram, tmp_path: Path
) -> None:
    path = tmp_path / "copy.mrc"
    shutil.copy(tomogram.path, path)
    changing = Tomogram.open(path)
    result = CryoSAM(SETTINGS).pick(changing, [small_simulation().points_zyx[1, ::-1]])
    path.touch()
    with pytest.raises(InputError, match="was changed or removed while it was read"):
        result.write(tmp_path / "out")
    assert not (tmp_path / "out").exists()
