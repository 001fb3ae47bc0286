"""Score map: how well an average fits at every place of a tomogram, in the best of all turns.

Template matching. The score is the local normalised cross-correlation under a mask (Roseman
2003, Ultramicroscopy 94): tomogram and turned average are both whitened and cut to what the tilt
series has measured, and their means and deviations under the mask are taken out, at every place.
No detail is used that a turn half a step off would blur, so voxels are as coarse as that allows.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.rotations import all_rotations
from aitom_cryosam.averaging.shells import search_shell
from aitom_cryosam.averaging.spectra import Ball, Readable
from aitom_cryosam.averaging.subvolumes import particle_ball
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.binning import binned
from aitom_cryosam.errors import InputError, Remedy
from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.picks import suppressed
from aitom_cryosam.progress import Progress, Steps
from aitom_cryosam.resources import size_text
from aitom_cryosam.tomogram import Tomogram

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_FILTER_BYTES, _SLAB_BYTES = 28, 48  # of a voxel while the tomogram is filtered, and correlated
_BATCH = 2_000_000  # voxels that are correlated at once, unless one turn takes more
_FLAT = 1e-3  # of the mean variance: a place that varies less is blank


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
        centres = nearest_voxel((points_zyx - (self.bin - 1) / 2) / self.bin)
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
        points = places * float(self.bin) + (self.bin - 1) / 2
        best = suppressed(points, scores, distance)
        return points[best], scores[best]


@dataclass(frozen=True, eq=False)
class Template:
    """An average as it is looked for: in the map's voxels, whitened, in any turn.

    Attributes:
        ball: frequencies of a box of the map's voxels.
        scale: steps of the average's transform in one of the box's.
        weights: (k,) of the frequencies, 0 where the tilt series has measured nothing.
        mask: (size, size, size) float32, 0 to 1.
        read: the average's spectrum.
    """

    ball: Ball
    scale: float
    weights: torch.Tensor
    mask: torch.Tensor
    read: Readable

    def turned(self, rotations: Rotation) -> torch.Tensor:
        """(n, size, size, size) under the mask: its mean is 0, its length is 1."""
        import torch

        size, n = self.ball.size, len(rotations)
        device = self.weights.device
        matrices = rotations.as_matrix().astype(np.float32)
        points = self.ball.points_xyz.astype(np.float32) * np.float32(self.scale) @ matrices
        asked = torch.from_numpy(points.reshape(1, -1, 3)).to(device)
        values = self.read.at(asked).reshape(n, -1) * self.weights
        spectra = torch.zeros((n, size, size, size), dtype=values.dtype, device=device)
        x, y, z = torch.from_numpy(self.ball.points_xyz.T).to(device)
        spectra[:, z, y, x] = values
        spectra[:, -z, -y, -x] = values.conj()
        boxes = torch.fft.fftshift(torch.fft.ifftn(spectra, dim=(1, 2, 3)).real, dim=(1, 2, 3))
        means = (boxes * self.mask).sum(dim=(1, 2, 3), keepdim=True) / self.mask.sum()
        boxes = boxes - means
        lengths = (self.mask * boxes**2).sum(dim=(1, 2, 3), keepdim=True).sqrt()
        return self.mask * boxes / lengths.clamp_min(1e-20)


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
    _check_memory(math.prod(tomogram.shape) / bin_**3 * _FILTER_BYTES, memory)
    values, spectrum_weights = _whitened(_binned(tomogram, bin_), ball, wedge)
    template = _template(average, ball, scale, spectrum_weights, wedge, across / coarser, device)
    logger.info(
        "%s: the average is looked for everywhere, in %d turns, %g° apart, in voxels of %.0f Å.",
        tomogram.name,
        len(rotations),
        step,
        bin_ * tomogram.voxel_size,
    )
    return ScoreMap(correlated(values, template, rotations, memory, progress), bin_)


def _binned(tomogram: Tomogram, bin_: int) -> np.ndarray:
    """(d, h, w) float32, read a few planes at a time."""
    planes = [
        binned(tomogram.box([z, 0, 0], [z + bin_, *tomogram.shape[1:]]), bin_)
        for z in range(0, tomogram.shape[0] - bin_ + 1, bin_)
    ]
    return np.concatenate(planes)


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


def correlated(
    volume: np.ndarray,
    template: Template,
    rotations: Rotation,
    memory: float = math.inf,
    progress: Progress | None = None,
) -> np.ndarray:
    """(d, h, w) float32, the best of all turns' local normalised cross-correlations.

    Slab by slab along z; outside the volume everything is 0.

    Args:
        volume: (d, h, w) float32, filtered.
        template: likewise.
        rotations: to try.
        memory: bytes.
        progress: told of every turn of every slab.

    Raises:
        InputError: the memory does not suffice for a slab of one plane.
    """
    depth = _slab_depth(volume.shape, template.ball.size, memory)
    starts = range(0, volume.shape[0], depth)
    clock = _Clock(Steps(progress, "full search", len(starts) * len(rotations)))
    slabs = [
        _Slab(volume, start, min(start + depth, len(volume)), template.mask).best(
            template, rotations, clock
        )
        for start in starts
    ]
    return np.concatenate(slabs)


def _slab_depth(shape: tuple[int, ...], size: int, memory: float) -> int:
    """Planes of a slab."""
    plane = math.prod(fft.next_fast_len(n + size, real=True) for n in shape[1:]) * _SLAB_BYTES
    _check_memory(plane * (size + 1), memory)
    room = min(memory / plane, 2 * (shape[0] + size))
    return min(shape[0], max(1, int(room) - size - size // 8))  # sizes of FFTs are rounded up


def _check_memory(needed: float, memory: float) -> None:
    if needed > memory:
        raise InputError(
            f"The full search needs about {size_text(needed)} of memory, and may use "
            f"{size_text(memory)}",
            Remedy.LARGER_LIMIT,
        )


class _Clock:
    """Says after the first turns how long all will take, and counts them."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self._last: float | None = None
        self._told = False

    def add(self, count: int) -> None:
        now = time.perf_counter()
        if self._last is not None and not self._told:  # the first turns also warm up
            seconds = (now - self._last) / count * self.steps.total
            logger.info("This takes about %s.", duration(seconds))
            self._told = True
        self._last = now
        self.steps.add(count)


