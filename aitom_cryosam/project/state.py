"""State: whether a tomogram of a project is done, and why not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.job import Job
from aitom_cryosam.points.prompts import read_prompts, read_rejects
from aitom_cryosam.record import Record
from aitom_cryosam.settings import short_name
from aitom_cryosam.source_file import FileStamp, sha256_of
from aitom_cryosam.tidying import settle

_CLICKS = {"prompts": read_prompts, "rejects": read_rejects}
_SAME_CLICK = 0.002
"""Voxels; a record keeps three decimals."""
_SAME_SIZE = 1e-4
"""Of a voxel, relative; a header keeps seven digits."""


class Kind(Enum):
    """Of a state."""

    DONE = "done"
    MISSING = "to do"
    CHANGED = "changed"
    FAILED = "failed"
    NO_CLICKS = "no clicks"


@dataclass(frozen=True)
class State:
    """Of one tomogram.

    Attributes:
        kind: what it is.
        why: what has changed, or why it failed; empty if there is nothing to say.
        record: of its last run, or None.
    """

    kind: Kind
    why: str = ""
    record: Record | None = None

    @classmethod
    def of(cls, job: Job) -> State:
        """What the files of a job say; voxels are only read where a tomogram was written again."""
        if job.query is None and job.prompts_file is None:
            return cls(Kind.NO_CLICKS, "give it clicks or a query")
        files, record = job.files, None
        try:
            settle(files["run"].parent)
            if os.path.isfile(files["run"]):
                record = Record.open(files["run"])
            note = failure_note(job)
            if os.path.isfile(note):
                return cls(Kind.FAILED, note.read_text("utf-8").strip(), record)
            if record is None:
                return cls(Kind.MISSING)
            absent = [path.name for path in files.values() if not os.path.isfile(path)]
            changes = [f"{absent[0]} is missing"] if absent else _changes(job, record)
            why = next(iter(changes), "")  # looked for only now
        except (InputError, OSError) as error:
            return cls(Kind.CHANGED, str(error), record)
        return cls(Kind.CHANGED if why else Kind.DONE, why, record)


def failure_note(job: Job) -> Path:
    """The file that says why a job failed when it was last tried."""
    return job.files["run"].with_name(f"{job.name}_failed.txt")


def _changes(job: Job, record: Record) -> Iterator[str]:
    """What is not as it was when the result was made, in words."""
    then = Job.from_json(record.content.get("job") or {})
    for name in vars(job.settings):
        was, now = getattr(then.settings, name), getattr(job.settings, name)
        if was != now:
            yield f"{short_name(name)} was {was}, is {now}"
    for name in ("contrast", "voxel_size", "coords_angpix", "tilt_series"):
        was, now = getattr(then, name), getattr(job, name)
        if was != now:
            yield f"{name} was {was}, is {now}"
    for name in ("exclude_distance", "edge", "lamella"):
        was, now = getattr(then.regions, name), getattr(job.regions, name)
        if was != now:
            yield f"{name} was {was}, is {now}"
    stamps, inputs = record.inputs, job.inputs
    for role in (role for role in stamps if role not in inputs):
        yield f"there is no {role} any more"
    for role, path in inputs.items():
        if role not in stamps:
            yield f"the {role} is new"
        elif not _same(role, path, stamps[role], job, record):
            yield f"the {role} has changed"


def _same(role: str, path: Path, was: FileStamp, job: Job, record: Record) -> bool:
    """Whether an input has the content that it had."""
    try:
        now = FileStamp.of(path)
    except OSError:
        raise InputError(f"There is no file {path}.") from None
    if was.untouched(now):
        return True
    if role == "tomogram":
        tomogram = job.open_tomogram()
        same_size = np.isclose(tomogram.voxel_size, record.info.voxel_size or 0.0, rtol=_SAME_SIZE)
        return bool(same_size) and tomogram.digest() == record.provenance["sha256"]
    if os.path.isfile(path) and _checksum(path, now.size, now.changed_ns) == was.sha256:
        return True
    return role in _CLICKS and _same_clicks(role, path, job, record)


@lru_cache
def _checksum(path: Path, _size: int, _changed_ns: int) -> str:
    """Of a query that a thousand tomograms have in common, once."""
    return sha256_of(path)


def _same_clicks(role: str, path: Path, job: Job, record: Record) -> bool:
    """Whether this tomogram's clicks are the same in a file that has those of many."""
    clicks = _CLICKS[role](
        job.open_tomogram(),
        path=path,
        coords_angpix=job.coords_angpix,
        tilt_series=job.tilt_series,
    )
    before = getattr(record, role).points_zyx
    now = clicks.points_zyx
    return before.shape == now.shape and bool(np.allclose(before, now, atol=_SAME_CLICK, rtol=0))
