"""Fourier shell correlation of two halves, and the resolution that it means."""

from __future__ import annotations

import numpy as np

from aitom_cryosam.averaging.spectra import Ball

THRESHOLD = 0.143
_RANDOM_FROM = 0.8  # of the unmasked halves' correlation
_DRAWS = 4


def shell_correlation(first: np.ndarray, second: np.ndarray, ball: Ball) -> np.ndarray:
    """(shells,) correlation of boxes (n, n, n) and (n, n, n) by shell of their spectra; first 1."""
    one, other = ball.of(np.stack([first, second]))
    return shell_correlation_of(one, other, ball)


def shell_correlation_of(one: np.ndarray, other: np.ndarray, ball: Ball) -> np.ndarray:
    """(shells,) as `shell_correlation`, of coefficients (k,) and (k,)."""
    cross = np.bincount(ball.shells, (one * np.conj(other)).real)
    powers = np.bincount(ball.shells, np.abs(one) ** 2) * np.bincount(
        ball.shells, np.abs(other) ** 2
    )
    result = cross / np.sqrt(np.maximum(powers, 1e-30))
    result[0] = 1.0
    return np.asarray(result)


def masked_shell_correlation(
    first: np.ndarray, second: np.ndarray, mask: np.ndarray, ball: Ball
) -> np.ndarray:
    """(shells,) of two boxes inside a mask, without what the mask itself puts into both.

    Beyond the shell where the unmasked halves stop to agree their phases are made random; what
    the mask makes of those is taken off (Chen et al. 2013, Ultramicroscopy 135).

    Args:
        first: (n, n, n).
        second: (n, n, n).
        mask: (n, n, n), 0 to 1.
        ball: the frequencies.
    """
    plain = shell_correlation(first, second, ball)
    masked = shell_correlation(first * mask, second * mask, ball)
    below = np.flatnonzero(plain < _RANDOM_FROM)
    if not len(below):
        return masked
    start = max(int(below[0]), 1)
    noise = np.zeros(len(masked))
    rng = np.random.default_rng(0)
    for _ in range(_DRAWS):
        pair = []
        for half in ball.of(np.stack([first, second])):
            beyond = ball.shells >= start
            turned = half * np.exp(2j * np.pi * rng.random(len(half)))
            pair.append(ball.box(np.where(beyond, turned, half)) * mask)
        noise += shell_correlation(pair[0], pair[1], ball) / _DRAWS
    corrected = masked.copy()
    # One shell more stays as it is: the mask has smeared true signal into it.
    late = slice(start + 1, None)
    chance = np.clip(noise[late], 0, 0.99)
    corrected[late] = (masked[late] - chance) / (1 - chance)
    return corrected


def resolution(curve: np.ndarray, extent: float) -> float:
    """Å, where a curve first falls below `THRESHOLD`, between shells by interpolation.

    Args:
        curve: (shells,) from `shell_correlation`.
        extent: Å, of the box.

    Returns:
        The finest shell's if it never falls; `inf` if the first shell is below already.
    """
    below = np.flatnonzero(curve < THRESHOLD)
    if not len(below):
        return extent / (len(curve) - 1)
    shell = int(below[0])
    if shell <= 1:
        return float("inf")
    high, low = curve[shell - 1], curve[shell]
    return float(extent / (shell - 1 + (high - THRESHOLD) / (high - low)))
