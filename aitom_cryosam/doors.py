"""Door: where the user came in, and what that program is told of itself while it runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum


class Door(Enum):
    """Where the user came in: it decides how a remedy is worded."""

    COMMAND_LINE = "command line"
    PROJECT = "project"
    PYTHON = "Python"
    AITOM = "AITom"
    NAPARI = "napari"


TYPED = (Door.COMMAND_LINE, Door.PROJECT)
"""Where options are typed."""


@dataclass
class Running:
    """What runs, for the words of its advice.

    Attributes:
        door: where the user came in.
        options: that the running command has; None if that is not known.
    """

    door: Door
    options: Collection[str] | None = None


_programs = [Running(Door.PYTHON)]  # the last one counts


@contextmanager
def program_of(door: Door) -> Iterator[Running]:
    """All that is said meanwhile is in the words of a door; for the program's own main."""
    _programs.append(Running(door))
    try:
        yield _programs[-1]
    finally:
        _programs.pop()


def running() -> Running:
    """The program that runs, the innermost of several."""
    return _programs[-1]


def is_command_line() -> bool:
    """Whether the program runs for the command line, itself or as the worker of a project."""
    return running().door in TYPED
