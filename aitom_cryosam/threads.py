"""Work that is cut into pieces, side by side on all cores that may be used."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from threading import Lock, local
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from aitom_cryosam.machine import usable_cores

T = TypeVar("T")
R = TypeVar("R")


_allowed = [math.inf]
_working = [0]
_counting = Lock()
_this_thread = local()


def allow(count: float) -> None:
    """Let at most so many threads work from now on: each takes memory. Never more than cores."""
    _allowed[0] = count


def side_by_side(work: Callable[[T], object], pieces: Iterable[T]) -> None:
    """Work on all pieces; an error, or Ctrl-C, leaves out what is not begun.

    Numpy lets other threads run meanwhile; BLAS threads below them would only fight. Each thread,
    this one among them, takes the next piece itself: handing over thousands of small ones would
    take a thread of its own. Work within work has what threads are left: more than there are
    cores would wait for each other's turn at the interpreter.
    """
    left = deque(pieces)

    def go_on() -> None:
        try:
            while True:
                try:
                    piece = left.popleft()
                except IndexError:
                    return
                work(piece)
        finally:
            left.clear()

    def help_out() -> None:
        with _at_work(_workers()) as free:
            if free:
                go_on()

    limited = _libraries(len(sys.modules)).limit(limits=1, user_api="blas")
    with limited, ThreadPoolExecutor() as pool:
        try:
            with _at_work():
                helpers = min(_workers() - _working[0], len(left) - 1)
                others = [pool.submit(help_out) for _ in range(helpers)]
                go_on()
        finally:
            left.clear()
        for other in others:
            other.result()


def mapped(work: Callable[[T], R], pieces: Sequence[T]) -> list[R]:
    """What `work` gives of each piece, in the order of the pieces; see `side_by_side`."""
    given: dict[int, R] = {}

    def keep(index: int) -> None:
        given[index] = work(pieces[index])

    side_by_side(keep, range(len(pieces)))
    return [given[index] for index in range(len(pieces))]


def even_parts(count: int, least: int, most: int) -> list[slice]:
    """Cut a row of things into parts of about one size, which keep all threads busy to the end.

    Args:
        count: things.
        least: in a part, at least, if there are so many; fewer are not worth a thread.
        most: in a part, at most, which bounds the memory; twice `least` or more.
    """
    workers, number = _workers(), -(-count // most)
    number = max(1, min(-(-number // workers) * workers, count // least))
    edges = [count * part // number for part in range(number + 1)]
    return [slice(*edge) for edge in pairwise(edges)]


@contextmanager
def _at_work(most: float = math.inf) -> Iterator[bool]:
    """Count this thread, once, among those at work; unless so many are already."""
    counted = getattr(_this_thread, "counted", False)
    with _counting:
        free = counted or _working[0] < most
        counts = free and not counted
        _working[0] += counts
    _this_thread.counted = free
    try:
        yield free
    finally:
        _this_thread.counted = counted
        with _counting:
            _working[0] -= counts


def _workers() -> int:
    return max(1, int(min(_allowed[0], _cores(usable_cores))))


@lru_cache(maxsize=1)
def _cores(count: Callable[[], int]) -> int:
    """What it says, asked once: it reads files, as often as there is work."""
    return count()


@lru_cache(maxsize=1)
def _libraries(_modules: int) -> ThreadpoolController:
    """What the process has loaded, with so many modules: looking takes as long as a small piece."""
    return ThreadpoolController()
