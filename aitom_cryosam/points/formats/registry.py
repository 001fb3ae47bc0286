"""Formats: every kind of coordinate file, under the name that `--to` and `--from` take."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.file_kinds import FileKind
from aitom_cryosam.names import tomogram_root
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats import (
    aitom,
    cbox,
    cmm,
    copick,
    dynamo,
    eman,
    imod,
    motl,
    numbers,
    portal,
    relion_warp,
    star_points,
    stopgap,
    text,
)
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.star_syntax import begins_block
from aitom_cryosam.points.table import Table, Unit, json_of
from aitom_cryosam.points.tomogram_info import TomogramInfo, TomogramPicks

Writer = Callable[[Sequence[TomogramPicks], Particle], str | bytes]
Reader = Callable[[Path], Table]
_WHOLE = 0.01  # voxels; nearer to a whole number is whole


@dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of coordinate file.

    Attributes:
        about: in a few words.
        ending: of its files.
        write: the content of a file of these groups (one group, unless `names`).
        read: the points of a file.
        names: whether one file holds several tomograms and says which.
        scores: whether it holds them.
        rotations: whether it holds them.
        classes: whether it holds them.
        columns: whether it holds those of other programs (`Picks.extra`).
        by_object: whether a file is of one object, so that each class has one of its own.
        whole: whether it holds whole voxels only.
        lengths: whether it counts Å or pixels of the tilt series, and not voxels.
        posed: whether the poses of oriented points have the fractions of voxels then.
        place: the natural file of one tomogram within a folder of results.
        beside: further files, by their ending.
    """

    about: str
    ending: str
    write: Writer
    read: Reader
    names: bool = False
    scores: bool = True
    rotations: bool = False
    classes: bool = False
    columns: bool = False
    by_object: bool = False
    whole: bool = False
    lengths: bool = False
    posed: bool = False
    place: Callable[[TomogramInfo, Particle], str] | None = None
    beside: dict[str, Writer] = field(default_factory=dict)

    def lost(self, picks: Picks) -> list[str]:
        """What of the picks its files do not hold, in words."""
        held = [
            ("fractions of voxels", self._holds_fractions(picks)),
            ("scores", self.scores or not np.isfinite(picks.scores).any()),
            ("probabilities", self.columns or picks.probabilities is None),
            ("rotations", self.rotations or picks.rotations is None),
            ("classes", self.classes or picks.classes is None),
            ("further columns of the STAR file", self.columns or not picks.extra),
        ]
        return [what for what, fine in held if not fine]

    def _holds_fractions(self, picks: Picks) -> bool:
        if not self.whole or (self.posed and picks.rotations is not None):
            return True
        return bool(np.allclose(picks.points_zyx, np.round(picks.points_zyx), rtol=0, atol=_WHOLE))

    def file_name(self, info: TomogramInfo, particle: Particle) -> str:
        """Where the points of one tomogram go within a folder."""
        if self.place:
            return self.place(info, particle)
        return f"{tomogram_root(info.name)}_cryosam{self.ending}"


def _plain(write: Callable[[Sequence[TomogramPicks]], str | bytes]) -> Writer:
    """A writer that has no use for the particle."""
    return lambda groups, particle: write(groups)


def _flavour(name: str) -> Writer:
    return _plain(partial(relion_warp.particles, name))


def _warp_place(info: TomogramInfo, particle: Particle) -> str:
    voxel_size = info.known_voxel_size("A file name for Warp")
    return f"{tomogram_root(info.name)}_{voxel_size:.2f}Apx_cryosam.star"


def _eman_place(info: TomogramInfo, particle: Particle) -> str:
    return f"info/{tomogram_root(info.name)}_info.json"


