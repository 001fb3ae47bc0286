"""EmbeddingFiles: a segmenter's embeddings of planes, kept on disk."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import writing

logger = logging.getLogger(__name__)

_CHECKSUM_BYTES = 32


class EmbeddingFiles:
    """One file for every plane, complete or absent: an array as .npy, and its sha256.

    A store that cannot be written to (any more) says so once and goes on without keeping.

    Args:
        folder: an existing one, of one tomogram and one segmenter.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writable = True

    def get(self, axis: int, plane: int) -> np.ndarray | None:
        """The packed embedding of a plane, any shape; None if it is not there, or damaged."""
        path = self._path(axis, plane)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("%s is damaged and is computed again: %s", path, error.strerror)
            return None
        packed, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
        if hashlib.sha256(packed).digest() != checksum:
            logger.warning("%s is damaged and is computed again.", path)
            return None
        array: np.ndarray = np.load(io.BytesIO(packed))
        return array

    def put(self, axis: int, plane: int, array: np.ndarray) -> None:
        """Keep the packed embedding of a plane, any shape, in place of one that is there."""
        if not self._writable:
            return
        packed = io.BytesIO()
        np.save(packed, array)
        content = packed.getbuffer()
        try:
            with writing(self._path(axis, plane), overwrite=True) as temporary:
                temporary.write_bytes(bytes(content) + hashlib.sha256(content).digest())
        except InputError as error:
            self._writable = False
            logger.warning("Embeddings are no longer kept: %s", error)

    def _path(self, axis: int, plane: int) -> Path:
        return self.folder / f"{'zyx'[axis]}{plane:05}.npy"
