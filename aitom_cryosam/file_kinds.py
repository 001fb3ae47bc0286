"""FileKind: what a file is by its first bytes, where something else was expected."""

from __future__ import annotations

from enum import Enum


class FileKind(Enum):
    """Where in a file of a kind stand which bytes; of several marks one will do."""

    HDF5 = (0, b"\x89HDF\r\n\x1a\n")
    NUMPY = (0, b"\x93NUMPY")
    MATLAB = (0, b"MATLAB ")
    SQLITE = (0, b"SQLite format 3\0")
    TIFF = (0, b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    PNG = (0, b"\x89PNG")
    JPEG = (0, b"\xff\xd8\xff")
    AMIRA = (0, b"# AmiraMesh", b"# Avizo")
    NRRD = (0, b"NRRD")
    NIFTI = (344, b"n+1\0")
    IMOD_MODEL = (0, b"IMODV")
    TAR = (257, b"ustar")
    ZIP = (0, b"PK\3\4")
    GZIP = (0, b"\x1f\x8b")
    BZIP2 = (0, b"BZh")
    XZ = (0, b"\xfd7zXZ\0")
    ZSTD = (0, b"\x28\xb5\x2f\xfd")
    GIT_LFS = (0, b"version https://git-lfs")
    WEB_PAGE = (0, b"<!doctype html", b"<html")  # in letters of any size, behind blanks

    @classmethod
    def of(cls, start: bytes) -> FileKind | None:
        """The kind of a file with this beginning; None if it is none of these.

        Args:
            start: its first bytes, unpacked; 512 are enough.
        """
        for kind in cls:
            offset, *marks = kind.value
            if start.startswith(tuple(marks), offset):
                return kind
        page = start[:64].lstrip().lower().startswith(cls.WEB_PAGE.value[1:])
        return cls.WEB_PAGE if page else None
