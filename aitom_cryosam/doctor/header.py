"""What a file says of its volume, an MRC header above all, and what of it is doubtful."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.doctor.observation import Observation
from aitom_cryosam.validation.finding import Severity
from aitom_cryosam.volumes.mrc import read_header
from aitom_cryosam.volumes.multiscale import Multiscale
from aitom_cryosam.volumes.stored_array import StoredArray
from aitom_cryosam.volumes.zarr_store import ZarrStore

_MODES = {
    0: "8-bit integers",
    1: "16-bit integers",
    2: "32-bit floats",
    6: "unsigned 16-bit integers",
    12: "16-bit floats",
}
_SMALLEST, _LARGEST = 2.0, 40.0  # Å; particles are seldom picked at other voxel sizes


def header_observations(path: Path, *, voxel_size: float | None = None) -> list[Observation]:
    """What the header says: mode, size, voxel size, place, extended header, labels.

    Args:
        path: MRC file or OME-Zarr image.
        voxel_size: Å, if the user gives it; the header's is then not asked for.

    Raises:
        InputError: there is no such file, or it is neither.
    """
    if ZarrStore.recognises(path):
        return list(_of_zarr(path, asked=voxel_size is None))
    header = read_header(path)
    return [
        _note(_contents(header)),
        *([] if voxel_size is not None else _voxel_size(header)),
        *_place(header),
        *_axis_order(header),
        *_extended(header),
        *_labels(header),
    ]


def _of_zarr(path: Path, *, asked: bool) -> Iterator[Observation]:
    store = ZarrStore.open(path)
    image = Multiscale.of(store)
    arrays = [StoredArray(store, level.node, image.names) for level in image.levels]
    for level, array in zip(image.levels, arrays, strict=True):
        size, problem = level.voxel_size
        shape = " × ".join(map(str, reversed(array.shape)))
        voxels = "" if problem else f", of {size:.5g} Å"
        chunks = " × ".join(map(str, reversed(array.chunks)))
        yield _note(
            f"OME-Zarr {image.version}, level {level.node}: {shape} voxels (x, y, z) of "
            f"{array.dtype}{voxels}, in chunks of {chunks}."
        )
    size, problem = image.levels[0].voxel_size
    if asked and problem:
        yield _error(f"The metadata {problem}.", {"voxel-size": "ANGSTROM"})
    if not problem and any(origin := image.levels[0].origin(size)):
        yield _note(
            f"The metadata place voxel 0 at {_triple(list(origin))} Å. Picks are counted from "
            "voxel 0 without it; labels keep it."
        )


def _contents(header: Any) -> str:
    mode = int(header.mode)
    size = " × ".join(str(int(header[name])) for name in ("nx", "ny", "nz"))
    return f"{size} voxels (x, y, z) of {_MODES.get(mode, 'unknown numbers')} (mode {mode})."


def _voxel_size(header: Any) -> Iterator[Observation]:
    steps = [max(int(header[name]), 1) for name in ("mx", "my", "mz")]
    lengths = [float(header.cella[name]) for name in "xyz"]
    sizes = [length / step for length, step in zip(lengths, steps, strict=True)]
    told = " × ".join(f"{size:.4g}" for size in sizes)
    wanted = {"voxel-size": "ANGSTROM"}
    if not all(np.isfinite(sizes)) or min(sizes) <= 0:
        yield _error(f"The header gives no voxel size ({told} Å).", wanted)
    elif all(abs(size - 1) < 1e-3 for size in sizes):
        yield _error("The header gives a voxel size of 1 Å, which stands for unknown.", wanted)
    elif max(sizes) - min(sizes) > 0.01 * max(sizes):
        yield _error(f"The header gives unequal voxel sizes, {told} Å in x, y, z.", wanted)
    elif not _SMALLEST <= sizes[0] <= _LARGEST:
        nanometres = {"voxel-size": f"{10 * sizes[0]:g}"} if sizes[0] < _SMALLEST else wanted
        hint = "; is it in nanometres?" if sizes[0] < _SMALLEST else "."
        text = f"Voxels of {sizes[0]:.4g} Å are unusual for picking{hint}"
        yield Observation(Severity.WARNING, "header", text, nanometres)
    else:
        yield _note(f"Voxels of {sizes[0]:.4g} Å.")


def _place(header: Any) -> Iterator[Observation]:
    origin = [float(header.origin[name]) for name in "xyz"]
    start = [int(header[name]) for name in ("nxstart", "nystart", "nzstart")]
    if any(origin) or any(start):
        yield _note(
            f"The header places the volume at {_triple(origin)} Å, first voxel {_triple(start)}. "
            "Picks are counted from voxel 0 without it; labels keep it."
        )


def _axis_order(header: Any) -> Iterator[Observation]:
    axes = [int(header[name]) for name in ("mapc", "mapr", "maps")]
    if axes not in ([1, 2, 3], [0, 0, 0]):
        yield _note(
            f"Columns, rows and sections are the axes {_triple(axes)} instead of 1, 2, 3; "
            "this program turns them, some others do not."
        )


def _extended(header: Any) -> Iterator[Observation]:
    if (size := int(header.nsymbt)) > 0:
        kind = _plain(bytes(header.exttyp)) or "unnamed"
        yield _note(f"An extended header of {size} bytes ({kind}).")


def _labels(header: Any) -> Iterator[Observation]:
    texts = [_plain(bytes(label)) for label in header.label[: max(int(header.nlabl), 0)]]
    if texts := [text for text in texts if text]:
        more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
        yield _note(f"Its label says “{texts[-1]}”{more}.")


def _plain(text: bytes) -> str:
    """What can be shown of a text in a header."""
    shown = text.split(b"\0")[0].decode("latin-1").strip()
    return " ".join("".join(x if x.isprintable() else "?" for x in shown).split())


def _triple(values: list[Any]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _note(text: str) -> Observation:
    return Observation(Severity.NOTE, "header", text)


def _error(text: str, options: dict[str, str]) -> Observation:
    return Observation(Severity.ERROR, "header", text, options)
