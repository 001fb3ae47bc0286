"""Work in a thread: progress and the outcome come back as Qt signals, and it can be stopped."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, QThread, Signal

from aitom_cryosam.doors import Door
from aitom_cryosam.errors import InputError
from aitom_cryosam.progress import Cancelled, Progress


@dataclass(frozen=True)
class Failure:
    """What went wrong.

    Attributes:
        text: a sentence for people.
        remedy: what to do, in the widget's words; empty if the sentence says it.
        details: where it happened, to copy into a report; empty where the input is at fault.
    """

    text: str
    remedy: str = ""
    details: str = ""

    @classmethod
    def of(cls, error: InputError) -> Failure:
        """What a user caused."""
        remedy = error.remedy.worded(Door.NAPARI, **error.values) if error.remedy else ""
        return cls(error.problem, remedy)


Work = Callable[[Progress, Callable[[Any], None]], Any]
"""Told where to tell its progress, and where to give what can be shown before its outcome."""


class Worker(QThread):
    """Runs one function.

    Args:
        work: what is to be done.
        parent: that owns the thread.
    """

    progressed = Signal(str, int, int)
    begun = Signal(object)
    succeeded = Signal(object)
    failed = Signal(object)
    cancelled = Signal()

    def __init__(self, work: Work, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work = work
        self._stopped = False

    def stop(self) -> None:
        """End the work at its next step."""
        self._stopped = True

    def run(self) -> None:
        """The thread; Qt calls it."""
        try:
            outcome = self._work(self._tell, self.begun.emit)
        except Cancelled:
            self.cancelled.emit()
        except InputError as error:
            self.failed.emit(Failure.of(error))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            self.failed.emit(Failure(text, details=traceback.format_exc()))
        else:
            self.succeeded.emit(outcome)

    def _tell(self, stage: str, done: int, total: int) -> None:
        if self._stopped:
            raise Cancelled
        self.progressed.emit(stage, done, total)
