"""Density map: a particle's map from a file, as template, reference or sample, and resampling."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from scipy import ndimage

from aitom_cryosam.errors import InputError
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.volumes.reading import read_volume

logger = logging.getLogger(__name__)

SAME = 1e-3
"""Of a voxel size: what is as near is not resampled for it."""


def read_density_map(
    path: str | Path, wanted: float, remedy: Remedy, *, voxel_size: float | None = None
) -> tuple[np.ndarray, float]:
    """A map as it lies in the file, and the size of its voxels; logs that it will be resampled.

    Args:
        path: MRC or OME-Zarr.
        wanted: Å, voxel size that it is needed in.
        remedy: what to do where the file states no voxel size; `--voxel-size` is the tomogram's.
        voxel_size: Å, instead of what the file says.

    Returns:
        (d, h, w) float32, finite and not all the same; Å.

    Raises:
        InputError: no such file, no voxel size, or no density in it.
    """
    try:
        volume = read_volume(path, voxel_size=voxel_size)
    except InputError as error:
        raise error.instead({Remedy.VOXEL_SIZE: remedy}) from None
    data = np.asarray(volume.data, np.float32)
    if not np.isfinite(data).all():
        raise InputError(f"{path} holds NaN or infinity; expected a density map.")
    if data.min() == data.max():
        raise InputError(f"{path}: every voxel is {data.min():g}; expected a density map.")
    if abs(volume.voxel_size / wanted - 1) > SAME:
        logger.info("%s: resampled from voxels of %g Å to %g Å.", path, volume.voxel_size, wanted)
    return data, volume.voxel_size


def resampled(
    data: np.ndarray,
    factor: float,
    first_zyx: np.ndarray,
    shape: tuple[int, ...],
    mode: str = "constant",
) -> np.ndarray:
    """A map in voxels that are `factor` times as large, blurred first where that would alias.

    Args:
        data: (d, h, w).
        factor: edge of a new voxel by that of an old one.
        first_zyx: (3,) voxels of `data`, where the new voxel 0 has its centre.
        shape: of the new map.
        mode: what lies outside, as of `scipy.ndimage`.

    Returns:
        Of this shape, by cubic splines.
    """
    if factor > 1:
        data = ndimage.gaussian_filter(data, (factor - 1) / 2)
    return np.asarray(
        ndimage.affine_transform(data, factor * np.eye(3), first_zyx, output_shape=shape, mode=mode)
    )
