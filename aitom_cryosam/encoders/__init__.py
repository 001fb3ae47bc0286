"""Plane encoders: planes to feature tokens."""

from __future__ import annotations

from collections.abc import Callable

from aitom_cryosam.encoders.base import PlaneEncoder

__all__ = ["ENCODERS", "PlaneEncoder"]


def _filterbank(diameter: float) -> PlaneEncoder:
    from aitom_cryosam.encoders.filterbank import FilterBankEncoder

    return FilterBankEncoder(diameter)


# Name -> builder from the particle's diameter in voxels.
ENCODERS: dict[str, Callable[[float], PlaneEncoder]] = {"filterbank": _filterbank}
