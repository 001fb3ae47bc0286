"""Session: the method on one tomogram, with what it made kept for the next request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.particle_size import particle_size
from aitom_cryosam.picker import CryoSAM
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.progress import Progress
from aitom_cryosam.propagator import Propagator
from aitom_cryosam.record import Record
from aitom_cryosam.regions import RegionMask, Regions
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.resources import Resources
from aitom_cryosam.result import Result
from aitom_cryosam.selection import Selection, write_selection
from aitom_cryosam.settings import Settings
from aitom_cryosam.tomogram import Tomogram

SUGGESTED = 20
"""Places that a pick suggests to judge."""


class _Remembered:
    """Masks of a propagator, each point's made once.

    Args:
        propagator: that makes them.
        masks: by the point's bytes; filled.
    """

    def __init__(self, propagator: Propagator, masks: dict[bytes, ParticleMask]) -> None:
        self._propagator = propagator
        self._masks = masks

    def start(
        self,
        tomogram: Tomogram,
        points_zyx: np.ndarray,
        *,
        progress: Progress | None = None,
        stage: str = "masks",
    ) -> list[ParticleMask]:
        """As `Propagator.start`."""
        return self._propagator.start(tomogram, points_zyx, progress=progress, stage=stage)

    def propagate(
        self,
        tomogram: Tomogram,
        points_zyx: np.ndarray,
        *,
        progress: Progress | None = None,
        stage: str = "masks",
    ) -> list[ParticleMask]:
        """As `Propagator.propagate`."""
        points = np.asarray(points_zyx, np.float64).reshape(-1, 3)
        keys = [point.tobytes() for point in points]
        new = np.array([key not in self._masks for key in keys], bool)
        made = self._propagator.propagate(tomogram, points[new], progress=progress, stage=stage)
        for row, mask in zip(np.flatnonzero(new), made, strict=True):
            self._masks[keys[row]] = mask
        return [replace(self._masks[key], id=number) for number, key in enumerate(keys, 1)]


class _Keeping(CryoSAM):
    """A picker that makes features and masks of a tomogram once.

    Those of the diameter that it is first asked for: to keep all that it tries would take too much
    memory.
    """

    def __init__(self, session: Session, settings: Settings, progress: Progress | None) -> None:
        super().__init__(settings, resources=session.resources, progress=progress)
        self._session = session
        self._first: float | None = None  # diameter, voxels

    def _keeps(self, diameter_voxels: float) -> bool:
        """See to it that the session keeps what is of this diameter, if it is the first."""
        self._first = self._first or diameter_voxels
        if diameter_voxels != self._first:
            return False
        self._session.keep(diameter_voxels, self.settings)
        return True

    def propagator(self, tomogram: Tomogram, diameter_voxels: float) -> Propagator:
        if not self._keeps(diameter_voxels):
            return super().propagator(tomogram, diameter_voxels)
        return _Remembered(super().propagator(tomogram, diameter_voxels), self._session.masks)

    def features(self, tomogram: Tomogram, diameter_voxels: float) -> TriplanarFeatures:
        if not self._keeps(diameter_voxels):
            return super().features(tomogram, diameter_voxels)
        if self._session.features is None:
            self._session.features = super().features(tomogram, diameter_voxels)
        return self._session.features


class Session:
    """Masks and picks of one tomogram, as often as they are asked for.

    Args:
        tomogram: to work on.
        resources: device, memory and checkpoints.
    """

    def __init__(self, tomogram: Tomogram, resources: Resources | None = None) -> None:
        self.tomogram = tomogram
        self.resources = resources or Resources()
        self.features: TriplanarFeatures | None = None
        self.masks: dict[bytes, ParticleMask] = {}
        self._kept_for: tuple[object, ...] = ()

    def keep(self, diameter_voxels: float, settings: Settings) -> None:
        """Keep features and masks as long as diameter and settings stay the same."""
        what = (round(diameter_voxels, 3), replace(settings, diameter_angstrom=None))
        if self._kept_for != what:
            self.features, self.masks, self._kept_for = None, {}, what

    def diameter_angstrom(self, points_zyx: np.ndarray, settings: Settings) -> float:
        """As it was given, or estimated from clicks."""
        return (
            particle_size(self.tomogram, points_zyx, settings).diameter_voxels
            * self.tomogram.voxel_size
        )

    def mask(
        self,
        point_zyx: np.ndarray,
        settings: Settings,
        progress: Progress | None = None,
        *,
        begun: Callable[[ParticleMask], None] | None = None,
    ) -> ParticleMask:
        """The mask that one click gives.

        Args:
            point_zyx: (3,) voxels, the click.
            settings: of the run.
            progress: told how far it is.
            begun: called with what is known of the mask after a moment.

        Raises:
            InputError: the click lies outside, or gives no mask.
            Cancelled: by `progress`.
        """
        point = np.asarray(point_zyx, np.float64).reshape(1, 3)
        self._inside(point)
        diameter = self.diameter_angstrom(point, settings)
        picker = _Keeping(self, replace(settings, diameter_angstrom=diameter), None)
        walks = picker.propagator(self.tomogram, diameter / self.tomogram.voxel_size)
        if begun is not None:
            (mask,) = walks.start(self.tomogram, point, progress=progress, stage="outline")
            begun(mask)
        (mask,) = walks.propagate(self.tomogram, point, progress=progress, stage="mask")
        if not mask.volume:
            raise InputError("This click gives no mask", Remedy.NEARER_PROMPT)
        return mask

    def pick(
        self,
        clicks_zyx: np.ndarray,
        negatives_zyx: np.ndarray,
        settings: Settings,
        progress: Progress | None = None,
        *,
        region: np.ndarray | None = None,
    ) -> Result:
        """Pick; what lies at a negative click, or is more like it, is left out.

        Args:
            clicks_zyx: (n, 3) voxels, on particles.
            negatives_zyx: (m, 3) voxels, on something else.
            settings: of the run.
            progress: told how far it is.
            region: (D, H, W), picks lie where it is not 0; None for everywhere.

        Raises:
            InputError: a click lies outside, a negative one on another, none gives a mask, or
                the region is empty.
            Cancelled: by `progress`.
        """
        self._inside(clicks_zyx)
        self._inside(negatives_zyx)
        if not len(clicks_zyx):
            raise InputError("There is no click", Remedy.PROMPT)
        picker = _Keeping(self, settings, progress)
        regions = None if region is None else self._regions(region)
        return picker.pick(
            self.tomogram,
            Picks.from_points(clicks_zyx),
            rejects=Picks.from_points(negatives_zyx),
            regions=regions,
            suggest=SUGGESTED,
        )

    def save(
        self, result: Result, curated: Picks, folder: Path, *, star: Sequence[str] = ()
    ) -> dict[str, Path]:
        """Write the files of the command, with a person's verdict.

        Args:
            result: of `pick`.
            curated: its proposals, in their order, with the verdict.
            folder: made if it is missing; files there are replaced.
            star: further flavours.

        Raises:
            InputError: the folder cannot be written.
        """
        known = {mask.id: mask for mask in result.masks}
        grown = self._grown(curated, set(known), result.settings, result.diameter_angstrom)
        known |= {mask.id: mask for mask in grown}
        chosen = [known[number] for number in curated.ids[curated.kept].tolist()]
        changed = replace(result, proposals=curated, masks=chosen)
        return changed.write(folder, star=star, overwrite=True)

    def save_again(self, record: Record, curated: Picks, folder: Path) -> Mapping[str, Path]:
        """As `save`, of a result that was opened from its files.

        Raises:
            InputError: the result's files are not of one run, or the folder cannot be written.
        """
        known = set(record.picks.ids.tolist())
        masks = self._grown(curated, known, record.settings, record.diameter_angstrom)
        written = write_selection(record, Selection(), curated, folder, masks=masks, overwrite=True)
        return written.files

    def _grown(
        self, curated: Picks, known: set[int], settings: Settings, diameter_angstrom: float
    ) -> list[ParticleMask]:
        """Masks of the picks that have none yet."""
        new = curated.take(curated.kept & ~np.isin(curated.ids, list(known)))
        picker = _Keeping(self, replace(settings, diameter_angstrom=diameter_angstrom), None)
        walks = picker.propagator(self.tomogram, diameter_angstrom / self.tomogram.voxel_size)
        masks = walks.propagate(self.tomogram, new.points_zyx)
        return [replace(mask, id=i) for mask, i in zip(masks, new.ids.tolist(), strict=True)]

    def _regions(self, region: np.ndarray) -> Regions:
        """Where the voxels of a layer are not 0."""
        if region.shape != self.tomogram.shape:
            raise InputError(
                f"The region's layer has {region.shape} voxels; expected the tomogram's "
                f"{self.tomogram.shape}."
            )
        inside = region != 0
        if not inside.any():
            raise InputError("The region is empty: paint where picks may lie.")
        mask = RegionMask("region", inside, 1, self.tomogram.voxel_size)
        return Regions(shape_zyx=self.tomogram.shape, region=mask)

    def _inside(self, points_zyx: np.ndarray) -> None:
        points = np.asarray(points_zyx, np.float64).reshape(-1, 3)
        outside = TomogramInfo.of(self.tomogram).outside(points)
        if len(outside):
            x, y, z = points[outside[0]][::-1]
            raise InputError(f"The click {x:.0f}, {y:.0f}, {z:.0f} lies outside the tomogram.")
