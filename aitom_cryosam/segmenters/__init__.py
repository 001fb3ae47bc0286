"""Plane segmenters: point prompts to masks on a plane."""

from __future__ import annotations

from collections.abc import Callable

from aitom_cryosam.segmenters.base import PlaneSegmenter, Segmentation

__all__ = ["SEGMENTERS", "PlaneSegmenter", "Segmentation"]


def _contour(diameter: float) -> PlaneSegmenter:
    from aitom_cryosam.segmenters.contour import ContourSegmenter

    return ContourSegmenter(diameter)


# Name -> builder from the particle's diameter in voxels.
SEGMENTERS: dict[str, Callable[[float], PlaneSegmenter]] = {"contour": _contour}
