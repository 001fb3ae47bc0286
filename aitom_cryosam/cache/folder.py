"""Cache: features and embeddings on disk, for later runs on the same tomogram.

An entry is a folder KIND-HASH whose name is the hash of its signature: the tomogram's content,
and everything else that the entry depends on. It is filled under another name and renamed, so
that it is complete whenever it is there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from aitom_cryosam.cache.embedding_files import EmbeddingFiles
from aitom_cryosam.errors import InputError
from aitom_cryosam.publication import to_disk
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.signatures import flat
from aitom_cryosam.source_file import existing_file, sha256_of
from aitom_cryosam.temporaries import sweep, temporary_folder
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.versions import DISTRIBUTION, version_of

logger = logging.getLogger(__name__)

Kind = Literal["features", "embeddings"]
T = TypeVar("T")

_FORMAT = 2  # of the files in an entry
_DAMAGED = (OSError, EOFError, ValueError)
_MALFORMED = (*_DAMAGED, KeyError, TypeError, AttributeError, RecursionError)
_NAME = re.compile(r"(\.)?(features|embeddings)-[0-9a-f]{16}(?(1)-[0-9a-f]{32})")
_SIGNATURE = "signature.json"
_UNFINISHED_DAYS = 1.0  # younger ones may be somebody's who is still at work


@dataclass(frozen=True)
class Entry:
    """What lies in a cache under one name.

    Attributes:
        path: its folder.
        tomogram: the name of the tomogram, or "?".
        signature: all that it depends on; empty if that cannot be read.
        checksums: sha256 of its files, by name.
    """

    path: Path
    tomogram: str
    signature: dict[str, Any]
    checksums: dict[str, str]

    @classmethod
    def open(cls, path: Path) -> Entry:
        """Whatever state it is in."""
        try:
            content = json.loads(existing_file(path / _SIGNATURE).read_text("utf-8"))
            signature = dict(content["signature"])
            flat(signature)
            checksums = {str(name): str(sum) for name, sum in content["sha256"].items()}
            return cls(path, str(content["tomogram"]), signature, checksums)
        except (*_MALFORMED, InputError):
            return cls(path, "?", {}, {})

    @property
    def name(self) -> str:
        """As the user types it."""
        return self.path.name

    @property
    def kind(self) -> str:
        """What it holds: features or embeddings."""
        return self.name.lstrip(".").partition("-")[0]

    @cached_property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(_stat(path)[0] for path in self.path.glob("*"))

    @cached_property
    def modified(self) -> float:
        """Seconds since the epoch: when one of its files was last written."""
        return max(_stat(path)[1] for path in (self.path, *self.path.glob("*")))

    @property
    def age(self) -> float:
        """Days since then; 0 where the clock of the disk's machine is ahead."""
        return max(time.time() - self.modified, 0.0) / 86400

    def check(self) -> None:
        """Compare its files with their checksums.

        Raises:
            OSError, ValueError: one is missing, or has not the content that was written.
        """
        for name, checksum in self.checksums.items():
            if sha256_of(self.path / Path(name).name) != checksum:
                raise ValueError(f"{name} has not the content that was written")

    @property
    def problem(self) -> str | None:
        """Why this version of the package does not use it."""
        if self.name.startswith("."):
            return "unfinished"
        if not self.signature:
            return "damaged"
        wanted = _versions()
        if {key: self.signature.get(key) for key in wanted} != wanted:
            return f"written by version {self.signature.get('version')}"
        return None


