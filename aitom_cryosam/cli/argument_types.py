"""Types of arguments: from what was typed to a value, or to what was expected."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any


def word_or(convert: Callable[[str], Any], expected: str, *words: str) -> Callable[[str], Any]:
    """An argument type: one of the words as it is, or what `convert` makes of the text."""

    def parse(text: str) -> Any:
        try:
            return text if text in words else convert(text)
        except ValueError:
            listed = f"{', '.join(words)} or {expected}"
            raise argparse.ArgumentTypeError(f"expected {listed}, got {text!r}") from None

    return parse


def whole_numbers(text: str) -> tuple[int, ...]:
    """R,R,...; a ValueError if they are none, for `word_or`."""
    return tuple(int(value) for value in text.split(","))


def whole_number(text: str) -> int:
    """A whole number above 0."""
    if not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def size_xyz(text: str) -> tuple[float, float, float]:
    """Three numbers above 0."""
    try:
        x, y, z = (float(value) for value in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected three numbers X,Y,Z, got {text!r}") from None
    if not (min(x, y, z) > 0 and math.isfinite(x + y + z)):
        raise argparse.ArgumentTypeError(f"expected numbers above 0, got {text!r}")
    return x, y, z


def tilt_range(text: str) -> tuple[float, float]:
    """The lowest and the highest tilt, degrees."""
    try:
        low, high = (float(value) for value in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected LOW,HIGH in degrees, got {text!r}") from None
    return low, high


def flavours(text: str) -> tuple[str, ...]:
    """Names of STAR flavours with commas between them."""
    known = ("relion5", "relion4", "relion31", "warp")
    chosen = tuple(text.split(","))
    for name in chosen:
        if name not in known:
            raise argparse.ArgumentTypeError(f"unknown {name!r}; expected {', '.join(known)}")
    return chosen
