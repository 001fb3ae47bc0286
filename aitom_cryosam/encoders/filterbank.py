"""A hand-made plane encoder: no weights, runs on any CPU.

Gaussian derivatives at four scales, turned into quantities that do not change when the plane
is rotated (intensity, gradient magnitude, the two Hessian eigenvalues), and their local means
and deviations. All lengths follow the particle: its radius sets every scale, so that the same
particle gives the same tokens at any voxel size.
"""

from __future__ import annotations

from threading import local
from typing import Any, cast

import numpy as np

from aitom_cryosam.filters import gaussians
from aitom_cryosam.geometry import TokenAxis, TokenGrid
from aitom_cryosam.scratch import Scratch

# Lengths in units of the particle's radius.
SCALES = (0.1, 0.2, 0.4, 0.6)
TOKEN = 0.45
POOLING = 0.25
WINDOWS = (0.4, 0.7)
RESPONSES = 4 * len(SCALES)
"""Intensity, gradient magnitude and two curvatures, at every scale."""

PIXELS_AT_ONCE = 1 << 17
"""Of a batch of planes: small ones would cost more Python than arithmetic."""
PLANES_AT_ONCE = 1, 16
"""Fewest and most; every thread holds a batch."""
SMALLEST_SIGMA = 0.6  # pixels; below it a sampled Gaussian derivative is not one


