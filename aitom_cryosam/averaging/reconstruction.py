"""Reconstruction: the average of aligned particles, each frequency over those that measured it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitom_cryosam.averaging.poses import Poses
from aitom_cryosam.averaging.spectra import Ball, Readable
from aitom_cryosam.averaging.wedge import MissingWedge

_FLOOR = 0.1  # of the mean number of measurements: what was measured less is dimmed
_BATCH = 16  # boxes whose spectra are in memory at once


@dataclass(eq=False)
class Sum:
    """Aligned particles, added up in Fourier space in the reference's frame.

    Attributes:
        ball: the frequencies.
        values: (k,) complex128, of particles times what their wedge lets through.
        weights: (k,) float64, how often each frequency was measured.
    """

    ball: Ball
    values: np.ndarray
    weights: np.ndarray

    @classmethod
    def empty(cls, ball: Ball) -> Sum:
        """Nothing yet."""
        k = len(ball.points_xyz)
        return cls(ball, np.zeros(k, np.complex128), np.zeros(k))

    def add(
        self, boxes: np.ndarray, poses: Poses, wedge: MissingWedge, *, device: str = "cpu"
    ) -> Sum:
        """With more particles of one tilt series.

        Args:
            boxes: (n, size, size, size), soft at their rims.
            poses: n.
            wedge: of the tilt series.
            device: of torch.
        """
        import torch

        values, weights = self.values.copy(), self.weights.copy()
        points = self.ball.points_xyz.astype(np.float32)
        for first in range(0, len(boxes), _BATCH):
            part = slice(first, first + _BATCH)
            matrices = poses.rotations[part].as_matrix().astype(np.float32)
            frequencies = points @ matrices.transpose(0, 2, 1)  # R q, (n, k, 3)
            read = Readable(boxes[part], device)
            found = read.at(torch.from_numpy(frequencies).to(device)).cpu().numpy()
            shifts = poses.shifts_xyz[part].astype(np.float32)
            phases = np.einsum("nkc,nc->nk", frequencies, shifts) * (2 * np.pi / self.ball.size)
            let = wedge.weights(frequencies)
            values += (found * np.exp(1j * phases) * let).sum(axis=0)
            weights += let.sum(axis=0)
        return Sum(self.ball, values, weights)

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.ball, self.values + other.values, self.weights + other.weights)

    def coefficients(self) -> np.ndarray:
        """(k,) complex128 of the average; what hardly a particle measured is dimmed."""
        floor = _FLOOR * max(float(self.weights.mean()), 1e-12)
        return np.asarray(self.values / np.maximum(self.weights, floor))

    def average(self) -> np.ndarray:
        """(size, size, size) float32."""
        return self.ball.box(self.coefficients())