class Cache:
    """A folder with entries. Nothing is made in it before the first entry is.

    Args:
        folder: it may be missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def entries(self) -> list[Entry]:
        """All entries, whatever state they are in, by name; nothing else that lies there."""
        if not os.path.isdir(self.folder):
            return []
        paths = sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))
        return [Entry.open(path) for path in paths]

    def remove(self, entry: Entry) -> bool:
        """Remove an entry; not one that another process may still be making.

        Returns:
            Whether it is gone.

        Raises:
            OSError: it cannot be removed.
        """
        if entry.problem == "unfinished" and entry.age < _UNFINISHED_DAYS:
            return False
        _remove(entry.path)
        return True

    def load(
        self,
        kind: Kind,
        tomogram: Tomogram,
        settings: Mapping[str, Any],
        *,
        make: Callable[[Path], object],
        read: Callable[[Path], T],
    ) -> T:
        """What an entry holds; it is made if it is missing or damaged.

        Several processes may make the same entry at once; the first one's stays.

        Args:
            kind: of the entry.
            tomogram: that it belongs to.
            settings: all that it depends on beside the tomogram, JSON values.
            make: writes its files into an empty folder.
            read: reads them; a `ValueError`, `EOFError` or `OSError` means that they are damaged.

        Raises:
            InputError: the folder cannot be written to, and the entry is not there.
        """
        signature = _signature(tomogram, settings)
        path = self.folder / _entry_name(kind, signature)
        if os.path.lexists(path):
            try:
                result = self._checked(path, signature, read)
            except _DAMAGED as error:
                logger.warning("%s is damaged and is made again: %s", path, error)
            else:
                logger.info("%s of %s: from the cache.", kind.capitalize(), tomogram.name)
                return result
            with suppress(OSError):
                _remove(path)
        else:
            logger.info("%s", self._why_missing(kind, tomogram, signature))
        with _made(path, tomogram, signature) as folder:
            make(folder)
        return read(path)

    def embeddings(self, tomogram: Tomogram, signature: Mapping[str, Any]) -> EmbeddingFiles:
        """The store for the planes of a tomogram.

        Args:
            tomogram: whose planes are embedded.
            signature: all that the segmenter's embeddings of a plane depend on, JSON values.

        Raises:
            InputError: the folder cannot be written to, and the store is not there.
        """
        settings = {"segmenter": signature}
        return self.load("embeddings", tomogram, settings, make=lambda _: None, read=EmbeddingFiles)

    def _checked(self, path: Path, signature: dict[str, Any], read: Callable[[Path], T]) -> T:
        """What an entry holds, if it is what its signature says."""
        entry = Entry.open(path)
        if entry.signature != signature:
            raise ValueError("its signature is another one, or cannot be read")
        entry.check()
        return read(path)

    def _why_missing(self, kind: Kind, tomogram: Tomogram, signature: dict[str, Any]) -> str:
        """Compared with the entry of the same tomogram that differs least."""
        wanted = flat(signature)
        differences = []
        for entry in self.entries():
            same = entry.tomogram == tomogram.name or entry.signature.get("data") == wanted["data"]
            if same and entry.kind == kind and entry.problem != "unfinished":
                found = flat(entry.signature)
                keys = sorted(found.keys() | wanted.keys())
                differing = [key for key in keys if found.get(key) != wanted.get(key)]
                texts = [
                    f"{key} (found {_short(found.get(key))}, wanted {_short(wanted.get(key))})"
                    for key in differing
                ]
                differences.append((len(texts), f"{entry.name} differs in {', '.join(texts)}"))
        why = min(differences)[1] if differences else "nothing of this tomogram is in the cache"
        return f"{kind.capitalize()} of {tomogram.name} are computed: {why}."


@contextmanager
def _made(path: Path, tomogram: Tomogram, signature: dict[str, Any]) -> Iterator[Path]:
    """A folder to be filled, which then takes its name unless another one has it by then."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        with temporary_folder(path.parent) as temporary:
            folder = temporary / path.name
            folder.mkdir()
            yield folder
            content = {
                "tomogram": tomogram.name,
                "signature": signature,
                "sha256": {file.name: sha256_of(file) for file in sorted(folder.iterdir())},
            }
            (folder / _SIGNATURE).write_text(json.dumps(content, indent=1) + "\n", "utf-8")
            for file in folder.iterdir():  # a power cut must not leave a complete name with holes
                to_disk(file)
            folder.rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not os.path.isdir(path):
            raise InputError(
                f"Cannot write to the cache {path.parent} ({error.strerror})", Remedy.CACHE
            ) from error
        logger.info("Another process was faster; %s is taken from it.", path.name)


def _remove(path: Path) -> None:
    """A folder, or what else lies there under the name of an entry; links are not followed."""
    if os.path.isdir(path) and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _signature(tomogram: Tomogram, settings: Mapping[str, Any]) -> dict[str, Any]:
    signature = {
        "data": tomogram.digest(),
        "contrast": tomogram.contrast,
        **settings,
        **_versions(),
    }
    result: dict[str, Any] = json.loads(json.dumps(signature))  # as it will be read
    return result


def _versions() -> dict[str, Any]:
    return {"version": version_of(DISTRIBUTION), "format": _FORMAT}


def _entry_name(kind: Kind, signature: dict[str, Any]) -> str:
    text = json.dumps(signature, sort_keys=True)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 20 else f"{text[:12]}…"


def _stat(path: Path) -> tuple[int, float]:
    """Size and time; 0 for what has just been removed."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0.0
    return status.st_size, status.st_mtime
