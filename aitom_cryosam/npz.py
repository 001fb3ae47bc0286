"""Npz files: arrays, and beside them JSON that says what they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.source_file import existing_file, reading

_ABOUT = "about"


def write_npz(
    path: Path, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], *, version: int
) -> None:
    """Write arrays by name; the same content gives the same bytes.

    Args:
        path: of the file, which is replaced.
        about: what else there is to say, as JSON values or numpy numbers.
        arrays: by name.
        version: of this layout, for `reading_npz`.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps({"format": version, **about}, default=np.generic.item)
    with path.open("wb") as file:
        np.savez_compressed(file, **{_ABOUT: np.array(text), **arrays})  # type: ignore[arg-type]


@contextmanager
def reading_npz(
    path: Path, expected: str, *, version: int
) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """What `write_npz` wrote; whatever the block cannot use becomes one sentence.

    Args:
        path: of the file.
        expected: what it should be, as "the query of a run".
        version: of the layout that is understood.

    Raises:
        InputError: there is no such file, it is of another version, or not what was expected.
    """
    with reading(existing_file(path), expected), np.load(path) as file:
        about = json.loads(str(file[_ABOUT]))
        if about.pop("format") != version:
            raise InputError(f"{path} was written by another version; make it again.")
        yield about, file
