"""Whether protein is dark or bright, as far as the values alone tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from aitom_cryosam.threads import mapped
from aitom_cryosam.tomogram import Contrast

_SMOOTHING = 1.0  # voxels: the noise of single voxels has no skew and hides that of particles
_TAILS = (0.5, 99.5)  # percentiles: gold beads and artefacts end there
_CLEAR = 0.2


def skew(cubes: Sequence[np.ndarray]) -> float:
    """Skewness of the smoothed values: dense things are rare, so their tail is the longer one.

    Args:
        cubes: (d, h, w) each, in the file's own contrast; at least one.

    Returns:
        Below 0 where protein is dark; 0 if nothing varies.
    """

    def values(cube: np.ndarray) -> np.ndarray:
        return np.asarray(ndimage.gaussian_filter(cube, _SMOOTHING)[::2, ::2, ::2].ravel())

    together = np.concatenate(mapped(values, cubes))
    clipped = np.clip(together, *np.percentile(together, _TAILS)).astype(np.float64)
    gaps = clipped - clipped.mean()
    return float((gaps**3).mean() / (gaps.var() ** 1.5 or math.inf))


def probable(skewness: float) -> Contrast | None:
    """The contrast that a skew speaks for; None if it is too small to speak."""
    if abs(skewness) < _CLEAR:
        return None
    return "dark" if skewness < 0 else "bright"
