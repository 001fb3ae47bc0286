"""Files of points: what is in them, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.names import relion_name
from aitom_cryosam.points.formats.columns import is_number
from aitom_cryosam.points.formats.registry import FORMATS, reader
from aitom_cryosam.points.star_syntax import Block
from aitom_cryosam.points.star_units import SERIES
from aitom_cryosam.points.table import CENTRED, PIXELS, Table, Unit, text_of
from aitom_cryosam.validation.finding import Expected, Finding, Severity
from aitom_cryosam.validation.point_checks import (
    error_of,
    of_blocks,
    of_names,
    of_pairs,
    of_places,
    of_unit,
    pixel_size_of,
    unit_of,
)
from aitom_cryosam.validation.programs import StarPoints, of_format, of_star, of_stopgap
from aitom_cryosam.validation.report import Report
from aitom_cryosam.wording import plural


def of_points(path: Path, blocks: list[Block], expected: Expected) -> Report:
    """A report of a file of points; `blocks` are those of a STAR file."""
    try:
        table = reader(path, expected.format)(path)
        values = table.points_xyz(path)
    except (InputError, UnicodeDecodeError) as error:
        verdicts = of_star(StarPoints(blocks)) if has_points(blocks) else ()
        return Report(path, "", (error_of(error, path),), verdicts)
    names = list(table.names or ())
    findings = [
        *(of_blocks(blocks, table) if blocks else ()),
        *of_names(table, names, expected.tomograms),
        *of_unit(table, values),
        *of_places(path, table, values, expected),
        *of_pairs(table, values, names, expected),
    ]
    if not len(values):
        findings.append(Finding(Severity.WARNING, "holds no points"))
    if has_points(blocks) or (blocks and table.unit is Unit.ANGSTROM):  # the latter are M's
        pixel_size = pixel_size_of(table, expected) or _series_pixel(blocks)
        unit = unit_of(table, expected) if table.unit in (Unit.VOXEL, Unit.PIXEL) else None
        verdicts = of_star(StarPoints(blocks, unit, pixel_size))
    elif (name := expected.format or _format(path)) == "stopgap":
        verdicts = of_stopgap(text_of(path), len(values))
    else:
        verdicts = of_format(name, len(values))
    tomograms = sorted(set(map(relion_name, names)))
    of = f" of {tomograms[0]}" if len(tomograms) == 1 else ""
    of = f" of {len(tomograms)} tomograms" if len(tomograms) > 1 else of
    content = f"{plural(len(values), 'point')}{of} in {_meaning(table, expected)}"
    return Report(path, content, tuple(findings), verdicts)


def has_points(blocks: Iterable[Block]) -> bool:
    """Whether RELION's coordinates are in it, in z or not."""
    return any({PIXELS[0], CENTRED[0]} & set(block.labels) for block in blocks)


def _format(path: Path) -> str:
    """The format that the file itself shows; none if only we know it, as csv."""
    if path.suffix.lower() in (".pickle", ".pkl"):
        return "aitom"
    found = reader(path)
    name = next((name for name, kind in FORMATS.items() if kind.read is found), "")
    if name == "coords":
        first = next((line for line in text_of(path).splitlines() if line.strip()), "x")
        return name if all(map(is_number, first.split())) else ""
    return name


def _meaning(table: Table, expected: Expected) -> str:
    if table.unit not in (Unit.VOXEL, Unit.PIXEL):
        return table.unit.value
    if expected.coords_angpix:
        return f"pixels of {expected.coords_angpix:g} Å"
    if table.unit is Unit.VOXEL:
        return f"voxels of {table.voxel_size:g} Å" if table.voxel_size else "voxels"
    return "pixels of the tilt series"


def _series_pixel(blocks: list[Block]) -> float | None:
    """Å, of the tilt series, as a block states it."""
    values = [block.column(SERIES) for block in blocks if SERIES in block.labels]
    try:
        return float(values[0][0])
    except (IndexError, ValueError):
        return None
