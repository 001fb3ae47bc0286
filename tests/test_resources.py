"""What a run may use: amounts of memory, and what is free in the control groups of a job."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from aitom_cryosam import CryoSAM, Settings, resources
from aitom_cryosam import machine as module
from aitom_cryosam.aitom import CryoSAMPicker
from aitom_cryosam.doors import Door, program_of
from aitom_cryosam.errors import InputError
from aitom_cryosam.machine import free_ram, usable_cores
from aitom_cryosam.resources import Resources, parse_memory


@pytest.mark.parametrize(
    ("text", "ram", "gpu"),
    [
        ("8GB", 8_000_000_000, 8_000_000_000),
        ("1.5 gb", 1_500_000_000, 1_500_000_000),
        ("2GiB", 2_147_483_648, 2_147_483_648),
        ("ram=16GB,gpu=8GB", 16_000_000_000, 8_000_000_000),
        ("gpu=500M, ram=1T", 1_000_000_000_000, 500_000_000),
        ("ram=16G", 16_000_000_000, None),
        ("GPU=4k", None, 4000),
    ],
)
def test_amounts_of_memory(text: str, ram: int | None, gpu: int | None) -> None:
    assert parse_memory(text) == (ram, gpu)


@pytest.mark.parametrize(
    "text", ["", "8", "lots", "0GB", "-8GB", "8XB", "8GB,4GB", "ram=8GB,", "disk=8GB", "1e3GB"]
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(
        InputError, match="Expected an amount of memory, such as 8GB or ram=16GB"
    ) as caught:
        parse_memory(text)
    assert str(caught.value).endswith(f"got {text!r}.")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """10,000 bytes are free on it, and its process is in no group."""
    memory = SimpleNamespace(available=10_000)
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: memory)
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(resources, "held_ram", lambda: 500)
    monkeypatch.setattr(module, "held_ram", lambda: 500)
    monkeypatch.setattr(
        module.resource, "getrlimit", lambda _: (module.resource.RLIM_INFINITY,) * 2
    )
    monkeypatch.setattr(module, "_CGROUPS", tmp_path)
    monkeypatch.setattr(module, "_MEMBERSHIP", tmp_path / "membership")
    return tmp_path


def group(folder: Path, limit: str, used: int, droppable: int = 0, *, version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    old = version == 1
    (folder / ("memory.limit_in_bytes" if old else "memory.max")).write_text(f"{limit}\n")
    (folder / ("memory.usage_in_bytes" if old else "memory.current")).write_text(f"{used}\n")
    all_, own = ("total_", "inactive_file 66\n") if old else ("", "")
    active = droppable // 3
    pages = f"{all_}active_file {active}\n{all_}inactive_file {droppable - active}\n"
    (folder / "memory.stat").write_text(f"anon 77\n{own}{all_}active_anon 88\n{pages}shmem 99\n")


def test_a_machine_without_groups(machine: Path) -> None:
    assert free_ram() == 10_000
    (machine / "membership").write_text("0::/\n")
    assert free_ram() == 10_000


def test_a_job_has_what_its_group_and_those_around_leave(machine: Path) -> None:
    (machine / "membership").write_text("0::/slurm/job_7/step_0\n")
    group(machine / "slurm" / "job_7" / "step_0", "max", 100)
    assert free_ram() == 10_000
    group(machine / "slurm" / "job_7", "5000", 1000)
    assert free_ram() == 4000
    group(machine / "slurm", "50000", 48000)
    assert free_ram() == 2000
    group(machine, "1000", 1500)
    assert free_ram() == 0


def test_pages_of_files_that_can_be_dropped_are_free(machine: Path) -> None:
    (machine / "membership").write_text("0::/job\n")
    group(machine / "job", "5000", 4900, 3000)
    assert free_ram() == 3100


def test_groups_of_the_first_version(machine: Path) -> None:
    (machine / "membership").write_text("9:cpu,cpuacct:/x\n4:memory:/job\n0::/\n")
    group(machine / "memory" / "job", "5000", 1000, 500, version=1)
    assert free_ram() == 4500
    group(machine / "x", "10", 5)  # of another controller
    assert free_ram() == 4500


def test_a_container_shows_its_own_group_as_the_root(machine: Path) -> None:
    (machine / "membership").write_text("0::/docker/0123\n")
    group(machine, "3000", 1000)
    assert free_ram() == 2000


def test_most_of_what_is_free_is_taken_unless_told(machine: Path) -> None:
    assert Resources().ram == 7000
    assert Resources(ram_bytes=9_999).ram == 9_999
    assert (Resources().wanted, Resources().most) == (7500, 10_500)
    told = Resources(ram_bytes=9_000)
    assert (told.wanted, told.most) == (9_000, 9_000)


def test_nobody_may_have_more_than_there_is(machine: Path) -> None:
    greedy = Resources(ram_bytes=10**9)
    assert (greedy.ram, greedy.wanted, greedy.most) == (10_000, 10_500, 10_500)


@pytest.mark.parametrize(
    ("given", "free"),
    [
        ({"SLURM_MEM_PER_NODE": "3"}, 3 * 2**20 - 500),
        ({"SLURM_MEM_PER_CPU": "2", "SLURM_CPUS_ON_NODE": "4"}, 8 * 2**20 - 500),
        ({"SLURM_MEM_PER_CPU": "1", "SLURM_CPUS_PER_TASK": "2"}, 2 * 2**20 - 500),
        ({"SLURM_MEM_PER_NODE": "0"}, 10**9),
        ({"SLURM_MEM_PER_NODE": "all"}, 10**9),
    ],
)
def test_a_job_of_slurm(
    machine: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], free: int
) -> None:
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: SimpleNamespace(available=10**9))
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert free_ram() == free


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limits_of_the_process(limit: str) -> None:
    code = (
        "import resource; from aitom_cryosam.machine import free_ram; before = free_ram()\n"
        f"resource.setrlimit(resource.{limit}, (3 << 30, 3 << 30)); print(before, free_ram())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, free = map(int, done.stdout.split())
    assert free < 3 << 30
    assert free < before or before < 3 << 30


@pytest.fixture
def cores(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The process may run on 12 cores, in no group and no batch job."""
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    return machine


