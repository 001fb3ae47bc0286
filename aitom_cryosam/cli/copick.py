"""`copick inference cryosam`: pick in the tomograms of a copick project, within copick's command.

It types `cryosam pick` for each tomogram, and `cryosam export --to copick` for the results.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from aitom_cryosam.cli import main
from aitom_cryosam.copick_project import refuse_place, tomograms_of
from aitom_cryosam.doors import Door
from aitom_cryosam.errors import InputError
from aitom_cryosam.names import RESULT


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("-c", "--config", required=True, envvar="COPICK_CONFIG", help="Of the project.")
@click.option("-t", "--tomogram", required=True, metavar="TYPE@SPACING", help="Such as wbp@10.0.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OBJECT:USER/SESSION",
    help="Such as ribosome:cryosam/1.",
)
@click.option("--run-names", default="", help="Separated by commas; all runs if not given.")
@click.option("--out", required=True, help="Folder for the results of `cryosam pick`.")
@click.option("--overwrite", is_flag=True, help="Replace existing results and picks.")
@click.argument("pick_options", nargs=-1, type=click.UNPROCESSED)
def cryosam(
    config: str,
    tomogram: str,
    output: str,
    run_names: str,
    out: str,
    overwrite: bool,
    pick_options: tuple[str, ...],
) -> None:
    """Pick every copy of a particle from one click, without training.

    PICK_OPTIONS go to `cryosam pick`, as --query ribosome.query, or --prompts FILE.
    """
    kind, _, spacing = tomogram.partition("@")
    object_name, _, place = output.partition(":")
    user, _, session = place.partition("/")
    user, session = user or "cryosam", session or "1"
    again = ["--overwrite"] if overwrite else []
    try:
        runs = [name.strip() for name in run_names.split(",") if name.strip()]
        chosen = tomograms_of(config, runs=runs, kind=kind or None, voxel_size=_size(spacing))
        _refuse_typed(pick_options, len(chosen))
        refuse_place(
            config,
            [one.run for one in chosen],
            object_name=object_name,
            user=user,
            session=session,
            overwrite=overwrite,
        )
    except InputError as error:
        raise click.UsageError(error.worded(Door.COMMAND_LINE)) from None
    logging.getLogger("aitom_cryosam").propagate = False  # copick would print all of it again
    ids = ["--user-id", user, "--session-id", session]
    failed = 0
    for one in chosen:
        status = main(["pick", str(one.path), "--out", out, *again, *pick_options])
        if status == 0:
            picks = str(Path(out) / (one.run + RESULT["picks"]))
            target = ["--to", "copick", "--out", config, "--object", object_name]
            status = main(["export", picks, *target, *ids, *again])
        failed = failed or status
    sys.exit(failed)


def _refuse_typed(pick_options: Sequence[str], count: int) -> None:
    """Refuse clicks that are typed, which lie in one tomogram, where several are chosen."""
    typed = [one for one in pick_options if one.partition("=")[0] in ("--prompt", "--reject")]
    if typed and count > 1:
        raise InputError(
            f"A click lies in one tomogram, but {count} are chosen; choose its run by --run-names, "
            "or make a query of it by `cryosam query`, and look for that in all by --query FILE."
        )


def _size(spacing: str) -> float | None:
    if not spacing:
        return None
    try:
        return float(spacing)
    except ValueError:
        raise InputError(f"Expected TYPE@SPACING with a number of Å, got {spacing!r}.") from None
