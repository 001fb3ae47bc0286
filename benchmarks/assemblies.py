"""Random assemblies: particles that exist nowhere, as domains in compact chains under a symmetry.

Every kind is made from a seed. An asymmetric unit is a chain of soft balls (domains) that stays
together; the operators of a point group copy it around the middle.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.simulation.density import Density, normalised

GROUPS = ("C1",) * 6 + ("C2", "C3", "C4", "C5", "C6", "C7") + ("D2", "D3", "D4", "D5", "D7")
GROUPS = (*GROUPS, "T", "O", "I")
DOMAIN = (11.0, 20.0)
"""Å, smallest and largest radius of a domain."""
FILLING = (0.22, 0.5)
"""Share of the ball around the particle that its domains fill."""
EDGE = 4.0  # Å, of a domain's soft surface


def random_assembly(name: str, diameter: float, voxel_size: float, seed: int) -> Density:
    """A particle that is about as wide as was asked for.

    Args:
        name: its class.
        diameter: Å, of the ball that holds it.
        voxel_size: Å.
        seed: the same seed gives the same particle.
    """
    rng = np.random.default_rng(seed)
    domain = min(rng.uniform(*DOMAIN), diameter / 5)
    wanted = rng.uniform(*FILLING) * (diameter / 2 / domain) ** 3
    groups = [Rotation.create_group(g) for g in GROUPS]
    groups = [group for group in groups if len(group) <= max(wanted, 1)]
    group = groups[rng.integers(len(groups))]
    count = max(3 if len(group) == 1 else 1, round(wanted / len(group)))
    unit, radii = _chain(rng, count, domain)
    centres = _copies(unit, group, _direction(rng) * diameter / 2, 1.7 * domain)
    centres -= centres.mean(axis=0)
    radii = np.tile(radii, len(group))
    reach = np.linalg.norm(centres, axis=1).max()
    centres *= min(1, (diameter / 2 - domain) / max(reach, 1e-6))
    return _soft_balls(name, centres, radii, diameter, voxel_size)


def _chain(rng: np.random.Generator, count: int, domain: float) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) centres and (n,) radii, Å: each next domain touches one before and stays near all."""
    radii = domain * rng.uniform(0.75, 1.25, count)
    stretch = rng.uniform(0.5, 1.5, 3)  # some are rods, some discs
    centres = np.zeros((1, 3))
    for radius in radii[1:]:
        start = centres[rng.integers(len(centres), size=24)]
        places = start + 1.5 * radius * _direction(rng, 24)
        gaps = np.linalg.norm(places[:, None] - centres, axis=2).min(axis=1)
        far = np.linalg.norm(places / stretch, axis=1) + 1e3 * (gaps < 1.2 * radius)
        centres = np.vstack([centres, places[far.argmin()]])
    return centres, radii


def _copies(unit: np.ndarray, group: Rotation, offset: np.ndarray, touching: float) -> np.ndarray:
    """(n, 3) all copies of the unit, which is moved towards the axes until they touch."""
    turns = group.as_matrix()
    while len(turns) > 1:
        moved = unit + offset
        others = np.concatenate([moved @ turn.T for turn in turns[1:]])
        gap = np.linalg.norm(moved[:, None] - others, axis=2).min()
        if gap <= touching or np.linalg.norm(offset) < 1:
            break
        offset = 0.9 * offset
    return np.concatenate([(unit + offset * (len(turns) > 1)) @ turn.T for turn in turns])


def _direction(rng: np.random.Generator, count: int | None = None) -> np.ndarray:
    vectors = rng.standard_normal((3,) if count is None else (count, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _soft_balls(
    name: str, centres: np.ndarray, radii: np.ndarray, diameter: float, voxel_size: float
) -> Density:
    half = int(np.ceil((diameter / 2 + 3 * EDGE) / voxel_size)) + 1
    axis = np.arange(-half, half + 1) * voxel_size
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    soft = max(EDGE, 0.35 * voxel_size)
    data = np.zeros(grid.shape[:3])
    for centre, radius in zip(centres, radii, strict=True):
        outside = np.linalg.norm(grid - centre, axis=-1) - radius
        data = np.maximum(data, 1 / (1 + np.exp(np.clip(outside / soft, -30, 30))))
    return Density(name, normalised(data), voxel_size)
