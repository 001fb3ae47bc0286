"""Options that several commands share: tomogram, clicks, results, targets and regions."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli.argument_types import flavours
from aitom_cryosam.cli.arguments import add_length, add_repeatable
from aitom_cryosam.errors import InputError
from aitom_cryosam.targets import STRUCTURES, structure

if TYPE_CHECKING:
    from aitom_cryosam.record import Record
    from aitom_cryosam.regions import RegionRules
    from aitom_cryosam.targets.base import StructureTarget

_STRUCTURES = " or ".join(f"{name}s" for name in STRUCTURES)


def add_tomogram(parser: argparse.ArgumentParser) -> None:
    """The tomogram that a command is about."""
    parser.add_argument(
        "tomogram",
        metavar="TOMO",
        help="MRC file (.mrc .rec .map, or .gz), OME-Zarr (.zarr), or, in a project of copick, "
        "CONFIG.json/RUN/TYPE@ANGSTROM",
    )


def located(text: str) -> str:
    """The path of a tomogram, also of one in a project of copick.

    Raises:
        InputError: there is no such project, or no such tomogram in it.
    """
    if ".json" not in text:
        return text
    from aitom_cryosam.copick_project import located

    return located(text)


def add_prompts(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Clicks, typed or in a file."""
    add_repeatable(
        parser, "--prompt", "X,Y,Z", "a click on a particle, in voxels from 0; repeatable"
    )
    parser.add_argument(
        "--prompts", metavar="FILE", help="clicks: STAR, CSV or any format of `cryosam export`"
    )
    add_length(
        parser, "--coords-angpix", "pixel size that FILE is written in, if not the tomogram's"
    )


def refuse_pixel_size_alone(args: argparse.Namespace) -> None:
    """See to it that `--coords-angpix` was not typed without the file that it is of.

    Raises:
        InputError: it was; clicks that are typed count voxels.
    """
    if not (args.prompts or getattr(args, "rejects", None)):
        sentence = "{0} is for a file of clicks, and there is none; leave {0} out."
        refuse(args, ("coords_angpix",), sentence)


def add_rejects(parser: argparse.ArgumentParser) -> None:
    """Negative clicks, typed or in a file."""
    add_repeatable(
        parser,
        "--reject",
        "X,Y,Z",
        "a click on something else: neither it nor what resembles it more than the particle "
        "is picked; repeatable",
    )
    parser.add_argument("--rejects", metavar="FILE", help="such clicks, as --prompts")


def add_volume(parser: argparse.ArgumentParser) -> None:
    """How a tomogram is read."""
    add_length(parser, "--voxel-size", "if the header's is wrong or missing")
    parser.add_argument(
        "--contrast", choices=("dark", "bright"), default="dark", help="of protein (default: dark)"
    )


def add_results(parser: argparse.ArgumentParser) -> None:
    """Results of `pick`, and the folder of new ones."""
    parser.add_argument(
        "results",
        nargs="+",
        metavar="RESULT",
        help="folders that `pick` wrote, or their *_run.json; of one or many tomograms",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")


def records_of(paths: Sequence[str]) -> list[Record]:
    """The runs in all folders.

    Raises:
        InputError: a path holds none, or a tomogram comes twice.
    """
    from aitom_cryosam.record import records_at

    found = [record for path in paths for record in records_at(Path(path))]
    for record in found:
        record.check()
    names = [one.info.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"There are two results of {name}; expected each tomogram once.")
    return found


def add_flavours(
    parser: argparse.ArgumentParser,
    help: str = "also write relion5, relion4, relion31, warp",
) -> None:
    """Further STAR files."""
    parser.add_argument(
        "--star",
        type=flavours,
        default=(),
        metavar="FLAVOUR[,FLAVOUR...]",
        help=help,
    )


def add_targets(parser: argparse.ArgumentParser) -> None:
    """What is looked for."""
    what = parser.add_argument_group("target", "what is looked for")
    what.add_argument(
        "--target",
        choices=("particle", *STRUCTURES),
        default="particle",
        help=f"particles (default); or follow {_STRUCTURES} from 2 to 10 clicks, which gives a "
        "mask, each sheet or line, and oriented points on it",
    )
    add_length(what, "--spacing", "between points on a membrane (default: 100) or filament (82)")
    add_length(what, "--thickness", "of a membrane's mask (default: 70)")


def target(args: argparse.Namespace) -> StructureTarget | None:
    """What `add_targets` was given; None for particles.

    Raises:
        InputError: a value makes no sense for it.
    """
    lengths = {name: getattr(args, name) for name in ("spacing", "thickness")}
    if args.target == "particle":
        for name, value in lengths.items():
            if value is not None:
                raise InputError(f"--{name} is for {_STRUCTURES}; add --target too.")
        return None
    return structure(args.target, diameter=args.diameter, **lengths)


def add_regions(parser: argparse.ArgumentParser, of: str = "") -> None:
    """Where picks may lie; `of` says which tomogram a mask is of."""
    where = parser.add_argument_group(
        "regions", "where picks may lie; nothing else counts, not even as background"
    )
    where.add_argument(
        "--region",
        metavar="MASK",
        help=f"only inside this mask of the tomogram{of}",
    )
    add_repeatable(
        where,
        "--exclude",
        "MASK",
        "not inside this mask, for example of membranes or gold; repeatable",
    )
    add_length(where, "--exclude-distance", "nor within this distance of its surface", default=0.0)
    add_length(where, "--edge", "nor within this distance of the tomogram's faces", default=0.0)
    where.add_argument(
        "--lamella",
        choices=("none", "auto"),
        default="none",
        help="auto: only in the sample's slab between empty ice above and below",
    )


def regions(args: argparse.Namespace) -> RegionRules:
    """What `add_regions` was given.

    Raises:
        InputError: a value makes no sense.
    """
    from aitom_cryosam.regions import RegionRules

    return RegionRules(
        region=args.region,
        exclude=tuple(args.exclude),
        exclude_distance=args.exclude_distance,
        edge=args.edge,
        lamella=args.lamella,
    )


def add_matching(parser: argparse.ArgumentParser) -> None:
    """How picks are matched with the truth."""
    add_length(
        parser,
        "--radius",
        "largest distance between a particle and the pick that matches it, one to one",
        required=True,
    )
    parser.add_argument(
        "--class",
        dest="particle_class",
        metavar="NAME",
        help="count only this class of the truth (column particleClass), and of picks that have it",
    )
    add_length(
        parser, "--truth-angpix", "pixel size that the truth is written in, if not the tomogram's"
    )


def refuse(args: argparse.Namespace, names: Sequence[str], sentence: str) -> None:
    """See to it that options were not typed which have no effect.

    Args:
        args: of the command.
        names: of the options in `args`; one that the command lacks was not typed.
        sentence: that says so, with {} or {0} where the option's name goes.

    Raises:
        InputError: the sentence, of the first that was typed.
    """
    for name in names:
        if getattr(args, name, None) is not None:
            option = name.removeprefix("particle_").replace("_", "-")
            raise InputError(sentence.format(f"--{option}"))
