"""Device: where networks run, in which precision, and how much fits on it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import torch

from aitom_cryosam.errors import InputError
from aitom_cryosam.machine import free_ram
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.resources import Resources

logger = logging.getLogger(__name__)

_SHARE = 0.8  # of a device's free memory that is taken if the user names no limit
T = TypeVar("T")


@dataclass(frozen=True)
class Device:
    """A CPU or an accelerator.

    Attributes:
        name: as torch knows it: "cpu", "cuda:0", "mps".
        limit: bytes that the networks and what they work on may take there.
        compiled: whether networks are compiled for it, where they know how.
    """

    name: str
    limit: int
    compiled: bool = False

    @classmethod
    def choose(cls, resources: Resources) -> Device:
        """The device that was asked for; "auto" takes a CUDA device, then MPS, then the CPU.

        Raises:
            InputError: it is not on this machine.
        """
        name = available(resources.device)
        if name.startswith("cuda"):
            # Pinned memory and the like belong to the current device: else cuda:1 would take
            # memory of cuda:0, too.
            torch.cuda.set_device(name)
            return cls(name, _cuda_limit(name, resources.gpu_bytes), resources.compiled)
        if resources.gpu_bytes is not None and name != "cpu":
            return cls(name, resources.gpu_bytes)
        if name == "cpu":  # torch counts all cores of the machine, whatever a job may use
            torch.set_num_threads(min(torch.get_num_threads(), resources.threads))
        return cls(name, resources.ram if name == "cpu" else int(_SHARE * free_ram()))

    @property
    def label(self) -> str:
        """For people: the name of the hardware where torch knows it."""
        if self.name.startswith("cuda"):
            return f"{self.name} ({torch.cuda.get_device_name(self.name)})"
        return self.name

    @property
    def precision(self) -> torch.dtype:
        """In which networks compute and embeddings are kept."""
        if not self.name.startswith("cuda"):
            return torch.float32
        # Emulated, as on a T4 or V100, bfloat16 is slower than float32.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16

    def autocast(self) -> AbstractContextManager[object]:
        """Compute in `precision`; nothing to do where that is float32."""
        if self.precision is torch.float32:
            return nullcontext()
        return torch.autocast(self.name.split(":")[0], self.precision)


class Batches:
    """Work cut into batches that fit on the device.

    Args:
        size: of the first batch; halved for good each time the memory does not suffice.
    """

    def __init__(self, size: int) -> None:
        self.size = max(1, size)

    def run(self, work: Callable[[slice], T], count: int) -> Iterator[T]:
        """The results of `work` on neighbouring slices that together are 0 to `count`.

        Raises:
            InputError: a single item does not fit.
        """
        start = 0
        while start < count:
            stop = min(start + self.size, count)
            try:
                result = work(slice(start, stop))
            except RuntimeError as error:
                if not is_full(error):
                    raise
                # Retried outside of the handler: the error holds on to the memory.
            else:
                yield result
                start = stop
                continue
            torch.cuda.empty_cache()
            if stop - start == 1:
                raise InputError(
                    "The memory of the device does not suffice for one plane", Remedy.CPU
                )
            self.size = (stop - start) // 2
            logger.info("The device's memory is full; going on with batches of %d.", self.size)


def is_full(error: Exception) -> bool:
    """Whether memory is what lacks; only CUDA has a type of error for that."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or bool(
        re.search("out of memory|not enough memory|can't allocate|ALLOC_FAILED", str(error))
    )


def _cuda_limit(name: str, wanted: int | None) -> int:
    """Bytes beside what this process has there already, such as another network.

    A limit that was asked for is made a hard one, so that `Batches` halves at it.
    """
    free, total = torch.cuda.mem_get_info(name)
    if wanted is not None:
        torch.cuda.set_per_process_memory_fraction(min(wanted / total, 1), name)
        return max(wanted - torch.cuda.memory_allocated(name), 0)
    unused = torch.cuda.memory_reserved(name) - torch.cuda.memory_allocated(name)
    return int(_SHARE * (free + unused))


def available(wanted: str) -> str:
    """The name that torch has for a device of `Resources`.

    Raises:
        InputError: it is not on this machine, or does not work.
    """
    if wanted == "auto":
        if torch.cuda.is_available() and (name := _first_working(torch.cuda.device_count())):
            return name
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if wanted == "cpu":
        return wanted
    if wanted == "mps":
        if not torch.backends.mps.is_available():
            raise InputError("There is no MPS device on this machine", Remedy.ANY_DEVICE)
        return wanted
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(wanted.partition(":")[2] or 0)
    if index >= count:
        there = f"{count} of them" if count else "none that torch can use"
        raise InputError(
            f"The device {wanted} was asked for, but this machine has {there}", Remedy.ANY_DEVICE
        )
    if trouble := _trouble(f"cuda:{index}"):
        raise InputError(f"PyTorch cannot compute on {wanted} ({trouble})", Remedy.ANY_DEVICE)
    return f"cuda:{index}"


@lru_cache(maxsize=1)
def _first_working(count: int) -> str | None:
    """Of so many CUDA devices; those before it are told, once."""
    for name in map("cuda:{}".format, range(count)):
        if not (trouble := _trouble(name)):
            return name
        logger.warning("%s is not used, as PyTorch cannot compute on it (%s).", name, trouble)
    return None


def _trouble(name: str) -> str:
    """What a CUDA device answers to a sum, such as that another job holds it; empty if it works."""
    try:
        torch.ones(1, device=name).add(1).item()
    except RuntimeError as error:
        said = (str(error).splitlines() or ["an error without words"])[0]
        if "no kernel image" not in said:
            return said
        major, minor = torch.cuda.get_device_capability(name)
        return f"{said}; install a build of PyTorch for compute capability {major}.{minor}"
    return ""