FORMATS: dict[str, Format] = {
    "relion5": Format(
        about="RELION 5: Å from the centre of the unbinned tomogram",
        ending=".star",
        lengths=True,
        write=_flavour("relion5"),
        read=partial(star_points.read, unit=Unit.CENTRED_ANGSTROM),
        rotations=True,
        classes=True,
        columns=True,
        names=True,
    ),
    "relion4": Format(
        about="RELION 4: pixels of the tilt series",
        ending=".star",
        lengths=True,
        write=_flavour("relion4"),
        read=partial(star_points.read, unit=Unit.PIXEL),
        rotations=True,
        classes=True,
        columns=True,
        names=True,
    ),
    "relion31": Format(
        about="RELION 3.1: whole voxels",
        ending=".star",
        write=_flavour("relion31"),
        read=partial(star_points.read, unit=Unit.VOXEL),
        rotations=True,
        classes=True,
        columns=True,
        scores=False,
        whole=True,
    ),
    "warp": Format(
        about="Warp, WarpTools, M: voxels",
        ending=".star",
        write=_flavour("warp"),
        read=partial(star_points.read, unit=Unit.VOXEL),
        rotations=True,
        classes=True,
        columns=True,
        names=True,
        place=_warp_place,
    ),
    "imod": Format(
        about="IMOD's point2model: object contour x y z",
        ending=".txt",
        write=_plain(imod.text),
        read=imod.read_text,
        scores=False,
    ),
    "imod-model": Format(
        about="IMOD: a binary model, through imodmodel",
        ending=".mod",
        write=imod.model,
        read=imod.read_model,
        scores=False,
    ),
    "dynamo": Format(
        about="Dynamo: a table, and the .doc that names its tomograms",
        ending=".tbl",
        write=_plain(dynamo.table),
        read=dynamo.read,
        rotations=True,
        classes=True,
        names=True,
        beside={".doc": _plain(numbers.doc)},
    ),
    "motl": Format(
        about="TOM, AV3, Artiatomi, novaSTA: a motive list, and the .doc that names its tomograms",
        ending=".em",
        write=_plain(motl.content),
        read=motl.read,
        rotations=True,
        classes=True,
        names=True,
        beside={".doc": _plain(numbers.doc)},
    ),
    "stopgap": Format(
        about="STOPGAP: a motive list, and the .doc that names its tomograms",
        ending=".star",
        write=_plain(stopgap.text),
        read=stopgap.read,
        rotations=True,
        classes=True,
        names=True,
        beside={".doc": _plain(numbers.doc)},
    ),
    "copick": Format(
        about="copick: JSON in its folders, Å",
        ending=".json",
        lengths=True,
        write=copick.text,
        read=copick.read,
        rotations=True,
        by_object=True,
        place=copick.place,
    ),
    "portal": Format(
        about="CryoET Data Portal: ndjson, voxels",
        ending=".ndjson",
        write=_plain(portal.text),
        read=portal.read,
        rotations=True,
        scores=False,
    ),
    "cmm": Format(
        about="ChimeraX: markers, Å",
        ending=".cmm",
        lengths=True,
        write=cmm.text,
        read=cmm.read,
        classes=True,
    ),
    "cbox": Format(about="crYOLO: boxes", ending=".cbox", write=cbox.text, read=cbox.read),
    "coords": Format(
        about="x y z in voxels, one point a line",
        ending=".coords",
        write=_plain(text.coords),
        read=text.read,
        scores=False,
    ),
    "eman2": Format(
        about="EMAN2: boxes_3d in JSON",
        ending=".json",
        lengths=True,
        write=eman.text,
        read=eman.read,
        classes=True,
        place=_eman_place,
    ),
    "aitom": Format(
        about="AITom: whole voxels and poses in JSON, and its records as a pickle",
        ending=".json",
        write=_plain(aitom.text),
        read=aitom.read,
        rotations=True,
        whole=True,
        posed=True,
        beside={".pickle": _plain(aitom.pickled)},
    ),
}

_BY_ENDING: dict[str, Reader] = {
    ".star": star_points.read,
    ".cbox": cbox.read,
    ".cmm": cmm.read,
    ".box": cbox.refuse,
    ".mod": imod.read_model,
    ".tbl": dynamo.read,
    ".em": motl.read,
    ".ndjson": portal.read,
    ".jsonl": portal.read,
    ".pickle": aitom.read_pickle,
    ".pkl": aitom.read_pickle,
    ".csv": text.read,
    ".tsv": text.read,
    ".coords": text.read,
}

_COLUMNS = "write its points as text with the columns x,y,z"
# What a file that is not read has near its beginning, or is; what it is called; what to do.
_FOREIGN_TEXT = {
    b"location/center_x_frac": ("particles of CryoSPARC", "they are of images and have no z"),
    b"<ParticleList": (
        "a particle list of PyTom",
        f"take X, Y, Z of PickPosition: {_COLUMNS}",
    ),
    b"<objlist": (
        "an object list of DeepFinder",
        f"take x, y, z of object, which count voxels: {_COLUMNS}",
    ),
    b"# imod ascii file": ("an IMOD model as text", "name the model itself, or type `model2point`"),
    b"<Species": ("a species of M", "name its file of particles, or those it was made of"),
    b"#LSX": ("a list of images of EMAN2", "name the JSON of the tomogram in the folder info"),
    b"# Markups fiducial file": (
        "of 3D Slicer, which counts mm",
        f"take voxels: {_COLUMNS}",
    ),
}
_FOREIGN = {
    FileKind.NUMPY: ("an array of NumPy", _COLUMNS),
    FileKind.MATLAB: ("of Matlab", f"{_COLUMNS}, by writematrix, or as a .tbl by dwrite"),
    FileKind.SQLITE: ("a database, as of Scipion", f"export the coordinates, or {_COLUMNS}"),
    FileKind.HDF5: ("HDF5", _COLUMNS),
    FileKind.AMIRA: ("of Amira", _COLUMNS),
    FileKind.ZIP: ("a spreadsheet or an archive", "save the table as csv, or unpack it"),
    **dict.fromkeys(
        (FileKind.GZIP, FileKind.BZIP2, FileKind.XZ, FileKind.ZSTD, FileKind.TAR),
        ("packed", "unpack it"),
    ),
    FileKind.GIT_LFS: ("a pointer of Git LFS", "type `git lfs pull`"),
    FileKind.WEB_PAGE: ("a web page", "download the file itself, and see what the page says"),
}

