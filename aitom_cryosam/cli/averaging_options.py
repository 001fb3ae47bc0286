"""Options of `average` and `refine`: which results, the tilt series, the particle."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aitom_cryosam.averaging import ITERATIONS, STEP
from aitom_cryosam.cli import options
from aitom_cryosam.cli.argument_types import tilt_range
from aitom_cryosam.cli.arguments import add_count, add_length, add_number
from aitom_cryosam.cli.tilt_series_options import add_tilt_series, tilt_series_of_record
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.averaging.reference import Reference
    from aitom_cryosam.averaging.sources import Source
    from aitom_cryosam.averaging.wedge import MissingWedge
    from aitom_cryosam.points.tomogram_info import TomogramInfo
    from aitom_cryosam.record import Record
    from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)


def add_results(parser: argparse.ArgumentParser) -> None:
    """Results of `pick`, the tilt series and the particle."""
    options.add_results(parser)
    add_length(parser, "--diameter", "of the particle, if not that of `pick`")
    add_reference(parser, help="begin with this map (protein bright), not the clicks")
    add_number(
        parser,
        "--step",
        "DEGREES",
        f"between turns of the first search; it becomes finer by itself (default: {STEP:g})",
        default=STEP,
    )
    add_count(
        parser, "--iterations", f"rounds of alignment (default: {ITERATIONS})", default=ITERATIONS
    )
    parser.add_argument(
        "--device", default="cpu", metavar="cpu|cuda[:N]", help="to align on (default: cpu)"
    )
    series = add_wedge(parser)
    options.add_flavours(
        parser, help="also write oriented picks for relion5, relion4, relion31, warp"
    )
    add_tilt_series(series)


def add_reference(parser: argparse.ArgumentParser, *, help: str) -> None:
    """A map to begin with, which `reference_of` reads."""
    parser.add_argument("--reference", metavar="MAP", help=help)
    add_length(parser, "--reference-voxel-size", "instead of its header's")


def add_wedge(parser: argparse.ArgumentParser, of: str = "") -> argparse._ArgumentGroup:
    """The missing wedge.

    Args:
        parser: of a command.
        of: which of its parts wants to know, if not all.

    Returns:
        The group of the tilt series.
    """
    title = f"tilt range, for {of}" if of else "tilt series"
    series = parser.add_argument_group(title, "estimated from the tomogram if not given")
    series.add_argument("--tilt-range", type=tilt_range, metavar="LOW,HIGH", help="degrees")
    series.add_argument(
        "--tilts",
        metavar="FILE",
        help=".tlt, .rawtlt, .mdoc, .aln, .xml or STAR with the tilt angles",
    )
    add_number(series, "--tilt-axis", "DEGREES", "from y towards x in the tomogram")
    return series


def infos_of(args: argparse.Namespace, records: Sequence[Record]) -> list[TomogramInfo]:
    """The tomograms with their tilt series, as far as it was given."""
    from dataclasses import replace

    return [replace(one.info, tilt_series=tilt_series_of_record(args, one)) for one in records]


def device_of(args: argparse.Namespace) -> str:
    """As torch knows it.

    Raises:
        InputError: there is none of this name, or not on this machine.
    """
    from aitom_cryosam.device import Device
    from aitom_cryosam.resources import Resources

    return Device.choose(Resources(device=args.device)).name


def diameter_of(args: argparse.Namespace, records: Sequence[Record]) -> float:
    """Å: as typed, or the mean of the runs'."""
    if args.diameter is not None:
        return float(args.diameter)
    return sum(one.diameter_angstrom for one in records) / len(records)


def source_of(args: argparse.Namespace, record: Record) -> Source:
    """What was picked in one tomogram, with the tilt range that `args` of `add_results` says."""
    from aitom_cryosam.averaging.sources import Source

    tomogram = record.tomogram(by_voxels=True)
    prompts = record.prompts
    return Source(
        tomogram,
        record.picks,
        prompts.points_zyx[prompts.kept],
        record.masks,
        wedge_of(args, tomogram),
    )


def wedge_of(args: argparse.Namespace, tomogram: Tomogram) -> MissingWedge:
    """Given, or as the tomogram's spectrum shows it; said in either case.

    Raises:
        InputError: two were given, one makes no sense, or none is given or seen around z.
    """
    from aitom_cryosam.averaging.wedge import MissingWedge, estimated_wedge

    typed = typed_wedge(args)
    if typed is not None:
        return typed
    found = estimated_wedge(tomogram)
    if found is None:
        raise InputError(
            f"{tomogram.name}: its spectrum shows no missing wedge, as after denoising by a "
            "network; add --tilt-range LOW,HIGH (-90,90 for none)."
        )
    if args.tilt_axis is not None:
        found = MissingWedge(found.lowest, found.highest, args.tilt_axis)
    logger.info("%s: tilts estimated from its spectrum: %s.", tomogram.name, found)
    return found


def typed_wedge(args: argparse.Namespace) -> MissingWedge | None:
    """As the options say, or None.

    Raises:
        InputError: two were given, or one makes no sense.
    """
    from aitom_cryosam.averaging.tilts import wedge_of_tilts
    from aitom_cryosam.averaging.wedge import MissingWedge

    if args.tilts and args.tilt_range:
        raise InputError("Expected --tilts or --tilt-range, got both; leave one out.")
    axis = args.tilt_axis or 0.0
    if args.tilts:
        return wedge_of_tilts(args.tilts, axis)
    if args.tilt_range:
        low, high = args.tilt_range
        return MissingWedge(low, high, axis)
    return None


def reference_of(args: argparse.Namespace, size: int, voxel_size: float) -> Reference | None:
    """The map that was given, in the boxes' voxels."""
    if args.reference is None:
        sentence = "{0} is for --reference MAP; add it, or leave {0} out."
        options.refuse(args, ("reference_voxel_size",), sentence)
        return None
    from aitom_cryosam.averaging.reference import read_reference

    return read_reference(
        args.reference, size, voxel_size, map_voxel_size=args.reference_voxel_size
    )
