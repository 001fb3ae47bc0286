"""Multiscale: what the metadata of an OME-Zarr image (0.4, 0.5) say, level by level."""

from __future__ import annotations

import logging
import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitom_cryosam.errors import InputError
from aitom_cryosam.lengths import ANGSTROM
from aitom_cryosam.volumes.volume import Triple, voxel_size_of
from aitom_cryosam.volumes.zarr_store import ZarrStore

logger = logging.getLogger(__name__)

_VERSIONS = ("0.4", "0.5")


@dataclass(frozen=True)
class Resolution:
    """One resolution of an image.

    Attributes:
        node: of its array, below the image.
        scale_xyz: edges of a voxel, in the units of the axes.
        translation_xyz: centre of voxel 0, in the units of the axes.
        units_xyz: Å of each axis's unit; NaN where none is known.
    """

    node: str
    scale_xyz: Triple
    translation_xyz: Triple
    units_xyz: Triple

    @property
    def voxel_size(self) -> tuple[float, str | None]:
        """Å, and what is wrong with it, as `voxel_size_of`."""
        if any(math.isnan(unit) for unit in self.units_xyz):
            return math.nan, "gives no unit of length that is known for its axes"
        return voxel_size_of(
            [edge * unit for edge, unit in zip(self.scale_xyz, self.units_xyz, strict=True)]
        )

    def origin(self, voxel_size: float) -> Triple:
        """Centre of voxel 0, x y z, in Å if voxels have this size."""
        x, y, z = (
            shift / edge * voxel_size + 0.0  # no -0
            for shift, edge in zip(self.translation_xyz, self.scale_xyz, strict=True)
        )
        return x, y, z


@dataclass(frozen=True)
class Multiscale:
    """An image at one or more resolutions.

    Attributes:
        version: of OME-Zarr.
        names: of the array's axes, in their order.
        levels: finest first.
    """

    version: str
    names: tuple[str, ...]
    levels: tuple[Resolution, ...]

    @classmethod
    def of(cls, store: ZarrStore) -> Multiscale:
        """The image of a store; of several the first, which is told.

        Raises:
            InputError: there is none, or its metadata cannot be used.
        """
        path = store.path
        attributes = _attributes(store)
        images = attributes.get("multiscales")
        if not isinstance(images, list) or not images or not isinstance(images[0], Mapping):
            raise InputError(f"{path} has no multiscales; {_instead(store, attributes)}")
        if len(images) > 1:
            logger.warning("%s holds %d images; the first is read.", path, len(images))
        image = images[0]
        version = str(attributes.get("version") or image.get("version") or "0.4")
        axes = image.get("axes")
        if (
            not version.startswith(_VERSIONS)
            or not isinstance(axes, list)
            or not all(isinstance(axis, Mapping) for axis in axes)
        ):
            raise InputError(
                f"{path} is OME-Zarr of version {version}; expected 0.4 or 0.5, with named axes: "
                "convert it."
            )
        names = tuple(str(axis.get("name")).lower() for axis in axes)
        if any(names.count(axis) != 1 for axis in "zyx"):
            raise InputError(
                f"{path} has the axes {', '.join(names) or 'of nothing'}; expected z, y and x."
            )
        units = [ANGSTROM.get(_plain(axis.get("unit", "")), math.nan) for axis in axes]
        datasets = image.get("datasets")
        if not isinstance(datasets, list) or not datasets:
            raise InputError(f"{path} has multiscales without datasets; copy it again.")
        whole = image.get("coordinateTransformations") or []
        levels = [_level(path, names, units, dataset, whole) for dataset in datasets]
        levels.sort(key=lambda level: math.prod(level.scale_xyz))
        return cls(version, names, tuple(levels))


def _plain(unit: Any) -> str:
    """In small letters; Unicode has two signs for micro and two for Å."""
    return unicodedata.normalize("NFKC", str(unit)).lower().replace("\u03bc", "\u00b5").strip()


def _attributes(store: ZarrStore) -> Mapping[str, Any]:
    """Of the store's root: those of OME where zarr 3 keeps them, or where zarr 2 does."""
    third = store.content("zarr.json")
    if third is not None:
        attributes = third.get("attributes")
        found = attributes.get("ome", attributes) if isinstance(attributes, Mapping) else {}
    else:
        found = store.content(".zattrs") or {}
    return found if isinstance(found, Mapping) else {}


def _instead(store: ZarrStore, attributes: Mapping[str, Any]) -> str:
    """What to do with a store that is no image."""
    array = (store.content("zarr.json") or {}).get("node_type") == "array"
    if array or store.holds(".zarray"):
        return "it is a bare array: name the OME-Zarr image that holds it."
    if "bioformats2raw.layout" in attributes or "plate" in attributes:
        return f"it is a collection of images: name one of them, such as {store.path}/0."
    return "expected an OME-Zarr image of version 0.4 or 0.5: convert it, or copy it again."


def _level(
    path: Path, names: Sequence[str], units: Sequence[float], dataset: Any, whole: Any
) -> Resolution:
    """A dataset with its own transformations and then those of all datasets."""
    node = dataset.get("path") if isinstance(dataset, Mapping) else None
    if not isinstance(node, str) or not node or ".." in node.split("/") or node.startswith("/"):
        raise InputError(f"{path} has a dataset without a path inside it; copy it again.")
    scale, translation = [1.0] * len(names), [0.0] * len(names)
    scaled = False
    for transformations in (dataset.get("coordinateTransformations") or [], whole):
        for kind, numbers in _transformations(path, len(names), transformations):
            if kind == "scale":
                scaled = True
                scale = [a * b for a, b in zip(scale, numbers, strict=True)]
                translation = [a * b for a, b in zip(translation, numbers, strict=True)]
            else:
                translation = [a + b for a, b in zip(translation, numbers, strict=True)]
    if not scaled:
        raise InputError(f"{path} gives no scale for {node}; expected one of OME-Zarr 0.4 or 0.5.")
    of_x, of_y, of_z = (names.index(axis) for axis in "xyz")
    return Resolution(
        node,
        (scale[of_x], scale[of_y], scale[of_z]),
        (translation[of_x], translation[of_y], translation[of_z]),
        (units[of_x], units[of_y], units[of_z]),
    )


def _transformations(
    path: Path, count: int, transformations: Any
) -> Iterator[tuple[str, list[float]]]:
    """Scales and translations with a number for every axis."""
    for given in transformations if isinstance(transformations, list) else [transformations]:
        one = given if isinstance(given, Mapping) else {}
        kind = str(one.get("type"))
        if kind == "identity":
            continue
        numbers: Any = one.get(kind) if kind in ("scale", "translation") else None
        if not _is_row(numbers, count) or (kind == "scale" and min(numbers) <= 0):
            raise InputError(
                f"{path} has a transformation {given!r}; expected scale or translation with "
                f"{count} numbers, one for each axis."
            )
        yield kind, [float(number) for number in numbers]


def _is_row(numbers: Any, count: int) -> bool:
    return (
        isinstance(numbers, list)
        and len(numbers) == count
        and all(type(x) in (int, float) and math.isfinite(x) for x in numbers)
    )
