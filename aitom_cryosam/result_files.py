"""Result files: what the files of a run are called, and which of them hold picks."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.names import RESULT
from aitom_cryosam.tidying import settle

RUN = RESULT["run"]
"""Ending of the record of a run."""
NEEDED = ("picks", "proposals", "labels")
"""What every result of particles has."""
_VOXEL_BYTES = {"labels": 2, "semantic": 1, "probability": 4, "distance": 4}


def result_paths(
    folder: str | Path,
    name: str,
    star: Sequence[str] = (),
    *,
    picture: bool = False,
    suggested: bool = False,
    semantic: str = "none",
    target: str = "particle",
) -> dict[str, Path]:
    """The files of a result for a tomogram of this name, by kind.

    The kinds are "picks", "proposals", "labels", each of the flavours `star`, "query", "trace",
    "run" and "picture"; "suggested" with its "suggested_picture"; "semantic", and "probability" if
    it is dense. A structure that is no particle has no "proposals", "query" and "trace", but
    "semantic" and "distance".
    """
    kinds = ["picks", "proposals", "labels", *star, "query", "trace", "run"]
    if target != "particle":
        kinds = ["picks", "labels", "semantic", "distance", *star, "run"]
    if picture:
        kinds.append("picture")
    if target == "particle":
        kinds += ["suggested", "suggested_picture"] if suggested else []
        kinds += ["semantic"] if semantic != "none" else []
        kinds += ["probability"] if semantic == "dense" else []
    return {kind: Path(folder) / (name + RESULT.get(kind, f"_{kind}.star")) for kind in kinds}


def volume_bytes(kinds: Iterable[str], shape_zyx: Sequence[int]) -> int:
    """Of the files of these kinds, which have a value for each voxel of the tomogram."""
    return math.prod(shape_zyx) * sum(_VOXEL_BYTES.get(kind, 0) for kind in kinds)


def run_files(folder: Path) -> list[Path]:
    """The records of runs in a folder, by name; hidden files, as macOS leaves, are none."""
    settle(folder)
    return sorted(folder.glob(f"[!.]*{RUN}"))


def picks_files(path: Path) -> list[Path]:
    """The files of picks in a folder of results; a file itself.

    Raises:
        InputError: a folder holds none.
    """
    if not os.path.isdir(path):
        return [path]
    settle(path)
    found = sorted(path.glob(f"[!.]*{RESULT['picks']}"))
    if not found:
        raise InputError(f"The folder {path} holds no *{RESULT['picks']}; name the files instead.")
    return found
