"""Result files: complete under their names, or absent; those of one result all or none."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.publication import Publication, locked, place_exclusively, to_disk
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.temporaries import any_temporary, leftovers, sweep, temporary_folder

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_SOME = "a file"  # that is not known yet
_A_SECOND = 10**9  # in nanoseconds
_kept: list[os.stat_result] = []
"""Of files that no file may take the place of now."""
_settled: dict[Path, int] = {}
"""Folders with no temporary one, by the time of their last change: a thousand results may share
one, and are read one by one."""


@contextmanager
def writing(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file in a temporary folder beside it, from which it takes its place at the end.

    Whatever ends the block early (an error, Ctrl-C) removes the temporary file and leaves
    the target as it was. Only writing belongs into the block: its `OSError`s are reported as
    failures to write.

    Args:
        path: the file to write; its folder must exist.
        overwrite: replace an existing file.

    Yields:
        The temporary path, of the target's name, for the caller to create.

    Raises:
        InputError: the file exists, its folder is missing or closed, or the disk is full.
    """
    target = Path(path)
    refuse_existing([target], overwrite=overwrite)
    try:
        with temporary_folder(target.parent) as folder:
            temporary = folder / target.name
            yield temporary
            to_disk(temporary)
            if overwrite:
                temporary.replace(target)
            else:
                place_exclusively(temporary, target)
    except OSError as error:
        raise _failure(target, error) from error


