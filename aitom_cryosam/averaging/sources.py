"""Sources: picks of tomograms as the boxes that an average is made of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.classes import Class
from aitom_cryosam.averaging.particles import Particles
from aitom_cryosam.averaging.poses import Poses
from aitom_cryosam.averaging.subvolumes import BoxSize, Subvolumes, extract, inside
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.picks import Picks
from aitom_cryosam.regions import Regions
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

CORRELATION, HALF = "cryosamCorrelation", "rlnRandomSubset"
"""Columns of oriented picks: how well a particle fits the average, and its half, 1 or 2."""
NOISE = "noise class"


@dataclass(frozen=True, eq=False)
class Source:
    """What is picked in one tomogram.

    Attributes:
        tomogram: that was searched.
        picks: all are believed, best first.
        prompts: (p, 3) voxels, z y x, that the user clicked; perhaps none.
        masks: of the picks, by their ids; perhaps of none.
        wedge: of the tilt series.
        regions: where picks may lie; None for everywhere.
    """

    tomogram: Tomogram
    picks: Picks
    prompts: np.ndarray
    masks: Sequence[ParticleMask]
    wedge: MissingWedge
    regions: Regions | None = None

    def usable(self, diameter: float) -> np.ndarray:
        """(n,) bool: the picks, a diameter in Å wide, of which enough lies in the tomogram."""
        radius = diameter / self.tomogram.voxel_size / 2
        return inside(self.picks.points_zyx, radius, self.tomogram.shape)

    def clicked(self, diameter: float) -> np.ndarray:
        """(p, 3) voxels: the picks within half a diameter, in Å, of the clicks, or the clicks."""
        rows = self.rows_at_clicks(self.picks.points_zyx, diameter)
        result = self.prompts.copy()
        result[rows >= 0] = self.picks.points_zyx[rows[rows >= 0]]
        return result

    def rows_at_clicks(self, points_zyx: np.ndarray, diameter: float) -> np.ndarray:
        """(p,) which of (n, 3) points is nearest to each click; -1 beyond half a diameter, in Å."""
        if not (len(self.prompts) and len(points_zyx)):
            return np.full(len(self.prompts), -1)
        reach = diameter / self.tomogram.voxel_size / 2
        distances, nearest = cKDTree(points_zyx).query(self.prompts)
        return np.where(distances <= reach, nearest, -1)


def box_of(sources: Sequence[Source], diameter: float) -> tuple[BoxSize, float]:
    """The boxes' size, and their voxel size in Å.

    Raises:
        InputError: the tomograms have voxels of different sizes, or are smaller than a box; the
            particle is narrower than two voxels.
    """
    sizes = [one.tomogram.voxel_size for one in sources]
    if max(sizes) - min(sizes) > SAME_SIZE * min(sizes):
        raise InputError(
            f"The tomograms have voxels of {min(sizes):g} to {max(sizes):g} Å; expected one size: "
            "average them one after the other."
        )
    if diameter < 2 * sizes[0]:
        raise InputError(
            f"A particle of {diameter:g} Å is {diameter / sizes[0]:.1f} voxels wide; expected 2 or "
            "more",
            Remedy.DIAMETER,
        )
    box = BoxSize.for_particle(diameter / sizes[0])
    thinnest = min(min(one.tomogram.shape) for one in sources)
    if thinnest < diameter / sizes[0]:
        raise InputError(
            f"A particle of {diameter:.0f} Å does not fit into a tomogram that is "
            f"{thinnest * sizes[0]:.0f} Å thick",
            Remedy.DIAMETER,
        )
    return box, sizes[0] * box.bin


def particles_of(sources: Sequence[Source], diameter: float) -> list[Particles]:
    """The boxes of every tomogram; picks at its border are left out, with a warning.

    Args:
        sources: of one voxel size.
        diameter: Å, of the particle.
    """
    box, _ = box_of(sources, diameter)
    result = []
    for one in sources:
        usable = one.usable(diameter)
        if not usable.all():
            logger.warning(
                "%s: %d of %d picks lie at the border and are left out of the average.",
                one.tomogram.name,
                int((~usable).sum()),
                len(usable),
            )
        subvolumes = extract(one.tomogram, one.picks.points_zyx[usable], box)
        clicks = extract(one.tomogram, one.clicked(diameter), box)
        masks = _mask_boxes(one, one.picks.ids[usable], subvolumes)
        result.append(Particles(subvolumes, one.wedge, clicks, masks))
    return result


def warn_of_missing_masks(particles: Sequence[Particles]) -> None:
    """A warning where no pick has an instance mask."""
    if all(one.masks is None for one in particles):
        logger.warning("The picks have no instance masks; a soft ball is the average's mask.")


def oriented(
    sources: Sequence[Source], average: Average, particles: Sequence[Particles], diameter: float
) -> list[Picks]:
    """The picks with what the average says of them; those at the border are no longer kept.

    Args:
        sources: that were averaged.
        average: of them.
        particles: the boxes of `sources`.
        diameter: Å, as for `particles_of`.
    """
    result = []
    for one, poses, half, boxes in zip(
        sources, average.poses, average.half, particles, strict=True
    ):
        usable = one.usable(diameter)
        picks = one.picks.reject(~usable, "at the border").take(
            np.concatenate([np.flatnonzero(usable), np.flatnonzero(~usable)])
        )
        n, rest = int(usable.sum()), int((~usable).sum())
        if rest:
            poses = Poses.joined([poses, Poses.unknown(rest)])
        points = picks.points_zyx.copy()
        points[:n] = boxes.subvolumes.points_zyx(poses.shifts_xyz[:n])
        correlation = [f"{value:.4f}" for value in poses.scores]
        halves = [str(number + 1) for number in half] + ["1"] * rest
        extra = {**picks.extra, CORRELATION: tuple(correlation), HALF: tuple(halves)}
        result.append(replace(picks, points_zyx=points, rotations=poses.rotations, extra=extra))
    return result


def with_classes(picks: Sequence[Picks], classes: Sequence[Class]) -> list[Picks]:
    """Oriented picks with the number of their class, 1 for the best; those of noise are left out.

    Args:
        picks: of `oriented`, one a tomogram.
        classes: of the same particles.
    """
    result = []
    for i, one in enumerate(picks):
        numbers = np.zeros(len(one), np.int64)
        noise = np.zeros(len(one), bool)
        for k, each in enumerate(classes):
            assert each.average.members is not None
            members = np.flatnonzero(each.average.members[i])
            numbers[members] = k + 1
            noise[members] = each.noise
        result.append(replace(one, classes=tuple(map(str, numbers))).reject(noise, NOISE))
    return result


def _mask_boxes(source: Source, ids: np.ndarray, subvolumes: Subvolumes) -> np.ndarray | None:
    """(n, size, size, size) float32, the instance masks in the boxes; None if all are empty."""
    by_id = {mask.id: mask for mask in source.masks if mask.volume}
    if not any(int(number) in by_id for number in ids):
        return None
    size = subvolumes.boxes.shape[-1]
    result = np.zeros(subvolumes.boxes.shape, np.float32)
    for target, number, origin in zip(result, ids, subvolumes.origins_zyx, strict=True):
        mask = by_id.get(int(number))
        if mask is None:
            continue
        places = np.round((mask.voxels_zyx - origin) / subvolumes.bin).astype(int) + size // 2
        places = places[((places >= 0) & (places < size)).all(axis=1)]
        np.add.at(target, tuple(places.T), 1 / subvolumes.bin**3)
    return np.minimum(result, 1)
