"""StoredArray: one array of a zarr store, as z, y, x, that tells a lost chunk from a blank one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.volumes.chunked import Box
from aitom_cryosam.volumes.volume import Shape
from aitom_cryosam.volumes.zarr_store import ZarrStore


class StoredArray:
    """An array of any axes in which all but z, y and x have the length 1.

    Zarr writes no chunk that holds nothing but the fill value, so a chunk that is not there can
    be a blank margin, or lost when the store was copied. Beside a blank one its neighbours end
    in the fill value.

    Args:
        store: that it lies in.
        node: its name there.
        names: of its axes, in their order.
        sparse: whether to take every chunk that is not there for blank, as in masks.

    Raises:
        InputError: it is no array, has other axes, channels, or no real numbers.
    """

    def __init__(
        self, store: ZarrStore, node: str, names: Sequence[str], *, sparse: bool = False
    ) -> None:
        self._store = store
        self._node = node
        self._sparse = sparse
        self._array = store.array(node)
        self._called = f"{store.path}, level {node}"
        sizes, chunks = list(self._array.shape), list(self._array.chunks)
        whole = all(isinstance(n, int) and n >= 0 for n in sizes + chunks)
        if not whole or 0 in chunks or len(chunks) != len(sizes):  # zarr 2 takes what a file says
            raise InputError(
                f"{self._called}: its shape is {sizes} in chunks of {chunks}; copy it again."
            )
        if len(sizes) != len(names):
            raise InputError(
                f"{self._called}: its array has {len(sizes)} axes, but the metadata name "
                f"{len(names)} ({', '.join(names)}); copy it again."
            )
        several = [f"{n} of {name}" for name, n in zip(names, sizes, strict=True)
                   if name not in "zyx" and n != 1]  # fmt: skip
        if several:
            raise InputError(
                f"{self._called} has {' and '.join(several)}; expected one volume: save the "
                "one to search by itself."
            )
        self._axes = tuple(names.index(axis) for axis in "zyx")
        self.dtype = np.dtype(self._array.dtype).newbyteorder("=")
        if self.dtype.kind not in "biuf":
            raise InputError(f"{self._called} holds {self.dtype}; expected real numbers.")
        if 0 in self.shape:
            raise InputError(f"{self._called} has no voxels.")

    @property
    def shape(self) -> Shape:
        """(D, H, W)."""
        return self._zyx(self._array.shape)

    @property
    def chunks(self) -> Shape:
        """(d, h, w) of what is decoded at once."""
        return self._zyx(self._array.chunks)

    def read(self, box: Box) -> np.ndarray:
        """(d, h, w) the values of a box.

        Raises:
            InputError: a chunk is missing or damaged.
        """
        for chunk in self._chunks_of(box):
            key = self._key(chunk)
            if not (self._sparse or self._store.holds(key) or self._ends_beside(chunk)):
                raise InputError(f"{self._called}: the chunk {key} is missing; copy it again.")
        return self._decoded(box)

    def _decoded(self, box: Sequence[slice]) -> np.ndarray:
        for key in map(self._key, self._chunks_of(box) if self._is_blosc else ()):
            if self._store.holds(key) and not self._store.holds_all_of_blosc(key):
                raise InputError(f"{self._called}: the chunk {key} is cut off; copy it again.")
        index: list[Any] = [0] * len(self._array.shape)
        for axis, part in zip(self._axes, box, strict=True):
            index[axis] = part
        try:
            values = np.asarray(self._array[tuple(index)])
        except MemoryError:
            raise
        except Exception:  # of any kind: zarr and its codecs raise what they like
            corner = ", ".join(str(part.start) for part in reversed(box))
            raise InputError(
                f"{self._called}: a chunk at x, y, z = {corner} is damaged, or its codec is not "
                "known; copy it again."
            ) from None
        in_order = sorted(self._axes)
        return values.transpose([in_order.index(axis) for axis in self._axes])

    def _chunks_of(self, box: Sequence[slice]) -> Iterator[tuple[int, ...]]:
        """The numbers of the files that hold a box."""
        return product(
            *(
                range(part.start // size, (part.stop - 1) // size + 1)
                for part, size in zip(box, self._files, strict=True)
            )
        )

    def _ends_beside(self, chunk: tuple[int, ...]) -> bool:
        """Whether the neighbours of a chunk end in the fill value."""
        for axis, step in product(range(3), (-1, 1)):
            beside = list(chunk)
            beside[axis] += step
            if not 0 <= beside[axis] < self._counts[axis]:
                continue
            if not self._store.holds(self._key(beside)):
                continue
            face = [
                slice(number * size, min((number + 1) * size, whole))
                for number, size, whole in zip(beside, self._files, self.shape, strict=True)
            ]
            at = face[axis].start if step == 1 else face[axis].stop - 1
            face[axis] = slice(at, at + 1)
            fill = self._array.fill_value
            values = self._decoded(face)
            if fill is None or not np.array_equal(
                values, np.full_like(values, fill), equal_nan=values.dtype.kind == "f"
            ):
                return False
        return True

    def _key(self, chunk: Sequence[int]) -> str:
        """Name of a chunk's file, below the image."""
        numbers = [0] * len(self._array.shape)
        for axis, number in zip(self._axes, chunk, strict=True):
            numbers[axis] = number
        before, separator = self._naming
        return f"{self._node}/{before}{separator.join(map(str, numbers))}"

    @cached_property
    def _naming(self) -> tuple[str, str]:
        """What stands before the numbers of a chunk, and between them."""
        metadata = self._store.content(f"{self._node}/zarr.json")
        if metadata is None:
            second = self._store.content(f"{self._node}/.zarray") or {}
            return "", str(second.get("dimension_separator") or ".")
        encoding = metadata["chunk_key_encoding"]
        second = encoding["name"] == "v2"
        separator = encoding.get("configuration", {}).get("separator") or ("." if second else "/")
        return "" if second else f"c{separator}", str(separator)

    @cached_property
    def _is_blosc(self) -> bool:
        """Whether a chunk's file is what Blosc made of it."""
        metadata = self._store.content(f"{self._node}/zarr.json")
        if metadata is None:
            second = self._store.content(f"{self._node}/.zarray") or {}
            return bool((second.get("compressor") or {}).get("id") == "blosc")
        return bool(metadata["codecs"][-1]["name"] == "blosc")

    @cached_property
    def _files(self) -> Shape:
        """(d, h, w) of what lies in one file: a chunk, or a shard of several."""
        return self._zyx(getattr(self._array, "shards", None) or self._array.chunks)

    @cached_property
    def _counts(self) -> Shape:
        d, h, w = (-(-n // step) for n, step in zip(self.shape, self._files, strict=True))
        return d, h, w

    def _zyx(self, sizes: Sequence[int]) -> Shape:
        z, y, x = self._axes
        return int(sizes[z]), int(sizes[y]), int(sizes[x])
