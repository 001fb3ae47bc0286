"""Networks: weights held in memory by model and device, loaded once a process."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from aitom_cryosam import checkpoint_file, checkpoints
from aitom_cryosam.doors import is_command_line
from aitom_cryosam.models import Model
from aitom_cryosam.resources import Resources

if TYPE_CHECKING:
    from torch import nn

    from aitom_cryosam.device import Device

logger = logging.getLogger(__name__)

T = TypeVar("T")
_held: dict[Hashable, Any] = {}
_lock = Lock()


def check_given(
    resources: Resources,
    models: Collection[str],
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """What a run is given must be there, and have an effect.

    The command line has told it of its options already.

    Args:
        resources: of the run.
        models: names of its networks.
        settings: values by name, of those that have no effect.

    Raises:
        InputError: the device is not on this machine.
    """
    if is_command_line():
        return
    if resources.device not in ("auto", "cpu"):
        from aitom_cryosam.device import available

        available(resources.device)
    unused = [*settings.items(), *resources.unused(models).items()]
    warn_without_effect(models, [f"{name} {value}".strip() for name, value in unused])


def warn_without_effect(models: Collection[str], unused: Sequence[str]) -> None:
    """Warn of what was given and has no effect, in the words of a door.

    Args:
        models: names of the networks that run.
        unused: what has none.
    """
    if unused:
        runs = " and ".join(models) or "no network"
        logger.warning("Without effect, as %s is used here: %s.", runs, ", ".join(unused))


def hold(model: Model, path: Path, device: Device, load: Callable[[], T], *options: Hashable) -> T:
    """The network that `load` makes, or the one that it has made before.

    Args:
        model: the network's.
        path: its checkpoint; another content, or another JSON file beside it, is another network.
        device: where it computes; one network is not on two.
        load: reads the checkpoint.
        options: what else the network depends on.
    """
    config = json.dumps(checkpoint_file.config(path), sort_keys=True)
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
