"""Files: results are complete under their name or absent; sources stay as they are read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aitom_cryosam.errors import InputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def writing(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file under a temporary name beside it, which takes its place at the end.

    Whatever ends the block early (an error, Ctrl-C) removes the temporary file and leaves
    the target as it was. Only writing belongs into the block: its `OSError`s are reported as
    failures to write.

    Args:
        path: the file to write; its folder must exist.
        overwrite: replace an existing file.

    Yields:
        The temporary path, with the target's extension, for the caller to create.

    Raises:
        InputError: the file exists, its folder is missing or closed, or the disk is full.
    """
    target = Path(path)
    refuse_existing([target], overwrite=overwrite)
    temporary = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        yield temporary
        with temporary.open("rb") as file:  # network disks report a full quota only here
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise InputError(_sentence(target, error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def publishing(
    folder: str | Path, paths: Mapping[str, Path], *, overwrite: bool = False
) -> Iterator[dict[str, Path]]:
    """Write the files of one result; none takes its place before all are complete.

    Args:
        folder: of all of them; made if it is missing.
        paths: by kind.
        overwrite: replace existing files.

    Yields:
        By kind, where the block is to write each of them.

    Raises:
        InputError: a file exists, or the folder cannot be written.
    """
    output_folder(folder)
    refuse_existing(paths.values(), overwrite=overwrite)
    with TemporaryDirectory(prefix=".cryosam-", dir=folder) as unfinished:
        drafts = {kind: Path(unfinished) / path.name for kind, path in paths.items()}
        yield drafts
        for kind, path in paths.items():
            drafts[kind].replace(path)


def write_text(path: str | Path, text: str, *, overwrite: bool = False) -> None:
    """Write UTF-8 text with LF line ends; complete or not at all, as `writing`."""
    with writing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_all(contents: Mapping[Path, str | bytes], *, overwrite: bool = False) -> None:
    """Write several files, text as UTF-8; none takes its place before all are complete.

    Args:
        contents: by path; folders are made.
        overwrite: replace existing files.

    Raises:
        InputError: a file exists, or one cannot be written.
    """
    refuse_existing(contents, overwrite=overwrite)
    for path in contents:
        output_folder(path.parent)
    with ExitStack() as stack:
        for path, content in contents.items():
            temporary = stack.enter_context(writing(path, overwrite=overwrite))
            temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def existing_file(path: Path) -> Path:
    """A path, if it is that of a file: reading from a pipe or a device might never end.

    Raises:
        InputError: there is nothing, or no file.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
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


def refuse_existing(paths: Iterable[str | Path], *, overwrite: bool = False) -> None:
    """Say which result is already there, before hours of work rather than after.

    Raises:
        InputError: one of the paths exists and `overwrite` is not set, or it is a folder.
    """
    for path in map(Path, paths):
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected a file name to write to.")
        if path.exists() and not overwrite:
            raise InputError(
                f"{path} already exists; choose another output, or add --overwrite to replace it."
            )


def output_folder(path: str | Path) -> Path:
    """The folder for results: made if it is missing, and known to take a file.

    Raises:
        InputError: it cannot be made, is not a folder, or no file can be written into it.
    """
    folder = Path(path)
    probe = folder / f".{os.getpid()}-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"probe")
    except OSError as error:
        raise InputError(_sentence(probe, error)) from error
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return folder


def _state(path: Path) -> tuple[int, int, int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _sentence(target: Path, error: OSError) -> str:
    folder = target.parent
    if error.errno in _FULL:
        return f"No space left to write {target}: free some on that disk, or choose another place."
    if error.errno in _FORBIDDEN:
        return f"The folder {folder} is not writable; choose another output."
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EEXIST}:
        return f"{folder} is not an existing folder; make it, or choose another output."
    return f"Cannot write {target}: {error.strerror or error}."
