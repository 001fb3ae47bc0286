"""Work side by side: all of it is done once, and an error ends it."""

import threading
import time

import numpy as np
import pytest

from aitom_cryosam import threads
from aitom_cryosam.threads import mapped, side_by_side


@pytest.fixture(params=[1, 2, 5])
def cores(request, monkeypatch) -> int:
    monkeypatch.setattr(threads, "usable_cores", lambda: request.param)
    monkeypatch.setattr(threads, "_allowed", [np.inf])
    return request.param


@pytest.mark.parametrize("count", [0, 1, 3, 200])
def test_each_piece_is_worked_on_once(cores: int, count: int) -> None:
    done: list[int] = []
    side_by_side(done.append, (number for number in range(count)))
    assert sorted(done) == list(range(count))


def test_what_pieces_give_comes_in_their_order(cores: int) -> None:
    def late(number: int) -> int:
        time.sleep(0.001 * (7 - number))
        return number**2

    assert mapped(late, range(7)) == [0, 1, 4, 9, 16, 25, 36]
    assert mapped(late, []) == []


def test_all_cores_work_at_once_and_no_more(cores: int) -> None:
    meeting = threading.Barrier(cores)  # which none passes alone
    side_by_side(lambda _: meeting.wait(timeout=60), range(3 * cores))
    names = set()
    side_by_side(lambda _: names.add(threading.get_ident()), range(50))
    assert len(names) <= cores


def test_fewer_may_be_allowed(cores: int) -> None:
    threads.allow(1)
    here = []
    side_by_side(lambda _: here.append(threading.get_ident()), range(9))
    assert here == 9 * [threading.get_ident()]


@pytest.mark.parametrize("error", [ValueError, IndexError, KeyboardInterrupt])
def test_an_error_leaves_out_what_is_not_begun(cores: int, error: type[BaseException]) -> None:
    begun: list[int] = []

    def work(piece: int) -> None:
        begun.append(piece)
        if piece == 3:
            raise error("the fourth")
        time.sleep(0.001)

    with pytest.raises(error, match="the fourth"):
        side_by_side(work, range(10_000))
    assert 3 in begun
    assert len(begun) < 10_000
    assert all("ThreadPool" not in thread.name for thread in threading.enumerate())


def test_work_within_work_takes_no_more_threads_than_cores(cores: int) -> None:
    at_once, most, lock = [0], [0], threading.Lock()

    def count(_: object) -> None:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.002)
        with lock:
            at_once[0] -= 1

    side_by_side(lambda _: side_by_side(count, range(6)), range(cores))
    assert most[0] <= cores


def test_threads_that_are_done_help_with_the_work_within_another(cores: int) -> None:
    meeting = threading.Barrier(cores)

    def work(piece: int) -> None:
        meeting.wait(timeout=60)  # each has a thread of its own
        if piece == 0:
            until = time.monotonic() + 60
            while threads._working[0] > 1 and time.monotonic() < until:
                time.sleep(0.001)
            side_by_side(lambda _: meeting.wait(timeout=60), range(cores))

    side_by_side(work, range(cores))
