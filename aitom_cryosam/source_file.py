"""SourceFile: a file that is read, and must be one, and must stay as it is."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.remedies import Remedy

logger = logging.getLogger(__name__)

_PIECE = 1 << 20
_CLICK = re.compile(r"(-?\d+(\.\d*)?[,; ]\s*){2}-?\d+(\.\d*)?")
"""x,y,z, typed where a file is meant."""
_ADDRESS = re.compile(r"(https?|ftp|s3|gs):/")


def existing_file(path: str | Path) -> Path:
    """A path, if it is that of a file: reading from a pipe or a device might never end.

    Raises:
        InputError: there is nothing, or no file.
    """
    path = Path(path)
    if not path.name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in path.name):
        raise InputError(
            f"The name of {path} is not UTF-8, as the files that would hold it are; rename it, or "
            "type `export LC_ALL=C.UTF-8` first."
        )
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        if path.is_symlink():
            raise InputError(
                f"{path} is a link to {os.readlink(path)}, which is not there; copy the file "
                "itself, or put that back."
            ) from None
        if _CLICK.fullmatch(str(path)):
            raise InputError(f"There is no file {path}", Remedy.TYPED_CLICK) from None
        if _ADDRESS.match(str(path)):
            raise InputError(f"{path} is an address; download the file first.") from None
        raise InputError(f"There is no file {path}.") from None
    except PermissionError:
        raise InputError(f"{path} may not be read: check its permissions.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}); correct it.") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder; expected a file.")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is a pipe or a device; expected a file: save it first.")
    return path


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever a malformed file does to the code that takes it apart into one sentence.

    The exception itself is for `--verbose` only: its text means nothing to a user.

    Raises:
        InputError: the file is not what was `expected`, or the system will not give it.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        logger.debug("%s: %s", path, error, exc_info=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{path} cannot be read ({error.strerror}).") from None
        raise InputError(f"{path} is not {expected}.") from None


@dataclass(frozen=True)
class SourceFile:
    """A file that is read for a long time, and must not change meanwhile.

    Attributes:
        path: the file.
        state: device, inode, bytes and time of its last change, when reading began.
    """

    path: Path
    state: tuple[int, int, int, int]

    @classmethod
    def of(cls, path: Path) -> SourceFile:
        """The file as it is now."""
        return cls(path, _state(path))

    def check(self) -> None:
        """Ask before every read: voxels that a file has lost would end the process.

        Raises:
            InputError: the file is another one than when reading began.
        """
        try:
            same = _state(self.path) == self.state
        except OSError:
            same = False
        if not same:
            raise InputError(
                f"{self.path} was changed or removed while it was read; start again when nothing "
                "writes to it any more."
            )


@dataclass(frozen=True)
class FileStamp:
    """Which content a file or a folder's files had, to see later whether it is still the same.

    Attributes:
        path: absolute.
        size: bytes.
        changed_ns: nanoseconds, when the last of it was written.
        sha256: checksum (hex) of a file's bytes, or None if it was not read for this.
    """

    path: str
    size: int
    changed_ns: int
    sha256: str | None = None

    @classmethod
    def of(cls, path: str | Path, *, checksum: bool = False) -> FileStamp:
        """What is there now.

        Args:
            path: a file, or a folder all of whose files count.
            checksum: read the file; of a folder there is none.

        Raises:
            OSError: it cannot be read.
        """
        place = Path(path).absolute()
        inside = [Path(home, name) for home, _, names in os.walk(place) for name in names]
        states = [one.stat() for one in inside or [place]]
        read = checksum and place.is_file()  # a pipe might never end
        return cls(
            str(place),
            sum(state.st_size for state in states),
            max(state.st_mtime_ns for state in states),
            sha256_of(place) if read else None,
        )

    def untouched(self, now: FileStamp) -> bool:
        """Whether it is the same place, and nothing was written there since."""
        return replace(self, sha256=None) == replace(now, sha256=None)


@dataclass(frozen=True)
class SourceFiles:
    """Several files that are read as one.

    Attributes:
        files: each of them.
    """

    files: tuple[SourceFile, ...]

    def check(self) -> None:
        """As `SourceFile.check`.

        Raises:
            InputError: one is not what it was.
        """
        for file in self.files:
            file.check()


def sha256_of(path: Path) -> str:
    """Checksum (hex) of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    result = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            result.update(piece)
    return result.hexdigest()


def _state(path: Path) -> tuple[int, int, int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
