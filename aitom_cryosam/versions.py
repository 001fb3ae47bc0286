"""Versions: of this package and of what it computes with."""

from __future__ import annotations

DISTRIBUTION = "aitom-cryosam"


def version_of(package: str) -> str:
    """Of an installed package."""
    from importlib.metadata import PackageNotFoundError, version  # as slow as all of `--help`

    try:
        return version(package)
    except PackageNotFoundError:  # used from its folder
        return "not installed"
