"""Messages: what the package logs, each warning once, and a program's logging as it was."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

PACKAGE = __name__.partition(".")[0]
"""The logger above those of all modules."""


class Once(logging.Filter):
    """Lets a warning through once: a file that is read for two purposes is warned of twice."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is to be said."""
        if record.levelno < logging.WARNING:
            return True
        line = record.getMessage()
        is_new = line not in self._said
        self._said.add(line)
        return is_new


class _Collector(logging.Handler):
    def __init__(
        self, collect: Callable[[logging.LogRecord], None], level: int = logging.NOTSET
    ) -> None:
        super().__init__(level)
        self._collect = collect

    def emit(self, record: logging.LogRecord) -> None:
        self._collect(record)


@contextmanager
def logging_kept(name: str = PACKAGE) -> Iterator[logging.Logger]:
    """Leave a logger as it was before the block: handlers, level, and whether it propagates.

    Args:
        name: of the logger; "" is the one of the process.
    """
    logger = logging.getLogger(name)
    handlers, level, propagates = logger.handlers[:], logger.level, logger.propagate
    try:
        yield logger
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagates


@contextmanager
def silent(to: logging.Handler | None = None) -> Iterator[None]:
    """The package says nothing in the block, but to a handler and those that are added there.

    Args:
        to: that is told; none if None.
    """
    with logging_kept() as logger:
        logger.handlers[:], logger.propagate = [to or logging.NullHandler()], False
        yield


@contextmanager
def held() -> Iterator[Sequence[logging.LogRecord]]:
    """What the package logs in the block is kept back, to be said later or never."""
    found: list[logging.LogRecord] = []
    with silent(_Collector(found.append)):
        yield found


def say(records: Sequence[logging.LogRecord]) -> None:
    """Log what was kept back."""
    for record in records:
        logging.getLogger(record.name).handle(record)


@contextmanager
def collected() -> Iterator[Sequence[str]]:
    """The package's warnings of the block, as text, each once, while it runs."""
    found: list[str] = []
    handler = _Collector(lambda record: found.append(record.getMessage()), logging.WARNING)
    handler.addFilter(Once())
    logger = logging.getLogger(PACKAGE)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
