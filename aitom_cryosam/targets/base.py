"""Target: what is looked for, and what is found of structures that are no compact particles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.progress import Progress
from aitom_cryosam.regions import Regions, located
from aitom_cryosam.targets.outliner import Outliner
from aitom_cryosam.targets.ridges import Ridges
from aitom_cryosam.targets.voxels import distance_angstrom, structure_labels
from aitom_cryosam.tomogram import Tomogram

STRUCTURE = "cryosamStructureId"
"""Column of the structure that a point lies on: its label in the label volume."""


def refuse_lengths(**lengths: float | None) -> None:
    """See to it that lengths are some, Å by name; None is one that was not given.

    Raises:
        InputError: the first that is none.
    """
    for name, value in lengths.items():
        if not (value is None or 0 < value < np.inf):
            raise InputError(f"Expected {name} as a length above 0 Å, got {value:g}.")


@dataclass(frozen=True, eq=False)
class Structures:
    """The structures of one kind in one tomogram.

    Attributes:
        prompts: the clicks; one that is on no structure is not kept, and says why.
        ridges: n points on the middle of the structures.
        labels: (n,) int64, from 1, the structure of each.
        points: oriented points at even distances; their z axis is the membrane's normal or the
            filament's axis.
        half_width_angstrom: Å, from the middle to the surface.
        regions: that no voxel lies outside of; None for the whole tomogram.
    """

    prompts: Picks
    ridges: Ridges
    labels: np.ndarray
    points: Picks
    half_width_angstrom: float
    regions: Regions | None = None

    @property
    def count(self) -> int:
        """Number of structures."""
        return len(np.unique(self.labels))

    def within(self, regions: Regions | None) -> Structures:
        """What lies in regions: each structure keeps its number.

        Args:
            regions: None leaves all as it is.
        """
        if regions is None:
            return self
        inside = regions.allows(self.ridges.points_zyx)
        return replace(
            self,
            ridges=self.ridges.take(inside),
            labels=self.labels[inside],
            points=located(self.points, regions),
            regions=regions,
        )

    def volume(self, tomogram: Tomogram) -> np.ndarray:
        """(D, H, W) int16, the number of the structure in each of its voxels."""
        half_width = self.half_width_angstrom / tomogram.voxel_size
        labels = structure_labels(self.ridges, self.labels, half_width, tomogram.shape)
        if self.regions is not None:
            voxels = np.argwhere(labels)
            labels[tuple(voxels[~self.regions.allows(voxels)].T)] = 0
        return labels

    def distance_angstrom(self, tomogram: Tomogram) -> np.ndarray:
        """(D, H, W) float32, Å from the middle of the nearest structure."""
        return distance_angstrom(self.ridges, tomogram.shape, tomogram.voxel_size)


class StructureTarget(Protocol):
    """A kind of structure that ridges are followed for: a frozen dataclass of lengths in Å."""

    @property
    def name(self) -> str:
        """As a user calls it."""

    @property
    def spacing_angstrom(self) -> float:
        """Å, between neighbouring points."""

    def find(
        self,
        tomogram: Tomogram,
        prompts: Picks,
        *,
        outliner: Outliner | None = None,
        progress: Progress | None = None,
    ) -> Structures:
        """The structures that are clicked, and those that look like them.

        Args:
            tomogram: (D, H, W).
            prompts: clicks, a few on each kind of place.
            outliner: asked where the clicked ones go on; None for the filters alone.
            progress: shown how far the filters are.
        """
