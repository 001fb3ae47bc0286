"""Files: complete under their names, or absent; those of one result all or none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aitom_cryosam.outputs import (
    already_there,
    gone_if_empty,
    missing_folders,
    not_written,
    output_folder,
    refuse_existing,
    refuse_existing_folder,
)
from aitom_cryosam.publication import Publication, locked, place_exclusively, to_disk
from aitom_cryosam.temporaries import temporary_folder
from aitom_cryosam.tidying import finish, settle


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
        raise not_written(target, error) from error


@contextmanager
def writing_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a folder, which takes its place when it is complete; else as `writing`.

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
                finish(target.parent)
                moves = {str(draft.relative_to(home)): target.name}
                Publication(home, target.parent, moves, overwrite=overwrite).publish()
    except FileExistsError:
        raise already_there(target) from None
    except OSError as error:
        raise not_written(target, error) from error


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
    missing = missing_folders(Path(folder))
    home = output_folder(folder)
    refuse_existing(paths.values(), overwrite=overwrite)
    try:
        with gone_if_empty(missing), temporary_folder(home) as temporary:
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
                finish(home)
                Publication(temporary, home, moves, gone, overwrite).publish()
    except OSError as error:
        first = next(iter(paths.values()))
        raise not_written(Path(error.filename2 or first), error) from error


def _in_bytes(text: str) -> bytes:
    """UTF-8; a path of other bytes, as of a folder from an old disk, keeps them."""
    return text.encode("utf-8", "surrogateescape")


def write_text(path: str | Path, text: str, *, overwrite: bool = False) -> None:
    """Write UTF-8 text with LF line ends; complete or not at all, as `writing`."""
    with writing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(_in_bytes(text))


def write_all(contents: Mapping[Path, str | bytes], *, overwrite: bool = False) -> None:
    """Write several files, text as UTF-8, as `publishing` does; their folders are made.

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
            raw = _in_bytes(content) if isinstance(content, str) else content
            drafts[str(path)].write_bytes(raw)
