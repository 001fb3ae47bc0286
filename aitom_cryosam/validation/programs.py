"""Programs: what each of them does with a file of points, by the code of its own reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aitom_cryosam.geometry import SAME_SIZE
from aitom_cryosam.points.formats import stopgap
from aitom_cryosam.points.star_syntax import Block
from aitom_cryosam.points.table import ANGLES, CENTRED, NAMES, PIXELS
from aitom_cryosam.wording import plural

LISTED = ("rlnTomoName", "rlnTomoImportParticleFile")


@dataclass(frozen=True)
class Verdict:
    """What a program does with a file.

    Attributes:
        program: its name.
        reads: whether it takes anything from it.
        text: in a few words.
    """

    program: str
    reads: bool
    text: str


@dataclass(frozen=True)
class StarPoints:
    """A STAR file as these programs see it.

    Attributes:
        blocks: all of them, in order.
        unit: Å that one pixel of `rlnCoordinateX` counts, or None if unknown.
        pixel_size: Å, of the tilt series, or None if unknown.
    """

    blocks: Sequence[Block]
    unit: float | None = None
    pixel_size: float | None = None


class _Refused(Exception):
    """Why a program takes nothing."""


def of_star(points: StarPoints) -> tuple[Verdict, ...]:
    """What the programs that read STAR files do with one."""
    return tuple(_verdict(name, takes, points) for name, takes in _STAR_PROGRAMS.items())


def of_format(name: str, n: int) -> tuple[Verdict, ...]:
    """What is done with n points in a format of `registry.FORMATS` that is no STAR file."""
    return tuple(
        Verdict(program, reads, text.format(n=plural(n, "point")))
        for program, reads, text in _OTHERS.get(name, ())
    )


def of_stopgap(text: str, n: int) -> tuple[Verdict, ...]:
    """What STOPGAP does with a motive list of n points, as a STAR file's text.

    It takes the rest of a line that begins with `_` as a label, and knows no others than its own.
    """
    lines = (line.strip() for line in text.splitlines())
    labels = [line[1:] for line in lines if line.startswith("_")]
    unknown = [label for label in labels if label not in stopgap.LABELS]
    missing = [label for label in stopgap.LABELS if label not in labels]
    if unknown:
        said = f"refuses: it knows no label '{unknown[0]}'"
        return (Verdict("STOPGAP", False, said + "; it takes no numbers" * ("#" in unknown[0])),)
    if missing:
        return (Verdict("STOPGAP", False, f"refuses: no {', '.join(missing)}"),)
    said = f"reads {plural(n, 'point')}, voxels from 1, of the tomograms in tomo_num"
    return (Verdict("STOPGAP", True, said),)


def is_tomostar(name: str) -> bool:
    """Whether Warp may know a tilt series by it: a file name of its own, without folder."""
    return re.fullmatch(r"[^\\/]+\.tomostar", name) is not None


def _verdict(name: str, takes: Callable[[StarPoints], str], points: StarPoints) -> Verdict:
    try:
        return Verdict(name, True, takes(points))
    except _Refused as reason:
        return Verdict(name, False, f"refuses: {reason}")


def _extract(points: StarPoints) -> str:
    """RELION 5 looks for the block by its name; centred columns go before pixels."""
    found = [block for block in points.blocks if block.name == "particles"]
    if not found:
        has = ", ".join(f"data_{block.name}" for block in points.blocks[:3]) or "none"
        raise _Refused(f"no block data_particles, but {has}")
    block = found[0]
    centred = block.has(CENTRED)
    if not centred:
        _need(block, PIXELS)
    _need(block, NAMES[:1])
    if centred:
        return f"reads {_what(block, NAMES[0])} in Å from the centre"
    return f"reads {_what(block, NAMES[0])} in pixels of the tilt series{_too_near(points)}"


def _import5(points: StarPoints) -> str:
    """RELION 5's Import Coordinates takes a list of files (relion#1287)."""
    for block in points.blocks[:1]:
        if block.has(LISTED):
            return f"reads a list of {plural(len(block.rows), 'file')}"
    raise _Refused(f"no {LISTED[1]}: it wants a list of files (relion#1287)")


def _import4(points: StarPoints) -> str:
    """RELION 4 reads the first block, whatever its name."""
    block = _first(points)
    if block.has(LISTED):
        return f"reads a list of {plural(len(block.rows), 'file')}"
    _need(block, PIXELS)
    _need(block, NAMES[:1])
    return f"reads {_what(block, NAMES[0])} in pixels of the tilt series{_too_near(points)}"


def _beside(points: StarPoints) -> str:
    """RELION 3.1 reads the first block beside each tomogram, and truncates."""
    block = _first(points)
    _need(block, PIXELS)
    values = [value for label in PIXELS for value in block.column(label)]
    cut = any(value.rpartition(".")[2].strip("0") for value in values if "." in value)
    name = next((label for label in NAMES if label in block.labels), None)
    several = name is not None and len(set(block.column(name))) > 1
    text = f"reads {plural(len(block.rows), 'particle')} in voxels of the tomogram beside it"
    return text + (", fractions cut off" if cut else "") + (", all as of one" if several else "")


