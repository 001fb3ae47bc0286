"""ZarrStore: a zarr folder or a zip file of one, before anything in it is believed."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from aitom_cryosam.errors import InputError
from aitom_cryosam.source_file import SourceFile, SourceFiles, existing_file

METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
"""Files of which zarr 3 has the first, and zarr 2 some of the others, in every node."""
_ZIPPED = (".zarr.zip", ".ozx")
_DAMAGED = (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class ZarrStore:
    """What lies below one zarr node on this machine's disks.

    Attributes:
        path: the folder or the zip file.
        inside: folder of the node within a zip file, "" or with a slash at its end.
    """

    path: Path
    inside: str = ""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether a path is meant as zarr; it need not be a sound one."""
        name = path.name.lower()
        if os.path.isdir(path):
            return name.endswith(".zarr") or any(os.path.isfile(path / one) for one in METADATA)
        return name.endswith((".zarr", *_ZIPPED))

    @classmethod
    def open(cls, path: Path) -> ZarrStore:
        """The store of a path.

        Raises:
            InputError: there is none, or it is no zip file.
        """
        if os.path.isdir(path):
            return cls(path)
        existing_file(path)
        names = cls(path)._names
        if any(name in names for name in METADATA):
            return cls(path)
        folders = {name.split("/")[0] for name in names if "/" in name}
        if len(folders) == 1:  # as the folder itself was zipped, not what is in it
            return cls(path, f"{folders.pop()}/")
        return cls(path)

    def content(self, name: str) -> dict[str, Any] | None:
        """The JSON object of a file of metadata; None if there is no such file.

        Raises:
            InputError: it is damaged.
        """
        try:
            if self.is_zipped:
                if not self.holds(name):
                    return None
                with zipfile.ZipFile(self.path) as file:
                    text = file.read(self.inside + name)
            else:
                text = (self.path / name).read_bytes()
            content = json.loads(text)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:
            raise InputError(
                f"{self.path / name} may not be read: check its permissions."
            ) from None
        except (*_DAMAGED, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise InputError(f"{self.path / name} is damaged; expected JSON: copy it again.")
        return content

    def holds(self, name: str) -> bool:
        """Whether a file is there."""
        if self.is_zipped:
            return self.inside + name in self._names
        return os.path.isfile(self.path / name)

    def holds_all_of_blosc(self, name: str) -> bool:
        """Whether a chunk that Blosc has packed is as long as its header says.

        The codec itself reads on beyond the end of one that is cut off. Zip files have checksums.
        """
        if self.is_zipped:
            return True
        with (self.path / name).open("rb") as file:
            header = file.read(16)
            length = file.seek(0, os.SEEK_END)
        return len(header) == 16 and int.from_bytes(header[12:], "little") <= length

    def source(self, node: str) -> SourceFiles:
        """The files that change when the store, or the array at `node`, is written anew."""
        if self.is_zipped:
            return SourceFiles((SourceFile.of(self.path),))
        places = [self.path / part / name for part in ("", node) for name in METADATA]
        return SourceFiles(tuple(SourceFile.of(path) for path in places if os.path.isfile(path)))

    def array(self, node: str) -> Any:
        """The array at `node`, as the package zarr reads it.

        Raises:
            InputError: the package is not installed, or there is no array.
        """
        zarr = package()
        try:
            if self.is_zipped:
                store: Any = zarr.storage.ZipStore(str(self.path), mode="r")
                return zarr.open_array(store, path=self.inside + node, mode="r")
            return zarr.open_array(str(self.path / node), mode="r")
        except Exception:  # of any kind: zarr and its codecs raise what they like
            raise InputError(
                f"{self.path / node} is not an array that zarr {zarr.__version__} can read: it is "
                "missing or damaged, or its codec or version is not known; copy it again, or "
                "install a newer zarr."
            ) from None

    @property
    def is_zipped(self) -> bool:
        """Whether it is one file."""
        return not os.path.isdir(self.path)

    @cached_property
    def _names(self) -> frozenset[str]:
        """Of the files in a zip file."""
        try:
            with zipfile.ZipFile(self.path) as file:
                return frozenset(file.namelist())
        except PermissionError:
            raise InputError(f"{self.path} may not be read: check its permissions.") from None
        except _DAMAGED:
            raise InputError(
                f"{self.path} is neither a zarr folder nor a sound zip file of one; copy it again."
            ) from None


def package() -> ModuleType:
    """The package zarr.

    Raises:
        InputError: it is not installed.
    """
    try:
        import zarr
        import zarr.storage
    except ImportError:
        raise InputError(
            "OME-Zarr needs the package zarr, which is not installed; type: "
            "pip install 'aitom-cryosam[zarr]'."
        ) from None
    return zarr
