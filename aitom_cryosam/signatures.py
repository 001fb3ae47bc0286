"""Signatures: what stored features depend on, as nested mappings that go through JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(signature: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted names; tuples as the lists that JSON makes of them."""
    values: dict[str, Any] = {}
    for name, value in signature.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = list(value) if isinstance(value, tuple) else value
    return values