def test_threads_by_affinity(cores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores() == Resources().threads == 12
    monkeypatch.delattr(module.os, "sched_getaffinity")
    monkeypatch.setattr(module.os, "cpu_count", lambda: 3)
    assert usable_cores() == 3


@pytest.mark.parametrize(("given", "threads"), [("5", 5), ("64", 12), ("", 12), ("4(x2)", 12)])
def test_threads_by_the_batch_system(
    cores: Path, monkeypatch: pytest.MonkeyPatch, given: str, threads: int
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", given)
    assert usable_cores() == threads


@pytest.mark.parametrize(
    ("quota", "threads"),
    [("400000 100000", 4), ("250000 100000", 3), ("10000 100000", 1), ("max 100000", 12)],
)
def test_threads_by_the_quota_of_a_group(cores: Path, quota: str, threads: int) -> None:
    (cores / "membership").write_text("0::/kube/pod/box\n")
    for group_, text in (("kube/pod/box", "max 100000"), ("kube/pod", quota)):
        (cores / group_).mkdir(parents=True, exist_ok=True)
        (cores / group_ / "cpu.max").write_text(f"{text}\n")
    assert usable_cores() == threads


@pytest.mark.parametrize(("quota", "threads"), [("200000", 2), ("-1", 12)])
def test_threads_by_the_quota_of_the_first_version(cores: Path, quota: str, threads: int) -> None:
    (cores / "membership").write_text("9:cpu,cpuacct:/job\n4:memory:/job\n")
    (cores / "cpu" / "job").mkdir(parents=True)
    (cores / "cpu" / "job" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (cores / "cpu" / "job" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores() == threads


def test_python_is_told_what_has_no_effect(tmp_path, caplog):
    weights = {"sam_vit_b": tmp_path / "sam.pth"}
    CryoSAM(Settings.of("embedded"), resources=Resources(checkpoints=weights, compiled=True))
    assert caplog.messages == [
        "Without effect, as no network is used here: compiled, checkpoints sam_vit_b."
    ]


def test_a_device_that_is_not_there_is_refused_by_every_door(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    settings, resources = Settings.of("embedded"), Resources(device="cuda:7")
    with pytest.raises(InputError, match="The device cuda:7 was asked for"):
        CryoSAM(settings, resources=resources)
    with pytest.raises(InputError, match="The device cuda:7 was asked for"):
        CryoSAMPicker({"preset": "embedded", "device": "cuda:7"})
    with program_of(Door.COMMAND_LINE):  # which has looked at its options
        CryoSAM(settings, resources=resources)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings(preset="embedded", window=3), "window 3"),
        (Settings(encoder="filterbank", token_size_angstrom=60.0), "token_size_angstrom 60.0"),
        (Settings(preset="paper", encoder="filterbank", segmenter="contour"), ""),
    ],
)
def test_a_setting_without_effect_is_told(settings, told, caplog):
    CryoSAM(settings)
    wanted = [f"Without effect, as no network is used here: {told}."] if told else []
    assert caplog.messages == wanted


def test_a_device_without_effect_is_told(monkeypatch, caplog):
    monkeypatch.setattr("aitom_cryosam.device.available", lambda wanted: wanted)
    CryoSAM(Settings.of("embedded"), resources=Resources(device="cuda:0"))
    assert caplog.messages == ["Without effect, as no network is used here: device cuda:0."]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ram_bytes": "8GB"}, "a whole number of bytes as ram_bytes, got '8GB'"),
        ({"gpu_bytes": 0}, "a whole number of bytes as gpu_bytes, got 0"),
        ({"checkpoints": "sam.pth"}, "files by the model's name, got 'sam.pth'"),
    ],
)
def test_resources_of_a_wrong_kind(given, says):
    with pytest.raises(InputError, match=says):
        Resources(**given)
