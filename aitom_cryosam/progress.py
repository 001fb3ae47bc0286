"""Progress: how far a long step is, told to whoever waits; and how they stop it."""

from __future__ import annotations

from threading import Lock
from typing import Protocol


class Progress(Protocol):
    """Called now and then while a step works; whatever it raises ends the run."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of a stage are done.

        Calls come from several threads, but one at a time.

        Raises:
            Cancelled: the run is not wanted any more.
        """


class Cancelled(Exception):
    """A run was stopped by whoever waited for it."""


class Steps:
    """Counts the steps of one stage, from any thread.

    Args:
        progress: what shows them, or None.
        stage: its name.
        total: number of steps.
    """

    def __init__(self, progress: Progress | None, stage: str, total: int) -> None:
        self.total = total
        self._progress = progress
        self._stage = stage
        self._done = 0
        self._lock = Lock()

    def add(self, count: int) -> None:
        """So many more steps are done; after 0, too, whoever waits may stop it."""
        if self._progress is None or self.total == 0:
            return
        with self._lock:
            self._done += count
            self._progress(self._stage, self._done, self.total)
