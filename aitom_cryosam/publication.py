"""Publication: the files of one result take their places together, or none does.

They are complete in a temporary folder before the first is moved. What they replace is kept
until the last is in its place, so that a failure puts all back. A process that is killed in
between leaves a mark: the next one that works in the folder moves the rest (see `tidying`).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitom_cryosam.interruptions import held

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

MARK = "complete.json"
_REPLACED = "replaced"
_FEW, _WAITING = 32, 16  # files, of which the disk is waited for one by one; threads for more
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_NO_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Of file systems that cannot wait, some of them for folders only."""
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass
class Publication:
    """Drafts that lie in a temporary folder, and where they go.

    Attributes:
        temporary: the folder that holds the drafts.
        folder: the folder of the results.
        moves: by the draft's path in `temporary`, the result's in `folder`.
        stale: results in `folder` that an earlier run has left and this one does not make.
        overwrite: whether the drafts replace what is there.
    """

    temporary: Path
    folder: Path
    moves: Mapping[str, str]
    stale: Sequence[str] = ()
    overwrite: bool = False
    _placed: dict[Path, Path | None] = field(default_factory=dict)

    @classmethod
    def unfinished(cls, temporary: Path, folder: Path) -> Publication | None:
        """What a killed process has begun to move, or None if it had not."""
        try:
            content: dict[str, Any] = json.loads((temporary / MARK).read_text("utf-8"))
            moves = {str(draft): str(place) for draft, place in content["moves"].items()}
            stale = [str(place) for place in content["stale"]]
            inside = [*moves, *moves.values(), *stale]
            if any(Path(path).is_absolute() or ".." in Path(path).parts for path in inside):
                return None
            return cls(temporary, folder, moves, stale, bool(content["overwrite"]))
        except _DAMAGED:
            return None

    def publish(self) -> None:
        """Move all drafts into place. The folder must be `locked`.

        Raises:
            OSError: one cannot be moved; all is then as it was before.
        """
        drafts = [self.temporary / draft for draft in self.moves]
        if len(drafts) > _FEW:  # a disk takes a thousand together, in a tenth of the time
            with ThreadPoolExecutor(_WAITING) as pool:
                list(pool.map(to_disk, drafts))
        else:
            for draft in drafts:
                to_disk(draft)
        content = {"moves": self.moves, "stale": self.stale, "overwrite": self.overwrite}
        mark = self.temporary / MARK
        mark.write_text(json.dumps(content), "utf-8")
        to_disk(mark)
        with held():
            try:
                self._move()
            except BaseException:
                self._undo()
                raise
            mark.unlink()

    def finish(self) -> None:
        """Go on where a killed process has stopped; or back, where a foreign file is in the way.

        Raises:
            OSError: neither is possible now; the next one tries again.
        """
        for draft, place in self.moves.items():
            if _moved(self.temporary / draft, self.folder / place):
                copy = self._copy(place)
                self._placed[self.folder / place] = copy if copy.exists() else None
        try:
            self._move()
        except FileExistsError:
            self._undo()

    def _move(self) -> None:
        left = {d: p for d, p in self.moves.items() if self.folder / p not in self._placed}
        if self.overwrite:
            (self.temporary / _REPLACED).mkdir(exist_ok=True)
            for place in self.stale:
                self._keep(place, gone=True)
            for draft, place in left.items():
                whole = (self.temporary / draft).is_dir() and (self.folder / place).is_dir()
                self._keep(place, gone=whole)
        for draft, place in left.items():
            self._place(self.temporary / draft, self.folder / place)
        to_disk(self.folder)

    def _copy(self, place: str) -> Path:
        """Where a file is kept that is going to be replaced."""
        return self.temporary / _REPLACED / str([*self.stale, *self.moves.values()].index(place))

    def _keep(self, name: str, *, gone: bool) -> None:
        place, copy = self.folder / name, self._copy(name)
        if os.path.lexists(place) and not os.path.lexists(copy):
            if gone:
                place.rename(copy)
            else:
                _second_name(place, copy)
        if os.path.lexists(copy):
            self._placed[place] = copy

    def _place(self, draft: Path, place: Path) -> None:
        if self.overwrite:
            draft.replace(place)
        else:
            place_exclusively(draft, place)
        self._placed.setdefault(place, None)

    def _undo(self) -> None:
        for number, (place, copy) in reversed([*enumerate(self._placed.items())]):
            with suppress(OSError):
                if place.is_dir() and not place.is_symlink():  # nothing replaces a folder
                    place.rename(self.temporary / f"undone{number}")
                if copy is None:
                    place.unlink(missing_ok=True)
                else:
                    copy.replace(place)


def _moved(draft: Path, place: Path) -> bool:
    """Whether a draft has its place already: it is gone, or has two names."""
    try:
        return os.path.samefile(draft, place)
    except OSError:
        return not draft.exists()


def _second_name(place: Path, copy: Path) -> None:
    try:
        os.link(place, copy, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(place, copy, follow_symlinks=False)
        with suppress(OSError):  # disks without links may know no owners or times either
            shutil.copystat(place, copy, follow_symlinks=False)


def place_exclusively(draft: Path, place: Path) -> None:
    """Give a file its name, unless something has that name.

    Raises:
        FileExistsError: it has.
        OSError: the name cannot be given.
    """
    try:
        os.link(draft, place)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(place):  # file systems without links: as good as it gets
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place)) from error
        draft.rename(place)
    else:
        draft.unlink()


def to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk: network disks report a full quota only here.

    Raises:
        OSError: it cannot be read, or the disk does not take it.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until no other process moves files in a folder. Where that cannot be, do not wait."""
    handle = None
    with suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)
