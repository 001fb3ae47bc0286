"""OME-Zarr images for tests, written with the package zarr alone, whichever version is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ANGSTROM = "angstrom"
THIRD = "0.5"


def write_image(
    path: Path,
    data: np.ndarray,
    *,
    version: str = "0.4",
    axes: str = "zyx",
    sizes: Sequence[float] = (10.0,),
    translations: Sequence[Sequence[float]] | None = None,
    unit: str | None = ANGSTROM,
    chunk: int = 8,
    shard: int | None = None,
    separator: str = "/",
) -> Path:
    """An image of (D, H, W) voxels at one or more voxel sizes, each of every second voxel.

    Args:
        axes: in the order of the arrays; others than z, y, x have the length 1.
        translations: x, y, z of each level, in the unit; none if None.
    """
    import zarr

    group = zarr.open_group(str(path), mode="w", **_format(zarr, version))
    datasets = []
    for number, size in enumerate(sizes):
        values = data[(slice(None, None, 2**number),) * 3]
        extra = [name for name in axes if name not in "zyx"]
        values = values.reshape((1,) * len(extra) + values.shape)
        values = values.transpose([[*extra, *"zyx"].index(name) for name in axes])
        chunks = tuple(min(chunk, n) for n in values.shape)
        how: dict[str, Any] = {"shape": values.shape, "dtype": values.dtype, "chunks": chunks}
        if not hasattr(group, "create_array"):  # zarr 2
            array = group.create_dataset(str(number), **how, dimension_separator=separator)
        else:
            if version == THIRD and shard:
                how["shards"] = tuple(shard if name in "zyx" else 1 for name in axes)
            name = "default" if version == THIRD else "v2"
            how["chunk_key_encoding"] = {"name": name, "separator": separator}
            array = group.create_array(str(number), **how)
        array[...] = values
        row = [size if name in "zyx" else 1.0 for name in axes]
        transformations: list[dict[str, Any]] = [{"type": "scale", "scale": row}]
        if translations is not None:
            at = dict(zip("xyz", translations[number], strict=True))
            row = [float(at.get(name, 0.0)) for name in axes]
            transformations.append({"type": "translation", "translation": row})
        datasets.append({"path": str(number), "coordinateTransformations": transformations})
    described = [
        {"name": name, "type": "space", **({"unit": unit} if unit else {})}
        if name in "zyx"
        else {"name": name, "type": {"c": "channel", "t": "time"}[name]}
        for name in axes
    ]
    image: dict[str, Any] = {"axes": described, "datasets": datasets}
    if version == THIRD:
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    else:
        group.attrs["multiscales"] = [{"version": version, **image}]
    return path


def zipped(path: Path, *, with_folder: bool = False) -> Path:
    """The image as one file; the folder itself in it, or only what it holds."""
    inside = path.name if with_folder else "."
    root = path.parent if with_folder else path
    made = shutil.make_archive(str(path.parent / f"zip_{path.name}"), "zip", root, inside)
    return Path(made).rename(path.with_name(path.name + ".zip"))


def change(path: Path, **values: Any) -> None:
    """Overwrite entries of the image in `.zattrs`; those that are None go."""
    attributes = json.loads((path / ".zattrs").read_text("utf-8"))
    image = attributes["multiscales"][0]
    image.update(values)
    for name in [name for name, value in values.items() if value is None]:
        del image[name]
    (path / ".zattrs").write_text(json.dumps(attributes), "utf-8")


def _format(zarr: Any, version: str) -> dict[str, Any]:
    if zarr.__version__.startswith("2."):
        return {}
    return {"zarr_format": 3 if version == THIRD else 2}
