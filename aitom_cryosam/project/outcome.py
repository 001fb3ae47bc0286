"""Outcome: what came of one tomogram of a project, in whichever process it was picked."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

from aitom_cryosam import job as jobs
from aitom_cryosam.doors import Door, program_of
from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_text
from aitom_cryosam.job import Job
from aitom_cryosam.messages import silent
from aitom_cryosam.outputs import output_folder
from aitom_cryosam.project.claims import claimed
from aitom_cryosam.project.state import Kind, State, failure_note
from aitom_cryosam.record import Record
from aitom_cryosam.versions import DISTRIBUTION, version_of

_alone = Lock()
"""A process picks in one tomogram at a time."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One tomogram to pick, as it travels to another process.

    Attributes:
        name: in the project.
        job: as JSON values.
        version: of the program that asks; another one might pick otherwise.
        wait: for another process that works on it.
    """

    name: str
    job: Mapping[str, Any]
    version: str
    wait: bool = False

    @classmethod
    def of(cls, name: str, job: Job) -> Task:
        """A job, to be done by this version of the program."""
        return cls(name=name, job=job.to_json(), version=version_of(DISTRIBUTION))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a task.

    Attributes:
        task: that it was.
        picks: how many were found.
        seconds: that it took; 0 if another process has done it.
        warnings: that the run gave.
        failure: one sentence, or empty.
        details: of a failure that is a defect, for the log.
        busy: whether another process works on it.
    """

    task: Task
    picks: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    failure: str = ""
    details: str = ""
    busy: bool = False


def pick(task: Task) -> Outcome:
    """Pick in one tomogram, unless that is done or another process does it.

    Raises:
        InputError: this process has another version of the program.
    """
    own = version_of(DISTRIBUTION)
    if task.version != own:
        raise InputError(
            f"A worker has version {own} of this program, the project is run by "
            f"{task.version}; start workers of the same installation."
        )
    job = Job.from_json(task.job)
    assert job.out is not None  # a project's jobs have one
    start = time.perf_counter()
    with _alone, silent(), program_of(Door.PROJECT):
        try:
            output_folder(job.out)
            with claimed(job.out.parent, task.name, wait=task.wait) as ours:
                if not ours:
                    return Outcome(task=task, busy=True)
                state = State.of(job)
                if state.kind is Kind.DONE and state.record is not None:
                    return Outcome(task=task, picks=_count(state.record))
                record = jobs.run(job)
                failure_note(job).unlink(missing_ok=True)
        except InputError as error:
            return failed(task, str(error))
        except MemoryError:
            return failed(task, "Not enough memory; give it more, or bin the tomogram.")
        except Exception as error:
            sentence = f"This program has a defect ({type(error).__name__}); see the log."
            return failed(task, sentence, traceback.format_exc())
    seconds = time.perf_counter() - start
    return Outcome(task=task, picks=_count(record), seconds=seconds, warnings=record.warnings)


def _count(record: Record) -> int:
    return int(record.content["counts"]["picks"])


def failed(task: Task, sentence: str, details: str = "") -> Outcome:
    """The outcome of a task that could not be done; `State` finds the sentence in a file."""
    with suppress(InputError):
        note = failure_note(Job.from_json(task.job))
        output_folder(note.parent)
        write_text(note, sentence + "\n", overwrite=True)
    return Outcome(task=task, failure=sentence, details=details)
