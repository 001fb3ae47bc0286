"""Membrane: sheets of any form, as vesicles and organelles have them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse.csgraph import breadth_first_order, connected_components

from aitom_cryosam.picks import Picks, suppressed
from aitom_cryosam.points.rotations import along_z
from aitom_cryosam.progress import Progress
from aitom_cryosam.targets.base import STRUCTURE, Structures, refuse_lengths
from aitom_cryosam.targets.fitting import fitted
from aitom_cryosam.targets.growth import grown
from aitom_cryosam.targets.outliner import Outliner
from aitom_cryosam.targets.ridge_filters import RidgeShape, find_ridges
from aitom_cryosam.targets.ridges import Ridges
from aitom_cryosam.tomogram import Tomogram

SHAPE = RidgeShape(kind="sheet", sigma_angstrom=25.0, length_angstrom=80.0, directions=40)
CLICK_ANGSTROM = 60.0
"""A click is so near to the middle of its membrane."""
_CLICK_VOXELS = 3.0
_SMALLEST = 3e5  # Å², of what is not clicked: a vesicle of 31 nm


@dataclass(frozen=True, kw_only=True)
class Membrane:
    """Lipid bilayers.

    Attributes:
        spacing_angstrom: Å, between neighbouring points on a membrane.
        thickness_angstrom: Å, of the mask.

    Raises:
        InputError: a length is not above 0.
    """

    spacing_angstrom: float = 100.0
    thickness_angstrom: float = 70.0
    name = "membrane"

    def __post_init__(self) -> None:
        refuse_lengths(spacing=self.spacing_angstrom, thickness=self.thickness_angstrom)

    def find(
        self,
        tomogram: Tomogram,
        prompts: Picks,
        *,
        outliner: Outliner | None = None,
        progress: Progress | None = None,
    ) -> Structures:
        """The clicked sheets, and those that look like them; see `StructureTarget.find`."""
        ridges, chance = find_ridges(tomogram, SHAPE, progress=progress)
        reach = max(CLICK_ANGSTROM / tomogram.voxel_size, _CLICK_VOXELS)
        cell = ridges.binning * tomogram.voxel_size  # Å
        found = grown(ridges, chance, prompts, reach, _SMALLEST / cell**2, outliner)
        sheets = outward(fitted(found.ridges, SHAPE.sigma_angstrom / cell))
        return Structures(
            prompts=found.prompts,
            ridges=sheets,
            labels=found.labels,
            points=self._points(sheets, found.labels, tomogram),
            half_width_angstrom=self.thickness_angstrom / 2,
        )

    def _points(self, sheets: Ridges, labels: np.ndarray, tomogram: Tomogram) -> Picks:
        """Points on the sheets, at least the spacing apart, those with the clearest ridge first."""
        places = sheets.points_zyx
        spacing = self.spacing_angstrom / tomogram.voxel_size
        inside = np.flatnonzero(((places >= 0) & (places <= np.array(tomogram.shape) - 1)).all(1))
        chosen = inside[suppressed(places[inside], sheets.responses[inside], spacing)]
        points = Picks.from_points(places[chosen], sheets.responses[chosen])
        if not len(chosen):
            return points
        return replace(
            points,
            rotations=along_z(sheets.directions_zyx[chosen, ::-1]),
            extra={STRUCTURE: tuple(map(str, labels[chosen]))},
        )


def outward(sheets: Ridges) -> Ridges:
    """Sheets whose normals agree from point to point, and point out of the side they bulge to.

    Args:
        sheets: points with normals of any sign.
    """
    directions = np.array(sheets.directions_zyx, np.float64)
    count, piece = connected_components(sheets.neighbours, directed=False)
    linked, points = sheets.linked, sheets.points_zyx
    for number in range(count):
        own = np.flatnonzero(piece == number)
        order, before = breadth_first_order(linked, own[0], directed=False)
        for point in order[1:].tolist():
            if directions[point] @ directions[before[point]] < 0:
                directions[point] *= -1
        from_middle = points[own] - points[own].mean(axis=0)
        if (from_middle * directions[own]).sum() < 0:
            directions[own] *= -1
    return replace(sheets, directions_zyx=directions)
