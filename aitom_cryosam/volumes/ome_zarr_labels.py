"""Labels as an OME-Zarr image, where a tomogram of the same place would be shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aitom_cryosam.files import writing_folder
from aitom_cryosam.volumes.volume import Triple
from aitom_cryosam.volumes.zarr_store import package

_CHUNK = 128  # voxels along an edge
_AXES = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]


def write_labels(
    path: str | Path,
    labels: np.ndarray,
    *,
    voxel_size: float,
    origin: Triple = (0.0, 0.0, 0.0),
    overwrite: bool = False,
) -> None:
    """Write labels as OME-Zarr 0.4, which every version of zarr reads.

    Args:
        path: folder to write, best ending in `.zarr`.
        labels: (D, H, W) integers, 0 and above.
        voxel_size: Å.
        origin: x, y, z of the centre of voxel 0, Å.
        overwrite: replace an existing folder.

    Raises:
        InputError: the package zarr is not installed, the folder exists or cannot be written.
    """
    zarr = package()
    largest = int(labels.max(initial=0))
    dtype = next(one for one in (np.uint8, np.uint16, np.uint32) if largest <= np.iinfo(one).max)
    second = zarr.__version__.startswith("2.")
    with writing_folder(path, overwrite=overwrite) as draft:
        group = zarr.open_group(str(draft), mode="w", **({} if second else {"zarr_format": 2}))
        how = {
            "shape": labels.shape,
            "chunks": tuple(min(_CHUNK, size) for size in labels.shape),
            "dtype": dtype,
            "fill_value": 0,
        }
        if second:
            array = group.create_dataset("0", **how, dimension_separator="/")
        else:
            key = {"name": "v2", "separator": "/"}
            array = group.create_array("0", **how, chunk_key_encoding=key)
        for start in range(0, labels.shape[0], _CHUNK):  # one row of chunks after the other
            array[start : start + _CHUNK] = labels[start : start + _CHUNK].astype(dtype)
        transformations = [
            {"type": "scale", "scale": [float(voxel_size)] * 3},
            {"type": "translation", "translation": [float(value) for value in reversed(origin)]},
        ]
        group.attrs["multiscales"] = [
            {
                "version": "0.4",
                "name": Path(path).stem,
                "axes": _AXES,
                "datasets": [{"path": "0", "coordinateTransformations": transformations}],
            }
        ]
        group.attrs["image-label"] = {"version": "0.4"}
