"""What a plane segmenter is: the seam between the propagator and SAM or its stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Segmentation:
    """n masks on one plane, each in a window of its own; all windows have one size.

    Attributes:
        offsets_yx: (n, 2) int64, the plane pixel of each window's first pixel.
        masks: (n, h, w) bool, windows of the plane; pixels outside the plane are False.
        logits: (n, lh, lw) float32, the mask as the segmenter takes it back for the next plane.
        scores: (n,) float32, predicted quality, 0 to 1.
        points_yx: (n, 2) float64, plane pixel of the highest confidence (Q of eq. 1).
    """

    offsets_yx: np.ndarray
    masks: np.ndarray
    logits: np.ndarray
    scores: np.ndarray
    points_yx: np.ndarray

    def __len__(self) -> int:
        return len(self.masks)

    def take(self, index: np.ndarray) -> Segmentation:
        """The masks of an index or boolean array, in its order."""
        return Segmentation(
            self.offsets_yx[index],
            self.masks[index],
            self.logits[index],
            self.scores[index],
            self.points_yx[index],
        )

    @staticmethod
    def concatenate(parts: list[Segmentation]) -> Segmentation:
        """Several segmentations with windows of one size as one, in the given order."""
        return Segmentation(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("offsets_yx", "masks", "logits", "scores", "points_yx")
            )
        )


class PlaneSegmenter(Protocol):
    """Point prompts (and the previous plane's masks) to masks on a plane.

    Stateless: `embed` does the work that is shared by all prompts on a plane and returns it
    as a value; `segment` decodes any number of prompts on it at once.
    """

    def embed(self, plane: np.ndarray) -> Any:
        """plane: (h, w) float32, robust-normalised, protein positive."""
        ...

    def segment(
        self, embedding: Any, points_yx: np.ndarray, previous: Segmentation | None
    ) -> Segmentation:
        """points_yx: (n, 2) pixels. previous: the n masks of the plane before, or None."""
        ...
