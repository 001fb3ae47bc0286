"""The plugin's reader: tomograms, and folders of results."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from aitom_cryosam.napari.layers import LayerData, record_layers, volume_layer
from aitom_cryosam.record import Record
from aitom_cryosam.result_files import RUN, run_files
from aitom_cryosam.volumes.reading import is_volume


def reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """What opens these paths; None if they are something else."""
    paths = [path] if isinstance(path, str) else list(path)
    return _read if paths and all(_known(Path(one)) for one in paths) else None


def _known(path: Path) -> bool:
    if is_volume(path):
        return True
    if os.path.isdir(path):
        return bool(run_files(path))
    return path.name.endswith(RUN)


def _read(path: str | Sequence[str]) -> list[LayerData]:
    paths = [path] if isinstance(path, str) else list(path)
    return [layer for one in paths for layer in _layers(Path(one))]


def _layers(path: Path) -> list[LayerData]:
    if is_volume(path):
        return [volume_layer(path)]
    if os.path.isdir(path):
        return [layer for record in Record.all_in(path) for layer in record_layers(record)]
    return record_layers(Record.open(path))
