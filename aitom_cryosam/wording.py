"""Wording: numbers, lists and other programs' texts, for people."""

from __future__ import annotations

import math
from collections.abc import Iterable


def printable(text: str) -> str:
    """Text without characters that steer a terminal."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode()
        for one in text
    )


def in_angstrom(length: float) -> str:
    """A length for people, in whole Å; from tenths, as records keep it, so that all say the same.

    >>> in_angstrom(188.52), in_angstrom(188.5)
    ('188 Å', '188 Å')
    """
    return f"{round(length, 1):.0f} Å"


def plural(count: int, noun: str) -> str:
    """The count and the noun, with an s unless it is one."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first names, for a sentence; dots where there are more.

    Args:
        names: of tomograms, points or whatever there may be many of.
        most: how many to list.
    """
    every = list(names)
    return ", ".join(every[:most]) + (", ..." if len(every) > most else "")


def size_text(count: float) -> str:
    """Bytes for people: 4.1 GB."""
    power = min(int(math.log(max(count, 1), 1000)), 4)
    return f"{count / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"
