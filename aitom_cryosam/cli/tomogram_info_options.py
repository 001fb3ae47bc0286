"""Options that say of a tomogram what a file of points leaves open."""

from __future__ import annotations

import argparse

from aitom_cryosam.cli.argument_types import size_xyz
from aitom_cryosam.cli.arguments import add_length
from aitom_cryosam.cli.tilt_series_options import add_tilt_series


def add_tomogram_info(parser: argparse.ArgumentParser, about: str) -> None:
    """The tomogram's file, or its voxel size and shape, and its tilt series."""
    info = parser.add_argument_group("tomogram", about)
    info.add_argument("--tomo", metavar="FILE", help="MRC; only its header is read")
    add_length(info, "--voxel-size", "of the tomogram")
    info.add_argument("--shape", type=size_xyz, metavar="X,Y,Z", help="of the tomogram, voxels")
    add_tilt_series(info)


def size_of(args: argparse.Namespace) -> tuple[tuple[int, int, int] | None, float | None]:
    """(D, H, W) and Å a voxel, typed or of the file; None where neither says it.

    Raises:
        InputError: the file is missing or damaged.
    """
    from aitom_cryosam.volumes.reading import read_size

    shape, voxel_size = None, args.voxel_size
    if args.tomo:
        shape, voxel_size = read_size(args.tomo, voxel_size=args.voxel_size)
    if args.shape:
        x, y, z = (round(size) for size in args.shape)
        shape = (z, y, x)
    return shape, voxel_size
