"""ChunkedArray: voxels stored in chunks, as an array that can be sliced like a mapped file."""

from __future__ import annotations

import math
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.temporaries import reserve
from aitom_cryosam.volumes.volume import Shape

_BLOCK_BYTES = 1 << 23
"""Chunks that are smaller are read several at once: each request costs about a millisecond."""
Box = tuple[slice, slice, slice]


class ChunkedArray:
    """(D, H, W), axes z y x, read-only; every chunk is decoded once, when it is first needed.

    What is decoded lies in a file without a name in the folder for temporary files (TMPDIR),
    mapped as an MRC file is: the memory holds what is in use, whichever way planes cut the
    chunks, and the file goes with the process.

    Args:
        read: the values (d, h, w) of a box, decoded.
        shape: (D, H, W).
        dtype: of the values.
        chunks: (d, h, w) of a chunk.
        called: the volume, for sentences.
    """

    ndim = 3

    def __init__(
        self,
        read: Callable[[Box], np.ndarray],
        shape: Shape,
        dtype: np.dtype[Any],
        chunks: Shape,
        called: str,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self._read = read
        self._called = called
        self._block = _blocks_of(chunks, shape, dtype.itemsize)
        counts = [-(-size // block) for size, block in zip(shape, self._block, strict=True)]
        self._there = np.zeros(counts, bool)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any, /) -> np.ndarray:
        for block in self._missing(index):
            with self._lock:
                if not self._there[block]:
                    box = self._box(block)
                    self._file[box] = self._read(box)
                    self._there[block] = True
        return np.asarray(self._view[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self[:, :, :], dtype=dtype, copy=copy)

    def _missing(self, index: Any) -> Iterator[tuple[int, ...]]:
        """The blocks that an index touches and that are not there yet."""
        parts = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(part, (int, np.integer, slice)) for part in parts):
            parts = ()  # anything else may touch anything
        ranges = []
        for part, size, block in zip(
            (*parts, *[slice(None)] * (3 - len(parts))), self.shape, self._block, strict=True
        ):
            within = range(size)[part]
            touched = within if isinstance(within, range) else range(within, within + 1)
            ends = (min(touched[0], touched[-1]), max(touched[0], touched[-1])) if touched else None
            ranges.append(range(ends[0] // block, ends[1] // block + 1) if ends else range(0))
        return (block for block in product(*ranges) if not self._there[block])

    def _box(self, block: tuple[int, ...]) -> Box:
        z, y, x = (
            slice(number * step, min((number + 1) * step, size))
            for number, step, size in zip(block, self._block, self.shape, strict=True)
        )
        return z, y, x

    @cached_property
    def _file(self) -> np.ndarray:
        """(D, H, W) on the disk; its space is reserved when the first voxel is asked for."""
        needed = math.prod(self.shape) * self.dtype.itemsize
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        try:
            if needed > free:
                raise OSError
            with tempfile.TemporaryFile(dir=folder) as file:
                reserve(file.fileno(), needed)
                return np.memmap(file, self.dtype, "w+", shape=self.shape)
        except OSError:
            raise InputError(
                f"{self._called} is unpacked into {needed / 1e9:.3g} GB of {folder}, where "
                f"{free / 1e9:.3g} GB are free; free some, or set TMPDIR to another folder."
            ) from None

    @cached_property
    def _view(self) -> np.ndarray:
        view = self._file.view()
        view.flags.writeable = False
        return view


def _blocks_of(chunks: Shape, shape: Shape, itemsize: int) -> Shape:
    """What is read at once: a chunk, or a few of them, of about the same length along each axis."""
    block = [min(chunk, size) for chunk, size in zip(chunks, shape, strict=True)]
    while 2 * math.prod(block) * itemsize <= _BLOCK_BYTES:
        growing = [axis for axis in range(3) if block[axis] < shape[axis]]
        if not growing:
            break
        axis = min(growing, key=lambda axis: block[axis])
        block[axis] = min(2 * block[axis], -(-shape[axis] // chunks[axis]) * chunks[axis])
    return block[0], block[1], block[2]
