"""Op: the dictionary that sets up everything in AITom, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.resources import Resources, parse_memory
from aitom_cryosam.settings import Settings, choose, short_name
from aitom_cryosam.tomogram import Tomogram

Volume = str | Path | np.ndarray | Tomogram
"""An MRC file, an array (x, y, z) as AITom reads it, or a tomogram."""
Key = tuple[Callable[[Any], bool], str]
"""Whether a value can be used, and in words what is expected."""


def positive(value: Any) -> bool:
    """Whether it is a finite number above 0."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < math.inf


def count(value: Any) -> bool:
    """Whether it is a whole number from 1."""
    return isinstance(value, Integral) and positive(value)


def anything(_value: Any) -> bool:
    """For values that are checked where they are used."""
    return True


def _plain(value: Any) -> bool:
    """Whether it is what `Settings` can look at."""
    if isinstance(value, (list, tuple)):
        return all(isinstance(item, Real) for item in value)
    return value is None or isinstance(value, (str, Real))


VOLUME_KEYS: dict[str, Key] = {
    "voxel_size": (positive, "a length above 0 Å"),
    "contrast": (lambda value: isinstance(value, str), "'dark' or 'bright'"),
}
SETTINGS_KEYS: dict[str, Key] = {
    short_name(field.name): (_plain, "a name, a number or a list of numbers")
    for field in fields(Settings)
}
RESOURCES_KEYS: dict[str, Key] = {
    "device": (lambda value: isinstance(value, str), "auto, cuda, cuda:N, mps or cpu"),
    "memory": (lambda value: isinstance(value, str), "an amount as '8GB'"),
    "cache": (lambda value: isinstance(value, (str, Path)), "a folder"),
    "checkpoints": (lambda value: isinstance(value, Mapping), "files by model name"),
    "compiled": (lambda value: isinstance(value, bool), "True or False"),
}


def checked(op: Mapping[str, Any] | None, keys: Mapping[str, Key], owner: str) -> dict[str, Any]:
    """A copy of an op whose keys are known and whose values can be used.

    Raises:
        InputError: naming the key, what came and what was expected.
    """
    if op is None:
        return {}
    if not isinstance(op, Mapping):
        raise InputError(f"Expected the op of {owner} as a dictionary, got {op!r}.")
    for name, value in op.items():
        if name not in keys:
            raise InputError(f"{owner} has no key {name!r} in its op; it knows {', '.join(keys)}.")
        good, expected = keys[name]
        if not good(value):
            raise InputError(f"Expected {expected} as {name} in the op of {owner}, got {value!r}.")
    return dict(op)


def resources_of(op: Mapping[str, Any]) -> Resources:
    """What an op says about the machine.

    Raises:
        InputError: a value makes no sense.
    """
    ram, gpu = parse_memory(op["memory"]) if "memory" in op else (None, None)
    return Resources(
        device=op.get("device", "auto"),
        ram_bytes=ram,
        gpu_bytes=gpu,
        cache=Path(op["cache"]) if "cache" in op else None,
        checkpoints={name: Path(file) for name, file in op.get("checkpoints", {}).items()},
        compiled=op.get("compiled", False),
    )


def settings_of(op: Mapping[str, Any], resources: Resources) -> Settings:
    """The settings among an op's values, upon the preset that it names; "auto" if none.

    Raises:
        InputError: a value is of the wrong type or out of its range, or weights are missing.
    """
    given: dict[str, Any] = {
        field.name: tuple(value) if isinstance(value, list) else value  # JSON has no tuples
        for field in fields(Settings)
        if field.name != "preset" and (value := op.get(short_name(field.name), op)) is not op
    }
    return choose(op.get("preset", "auto"), resources, given)[0]


def tomogram_of(
    volume: Volume, op: Mapping[str, Any], *, array_voxel_size: float | None = None
) -> Tomogram:
    """What an AITom picker is called with, as a tomogram; an array is not copied.

    Args:
        volume: an array has the axes x, y, z, and needs op's voxel_size.
        op: may give voxel_size (Å) and contrast, but not for a `Tomogram`, which has its own.
        array_voxel_size: for an array where op gives none.

    Raises:
        InputError: it is none of these, or cannot be used.
    """
    given = {name: op[name] for name in VOLUME_KEYS if name in op}
    if isinstance(volume, Tomogram):
        if given:
            raise InputError(f"A Tomogram has its own {' and '.join(given)}; leave it out of op.")
        return volume
    if isinstance(volume, (str, Path)):
        return Tomogram.open(volume, **given)
    if not isinstance(volume, np.ndarray):
        raise InputError(
            f"Expected a path, an array (x, y, z) or a Tomogram, got {type(volume).__name__}."
        )
    given.setdefault("voxel_size", array_voxel_size)
    if given["voxel_size"] is None:
        raise InputError("An array does not know its voxel size; give voxel_size in Å.")
    return Tomogram.from_array(volume.T, **given)


def clicks_of(clicks: Any, kind: str = "prompts") -> dict[str, Any]:
    """Clicks as a `Job` has them: "prompts" and "prompts_file", or "rejects" and "rejects_file".

    Args:
        clicks: rows of x, y, z in voxels, `Picks`, or a STAR or CSV file; None for no rejects.
        kind: "prompts" or "rejects".

    Raises:
        InputError: there is no prompt, or they are none of these.
    """
    if clicks is None and kind == "rejects":
        return {}
    if clicks is None:
        raise InputError("There is no prompt; give prompts as rows of x, y, z in voxels.")
    if isinstance(clicks, (str, Path)):
        return {kind: (), f"{kind}_file": Path(clicks)}
    rows = clicks.points_zyx[:, ::-1] if isinstance(clicks, Picks) else clicks
    try:
        points_xyz = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"Expected {kind} as rows of x, y, z in voxels, got {rows!r}.") from None
    return {kind: tuple(np.atleast_2d(points_xyz).tolist()) if points_xyz.size else ()}
