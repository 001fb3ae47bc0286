"""PlaneEmbeddings: the embedded planes across one axis that are at hand."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from aitom_cryosam.geometry import in_plane_axes, runs
from aitom_cryosam.segmenters.base import PlaneSegmenter
from aitom_cryosam.segmenters.codec import Embedding
from aitom_cryosam.tomogram import Tomogram


class EmbeddingStore(Protocol):
    """Keeps the packed embeddings of one tomogram and one segmenter for later runs."""

    def get(self, axis: int, plane: int) -> np.ndarray | None:
        """What was put there, any shape, or None."""

    def put(self, axis: int, plane: int, array: np.ndarray) -> None:
        """Keep an array of any shape."""


class PlaneEmbeddings:
    """Embeds planes when they are asked for, and holds some for later.

    Args:
        segmenter: what embeds them.
        tomogram: the tomogram.
        axis: 0, 1, 2 for planes across z, y, x.
        store: asked before a plane is embedded, if the segmenter's embeddings have a signature.
    """

    def __init__(
        self,
        segmenter: PlaneSegmenter,
        tomogram: Tomogram,
        axis: int,
        store: EmbeddingStore | None = None,
    ) -> None:
        self.segmenter = segmenter
        self._codec = segmenter.codec
        self.axis = axis
        self.size = tomogram.shape[axis]
        height, width = (tomogram.shape[i] for i in in_plane_axes(axis))
        self.bytes_each = self._codec.nbytes((height, width))
        self._plane_shape = height, width
        self._batch = segmenter.planes_at_once((height, width))
        self._tomogram = tomogram
        self._store = store if self._codec.signature is not None else None
        self._held: dict[int, Embedding] = {}

    def at(self, planes: np.ndarray, budget_bytes: float) -> list[Embedding]:
        """Embeddings of planes.

        Args:
            planes: (n,) ascending.
            budget_bytes: other planes are held, too, while all of them fit.

        Returns:
            n embeddings.
        """
        wanted = [int(plane) for plane in planes]
        missing = [plane for plane in wanted if plane not in self._held]
        others = sorted(self._held.keys() - set(wanted))
        excess = len(self._held) + len(missing) - budget_bytes / self.bytes_each
        for plane in others[: math.ceil(max(excess, 0))]:  # prompts come ascending
            del self._held[plane]
        if self._store is not None:
            missing = [plane for plane in missing if not self._restore(plane, self._store)]
        for start in range(0, len(missing), self._batch):
            self._embed(missing[start : start + self._batch])
        return [self._held[plane] for plane in wanted]

    def _restore(self, plane: int, store: EmbeddingStore) -> bool:
        array = store.get(self.axis, plane)
        if array is not None:
            self._held[plane] = self._codec.unpack(array, self._plane_shape)
        return array is not None

    def _embed(self, planes: list[int]) -> None:
        values = [self._tomogram.planes(self.axis, *run) for run in runs(planes)]
        made = self.segmenter.embed(np.concatenate(values))
        for plane, embedding in zip(planes, made, strict=True):
            self._held[plane] = embedding
            if self._store is not None:
                self._store.put(self.axis, plane, self._codec.pack(embedding))
