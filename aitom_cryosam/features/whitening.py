"""Whitening: makes the channels of an encoder comparable over one tomogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_AT_ONCE = 1 << 15  # tokens held in double precision


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of tokens; those of two sets make those of both.

    Attributes:
        count: n tokens.
        mean: (C,) float64.
        scatter: (C, C) float64, the sum of the products of deviations from the mean.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, tokens: np.ndarray) -> Moments:
        """Of tokens (n, C), n at least 1."""
        mean = tokens.mean(axis=0, dtype=np.float64)
        scatter = np.zeros((len(mean), len(mean)))
        for start in range(0, len(tokens), _AT_ONCE):
            centred = tokens[start : start + _AT_ONCE] - mean
            scatter += centred.T @ centred
        return cls(len(tokens), mean, scatter)

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        step = other.mean - self.mean
        return Moments(
            count,
            self.mean + step * (other.count / count),
            self.scatter
            + other.scatter
            + np.outer(step, step) * (self.count * other.count / count),
        )


@dataclass(frozen=True)
class Whitening:
    """A linear map of one view's channels: standardise, then decorrelate.

    Attributes:
        mean: (C,) float32, the tomogram's own mean token.
        matrix: (C, C) float32; a token t becomes (t - mean) @ matrix.
    """

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def fit(cls, moments: Moments, shrinkage: float) -> Whitening:
        """From the moments of sample tokens.

        Args:
            moments: of the sample.
            shrinkage: 0..1, the share of the mean eigenvalue mixed into each eigenvalue of the
                correlation matrix; 1 standardises only.
        """
        covariance = moments.scatter / moments.count
        deviation = np.sqrt(np.diagonal(covariance))
        deviation = np.where(deviation == 0, 1, deviation)
        values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
        values = (1 - shrinkage) * np.maximum(values, 0) + shrinkage * values.mean()
        matrix = (vectors / np.sqrt(values)) @ vectors.T / deviation[:, None]
        return cls(moments.mean.astype(np.float32), matrix.astype(np.float32))

    def apply(self, tokens: Any) -> Any:
        """(..., gh, gw, C) float32, tokens of that shape mapped, each plane by itself.

        A tensor is mapped on its device.
        """
        mean, matrix = self.mean, self.matrix
        if not isinstance(tokens, np.ndarray):
            mean, matrix = (tokens.new_tensor(part) for part in (mean, matrix))
        centred = (tokens - mean).reshape(*tokens.shape[:-3], -1, len(mean))
        # This way round the product of a small matrix and many tokens is up to three times as fast.
        mapped = matrix.T @ centred.swapaxes(-1, -2)  # (..., C, gh gw)
        return mapped.swapaxes(-1, -2).reshape(tokens.shape)
