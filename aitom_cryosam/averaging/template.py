"""Template: an average as it is slid over a tomogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.spectra import Ball, Readable

if TYPE_CHECKING:
    import torch


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
        frequencies = torch.from_numpy(points.reshape(1, -1, 3)).to(device)
        values = self.read.at(frequencies).reshape(n, -1) * self.weights
        spectra = torch.zeros((n, size, size, size), dtype=values.dtype, device=device)
        x, y, z = torch.from_numpy(self.ball.points_xyz.T).to(device)
        spectra[:, z, y, x] = values
        spectra[:, -z, -y, -x] = values.conj()
        boxes = torch.fft.fftshift(torch.fft.ifftn(spectra, dim=(1, 2, 3)).real, dim=(1, 2, 3))
        means = (boxes * self.mask).sum(dim=(1, 2, 3), keepdim=True) / self.mask.sum()
        boxes = boxes - means
        lengths = (self.mask * boxes**2).sum(dim=(1, 2, 3), keepdim=True).sqrt()
        return self.mask * boxes / lengths.clamp_min(1e-20)
