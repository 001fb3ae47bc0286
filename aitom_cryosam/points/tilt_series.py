"""tomograms.star: which tilt series a RELION project has, their sizes and names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE
from aitom_cryosam.names import one_number, relion_name, series_name
from aitom_cryosam.points.star_syntax import Block, read_blocks
from aitom_cryosam.points.star_units import SERIES
from aitom_cryosam.points.table import NAMES, is_open, positive
from aitom_cryosam.points.tomogram_info import TiltSeries
from aitom_cryosam.source_file import existing_file
from aitom_cryosam.wording import listed

if TYPE_CHECKING:
    import pandas as pd

_KEYS = (NAMES[0], SERIES)
_BINNING = "rlnTomoTomogramBinning"
_SIZES = ("rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ")
_FILE = "rlnTomoTomogramsFile"
_RECONSTRUCTED = "rlnTomoReconstructedTomogram"


@dataclass(frozen=True)
class TomogramsStar:
    """The tilt series of a project.

    Attributes:
        path: the file.
        series: one a row.
        tomograms: for each row the paths of its reconstructions, as written, the whole one first.
    """

    path: Path
    series: tuple[TiltSeries, ...]
    tomograms: tuple[tuple[str, ...], ...]

    def of(self, tomogram: str | Path) -> TiltSeries:
        """The tilt series of a tomogram: by the path of a reconstruction, else by name.

        A path fits if it ends with the written one, folder by folder. Names count without folder,
        extension, `.tomostar`, `rec_`, `_half1`, `_half2` and `_<v>Apx`; `rlnTomoName` goes
        before the names of the reconstructions. If none is equal, names count without all that
        programs append, and numbers without the zeros in front, which starfile leaves out.

        Raises:
            InputError: none or several fit.
        """
        place = Path(tomogram).absolute().as_posix()
        wanted = relion_name(str(tomogram))
        rows = list(zip(self.series, self.tomograms, strict=True))
        found = (
            [one for one, paths in rows if any(_ends(place, path) for path in paths)]
            or [one for one, _ in rows if relion_name(str(one.name)) == wanted]
            or [one for one, paths in rows if wanted in map(relion_name, paths)]
            or [one for one, _ in rows if series_name(str(one.name)) == series_name(str(tomogram))]
            or [one for one, _ in rows if one_number(relion_name(str(one.name)), wanted)]
        )
        if len(found) != 1:
            known = [str(one.name) for one in self.series]
            raise InputError(
                f"{self.path} has {len(found) or 'no'} tilt series for {wanted}; expected one of "
                f"{listed(known) or 'at least one'}: rename it, or use the project's own file."
            )
        return found[0]

    @cached_property
    def voxel_size(self) -> float | None:
        """Å, of the reconstructions, or None where that is not one number."""
        sizes = {one.pixel_size * (one.binning or 0) for one in self.series}
        if not sizes or max(sizes) - min(sizes) > SAME_SIZE * min(sizes):
            return None
        return float(f"{max(sizes):.6g}") or None


def is_tomograms_star(blocks: Sequence[Block]) -> bool:
    """Whether blocks of a STAR file are those of `tomograms.star`, and no other list."""
    return any(block.has(_KEYS) for block in blocks)


def read_tomograms_star(path: str | Path) -> TomogramsStar:
    """Read RELION's `tomograms.star` (5 or 4), a tilt series table, or WarpTools' export of one.

    Raises:
        InputError: no such file, no such table, or a size that is not a number above 0.
    """
    path = existing_file(Path(path))
    blocks = read_blocks(path)
    for rows in (block.table() for block in blocks):
        if set(_KEYS) <= set(rows):
            return TomogramsStar(
                path,
                tuple(_series(row, path) for _, row in rows.iterrows()),
                tuple(_reconstructions(row) for _, row in rows.iterrows()),
            )
    named = [name for block in blocks if block.has([_FILE]) for name in block.column(_FILE)]
    instead = f"; give the file that it names, {named[0]}" if named else ""
    raise InputError(
        f"{path} is no tomograms.star: no table has the columns {NAMES[0]} and {SERIES}{instead}."
    )


def _reconstructions(row: pd.Series) -> tuple[str, ...]:
    """The whole tomogram first, then a denoised one, then the half maps."""
    labels = [str(label) for label in row.index if str(label).startswith(_RECONSTRUCTED)]
    labels.sort(key=lambda label: (label != _RECONSTRUCTED, not label.endswith("Denoised"), label))
    return tuple(str(row[label]) for label in labels if not is_open(row[label]))


def _series(row: pd.Series, path: Path) -> TiltSeries:
    sizes = [_optional(row, label, path) for label in _SIZES]
    x, y, z = sizes
    size = (x, y, z) if x and y and z else None
    binning = _optional(row, _BINNING, path)
    pixel_size = positive(row[SERIES], path, SERIES)
    return TiltSeries(pixel_size, size, str(row[NAMES[0]]), binning)


def _optional(row: pd.Series, label: str, path: Path) -> float | None:
    """A size above 0; None where the program has left it open."""
    if label not in row.index or is_open(row[label]) or row[label] in ("0", "0.0", "0.000000"):
        return None
    return positive(row[label], path, label)


def _ends(place: str, path: str) -> bool:
    return place.endswith("/" + Path(path).as_posix().lstrip("/"))
