"""Inputs: the files that a command was told to read, which it must not replace."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aitom_cryosam.names import RESULT
from aitom_cryosam.result_files import RUN, run_files

_OUTPUTS = {"command", "action", "out", "curve", "histogram", "json", "cache", "folder"}
_EDITS = {"view"}
"""Commands that save onto what they have opened, as a text editor does."""


def inputs_of(args: argparse.Namespace) -> list[Path]:
    """Files and folders that were typed and exist, and the files of the results among them."""
    if args.command in _EDITS:
        return []
    typed = (_paths(value) for name, value in vars(args).items() if name not in _OUTPUTS)
    return [found for paths in typed for path in paths for found in (path, *_of_result(path))]


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _paths(one)
    elif isinstance(value, (str, Path)):
        text = str(value)
        yield from (Path(one) for one in (text, text.partition("=")[2]) if one)  # NAME=FILE


def _of_result(path: Path) -> Iterator[Path]:
    """Beside each record of a run that a path names, or a folder holds."""
    runs = run_files(path) if os.path.isdir(path) else [path] if path.name.endswith(RUN) else []
    for run in runs:
        stem = run.name.removesuffix(RUN)
        yield from (run.with_name(stem + ending) for ending in RESULT.values())
