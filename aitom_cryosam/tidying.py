"""Tidying: what killed processes have left in a folder is ended, or taken back."""

from __future__ import annotations

import time
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.publication import Publication, locked
from aitom_cryosam.temporaries import any_temporary, leftovers, sweep

_A_SECOND = 10**9  # in nanoseconds
_settled: dict[Path, int] = {}
"""Folders with no temporary one, by the time of their last change: a thousand results may share
one, and are read one by one."""


def settle(folder: Path) -> None:
    """`tidy` a folder before its files are looked for or read: of a result all or nothing.

    Raises:
        InputError: a result can neither be completed nor taken back.
    """
    try:
        folder = folder.absolute()
        changed = folder.stat().st_mtime_ns
    except (OSError, ValueError):  # nothing is there, or nothing can be
        return
    if _settled.get(folder) == changed:
        return
    try:
        tidy(folder)
    except OSError as error:
        raise InputError(
            f"A run that was killed has left half of its result in {folder}, and it cannot be "
            f"completed ({error.strerror}); make the folder writable, or take a copy of it."
        ) from None
    # A change so soon after a look that a clock cannot tell them apart would be overlooked.
    if time.time_ns() - changed > _A_SECOND and not any_temporary(folder):
        _settled[folder] = changed


def tidy(folder: Path) -> None:
    """Remove what killed processes have left in a folder; end what they were about to publish.

    Raises:
        OSError: a result can neither be completed nor taken back.
    """
    if leftovers(folder):
        with locked(folder):
            finish(folder)


def finish(folder: Path) -> None:
    """End what killed processes were about to publish, in a folder that is locked."""
    for temporary in leftovers(folder):
        begun = Publication.unfinished(temporary, folder)
        if begun is not None:
            begun.finish()
    sweep(folder)
