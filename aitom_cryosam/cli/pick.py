"""`cryosam pick`: every copy of a particle, from one or more clicks."""

from __future__ import annotations

import argparse
import logging
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import options
from aitom_cryosam.cli.options import add_tilt_series, tilt_series_of_tomogram, warn_of_extent
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.points.tomogram_info import TiltSeries
    from aitom_cryosam.result import Result
    from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

FEW = 0.05
"""Share of the proposals: where less are picks, a click may have been an odd one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam pick`."""
    parser.add_argument("tomogram", metavar="TOMO", help="MRC file (.mrc .rec .map, or .gz)")
    options.add_prompts(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    parser.add_argument(
        "--voxel-size", type=float, metavar="ANGSTROM", help="instead of the header's"
    )
    parser.add_argument(
        "--contrast", choices=("dark", "bright"), default="dark", help="of protein (default: dark)"
    )
    parser.add_argument(
        "--star",
        type=_flavours,
        default=(),
        metavar="FLAVOUR[,FLAVOUR...]",
        help="also write relion5, relion4, relion31, warp",
    )
    add_tilt_series(parser)
    parser.add_argument(
        "--picture", action="store_true", help="also draw two slices with the picks, as a PNG"
    )
    options.add_method(parser)
    options.add_resources(parser)


def run(args: argparse.Namespace) -> int:
    """Pick, write all files, print what came out and where it is.

    Raises:
        InputError: a file or option cannot be used; nothing is written then.
    """
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.files import output_folder, refuse_existing
    from aitom_cryosam.picker import CryoSAM
    from aitom_cryosam.points.prompts import read_prompts
    from aitom_cryosam.report import picture_path, write_picture
    from aitom_cryosam.result import result_paths
    from aitom_cryosam.tomogram import Tomogram

    start = time.perf_counter()
    resources = options.resources(args)
    settings, preset = options.explained_settings(args, resources)
    tomogram = Tomogram.open(args.tomogram, voxel_size=args.voxel_size, contrast=args.contrast)
    tilt_series = _tilt_series(args, tomogram)
    prompts = read_prompts(
        tomogram,
        args.prompt,
        args.prompts,
        coords_angpix=args.coords_angpix,
        tilt_series=tilt_series,
    )
    paths = result_paths(args.out, tomogram.name, args.star)
    if args.picture:
        paths["picture"] = picture_path(args.out, tomogram.name)
    output_folder(args.out)
    refuse_existing(paths.values(), overwrite=args.overwrite)
    logger.info(preset)
    with ShownProgress(quiet=args.quiet) as progress:
        result = CryoSAM(settings, resources=resources, progress=progress).pick(tomogram, prompts)
    result.write(args.out, star=args.star, tilt_series=tilt_series, overwrite=args.overwrite)
    if args.picture:
        write_picture(paths["picture"], result, overwrite=args.overwrite)
    if not args.quiet:
        print(_summary(result, list(paths.values()), time.perf_counter() - start))
    if not len(result.picks):
        logger.warning(_nothing(result))
    elif settings.cut == "auto" and len(result.picks) < FEW * len(result.proposals):
        logger.warning(_few(result))
    return 0


def _tilt_series(args: argparse.Namespace, tomogram: Tomogram) -> TiltSeries | None:
    """The tilt series as far as it was given, if that is enough for the flavours."""
    from aitom_cryosam.points.tomogram_info import TomogramInfo

    tilt_series = tilt_series_of_tomogram(args)
    if tilt_series is None and "relion4" in args.star:
        raise InputError(
            "--star relion4 needs --tomograms-star FILE or --unbinned-pixel-size ANGSTROM."
        )
    warn_of_extent(TomogramInfo.of(tomogram, tilt_series))
    return tilt_series


def _summary(result: Result, paths: Sequence[Path], seconds: float) -> str:
    """A few lines for the end of a run."""
    by = "given" if result.settings.diameter is not None else "estimated from the prompts"
    used = int(result.prompts.kept.sum())
    rows = [
        ("diameter", f"{result.diameter:.0f} Å, {by}"),
        ("prompts", f"{used} of {len(result.prompts)} used"),
        ("picks", f"{len(result.picks)} of {len(result.proposals)} proposals"),
        ("left out", _left_out(result)),
        ("cut", _cut_line(result)),
        ("seconds", f"{seconds:.0f}: {_seconds(result)}"),
        *(("" if i else "files", str(path)) for i, path in enumerate(paths)),
    ]
    return "\n".join(f"{label:10}{value}" for label, value in rows)


def _left_out(result: Result) -> str:
    counts = Counter(reason for reason in result.proposals.reasons if reason)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "none"


def _cut_line(result: Result) -> str:
    scores = result.picks.scores
    lowest = f"; the lowest pick has {scores.min():.3f}" if len(scores) else ""
    return f"{result.settings.cut}{lowest}"


def _seconds(result: Result) -> str:
    """The stages that took a while."""
    return ", ".join(f"{k} {v:.0f}" for k, v in result.stages.seconds.items() if v >= 0.5)


def _nothing(result: Result) -> str:
    """What to try after a run without picks."""
    other = "bright" if result.tomogram.contrast == "dark" else "dark"
    scores = result.proposals.scores
    best = f" (the best proposal has {scores.max():.3f})" if len(scores) else ""
    return (
        f"No picks. Left out: {_left_out(result)}. Try --contrast {other} if protein is {other}, "
        "--diameter ANGSTROM, a click nearer to a particle's centre, more than one --prompt, "
        f"or a lower --cut{best}; --cut none keeps all."
    )


def _few(result: Result) -> str:
    """What to try where more was to be expected."""
    return (
        f"Only {len(result.picks)} of {len(result.proposals)} proposals are picks. If you see more "
        "of these particles, click on two or three others too (--prompt): a single click can be "
        "on an odd copy."
    )


def _flavours(text: str) -> tuple[str, ...]:
    known = ("relion5", "relion4", "relion31", "warp")
    chosen = tuple(text.split(","))
    for name in chosen:
        if name not in known:
            raise argparse.ArgumentTypeError(f"unknown {name!r}; expected {', '.join(known)}")
    return chosen
