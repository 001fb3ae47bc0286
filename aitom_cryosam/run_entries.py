"""Run entries: what `<stem>_run.json` says of a run, as JSON values."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.files import write_text
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.source_file import sha256_of
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.versions import DISTRIBUTION, version_of

SCHEMA = 2
"""Of `<stem>_run.json`; version 0.1 wrote none, nor the names of its files."""


def counts(proposals: Picks, *, by_clusters: bool = False) -> dict[str, Any]:
    """What `<stem>_run.json` counts of proposals; with their probabilities, also what to expect.

    Args:
        proposals: with their verdict.
        by_clusters: that is not by the probabilities, which let nothing be expected of it then.
    """
    expected: dict[str, Any] = {}
    if by_clusters:
        expected = {"decided_by": "clusters"}
    elif proposals.probabilities is not None and len(proposals):
        of_picks = proposals.probabilities[proposals.kept]
        expected = {
            "expected_precision": round(float(of_picks.mean()), 3) if len(of_picks) else None,
            "expected_particles": round(float(proposals.probabilities.sum()), 1),
        }
    return {
        "proposals": len(proposals),
        "picks": int(proposals.kept.sum()),
        "left_out": dict(sorted(proposals.left_out.items())),
        **expected,
    }


def written(drafts: Mapping[str, Path]) -> dict[str, Any]:
    """Names and checksums of the files of a run, by kind, for its `<stem>_run.json`.

    Nothing lies beside them yet, whatever did beside those that they were made from.
    """
    return {
        "beside": [],
        "files": {kind: path.name for kind, path in drafts.items()},
        "sha256": {kind: sha256_of(path) for kind, path in drafts.items() if kind != "run"},
    }


def versions(*further: str) -> dict[str, str]:
    """Of this package, of what it always computes with, and of further packages."""
    return {
        "aitom_cryosam": version_of(DISTRIBUTION),
        "python": platform.python_version(),
        **{package: version_of(package) for package in ("numpy", "scipy", *further)},
    }


def prompt_entries(prompts: Picks) -> list[dict[str, Any]]:
    """What `<stem>_run.json` says of each prompt."""
    return [
        {"xyz": xyz(point), "used": bool(kept), "reason": reason}
        for point, kept, reason in zip(
            prompts.points_zyx, prompts.kept, prompts.reasons, strict=True
        )
    ]


def xyz(point_zyx: np.ndarray) -> list[float]:
    """The numbers x, y, z of a point (3,) in voxels."""
    return [round(float(value), 3) for value in point_zyx[::-1]]


def tomogram_entry(tomogram: Tomogram) -> dict[str, Any]:
    """What `<stem>_run.json` says of the tomogram.

    Where its first voxel lies elsewhere than that of the finest level, it says where: the file may
    be gone when positions are asked for in Å.
    """
    shift = tuple(TomogramInfo.of(tomogram).shift_xyz(tomogram.voxel_size).tolist())
    return {
        "path": str(tomogram.path.absolute()) if tomogram.path else None,
        "name": tomogram.name,
        "shape_zyx": tomogram.shape,
        "voxel_size_angstrom": tomogram.voxel_size,
        "contrast": tomogram.contrast,
        "sha256": tomogram.digest(),
        **({"shift_xyz_angstrom": shift} if any(shift) else {}),
    }


def write_run(path: Path, content: Mapping[str, Any]) -> None:
    """Write a `<stem>_run.json`.

    Raises:
        InputError: the file exists or cannot be written.
    """
    write_text(path, json.dumps(content, indent=1, default=np.generic.item) + "\n")
