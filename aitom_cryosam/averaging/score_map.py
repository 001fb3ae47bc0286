"""Score map: how well an average fits at every place of a tomogram, in the best of all turns.

Template matching. The score is the local normalised cross-correlation under a mask (Roseman
2003, Ultramicroscopy 94): tomogram and turned average are both whitened and cut to what the tilt
series has measured, and their means and deviations under the mask are taken out, at every place.
No detail is used that a turn half a step off would blur, so voxels are as coarse as that allows.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.rotations import all_rotations
from aitom_cryosam.averaging.shells import search_shell
from aitom_cryosam.averaging.slabs import check_memory, correlated
from aitom_cryosam.averaging.spectra import Ball, Readable
from aitom_cryosam.averaging.subvolumes import particle_ball
from aitom_cryosam.averaging.template import Template
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.geometry import binned_coordinate, nearest_voxel, unbinned_coordinate
from aitom_cryosam.picks import suppressed
from aitom_cryosam.progress import Progress
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

_FILTER_BYTES = 28  # of a voxel while the tomogram is filtered


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """The best score at every place of a tomogram.

    Attributes:
        values: (d, h, w) float32, -1 to 1.
        bin: tomogram voxels along one of the map's.
    """

    values: np.ndarray
    bin: int

    def best_near(self, points_zyx: np.ndarray, reach: float) -> np.ndarray:
        """(n,) the best score around each of (n, 3) tomogram voxels, up to `reach` voxels off."""
        centres = nearest_voxel(binned_coordinate(points_zyx, self.bin))
        width = round(reach / self.bin)
        found = []
        for centre in np.clip(centres, 0, np.array(self.values.shape) - 1):
            cut = tuple(slice(max(0, c - width), c + width + 1) for c in centre)
            found.append(self.values[cut].max())
        return np.array(found)

    def maxima(self, distance: float) -> tuple[np.ndarray, np.ndarray]:
        """Where the score is highest, of everything within `distance` tomogram voxels.

        Returns:
            (n, 3) tomogram voxels and (n,) scores, the best first.
        """
        width = int(distance / self.bin / math.sqrt(3))  # of a cube inside the ball
        highest = ndimage.maximum_filter(self.values, 2 * max(width, 1) + 1) == self.values
        places = np.argwhere(highest & (self.values > 0))
        scores = self.values[tuple(places.T)]
        points = unbinned_coordinate(places, self.bin)
        best = suppressed(points, scores, distance)
        return points[best], scores[best]


def score_map(
    tomogram: Tomogram,
    average: Average,
    wedge: MissingWedge,
    *,
    diameter: float,
    step: float,
    device: str = "cpu",
    memory: float = math.inf,
    progress: Progress | None = None,
) -> ScoreMap:
    """Slide an average over all of a tomogram; says how long it will take before it does.

    Args:
        tomogram: to search.
        average: to look for.
        wedge: of the tilt series.
        diameter: Å, of the particle.
        step: degrees between turns.
        device: of torch.
        memory: bytes that the device may give.
        progress: told of every turn.

    Raises:
        InputError: the memory does not suffice for the thinnest slab.
    """
    size, across = len(average.volume), diameter / average.voxel_size
    shell = search_shell(size, across, step, average.agreed_shell)
    coarser = max(1, size // (2 * shell + 2))
    bin_ = coarser * round(average.voxel_size / tomogram.voxel_size)
    box = 2 * math.ceil(size / coarser / 2)
    scale = size / (box * coarser)
    ball = Ball(box, min(shell / scale, box / 2 - 1))
    rotations = all_rotations(step)
    check_memory(math.prod(tomogram.shape) / bin_**3 * _FILTER_BYTES, memory)
    values, spectrum_weights = _whitened(tomogram.binned(bin_), ball, wedge)
    template = _template(average, ball, scale, spectrum_weights, wedge, across / coarser, device)
    logger.info(
        "%s: the average is looked for everywhere, in %d turns, %g° apart, in voxels of %.0f Å.",
        tomogram.name,
        len(rotations),
        step,
        bin_ * tomogram.voxel_size,
    )
    return ScoreMap(correlated(values, template, rotations, memory, progress), bin_)


def _whitened(volume: np.ndarray, ball: Ball, wedge: MissingWedge) -> tuple[np.ndarray, np.ndarray]:
    """The volume with equal power in all shells that the ball has, and none elsewhere.

    Returns:
        (d, h, w) float32, and (shells,) weights, of shell 0 first.
    """
    spectrum = fft.rfftn(volume, workers=-1)
    axes = [fft.fftfreq(n) * ball.size for n in volume.shape[:2]]
    x = fft.rfftfreq(volume.shape[2]) * ball.size
    y = axes[1][:, None]
    last = math.floor(ball.radius)
    power, count = np.zeros(last + 2), np.zeros(last + 2)
    for z, plane in zip(axes[0], spectrum, strict=True):
        shells = np.minimum(np.floor(np.sqrt(x**2 + y**2 + z**2) + 0.5), last + 1).astype(int)
        measured = wedge.weights(_points(x, y, z)) > 0.5
        power += np.bincount(shells[measured], np.abs(plane[measured]) ** 2, last + 2)
        count += np.bincount(shells[measured], minlength=last + 2)
    weights = np.sqrt(np.maximum(count, 1) / np.maximum(power, 1e-20))[: last + 1]
    weights[0] = 0
    for i, z in enumerate(axes[0]):
        radius = np.sqrt(x**2 + y**2 + z**2)
        spectrum[i] *= _interpolated(radius, weights, ball) * wedge.weights(_points(x, y, z))
    return fft.irfftn(spectrum, volume.shape, workers=-1), weights


def _points(x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
    """(h, w, 3) frequencies of one plane."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    return np.stack(
        [np.broadcast_to(x, shape), np.broadcast_to(y, shape), np.full(shape, z)], axis=-1
    )


def _interpolated(radius: np.ndarray, weights: np.ndarray, ball: Ball) -> np.ndarray:
    """The weights of shells at any distances from the origin; 0 beyond the ball."""
    between = np.interp(radius, np.arange(1, len(weights)), weights[1:])
    return np.where((radius > 0.5) & (radius <= ball.radius), between, 0).astype(np.float32)


def _template(
    average: Average,
    ball: Ball,
    scale: float,
    spectrum_weights: np.ndarray,
    wedge: MissingWedge,
    across: float,
    device: str,
) -> Template:
    import torch

    weights = _interpolated(ball.lengths, spectrum_weights, ball) * wedge.weights(ball.points_xyz)
    return Template(
        ball,
        scale,
        torch.from_numpy(weights.astype(np.float32)).to(device),
        torch.from_numpy(particle_ball(ball.size, across)).to(device),
        Readable((average.volume * average.mask)[None], device),
    )
