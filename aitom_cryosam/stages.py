"""Stages: how long each step of a run took, and the memory it needed."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stages:
    """Seconds and memory by stage, in the order they ran.

    Attributes:
        seconds: wall-clock time of each stage.
        peak_megabytes: the largest resident memory of the process up to the stage's end.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    peak_megabytes: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Time the block as `stage`; what is done several times is added up."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
        self.peak_megabytes[stage] = peak_megabytes()

    def rounded(self) -> dict[str, dict[str, float]]:
        """Both, for `<stem>_run.json`."""
        return {
            "seconds": {stage: round(value, 2) for stage, value in self.seconds.items()},
            "peak_megabytes": {stage: round(v) for stage, v in self.peak_megabytes.items()},
        }


def peak_megabytes() -> float:
    """The largest resident memory of this process so far, in 10^6 bytes."""
    try:
        # What getrusage tells begins with the memory of the process that started this one.
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    except OSError:  # not on Linux
        found = None
    if found:
        return int(found[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