@contextmanager
def writing_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a folder, which takes its place when it is complete; else as `writing`.

    Args:
        path: the folder to write.
        overwrite: replace an existing folder.

    Yields:
        The temporary path, of the target's name, for the caller to create.

    Raises:
        InputError: there is something already, the place is closed, or the disk is full.
    """
    target = Path(path)
    refuse_existing_folder(target, overwrite=overwrite)
    try:
        with temporary_folder(target.parent) as home:
            draft = home / "0" / target.name
            draft.parent.mkdir()
            yield draft
            for written in draft.rglob("*"):
                if written.is_file():
                    to_disk(written)
            with locked(target.parent):
                _finish(target.parent)
                moves = {str(draft.relative_to(home)): target.name}
                Publication(home, target.parent, moves, overwrite=overwrite).publish()
    except FileExistsError:
        raise _exists(target) from None
    except OSError as error:
        raise _failure(target, error) from error


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
        raise _exists(path)


@contextmanager
def publishing(
    folder: str | Path,
    paths: Mapping[str, Path],
    *,
    stale: Iterable[Path] = (),
    overwrite: bool = False,
) -> Iterator[dict[str, Path]]:
    """Write the files of one result. All take their places, or all is as it was.

    Of two processes that write the same files, the second is refused, or, with `overwrite`,
    its files are those that stay: never some of each.

    Args:
        folder: that all of them lie in; made if it is missing.
        paths: by kind.
        stale: files in the folder that go when these come.
        overwrite: replace existing files.

    Yields:
        By kind, where the block is to write each of them.

    Raises:
        InputError: a file exists, or the folder cannot be written.
    """
    missing = _missing(Path(folder))
    home = output_folder(folder)
    refuse_existing(paths.values(), overwrite=overwrite)
    try:
        with _gone_if_empty(missing), temporary_folder(home) as temporary:
            drafts = {}
            for number, (kind, path) in enumerate(paths.items()):
                drafts[kind] = temporary / str(number) / path.name
                drafts[kind].parent.mkdir()
            yield drafts
            moves = {
                str(drafts[kind].relative_to(temporary)): str(path.relative_to(home))
                for kind, path in paths.items()
            }
            gone = [str(path.relative_to(home)) for path in stale]
            with locked(home):
                _finish(home)
                Publication(temporary, home, moves, gone, overwrite).publish()
    except OSError as error:
        first = next(iter(paths.values()))
        raise _failure(Path(error.filename2 or first), error) from error


def write_text(path: str | Path, text: str, *, overwrite: bool = False) -> None:
    """Write UTF-8 text with LF line ends; complete or not at all, as `writing`."""
    with writing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_all(contents: Mapping[Path, str | bytes], *, overwrite: bool = False) -> None:
    """Write several files, text as UTF-8, as `publishing` does.

    Args:
        contents: by path; folders are made.
        overwrite: replace existing files.

    Raises:
        InputError: a file exists, or one cannot be written.
    """
    if not contents:
        return
    home = Path(os.path.commonpath([path.parent.absolute() for path in contents]))
    settle(home)
    refuse_existing(contents, overwrite=overwrite)
    for folder in {path.parent: None for path in contents}:
        output_folder(folder)
    paths = {str(path): path.absolute() for path in contents}
    with publishing(home, paths, overwrite=overwrite) as drafts:
        for path, content in contents.items():
            raw = content.encode("utf-8") if isinstance(content, str) else content
            drafts[str(path)].write_bytes(raw)


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
            raise _failure(path, _named(error)) from None
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected a file name to write to.")
        if not overwrite:
            raise _exists(path)


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
            raise _failure(place, FileNotFoundError(errno.ENOENT, ""))
        output_folder(place.parent)


def check_output(
    path: str | Path, files: Iterable[str | Path] = (), *, overwrite: bool = False
) -> None:
    """See to it, before the work, that a folder can be made after it and files written there.

    Nothing is left behind, so that a run which is then refused leaves no empty folder.

    Args:
        path: of the folder.
        files: to be written into it.
        overwrite: replace existing files.

    Raises:
        InputError: as for `output_folder` and `refuse_existing`.
    """
    folder = Path(path)
    refuse_existing(files, overwrite=overwrite)
    missing = _missing(folder)
    if not missing:
        output_folder(folder)
        return
    there = missing[-1].parent
    try:
        with temporary_folder(there) as probe:
            (probe / folder.relative_to(there)).mkdir(parents=True)
    except (OSError, ValueError) as error:
        raise _failure(folder / _SOME, _named(error)) from error


def output_folder(path: str | Path) -> Path:
    """The folder for results: made if it is missing, known to take a file, and tidied.

    Raises:
        InputError: it cannot be made, is not a folder, or no file can be written into it.
    """
    folder = Path(path)
    try:
        with _gone_if_empty(_missing(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            with temporary_folder(folder) as probe:
                (probe / "probe").write_bytes(b"probe")
            tidy(folder)
    except (OSError, ValueError) as error:
        raise _failure(folder / _SOME, _named(error)) from error
    return folder


def _missing(folder: Path) -> list[Path]:
    """A folder that is not there and those of its parents that are not, itself first."""
    return list(takewhile(lambda one: not os.path.lexists(one), (folder, *folder.parents)))


@contextmanager
def _gone_if_empty(folders: Sequence[Path]) -> Iterator[None]:
    """If the block fails, take back folders that were made for it; the innermost is the first."""
    try:
        yield
    except BaseException:
        for folder in folders:
            with suppress(OSError):
                folder.rmdir()
        raise


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
            _finish(folder)


def _finish(folder: Path) -> None:
    for temporary in leftovers(folder):
        begun = Publication.unfinished(temporary, folder)
        if begun is not None:
            begun.finish()
    sweep(folder)


def _exists(path: Path) -> InputError:
    return InputError(f"{path} already exists", Remedy.OVERWRITE)


def _named(error: OSError | ValueError) -> OSError:
    """The error; a name with a null byte is a ValueError of Python's, never a disk's."""
    return error if isinstance(error, OSError) else OSError(errno.EINVAL, "not a name for a file")


def _failure(target: Path, error: OSError) -> InputError:
    if error.errno == errno.EEXIST and target.exists() and not target.is_dir():
        return _exists(target)
    return InputError(_sentence(target, error))


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
