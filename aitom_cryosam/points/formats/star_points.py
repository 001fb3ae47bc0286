"""STAR files of RELION, Warp, M, pytom-match-pick and our own, read as points."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError
from aitom_cryosam.points import star_units
from aitom_cryosam.points.rotations import from_relion, some
from aitom_cryosam.points.star_syntax import Block, read_blocks
from aitom_cryosam.points.table import (
    ANGLES,
    CENTRED,
    CLASS,
    CLASS_NUMBER,
    FRAME_ANGLES,
    ID,
    KEPT,
    NAMES,
    ORIGINS,
    OWN_SCORE,
    PIXEL_ORIGINS,
    PIXELS,
    PROBABILITY,
    REASON,
    SCORE,
    Table,
    Unit,
    filled,
    numbers,
    one_size,
)

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_SCORES = (SCORE, OWN_SCORE, "rlnLCCmax", "pytmeScore")  # pytom-match-pick's and pyTME's
_OF_PYTOM = re.compile("ptm(?=[A-Z])")
"""Before the labels of pytom-match-pick's first versions, which are RELION's else."""
_POSE_OF_M = re.compile(r"wrp(Coordinate[XYZ]|Angle(?:Rot|Tilt|Psi))(\d*)")
_NAME_OF_M = "wrpSourceName"
_OF_FILES = {"rlnTomoParticlesFile", "rlnTomoImportParticleFile"}
_UNITS = {PIXELS: (Unit.VOXEL, Unit.PIXEL), CENTRED: (Unit.CENTRED_ANGSTROM,)}
_KINDS = (CLASS, CLASS_NUMBER)
_OF_RELION = {star_units.SERIES, "rlnTomoSubtomogramBinning"}  # beside its images
_PICKED = re.compile(r"annotations[\\/][^\\/]+_(particles|spheres|filaments)\.star$")
"""What RELION 5's own picker leaves in the folder of its job: voxels of the tomogram."""
_PRIORS = ("rlnAngleTiltPrior", "rlnAnglePsiPrior")  # within the frame of a subtomogram
_UNDERSTOOD = {
    *PIXELS, *CENTRED, *ORIGINS, *PIXEL_ORIGINS, *NAMES, *ANGLES, *FRAME_ANGLES, *_SCORES,
    CLASS, CLASS_NUMBER, ID, KEPT, REASON, PROBABILITY, *star_units.LABELS,
}  # fmt: skip


def read(path: Path, unit: Unit | None = None) -> Table:
    """All rows with coordinates of a STAR file.

    Blocks of the same columns, as one a tomogram or as `cat` joins them, are one table; where
    they have no column of names, their own names are those of the tomograms.

    Args:
        path: the file.
        unit: of the coordinates, if the user said what wrote them; else their labels decide.

    Raises:
        InputError: there are none, they have no z, or blocks with coordinates differ in their
            columns.
    """
    return of_blocks(path, read_blocks(path), unit)


def of_blocks(path: Path, blocks: Sequence[Block], unit: Unit | None = None) -> Table:
    """All rows with coordinates of the blocks of a file, as `read`.

    Raises:
        InputError: as `read`.
    """
    blocks = list(map(_of_pytom, blocks))
    if particles := list(filter(None, (_of_m(path, block) for block in blocks))):
        return _table(path, _joined(path, particles), PIXELS, Unit.ANGSTROM, blocks)
    known = [columns for columns in (PIXELS, CENTRED) if unit in (None, *_UNITS[columns])]
    with_points = [block for block in blocks if any(map(block.has, known))]
    if not with_points:
        raise InputError(_without_points(path, blocks, known[0]))
    rows = _joined(path, with_points)
    there = [columns for columns in known if with_points[0].has(columns)]
    found = [columns for columns in there if filled(rows, columns)] or there
    counted = found[-1]  # of both, RELION 5 reads Å, and calls the pixels beside them spurious
    return _table(path, rows, counted, unit or _unit(path, rows, counted, blocks), blocks)


def _of_pytom(block: Block) -> Block:
    """A block of pytom-match-pick under RELION's labels, or as it is."""
    labels = [_OF_PYTOM.sub("rln", label, count=1) for label in block.labels]
    return replace(block, labels=labels) if len(set(labels)) == len(labels) else block


def _of_m(path: Path, block: Block) -> Block | None:
    """A block of particles of M under RELION's labels, or None.

    M counts Å from the corner, and may have a pose at each of several times.
    """
    poses = list(map(_POSE_OF_M.fullmatch, block.labels))
    axes = {found[1] for found in poses if found and found[2] in ("", "1")}
    if not axes >= {"CoordinateX", "CoordinateY", "CoordinateZ"}:
        return None
    if any(
        label.startswith(("rlnCoordinate", "rlnCentered", "rlnAngle")) for label in block.labels
    ):
        return None  # made of M's, and meant to be read as RELION's
    if times := {found[2] for found in poses if found} - {"", "1"}:
        logger.warning(
            "%s: M has poses at %d times here; the first is taken.", path, len(times) + 1
        )
    kept = [place for place, found in enumerate(poses) if found is None or found[2] in ("", "1")]
    labels = [_POSE_OF_M.sub(r"rln\1", block.labels[place]) for place in kept]
    if not set(NAMES) & set(labels):
        labels = [NAMES[1] if label == _NAME_OF_M else label for label in labels]
    return replace(block, labels=labels, rows=[[row[i] for i in kept] for row in block.rows])


