"""Where networks run, and work cut into batches that fit there."""

import logging
from types import SimpleNamespace

import pytest
import torch

from aitom_cryosam import device
from aitom_cryosam.device import Batches, Device
from aitom_cryosam.errors import InputError
from aitom_cryosam.resources import Resources

SHARES: list[tuple[float, str]] = []
CURRENT: list[str] = []


def hardware(
    monkeypatch: pytest.MonkeyPatch, *, gpus: int = 0, mps: bool = False, broken: str = ""
) -> None:
    """What torch finds: MPS, or CUDA devices with 8000 of 10000 bytes free; of the rest this
    process has 700 and uses 200. Some of them, as "0 2", are another job's."""
    monkeypatch.setattr(
        device, "_trouble", lambda name: "CUDA error: busy" if name[5:] in broken.split() else ""
    )
    device._first_working.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", CURRENT.append)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (8000, 10000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 200)
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda *share: SHARES.append(share)
    )
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("gpus", "mps", "wanted", "name"),
    [
        (0, False, "auto", "cpu"),
        (0, True, "auto", "mps"),
        (2, False, "auto", "cuda:0"),
        (2, True, "auto", "cuda:0"),
        (2, False, "cpu", "cpu"),
        (2, False, "cuda", "cuda:0"),
        (2, False, "cuda:1", "cuda:1"),
        (0, True, "mps", "mps"),
    ],
)
def test_the_device_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, gpus: int, mps: bool, wanted: str, name: str
) -> None:
    hardware(monkeypatch, gpus=gpus, mps=mps)
    CURRENT.clear()
    assert Device.choose(Resources(device=wanted)).name == name
    # What torch does without being told where happens there, not on cuda:0.
    assert ([name] if name.startswith("cuda") else []) == CURRENT


@pytest.mark.parametrize(
    ("gpus", "wanted", "says"),
    [
        (0, "cuda", "The device cuda was asked for, but this machine has none that torch can use"),
        (2, "cuda:2", "The device cuda:2 was asked for, but this machine has 2 of them; use dev"),
        (2, "mps", "There is no MPS device on this machine; use device="),
        (2, "gpu", "Expected auto, cuda, cuda:N, mps or cpu as device, got 'gpu'"),
        (2, "cuda:x", "got 'cuda:x'"),
        (2, "cuda:-1", "got 'cuda:-1'"),
        (2, "", "got ''"),
    ],
)
def test_a_device_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, gpus: int, wanted: str, says: str
) -> None:
    hardware(monkeypatch, gpus=gpus)
    with pytest.raises(InputError, match=says):
        Device.choose(Resources(device=wanted))


@pytest.mark.parametrize(
    ("gpus", "broken", "name"), [(2, "0", "cuda:1"), (1, "0", "cpu"), (2, "0 1", "cpu")]
)
def test_a_gpu_that_does_not_compute_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    gpus: int,
    broken: str,
    name: str,
) -> None:
    hardware(monkeypatch, gpus=gpus, broken=broken)
    assert Device.choose(Resources()).name == Device.choose(Resources()).name == name
    said = [record.message for record in caplog.records]
    assert len(said) == len(broken.split())  # once
    assert said[0] == "cuda:0 is not used, as PyTorch cannot compute on it (CUDA error: busy)."
    with pytest.raises(InputError, match=r"cannot compute on cuda:0 \(CUDA error: busy\); use dev"):
        Device.choose(Resources(device="cuda:0"))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            "CUDA error: no kernel image is available for execution on the device\nSearch for it",
            "CUDA error: no kernel image is available for execution on the device; install a "
            "build of PyTorch for compute capability 6.1",
        ),
        ("CUDA error: out of memory\nCompile with ...", "CUDA error: out of memory"),
        (None, ""),
    ],
)
def test_what_a_gpu_says_of_itself(
    monkeypatch: pytest.MonkeyPatch, error: str | None, says: str
) -> None:
    def ones(size: int, **_: object) -> torch.Tensor:
        if error:
            raise RuntimeError(error)
        return torch.zeros(size)

    monkeypatch.setattr(torch, "ones", ones)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
    assert device._trouble("cuda:0") == says


