"""Work that is cut into pieces, side by side on all cores that may be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

from aitom_cryosam.resources import usable_cores

T = TypeVar("T")


def side_by_side(work: Callable[[T], object], pieces: Iterable[T]) -> None:
    """Work on all pieces; an error, or Ctrl-C, leaves out what is not begun.

    Numpy lets other threads run meanwhile; BLAS threads below them would only fight.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(usable_cores()) as pool:
        for _ in pool.map(work, pieces):
            pass
