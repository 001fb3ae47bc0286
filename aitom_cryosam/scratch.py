"""Scratch: memory that is worked in again and again."""

from __future__ import annotations

import math

import numpy as np


class Scratch:
    """Arrays by name, each of which lies where the last of its name did.

    Fresh memory comes from the system page by page, which takes as long as a pass over it.
    """

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray] = {}

    def __call__(self, name: str, *shape: int) -> np.ndarray:
        """An array (shape) float32 of any values; the last of this name is no longer valid."""
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or len(held) < size:
            held = self._held[name] = np.empty(size, np.float32)
        return held[:size].reshape(shape)
