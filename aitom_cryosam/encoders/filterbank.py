"""A hand-made plane encoder: no weights, runs on any CPU.

Gaussian derivatives at four scales, turned into quantities that do not change when the plane
is rotated (intensity, gradient magnitude, the two Hessian eigenvalues), and their local means
and deviations. All lengths follow the particle: its radius sets every scale, so that the same
particle gives the same tokens at any voxel size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import ndimage

from aitom_cryosam.geometry import TokenAxis, TokenGrid

# Lengths in units of the particle's radius.
SCALES = (0.1, 0.2, 0.4, 0.6)
TOKEN = 0.45
POOLING = 0.25
WINDOWS = (0.4, 0.7)

PLANES_AT_ONCE = 8
SMALLEST_SIGMA = 0.6  # pixels; below it a sampled Gaussian derivative is not one
TRUNCATE = 3.0


class FilterBankEncoder:
    """Rotation-invariant Gaussian-derivative features on a token grid.

    Args:
        diameter: particle diameter in voxels.
    """

    def __init__(self, diameter: float) -> None:
        self.radius = diameter / 2
        self.token = _token_size(TOKEN * self.radius)

    @property
    def channels(self) -> int:
        """Features per token."""
        return 4 * len(SCALES) * (1 + 2 * len(WINDOWS))

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
        """Few: there is no gain from more, and every thread holds a batch."""
        return PLANES_AT_ONCE

    def grid(self, plane_shape: tuple[int, int]) -> TokenGrid:
        """Square tokens of `token` pixels; the last of a row may reach over the edge."""
        rows, columns = (TokenAxis(n, -(-n // self.token), self.token) for n in plane_shape)
        return TokenGrid(rows, columns)

    def encode(self, planes: np.ndarray) -> np.ndarray:
        """planes: (b, h, w) float32. Returns (b, gh, gw, channels) float32."""
        grid = self.grid(planes.shape[1:])
        tokens = np.empty(
            (len(planes), grid.rows.count, grid.columns.count, self.channels), np.float32
        )
        for index, (response, factor) in enumerate(self._responses(planes)):
            mean = _decimate(response, self.token // factor)
            square = _decimate(np.square(response), self.token // factor)
            features = [self._pool(mean, POOLING)]
            for window in WINDOWS:
                local_mean = self._pool(mean, window)
                variance = self._pool(square, window) - np.square(local_mean)
                features += [local_mean, np.sqrt(np.maximum(variance, 0))]
            tokens[..., index :: 4 * len(SCALES)] = np.stack(features, axis=-1)
        return tokens

    def _responses(self, planes: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """(b, h / factor, w / factor) maps and the factor, four for every scale.

        Each scale is computed on planes decimated as far as it allows and the tokens divide.
        """
        divisors = [f for f in range(1, self.token + 1) if self.token % f == 0]
        for scale in SCALES:
            sigma = max(scale * self.radius, SMALLEST_SIGMA)
            factor = max(f for f in divisors if f <= max(sigma, 1))
            for response in _invariants(_decimate(planes, factor), sigma, factor):
                yield response, factor

    def _pool(self, tokens: np.ndarray, width: float) -> np.ndarray:
        """Gaussian average over `width` radii, on the token grid."""
        sigma = width * self.radius / self.token
        return _gaussian(_gaussian(tokens, sigma, 0, axis=1), sigma, 0, axis=2)


def _token_size(target: float) -> int:
    """The number of pixels nearest to `target` that halves and thirds well: 1 2 3 4 6 8 12 16."""
    candidates = sorted({2**i * 3**j for i in range(12) for j in range(2)})
    return min(candidates, key=lambda size: abs(np.log(size / target)))


def _decimate(planes: np.ndarray, factor: int) -> np.ndarray:
    """Means of factor x factor pixels; the edge is repeated to fill the last ones."""
    if factor == 1:
        return planes
    b, h, w = planes.shape
    padded = np.pad(planes, ((0, 0), (0, -h % factor), (0, -w % factor)), mode="edge")
    blocks = padded.reshape(b, padded.shape[1] // factor, factor, -1, factor)
    return blocks.mean(axis=(2, 4))


def _invariants(planes: np.ndarray, sigma: float, factor: int) -> Iterator[np.ndarray]:
    """Intensity, gradient magnitude and Hessian eigenvalues at `sigma`, in scale-normalised units.

    The block mean of the decimation has blurred the planes already; its variance is taken off.
    """
    width = np.sqrt(max(sigma**2 - (factor**2 - 1) / 12, SMALLEST_SIGMA**2)) / factor
    along_rows = [_gaussian(planes, width, order, axis=1) for order in range(3)]
    smooth = _gaussian(along_rows[0], width, 0, axis=2)
    gradient_y = _gaussian(along_rows[1], width, 0, axis=2)
    gradient_x = _gaussian(along_rows[0], width, 1, axis=2)
    yield smooth
    yield width * np.hypot(gradient_y, gradient_x)
    yy = _gaussian(along_rows[2], width, 0, axis=2)
    xx = _gaussian(along_rows[0], width, 2, axis=2)
    yx = _gaussian(along_rows[1], width, 1, axis=2)
    # The truncated second derivative does not sum to 0: take off what a constant plane would give.
    leak = _gaussian(np.ones(1), width, 2, axis=0)
    middle = (yy + xx) / 2 - np.float32(leak[0]) * smooth
    spread = np.hypot((yy - xx) / 2, yx)
    yield width**2 * (middle + spread)
    yield width**2 * (middle - spread)


def _gaussian(values: np.ndarray, sigma: float, order: int, axis: int) -> np.ndarray:
    return ndimage.gaussian_filter1d(
        values, sigma, axis=axis, order=order, mode="reflect", truncate=TRUNCATE
    )
