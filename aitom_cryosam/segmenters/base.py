"""What a plane segmenter is: the seam between the propagator and SAM or its stand-in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from aitom_cryosam.segmenters.codec import Embedding, EmbeddingCodec


@dataclass(frozen=True)
class Segmentation:
    """n masks, each in a window of its own on its plane; all windows have one size.

    Attributes:
        offsets_yx: (n, 2) int64, the plane pixel of each window's first pixel.
        masks: (n, h, w) bool, windows of the plane; pixels outside the plane are False.
        logits: (n, lh, lw) float32, the mask as the segmenter takes it back for the next plane;
            an array, or what takes the same indices, such as a tensor on the segmenter's device.
        scores: (n,) float32, predicted quality, 0 to 1.
        points_yx: (n, 2) float64, plane pixel of the highest confidence (Q of eq. 1).
    """

    offsets_yx: np.ndarray
    masks: np.ndarray
    logits: Any
    scores: np.ndarray
    points_yx: np.ndarray

    def __len__(self) -> int:
        return len(self.masks)

    def take(self, index: np.ndarray | slice) -> Segmentation:
        """The masks of (m,) indices, in their order, of (n,) booleans or of a slice."""
        return Segmentation(
            self.offsets_yx[index],
            self.masks[index],
            self.logits[index],
            self.scores[index],
            self.points_yx[index],
        )

    @staticmethod
    def concatenate(
        parts: list[Segmentation], join_logits: Callable[[list[Any]], Any] = np.concatenate
    ) -> Segmentation:
        """Several segmentations with windows of one size as one, in the given order.

        Args:
            parts: at least one.
            join_logits: what makes one of their logits, if those are no arrays.
        """
        return Segmentation(
            np.concatenate([part.offsets_yx for part in parts]),
            np.concatenate([part.masks for part in parts]),
            join_logits([part.logits for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.points_yx for part in parts]),
        )


def shifted(
    windows: np.ndarray, offsets_yx: np.ndarray, new_offsets_yx: np.ndarray, outside: float
) -> np.ndarray:
    """Windows of a plane moved to other places on it.

    Args:
        windows: (n, h, w).
        offsets_yx: (n, 2) int64, where the windows are.
        new_offsets_yx: (n, 2) int64, where they are wanted.
        outside: the value of pixels that the old windows do not hold.

    Returns:
        (n, h, w), of the same type.
    """
    size = windows.shape[1:]
    steps = np.clip(new_offsets_yx - offsets_yx, np.negative(size), size)
    if not steps.any():
        return windows
    # One copy with a margin, and one from it: windows that are cut one by one take up to three
    # times as long.
    margin = np.abs(steps).max(axis=0)
    height, width = size + 2 * margin
    framed = np.full((len(windows), height, width), outside, windows.dtype)
    (top, left), (bottom, right) = margin, margin + size
    framed[:, top:bottom, left:right] = windows
    rows, columns = (margin + steps).T
    return sliding_window_view(framed, size, axis=(1, 2))[np.arange(len(windows)), rows, columns]


def on_plane(offsets_yx: np.ndarray, side: int, shape: Sequence[int] | np.ndarray) -> np.ndarray:
    """The pixels of square windows that lie on their plane.

    Args:
        offsets_yx: (n, 2) int64, the plane pixel of each window's first pixel.
        side: pixels of a window.
        shape: (h, w) of the planes.

    Returns:
        (n, side, side) bool.
    """
    places = offsets_yx[:, :, None] + np.arange(side)  # (n, 2, side)
    inside = (places >= 0) & (places < np.array(shape)[:, None])
    return inside[:, 0, :, None] & inside[:, 1, None, :]


class PlaneSegmenter(Protocol):
    """Point prompts (and the previous plane's masks) to masks on planes.

    Stateless: `embed` does the work that is shared by all prompts on a plane and returns it
    as a value; `segment` decodes any number of prompts on any number of planes at once. What
    it returns for a prompt does not depend on the other prompts and planes of the call.
    """

    @property
    def codec(self) -> EmbeddingCodec:
        """How embeddings are counted and kept."""

    @property
    def held_bytes(self) -> float:
        """Memory for the embeddings and masks that are held at once."""

    @property
    def concurrent(self) -> bool:
        """Whether `embed` and `segment` may run in several threads at once."""

    def planes_at_once(self, plane_shape: tuple[int, int]) -> int:
        """How many planes (h, w) `embed` takes best in one call, 1 at least."""

    def embed(self, planes: np.ndarray) -> list[Embedding]:
        """planes: (b, h, w) float32, robust-normalised, protein positive. One value for each."""

    def segment(
        self,
        embeddings: Sequence[Embedding],
        rows: np.ndarray,
        points_yx: np.ndarray,
        previous: Segmentation | None,
    ) -> Segmentation:
        """Segment n prompts.

        Args:
            embeddings: of planes of one shape.
            rows: (n,) int64, the embedding that each prompt is on.
            points_yx: (n, 2) pixels on its plane.
            previous: the n masks of the plane before, or None.

        Returns:
            n masks, each on the plane of its prompt.
        """
