"""Tokens in files: memory-mapped, and with their disk space reserved before they are written."""

from __future__ import annotations

import errno
import math
import mmap
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.temporaries import reserve
from aitom_cryosam.wording import size_text

Shape = tuple[int, ...]


def create_tokens(folder: Path, shapes: Mapping[str, Shape]) -> list[np.ndarray]:
    """Empty float16 arrays (d, h, w, C) in new files NAME.npy.

    Args:
        folder: an existing one.
        shapes: of the arrays, by name.

    Raises:
        InputError: the arrays do not fit, or the folder cannot be written to.
    """
    needed = sum(2 * math.prod(shape) for shape in shapes.values())
    free = shutil.disk_usage(folder).free
    try:
        if needed > free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return [_create(folder / f"{name}.npy", shape) for name, shape in shapes.items()]
    except OSError as error:
        if error.errno == errno.ENOMEM:  # of addresses, below `ulimit -v`
            raise MemoryError from error
        raise InputError(
            f"The features need {size_text(needed)} in {folder.parent}, where {size_text(free)} "
            f"are free ({error.strerror})",
            Remedy.DISK,
        ) from error


def open_tokens(folder: Path, shapes: Mapping[str, Shape]) -> list[np.ndarray]:
    """The arrays (d, h, w, C) of `create_tokens`, read-only.

    Raises:
        OSError, EOFError, ValueError: a file is missing or not what was written.
    """
    arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in shapes]
    for array, shape in zip(arrays, shapes.values(), strict=True):
        if array.shape != shape or array.dtype != np.float16:
            raise ValueError(f"Expected float16 {shape}, got {array.dtype} {array.shape}.")
    return [np.asarray(array) for array in arrays]


def release(array: np.ndarray) -> None:
    """Let the system take back the memory of an array, any shape, that lies in a file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _create(path: Path, shape: Shape) -> np.ndarray:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    with path.open("r+b") as file:
        reserve(file.fileno(), path.stat().st_size)
    return np.asarray(array)
