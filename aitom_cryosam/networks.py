"""Networks: weights held in memory by model and device, loaded once a process."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from aitom_cryosam import checkpoints
from aitom_cryosam.models import Model

if TYPE_CHECKING:
    from torch import nn

    from aitom_cryosam.device import Device

T = TypeVar("T")
_held: dict[Hashable, Any] = {}
_lock = Lock()


def hold(model: Model, path: Path, device: Device, load: Callable[[], T], *options: Hashable) -> T:
    """The network that `load` makes, or the one that it has made before.

    Args:
        model: the network's.
        path: its checkpoint; another content, or another JSON file beside it, is another network.
        device: where it computes; one network is not on two.
        load: reads the checkpoint.
        options: what else the network depends on.
    """
    config = json.dumps(checkpoints.config(path), sort_keys=True)
    where = (device.name, str(device.precision))
    key = (model.name, checkpoints.digest(path), config, where, options)
    with _lock:
        if key not in _held:
            _held[key] = load()
        network: T = _held[key]
    return network


def release() -> None:
    """Let go of all networks; their memory is free when nobody else uses them."""
    with _lock:
        _held.clear()


def beside(device: Device, module: nn.Module) -> Device:
    """The device, with what the network takes there already counted as free for it.

    Args:
        device: as it is now.
        module: the network, there or still to be moved there.
    """
    if not device.name.startswith("cuda"):
        return device
    there = (part.nbytes for part in module.parameters() if str(part.device) == device.name)
    return replace(device, limit=device.limit + sum(there))
