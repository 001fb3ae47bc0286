"""What napari is given to show: layer data of tomograms and of results.

All layers count voxels, as STAR does (napari's z, y, x): the status line shows the numbers of the
files. The voxel size lies in the layers' metadata.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.names import file_stem
from aitom_cryosam.picks import Picks
from aitom_cryosam.record import Record
from aitom_cryosam.volumes.reading import read_volume

KEY = "cryosam"
"""Of the plugin's part of a layer's metadata."""
LayerData = tuple[Any, dict[str, Any], str]
_MASKS = ("_labels", "_semantic")
"""What the names of files of masks end with, as `pick` and other programs write them."""


def volume_layer(path: Path) -> LayerData:
    """A layer of a file: of labels, where it is called as masks are, else of an image.

    Raises:
        InputError: it cannot be used.
    """
    if not file_stem(path).lower().endswith(_MASKS):
        return tomogram_layer(path)
    volume = read_volume(path, sparse=True)
    about = {"path": str(path), "voxel_size": volume.voxel_size}
    return _masks_layer(volume.values, file_stem(path), about)


def _masks_layer(masks: np.ndarray, name: str, about: dict[str, Any]) -> LayerData:
    if masks.dtype.kind not in "iu":
        masks = masks.astype(np.int32)
    return masks, {"name": name, "opacity": 0.4, "metadata": {KEY: about}}, "labels"


def tomogram_layer(path: Path, *, voxel_size: float | None = None) -> LayerData:
    """An image layer of a tomogram's file, of which napari reads what it shows.

    Raises:
        InputError: it cannot be used.
    """
    volume = read_volume(path, voxel_size=voxel_size)
    middle = np.asarray(volume.data[volume.data.shape[0] // 2], np.float32)
    about = {"path": str(path), "voxel_size": volume.voxel_size}
    low, high = (float(value) for value in np.percentile(middle, (0.5, 99.5)))
    limits = (low, high if high > low else low + 1)
    how = {"name": file_stem(path), "contrast_limits": limits, "metadata": {KEY: about}}
    return volume.data, how, "image"


def picks_layer(picks: Picks, diameter: float, about: dict[str, Any]) -> LayerData:
    """A points layer with score, probability and reason of every point, coloured by score.

    Args:
        picks: kept ones are shown, the others hidden.
        diameter: voxels, of the particle.
        about: of the tomogram: its "path", "name", "voxel_size" and "shape_zyx".
    """
    how = {
        "name": "picks",
        "features": features(picks),
        "size": diameter,
        "shown": picks.kept.copy(),
        "projection_mode": "all",  # those in the thickness of a slice
        "face_color": "transparent",
        "border_width": 0.06,
        "border_color": "score" if len(picks) else "yellow",
        "border_colormap": "viridis",
        "metadata": {KEY: about},
    }
    return picks.points_zyx, how, "points"


def features(picks: Picks) -> dict[str, Any]:
    """The columns of a points layer."""
    columns: dict[str, Any] = {
        "id": picks.ids,
        "score": np.nan_to_num(picks.scores),
        "reason": np.array(picks.reasons, object),
    }
    if picks.probabilities is not None:
        columns["probability"] = picks.probabilities
    return columns


def record_layers(record: Record) -> list[LayerData]:
    """A result: the tomogram if its file is there, masks, picks with the rejected, clicks."""
    voxel_size = float(record.info.voxel_size or 1)
    diameter = record.diameter_angstrom / voxel_size
    about = {
        "path": None if record.tomogram_path is None else str(record.tomogram_path),
        "name": record.info.name,
        "voxel_size": voxel_size,
        "shape_zyx": record.info.shape_zyx,
        "record": str(record.path),
        "contrast": record.contrast,
    }
    layers: list[LayerData] = []
    if record.tomogram_path is not None and os.path.exists(record.tomogram_path):
        layers.append(tomogram_layer(record.tomogram_path, voxel_size=voxel_size))
    layers.append(_masks_layer(np.asarray(record.labels()), "masks", about))
    layers.append(picks_layer(record.proposals, diameter, about))
    clicks = clicks_layer(record.prompts.points_zyx, diameter, about, record.rejects.points_zyx)
    layers.append(clicks)
    return layers


def clicks_layer(
    points_zyx: np.ndarray,
    diameter: float,
    about: dict[str, Any],
    negative_zyx: np.ndarray | None = None,
) -> LayerData:
    """A points layer of clicks; each is on a particle or, "negative", on something else.

    Args:
        points_zyx: (n, 3) voxels.
        diameter: voxels, of the particle.
        about: what the layer's reader must know of the run.
        negative_zyx: (m, 3) voxels, on something else.
    """
    points = np.asarray(points_zyx, np.float64).reshape(-1, 3)
    others = np.zeros((0, 3)) if negative_zyx is None else negative_zyx
    negative = np.repeat([False, True], [len(points), len(others)])
    how = {
        "name": "clicks",
        "features": {"negative": negative},
        "symbol": "cross",
        "size": max(diameter / 2, 3),
        "face_color": click_colours(negative) if len(negative) else "#ff3b7f",
        "border_width": 0,
        "ndim": 3,
        "projection_mode": "all",  # those in the thickness of a slice
        "metadata": {KEY: about},
    }
    return np.concatenate([points, others]), how, "points"


def click_colours(negative: np.ndarray) -> np.ndarray:
    """(n, 4) of clicks, by whether each, (n,) bool, is on something else."""
    return np.where(negative[:, None], [0.4, 0.6, 1, 1], [1, 0.23, 0.5, 1])


def known_of(layer: Any) -> dict[str, Any]:
    """The plugin's part of a layer's metadata."""
    return dict(layer.metadata.get(KEY, {}))


def voxels_of(points: Any, image: Any) -> np.ndarray:
    """(n, 3) where the points of a layer lie in the voxels of another, however both are placed.

    Args:
        points: napari points layer; scaled, turned and moved as the user likes.
        image: napari image layer of the tomogram.

    Raises:
        InputError: a layer does not have three axes.
    """
    if image.ndim != 3 or points.ndim != 3:
        raise InputError(f"Expected layers of three axes, got {image.ndim} and {points.ndim}.")
    data = np.asarray(points.data, np.float64).reshape(-1, 3)
    return np.array(
        [image.world_to_data(points.data_to_world(point)) for point in data], np.float64
    ).reshape(-1, 3)


def place_of(image: Any) -> dict[str, Any]:
    """Where a layer of the same voxels lies."""
    return {
        "scale": image.scale,
        "translate": image.translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine,
    }


def show_points_within(distance: float, viewer: Any, image: Any) -> None:
    """Let a slice show points up to a distance, voxels, from it: few lie just in it."""
    reach = tuple(float(distance * abs(scale)) for scale in image.scale)
    missing = (0.0,) * (viewer.dims.ndim - len(reach))
    viewer.dims.margin_left = viewer.dims.margin_right = (*missing, *reach)
