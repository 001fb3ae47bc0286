"""Foreign files: what is no MRC volume, told by its first bytes, and how it becomes one."""

from __future__ import annotations

import math
import shlex
import struct
from pathlib import Path

from aitom_cryosam.file_kinds import FileKind

_EMAN = "type `e2proc3d.py {file} {mrc}`"
_CONVERT, _NAME = "convert it to MRC", "name the tomogram"
_NUMPY = (
    "type `python -c \"import mrcfile, numpy; mrcfile.write('out.mrc', "
    "numpy.load('in.npy').astype('f4'), voxel_size=ANGSTROM)\"`"
)
# What a file of a kind is called, and what turns it into a volume.
_KNOWN = {
    FileKind.HDF5: ("HDF5, as EMAN2 writes it", _EMAN),
    FileKind.TIFF: ("TIFF", "type `tif2mrc {file} {mrc}`"),
    FileKind.NUMPY: ("an array of NumPy", _NUMPY),
    FileKind.AMIRA: ("AmiraMesh", _EMAN),
    FileKind.NRRD: ("NRRD", _CONVERT),
    FileKind.NIFTI: ("NIfTI", _CONVERT),
    FileKind.PNG: ("a picture (PNG)", _NAME),
    FileKind.JPEG: ("a picture (JPEG)", _NAME),
    FileKind.MATLAB: ("of Matlab", _NAME),
    FileKind.SQLITE: ("a database (SQLite)", _NAME),
    FileKind.IMOD_MODEL: ("an IMOD model", _NAME),
    FileKind.TAR: ("a tar archive", "type `tar -xf {file}`"),
    FileKind.ZIP: ("a zip archive", "type `unzip {file}`"),
    FileKind.GZIP: ("packed twice, by gzip", "unpack it once"),
    FileKind.BZIP2: ("packed twice, by bzip2", "unpack it once"),
    FileKind.XZ: ("packed by xz", "type `xz -dk {file}`"),
    FileKind.ZSTD: ("packed by zstd", "type `zstd -d {file}`"),
    FileKind.GIT_LFS: ("a pointer of Git LFS", "type `git lfs pull`"),
    FileKind.WEB_PAGE: ("a web page", "download the volume again, and see what the page says"),
}
_ATOMS = ("an atomic model", "make a density of it, as by `molmap` of ChimeraX, and name that")
_GATAN = ("of Gatan's (DM3, DM4)", "type `dm2mrc {file} {mrc}`")
_EM_BYTES = {1: 1, 2: 2, 4: 4, 5: 4, 8: 8, 9: 8}
_EM_HEADER = 512


def told(path: Path, start: bytes) -> str | None:
    """What a file is, and what to do, for `… is not an MRC file: it is`; None if it may be MRC.

    Args:
        path: of the file.
        start: its first bytes, unpacked, 1024 if there are as many.
    """
    kind = FileKind.of(start)
    found = kind and _KNOWN[kind]
    if found is None and _is_em(path, start):
        found = ("an EM volume, as TOM and Dynamo write it", _EMAN)
    if found is None and _is_gatan(start):
        found = _GATAN
    if found is None and _is_spider(path, start):
        found = ("a SPIDER volume", _EMAN)
    if found is None and _is_text(start):
        found = _ATOMS if path.suffix.lower() in (".pdb", ".ent", ".cif") else ("text", _NAME)
    if found is None:
        return None
    what, remedy = found
    names = {"file": shlex.quote(str(path)), "mrc": shlex.quote(f"{path.stem}.mrc")}
    return f"{what}; {remedy.format(**names)}"


def _is_em(path: Path, start: bytes) -> bool:
    """By the length that machine, type and sizes in its header give it."""
    if len(start) < _EM_HEADER or not 1 <= start[0] <= 6:
        return False
    sizes = struct.unpack_from("<3i" if start[0] == 6 else ">3i", start, 4)
    itemsize = _EM_BYTES.get(start[3], 0)
    return path.stat().st_size == _EM_HEADER + math.prod(sizes) * itemsize > _EM_HEADER


def _is_gatan(start: bytes) -> bool:
    """By its version, the length of the file in 4 or 8 bytes, and the order of bytes."""
    version, order = start[:4], start[8:12] if start[3:4] == b"\3" else start[12:16]
    return version in (b"\0\0\0\3", b"\0\0\0\4") and order in (b"\0\0\0\0", b"\0\0\0\1")


def _is_spider(path: Path, start: bytes) -> bool:
    """By the length that the sizes in its header give it; 3 stands for a volume."""
    for order in "<>" if len(start) >= 92 else "":
        words = struct.unpack_from(f"{order}23f", start)
        d, h, form, w, header = (words[place] for place in (0, 1, 4, 11, 21))
        if form == 3 and min(d, h, w) >= 1 and path.stat().st_size == header + 4 * d * h * w:
            return True
    return False


def _is_text(start: bytes) -> bool:
    return start.isascii() and not any(byte < 9 or 13 < byte < 32 for byte in start) and bool(start)