def duration(seconds: float) -> str:
    """For people: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


class _Slab:
    """Some planes of a volume and the box's reach around them, in Fourier space.

    Args:
        volume: (d, h, w).
        start: first plane.
        stop: one past the last.
        mask: (size, size, size).
    """

    def __init__(self, volume: np.ndarray, start: int, stop: int, mask: torch.Tensor) -> None:
        import torch

        size = len(mask)
        self.shape = (stop - start, *volume.shape[1:])
        self.lengths = [fft.next_fast_len(n + size, real=True) for n in self.shape]
        first, last = start - size // 2, stop + size
        rows = slice(max(first, 0), min(last, len(volume)))
        # Where a box begins, not where its middle is, counts in the product of transforms.
        front = (size // 2, size // 2, rows.start - first)
        padded = torch.zeros(self.lengths, device=mask.device)
        part = torch.from_numpy(volume[rows]).to(mask.device)[: self.lengths[0] - front[2]]
        d, h, w = part.shape
        padded[front[2] : front[2] + d, front[1] : front[1] + h, front[0] : front[0] + w] = part
        self.spectrum = torch.fft.rfftn(padded)
        sums = self._correlation(mask[None])[0]
        squares = self._correlation(mask[None], torch.fft.rfftn(padded**2))[0]
        variance = squares - sums**2 / mask.sum()
        blank = variance <= _FLAT * variance.mean()
        self.inverse = variance.clamp_min(1e-30).rsqrt().masked_fill(blank, 0)

    def best(self, template: Template, rotations: Rotation, clock: _Clock) -> np.ndarray:
        """(d, h, w) float32."""
        import torch

        best = torch.full_like(self.inverse, -1)
        batch = max(1, _BATCH // math.prod(self.lengths))
        for first in range(0, len(rotations), batch):
            turned = template.turned(rotations[first : first + batch])
            found = self._correlation(turned).amax(dim=0)
            best = torch.maximum(best, found.mul_(self.inverse))
            if best.is_cuda:
                torch.cuda.synchronize(best.device)
            clock.add(len(turned))
        return np.asarray(best.cpu().numpy())

    def _correlation(
        self, boxes: torch.Tensor, spectrum: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(n, d, h, w) of (n, size, size, size) boxes with the slab, or what has `spectrum`.

        Axis by axis: what is 0 before a transform, or is cut off after it, is not transformed.
        """
        import torch

        depth, height, width = self.lengths
        d, h, w = self.shape
        found = torch.fft.rfft(boxes, width, dim=3)
        found = torch.fft.fft(torch.fft.fft(found, height, dim=2), depth, dim=1)
        found = found.conj() * (self.spectrum if spectrum is None else spectrum)
        found = torch.fft.ifft(found, dim=1)[:, :d]
        found = torch.fft.ifft(found, dim=2)[:, :, :h]
        return torch.fft.irfft(found, width, dim=3)[..., :w]
