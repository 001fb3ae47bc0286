"""What a plane encoder is: the seam between the features and DINOv2 or its stand-in."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from aitom_cryosam.geometry import TokenGrid


class PlaneEncoder(Protocol):
    """Planes to a grid of feature vectors (paper section 2.2)."""

    @property
    def channels(self) -> int:
        """C, the features of a token."""

    @property
    def concurrent(self) -> bool:
        """Whether `encode` may run in several threads at once."""

    @property
    def signature(self) -> dict[str, Any]:
        """Everything that the tokens of a plane depend on, as JSON values; the cache's key."""

    def planes_at_once(self, plane_shape: tuple[int, int]) -> int:
        """How many planes of this shape one call of `encode` should be given, at least 1."""

    def grid(self, plane_shape: tuple[int, int]) -> TokenGrid:
        """Where the tokens of a plane of this shape lie."""

    def encode(self, planes: np.ndarray) -> Any:
        """planes: (b, h, w) float32, robust-normalised, protein positive.

        Returns:
            (b, gh, gw, C) float32 tokens, laid out as `grid((h, w))` says; an array, or a tensor
            on the encoder's device.
        """
