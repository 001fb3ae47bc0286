"""Placement: where ChimeraX shows the voxels of a map, by the map's header."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aitom_cryosam.volumes import ome_zarr
from aitom_cryosam.volumes.mrc_header import MrcHeader
from aitom_cryosam.volumes.volume import Triple

_FAR = 10  # sizes of the map; a first voxel beyond was never filled in


@dataclass(frozen=True)
class Placement:
    """Voxel k, x y z, is shown at origin + k · step.

    Attributes:
        origin_xyz: Å, of the middle of voxel 0.
        step_xyz: Å; 1 where the header says nothing.
    """

    origin_xyz: Triple
    step_xyz: Triple

    @classmethod
    def of(cls, path: Path) -> Placement | None:
        """As ChimeraX's reader of MRC files has it; None for another kind of file.

        The header's origin counts where it is not 0 and is a number that voxels can be told apart
        by, else its first voxel.

        Raises:
            InputError: the header cannot be used.
        """
        if ome_zarr.recognises(path):
            return None
        header = MrcHeader.read(path)
        fields = header.fields
        cells = np.array([int(fields[f"m{axis}"]) for axis in "xyz"])
        lengths = np.array([float(fields.cella[axis]) for axis in "xyz"])
        known = (cells > 0).all() and (lengths > 0).all()
        step = lengths / cells if known else np.ones(3)
        origin = np.array([float(fields.origin[axis]) for axis in "xyz"])
        start = np.array(header.nstart, np.float64)
        usable = np.isfinite(origin).all() and (origin + step != origin).all()
        if not (fields.map.tobytes() == b"MAP " and origin.any() and usable):
            filled = np.abs(start).max() <= _FAR * max(*cells, *header.shape)
            origin = start * step if filled else np.zeros(3)
        return cls(_triple(origin), _triple(step))


def _triple(values: np.ndarray) -> Triple:
    x, y, z = (float(value) if math.isfinite(value) else 0.0 for value in values)
    return x, y, z