def _without_points(path: Path, blocks: Sequence[Block], expected: Sequence[str]) -> str:
    labels = {label for block in blocks for label in block.labels}
    if {PIXELS[0], PIXELS[1]} <= labels and PIXELS[2] not in labels:
        return f"{path} has no coordinates in z: its particles are of images."
    if labels & _OF_FILES:
        return f"{path} only names other files; use the particles file that it names."
    if others := [one for one in sorted(labels - {expected[0]}) if one[3:] == expected[0][3:]]:
        found = others[0]
        return (
            f"{path} has {found} and so on, not {expected[0]}; write rln for {found[:3]} in its "
            "labels if they mean the same."
        )
    return f"{path} has no coordinates; expected the columns {', '.join(expected)}."


def _joined(path: Path, blocks: Sequence[Block]) -> pd.DataFrame:
    """The rows of blocks that have the same columns.

    Raises:
        InputError: they have not, or nothing says of which tomogram each block is.
    """
    import pandas as pd

    first = blocks[0]
    for block in blocks[1:]:
        if set(block.labels) != set(first.labels):
            raise InputError(
                f"{path} has coordinates in the blocks data_{first.name} (line {first.line}) and "
                f"data_{block.name} (line {block.line}) with different columns; expected one "
                "block, or blocks of the same columns."
            )
    tables = [block.table() for block in blocks]
    if len(blocks) > 1 and not set(NAMES) & set(first.labels):
        names = [block.name for block in blocks]
        if len(set(names)) < len(names) or not all(names):
            raise InputError(
                f"{path} has {len(blocks)} blocks with coordinates and no {NAMES[1]} that says "
                "of which tomogram each is; name them, or keep one."
            )
        for table, name in zip(tables, names, strict=True):
            table[NAMES[1]] = name
    return pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]


def _unit(
    path: Path, rows: pd.DataFrame, columns: tuple[str, ...], blocks: Sequence[Block]
) -> Unit:
    """What the labels say.

    RELION 4 counts pixels of the tilt series under the label that Warp and all others use for
    voxels; Warp's names end in .tomostar, and our own files state their voxel size. RELION states
    the pixels of the tilt series beside those of its images; copick states images alone. What was
    clicked in RELION 5 counts voxels, before it makes Å from the centre of it.
    """
    if columns == CENTRED:
        return Unit.CENTRED_ANGSTROM
    if _PICKED.search(str(path.absolute())):
        return Unit.VOXEL
    if NAMES[0] not in rows or star_units.VOXEL_SIZE in rows:
        return Unit.VOXEL
    if rows[NAMES[0]].astype(str).str.endswith(".tomostar").any():
        return Unit.VOXEL
    stated = {label for block in blocks for label in block.labels}
    if stated & _OF_RELION or star_units.images(rows, blocks, path) is None:
        return Unit.PIXEL
    return Unit.VOXEL


def _table(
    path: Path,
    rows: pd.DataFrame,
    columns: tuple[str, ...],
    unit: Unit,
    blocks: Sequence[Block],
) -> Table:
    extra = [label for label in rows if label not in _UNDERSTOOD]
    rows = rows[[label for label in rows if label not in _KINDS or filled(rows, [label])]]
    written: dict[str, str] = {}
    for label, other in (*((SCORE, other) for other in _SCORES[1:]), (CLASS, CLASS_NUMBER)):
        if label not in rows and other in rows:
            rows = rows.rename(columns={other: label})
            written[label] = other
    frames = _rotations(rows, FRAME_ANGLES, path)
    rotations = _rotations(rows, ANGLES, path)
    if frames is not None:
        rotations = frames if rotations is None else frames * rotations
        extra = [label for label in extra if label not in _PRIORS]
    stated = None
    if unit is Unit.VOXEL:
        sizes = stated = star_units.voxels(rows, blocks, path)
    else:
        sizes = star_units.series(rows, blocks, path)
    if unit is Unit.PIXEL and sizes is None:
        stated = star_units.micrographs(rows, blocks, path)
    shifted = bool(set(PIXEL_ORIGINS) & set(rows))
    return Table(
        rows,
        unit,
        columns,
        voxel_size=one_size(stated),
        pixel_size=one_size(sizes) if unit is Unit.PIXEL else None,
        sizes=sizes,
        image_sizes=star_units.images(rows, blocks, path) if shifted else None,
        rotations=rotations,
        frames=frames,
        extra=tuple(extra),
        written=written,
    )


def _rotations(rows: pd.DataFrame, labels: tuple[str, ...], path: Path) -> Rotation | None:
    """Of three columns of angles; a column that is missing is 0, as RELION takes it."""
    present = filled(rows, labels)
    if not present or not len(rows):
        return None
    angles = np.zeros((len(rows), 3))
    angles[:, [label in present for label in labels]] = numbers(rows, present, path)
    return some(from_relion(angles))
