"""Options of the tilt series: RELION's tomograms.star, or the sizes that it would give."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli.argument_types import size_xyz
from aitom_cryosam.cli.arguments import add_length
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.points.tilt_series import TomogramsStar
    from aitom_cryosam.points.tomogram_info import TiltSeries
    from aitom_cryosam.record import Record


def add_tilt_series(parser: argparse._ActionsContainer) -> None:
    """`--tomograms-star`, or the pixel size and size that it would give."""
    parser.add_argument(
        "--tomograms-star",
        metavar="FILE",
        help="of the RELION project: names, sizes and pixel sizes, for relion4 and relion5",
    )
    add_length(parser, "--unbinned-pixel-size", "of the tilt series, for relion4 and relion5")
    parser.add_argument(
        "--unbinned-size",
        type=size_xyz,
        metavar="X,Y,Z",
        help="of the tomogram in unbinned pixels, for relion5",
    )


def tilt_series_of(args: argparse.Namespace) -> TiltSeries | None:
    """What was typed of the tilt series.

    Raises:
        InputError: a size without its pixel size, or both and a file.
    """
    from aitom_cryosam.points.tomogram_info import TiltSeries

    pixel_size, size = args.unbinned_pixel_size, args.unbinned_size
    if args.tomograms_star is not None and (pixel_size, size) != (None, None):
        raise InputError(
            "Expected --tomograms-star or --unbinned-pixel-size, got both; leave one out."
        )
    if pixel_size is None:
        if size is not None:
            raise InputError("--unbinned-size needs --unbinned-pixel-size ANGSTROM too.")
        return None
    if not 0 < pixel_size < math.inf:
        raise InputError(f"Expected --unbinned-pixel-size above 0 Å, got {pixel_size:g}.")
    return TiltSeries(pixel_size, size)


def tomograms_of(args: argparse.Namespace) -> TomogramsStar | None:
    """The tilt series of `--tomograms-star`, if it was typed."""
    from aitom_cryosam.points.tilt_series import read_tomograms_star

    return read_tomograms_star(args.tomograms_star) if args.tomograms_star else None


def tilt_series_of_tomogram(args: argparse.Namespace) -> TiltSeries | None:
    """The tilt series of `args.tomogram`, typed or in `--tomograms-star`.

    Raises:
        InputError: as `tilt_series_of`, or the file does not know the tomogram.
    """
    return _of(args, args.tomogram)


def tilt_series_of_record(args: argparse.Namespace, record: Record) -> TiltSeries | None:
    """The tilt series of the tomogram of a run, typed or in `--tomograms-star`.

    It is known by the tomogram's path: names are often those of every folder's reconstruction.

    Raises:
        InputError: as for `tilt_series_of_tomogram`.
    """
    return _of(args, record.tomogram_path or record.info.name)


def _of(args: argparse.Namespace, tomogram: str | Path) -> TiltSeries | None:
    typed, tomograms = tilt_series_of(args), tomograms_of(args)
    return tomograms.of(tomogram) if tomograms else typed
