"""Jobs: there and back through JSON, and from a job to its files."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import aitom_cryosam
from aitom_cryosam import CryoSAM, Settings, Tomogram, job
from aitom_cryosam.errors import InputError
from aitom_cryosam.job import Job
from aitom_cryosam.points.tomogram_info import TiltSeries
from aitom_cryosam.progress import Cancelled
from aitom_cryosam.record import Record
from aitom_cryosam.resources import Resources
from aitom_cryosam.volumes.mrc import write_volume
from tests.toys import small_simulation

EMBEDDED = Settings(preset="embedded")
FULL = Job(
    tomogram=Path("a/TS_01.mrc"),
    prompts=((1.5, 2, 3), (4, 5, 6)),
    rejects=((7, 8, 9.5),),
    prompts_file=Path("clicks.star"),
    rejects_file=Path("others.star"),
    coords_angpix=2.5,
    out=Path("picks"),
    voxel_size=10.0,
    contrast="bright",
    settings=Settings(preset="paper", ratios=(8, 4), diameter_angstrom=120.0, cut=0.25),
    settings_note="Preset paper: asked for.",
    resources=Resources(
        device="cpu", ram_bytes=8, cache=Path("cache"), checkpoints={"sam_vit_b": Path("b.pth")}
    ),
    star=("relion4", "warp"),
    tilt_series=TiltSeries(2.5, (300, 200, 100), "TS_01", 4.0),
    picture=True,
    suggest=5,
    overwrite=True,
)


@pytest.mark.parametrize("wanted", [FULL, Job(tomogram=Path("TS_01.mrc"), settings=EMBEDDED)])
def test_there_and_back(wanted: Job, tmp_path: Path) -> None:
    assert Job.from_json(wanted.to_json()) == wanted
    wanted.write(tmp_path / "job.json")
    again = Job.read(tmp_path / "job.json")
    assert again == wanted
    assert again.to_json() == wanted.to_json()


def test_the_package_gives_both() -> None:
    assert aitom_cryosam.Job is Job
    assert aitom_cryosam.Record is Record


def test_what_is_left_out_is_as_usual() -> None:
    short = Job.from_json({"tomogram": "TS_01.mrc", "prompts": [[1, 2, 3]]})
    assert short.tomogram == Path("TS_01.mrc")
    assert short.prompts == ((1.0, 2.0, 3.0),)
    assert short.settings == CryoSAM().settings == Settings.of()
    assert (short.contrast, short.star, short.out) == ("dark", (), None)


def test_its_files_say_that_it_is_done(tmp_path: Path) -> None:
    wanted = replace(FULL, out=tmp_path)
    names = [path.name for path in wanted.files.values()]
    ends = ["picks.star", "proposals.star", "labels.mrc", "relion4.star", "warp.star"]
    ends += ["query.npz", "trace.npz", "run.json", "picks.png"]
    ends += ["suggested.star", "suggested.png", "semantic.mrc"]
    assert names == [f"TS_01_{end}" for end in ends]
    for path in wanted.files.values():
        assert not wanted.done
        path.touch()
    assert wanted.done


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"magic": 1}, "got one with magic"),
        ({"schema": 7}, "another schema"),
        ({"prompts": [[1, 2]]}, "Expected prompts as rows of x, y, z"),
        ({"prompts": [[1, 2, float("nan")]]}, "Expected prompts as rows of x, y, z"),
        ({"star": ["relion6"]}, "Expected a STAR flavour of relion5"),
        ({"star": ["relion4"], "tilt_series": None}, "relion4 needs"),
        ({"settings": {"preset": "nonsense"}}, "embedded, paper, networks, got 'nonsense'"),
        ({"settings": {"preset": "paper", "top_k": 0}}, "as top_k, got 0"),
        ({"settings": 3}, "is not a job"),
        ({"resources": {"device": "cpu"}}, "is not a job"),
        ({"tilt_series": {"pixels": 3}}, "is not a job"),
        ({"tomogram": 3}, "Expected a file or a tomogram to search, got 3"),
    ],
)
def test_what_cannot_be_used(change: dict, says: str, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps({**FULL.to_json(), **change}))
    with pytest.raises(InputError, match=says):
        Job.read(tmp_path / "job.json")


def test_an_array_stays_in_its_process() -> None:
    array = Tomogram.from_array(small_simulation().data, voxel_size=20.0, name="made_up")
    wanted = Job(tomogram=array, settings=EMBEDDED)
    assert wanted.name == "made_up"
    with pytest.raises(InputError, match="made_up is an array"):
        wanted.to_json()
    with pytest.raises(InputError, match="has its own voxel size"):
        replace(wanted, voxel_size=10.0)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Not done."""
    folder = tmp_path_factory.mktemp("world")
    simulation = small_simulation()
    write_volume(folder / "TS_01.mrc", simulation.data, voxel_size=20.0)
    return Job(
        tomogram=folder / "TS_01.mrc",
        prompts=tuple(simulation.points_zyx[1:2, ::-1].tolist()),
        out=folder / "picks",
        settings=Settings(preset="embedded", cut="none", top_k=4, diameter_angstrom=250.0),
        settings_note="Few proposals.",
    )


