"""Outputs: whether files and folders can be written, known before the work."""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.temporaries import PREFIX, temporary_folder
from aitom_cryosam.tidying import settle, tidy
from aitom_cryosam.wording import size_text

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_SOME = "a file"  # that is not known yet
_kept: list[os.stat_result] = []
"""Of files that no file may take the place of now."""


@contextmanager
def kept(paths: Iterable[str | Path]) -> Iterator[None]:
    """In the block nothing that is written takes the place of these, not even with `overwrite`.

    Args:
        paths: of a program's inputs; those that do not exist, or cannot, do not count.
    """
    before = _kept[:]
    for path in paths:
        with suppress(OSError, ValueError):
            _kept.append(os.stat(path))
    try:
        yield
    finally:
        _kept[:] = before


def _refuse_inputs(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            found = os.stat(path)
        except (OSError, ValueError):  # nothing is there, or nothing can be
            continue
        if any(os.path.samestat(found, one) for one in _kept):
            raise InputError(
                f"{path} is an input of this run and would be replaced; choose another output."
            )


def refuse_existing_folder(path: Path, *, overwrite: bool = False) -> None:
    """Say what is in the way of a folder, after what a killed process had begun is ended.

    Raises:
        InputError: the path exists, and `overwrite` is not set or it is no folder.
    """
    settle(path.parent)
    _refuse_inputs([path])
    if os.path.lexists(path) and not (overwrite and path.is_dir() and not path.is_symlink()):
        raise already_there(path)


def refuse_existing(paths: Iterable[str | Path], *, overwrite: bool = False) -> None:
    """Say which result is already there, before hours of work rather than after.

    What a killed process had begun to publish beside it is ended first: a run that is refused
    leaves a whole result, not a half.

    Raises:
        InputError: one of the paths exists and `overwrite` is not set, it is a folder, an input
            of the program, or its name cannot be given to a file.
    """
    wanted = [Path(path) for path in paths]
    for folder in dict.fromkeys(path.parent for path in wanted):
        settle(folder)
    _refuse_inputs(wanted)
    for path in wanted:
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise not_written(path, _named(error)) from None
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected a file name to write to.")
        if not overwrite:
            raise already_there(path)


def ready_to_write(paths: Sequence[str | Path], *, overwrite: bool = False) -> None:
    """See to it, before the work, that single files can be written after it.

    Args:
        paths: of the files, in folders that exist.
        overwrite: replace existing files.

    Raises:
        InputError: as for `refuse_existing` and `output_folder`, or two are the same file.
    """
    refuse_existing(paths, overwrite=overwrite)
    places = [Path(path).absolute() for path in paths]
    for place in places:
        if places.count(place) > 1:
            raise InputError(f"Two files are to be written as {place}; give each its own name.")
        if not place.parent.is_dir():
            raise not_written(place, FileNotFoundError(errno.ENOENT, ""))
        output_folder(place.parent)


def check_output(
    path: str | Path, files: Iterable[str | Path] = (), *, size: int = 0, overwrite: bool = False
) -> None:
    """See to it, before the work, that a folder can be made after it and files written there.

    Nothing is left behind, so that a run which is then refused leaves no empty folder.

    Args:
        path: the folder.
        files: that will be in it.
        size: bytes that they will take at least, as far as that is known.
        overwrite: replace existing files.

    Raises:
        InputError: as for `output_folder` and `refuse_existing`, or the disk has no such space.
    """
    folder = Path(path)
    refuse_existing(files, overwrite=overwrite)
    missing = missing_folders(folder)
    if not missing:
        output_folder(folder)
    else:
        there = missing[-1].parent
        try:
            with temporary_folder(there) as probe:
                (probe / folder.relative_to(there)).mkdir(parents=True)
        except (OSError, ValueError) as error:
            raise not_written(folder / _SOME, _named(error)) from error
    free = free_space(folder)
    if size > free:
        raise InputError(
            f"No space left to write {folder}: its files will take {size_text(size)}, and "
            f"{size_text(free)} are free on that disk; free some, or choose another place."
        )


def free_space(folder: Path) -> float:
    """Bytes that may still be written where a folder is, or will be; endless if none can tell."""
    missing = missing_folders(folder)
    with suppress(OSError):
        disk = shutil.disk_usage(missing[-1].parent if missing else folder)
        return disk.free if disk.total else math.inf
    return math.inf


def output_folder(path: str | Path) -> Path:
    """The folder for results: made if it is missing, known to take a file, and tidied.

    Raises:
        InputError: it cannot be made, is not a folder, or no file can be written into it.
    """
    folder = Path(path)
    try:
        with gone_if_empty(missing_folders(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            with temporary_folder(folder) as probe:
                (probe / "probe").write_bytes(b"probe")
            tidy(folder)
    except (OSError, ValueError) as error:
        raise not_written(folder / _SOME, _named(error)) from error
    return folder


def missing_folders(folder: Path) -> list[Path]:
    """A folder that is not there and those of its parents that are not, itself first."""
    return list(takewhile(lambda one: not os.path.lexists(one), (folder, *folder.parents)))


@contextmanager
def gone_if_empty(folders: Sequence[Path]) -> Iterator[None]:
    """If the block fails, take back folders that were made for it; the innermost is the first."""
    try:
        yield
    except BaseException:
        for folder in folders:
            with suppress(OSError):
                folder.rmdir()
        raise


def already_there(path: Path) -> InputError:
    """The error of an output that exists."""
    return InputError(f"{path} already exists", Remedy.OVERWRITE)


def _named(error: OSError | ValueError) -> OSError:
    """The error; a name with a null byte is a ValueError of Python's, never a disk's."""
    return error if isinstance(error, OSError) else OSError(errno.EINVAL, "not a name for a file")


def not_written(target: Path, error: OSError) -> InputError:
    """What the system said to an output, as an error for the user."""
    if error.errno == errno.EEXIST and target.exists() and not target.is_dir():
        return already_there(target)
    return InputError(_sentence(_in_place(target), error))


def _in_place(path: Path) -> Path:
    """Where a file will lie that is written in a temporary folder; any other's path itself."""
    homes = (up.parent for up in reversed(path.parents) if up.name.startswith(PREFIX))
    return next(homes, path.parent) / path.name


def _sentence(target: Path, error: OSError) -> str:
    folder = target.parent
    if error.errno in _FULL:
        place = folder if target.name == _SOME else target
        return f"No space left to write {place}: free some on that disk, or choose another place."
    if error.errno in _FORBIDDEN:
        return f"The folder {folder} is not writable; choose another output."
    if error.errno == errno.ENAMETOOLONG:
        return f"The name {target.name} is too long for this disk; choose a shorter one."
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EEXIST}:
        return f"{folder} is not an existing folder; make it, or choose another output."
    return f"Cannot write {target}: {error.strerror or 'the disk refuses it'}."