_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
# Endings of files that name others, and what to name instead.
_LISTS = {
    ".vll": "a list of volumes of Dynamo; name its table, .tbl",
    ".doc": "a list of tomograms; name the table, .tbl, or the motive list beside it",
    ".tloc": "a list of candidates of TomoTwin; name the .cbox or .coords of tomotwin_pick",
    ".prm": "a project of PEET; name the models in its fnModParticle",
}
# Endings of files whose points are none of a tomogram.
_NO_POINTS = {
    ".fid": "a model of beads in the images of a tilt series; name a model of the tomogram",
    ".seed": "a model of beads in an image of a tilt series; name a model of the tomogram",
}
# Keys of JSON that is about points, and has none: what it is, what to do.
_FOREIGN_JSON = {
    "pickable_objects": (
        "the configuration of a copick project",
        "name a file of picks, ExperimentRuns/RUN/Picks/*.json below one of its roots, or such a "
        "root where a folder of truths is taken",
    ),
    "annotation_object": (
        "what the CryoET Data Portal says about an annotation",
        "name the .ndjson file beside it",
    ),
    "versions": ("the record of a run", "name the file *_picks.star beside it"),
}


def known_format(name: str) -> Format:
    """The format of a name.

    Raises:
        InputError: there is none; the known ones are listed.
    """
    if name not in FORMATS:
        raise InputError(f"Expected a format of {', '.join(FORMATS)}, got {name!r}.")
    return FORMATS[name]


def endings() -> set[str]:
    """Of all files of points."""
    return {kind.ending for kind in FORMATS.values()} | set(_BY_ENDING)


def reader(path: Path, name: str | None = None) -> Reader:
    """What reads a file: by the format's name, else by ending and content.

    Raises:
        InputError: no such format, or the content says nothing.
    """
    ending = path.suffix.lower()
    if name is not None:
        by_name = known_format(name).read
        return _BY_ENDING[ending] if ending in (".pickle", ".pkl") else by_name
    if ending in _NO_POINTS:
        raise InputError(f"{path} is {_NO_POINTS[ending]}.")
    head = path.read_bytes()[:65536]
    if head[208:212] == b"MAP ":
        raise InputError(
            f"{path} is an MRC volume; expected a file of points: of labels, give a table of their "
            "centroids, such as scikit-image's regionprops_table makes."
        )
    kind = FileKind.of(head)
    if kind is FileKind.IMOD_MODEL:
        return imod.read_model
    marked = (known for mark, known in _FOREIGN_TEXT.items() if mark in head[:4096])
    if foreign := next(marked, kind and _FOREIGN.get(kind)):
        what, remedy = foreign
        raise InputError(f"{path} is {what}; {remedy}.")
    head = _in_lines(head)
    if stopgap.recognises(head):
        return stopgap.read
    if ending == ".star" and re.search(rb"^data_cryolo\s*$", head, re.M):
        return cbox.read
    if ending in _BY_ENDING:
        return _BY_ENDING[ending]
    if ending in _LISTS:
        raise InputError(f"{path} is {_LISTS[ending]}.")
    if portal.recognises(head):
        return portal.read
    if ending == ".json" or head.lstrip()[:1] in (b"{", b"["):
        return _json_reader(path)
    if head.startswith(_PICKLES):
        return aitom.read_pickle
    if cmm.recognises(head):
        return cmm.read
    if head.lstrip().startswith(b"<"):
        raise InputError(f"{path} is XML that is not read; {_COLUMNS}.")
    if begins_block(head):
        return star_points.read
    return _text_reader(path)


def _in_lines(head: bytes) -> bytes:
    """The beginning of a text as Linux would have it: UTF-8 without a mark, LF line ends."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "ignore").encode()
    return head.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _json_reader(path: Path) -> Reader:
    content = json_of(path)
    if isinstance(content, list):
        return aitom.read
    keys = content if isinstance(content, dict) else {}
    for key, found in (("boxes_3d", eman.read), ("pickable_object_name", copick.read)):
        if key in keys:
            return found
    for key, (what, remedy) in _FOREIGN_JSON.items():
        if key in keys:
            raise InputError(f"{path} is {what}; {remedy}.")
    raise InputError(
        f"{path} has no points; expected JSON of copick, EMAN2 or AITom: {_COLUMNS} instead."
    )


def _text_reader(path: Path) -> Reader:
    """IMOD's five columns (the first two of them whole numbers), or columns by their names."""
    first = next(iter(text.cells(path)), [])
    if len(first) == 5 and all(cell.isdigit() for cell in first[:2]):
        return imod.read_text
    return text.read
