"""`cryosam-picking`: called as AITom's `picking` script is, with CryoSAM behind it."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aitom_cryosam.cli import options
from aitom_cryosam.cli.arguments import add_length, add_repeatable
from aitom_cryosam.errors import InputError

VARIABLE = "CRYOSAM_PROMPTS"
ENDING = ".prompts.json"


def main(argv: Sequence[str] | None = None) -> int:
    """`cryosam-picking` is `cryosam picking`. Returns its exit status."""
    from aitom_cryosam.cli import main as cryosam

    return cryosam(["picking", *(sys.argv[1:] if argv is None else argv)])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two positionals of AITom's `picking`, and options for who can give any."""
    parser.epilog = (
        f"Where options cannot be added, give the prompts as {VARIABLE}, which is X,Y,Z X,Y,Z ... "
        f"or a file, or in the file TOMO{ENDING}, which is [[X, Y, Z], ...], an earlier OUT, or an "
        "op dictionary of CryoSAMPicker."
    )
    options.add_tomogram(parser)
    parser.add_argument(
        "out", metavar="OUT.json", help='for [{"peak": {"loc": [x, y, z]}}]; replaced if it exists'
    )
    add_repeatable(
        parser, "--prompt", "X,Y,Z", "a click on a particle, in voxels from 0; repeatable"
    )
    parser.add_argument("--prompts", metavar="FILE", help=f"STAR, CSV or *{ENDING} with clicks")
    options.add_rejects(parser)
    add_length(parser, "--voxel-size", "if the header's is wrong or missing")
    parser.add_argument("--contrast", choices=("dark", "bright"), help="of protein (default: dark)")
    add_length(parser, "--diameter", "of the particle, instead of an estimate")


def run(args: argparse.Namespace) -> int:
    """Pick and write the JSON that AITom's display and Scipion read."""
    if not args.out.endswith(".json"):  # it is replaced: never a tomogram
        raise InputError(f"Expected OUT.json as the second argument, got {args.out}.")
    op = _prompts(args)
    typed = {name: getattr(args, name) for name in ("voxel_size", "contrast", "diameter")}
    rejects = _typed(args, "reject")
    typed["rejects"] = _of_file(rejects)["prompts"] if isinstance(rejects, str) else rejects
    op |= {name: value for name, value in typed.items() if value is not None}

    from aitom_cryosam.aitom.cryosam import CryoSAMPicker
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.files import write_all
    from aitom_cryosam.outputs import check_output
    from aitom_cryosam.points.formats.aitom import peaks_json

    check_output(Path(args.out).parent)
    with ShownProgress(quiet=args.quiet) as shown:
        peaks = CryoSAMPicker(op, progress=shown).pick(args.tomogram)
    write_all({Path(args.out): peaks_json(peaks)}, overwrite=True)
    if not args.quiet:
        print(f"{len(peaks)} picks in {args.out}")
    return 0


def _prompts(args: argparse.Namespace) -> dict[str, Any]:
    """The op with the prompts: typed, else of the environment, else beside the tomogram."""
    from aitom_cryosam.names import file_stem

    typed = _typed(args, "prompt")
    if isinstance(typed, str):
        return _of_file(typed)
    if typed:
        return {"prompts": typed}
    if text := os.environ.get(VARIABLE, "").strip():
        points = re.fullmatch(r"[-+.,eE\d\s]+", text)
        return {"prompts": _rows(text.split())} if points else _of_file(text)
    tomogram = Path(args.tomogram)
    beside = [tomogram.with_name(name + ENDING) for name in (tomogram.name, file_stem(tomogram))]
    for path in beside:
        if os.path.exists(path):
            return _of_json(path)
    raise InputError(
        f"There is no prompt; add --prompt X,Y,Z or --prompts FILE, set the variable {VARIABLE}, "
        f"or write [[X, Y, Z]] into {beside[-1]}."
    )


def _typed(args: argparse.Namespace, kind: str) -> list[list[float]] | str | None:
    """Clicks of a kind, "prompt" or "reject": rows, a file, or None if there are none.

    Raises:
        InputError: there are rows and a file.
    """
    rows, file = getattr(args, kind), getattr(args, f"{kind}s")
    if rows and file:
        raise InputError(f"Expected --{kind} or --{kind}s, got both; leave one out.")
    return _rows(rows) if rows else file


def _rows(texts: Sequence[str]) -> list[list[float]]:
    try:
        return [[float(value) for value in text.split(",")] for text in texts]
    except ValueError:
        raise InputError(f"Expected prompts as X,Y,Z, got {' '.join(texts)!r}.") from None


def _of_file(path: str) -> dict[str, Any]:
    return _of_json(Path(path)) if path.endswith(ENDING) else {"prompts": path}


def _of_json(path: Path) -> dict[str, Any]:
    """The op that a JSON file of prompts stands for."""
    from aitom_cryosam.points.table import text_of

    try:
        content = json.loads(text_of(path))
        if isinstance(content, dict):
            return content
        rows = [row["peak"]["loc"] if isinstance(row, dict) else row for row in content]
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"{path} holds no prompts; expected JSON as [[x, y, z], ...], "
            '[{"peak": {"loc": [x, y, z]}}, ...] or {"prompts": [[x, y, z], ...], ...}.'
        ) from None
    return {"prompts": rows}
