"""`cryosam weights`: get the published weights, and see what is on this machine."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli.parser import add_action
from aitom_cryosam.cli.tables import aligned
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.models import Model, Weights

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions of `cryosam weights` and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    action = partial(add_action, actions)
    listing = action("list", "show the known weights, and where they are on this machine")
    listing.add_argument("--json", action="store_true", help="for programs, with all that is known")
    fetching = action("fetch", "download weights and check them; the only action that does")
    fetching.add_argument("names", nargs="+", metavar="NAME", help="a model, or the preset paper")
    fetching.add_argument("--folder", metavar="DIR", help="where to keep them")
    verifying = action("verify", "check files against the published checksums")
    verifying.add_argument(
        "names", nargs="*", default=[], metavar="NAME|FILE", help="all that are found if left out"
    )
    path = action("path", "print where the weights of a model are")
    path.add_argument("name", metavar="NAME", help="a model")


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Returns:
        0 if all is done and right, 2 if a verified file is not what it claims.

    Raises:
        InputError: a name is not known, a file is missing, or a download failed.
    """
    run_action: Callable[[argparse.Namespace], int] = {
        "list": _list,
        "fetch": _fetch,
        "verify": _verify,
        "path": _path,
    }[args.action]
    return run_action(args)


def _list(args: argparse.Namespace) -> int:
    from aitom_cryosam.checkpoints import PUBLISHED, find, weights_of

    known = [(name, weights_of(model), find(model)) for name, model in PUBLISHED.items()]
    if args.json:
        listed = [
            {"name": name, **asdict(weights), "path": path and str(path)}
            for name, weights, path in known
        ]
        print(json.dumps(listed, indent=1))
        return 0
    rows = [
        (name, _size(weights), weights.licence, _place(path, weights))
        for name, weights, path in known
    ]
    print(aligned(rows, left=(0, 2, 3)))
    return 0


def _place(path: Path | None, weights: Weights) -> str:
    """Where a file is, and whether its length is another than that of the published one."""
    if path is None:
        return "missing"
    whole = weights.size in (None, path.stat().st_size)
    return str(path) if whole else f"{path}, incomplete: `cryosam weights verify`"


def _fetch(args: argparse.Namespace) -> int:
    from aitom_cryosam.checkpoints import find, home

    models = [model for name in args.names for model in _models(name)]
    for model in dict.fromkeys(models):
        folder = Path(args.folder) if args.folder else home()
        path = _fetch_one(model, folder, anywhere=not args.folder, quiet=args.quiet)
        seen = find(model)
        if seen is None:
            logger.warning(
                "For them to be found there, set AITOM_CRYOSAM_WEIGHTS=%s.", folder.resolve()
            )
        elif not seen.samefile(path):
            logger.warning("%s takes precedence over %s; remove it.", seen, path)
    return 0


def _fetch_one(model: Model, folder: Path, *, anywhere: bool, quiet: bool) -> Path:
    """Where the weights are at the end; they are not downloaded if that is so already."""
    from aitom_cryosam.checkpoints import fetch, find, verify, weights_of

    say: Callable[[str], None] = (lambda _: None) if quiet else print
    weights = weights_of(model)
    there = find(model) if anywhere else folder / weights.file
    if there is not None and os.path.isfile(there):
        try:
            verify(there, weights)
            say(f"{model.name}: {there} is already there, and is the published file.")
            return there
        except InputError as error:
            logger.debug("%s", error)
    say(f"{model.name}: {weights.file}, {_size(weights)}, {weights.licence}, into {folder}")
    say(f"  cite: {weights.citation}")
    path = fetch(model, folder=folder, progress=sys.stderr.isatty() and not quiet)
    say(f"  {path}: {_verdict(path, weights)}")
    return path


def _verify(args: argparse.Namespace) -> int:
    from aitom_cryosam.checkpoints import PUBLISHED, find

    names = args.names or [name for name, model in PUBLISHED.items() if find(model)]
    if not names:
        raise InputError("No weights are on this machine; type `cryosam weights fetch paper`.")
    status = 0
    for check in [check for name in names for check in _checks(name)]:
        try:
            line = check()
        except InputError as error:
            print(f"cryosam weights: {error}", file=sys.stderr)
            status = 2
        else:
            if not args.quiet:
                print(line)
    return status


def _checks(text: str) -> list[Callable[[], str]]:
    """For each file that a name stands for, what verifies it and returns a line about it.

    Raises:
        InputError: it is neither a file nor a known name.
    """
    from aitom_cryosam.checkpoints import PUBLISHED, weights_of

    path = Path(text)
    if os.path.isfile(path) and text not in (*PUBLISHED, *_groups()):
        known = {weights.file: weights for weights in map(weights_of, PUBLISHED.values())}
        return [partial(_check_file, path, known.get(path.name))]
    if len(path.parts) > 1:
        raise InputError(f"{text} is not a file on this machine; correct its path.")
    return [partial(_check_model, model) for model in _models(text)]


def _check_model(model: Model) -> str:
    from aitom_cryosam.checkpoints import require

    return _check_file(require(model, checked=False), model.weights)


def _check_file(path: Path, weights: Weights | None) -> str:
    from aitom_cryosam.checkpoint_file import load
    from aitom_cryosam.checkpoints import verify

    if weights is None:
        load(path)
    else:
        verify(path, weights)
    return f"{path}: {_verdict(path, weights)}"


def _path(args: argparse.Namespace) -> int:
    from aitom_cryosam.checkpoints import published_model, require

    print(require(published_model(args.name), checked=False))
    return 0


def _groups() -> dict[str, list[Model]]:
    """The presets that need weights, with the models they need."""
    from aitom_cryosam.settings import PRESETS

    return {name: preset.networks for name, preset in PRESETS.items() if preset.networks}


def _models(text: str) -> list[Model]:
    """What a name stands for.

    Raises:
        InputError: nothing; lists the known names.
    """
    from aitom_cryosam.checkpoints import PUBLISHED, published_model

    groups = _groups()
    try:
        return groups.get(text) or [published_model(text)]
    except InputError:
        known = f"{', '.join(PUBLISHED)}, or of the presets {', '.join(groups)}"
        raise InputError(f"Expected one of {known}, got {text!r}.") from None


def _verdict(path: Path, weights: Weights | None) -> str:
    """About a file that passed."""
    from aitom_cryosam.checkpoints import digest

    if weights is not None and weights.sha256 is not None:
        return "right, by its sha256"
    what = "no published file has this name" if weights is None else "no checksum of it is known"
    return f"a readable state dict, but {what}; its sha256 is {digest(path)}"


def _size(weights: Weights) -> str:
    return "?" if weights.size is None else f"{weights.size / 1e6:.0f} MB"
