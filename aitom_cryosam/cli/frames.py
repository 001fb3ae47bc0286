"""Options that say which tomogram and tilt series points belong to."""

from __future__ import annotations

import argparse
import logging
import math
from typing import TYPE_CHECKING

from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.io.frame import Frame, Unbinned
    from aitom_cryosam.io.tomograms_star import TomogramsStar

logger = logging.getLogger(__name__)


def add_unbinned(parser: argparse._ActionsContainer) -> None:
    """`--tomograms-star`, or the pixel size and size that it would give."""
    parser.add_argument(
        "--tomograms-star",
        metavar="FILE",
        help="of the RELION project: names, sizes and pixel sizes, for relion4 and relion5",
    )
    parser.add_argument(
        "--unbinned-pixel-size",
        type=float,
        metavar="ANGSTROM",
        help="of the tilt series, for relion4 and relion5",
    )
    parser.add_argument(
        "--unbinned-size",
        type=size_xyz,
        metavar="X,Y,Z",
        help="of the tomogram in unbinned pixels, for relion5",
    )


def unbinned_of(args: argparse.Namespace) -> Unbinned | None:
    """What was typed of the tilt series.

    Raises:
        InputError: a size without its pixel size, or both and a file.
    """
    from aitom_cryosam.io.frame import Unbinned

    pixel_size, size = args.unbinned_pixel_size, args.unbinned_size
    if args.tomograms_star is not None and (pixel_size, size) != (None, None):
        raise InputError("Expected --tomograms-star or --unbinned-..., got both; leave one out.")
    if pixel_size is None:
        if size is not None:
            raise InputError("--unbinned-size needs --unbinned-pixel-size ANGSTROM too.")
        return None
    if not 0 < pixel_size < math.inf:
        raise InputError(f"Expected --unbinned-pixel-size above 0 Å, got {pixel_size:g}.")
    return Unbinned(pixel_size, size)


def tomograms_of(args: argparse.Namespace) -> TomogramsStar | None:
    """The tilt series of `--tomograms-star`, if it was typed."""
    from aitom_cryosam.io.tomograms_star import read_tomograms_star

    return read_tomograms_star(args.tomograms_star) if args.tomograms_star else None


def unbinned_of_tomogram(args: argparse.Namespace) -> Unbinned | None:
    """The tilt series of `args.tomogram`, typed or in `--tomograms-star`.

    Raises:
        InputError: as `unbinned_of`, or the file does not know the tomogram.
    """
    typed, tomograms = unbinned_of(args), tomograms_of(args)
    return tomograms.of(args.tomogram) if tomograms else typed


def warn_of_extent(frame: Frame) -> None:
    """Say if the unbinned size can hardly be that of this tomogram."""
    unbinned = frame.unbinned
    if not (unbinned and unbinned.size_xyz and frame.voxel_size and frame.shape_zyx):
        return
    for axis, size, voxels in zip("xyz", unbinned.size_xyz, frame.shape_zyx[::-1], strict=True):
        ratio = size * unbinned.pixel_size / (voxels * frame.voxel_size)
        if not 0.8 < ratio < 1.25:
            logger.warning(
                "Along %s the unbinned size makes %.2f of the tomogram's extent; is it in "
                "unbinned pixels, as x,y,z?",
                axis,
                ratio,
            )


def size_xyz(text: str) -> tuple[float, float, float]:
    """Three numbers above 0."""
    try:
        x, y, z = (float(value) for value in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected three numbers X,Y,Z, got {text!r}") from None
    if not (min(x, y, z) > 0 and math.isfinite(x + y + z)):
        raise argparse.ArgumentTypeError(f"expected numbers above 0, got {text!r}")
    return x, y, z
