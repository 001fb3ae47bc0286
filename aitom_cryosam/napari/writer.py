"""The plugin's writer: a points layer as any format of coordinates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_all
from aitom_cryosam.names import file_stem
from aitom_cryosam.napari.layers import KEY
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import FORMATS
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.points.writing import project_files

USUAL = {".star": "warp"}
"""The format that an ending stands for where several have it."""


def write_points(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write the shown points of a layer.

    Args:
        path: whose ending names the format.
        data: (n, 3) voxels, or in the layer's own units if it is not the plugin's.
        meta: of the layer.

    Returns:
        The files.

    Raises:
        InputError: no format has this ending, or a file cannot be written.
    """
    target = Path(path)
    picks, info = layer_picks(data, meta, target)
    return [str(one) for one in write_picks_as(format_of(target), target, picks, info)]


def write_picks_as(format: str, target: Path, picks: Picks, info: TomogramInfo) -> list[Path]:
    """Write picks; files that are there are replaced, as napari has asked already.

    Raises:
        InputError: what the format needs is not known, or a file cannot be written.
    """
    files = project_files(format, target, [(picks.take(picks.kept), info)])
    write_all(files, overwrite=True)
    return list(files)


def format_of(path: Path) -> str:
    """The format that a file's ending stands for.

    Raises:
        InputError: none.
    """
    ending = path.suffix.lower()
    if ending in USUAL:
        return USUAL[ending]
    for name, kind in FORMATS.items():
        if kind.ending == ending:
            return name
    known = ", ".join(sorted({kind.ending for kind in FORMATS.values()}))
    raise InputError(f"Expected a file that ends with one of {known}, got {path.name}.")


def layer_picks(data: Any, meta: dict[str, Any], path: Path) -> tuple[Picks, TomogramInfo]:
    """The shown points of a layer in voxels, and the tomogram that they lie in."""
    points = np.asarray(data, np.float64).reshape(-1, 3)
    features = meta.get("features", {})
    about = meta.get("metadata", {}).get(KEY, {})
    picks = Picks.from_points(points, features.get("score"))
    if "id" in features:
        picks = replace(picks, ids=np.asarray(features["id"], np.int64))
    shown = meta.get("shown", True)
    picks = picks.take(np.broadcast_to(np.asarray(shown, bool), len(picks)))
    info = TomogramInfo(
        str(about.get("name") or file_stem(about.get("path") or path)),
        about.get("voxel_size"),
        tuple(about["shape_zyx"]) if about.get("shape_zyx") else None,
        path=Path(about["path"]) if about.get("path") else None,
    )
    return picks, info
