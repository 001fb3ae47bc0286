"""Digests: checksums of files of gigabytes, remembered from process to process."""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import writing
from aitom_cryosam.source_file import sha256_of

_LARGE = 1 << 24
"""Bytes; a smaller file is read in no time, and is remembered by this process only."""
_MOST = 64
_QUIET_NS = 2_000_000_000
"""A file that was changed so shortly ago may change again within one tick of the disk's clock."""
_State = list[int]


class Digests:
    """SHA-256 of files, each read once as long as it stays as it is.

    Device, inode, size and both times tell whether it did. The time of the last change of the
    inode cannot be set back, so that an altered file is found even if the time of its content
    was. What is remembered is believed only if nobody but this user can have written it.

    Args:
        memory: the file that remembers; its folder is made. Where it cannot be written, files
            are read once a process.
    """

    _here: dict[Path, tuple[_State, str]] = {}  # noqa: RUF012 - of the process

    def __init__(self, memory: Path) -> None:
        self.memory = memory

    def of(self, path: str | Path) -> str:
        """In hex.

        Raises:
            OSError: the file cannot be read.
        """
        path = Path(path).resolve()
        state = _state(path)
        known = self._here.get(path) or self._remembered().get(path)
        if known is not None and known[0] == state:
            self._here[path] = known
            return known[1]
        begun, digest = time.time_ns(), sha256_of(path)
        if _state(path) == state and max(state[-2:]) < begun - _QUIET_NS:
            self._here[path] = state, digest
            if state[2] >= _LARGE:
                self._remember(path, state, digest)
        return digest

    def _remembered(self) -> dict[Path, tuple[_State, str]]:
        """Nothing, if the file is damaged or somebody else's."""
        try:
            with os.fdopen(
                os.open(self.memory, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            ) as file:
                if not _own(os.fstat(file.fileno())):
                    return {}
                content = json.load(file)
            return {Path(path): (list(state), str(sum)) for path, (state, sum) in content.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}

    def _remember(self, path: Path, state: _State, digest: str) -> None:
        others = [item for item in self._remembered().items() if item[0] != path]
        known = [*others[1 - _MOST :], (path, (state, digest))]
        with suppress(OSError, InputError):
            self.memory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with writing(self.memory, overwrite=True) as temporary:
                temporary.touch(mode=0o600)
                temporary.write_text(json.dumps({str(path): value for path, value in known}))


def _state(path: Path) -> _State:
    found = path.stat()
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _own(found: os.stat_result) -> bool:
    """Whether a file is this user's, and nobody else may write to it."""
    if not hasattr(os, "geteuid"):  # Windows keeps others out of a user's folders
        return stat.S_ISREG(found.st_mode)
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