def test_the_limit_is_the_budget_or_most_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    hardware(monkeypatch, gpus=1)
    assert Device.choose(Resources()).limit == 6800
    SHARES.clear()
    assert Device.choose(Resources(gpu_bytes=5000)).limit == 4800
    assert Device.choose(Resources(gpu_bytes=123)).limit == 0
    assert SHARES == [(0.5, "cuda:0"), (0.0123, "cuda:0")]
    assert Device.choose(Resources(device="cpu", ram_bytes=55, gpu_bytes=123)).limit == 55
    hardware(monkeypatch, mps=True)
    monkeypatch.setattr("aitom_cryosam.device.free_ram", lambda: 1000)
    assert Device.choose(Resources()).limit == 800
    assert Device.choose(Resources(gpu_bytes=123)).limit == 123


def test_half_precision_is_for_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cpu", "mps"):
        assert Device(name, 1).precision is torch.float32

    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    native = True
    assert Device("cuda:0", 1).precision is torch.bfloat16
    native = False  # a T4, a V100: bfloat16 in emulation only
    assert Device("cuda:0", 1).precision is torch.float16


def test_the_cpu_computes_in_full_precision() -> None:
    device = Device("cpu", 1)
    weights = torch.tensor([[1 + 2**-20]])
    with device.autocast():
        assert (weights @ weights).item() == pytest.approx(1 + 2**-19, abs=1e-7)
    assert device.label == "cpu"


class Memory:
    """Work that needs memory for each of its items, and has it for `fits` of them."""

    def __init__(self, fits: int, error: Exception) -> None:
        self.fits, self.error = fits, error
        self.tried: list[int] = []

    def __call__(self, part: slice) -> list[int]:
        count = part.stop - part.start
        self.tried.append(count)
        if count > self.fits:
            raise self.error
        return list(range(part.start, part.stop))


FULL = torch.cuda.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    ],
)
def test_full_memory_halves_the_batch_for_good(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    work = Memory(3, error)
    batches = Batches(10)
    with caplog.at_level(logging.INFO):
        results = list(batches.run(work, 11))
    assert results == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10]]
    assert work.tried == [10, 5, 2, 2, 2, 2, 2, 1]
    assert batches.size == 2
    assert caplog.messages[-1] == "The device's memory is full; going on with batches of 2."


def test_what_fits_is_not_cut() -> None:
    work = Memory(4, FULL)
    assert list(Batches(4).run(work, 9)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert work.tried == [4, 4, 1]
    assert list(Batches(4).run(work, 0)) == []
    assert list(Batches(0).run(work, 2)) == [[0], [1]]


def test_a_short_last_batch_that_fails_is_halved_too() -> None:
    sizes = iter([4, 2])  # another program takes the memory in between
    work = SimpleNamespace(tried=[])

    def run(part: slice) -> int:
        work.tried.append((part.start, part.stop))
        if part.stop - part.start > next(sizes, 1):
            raise FULL
        return part.start

    assert list(Batches(4).run(run, 7)) == [0, 4, 5, 6]
    assert work.tried == [(0, 4), (4, 7), (4, 5), (5, 6), (6, 7)]


def test_one_plane_that_does_not_fit_is_said() -> None:
    with pytest.raises(InputError, match="memory of the device does not suffice for one plane"):
        list(Batches(4).run(Memory(0, FULL), 4))


def test_another_error_is_not_taken_for_full_memory() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        list(Batches(4).run(Memory(0, RuntimeError("mat1 and mat2 shapes cannot be")), 4))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_gpu_that_is_full() -> None:
    device = Device.choose(Resources(device="cuda"))
    assert device.label.startswith("cuda:0 (")
    free, total = torch.cuda.mem_get_info()

    def work(part: slice) -> int:
        block = torch.empty((part.stop - part.start, free // 3), dtype=torch.uint8, device="cuda")
        return block.shape[0]

    batches = Batches(8)
    assert sum(batches.run(work, 8)) == 8
    assert batches.size == 2
    with device.autocast():
        ones = torch.ones(2, 2, device="cuda")
        assert (ones @ ones).dtype is device.precision
    assert device.limit < total
