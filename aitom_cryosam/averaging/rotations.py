"""Rotations: grids over all or nearby orientations, angles between them, a common frame.

A rotation R turns a vector r (x, y, z) of the reference into the tomogram: r lies at
position + R r.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

GOLDEN = math.pi * (3 - math.sqrt(5))


def all_rotations(step_degrees: float) -> Rotation:
    """An even grid over all orientations, neighbours about `step_degrees` apart.

    Directions on a spiral over the sphere, each with as many turns about itself as it takes.
    """
    step = math.radians(step_degrees)
    n_directions = max(2, math.ceil(4 * math.pi / step**2))
    n_turns = max(1, math.ceil(2 * math.pi / step))
    index = np.arange(n_directions)
    tilt = np.arccos(1 - (2 * index + 1) / n_directions)
    rot = (index * GOLDEN) % (2 * math.pi)
    # Turns begin elsewhere at every direction, so that no two neighbours share a gap.
    begin = (index * (math.sqrt(2) - 1)) % 1
    psi = (np.arange(n_turns) + begin[:, None]) * (2 * math.pi / n_turns)
    angles = np.stack(
        [np.broadcast_to(rot[:, None], psi.shape), np.broadcast_to(tilt[:, None], psi.shape), psi],
        axis=-1,
    )
    return Rotation.from_euler("ZYZ", angles.reshape(-1, 3))


def nearby_rotations(step_degrees: float, reach_degrees: float) -> Rotation:
    """Small rotations on a lattice of rotation vectors, the identity first.

    Args:
        step_degrees: of the lattice.
        reach_degrees: length of the longest.
    """
    return Rotation.from_rotvec(ball_lattice(step_degrees, reach_degrees), degrees=True)


def ball_lattice(step: float, reach: float) -> np.ndarray:
    """(k, 3) points of a cubic lattice up to `reach` from the origin, in its unit, nearest first.

    Args:
        step: between neighbours, voxels or degrees.
        reach: in the same unit, voxels or degrees.
    """
    n = int(reach / step + 1e-6)
    axis = np.arange(-n, n + 1) * step
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(points, axis=1)
    order = np.argsort(lengths, kind="stable")
    return points[order[lengths[order] <= reach + 1e-6]]


def angles_between(
    first: Rotation, second: Rotation, symmetry: Rotation | None = None
) -> np.ndarray:
    """(n,) degrees from each rotation to its partner, by the nearest of equivalent ones.

    Args:
        first: n.
        second: n.
        symmetry: the group of the reference, with the identity: R and R g look alike.
    """
    relative = first.inv() * second
    if symmetry is None:
        return np.degrees(relative.magnitude())
    each = np.stack([(relative * g).magnitude() for g in symmetry])
    return np.asarray(np.degrees(each.min(axis=0)))


def common_rotation(found: Rotation, truth: Rotation, symmetry: Rotation | None = None) -> Rotation:
    """The rotation C of the reference for which found * C comes nearest to truth.

    Two averages of one particle may be turned against each other; an error is measured after
    that one rotation is taken out. It is the candidate found.inv() * truth of the particle
    with the smallest median error over all, polished by the mean of those that agree with it.

    Args:
        found: n >= 1.
        truth: n.
        symmetry: the group of the true reference, with the identity.
    """
    relative = found.inv() * truth
    medians = [
        np.median(angles_between(found * candidate, truth, symmetry)) for candidate in relative
    ]
    best = relative[int(np.argmin(medians))]
    group = Rotation.identity(1) if symmetry is None else symmetry
    for _ in range(3):
        choices = [relative * g for g in group]
        distances = np.stack([(best.inv() * one).magnitude() for one in choices])
        nearest = distances.argmin(axis=0)
        quaternions = np.stack([one.as_quat() for one in choices])[nearest, np.arange(len(nearest))]
        close = distances.min(axis=0) <= np.median(distances.min(axis=0)) + 1e-9
        best = Rotation.from_quat(quaternions[close]).mean()
    return best
