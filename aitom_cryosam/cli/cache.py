"""`cryosam cache`: what `pick --cache` has kept on disk."""

from __future__ import annotations

import argparse
import logging
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli.arguments import add_number
from aitom_cryosam.cli.tables import aligned
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.cache import Cache, Entry

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam cache`."""
    parser.add_argument("action", choices=["list", "clear"], help="show entries, or remove them")
    parser.add_argument("names", nargs="*", default=[], metavar="NAME", help="only these entries")
    parser.add_argument(
        "--cache", metavar="DIR", help="the folder given to `pick --cache`; the user's cache if not"
    )
    add_number(parser, "--older-than", "DAYS", "only entries older than this", default=0)


def run(args: argparse.Namespace) -> int:
    """Print the entries, or remove them.

    Raises:
        InputError: there is no such folder or entry, or an entry cannot be removed.
    """
    from aitom_cryosam.cache import Cache

    cache = Cache(args.cache or default_folder())
    if args.cache and not os.path.isdir(cache.folder):
        raise InputError(f"{cache.folder} is not an existing folder; check --cache.")
    entries = _chosen(cache, args.names, args.older_than)
    if args.action == "list":
        print(_table(entries, cache.folder))
    else:
        _clear(cache, entries, quiet=args.quiet)
    return 0


def default_folder() -> Path:
    """Where entries are looked for if no folder is named."""
    import platformdirs

    return platformdirs.user_cache_path("aitom_cryosam") / "features"


def _chosen(cache: Cache, names: list[str], days: float) -> list[Entry]:
    entries = cache.entries()
    unknown = sorted(set(names) - {entry.name for entry in entries})
    if unknown:
        raise InputError(
            f"There is no entry {unknown[0]} in {cache.folder}; `cryosam cache list` shows them."
        )
    return [entry for entry in entries if (not names or entry.name in names) and entry.age >= days]


def _table(entries: list[Entry], folder: Path) -> str:
    from aitom_cryosam.wording import size_text

    rows = [("entry", "tomogram", "kind", "size", "written", "usable")]
    for entry in entries:
        written = datetime.fromtimestamp(entry.modified).strftime("%Y-%m-%d %H:%M")
        usable = "yes" if entry.problem is None else f"no: {entry.problem}"
        size = size_text(entry.size)
        rows.append((entry.name, entry.tomogram, entry.kind, size, written, usable))
    total = f"{_counted([entry.size for entry in entries])}, in {folder}"
    return f"{aligned(rows, left=(0, 1, 2, 4, 5))}\n{total}" if entries else total


def _clear(cache: Cache, entries: list[Entry], *, quiet: bool) -> None:
    removed = []
    for entry in entries:
        size = entry.size  # while it is there
        try:
            gone = cache.remove(entry)
        except OSError as error:
            raise InputError(f"Cannot remove {entry.path}: {error.strerror}.") from error
        if gone:
            removed.append(size)
        else:
            logger.warning("%s is left: another process may be writing it.", entry.name)
    if not quiet:
        print(f"removed {_counted(removed)}, from {cache.folder}")


def _counted(sizes: list[int]) -> str:
    from aitom_cryosam.wording import size_text

    count = "1 entry" if len(sizes) == 1 else f"{len(sizes)} entries"
    return f"{count}, {size_text(sum(sizes))}"
