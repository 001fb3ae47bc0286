"""Reference: what particles are aligned to, an average or a map from a file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.volumes.density_map import read_density_map, resampled

logger = logging.getLogger(__name__)

_WIDE = 3.0  # times as wide as a box of a particle, or less by that, is of something else
_DARK = -1.0  # third moment of densities about the rim, in deviations; maps have 2 and more
_FEW = 8  # contributors from which on a reference has been seen from all sides


@dataclass(frozen=True, eq=False)
class Reference:
    """What particles are aligned to.

    Attributes:
        box: (n, n, n) float32, masked, the particle's middle at voxel n // 2.
        seen: the wedge and the rotation of each particle in it, if these are few; what none of
            them has measured does not count. Empty: every frequency counts.
    """

    box: np.ndarray
    seen: tuple[tuple[MissingWedge, Rotation], ...] = ()

    def coverage(self, points_xyz: np.ndarray) -> np.ndarray | None:
        """(...) float32, 1 where the reference knows the spectrum; None if it does everywhere."""
        if not 0 < len(self.seen) < _FEW:
            return None
        return np.maximum.reduce(
            [
                wedge.weights(points_xyz @ rotation.as_matrix().T.astype(np.float32))
                for wedge, rotation in self.seen
            ]
        )


def read_reference(
    path: str | Path, size: int, voxel_size: float, *, map_voxel_size: float | None = None
) -> Reference:
    """A map, resampled, with a line in the log, if its voxels are of another size.

    It is told where protein seems to be dark in it, or its size that of something else.

    Args:
        path: MRC, protein bright; its middle is voxel n // 2, as in RELION.
        size: voxels of the box.
        voxel_size: Å, of the box.
        map_voxel_size: Å, instead of the one in the file's header.

    Raises:
        InputError: no such file, no voxel size, or nothing in it.
    """
    data, stated = read_density_map(
        path, voxel_size, Remedy.REFERENCE_VOXEL_SIZE, voxel_size=map_voxel_size
    )
    factor = voxel_size / stated
    first = np.array(data.shape) // 2 - factor * (size // 2)
    rim = np.median(np.concatenate([data[end].ravel() for end in (0, -1)]))
    box = resampled(data - rim, factor, first, (size,) * 3)
    width, wanted = stated * max(data.shape), voxel_size * size
    if not 1 / _WIDE < width / wanted < _WIDE:
        logger.warning(
            "%s is %.0f Å wide, but the boxes of the particles are %.0f Å; if it is the map of one "
            "such particle, its voxel size is wrong: %s.",
            path,
            width,
            wanted,
            Remedy.REFERENCE_VOXEL_SIZE.said(),
        )
    smooth = ndimage.gaussian_filter(box, 1)
    if (smooth**3).mean() < _DARK * (smooth**2).mean() ** 1.5:
        logger.warning(
            "%s: protein seems to be dark in it, but is expected to be bright; if so, multiply "
            "the map by -1.",
            path,
        )
    return Reference(np.asarray(box - box.mean(), np.float32))
