"""The forecast beside what runs hold, and what is planned with it."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam import Settings, Tomogram
from aitom_cryosam.encoders.filterbank import FilterBankEncoder
from aitom_cryosam.errors import InputError
from aitom_cryosam.features.extraction import Extraction
from aitom_cryosam.forecast import Forecast, MemoryPlan, forecast, forecast_on, seconds
from aitom_cryosam.resources import Resources
from aitom_cryosam.volumes.mrc import write_volume
from tests.faults.world import World
from tests.ome_zarr_images import write_image

SETTINGS = Settings(preset="embedded")
GIVEN = Forecast(
    program_bytes=60,
    token_bytes=1000,
    thread_bytes=10,
    other_bytes=40,
    written_bytes=30,
    mapped_bytes=0,
    cores=4,
)


@pytest.mark.parametrize("diameter", [6.0, 13.5, 40.0])
def test_tokens_are_counted_as_they_are_made(diameter: float) -> None:
    shape = (19, 62, 53)
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    tomogram = Tomogram.from_array(noise, voxel_size=10)
    slab = SETTINGS.slab_planes(diameter)
    made = Extraction(tomogram, FilterBankEncoder(diameter), slab, 0.1)
    assert (
        forecast(shape, SETTINGS, diameter_voxels=diameter, voxel_size=10).token_bytes
        == made.nbytes
    )


def test_a_run_holds_what_was_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")  # on any machine: each core is forecast
    world = World(tmp_path)
    peak = tmp_path / "peak"
    code = (
        "import atexit\nfrom aitom_cryosam.stages import peak_megabytes\n"
        f"atexit.register(lambda: open({str(peak)!r}, 'w').write(str(peak_megabytes())))"
    )
    ballast = np.ones(100_000_000, np.float32)  # of another process, it counts for nothing
    status, told = world.run(code=code)
    assert status == 0, told
    held = 1e6 * float(peak.read_text())
    assert held < ballast.nbytes
    needs = forecast_on(Tomogram.open(world.tomogram), SETTINGS, 12.5)
    assert 0.7 * needs.bytes < held < needs.bytes


@pytest.mark.parametrize(
    ("kind", "in_memory"), [("mrc", False), ("mrc.gz", True), ("zarr", False), ("array", True)]
)
def test_where_a_tomogram_lies(tmp_path: Path, kind: str, in_memory: bool) -> None:
    values = np.random.default_rng(0).standard_normal((19, 62, 53)).astype(np.float32)
    path = tmp_path / f"TS.{kind}"
    if kind == "array":
        tomogram = Tomogram.from_array(values, voxel_size=10)
    else:
        if kind == "zarr":
            write_image(path, values)
        else:
            write_volume(tmp_path / "TS.mrc", values, voxel_size=10)
        if kind == "mrc.gz":
            path.write_bytes(gzip.compress((tmp_path / "TS.mrc").read_bytes()))
        tomogram = Tomogram.open(path)
    needs = forecast_on(tomogram, SETTINGS, 20)
    bare = forecast(values.shape, SETTINGS, diameter_voxels=20, voxel_size=10)
    assert needs.bytes == bare.bytes + values.nbytes
    assert needs.least_bytes == bare.least_bytes + in_memory * values.nbytes


def test_it_grows_with_what_is_asked_for() -> None:
    def bytes_of(shape: tuple[int, ...], diameter: float, settings: Settings = SETTINGS) -> int:
        return forecast(shape, settings, diameter_voxels=diameter, voxel_size=10).bytes

    small, large = bytes_of((64, 256, 256), 20), bytes_of((64, 512, 512), 20)
    assert large > 1.5 * small
    assert bytes_of((64, 256, 256), 10) > small  # finer tokens
    assert bytes_of((64, 512, 512), 20, replace(SETTINGS, ratios=(1,))) > large
    network = replace(SETTINGS, encoder="dinov2_vitl14_reg")
    assert bytes_of((64, 256, 256), 20, network) > small + 1e9  # its weights


def test_time(monkeypatch: pytest.MonkeyPatch) -> None:
    here = seconds((32, 128, 128), SETTINGS, diameter_voxels=16)
    assert here is not None
    assert here > 1
    # A machine whose speed does not change between the two.
    monkeypatch.setattr("aitom_cryosam.forecast._shortest", lambda _: 0.01)
    short = seconds((32, 128, 128), SETTINGS, diameter_voxels=16)
    long = seconds((64, 512, 512), SETTINGS, diameter_voxels=16)
    assert short is not None
    assert long is not None
    assert 1 < short < long
    once = seconds((64, 512, 512), replace(SETTINGS, looks=1), diameter_voxels=16)
    assert once is not None
    assert long / 3 < once < long
    network = replace(SETTINGS, segmenter="sam_vit_b")
    assert seconds((64, 512, 512), network, diameter_voxels=16) is None


@pytest.mark.parametrize(
    ("allowed", "plan"),
    [
        (110, MemoryPlan(0, 1)),
        (140, MemoryPlan(20, 2)),
        (180, MemoryPlan(40, 4)),
        (1140, MemoryPlan(1000, 4)),
    ],
)
def test_what_the_memory_allows(
    monkeypatch: pytest.MonkeyPatch, allowed: int, plan: MemoryPlan
) -> None:
    monkeypatch.setattr("aitom_cryosam.resources.free_ram", lambda: 10**6)
    monkeypatch.setattr("aitom_cryosam.forecast.held_ram", lambda: 0)
    assert GIVEN.bytes == 1140
    assert GIVEN.plan(Resources(ram_bytes=allowed)) == plan


def test_what_the_program_holds_beside_the_run_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aitom_cryosam.resources.free_ram", lambda: 10**6)
    monkeypatch.setattr("aitom_cryosam.forecast.held_ram", lambda: 560)
    assert GIVEN.plan(Resources(ram_bytes=1140)) == MemoryPlan(500, 4)
    mapped = replace(GIVEN, mapped_bytes=700)  # leaves when room is short, if need be
    assert mapped.plan(Resources(ram_bytes=1140)) == MemoryPlan(300, 4)
    assert mapped.plan(Resources(ram_bytes=110)) == MemoryPlan(0, 1)


def test_what_cannot_be_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aitom_cryosam.resources.free_ram", lambda: 10**6)
    for needs in (GIVEN, replace(GIVEN, other_bytes=1, written_bytes=50)):
        with pytest.raises(InputError, match="needs about 110 bytes of memory, and may use 109"):
            needs.plan(Resources(ram_bytes=109))


def test_a_limit_from_outside_is_not_ours_to_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aitom_cryosam.resources.free_ram", lambda: 20)
    monkeypatch.setattr("aitom_cryosam.resources.held_ram", lambda: 80)
    for told in (None, 10**6):
        with pytest.raises(InputError, match=r"may use 100 bytes; give the job more \(Resources"):
            GIVEN.plan(Resources(ram_bytes=told))


def test_files_are_mapped_where_addresses_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aitom_cryosam.resources.free_ram", lambda: 10**6)
    few = (10**8, 10**8)
    monkeypatch.setattr("aitom_cryosam.machine.resource.getrlimit", lambda _: few)
    with pytest.raises(InputError, match="of addresses for memory and files, and `ulimit -v`"):
        GIVEN.plan(Resources(ram_bytes=10**6))


def test_a_run_that_cannot_keep_to_its_memory_does_not_begin(tmp_path: Path) -> None:
    world = World(tmp_path)
    status, told = world.run("--memory", "100MB")
    assert status == 2
    assert "MB of memory, and may use 100 MB; allow more with --memory, or bin" in told
    assert world.state() == "none"
