"""Slabs: a filtered tomogram correlated with a template in all turns, some planes at a time."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.template import Template
from aitom_cryosam.errors import InputError
from aitom_cryosam.progress import Progress, Steps
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.wording import size_text

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_SLAB_BYTES = 48  # of a voxel
_BATCH = 2_000_000  # voxels that are correlated at once, unless one turn takes more
_FLAT = 1e-3  # of the mean variance: a place that varies less is blank


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
    check_memory(plane * (size + 1), memory)
    room = min(memory / plane, 2 * (shape[0] + size))
    return min(shape[0], max(1, int(room) - size - size // 8))  # sizes of FFTs are rounded up


def check_memory(needed: float, memory: float) -> None:
    """Whether so many bytes may be used.

    Raises:
        InputError: they may not.
    """
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
        self._forecast_given = False

    def add(self, count: int) -> None:
        now = time.perf_counter()
        if self._last is not None and not self._forecast_given:  # the first turns also warm up
            seconds = (now - self._last) / count * self.steps.total
            logger.info("This takes about %s.", duration(seconds))
            self._forecast_given = True
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
