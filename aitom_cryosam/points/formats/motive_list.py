"""Motive lists: what TOM, AV3, Artiatomi, novaSTA and STOPGAP keep of each particle.

They count voxels from 1, as Matlab does: the voxel that is k here is at k + 1 = coordinate +
shift. All that extract particles round the coordinate, and so it is whole, and the shift has the
rest. Columns have the names that STOPGAP gives them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from aitom_cryosam.points.formats import numbers
from aitom_cryosam.points.rotations import from_av3, some, to_av3
from aitom_cryosam.points.table import Table, Unit, scores, scores_if_any, whole
from aitom_cryosam.points.tomogram_info import TomogramPicks

logger = logging.getLogger(__name__)

PLACES = ("orig_x", "orig_y", "orig_z")
SHIFTS = ("x_shift", "y_shift", "z_shift")
ANGLES = ("phi", "the", "psi")
TOMOGRAM, OBJECT, PARTICLE, SCORE, CLASS = "tomo_num", "object", "subtomo_num", "score", "class"
_FIRST = 1  # voxel


def columns(groups: Sequence[TomogramPicks]) -> dict[str, np.ndarray]:
    """(n,) of each column; particles are numbered from 1, and of object 1.

    Args:
        groups: of all tomograms.
    """
    found: dict[str, list[np.ndarray]] = {}
    classes = numbers.of_classes(groups, "A motive list")
    for number, (picks, _) in zip(numbers.of_tomograms(groups), groups, strict=True):
        n = len(picks)
        places = picks.points_zyx[:, ::-1] + _FIRST
        corners = whole(places)
        turned = picks.rotations is not None and n > 0
        angles = np.round(to_av3(picks.rotations), 6) + 0.0 if turned else np.zeros((n, 3))
        part = {
            TOMOGRAM: np.full(n, number),
            SCORE: scores(picks),
            CLASS: np.array([classes[name] for name in picks.classes or ()] or [1] * n, int),
            **dict(zip(PLACES, corners.T, strict=True)),
            **dict(zip(SHIFTS, (places - corners).T, strict=True)),
            **dict(zip(ANGLES, angles.T, strict=True)),
        }
        for label, values in part.items():
            found.setdefault(label, []).append(values)
    joined = {label: np.concatenate(parts) for label, parts in found.items()}
    n = len(joined[TOMOGRAM])
    return joined | {OBJECT: np.ones(n, int), PARTICLE: np.arange(1, n + 1)}


def table(path: Path, values: Mapping[str, np.ndarray]) -> Table:
    """The points of a list; names from the `.doc` beside, if it is there.

    Args:
        path: of the list.
        values: (n,) of each column; all but the coordinates may be missing or NaN, which is 0.

    Raises:
        InputError: the list of tomograms beside cannot be used.
    """
    n = len(values[PLACES[0]])
    nothing = np.zeros(n)

    def three(labels: Sequence[str]) -> np.ndarray:
        columns = np.stack([values.get(label, nothing) for label in labels], axis=1)
        return np.where(np.isnan(columns), 0, columns)

    tomograms = values.get(TOMOGRAM, nothing)
    _tell_several(path, tomograms, values.get(PARTICLE, np.arange(n)))
    classes = values.get(CLASS)
    return Table.of(
        np.stack([values[label] for label in PLACES], axis=1) - _FIRST + three(SHIFTS),
        Unit.VOXEL,
        names=numbers.names(path, tomograms),
        classes=None
        if classes is None
        else [f"{value:g}" if np.isfinite(value) else None for value in classes],
        scores=scores_if_any(values.get(SCORE, nothing).tolist()),
        rotations=some(from_av3(np.nan_to_num(three(ANGLES), posinf=0, neginf=0))) if n else None,
    )


def _tell_several(path: Path, tomograms: np.ndarray, particles: np.ndarray) -> None:
    """Warn of one particle in several rows, as classification by several references has it."""
    known = particles[particles > 0]
    pairs = np.stack([tomograms[particles > 0], known], axis=1)
    if repeated := len(pairs) - len(np.unique(pairs, axis=0)):
        logger.warning(
            "%s: %d of %d rows are of a particle that an earlier row is of, too; all are read.",
            path,
            repeated,
            len(particles),
        )
