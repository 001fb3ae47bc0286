"""Work that is cut into pieces, side by side on all cores that may be used."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

from aitom_cryosam.resources import usable_cores

T = TypeVar("T")


_allowed = [math.inf]


def allow(count: float) -> None:
    """Let at most so many threads work from now on: each takes memory. Never more than cores."""
    _allowed[0] = count


def side_by_side(work: Callable[[T], object], pieces: Iterable[T]) -> None:
    """Work on all pieces; an error, or Ctrl-C, leaves out what is not begun.

    Numpy lets other threads run meanwhile; BLAS threads below them would only fight.
    """
    workers = max(1, int(min(_allowed[0], usable_cores())))
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(work, pieces):
            pass
