"""Checkpoint file: what a file of weights holds, and what may be wrong with it.

torch is imported only where a file is read.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitom_cryosam.errors import InputError
from aitom_cryosam.models import Weights
from aitom_cryosam.source_file import sha256_of
from aitom_cryosam.wording import printable

if TYPE_CHECKING:
    import torch

_WRAPPERS = ("model", "teacher", "state_dict")


def load(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by their names, on the CPU, mapped from disk where possible.

    A state dict that lies in a larger one under "model", "teacher" or "state_dict" is taken
    out. No code that a file may hold is run.

    Raises:
        InputError: there is no such file, or it is a web page, cut short, holds more than
            tensors, or holds no state dict.
    """
    try:
        return _state(Path(path))
    except Flaw as flaw:
        raise InputError(
            f"{path} {flaw}; expected a PyTorch state dict: `cryosam weights fetch` gets the "
            "published ones."
        ) from flaw


def config(path: str | Path) -> dict[str, Any] | None:
    """The JSON object beside a checkpoint (tiny.json for tiny.pth), or None if there is none.

    It holds the widths and depths of a model that differs from the published one.

    Raises:
        InputError: the file is not a JSON object.
    """
    beside = Path(path).with_suffix(".json")
    if not os.path.isfile(beside):
        return None
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{beside} is not JSON that can be read; mend or remove it.") from None
    if not isinstance(found, dict):
        raise InputError(
            f"{beside} holds a JSON {type(found).__name__}; expected an object, as "
            '{"embed_dim": 192}.'
        )
    return found


class Flaw(Exception):
    """What is wrong with a file: the end of a sentence that begins with it."""


def refuse_other(path: Path, weights: Weights) -> None:
    """Raise `Flaw` unless it is the published file, or could be where no checksum is known."""
    _check_whole(path, weights.size)
    if weights.sha256 is None:
        _state(path)
        return
    found = sha256_of(path)  # of what is on the disk now: whoever asks for a check means that
    if found != weights.sha256:
        raise Flaw(
            f"is not the published {weights.file}: its sha256 is {found}, expected {weights.sha256}"
        )


def _check_whole(path: Path, size: int | None = None) -> bytes:
    """Raise Flaw for what an interrupted or diverted download leaves; else how it begins."""
    try:
        with path.open("rb") as file:
            head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise Flaw(f"cannot be read ({error.strerror})") from error
    there = path.stat().st_size
    if head.startswith(b"<"):
        raise Flaw("is a web page, not a checkpoint")
    if size is not None and there < size:
        raise Flaw(f"is truncated: it has {there} of {size} bytes")
    if head.startswith(b"PK") and not zipfile.is_zipfile(path):  # the contents are listed last
        raise Flaw("is truncated: its end is missing")
    return head


def _state(path: Path) -> dict[str, torch.Tensor]:
    import torch

    head = _check_whole(path)
    objects = Flaw("holds Python objects besides tensors, which may run code")
    if head[:1] == b"\x80" and head[1:2] > b"\x02":  # torch writes the pickle protocol 2
        raise objects
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=head.startswith(b"PK"))
    except MemoryError:
        raise
    except Exception as error:  # of many types, for files that torch has not written
        if "GLOBAL" in str(error):  # the name of something that is not allowed
            raise objects from error
        raise Flaw("is truncated, or no checkpoint at all") from error
    while isinstance(found, Mapping):
        inner = [found[key] for key in _WRAPPERS if isinstance(found.get(key), Mapping)]
        if not inner:
            break
        found = inner[0]
    if not (
        isinstance(found, Mapping)
        and found
        and all(isinstance(value, torch.Tensor) for value in found.values())
    ):
        raise Flaw("holds no state dict, that is, tensors by name")
    for name, value in found.items():
        _check_tensor(str(name), value)
    return dict(found)


def _check_tensor(name: str, value: torch.Tensor) -> None:
    import torch

    if value.layout is not torch.strided or value.is_quantized or value.is_meta:
        raise Flaw(f"holds a sparse, quantised or empty tensor, {printable(name)}")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise Flaw(f"holds NaN or infinity in {printable(name)}")