def _warptools(points: StarPoints) -> str:
    """WarpTools joins optics and particles, or takes the first block; names are exact."""
    block, optics = _warp_block(points)
    name = _warp_names(block)
    known = sum(map(is_tomostar, block.column(name)))
    if block.rows and not known:
        raise _Refused(f"no {name} is like TS_01.tomostar, a file name without folder")
    shifted = any(f"rlnOrigin{axis}Angst" in block.labels for axis in "XYZ")
    plain = any(f"rlnOrigin{axis}" in block.labels for axis in "XYZ")
    sizes = {"rlnPixelSize", "rlnImagePixelSize"} & {*block.labels, *optics}
    if shifted and not plain and not sizes:
        raise _Refused("shifts in Å without rlnImagePixelSize")
    lost = len(block.rows) - known
    return f"reads {_what(block, name)} with --coords_angpix {_angpix(points)}" + (
        f"; {lost} of them without a name like TS_01.tomostar are lost" if lost else ""
    )


def _m(points: StarPoints) -> str:
    """M matches names without folder and needs orientations."""
    block, _ = _warp_block(points)
    name = _warp_names(block)
    _need(block, ANGLES)
    return f"reads {_what(block, name)}, by file name, with --angpix_coords {_angpix(points)}"


_STAR_PROGRAMS: dict[str, Callable[[StarPoints], str]] = {
    "RELION 5 Extract": _extract,
    "RELION 5 Import Coordinates": _import5,
    "RELION 4 import_particles": _import4,
    "RELION 3.1": _beside,
    "WarpTools ts_export_particles": _warptools,
    "M create_species": _m,
}

_FIVE = "RELION 5 Import Coordinates"
_OTHERS: dict[str, tuple[tuple[str, bool, str], ...]] = {
    "imod": (
        ("IMOD point2model", True, "reads {n}, half a voxel from the corner in x and y"),
        (_FIVE, False, "takes object, contour, x for x, y, z; expected relion5 or coords"),
    ),
    "imod-model": (("IMOD 3dmod", True, "shows {n}, half a voxel from the corner in x and y"),),
    "dynamo": (("Dynamo", True, "reads {n} (columns 24 to 26) of the tomograms in column 20"),),
    "motl": (
        ("TOM, AV3, novaSTA", True, "read {n}, voxels from 1, of the tomograms in row 5"),
        ("ArtiaX", True, "shows {n}, all as of one tomogram, with its voxel size as scale"),
    ),
    "copick": (("copick", True, "reads {n} in Å from the corner"),),
    "portal": (("CryoET Data Portal", True, "reads {n} in voxels"),),
    "cmm": (("ChimeraX", True, "shows {n} in Å, on a map that its header places"),),
    "cbox": (("crYOLO", True, "shows {n} as boxes"),),
    "coords": (
        (_FIVE, True, "reads {n} named by a list, times the binning as scale factor"),
        ("IMOD point2model", True, "reads {n} half a voxel off in x and y; expected imod"),
    ),
    "eman2": (("EMAN2", True, "shows {n} as boxes, from info/ beside the tomogram"),),
    "aitom": (("AITom", True, "reads {n} in voxels of the transposed volume"),),
}


def _first(points: StarPoints) -> Block:
    if not points.blocks:
        raise _Refused("no block")
    return points.blocks[0]


def _need(block: Block, labels: Sequence[str]) -> None:
    missing = [label for label in labels if label not in block.labels]
    if missing:
        what = "rlnCoordinateX, Y, Z" if missing == list(PIXELS) else ", ".join(missing)
        raise _Refused(f"no {what} in data_{block.name}")
    if not block.rows:
        raise _Refused(f"no particles in data_{block.name}")


def _warp_block(points: StarPoints) -> tuple[Block, Sequence[str]]:
    """Where Warp looks for particles, and the labels that it adds from the optics."""
    named = {block.name: block for block in reversed(points.blocks)}
    if {"optics", "particles"} <= set(named):
        block, optics = named["particles"], named["optics"].labels
    else:
        block, optics = _first(points), []
    if block.has(CENTRED) and not block.has(PIXELS):
        raise _Refused(f"it does not read {CENTRED[0]} (warp#288)")
    _need(block, PIXELS)
    return block, optics


def _warp_names(block: Block) -> str:
    for label in reversed(NAMES):
        if label in block.labels:
            return label
    raise _Refused(f"no {NAMES[1]} in data_{block.name}")


def _what(block: Block, name: str) -> str:
    particles = plural(len(block.rows), "particle")
    return f"{particles} of {plural(len(set(block.column(name))), 'tomogram')}"


def _angpix(points: StarPoints) -> str:
    return f"{points.unit:g}" if points.unit else "ANGSTROM (their voxel size)"


def _too_near(points: StarPoints) -> str:
    """RELION does not know of binning: voxels lie that many times too near to the corner."""
    if not (points.unit and points.pixel_size):
        return ""
    binning = points.unit / points.pixel_size
    if abs(binning - 1) < SAME_SIZE:
        return ""
    return f", {binning:.3g} times too near to the corner: they count {points.unit:g} Å"
