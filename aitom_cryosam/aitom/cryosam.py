"""CryoSAM in AITom's manner: set up by op dictionaries, giving records and arrays x, y, z."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from aitom_cryosam.aitom.op import (
    RESOURCES_KEYS,
    SETTINGS_KEYS,
    VOLUME_KEYS,
    Key,
    Volume,
    anything,
    checked,
    clicks_of,
    count,
    resources_of,
    settings_of,
    tomogram_of,
)
from aitom_cryosam.doors import Door
from aitom_cryosam.errors import InputError, at_door
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.job import Job, pick
from aitom_cryosam.masks import ParticleMask, labels
from aitom_cryosam.picker import CryoSAM
from aitom_cryosam.points.formats.aitom import Record, records
from aitom_cryosam.points.prompts import read_prompts
from aitom_cryosam.progress import Progress
from aitom_cryosam.result import Result
from aitom_cryosam.tomogram import Tomogram


def picking(path: Volume, prompts: Any = None, **op: Any) -> list[Record]:
    """Pick every copy of the particles that the prompts point at.

    The counterpart of `aitom.bin.picking.picking`.

    Args:
        path: an MRC file, an array (x, y, z) as AITom reads it, or a `Tomogram`.
        prompts: rows of x, y, z in voxels, `Picks`, or a STAR or CSV file.
        op: any key of `CryoSAMPicker`'s op; an array needs its voxel_size, Å.

    Returns:
        AITom's records, best first.

    Raises:
        InputError: the volume, a prompt or a key of op cannot be used.
    """
    return CryoSAMPicker(op).pick(path, prompts)


class _Configured:
    """Set up by an op.

    Args:
        op: any field of `Settings`, upon the "preset" that it may name; and "voxel_size" (Å)
            and "contrast" of the volume, where it does not know them.
        progress: as for `CryoSAM`.

    Raises:
        InputError: a key is unknown, or a value cannot be used.
    """

    keys: ClassVar[dict[str, Key]] = {
        **VOLUME_KEYS,
        **SETTINGS_KEYS,
        **RESOURCES_KEYS,
    }

    @at_door(Door.AITOM)
    def __init__(
        self, op: Mapping[str, Any] | None = None, *, progress: Progress | None = None
    ) -> None:
        self.op = checked(op, self.keys, type(self).__name__)
        self.resources = resources_of(self.op)
        self.settings = settings_of(self.op, self.resources)
        self._progress = progress
        self._cryosam = CryoSAM(self.settings, resources=self.resources, progress=progress)

    def _diameter(self, voxel_size: float) -> float:
        """Voxels."""
        if self.settings.diameter_angstrom is None:
            raise InputError(
                f"Give the particle's diameter, Å, in the op of {type(self).__name__}."
            )
        return self.settings.diameter_angstrom / voxel_size


class CryoSAMPicker(_Configured):
    """The whole method.

    Its op also takes "prompts", "rejects", which are clicks on something else, and "pick_num",
    the most picks to return.
    """

    keys: ClassVar[dict[str, Key]] = {
        "prompts": (anything, ""),
        "rejects": (anything, ""),
        "pick_num": (count, "a whole number from 1"),
        **_Configured.keys,
    }

    def pick(self, volume: Volume, prompts: Any = None, rejects: Any = None) -> list[Record]:
        """AITom's records of the picks, best first.

        Args:
            volume: an MRC file, an array (x, y, z), or a `Tomogram`.
            prompts: rows of x, y, z in voxels, `Picks` or a file; those of op if None.
            rejects: likewise; none if op has none.
        """
        result = self.run(volume, prompts, rejects)
        return records(result.picks, result.tomogram.name)[: self.op.get("pick_num")]

    @at_door(Door.AITOM)
    def run(self, volume: Volume, prompts: Any = None, rejects: Any = None) -> Result:
        """As `pick`, but with the masks, the proposals that were left out, and the files."""
        given = {"prompts": prompts, "rejects": rejects}
        clicks = {kind: self.op.get(kind) if v is None else v for kind, v in given.items()}
        job = Job(
            tomogram=tomogram_of(volume, self.op),
            settings=self.settings,
            resources=self.resources,
            **clicks_of(clicks["prompts"]),
            **clicks_of(clicks["rejects"], "rejects"),
        )
        return pick(job, progress=self._progress)


class CryoSAMEncoder(_Configured):
    """The plane encoder with the features it makes; its op needs the "diameter"."""

    @at_door(Door.AITOM)
    def encode(self, volume: Volume) -> TriplanarFeatures:
        """The features of a volume (paper section 2.2)."""
        tomogram = tomogram_of(volume, self.op)
        return self._cryosam.features(tomogram, self._diameter(tomogram.voxel_size))


class CryoSAMSegmenter(_Configured):
    """The plane segmenter with the walks across planes; its op needs the "diameter"."""

    @at_door(Door.AITOM)
    def masks(self, volume: Volume, prompts: Any) -> list[ParticleMask]:
        """One mask a prompt (paper section 2.1); where nothing was found, empty or a ball."""
        return self._masks(tomogram_of(volume, self.op), prompts)

    @at_door(Door.AITOM)
    def segment(self, volume: Volume, prompts: Any) -> np.ndarray:
        """(x, y, z) int32: the number of the prompt, from 1, in every voxel of its mask."""
        tomogram = tomogram_of(volume, self.op)
        return labels(tomogram.shape, self._masks(tomogram, prompts)).T.astype(np.int32)

    def _masks(self, tomogram: Tomogram, prompts: Any) -> list[ParticleMask]:
        propagator = self._cryosam.propagator(tomogram, self._diameter(tomogram.voxel_size))
        given = clicks_of(prompts)
        points = read_prompts(tomogram, given["prompts"], given.get("prompts_file"))
        return propagator.propagate(tomogram, points.points_zyx)


class CryoSAMMatcher(_Configured):
    """The hierarchical matcher; its op needs the "diameter" and the "voxel_size"."""

    @at_door(Door.AITOM)
    def match(self, features: TriplanarFeatures, query: np.ndarray) -> list[Record]:
        """The best top_k places whose features resemble the query (paper section 2.3).

        Args:
            features: of `CryoSAMEncoder`.
            query: (3C,) such as `features.masked_mean(masks)`.
        """
        if "voxel_size" not in self.op:
            raise InputError("Give the features' voxel_size, Å, in the op of CryoSAMMatcher.")
        diameter = self._diameter(self.op["voxel_size"])
        return records(self._cryosam.match(features, query, diameter)[1])
