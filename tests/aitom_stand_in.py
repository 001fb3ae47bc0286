"""What this package calls of AITom and what it gets back, written down from AITom itself.

Each function has AITom's own parameters and returns what AITom's returns, in kind, type and
shape; it says so if it is called with anything that AITom would not take. What they compute is
the least that can be searched. `test_aitom_contract.py` holds them against AITom where that is
importable.
"""

from __future__ import annotations

import json
import os
import uuid
from types import ModuleType
from typing import Any

import numpy as np
from scipy import ndimage


def peak__partition(
    v, s1, s2, find_maxima=True, partition_op=None, multiprocessing_process_num=0
) -> list[dict[str, Any]]:
    """`aitom.pick.dog.particle_picking_dog__util`: v (x, y, z); records, best first."""
    assert isinstance(v, np.ndarray)
    assert v.ndim == 3
    assert np.issubdtype(v.dtype, np.floating)
    assert 0 < s1 < s2
    assert find_maxima is True
    assert partition_op is None or {"nonoverlap_width", "overlap_width"} <= set(partition_op)
    assert multiprocessing_process_num >= 0
    smooth = ndimage.gaussian_filter(v, s1) - ndimage.gaussian_filter(v, s2)
    maxima = local_maxima(smooth)
    peaks = [
        {"val": float(value), "x": list(place), "uuid": str(uuid.uuid4())}
        for value, place in zip(smooth[maxima], np.array(maxima).T, strict=True)
    ]
    return sorted(peaks, key=lambda one: -one["val"])


def do_filter(pp, peak_dist_min, op=None) -> list[dict[str, Any]]:
    """`aitom.pick.dog.particle_picking_dog__filter`: pp best first; the very records, thinned."""
    places = np.array([one["x"] for one in pp])
    assert places.ndim == 2
    assert places.shape[1] == 3
    assert [one["val"] for one in pp] == sorted((one["val"] for one in pp), reverse=True)
    kept: list[int] = []
    for i, place in enumerate(places):
        if all(np.linalg.norm(places[j] - place) >= peak_dist_min for j in kept):
            kept.append(i)
    return [pp[i] for i in kept]


def local_maxima(arr) -> tuple[np.ndarray, ...]:
    """`aitom.filter.local_extrema`: the indices of the maxima, one array an axis."""
    high = ndimage.maximum_filter(arr, footprint=ndimage.generate_binary_structure(arr.ndim, 2))
    return np.where((high == arr) & (arr > arr.min()))


def subvolume_center_start_end(c, map_siz, subvol_siz) -> np.ndarray | None:
    """`aitom.image.vol.util`: (3, 2) int, or None where it reaches out of the map."""
    size = np.broadcast_to(subvol_siz, 3)
    start = np.asarray(c) - np.ceil(size / 2)
    if (start < 0).any() or (start + size >= np.asarray(map_siz)).any():
        return None
    return np.stack([start, start + size], axis=1).astype(int)


def scan(op) -> dict[str, str]:
    """`aitom.template.matching.standard_scanning.run_single`: writes four files, names them."""
    json.dumps({name: op[name] for name in ("id", "out_dir", "mode", "template", "map")})
    assert op["mode"] == "normalized-cor"
    assert all(len(angle) == 3 for angle in op["angles"])
    template, volume = np.load(op["template"]), np.load(op["map"])
    assert template.ndim == volume.ndim == 3
    assert template.dtype == volume.dtype == np.float64
    # The template is pasted beside the middle of the map, and the map correlated with that.
    pasted = np.zeros(volume.shape)
    middle = np.round(np.array(volume.shape) / 2)
    place = subvolume_center_start_end(middle, volume.shape, template.shape)
    pasted[tuple(slice(*ends) for ends in place)] = np.nan_to_num(template - np.nanmean(template))
    found = np.fft.ifftn(np.fft.fftn(volume) * np.conj(np.fft.fftn(pasted))).real
    found = np.roll(found, [size // 2 for size in volume.shape], axis=(0, 1, 2))
    files = {name: os.path.join(op["out_dir"], f"{op['id']}-{name}.npy") for name in FOUND}
    for name, path in files.items():
        np.save(path, found if name == "c" else np.zeros(volume.shape))
    return files


FOUND = ("c", "phi", "theta", "psi")


def read_mrc_data(path, show_progress=False) -> np.ndarray:
    """`aitom.io.file`: (x, y, z), the values as they are in the file."""
    import mrcfile

    with mrcfile.open(path) as file:
        return np.array(file.data).T


def peaks_to_subvolumes(v, peaks, subvol_size=32) -> dict[str, Any]:
    """`…autoencoder.autoencoder_util`: by uuid the box of each record, None at an edge."""
    boxes = {}
    for peak in peaks:
        place = subvolume_center_start_end(peak["x"], v.shape, subvol_size)
        box = None if place is None else v[tuple(slice(*ends) for ends in place)]
        boxes[peak["uuid"]] = {"center": peak["x"], "id": peak["uuid"], "v": box}
    return {"v_siz": np.array([subvol_size] * 3), "vs": boxes}


_AUTOENCODER = "aitom.classify.deep.unsupervised.autoencoder.autoencoder_util"
FUNCTIONS = {
    "aitom.pick.dog.particle_picking_dog__util": [peak__partition],
    "aitom.pick.dog.particle_picking_dog__filter": [do_filter],
    "aitom.filter.local_extrema": [local_maxima],
    "aitom.image.vol.util": [subvolume_center_start_end],
    "aitom.template.matching.standard_scanning.run_single": [scan],
    "aitom.io.file": [read_mrc_data],
    _AUTOENCODER: [peaks_to_subvolumes],
}
"""By the name of AITom's module."""


def modules() -> dict[str, ModuleType]:
    """A stand-in for `sys.modules`: AITom's modules, with no more than these functions."""
    found: dict[str, ModuleType] = {}
    for name, functions in FUNCTIONS.items():
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            parent = ".".join(parts[:end])
            found.setdefault(parent, ModuleType(parent)).__path__ = []  # a package
        vars(found[name]).update({one.__name__: one for one in functions})
    return found
