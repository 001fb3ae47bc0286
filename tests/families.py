"""A small instance of every model in the registry, made by the real builders.

Networks have random weights. A family that is not known here fails, so that none goes untested.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aitom_cryosam import encoders, segmenters
from aitom_cryosam.encoders import PlaneEncoder
from aitom_cryosam.models import MODELS
from aitom_cryosam.resources import Resources
from aitom_cryosam.segmenters import PlaneSegmenter
from aitom_cryosam.settings import Settings

WITHOUT_WEIGHTS = ("filterbank", "contour")
DIAMETER = 14.0  # voxels
VOXEL_SIZE = 10.0  # Å


def resources(name: str, folder: Path) -> Resources:
    """The CPU, and the checkpoint of a model if it has one."""
    family = MODELS[name].family
    if family in WITHOUT_WEIGHTS:
        return Resources(device="cpu")
    path = folder / f"{name}.pth"
    if not path.exists():
        _write(name, family, path)
    return Resources(device="cpu", checkpoints={name: path})


def _write(name: str, family: str, path: Path) -> None:
    if family == "dino":
        from tests.tiny_dino import write_tiny_dino

        write_tiny_dino(path.parent, name)
    elif family == "sam":
        from tests.tiny_models import write_tiny_sam

        write_tiny_sam(path)
    else:
        raise NotImplementedError(f"make a small model of the family {family}")


def encoder(
    name: str,
    folder: Path,
    *,
    diameter: float = DIAMETER,
    voxel_size: float = VOXEL_SIZE,
    **settings: Any,
) -> PlaneEncoder:
    """An encoder by its name; lengths in voxels and Å, other settings by name."""
    return encoders.build(
        Settings(encoder=name, **settings),
        resources(name, folder),
        diameter_voxels=diameter,
        voxel_size=voxel_size,
    )


def segmenter(
    name: str, folder: Path, *, diameter: float = DIAMETER, **settings: Any
) -> PlaneSegmenter:
    """A segmenter by its name; the diameter in voxels, other settings by name."""
    return segmenters.build(
        Settings(segmenter=name, **settings),
        resources(name, folder),
        diameter_voxels=diameter,
        max_extent=2 * diameter,
    )
