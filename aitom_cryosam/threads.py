"""Work that is cut into pieces, side by side on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

T = TypeVar("T")


def side_by_side(work: Callable[[T], object], pieces: Iterable[T]) -> None:
    """Work on all pieces; an error, or Ctrl-C, leaves out what is not begun.

    Numpy lets other threads run meanwhile; BLAS threads below them would only fight.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(work, pieces):
            pass
