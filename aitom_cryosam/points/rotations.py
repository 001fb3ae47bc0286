"""Rotations: how each program writes the orientation of a particle.

Here a rotation R is active and acts on x, y, z: what lies at r in the particle's reference lies
at its position + R r in the tomogram. In these terms

- RELION, Warp, M and pytom-match-pick turn the other way, from the tomogram to the reference:
  R is the inverse of Rz(rot) Ry(tilt) Rz(psi) (RELION's `Euler_angles2matrix`, the matrix A with
  which it projects A r);
- RELION's tomography has two rotations, R = R(rlnTomoSubtomogram*) R(rlnAngle*), and turns the
  shift by the first of them: position = coordinate - R(rlnTomoSubtomogram*) origin;
- Dynamo: R is the inverse of Rz(narot) Rx(tilt) Rz(tdrot);
- TOM, AV3, Artiatomi, novaSTA and STOPGAP turn the reference: R = Rz(psi) Rx(theta) Rz(phi);
- EMAN2's `xform.align3d` aligns the particle with the reference, R is its inverse; its angles are
  R = Rz(az) Rx(alt) Rz(phi);
- AITom's angle is RELION's in radians: its `rotate` reads a volume v at R r for what lies at r;
- copick's `transformation_` and the Portal's `xyz_rotation_matrix` are R itself.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError

logger = logging.getLogger(__name__)

_ORTHOGONAL = 1e-3
_UNTURNED = 1e-9


def from_relion(degrees: np.ndarray) -> Rotation:
    """Rotations of RELION's angles.

    Args:
        degrees: (n, 3) rot, tilt, psi.
    """
    return Rotation.from_euler("ZYZ", degrees.reshape(-1, 3), degrees=True).inv()


def to_relion(rotations: Rotation) -> np.ndarray:
    """(n, 3) degrees, rot, tilt, psi; tilt from 0 to 180."""
    return _degrees(rotations.inv(), "ZYZ")


def from_aitom(radians: np.ndarray) -> Rotation:
    """Rotations of AITom's angles.

    Args:
        radians: (n, 3) phi, theta, psi.
    """
    return from_relion(np.degrees(radians))


def to_aitom(rotations: Rotation) -> np.ndarray:
    """(n, 3) radians, phi, theta, psi; theta from 0 to pi."""
    return np.radians(to_relion(rotations))


def from_dynamo(degrees: np.ndarray) -> Rotation:
    """Rotations of Dynamo's angles.

    Args:
        degrees: (n, 3) tdrot, tilt, narot.
    """
    return Rotation.from_euler("zxz", degrees.reshape(-1, 3), degrees=True).inv()


def to_dynamo(rotations: Rotation) -> np.ndarray:
    """(n, 3) degrees, tdrot, tilt, narot; tilt from 0 to 180."""
    return _degrees(rotations.inv(), "zxz")


def from_av3(degrees: np.ndarray) -> Rotation:
    """Rotations of the angles of TOM, AV3 and STOPGAP.

    Args:
        degrees: (n, 3) phi, theta, psi, in the order in which they turn.
    """
    return Rotation.from_euler("zxz", degrees.reshape(-1, 3), degrees=True)


def to_av3(rotations: Rotation) -> np.ndarray:
    """(n, 3) degrees, phi, theta, psi; theta from 0 to 180."""
    return _degrees(rotations, "zxz")


def from_eman(degrees: Sequence[float]) -> Rotation:
    """The rotation of `xform.align3d`, given by az, alt, phi in degrees."""
    return Rotation.from_euler("ZXZ", degrees, degrees=True)


def of_matrices(matrices: Sequence[Any], path: Path) -> Rotation:
    """Rotations of matrices, of which the upper left 3 × 3 count.

    Args:
        matrices: n of them, (3, 3) or (4, 4), x y z.
        path: the file they are from.

    Raises:
        InputError: one is no rotation.
    """
    try:
        values = [np.asarray(matrix, np.float64)[:3, :3] for matrix in matrices]
        found = np.array(values).reshape(len(values), 3, 3)
    except (IndexError, TypeError, ValueError):
        raise InputError(f"{path} has a rotation that is no matrix of 3 × 3 numbers.") from None
    finite = np.isfinite(found).all(axis=(1, 2))
    found = np.nan_to_num(found, posinf=0, neginf=0)
    squared = found @ found.transpose(0, 2, 1)
    wrong = ~(np.abs(squared - np.eye(3)) < _ORTHOGONAL).all(axis=(1, 2))
    for number in np.flatnonzero(wrong | ~finite | ~(np.linalg.det(found) > 0)):
        raise InputError(f"{path}, point {number + 1}: its matrix is no rotation.")
    return Rotation.from_matrix(found)


def without_gaps(orientations: Sequence[Any], unturned: Any, path: Path) -> list[Any] | None:
    """Orientations of n points with one in place of each that is None, which is told.

    Args:
        orientations: n of them, as the file has them.
        unturned: the same of a point that is not turned.
        path: the file they are from.

    Returns:
        n of them, or None where all are None.
    """
    missing = sum(one is None for one in orientations)
    if missing == len(orientations):
        return None
    if missing:
        logger.warning(
            "%s: %d of %d points have no orientation; they are taken as not turned.",
            path,
            missing,
            len(orientations),
        )
    return [unturned if one is None else one for one in orientations]


def along_z(directions_xyz: np.ndarray) -> Rotation:
    """The smallest rotations that turn the reference's z axis into directions.

    The turn about a direction is not known; as a search around the membrane's normal or the
    filament's axis finds it, any will do.

    Args:
        directions_xyz: (n, 3) of any length above 0.
    """
    x, y, z = (directions_xyz / np.linalg.norm(directions_xyz, axis=1, keepdims=True)).T
    angles = np.arccos(np.clip(z, -1, 1))
    axes = np.stack([-y, x, np.zeros_like(x)], axis=1)
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    flat = lengths < 1e-9
    axes = np.where(flat, (1.0, 0.0, 0.0), axes / np.where(flat, 1, lengths))
    return Rotation.from_rotvec(axes * angles[:, None])


def some(rotations: Rotation) -> Rotation | None:
    """The rotations, or None if none of them turns anything, as where a program fills in zeros."""
    return rotations if (rotations.magnitude() > _UNTURNED).any() else None


def _degrees(rotations: Rotation, axes: str) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gimbal lock")  # rot alone or psi alone is the same
        return np.asarray(rotations.as_euler(axes, degrees=True)).reshape(-1, 3)
