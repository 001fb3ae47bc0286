"""Options of the machine: device, memory, cache and checkpoints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli.arguments import add_repeatable

if TYPE_CHECKING:
    from aitom_cryosam.resources import Resources
    from aitom_cryosam.settings import Settings


def add_resources(parser: argparse.ArgumentParser) -> None:
    """Device, memory, cache and checkpoints."""
    machine = parser.add_argument_group("machine", "where to compute, and with how much memory")
    machine.add_argument(
        "--device", default="auto", metavar="auto|cuda[:N]|mps|cpu", help="for the networks"
    )
    machine.add_argument(
        "--memory",
        metavar="AMOUNT",
        help="the most to use, such as 8GB, or ram=16GB,gpu=8GB (default: most of what is free)",
    )
    machine.add_argument(
        "--cache", type=Path, metavar="DIR", help="keep features and embeddings for later runs"
    )
    add_repeatable(
        machine,
        "--checkpoint",
        "[NAME=]FILE",
        "weights of a model, if not where `cryosam weights fetch` puts them; repeatable",
    )
    machine.add_argument(
        "--compile",
        dest="compiled",
        action="store_true",
        help="compile SAM for the GPU first, for many large tomograms",
    )


def resources(args: argparse.Namespace, *, here: bool = True) -> Resources:
    """What `add_resources` was given.

    Args:
        args: of the command.
        here: whether this machine is the one that works.

    Raises:
        InputError: an amount or a checkpoint makes no sense, or there is no such device.
    """
    from aitom_cryosam.checkpoints import parse_checkpoints
    from aitom_cryosam.resources import Resources, parse_memory

    ram, gpu = parse_memory(args.memory) if args.memory else (None, None)
    wanted = Resources(
        device=args.device,
        ram_bytes=ram,
        gpu_bytes=gpu,
        cache=args.cache,
        checkpoints=parse_checkpoints(args.checkpoint),
        compiled=args.compiled,
    )
    if here and args.device not in ("auto", "cpu"):
        from aitom_cryosam.device import available

        available(args.device)
    return wanted


def warn_of_unused(args: argparse.Namespace, settings: Settings, available: Resources) -> None:
    """Say which of `add_resources` have no effect; whoever types them always is not stopped."""
    from aitom_cryosam.networks import warn_without_effect

    models = [model.name for model in settings.networks]
    unused = available.unused(models)
    if getattr(args, "search", "") == "full":
        unused.pop("device", None)
    options = {"compiled": "compile", "checkpoints": "checkpoint"}
    warn_without_effect(
        models, [f"--{options.get(name, name)} {value}".strip() for name, value in unused.items()]
    )
