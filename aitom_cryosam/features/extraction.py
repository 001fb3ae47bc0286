"""Extraction: encodes every plane of a tomogram across all three axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, reduce
from itertools import islice, pairwise
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.encoders.base import PlaneEncoder
from aitom_cryosam.features.half import on_host
from aitom_cryosam.features.token_files import create_tokens, open_tokens, release
from aitom_cryosam.features.view import View
from aitom_cryosam.features.whitening import Moments, Whitening
from aitom_cryosam.geometry import TokenAxis, in_plane_axes, runs
from aitom_cryosam.progress import Steps
from aitom_cryosam.threads import side_by_side
from aitom_cryosam.tomogram import Tomogram

STATISTICS_PLANES = 32
"""Planes of each view that the whitening is measured on."""
_BATCH_VOXELS = 1 << 22
"""Of a batch, one for every thread: more gains nothing, and large planes would fill the memory."""
_KEPT_BYTES = 128_000_000
"""Tokens of the statistics planes that wait for the whitening; others are encoded once more."""
Batch = tuple[int, ...]


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
        step = self._planes_at_once(view)
        done: dict[Batch, Any] = {}
        whitening = None

        def put(batch: Batch, tokens: Any) -> None:
            for plane, values in zip(batch, tokens, strict=True):
                mapped = values if whitening is None else whitening.apply(values)
                view.tokens[plane] = on_host(mapped)
            steps.add(sum(min(self.slab, size - plane * self.slab) for plane in batch))

        if self.shrinkage is not None:
            chosen = np.linspace(0, count - 1, STATISTICS_PLANES).round().astype(int)
            whitening, done = self._measured(view.axis, self._batches(np.unique(chosen), step))
        left = np.setdiff1d(np.arange(count), [plane for batch in done for plane in batch])
        side_by_side(lambda batch: put(batch, done.pop(batch)), list(done))
        self._encode(view.axis, self._batches(left, step), put)
        release(view.tokens)

    def _measured(self, axis: int, batches: Sequence[Batch]) -> tuple[Whitening, dict[Batch, Any]]:
        """The whitening, measured on batches of planes; and the tokens of some of them."""
        assert self.shrinkage is not None
        moments: dict[int, Moments] = {}
        kept: dict[Batch, Any] = {}

        def measure(batch: Batch, tokens: Any) -> None:
            for plane, values in zip(batch, tokens, strict=True):
                moments[plane] = Moments.of(on_host(values).reshape(-1, values.shape[-1]))
            if (len(kept) + 1) * tokens.nbytes <= _KEPT_BYTES:
                kept[batch] = tokens

        self._encode(axis, batches, measure)
        # In the order of the planes, whichever thread was first: the same bytes every time.
        total = reduce(add, (moments[plane] for plane in sorted(moments)))
        return Whitening.fit(total, self.shrinkage), kept

    def _planes_at_once(self, view: View) -> int:
        step = self.encoder.planes_at_once((view.rows.size, view.columns.size))
        if not self.encoder.concurrent:
            return step
        voxels = view.rows.size * view.columns.size * self.slab
        return min(step, max(1, _BATCH_VOXELS // voxels))

    def _batches(self, planes: np.ndarray, step: int) -> list[Batch]:
        """Planes, `step` at a time; the last ones alone where threads share them: none waits."""
        count, shared = len(planes), self.encoder.concurrent
        whole = max(count - 2 * step * shared, 0) // step * step
        starts = [*range(0, whole, step), *range(whole, count, 1 if shared else step), count]
        return [tuple(planes[start:stop].tolist()) for start, stop in pairwise(starts)]

    def _encode(
        self, axis: int, batches: Sequence[Batch], put: Callable[[Batch, Any], None]
    ) -> None:
        """Give the tokens of batches of planes to `put`, from several threads if they may."""

        def read(batch: Batch) -> np.ndarray:
            return np.concatenate([self._slabs(axis, *run) for run in runs(batch)])

        if self.encoder.concurrent:
            side_by_side(lambda batch: put(batch, self.encoder.encode(read(batch))), batches)
        else:
            # Whitened and put away while the next planes are encoded.
            with ThreadPoolExecutor(1) as pool:
                last: Future[None] | None = None
                for batch, planes in _read_ahead(read, batches):
                    tokens = self.encoder.encode(planes)
                    if last is not None:
                        last.result()
                    last = pool.submit(put, batch, tokens)
                if last is not None:
                    last.result()

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
    following = iter(batches)
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(read, batch) for batch in islice(following, 1)]
        for batch in batches:
            planes = coming.pop().result()
            coming = [pool.submit(read, other) for other in islice(following, 1)]
            yield batch, planes
