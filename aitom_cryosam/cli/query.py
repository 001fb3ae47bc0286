"""`cryosam query`: what clicked particles look like, to pick in other tomograms without a click."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import machine_options, method_options, options
from aitom_cryosam.cli.tables import labelled
from aitom_cryosam.errors import InputError
from aitom_cryosam.wording import in_angstrom, listed, plural

if TYPE_CHECKING:
    from aitom_cryosam.picks import Picks
    from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam query`."""
    parser.add_argument(
        "tomograms",
        nargs="+",
        metavar="TOMO",
        help="with the clicked particles: MRC, OME-Zarr, or CONFIG.json/RUN/TYPE@ANGSTROM",
    )
    options.add_prompts(parser)
    options.add_rejects(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="to write, such as ribosome.query"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    options.add_volume(parser)
    method_options.add_method(parser)
    machine_options.add_resources(parser)


def run(args: argparse.Namespace) -> int:
    """Segment the clicked particles, average their features, write the query."""
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.files import writing
    from aitom_cryosam.outputs import ready_to_write
    from aitom_cryosam.particle_query import ParticleQuery
    from aitom_cryosam.picker import CryoSAM
    from aitom_cryosam.tomogram import Tomogram

    for option in ("prompt", "reject"):
        if getattr(args, option) and len(args.tomograms) > 1:
            raise InputError(
                f"--{option} is a click in one tomogram, and there are {len(args.tomograms)}; give "
                f"the clicks with --{option}s FILE, which names the tomograms."
            )
    options.refuse_pixel_size_alone(args)
    ready_to_write([args.out], overwrite=args.overwrite)
    resources = machine_options.resources(args)
    settings = method_options.settings(args, resources)
    tomograms = [
        Tomogram.open(path, voxel_size=args.voxel_size, contrast=args.contrast)
        for path in dict.fromkeys(args.tomograms)
    ]
    clicks = _clicks(args, tomograms)  # of all, before anything long
    with ShownProgress(quiet=args.quiet) as progress:
        picker = CryoSAM(settings, resources=resources, progress=progress)
        queries = [
            picker.query(tomogram, prompts, rejects=rejects)
            for tomogram, (prompts, rejects) in zip(tomograms, clicks, strict=True)
        ]
    query = ParticleQuery.merged(queries)
    with writing(args.out, overwrite=args.overwrite) as draft:
        query.write(draft)
    if not args.quiet:
        count, n = len(query.instances), len(query.sources)
        rows = [("diameter", in_angstrom(query.diameter_angstrom))]
        rows += [("rejects", f"{len(query.rejected)}")] if len(query.rejected) else []
        rows += [
            ("clicks", f"{count} in {plural(n, 'tomogram')}"),
            ("file", f"{args.out}"),
        ]
        print(labelled(rows))
    return 0


def _clicks(args: argparse.Namespace, tomograms: Sequence[Tomogram]) -> list[tuple[Picks, Picks]]:
    """Prompts and rejected places in each tomogram.

    Raises:
        InputError: a file cannot be read, or a tomogram has no prompt.
    """
    from aitom_cryosam.points.prompts import read_prompts, read_rejects

    _clicked(tomograms, args.prompts, args.coords_angpix)
    rejected = _clicked(tomograms, args.rejects, args.coords_angpix)
    pixels = {"coords_angpix": args.coords_angpix}
    clicks, without = [], []
    for tomogram in tomograms:
        here = tomogram.path in rejected
        prompts = read_prompts(tomogram, args.prompt, args.prompts, **pixels)
        rejects = read_rejects(tomogram, args.reject, args.rejects if here else None, **pixels)
        clicks.append((prompts, rejects))
        if args.rejects and not here:
            without.append(tomogram.name)
    if without:
        logger.warning("%s has no clicks in %s.", args.rejects, listed(without))
    return clicks


def _clicked(
    tomograms: Sequence[Tomogram], file: str | None, coords_angpix: float | None
) -> set[Path]:
    """The tomograms that a file of clicks has clicks in.

    Raises:
        InputError: it cannot be read, has none in any, or does not say in which of several.
    """
    from aitom_cryosam.points.belonging import points_in
    from aitom_cryosam.points.reading import read_points

    if file is None:
        return set()
    first = tomograms[0]
    points = read_points(
        file,
        voxel_size=first.voxel_size,
        coords_angpix=coords_angpix,
        shape_zyx=first.shape,
        tomogram=first.path,
    )
    return points_in(points, [one.path for one in tomograms if one.path])
