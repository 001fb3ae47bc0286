"""How well particles are oriented: angles to the true ones, one common rotation taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.rotations import common_rotation
from aitom_cryosam.averaging.symmetry import C1, Symmetry
from aitom_cryosam.evaluation.points import Evaluation
from aitom_cryosam.picks import Picks


@dataclass(frozen=True, eq=False)
class AngularErrors:
    """Of all matched picks of all tomograms.

    Attributes:
        degrees: (m,) from a pick's rotation to the true one, by the nearest of equivalent ones.
        about_xyz: (m, 3) degrees, its parts about the axes of the tomogram; that of the tilt
            axis, mostly y, is the one that the missing wedge blurs.
        symmetry: of the particle.
    """

    degrees: np.ndarray
    about_xyz: np.ndarray
    symmetry: Symmetry

    @property
    def median(self) -> float:
        """Degrees."""
        return float(np.median(self.degrees))

    @property
    def median_about_xyz(self) -> tuple[float, float, float]:
        """Degrees."""
        x, y, z = np.median(np.abs(self.about_xyz), axis=0).tolist()
        return x, y, z


def angular_errors(
    tomograms: Sequence[tuple[Picks, Picks, Evaluation]], symmetry: Symmetry = C1
) -> AngularErrors | None:
    """Compare the rotations of matched picks with the true ones.

    An average may be turned against the true structure: the one rotation that all picks of all
    tomograms have in common is no error.

    Args:
        tomograms: picks, truth, and how they were matched.
        symmetry: of the true structure, about its own axes.

    Returns:
        None where there are no rotations, or no matched picks.
    """
    found, true = [], []
    for picks, truth, evaluation in tomograms:
        if picks.rotations is None or truth.rotations is None or not len(evaluation.pairs):
            continue
        rows, columns = evaluation.pairs.T
        found.append(picks.rotations[rows])
        true.append(truth.rotations[columns])
    if not found:
        return None
    mine, wanted = Rotation.concatenate(found), Rotation.concatenate(true)
    turned = mine * common_rotation(mine, wanted, symmetry.rotations)
    # The equivalent of the true rotation that lies nearest.
    equal = [wanted * g for g in symmetry.rotations]
    angles = np.stack([(turned * one.inv()).magnitude() for one in equal])
    nearest, each = angles.argmin(axis=0), np.arange(len(mine))
    vectors = np.stack([(turned * one.inv()).as_rotvec(degrees=True) for one in equal])
    return AngularErrors(np.degrees(angles[nearest, each]), vectors[nearest, each], symmetry)
