"""Microscope: a sample's tilt images, and the volume reconstructed from them."""

from __future__ import annotations

import math

import numpy as np
from scipy import fft
from scipy.sparse import csr_array

from aitom_cryosam.simulation.settings import SimulationSettings

_WAVELENGTH = 0.0196875  # Å, electrons of 300 kV
_SPHERICAL_ABERRATION = 2.7e7  # Å
_AMPLITUDE_CONTRAST = 0.07


def _from_axis(n: int) -> np.ndarray:
    """Distance of n voxels or pixels from the tilt axis, which is in their middle."""
    return np.arange(n) - (n - 1) / 2


def _detector(settings: SimulationSettings) -> int:
    """Pixels across the tilt axis: enough for the whole sample at any tilt."""
    depth, _, width = settings.shape_zyx
    return math.ceil(math.hypot(depth, width)) + 2


def tilt_images(sample: np.ndarray, settings: SimulationSettings) -> np.ndarray:
    """Parallel projections of the (D, H, W) sample: (t, u, H) float32, u across the tilt axis.

    A voxel at x, z from the axis falls on u = x cos(tilt) + z sin(tilt).
    """
    depth, height, width = sample.shape
    columns = sample.transpose(0, 2, 1).reshape(depth * width, height)
    n_u = _detector(settings)
    return np.stack([_rays(tilt, depth, width, n_u) @ columns for tilt in settings.tilts])


def _rays(tilt: float, depth: int, width: int, n_u: int) -> csr_array:
    """The (u, depth * width) matrix of line integrals through a z, x plane at a tilt in degrees.

    A ray steps through the planes it meets most steeply, and interpolates within each.
    """
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    if abs(cos) >= abs(sin):
        steep, flat, n_steps, n_across, strides = cos, sin, depth, width, (width, 1)
    else:
        steep, flat, n_steps, n_across, strides = sin, cos, width, depth, (1, width)
    u, step = _from_axis(n_u)[:, None], _from_axis(n_steps)
    across = (u - step * flat) / steep + (n_across - 1) / 2  # (u, steps)
    below = np.floor(across).astype(int)
    index = np.stack([below, below + 1])
    weight = np.stack([below + 1 - across, across - below]) / abs(steep)
    inside = (index >= 0) & (index < n_across)
    pixel = np.arange(n_steps) * strides[0] + index * strides[1]
    row = np.broadcast_to(np.arange(n_u)[:, None], inside.shape)
    entries = weight[inside].astype(np.float32), (row[inside], pixel[inside])
    return csr_array(entries, shape=(n_u, depth * width))


def recorded(
    images: np.ndarray, settings: SimulationSettings, rng: np.random.Generator
) -> np.ndarray:
    """What the microscope records, ready for `back_projection`.

    Args:
        images: (t, u, H) projections.
        settings: contrast transfer and noise.
        rng: of the noise.

    Returns:
        (t, u, H) images, ramp-filtered across the tilt axis.
    """
    if settings.defocus:
        transfer = _contrast_transfer(images.shape[1:], settings)
        images = np.stack([_filter2d(image, transfer) for image in images])
    if math.isfinite(settings.snr):
        sigma = math.sqrt(float(images.var(axis=(1, 2)).mean()) / settings.snr)
        images = images + np.float32(sigma or 1) * rng.standard_normal(images.shape, np.float32)
    n_u = images.shape[1]
    padded = fft.next_fast_len(2 * n_u, real=True)
    ramp = fft.rfftfreq(padded).astype(np.float32)[:, None]
    return fft.irfft(fft.rfft(images, padded, axis=1) * ramp, padded, axis=1)[:, :n_u]


def _filter2d(image: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """Multiply a padded image's spectrum; `transfer` is for the padded size."""
    n_u, height = image.shape
    shape = _padded(image.shape)
    return fft.irfft2(fft.rfft2(image, shape) * transfer, shape)[:n_u, :height]


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Room for the fringes of a particle at the rim, which would come back on the other side."""
    return tuple(fft.next_fast_len(n + 32, real=True) for n in shape)


def _contrast_transfer(shape: tuple[int, ...], settings: SimulationSettings) -> np.ndarray:
    """Of the microscope for padded images of the shape, positive at low frequencies, float32."""
    n_u, n_y = _padded(shape)
    frequency2 = fft.fftfreq(n_u, settings.voxel_size)[:, None] ** 2
    frequency2 = frequency2 + fft.rfftfreq(n_y, settings.voxel_size) ** 2  # 1/Å²
    phase = math.pi * _WAVELENGTH * frequency2 * settings.defocus * 1e4
    phase -= math.pi / 2 * _SPHERICAL_ABERRATION * _WAVELENGTH**3 * frequency2**2
    return np.sin(phase + math.asin(_AMPLITUDE_CONTRAST)).astype(np.float32)


def back_projection(images: np.ndarray, settings: SimulationSettings) -> np.ndarray:
    """Ramp-filtered images (t, u, H) to a volume (D, H, W) float32, section by section."""
    depth, height, width = settings.shape_zyx
    tilts = np.radians(settings.tilts)
    n_tilts, n_u, _ = images.shape
    rows = images.reshape(n_tilts * n_u, height)
    shared = _from_axis(width)[:, None] * np.cos(tilts) + (n_u - 1) / 2  # (W, t)
    step = np.float32(math.radians(settings.tilt_step))
    volume = np.empty((depth, height, width), dtype=np.float32)
    for section, z in zip(volume, _from_axis(depth), strict=True):
        u = shared + z * np.sin(tilts)
        below = np.floor(u).astype(np.int32)
        weights = np.stack([below + 1 - u, u - below], axis=2).astype(np.float32) * step
        index = np.stack([below, below + 1], axis=2) + n_u * np.arange(n_tilts)[:, None]
        ends = np.arange(width + 1) * (2 * n_tilts)
        matrix = csr_array((weights.ravel(), index.ravel(), ends), shape=(width, len(rows)))
        section[:] = (matrix @ rows).T
    return volume
