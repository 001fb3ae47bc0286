"""Whitening: makes the channels of an encoder comparable over one tomogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_AT_ONCE = 1 << 15  # tokens held in double precision


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
    def fit(cls, tokens: np.ndarray, shrinkage: float) -> Whitening:
        """From sample tokens (n, C).

        Args:
            tokens: (n, C).
            shrinkage: 0..1, the share of the mean eigenvalue mixed into each eigenvalue of the
                correlation matrix; 1 standardises only.
        """
        mean = tokens.mean(axis=0, dtype=np.float64)
        covariance = np.zeros((len(mean), len(mean)))
        for start in range(0, len(tokens), _AT_ONCE):
            centred = tokens[start : start + _AT_ONCE] - mean
            covariance += centred.T @ centred / len(tokens)
        deviation = np.sqrt(np.diagonal(covariance))
        deviation = np.where(deviation == 0, 1, deviation)
        values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
        values = (1 - shrinkage) * np.maximum(values, 0) + shrinkage * values.mean()
        matrix = (vectors / np.sqrt(values)) @ vectors.T / deviation[:, None]
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    def apply(self, tokens: np.ndarray) -> np.ndarray:
        """(..., C) tokens, mapped; float32."""
        return (tokens - self.mean) @ self.matrix
