"""Ridge filters: where a tomogram looks like a bit of a sheet or of a line, and which way it runs.

A bank of oriented filters is laid over the tomogram, each long along the ridge: across a sheet a
second derivative, across a line a disc, or the ring of a tube, without what is wider. The best
of them says the direction; what looks alike in all directions, a compact particle, is taken off.
Of the response only the crest is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import fft, ndimage
from scipy.special import j0

from aitom_cryosam.progress import Progress, Steps
from aitom_cryosam.targets.ridges import Ridges, across
from aitom_cryosam.tomogram import Tomogram

TRUNCATE = 3.0
"""Standard deviations: a filter ends there."""
_GRID = 0.88  # sigmas: the tomogram is averaged over cells of about that size
_SLAB = 1 << 23  # cells that are filtered at once
_BLOCK = 64  # cells along the edge of the block whose noise is the measure
_QUARTILES = 1.349  # standard deviations between the quartiles of a normal distribution
_LOWEST, _HIGHEST = 3.0, 10.0  # standard deviations of the noise, where values are cut
_SMOOTHING = 32  # of a spectrum: sigma is this part of its width
_QUANTILE = 0.7  # of the response: what lies below is no crest


@dataclass(frozen=True, kw_only=True)
class RidgeShape:
    """What a bit of a ridge looks like.

    Attributes:
        kind: "sheet", whose direction is its normal, or "line", whose direction is its own.
        sigma_angstrom: Å, of the Gaussian across.
        length_angstrom: Å, sigma of the Gaussian along.
        directions: number of directions, spread over the half sphere.
        radius_angstrom: Å, of the wall of a line that is a tube; 0 for a filled one.
        half_width_angstrom: Å, of a line: what is much wider does not count.
    """

    kind: Literal["sheet", "line"]
    sigma_angstrom: float
    length_angstrom: float
    directions: int
    radius_angstrom: float = 0.0
    half_width_angstrom: float = 0.0

    def binning(self, voxel_size: float) -> int:
        """Voxels along a cell of the grid that the filters work on."""
        return max(1, round(_GRID * self.sigma_angstrom / voxel_size))


def find_ridges(
    tomogram: Tomogram, shape: RidgeShape, *, progress: Progress | None = None
) -> tuple[Ridges, Ridges]:
    """The ridges of a tomogram, and those that its noise would have by chance.

    The noise has the spectrum of the tomogram's middle, with random phases: it has the same
    grain and missing wedge, but nothing in it.

    Args:
        tomogram: (D, H, W).
        shape: of a bit of ridge.
        progress: called with "ridges", the directions filtered and their number.
    """
    binning = shape.binning(tomogram.voxel_size)
    cells = _averaged(tomogram, binning)
    middle = _middle(cells)
    noise = _noise(middle)
    bank = _Bank(shape, binning * tomogram.voxel_size)
    slabs = list(_slabs(cells.shape, bank.reach))
    steps = Steps(progress, "ridges", shape.directions * (3 + len(slabs)))
    by_chance = _spreads(bank.responses(noise, steps))
    chance = _crest(*bank.best(noise, by_chance, steps), by_chance, bank, binning, noise)
    scales = _spreads(bank.responses(middle, steps))
    response = np.empty(cells.shape, np.float32)
    which = np.empty(cells.shape, np.uint8)
    for outer, inner, place in slabs:
        values, index = bank.best(cells[:, outer], scales, steps)
        response[:, place], which[:, place] = values[:, inner], index[:, inner]
    return _crest(response, which, scales, bank, binning, cells), chance


def half_sphere(count: int) -> np.ndarray:
    """(count, 3) float32 unit vectors z y x, evenly over the half sphere (a Fibonacci spiral)."""
    along = (np.arange(count) + 0.5) / count
    turn = np.pi * (1 + 5**0.5) * np.arange(count)
    across = np.sqrt(1 - along**2)
    vectors = np.stack([along, across * np.sin(turn), across * np.cos(turn)], axis=1)
    return vectors.astype(np.float32)


class _Bank:
    """The filters of a ridge's shape in all directions.

    Args:
        shape: of a bit of ridge.
        cell_angstrom: Å, size of a cell.
    """

    def __init__(self, shape: RidgeShape, cell_angstrom: float) -> None:
        self.kind = shape.kind
        self.sigma = shape.sigma_angstrom / cell_angstrom
        self.length = shape.length_angstrom / cell_angstrom
        self.radius = shape.radius_angstrom / cell_angstrom
        self.half_width = shape.half_width_angstrom / cell_angstrom
        self.directions = half_sphere(shape.directions)
        self.reach = int(np.ceil(TRUNCATE * max(self.sigma, self.length)))

    def responses(self, cells: np.ndarray, steps: Steps) -> Iterator[np.ndarray]:
        """(d, h, w) float32 for each direction, positive on a ridge of protein."""
        margin = [min(self.reach, size - 1) for size in cells.shape]
        padded = np.pad(cells, [(m, 0) for m in margin], mode="reflect")
        size = [
            fft.next_fast_len(n + m, real=True) for n, m in zip(padded.shape, margin, strict=True)
        ]
        padded = np.pad(
            padded, [(0, n - m) for n, m in zip(size, padded.shape, strict=True)], mode="edge"
        )
        spectrum = fft.rfftn(padded, workers=-1)
        z, y, x = (
            (2 * np.pi * frequency).astype(np.float32)
            for frequency in (*map(fft.fftfreq, size[:2]), fft.rfftfreq(size[2]))
        )
        squares = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2  # (D, H, W / 2 + 1)
        inner = tuple(slice(m, m + n) for m, n in zip(margin, cells.shape, strict=True))
        for a, b, c in self.directions:
            across = (a * z[:, None, None] + b * y[:, None] + c * x) ** 2
            along = squares - across
            if self.kind == "line":
                across, along = along, across
            exponent = self.sigma**2 * across + self.length**2 * along
            filtered = spectrum * (self._profile(across) * np.exp(-0.5 * exponent))
            steps.add(1)
            yield fft.irfftn(filtered, size, workers=-1)[inner]

    def _profile(self, across: np.ndarray) -> np.ndarray:
        """The filter across the ridge but for its Gaussian, at squared frequencies."""
        if self.kind == "sheet":
            return across  # a second derivative
        ring = j0(self.radius * np.sqrt(np.maximum(across, 0))) if self.radius else 1.0
        return ring * (1 - np.exp(-0.5 * self.half_width**2 * across))

    def best(
        self, cells: np.ndarray, scales: np.ndarray, steps: Steps
    ) -> tuple[np.ndarray, np.ndarray]:
        """The largest response above the directions' root mean square, and its direction's number.

        Args:
            cells: (d, h, w).
            scales: of each direction's response to noise.
            steps: done, one a direction.
        """
        largest = np.full(cells.shape, -np.inf, np.float32)
        which = np.zeros(cells.shape, np.uint8)
        squares = np.zeros(cells.shape, np.float32)
        for number, response in enumerate(self.responses(cells, steps)):
            response /= scales[number]
            np.copyto(which, number, where=response > largest)
            np.maximum(largest, response, out=largest)
            squares += response**2
        return largest - np.sqrt(squares / len(self.directions)), which


def _averaged(tomogram: Tomogram, binning: int) -> np.ndarray:
    """(d, h, w) float32, the means of whole cells; what is left at the far faces is left out.

    Gold, and the holes that it leaves where it was erased, would answer to any filter: what is far
    beyond the noise is cut.
    """
    cells = tomogram.binned(binning)
    low, middle, high = np.quantile(cells[:: max(1, len(cells) // 64)], (0.25, 0.5, 0.75))
    spread = (high - low) / _QUARTILES
    return np.clip(cells, middle - _LOWEST * spread, middle + _HIGHEST * spread, out=cells)


def _middle(cells: np.ndarray) -> np.ndarray:
    """The block of cells that stands for all."""
    first = [max(0, (size - _BLOCK) // 2) for size in cells.shape]
    return cells[tuple(slice(start, start + _BLOCK) for start in first)]


def _spreads(responses: Iterable[np.ndarray]) -> np.ndarray:
    """The standard deviation of each, as the noise in it has it: of the middle of the values.

    Structures are few of the values, and answer strongly.
    """
    ends = [np.quantile(one, (0.25, 0.75)) for one in responses]
    return np.array([max((b - a) / _QUARTILES, 1e-6) for a, b in ends], np.float32)


def _noise(middle: np.ndarray) -> np.ndarray:
    """Noise with the spectrum of a block, smoothed.

    A long straight structure has its power in a thin plane of the spectrum; the noise shall have
    the grain and the missing wedge of the tomogram, but none of its structures.
    """
    white = fft.rfftn(np.random.default_rng(0).standard_normal(middle.shape, np.float32))
    power = np.abs(fft.rfftn(middle - middle.mean())) ** 2
    widths = [max(0.5, size / _SMOOTHING) for size in middle.shape]
    power = ndimage.gaussian_filter(power, widths, mode=("wrap", "wrap", "nearest"))
    return fft.irfftn(white * np.sqrt(power / white.size), middle.shape)


def _slabs(shape: Sequence[int], reach: int) -> Iterator[tuple[slice, slice, slice]]:
    """Slabs along y: with a margin, their part without it, and where that lies."""
    size = shape[1]
    step = max(4 * reach, _SLAB * size // max(1, int(np.prod(shape))))
    for start in range(0, size, step):
        stop = min(start + step, size)
        lower, upper = max(0, start - reach), min(size, stop + reach)
        yield slice(lower, upper), slice(start - lower, stop - lower), slice(start, stop)


def _crest(
    response: np.ndarray,
    which: np.ndarray,
    scales: np.ndarray,
    bank: _Bank,
    binning: int,
    source: np.ndarray,
) -> Ridges:
    """The cells (d, h, w) whose response is the largest across the ridge."""
    high = response > np.quantile(response, _QUANTILE)
    cells = np.argwhere(high)
    own = response[high]
    along = bank.directions[which[high]]
    contrasts = own * scales[which[high]]
    crest = np.ones(len(cells), bool)
    offsets = np.zeros((len(cells), 3), np.float32)
    for way in [along] if bank.kind == "sheet" else across(along):
        before, after = (
            ndimage.map_coordinates(response, (cells + side * way).T, order=1, mode="nearest")
            for side in (-1, 1)
        )
        crest &= (own > before) & (own >= after)
        bend = 2 * own - before - after
        shift = np.divide(after - before, 2 * bend, out=np.zeros_like(bend), where=bend > 0)
        offsets += np.clip(shift, -0.5, 0.5)[:, None] * way
    points = cells[crest], binning, offsets[crest], along[crest], own[crest], contrasts[crest]
    return Ridges(bank.kind, *points, source)