def test_a_run_leaves_a_record(wanted: Job, caplog: pytest.LogCaptureFixture) -> None:
    stages: list[str] = []
    with caplog.at_level(logging.INFO):
        record = job.run(wanted, progress=lambda stage, done, total: stages.append(stage))
    assert "Few proposals." in caplog.messages
    assert list(dict.fromkeys(stages)) == ["prompt masks", "features", "proposal masks"]
    assert wanted.done
    assert len(record.proposals) == 4
    assert Job.from_json(record.content["job"]) == wanted
    assert dict(record.files) == wanted.files

    # The same in three lines.
    opened = Tomogram.open(wanted.tomogram)
    result = CryoSAM(wanted.settings).pick(opened, wanted.prompts)
    from_files = Record.open(record.path)
    for known in (record, from_files):
        points = known.proposals.points_zyx
        np.testing.assert_allclose(points, result.proposals.points_zyx, atol=1e-6)
    np.testing.assert_allclose(record.picks.scores, from_files.picks.scores, atol=1e-6)
    assert record.proposals.reasons == from_files.proposals.reasons
    before = record.files["picks"].read_bytes()
    with pytest.raises(InputError, match="already exists"):
        job.run(wanted)
    again = job.run(replace(Job.from_json(record.content["job"]), overwrite=True))
    assert again.files["picks"].read_bytes() == before


def test_warnings_are_recorded(wanted: Job, tmp_path: Path) -> None:
    clicks = tmp_path / "clicks.csv"
    clicks.write_text("x,y,z\n500,5,5\n" + ",".join(map(str, wanted.prompts[0])) + "\n")
    record = job.run(replace(wanted, prompts=(), prompts_file=clicks, out=tmp_path / "out"))
    assert len(record.warnings) == 1
    assert "the prompt 500,5,5 lies outside TS_01" in record.warnings[0]
    assert Record.open(tmp_path / "out").warnings == record.warnings


def test_a_cancelled_run_leaves_nothing(wanted: Job, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "features":
            raise Cancelled

    with pytest.raises(Cancelled):
        job.run(replace(wanted, out=tmp_path / "out"), progress=stop)
    assert not (tmp_path / "out").exists()


def test_a_disk_without_space_for_the_masks_is_told_before_the_work(
    wanted: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[str] = []
    full = replace(wanted, out=tmp_path / "a" / "out")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(InputError, match=r"its files will take .* kB, and 100 kB are free"):
        job.run(full, progress=lambda stage, done, total: stages.append(stage))
    assert stages == []
    # Some file systems know no sizes.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=0, free=0))
    assert job.run(full).path.is_file()


def test_pick_writes_nothing(wanted: Job) -> None:
    result = job.pick(replace(wanted, out=None))
    assert len(result.proposals) == 4
    with pytest.raises(InputError, match="Expected a folder for the results"):
        job.run(replace(wanted, out=None))
