"""Arrays as small pictures inside a page."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import numpy as np
from PIL import Image

LARGEST = 720
"""Pixels: larger slices are shrunk to it, so that a page stays small."""
_QUALITY = 82


def photograph(values: np.ndarray, *, limits: tuple[float, float], largest: int = LARGEST) -> str:
    """A data URI of a grey JPEG.

    Args:
        values: (h, w); its first row is the picture's upper one.
        limits: values that are black and white.
        largest: pixels, of the longer side.
    """
    low, high = limits
    grey = np.clip((values.astype(np.float32) - low) * (255 / max(high - low, 1e-12)), 0, 255)
    image = Image.fromarray(grey.astype(np.uint8))
    image.thumbnail((largest, largest), Image.Resampling.BOX)
    return _uri(image, "JPEG", quality=_QUALITY)


def overlay(colours: np.ndarray) -> str:
    """A data URI of a transparent PNG.

    Args:
        colours: (h, w, 4) uint8 red, green, blue, opacity; at most 256 different ones.
    """
    return _uri(Image.fromarray(colours).quantize(method=Image.Quantize.FASTOCTREE), "PNG")


def limits(values: np.ndarray) -> tuple[float, float]:
    """Black and white for a slice (h, w): what all but a few values lie between."""
    low, high = np.percentile(values, (0.5, 99.5))
    return float(low), float(high)


def heat(values: np.ndarray) -> np.ndarray:
    """(h, w, 4) uint8 colours of (h, w) numbers 0 to 1: clear, blue, violet, yellow."""
    stops = np.array([0, 0.35, 0.6, 0.8, 1])
    table = np.array(
        [[20, 24, 80, 0], [45, 60, 170, 90], [150, 45, 165, 170], [240, 105, 75, 220],
         [255, 230, 90, 245]]
    )  # fmt: skip
    steps = np.round(np.clip(values, 0, 1) * 40) / 40
    return np.stack([np.interp(steps, stops, line) for line in table.T], axis=-1).astype(np.uint8)


def _uri(image: Image.Image, kind: str, **how: int) -> str:
    buffer = BytesIO()
    image.save(buffer, kind, optimize=True, **how)
    return f"data:image/{kind.lower()};base64,{b64encode(buffer.getvalue()).decode('ascii')}"
