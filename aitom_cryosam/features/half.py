"""Half precision: tokens as they are kept, and as numbers that can be computed with."""

from __future__ import annotations

from typing import Any

import numpy as np

_EXPONENT = 112
"""Exponents are stored with 15 added in half precision and with 127 in single."""
_KEPT = np.int32(-0x70002000)
"""Sign, and what is left of exponent and fraction when they are in their place."""


def on_host(tokens: Any) -> np.ndarray:
    """Tokens (...) as an array: those of a device as float16, which is what is kept of them."""
    return tokens if isinstance(tokens, np.ndarray) else tokens.half().cpu().numpy()


def single(tokens: np.ndarray) -> np.ndarray:
    """Tokens as float32, exactly: by integer arithmetic, in a third of the time of numpy's cast.

    Args:
        tokens: (...) float16, finite.

    Returns:
        (...) float32.
    """
    bits = tokens.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _KEPT
    values = bits.view(np.float32)
    values *= np.float32(2.0**_EXPONENT)
    return values
