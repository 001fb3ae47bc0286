"""Arguments of the kinds that commands take most, each added to a parser or group in one call."""

from __future__ import annotations

import argparse
from typing import Any

To = argparse._ActionsContainer
"""A parser, or a group of its arguments."""


def add_number(to: To, name: str, metavar: str, help: str, **more: Any) -> None:
    """An option that is any number; `more` is argparse's."""
    to.add_argument(name, type=float, metavar=metavar, help=help, **more)


def add_length(to: To, name: str, help: str, **more: Any) -> None:
    """An option in Å."""
    add_number(to, name, "ANGSTROM", help, **more)


def add_count(to: To, name: str, help: str, **more: Any) -> None:
    """An option that is a whole number."""
    to.add_argument(name, help=help, **{"type": int, "metavar": "N", **more})


def add_repeatable(to: To, name: str, metavar: str, help: str, **more: Any) -> None:
    """An option that may be given several times; a list, empty without it."""
    to.add_argument(name, action="append", default=[], metavar=metavar, help=help, **more)
