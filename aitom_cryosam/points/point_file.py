"""PointFile: the points of one file, in voxels of the tomogram they belong to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aitom_cryosam.picks import Picks
from aitom_cryosam.volumes.volume import Triple


@dataclass(frozen=True, eq=False)
class PointFile:
    """The points of one file, of one or several tomograms.

    Attributes:
        path: the file.
        picks: n points in voxels.
        names: n tomogram names as written, or None if the file does not say.
        voxel_size: Å, as the file states for its coordinates, or None.
        has_ids: whether the file itself numbers its points, as ours do.
        shape_zyx: (D, H, W) of the tomogram, if whoever read the file knew it.
        tomogram: its file, likewise.
        noted_shift: likewise, as in `TomogramInfo`.
    """

    path: Path
    picks: Picks
    names: tuple[str, ...] | None = None
    voxel_size: float | None = None
    has_ids: bool = False
    shape_zyx: tuple[int, int, int] | None = None
    tomogram: Path | None = None
    noted_shift: Triple = (0.0, 0.0, 0.0)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The particle class of each point, or None if the file does not say."""
        return self.picks.classes

    def take(self, index: np.ndarray) -> PointFile:
        """The points of (m,) indices, in their order, or of (n,) booleans."""
        rows = np.arange(len(self.picks))[np.asarray(index)]
        names = self.names and tuple(self.names[row] for row in rows)
        return replace(self, picks=self.picks.take(rows), names=names)
