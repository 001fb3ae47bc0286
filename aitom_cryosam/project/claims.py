"""Claims: which tomogram a process works on, so that no other takes it at the same time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_FILE = ".claims"
_TAKEN = {errno.EACCES, errno.EAGAIN}


@contextmanager
def claimed(folder: Path, name: str, *, wait: bool = False) -> Iterator[bool]:
    """Work on a tomogram alone, as far as the disk can tell processes and machines apart.

    A process that is killed gives its claim back. One process holds one claim at a time.

    Args:
        folder: of the project's results, there already.
        name: of the tomogram.
        wait: until the process that has it is done.

    Yields:
        Whether it is ours; True where the disk knows no locks.
    """
    handle = None
    with suppress(OSError):
        handle = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield handle is None or _locked(handle, crc32(name.encode()), wait)
    finally:
        if handle is not None:
            os.close(handle)


def _locked(handle: int, place: int, wait: bool) -> bool:
    """Lock one byte of the file, which need not have it."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, place)
    except OSError as error:
        return error.errno not in _TAKEN
    except AttributeError:  # no fcntl
        pass
    return True
