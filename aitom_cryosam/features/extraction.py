"""Extraction: encodes every plane of a tomogram across all three axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.encoders.base import PlaneEncoder
from aitom_cryosam.features.threads import side_by_side
from aitom_cryosam.features.token_files import create_tokens, open_tokens
from aitom_cryosam.features.view import View
from aitom_cryosam.features.whitening import Moments, Whitening
from aitom_cryosam.geometry import TokenAxis, in_plane_axes
from aitom_cryosam.progress import Steps
from aitom_cryosam.tomogram import Tomogram

STATISTICS_PLANES = 32
"""Planes of each view that the whitening is measured on."""
_BATCH_VOXELS = 1 << 22
"""Of a batch, one for every thread: more gains nothing, and large planes would fill the memory."""
Batch = tuple[int, int]


class Extraction:
    """All that the tokens of one tomogram follow from, and where they are put.

    Args:
        tomogram: (D, H, W).
        encoder: planes to tokens.
        slab: planes averaged into one before they are encoded.
        shrinkage: of the whitening; None for none.

    Attributes:
        encoded: whether it has encoded the tomogram, and not only read what an earlier one did.
    """

    def __init__(
        self, tomogram: Tomogram, encoder: PlaneEncoder, slab: int, shrinkage: float | None
    ) -> None:
        self.tomogram = tomogram
        self.encoder = encoder
        self.slab = slab
        self.shrinkage = shrinkage
        self.encoded = False

    @property
    def signature(self) -> dict[str, Any]:
        """What the tokens depend on beside the tomogram."""
        return {
            "encoder": self.encoder.signature,
            "slab": self.slab,
            "shrinkage": self.shrinkage,
        }

    @property
    def nbytes(self) -> int:
        """Of all tokens."""
        return sum(2 * math.prod(shape) for shape in self._shapes.values())

    def to_memory(self, steps: Steps) -> list[View]:
        """Encode into arrays in memory."""
        arrays = [np.empty(shape, np.float16) for shape in self._shapes.values()]
        return self._filled(arrays, steps)

    def to_files(self, folder: Path, steps: Steps) -> list[View]:
        """Encode into memory-mapped files.

        Raises:
            InputError: they do not fit on the disk.
        """
        return self._filled(create_tokens(folder, self._shapes), steps)

    def from_files(self, folder: Path) -> list[View]:
        """What `to_files` has left in a folder.

        Raises:
            OSError, EOFError, ValueError: a file is missing or damaged.
        """
        return self._views(open_tokens(folder, self._shapes))

    @cached_property
    def _axes(self) -> list[tuple[TokenAxis, TokenAxis, TokenAxis]]:
        """For each view: stack, rows, columns."""
        axes = []
        for axis, size in enumerate(self.tomogram.shape):
            rows, columns = (self.tomogram.shape[other] for other in in_plane_axes(axis))
            grid = self.encoder.grid((rows, columns))
            slices = TokenAxis(size, -(-size // self.slab), self.slab)
            axes.append((slices, grid.rows, grid.columns))
        return axes

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            name: (*(axis.count for axis in axes), self.encoder.channels)
            for name, axes in zip("zyx", self._axes, strict=True)
        }

    def _views(self, arrays: Sequence[np.ndarray]) -> list[View]:
        views = zip(arrays, self._axes, strict=True)
        return [View(axis, tokens, *axes) for axis, (tokens, axes) in enumerate(views)]

    def _filled(self, arrays: Sequence[np.ndarray], steps: Steps) -> list[View]:
        views = self._views(arrays)
        for view in views:
            self._fill(view, steps)
        self.encoded = True
        return views

    def _fill(self, view: View, steps: Steps) -> None:
        count, size = view.slices.count, view.slices.size
        whitening = None
        if self.shrinkage is not None:
            chosen = np.linspace(0, count - 1, STATISTICS_PLANES).round().astype(int)
            planes = [(int(plane), int(plane) + 1) for plane in np.unique(chosen)]
            moments: dict[Batch, Moments] = {}

            def measure(plane: Batch, tokens: np.ndarray) -> None:
                moments[plane] = Moments.of(tokens.reshape(-1, tokens.shape[-1]))

            self._encode(view.axis, planes, measure)
            # In the order of the planes, whichever thread was first: the same bytes every time.
            total = reduce(add, (moments[plane] for plane in planes))
            whitening = Whitening.fit(total, self.shrinkage)

        def put(batch: Batch, tokens: np.ndarray) -> None:
            view.tokens[slice(*batch)] = tokens if whitening is None else whitening.apply(tokens)
            steps.add(min(batch[1] * self.slab, size) - batch[0] * self.slab)

        step = self.encoder.planes_at_once((view.rows.size, view.columns.size))
        if self.encoder.concurrent:
            voxels = view.rows.size * view.columns.size * self.slab
            step = min(step, max(1, _BATCH_VOXELS // voxels))
        batches = [(start, min(start + step, count)) for start in range(0, count, step)]
        self._encode(view.axis, batches, put)

    def _encode(
        self, axis: int, batches: Sequence[Batch], put: Callable[[Batch, np.ndarray], None]
    ) -> None:
        """Give the tokens of batches of planes to `put`, from several threads if they may."""

        def read(batch: Batch) -> np.ndarray:
            return self._slabs(axis, *batch)

        if self.encoder.concurrent:
            side_by_side(lambda batch: put(batch, self.encoder.encode(read(batch))), batches)
        else:
            for batch, planes in _read_ahead(read, batches):
                put(batch, self.encoder.encode(planes))

    def _slabs(self, axis: int, start: int, stop: int) -> np.ndarray:
        """(stop - start, h, w) float32, means of `slab` planes; the last may have fewer."""
        slab, size = self.slab, self.tomogram.shape[axis]
        planes = self.tomogram.planes(axis, start * slab, min(stop * slab, size))
        if slab == 1:
            return planes
        return np.stack([planes[i : i + slab].mean(axis=0) for i in range(0, len(planes), slab)])


def _read_ahead(
    read: Callable[[Batch], np.ndarray], batches: Sequence[Batch]
) -> Iterator[tuple[Batch, np.ndarray]]:
    """Each batch with its planes; the next ones are read meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(read, batches[0])
        for batch, following in zip(batches, [*batches[1:], None], strict=True):
            planes = coming.result()
            if following is not None:
                coming = pool.submit(read, following)
            yield batch, planes