class FilterBankEncoder:
    """Rotation-invariant Gaussian-derivative features on a token grid.

    Args:
        diameter_voxels: particle diameter in voxels.
    """

    def __init__(self, diameter_voxels: float) -> None:
        self.radius = diameter_voxels / 2
        self.token = _token_size(TOKEN * self.radius)
        self._of_thread = local()

    @property
    def channels(self) -> int:
        """Features per token."""
        return RESPONSES * (1 + 2 * len(WINDOWS))

    @property
    def concurrent(self) -> bool:
        """Nothing is shared between calls."""
        return True

    @property
    def signature(self) -> dict[str, Any]:
        """The name, and the lengths: radius and token in voxels, the others in radii."""
        return {
            "encoder": "filterbank",
            "radius": self.radius,
            "token": self.token,
            "scales": list(SCALES),
            "pooling": POOLING,
            "windows": list(WINDOWS),
        }

    def planes_at_once(self, plane_shape: tuple[int, int]) -> int:
        """As many as make a batch of `PIXELS_AT_ONCE`."""
        few, most = PLANES_AT_ONCE
        return min(max(PIXELS_AT_ONCE // (plane_shape[0] * plane_shape[1]), few), most)

    def plane_bytes(self, plane_shape: tuple[int, int]) -> float:
        """Memory that encoding a plane takes: responses of the finest scale, and all tokens."""
        height, width = plane_shape
        finest = min(factor for _, factor in self.scales())
        return height * width * (64 / finest**2 + 8 * self.channels / self.token**2)

    def grid(self, plane_shape: tuple[int, int]) -> TokenGrid:
        """Square tokens of `token` pixels; the last of a row may reach over the edge."""
        rows, columns = (TokenAxis(n, -(-n // self.token), self.token) for n in plane_shape)
        return TokenGrid(rows, columns)

    def encode(self, planes: np.ndarray) -> np.ndarray:
        """planes: (b, h, w) float32. Returns (b, gh, gw, channels) float32."""
        means, squares, centres = self._moments(planes)
        tokens = np.empty((1 + 2 * len(WINDOWS), *means.shape), np.float32)
        np.add(self._pool(means, POOLING), centres, out=tokens[0])
        for index, window in enumerate(WINDOWS):
            mean = self._pool(means, window)
            np.add(mean, centres, out=tokens[1 + 2 * index])
            square = np.multiply(mean, mean, out=self._scratch("square", *mean.shape))
            variance = np.subtract(self._pool(squares, window), square, out=square)
            np.sqrt(np.maximum(variance, 0, out=variance), out=tokens[2 + 2 * index])
        return np.moveaxis(tokens.reshape(self.channels, *means.shape[1:]), 0, -1)

    def scales(self) -> list[tuple[float, int]]:
        """Pixels of each scale's Gaussian, and by how much planes are decimated before it."""
        divisors = [f for f in range(1, self.token + 1) if self.token % f == 0]
        sigmas = [max(scale * self.radius, SMALLEST_SIGMA) for scale in SCALES]
        return [(sigma, max(f for f in divisors if f <= max(sigma, 1))) for sigma in sigmas]

    @property
    def _scratch(self) -> Scratch:
        """This thread's."""
        if not hasattr(self._of_thread, "scratch"):
            self._of_thread.scratch = Scratch()
        return cast(Scratch, self._of_thread.scratch)

    def _moments(self, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mean and the mean square of each response in each token, and what is taken off.

        Each scale is computed on planes decimated as far as it allows and the tokens divide.

        Returns:
            (RESPONSES, b, gh, gw) twice, of each response less (RESPONSES, b, 1, 1): its own
            mean, as the square of an offset would drown the variance in rounding.
        """
        grid = self.grid((planes.shape[1], planes.shape[2]))
        shape = RESPONSES, len(planes), grid.rows.count, grid.columns.count
        means, squares = self._scratch("means", *shape), self._scratch("squares", *shape)
        centres = []
        for index, (sigma, factor) in enumerate(self.scales()):
            some = slice(4 * index, 4 * index + 4)
            responses = _invariants(_decimate(planes, factor), sigma, factor, self._scratch)
            centres.append(responses.mean(axis=(2, 3), keepdims=True))
            responses -= centres[-1]
            means[some] = _decimate(responses, self.token // factor)
            np.square(responses, out=responses)
            squares[some] = _decimate(responses, self.token // factor)
        return means, squares, np.concatenate(centres)

    def _pool(self, tokens: np.ndarray, width: float) -> np.ndarray:
        """Gaussian average over `width` radii, on the token grid."""
        (pooled,) = gaussians(width * self.radius / self.token).both(tokens, self._scratch)
        return pooled


def _token_size(target: float) -> int:
    """The number of pixels nearest to `target` that halves and thirds well: 1 2 3 4 6 8 12 16."""
    candidates = sorted({2**i * 3**j for i in range(12) for j in range(2)})
    return min(candidates, key=lambda size: abs(np.log(size / target)))


def _decimate(planes: np.ndarray, factor: int) -> np.ndarray:
    """(..., h, w) to means of factor x factor pixels; the edge is repeated to fill the last."""
    if factor == 1:
        return planes
    *other, h, w = planes.shape
    if h % factor or w % factor:
        filled = np.empty((*other, h + -h % factor, w + -w % factor), np.float32)
        filled[..., :h, :w] = planes
        filled[..., h:, :w] = planes[..., -1:, :]
        filled[..., w:] = filled[..., w - 1 : w]
        planes = filled
    rows = planes[..., ::factor, :] + planes[..., 1::factor, :]
    for i in range(2, factor):
        rows += planes[..., i::factor, :]
    total = rows[..., ::factor] + rows[..., 1::factor]
    for i in range(2, factor):
        total += rows[..., i::factor]
    total /= np.float32(factor**2)
    return total


def _invariants(planes: np.ndarray, sigma: float, factor: int, scratch: Scratch) -> np.ndarray:
    """Intensity, gradient magnitude and Hessian eigenvalues at `sigma`, in scale-normalised units.

    The block mean of the decimation has blurred the planes already; its variance is taken off.

    Returns:
        (4, b, h, w) float32, in the scratch.
    """
    width = np.sqrt(max(sigma**2 - (factor**2 - 1) / 12, SMALLEST_SIGMA**2)) / factor
    filters = gaussians(width, orders=3)
    smooth, x, xx, y, yx, yy = filters.both(planes, scratch)
    responses = scratch("responses", 4, *planes.shape)
    responses[0] = smooth
    np.multiply(_length(y, x), np.float32(width), out=responses[1])
    # The truncated second derivative does not sum to 0: take off what a constant plane would give.
    smooth *= filters.taps[2].sum()
    middle = np.add(yy, xx, out=x)
    middle *= np.float32(0.5)
    middle -= smooth
    yy -= xx
    yy *= np.float32(0.5)
    spread = _length(yy, yx)
    np.add(middle, spread, out=responses[2])
    np.subtract(middle, spread, out=responses[3])
    responses[2:] *= np.float32(width**2)
    return responses


def _length(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of vectors by their two components, into the first: np.hypot guards what cannot overflow."""
    np.square(one, out=one)
    np.square(other, out=other)
    one += other
    return np.sqrt(one, out=one)
