"""Temporary folders: of one process, under names that nobody can foresee, gone with their owner.

A name tells host and process. What a killed process has left is removed by the next run that
works in the same place; if it was killed while it put a complete result into place (see
`publishing`), that run ends it.
"""

from __future__ import annotations

import errno
import logging
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

PREFIX = ".cryosam-"
_NOT_HERE = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}
_HOST = re.sub(r"[^A-Za-z0-9.]", "", platform.node())[:40] or "host"
_NAME = re.compile(rf"{re.escape(PREFIX)}(?P<host>[^-]+)-(?P<process>\d+)-.+")
_living: set[Path] = set()


@contextmanager
def temporary_folder(parent: str | Path | None = None) -> Iterator[Path]:
    """A new, empty folder that only this user may enter; removed at the end of the block.

    Args:
        parent: an existing folder; the system's for temporary files (TMPDIR) if None.

    Raises:
        OSError: it cannot be made.
    """
    place = Path(tempfile.gettempdir() if parent is None else parent)
    # mkdtemp makes it exclusively: a name or a link that lies there already is never taken.
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{_HOST}-{os.getpid()}-", dir=place))
    _living.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _living.discard(folder)


def reserve(descriptor: int, size: int) -> None:
    """Give an open file its space on the disk, as far as the disk can be asked to.

    A disk that is full when a page of a mapped file is written would end the process by a
    signal; here it is an error.

    Raises:
        OSError: there is no space.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise


def leftovers(place: Path) -> list[Path]:
    """Folders of processes of this host that are gone."""
    found = [path for path, process in _of_this_host(place) if not _runs(process)]
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def any_temporary(place: Path) -> bool:
    """Whether a process of this host has, or has left, a folder there."""
    return bool(_of_this_host(place))


def _of_this_host(place: Path) -> list[tuple[Path, int]]:
    """Temporary folders, and the numbers of their processes."""
    found = []
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            name = _NAME.fullmatch(entry.name)
            if name and name["host"] == _HOST:
                found.append((place / entry.name, int(name["process"])))
    return found


def sweep(place: Path) -> None:
    """Remove what killed processes have left in a folder."""
    for path in leftovers(place):
        logger.debug("Removing %s, left by a run that has ended.", path)
        shutil.rmtree(path, ignore_errors=True)


def remove_all() -> None:
    """Remove the temporary folders of this process, which is about to end by force."""
    for folder in list(_living):
        shutil.rmtree(folder, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's, or no number of a process
        return True
    return True
