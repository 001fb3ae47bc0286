"""How a command ends when it is told to: quietly, with its temporary files removed."""

from __future__ import annotations

import _thread
import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from aitom_cryosam import temporaries

CUT_OFF = (
    b"cryosam: a file was cut off while it was read; start again when nothing writes to the "
    b"tomogram, its cache or the folder for temporary files any more.\n"
)
_PATIENCE = 100  # times that a signal waits for an import


class Ended(KeyboardInterrupt):
    """Another signal than Ctrl-C's asks the process to end.

    Attributes:
        status: that the process is to end with, as a shell gives it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


@contextmanager
def heeded() -> Iterator[None]:
    """End the block by `Ended` at SIGTERM and SIGHUP, and by KeyboardInterrupt at Ctrl-C.

    Compiled modules that are interrupted while they are imported say that by an ImportError, or
    not at all: a signal then waits for the end of the import.

    A file that loses bytes while they are mapped into memory makes the system send SIGBUS, which
    no Python code could answer: that ends the process with a sentence.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[threading.Timer] = []

    def end(number: int, frame: FrameType | None) -> None:
        if _importing(frame) and len(waiting) < _PATIENCE:
            waiting.append(threading.Timer(0.05, _thread.interrupt_main, [number]))
            waiting[-1].start()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise Ended(number)

    named: dict[str, Any] = {
        "SIGINT": signal.default_int_handler,
        "SIGTERM": signal.SIG_DFL,
        "SIGHUP": signal.SIG_DFL,
    }
    usual = {getattr(signal, name, None): handler for name, handler in named.items()}
    # What is ignored stays so: SIGHUP of what nohup starts, Ctrl-C of a shell's background.
    wanted = [one for one in usual if one is not None and signal.getsignal(one) is usual[one]]
    for number in wanted:
        signal.signal(number, end)
    answer = _answer_bus_errors()
    try:
        yield
    finally:
        for timer in waiting:
            timer.cancel()
        for number in wanted:
            signal.signal(number, usual[number])
        if answer is not None:
            signal.signal(signal.SIGBUS, signal.SIG_DFL)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None and "importlib" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None


def _answer_bus_errors() -> Any:
    """Have the C library call a function at SIGBUS; it must live as long as that may happen.

    Python's own handlers run after the instruction that failed, which would fail for ever.
    """
    if not hasattr(signal, "SIGBUS"):
        return None

    def answer(_number: int) -> None:
        os.write(2, CUT_OFF)
        temporaries.remove_all()
        os._exit(2)

    call = ctypes.CFUNCTYPE(None, ctypes.c_int)(answer)
    library = ctypes.CDLL(None)
    library.signal.argtypes = [ctypes.c_int, type(call)]
    library.signal.restype = ctypes.c_void_p
    library.signal(int(signal.SIGBUS), call)
    return call
