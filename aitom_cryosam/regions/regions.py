"""Regions: which places of a tomogram may hold picks, and why the others may not."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.regions.lamella import Slab, find_slab
from aitom_cryosam.regions.mask import RegionMask
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

OUTSIDE = "outside the region"
EXCLUDED = "near an excluded structure"
EDGE = "at the edge"
ICE = "outside the lamella"


@dataclass(frozen=True, kw_only=True)
class RegionRules:
    """Where picks may lie, before a tomogram is opened. Lengths in Å.

    Attributes:
        region: mask file; only what lies inside counts.
        exclude: mask files of structures that picks keep away from, as membranes or gold.
        exclude_distance: Å, the least distance from the surface of an excluded structure.
        edge: Å, the least distance from the faces of the tomogram.
        lamella: "auto" finds the slab of the sample between empty ice along z.

    Raises:
        InputError: a value makes no sense.
    """

    region: Path | None = None
    exclude: tuple[Path, ...] = ()
    exclude_distance: float = 0.0
    edge: float = 0.0
    lamella: Literal["none", "auto"] = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "region", Path(self.region) if self.region else None)
        object.__setattr__(self, "exclude", tuple(map(Path, self.exclude)))
        for name in ("exclude_distance", "edge"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(
                    f"Expected {name} as a length of 0 Å or more, got {getattr(self, name)!r}."
                )
        if self.lamella not in ("none", "auto"):
            raise InputError(f"Expected lamella none or auto, got {self.lamella!r}.")
        if self.exclude_distance and not self.exclude:
            raise InputError("A distance to excluded structures needs a mask of them: exclude.")

    @property
    def any(self) -> bool:
        """Whether they leave anything out."""
        return self != RegionRules()

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for `from_json`."""
        return {
            **asdict(self),
            "region": None if self.region is None else str(self.region),
            "exclude": list(map(str, self.exclude)),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RegionRules:
        """What `to_json` gave.

        Raises:
            InputError: a key is not known, or a value cannot be used.
        """
        try:
            return cls(**{**values, "exclude": tuple(values.get("exclude", ()))})
        except TypeError:
            known = ", ".join(one.name for one in fields(cls))
            raise InputError(f"Expected rules for regions ({known}), got {dict(values)}.") from None

    def of(self, tomogram: Tomogram) -> Regions:
        """The rules with their masks read.

        Raises:
            InputError: a mask cannot be used, or nothing is left of the tomogram.
        """
        region = None if self.region is None else RegionMask.open(self.region, tomogram)
        if region is not None and region.is_everything:
            logger.warning("%s covers the whole tomogram; it leaves nothing out.", self.region)
            region = None
        excluded = tuple(RegionMask.open(path, tomogram) for path in self.exclude)
        for mask, path in zip(excluded, self.exclude, strict=True):
            if mask.is_everything:
                raise InputError(f"{path} covers the whole tomogram; nothing would be left of it.")
        slab = find_slab(tomogram) if self.lamella == "auto" else None
        edge = self.edge / tomogram.voxel_size
        if 2 * edge >= min(tomogram.shape):
            raise InputError(
                f"An edge of {self.edge:g} Å leaves nothing of a tomogram whose smallest side is "
                f"{min(tomogram.shape) * tomogram.voxel_size:g} Å."
            )
        return Regions(
            shape_zyx=tomogram.shape,
            region=region,
            excluded=excluded,
            exclude_distance=self.exclude_distance,
            edge_voxels=edge,
            slab=slab,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Regions:
    """Where picks may lie in one tomogram.

    Attributes:
        shape_zyx: (D, H, W) of the tomogram.
        region: only what lies inside counts; None for the whole tomogram.
        excluded: structures that picks keep away from.
        exclude_distance: Å, from their surface.
        edge_voxels: from the faces of the tomogram.
        slab: of the sample; None for the whole tomogram.
    """

    shape_zyx: tuple[int, int, int]
    region: RegionMask | None = None
    excluded: Sequence[RegionMask] = ()
    exclude_distance: float = 0.0
    edge_voxels: float = 0.0
    slab: Slab | None = None

    def left_out(self, points_zyx: np.ndarray) -> dict[str, np.ndarray]:
        """(n,) bool by reason, the points that it leaves out; a point may have several.

        Args:
            points_zyx: (n, 3) voxels.
        """
        out: dict[str, np.ndarray] = {}
        if self.region is not None:
            out[OUTSIDE] = ~self.region.contains(points_zyx)
        if self.slab is not None:
            out[ICE] = ~self.slab.contains(points_zyx)
        if self.excluded:
            near = [m.signed_distance(points_zyx) <= self.exclude_distance for m in self.excluded]
            out[EXCLUDED] = np.any(near, axis=0)
        if self.edge_voxels:
            gaps = np.minimum(points_zyx + 0.5, np.array(self.shape_zyx) - 0.5 - points_zyx)
            out[EDGE] = gaps.min(axis=1, initial=np.inf) < self.edge_voxels
        return out

    def allows(self, points_zyx: np.ndarray) -> np.ndarray:
        """(n,) bool, whether picks may lie at each point (n, 3), voxels."""
        allowed = np.ones(len(points_zyx), bool)
        for out in self.left_out(points_zyx).values():
            allowed &= ~out
        return allowed

    def distances_angstrom(self, points_zyx: np.ndarray) -> dict[str, np.ndarray]:
        """(n,) Å to the surface of each mask, negative inside, by its name."""
        masks = [*([self.region] if self.region is not None else []), *self.excluded]
        return {mask.name: mask.signed_distance(points_zyx) for mask in masks}


def located(picks: Picks, regions: Regions | None) -> Picks:
    """The picks with those left out that lie where they may not, and their distances in `extra`.

    Args:
        picks: n.
        regions: None leaves the picks as they are.
    """
    if regions is None:
        return picks
    for reason, out in regions.left_out(picks.points_zyx).items():
        picks = picks.reject(out, reason)
    columns = {
        f"cryosamDistance{name.capitalize()}": tuple(f"{value:.1f}" for value in distances)
        for name, distances in regions.distances_angstrom(picks.points_zyx).items()
    }
    return replace(picks, extra={**picks.extra, **columns})
