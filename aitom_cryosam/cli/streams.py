"""What is shown: stdout and stderr that may be closed, full or cut off, and never cost a result."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from aitom_cryosam.wording import printable


class Shown:
    """A stream that drops what cannot be written.

    Args:
        stream: the process's own.
        plain: show control characters as escapes: names and labels out of files may hold any.

    Attributes:
        failure: the first error, or None.
    """

    def __init__(self, stream: TextIO, *, plain: bool = False) -> None:
        self._stream = stream
        self._plain = plain
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or drop; the number of characters."""
        if self.failure is None:
            try:
                self._stream.write(printable(text) if self._plain else text)
            except OSError as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or note that it fails."""
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failure = error
        # Python flushes once more at its end; let that go nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


@contextmanager
def forgiving() -> Iterator[None]:
    """Replace the process's streams in the block; those that somebody has put there stay."""
    _open_closed()
    out, err = sys.stdout, sys.stderr
    if out is sys.__stdout__:
        out.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        sys.stdout = Shown(out, plain=True)  # type: ignore[assignment, arg-type]
    if err is sys.__stderr__:
        sys.stderr = Shown(err)  # type: ignore[assignment, arg-type]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def status_of_stdout(command: str) -> int:
    """0 if all that was printed has gone out, 141 if nobody read it any more, else 1: it is told.

    Args:
        command: that printed it, as the sentence begins.
    """
    sys.stdout.flush()
    failure = getattr(sys.stdout, "failure", None)
    if failure is None:
        return 0
    if failure.errno == errno.EPIPE:
        return 141
    print(
        f"{command}: what it prints could not be written ({failure.strerror}); any files "
        "that it wrote are whole.",
        file=sys.stderr,
    )
    return 1


def _open_closed() -> None:
    """Let what the shell has closed go nowhere, before a result gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
