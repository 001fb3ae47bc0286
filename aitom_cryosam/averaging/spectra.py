"""Spectra: boxes around particles as the coefficients of a ball in Fourier space.

A box of n voxels has its origin at voxel n // 2. Frequencies count steps of its transform, x y z;
half of the ball is enough, as the boxes are real. What turns by R in space turns by R in
frequency, so a turned reference is its spectrum read at turned points, and a shift by s
(x, y, z voxels) multiplies it by exp(-2 pi i k.s / n).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    import torch

PADDING = 2  # times the box, so that a spectrum can be read between its points


@dataclass(frozen=True)
class Ball:
    """The frequencies that take part: half of a ball without its centre.

    Attributes:
        size: voxels along the box.
        radius: steps; at most size / 2 - 1.
    """

    size: int
    radius: float

    @cached_property
    def points_xyz(self) -> np.ndarray:
        """(k, 3) int64, the half with z > 0, or z = 0 and y > 0, or z = y = 0 and x > 0."""
        reach = int(self.radius)
        axis = np.arange(-reach, reach + 1)
        z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
        half = (z > 0) | ((z == 0) & ((y > 0) | ((y == 0) & (x > 0))))
        inside = x**2 + y**2 + z**2 <= self.radius**2
        chosen = half & inside
        return np.stack([x[chosen], y[chosen], z[chosen]], axis=1)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(k,) float64, steps."""
        return np.asarray(np.linalg.norm(self.points_xyz, axis=1))

    @cached_property
    def shells(self) -> np.ndarray:
        """(k,) int64, the shell of each point."""
        return np.floor(self.lengths + 0.5).astype(np.int64)

    def of(self, boxes: np.ndarray) -> np.ndarray:
        """(n, k) complex64 coefficients of (n, size, size, size) boxes."""
        spectra = fft.fftn(fft.ifftshift(boxes, axes=(1, 2, 3)), axes=(1, 2, 3), workers=-1)
        x, y, z = self.points_xyz.T
        return np.asarray(spectra[:, z, y, x], np.complex64)

    def box(self, coefficients: np.ndarray) -> np.ndarray:
        """(size, size, size) float32, the real box of (k,) coefficients; its mean is 0."""
        spectrum = np.zeros((self.size,) * 3, np.complex64)
        x, y, z = self.points_xyz.T
        spectrum[z, y, x] = coefficients
        spectrum[-z, -y, -x] = np.conj(coefficients)
        return np.asarray(fft.fftshift(fft.ifftn(spectrum).real), np.float32)

    def shifts(self, shifts_xyz: np.ndarray) -> np.ndarray:
        """(..., k) complex64, exp(+2 pi i k.s / n): moves what lies at s to the origin.

        Args:
            shifts_xyz: (..., 3) voxels.
        """
        phase = np.asarray(shifts_xyz) @ self.points_xyz.T * (2 * np.pi / self.size)
        return np.exp(1j * phase).astype(np.complex64)


class Readable:
    """Boxes whose spectra can be read at any frequency.

    Args:
        boxes: (n, size, size, size) real; what lies in their corners is read badly.
        device: of torch.
    """

    def __init__(self, boxes: np.ndarray, device: str = "cpu") -> None:
        import torch

        n, self.size = len(boxes), boxes.shape[-1]
        padded = PADDING * self.size
        # Reading between points as linear interpolation does dims the box's rim by sinc²: undone.
        distance = (np.arange(self.size) - self.size // 2) / padded
        lift = (1 / np.sinc(distance) ** 2).astype(np.float32)
        lifted = boxes * lift[:, None, None] * lift[:, None] * lift
        wide = np.zeros((n, padded, padded, padded), np.float32)
        start = padded // 2 - self.size // 2
        inner = slice(start, start + self.size)
        wide[:, inner, inner, inner] = lifted
        wide = fft.ifftshift(wide, axes=(1, 2, 3))
        spectra = fft.fftshift(fft.rfftn(wide, axes=(1, 2, 3), workers=-1), axes=(1, 2))
        # Only x >= 0 is kept; one more column beyond x = 0 for points that lie between -1 and 0.
        self._spectra = torch.from_numpy(_with_mirror(np.asarray(spectra, np.complex64))).to(device)
        self.device = device

    def at(self, points_xyz: torch.Tensor) -> torch.Tensor:
        """Coefficients at frequencies.

        Args:
            points_xyz: (n, m, 3) float32, for box i its own m points.

        Returns:
            (n, m) complex64.
        """
        import torch

        n, depth, height, width, _ = self._spectra.shape
        mirrored = points_xyz[..., 0] < 0
        points = torch.where(mirrored[..., None], -points_xyz, points_xyz) * PADDING
        # grid_sample counts from -1 to 1 between the centres of the outermost points.
        middle = torch.tensor([1.0, height // 2, depth // 2], device=points.device)
        last = torch.tensor([width - 1, height - 1, depth - 1], device=points.device)
        grid = ((points + middle) * (2 / last) - 1).reshape(n, 1, 1, -1, 3)
        read = torch.nn.functional.grid_sample(
            self._spectra.permute(0, 4, 1, 2, 3), grid, align_corners=True, padding_mode="border"
        ).reshape(n, 2, -1)
        imaginary = torch.where(mirrored, -read[:, 1], read[:, 1])
        return torch.complex(read[:, 0], imaginary)


def _with_mirror(spectra: np.ndarray) -> np.ndarray:
    """(n, d, h, w, 2) float32 of (n, d, h, w - 1) complex, with the column x = -1 in front."""
    column = spectra[:, :, :, 1]
    # Point (-1, y, z) is the conjugate of (1, -y, -z); index 0 of an even axis is its own mirror.
    mirror = np.conj(np.roll(column[:, ::-1, ::-1], 1, axis=(1, 2)))
    both = np.concatenate([mirror[..., None], spectra], axis=3)
    return np.ascontiguousarray(both).view(np.float32).reshape(*both.shape, 2)
