"""What keeps embeddings: how large they are, and how they become arrays for a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

Embedding = Any
"""What a segmenter's `embed` returns for a plane: any value, such as an array or a tensor."""


class EmbeddingCodec(Protocol):
    """The embeddings of one segmenter, in memory and in files."""

    @property
    def signature(self) -> dict[str, Any] | None:
        """All that an embedding depends on besides the plane, as JSON values.

        None: embeddings are made faster than they are read from a disk.
        """

    def nbytes(self, plane_shape: tuple[int, int]) -> int:
        """Memory that the embedding of a plane (h, w) holds."""

    def pack(self, embedding: Embedding) -> np.ndarray:
        """An embedding as an array, any shape, that a file can keep."""

    def unpack(self, array: np.ndarray, plane_shape: tuple[int, int]) -> Embedding:
        """The embedding of a plane (h, w) that `pack` made the array from, unchanged."""


class ArrayCodec:
    """Embeddings that are arrays, and are made faster than they are read from a disk.

    Args:
        nbytes: memory that the embedding of a plane (h, w) holds.
    """

    signature = None

    def __init__(self, nbytes: Callable[[tuple[int, int]], int]) -> None:
        self._nbytes = nbytes

    def nbytes(self, plane_shape: tuple[int, int]) -> int:
        """Memory that the embedding of a plane (h, w) holds."""
        return self._nbytes(plane_shape)

    def pack(self, embedding: Embedding) -> np.ndarray:
        """The same, any shape."""
        return np.asarray(embedding)

    def unpack(self, array: np.ndarray, plane_shape: tuple[int, int]) -> Embedding:
        """The same, any shape."""
        return array
