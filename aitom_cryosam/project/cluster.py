"""Cluster: workers of Dask that pick side by side, on this machine or on any others."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask
from distributed import Client, KilledWorker, LocalCluster, Worker, WorkerPlugin, as_completed

from aitom_cryosam.errors import InputError
from aitom_cryosam.machine import usable_cores
from aitom_cryosam.project.outcome import Outcome, Task, failed, pick

_GONE = (
    "Its workers died one after the other, most likely for lack of memory; give each more, with "
    "fewer workers, or bin the tomogram."
)

ENVIRONMENT = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")},
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**28),
}
"""Of workers. With Dask's own, memory that an array leaves goes back to the system at once, and a
pick takes half as long again."""


@dataclass(frozen=True)
class Share(WorkerPlugin):
    """What each worker of this machine has for itself.

    Attributes:
        cores: of each worker, by their numbers.
        gpus: one of each worker, or none.
    """

    cores: tuple[tuple[int, ...], ...]
    gpus: tuple[str, ...] = ()

    name = "cryosam-share"  # by which Dask knows the plugin

    def setup(self, worker: Worker) -> None:
        """Called by Dask in a worker that begins."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends it
        number = int(worker.name)
        if hasattr(os, "sched_setaffinity"):  # not on macOS
            os.sched_setaffinity(0, self.cores[number])
        if self.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpus[number]


def share(
    worker_bytes: int, ram_bytes: int, *, workers: int | None = None, gpus: Sequence[str] = ()
) -> Share:
    """How this machine is best divided: one worker a GPU; else one a core, as memory allows.

    Args:
        worker_bytes: memory that one on one core needs.
        ram_bytes: that may be used in all.
        workers: how many are wanted; as many as are useful if None.
        gpus: of this machine, if the run is to use them.
    """
    try:
        cores = sorted(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = list(range(os.cpu_count() or 1))
    cores = cores[: usable_cores()]
    room = ram_bytes // max(worker_bytes, 1)
    count = workers or len(gpus) or max(1, min(len(cores), room))
    return Share(
        tuple(tuple(cores[i::count]) or (cores[i % len(cores)],) for i in range(count)),
        tuple(gpus[i % len(gpus)] for i in range(count)) if gpus else (),
    )


@contextmanager
def local(parts: Share, ram_bytes: int) -> Iterator[Cluster]:
    """Workers on this machine, as long as the block is.

    Args:
        parts: what each has.
        ram_bytes: of all of them together.

    Yields:
        The engine for `running.outcomes`.
    """
    count = len(parts.cores)
    with (
        _main_hidden(),
        dask.config.set(
            {
                "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
                "distributed.worker.profile.enabled": False,  # it stops the work to look at it
            }
        ),
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            security=_security(),
            memory_limit=None,  # tomograms that are mapped into memory would count
            dashboard_address=":0",
            silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(parts)
        yield Cluster(client, ram_bytes // count)


@contextmanager
def remote(address: str | None, scheduler_file: Path | None, wait: float) -> Iterator[Cluster]:
    """Workers of a scheduler that runs already, on whichever machines they are.

    Args:
        address: of the scheduler, as tcp://node:8786; or None.
        scheduler_file: that the scheduler writes; or None.
        wait: seconds, for the file, the scheduler and the first worker.

    Raises:
        InputError: one of them does not come, or a worker does several things at once.
    """
    end = time.monotonic() + wait
    address = address or _stated_in(scheduler_file or Path(), end)
    try:
        client = Client(address, timeout=max(end - time.monotonic(), 1))
    except (OSError, ValueError, TypeError):
        raise InputError(
            f"There is no scheduler at {address}; start one with `dask scheduler`, or correct it."
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=max(end - time.monotonic(), 1))
        except (OSError, TimeoutError):
            raise InputError(
                f"The scheduler at {address} has no worker after {wait:g} s; start some with "
                f"`dask worker {address} --nthreads 1`."
            ) from None
        if max(client.nthreads().values()) > 1:
            raise InputError(
                f"Workers of {address} run several tasks at once; start each by "
                f"`dask worker {address} --nthreads 1`: "
                "each uses all its cores for one tomogram."
            )
        yield Cluster(client)


def _stated_in(path: Path, end: float) -> str:
    """The address in a scheduler's file, which may still have to be written."""
    while True:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(path.read_text("utf-8"))["address"])
        if time.monotonic() > end:
            found = f"{path} names no" if os.path.exists(path) else f"There is no file {path} of a"
            raise InputError(
                f"{found} scheduler; start one with "
                f"`dask scheduler --scheduler-file {path}`, or correct it."
            )
        time.sleep(0.2)


@dataclass(frozen=True)
class Cluster:
    """An engine: workers that a Dask client knows.

    Attributes:
        client: of their scheduler.
        ram_bytes: of each worker; as the tasks have it if None.
    """

    client: Client
    ram_bytes: int | None = None

    def __call__(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Pick in all; what came of each as it ends.

        Raises:
            InputError: the workers cannot do it.
        """
        given = [self._shared(task) for task in tasks]
        futures = self.client.map(pick, given, pure=False)
        by_key = dict(zip((future.key for future in futures), given, strict=True))
        try:
            for future in as_completed(futures):
                yield self._outcome(future, by_key[future.key])
                future.release()
        finally:
            self.client.cancel(futures)

    def _shared(self, task: Task) -> Task:
        if self.ram_bytes is None:
            return task
        resources = {**task.job["resources"], "ram_bytes": self.ram_bytes}
        return replace(task, job={**task.job, "resources": resources})

    def _outcome(self, future: object, task: Task) -> Outcome:
        error = future.exception()  # type: ignore[attr-defined]
        if error is None:
            outcome: Outcome = future.result()  # type: ignore[attr-defined]
            return outcome
        if isinstance(error, KilledWorker):
            return failed(task, _GONE)
        if isinstance(error, InputError):
            raise error
        raise InputError(
            f"A worker cannot run this program ({type(error).__name__}); install it where the "
            "workers run, in the same version."
        ) from error


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Keep new processes from running the file of the program again, which they need nothing of.

    That would run a script twice that does not ask whether it is `__main__`.
    """
    names = vars(sys.modules["__main__"])
    before: dict[str, Any] = {k: v for k, v in names.items() if k in ("__file__", "__spec__")}
    names.update(dict.fromkeys(before))
    try:
        yield
    finally:
        names.update(before)


def _security() -> object:
    """So that nobody else on this machine can use the workers, where the library is there."""
    try:
        from distributed.security import Security

        return Security.temporary()
    except ImportError:
        return None
