"""`cryosam project init`: the tomograms of a project, in a file that can be edited."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import method_options, options
from aitom_cryosam.cli.arguments import add_length
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.project import Project

logger = logging.getLogger(__name__)

NAME = "{name}"
"""Stands for a tomogram's name in the path of its mask."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam project init`."""
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="tomograms; a folder of them; a text file with a path a line; a pattern in quotes; "
        "RELION's tomograms.star; Warp's .settings of tilt series or folder of .tomostar",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the project")
    parser.add_argument("--overwrite", action="store_true", help="replace its project.star")
    parser.add_argument(
        "--query", type=Path, metavar="FILE", help="what to look for, of `cryosam query`"
    )
    parser.add_argument(
        "--prompts", type=Path, metavar="FILE", help="clicks in some or all of the tomograms"
    )
    parser.add_argument(
        "--rejects", type=Path, metavar="FILE", help="clicks on something else, likewise"
    )
    add_length(
        parser, "--coords-angpix", "pixel size that FILE is written in, if not the tomograms'"
    )
    parser.add_argument("--tomograms-star", type=Path, metavar="FILE", help="of the RELION project")
    options.add_volume(parser)
    options.add_regions(parser, of=f"; {NAME} in its path is the tomogram's name")
    method_options.add_method(parser)


def run(args: argparse.Namespace) -> int:
    """Write the project's file, say how many tomograms it has."""
    from aitom_cryosam.project import write_project

    project = _project(args)
    write_project(project, overwrite=args.overwrite)
    if not args.quiet:
        print(f"tomograms {len(project.tomograms)}")
        if args.prompts:
            print(
                f"clicks    in {sum(one.prompts is not None for one in project.tomograms)} of them"
            )
        print(f"file      {project.path}")
    if args.prompts is None and args.query is None:
        logger.warning(
            "The project has neither clicks nor a query, so that nothing can be picked yet; write "
            "them into its file, or give --prompts or --query."
        )
    return 0


def _project(args: argparse.Namespace) -> Project:
    """What was typed, and the tomograms that are there."""
    from aitom_cryosam.particle_query import ParticleQuery
    from aitom_cryosam.project import FILE, Project, ProjectTomogram
    from aitom_cryosam.project.sources import (
        names_of,
        tomograms_of,
        warn_of_copies,
        warn_of_versions,
    )
    from aitom_cryosam.prompting import sized
    from aitom_cryosam.resources import Resources
    from aitom_cryosam.source_file import existing_file

    options.refuse_pixel_size_alone(args)
    rules = options.regions(args)
    stars = [Path(one) for one in args.sources if one.endswith(".star") and _of_relion(Path(one))]
    tomograms_star = args.tomograms_star or (stars[0] if len(stars) == 1 else None)
    for path in (args.prompts, args.rejects, tomograms_star):
        if path is not None:
            existing_file(path)
    settings = method_options.settings(args, Resources())
    if args.query is not None:
        sized(settings, ParticleQuery.read(args.query), args.contrast)  # refused if it cannot fit
    paths = list(dict.fromkeys(path for one in args.sources for path in tomograms_of(one)))
    warn_of_versions(paths)
    warn_of_copies(paths)
    names = names_of(paths)
    clicked, rejected = (
        _clicked(file, args, paths, tomograms_star) for file in (args.prompts, args.rejects)
    )
    regions = _masks(rules.region, names)
    excluded = [_masks(path, names) for path in rules.exclude]
    return Project(
        path=Path(args.out).absolute() / FILE,
        settings=settings,
        tomograms=tuple(
            ProjectTomogram(
                name=name,
                path=path,
                contrast=args.contrast,
                voxel_size=args.voxel_size,
                prompts=args.prompts.absolute() if path in clicked else None,
                rejects=args.rejects.absolute() if path in rejected else None,
                region=regions.get(name),
                exclude=tuple(masks[name] for masks in excluded if name in masks),
            )
            for name, path in zip(names, paths, strict=True)
        ),
        query=_absolute(args.query),
        coords_angpix=args.coords_angpix,
        tomograms_star=_absolute(tomograms_star),
        exclude_distance=rules.exclude_distance,
        edge=rules.edge,
        lamella=rules.lamella,
    )


def _of_relion(path: Path) -> bool:
    from aitom_cryosam.points.star_syntax import read_blocks
    from aitom_cryosam.points.tilt_series import is_tomograms_star

    return is_tomograms_star(read_blocks(path))


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _clicked(
    file: Path | None, args: argparse.Namespace, paths: Sequence[Path], star: str | Path | None
) -> set[Path]:
    """The tomograms that a file of clicks has clicks in.

    Raises:
        InputError: it cannot be read, or has none in any.
    """
    from aitom_cryosam.points.belonging import points_in
    from aitom_cryosam.points.reading import read_points
    from aitom_cryosam.points.tilt_series import read_tomograms_star
    from aitom_cryosam.volumes.reading import read_size

    if file is None:
        return set()
    shape, voxel_size = read_size(paths[0], voxel_size=args.voxel_size)
    points = read_points(
        file,
        voxel_size=voxel_size,
        coords_angpix=args.coords_angpix,
        tomograms=read_tomograms_star(star) if star else None,
        shape_zyx=shape,
        tomogram=paths[0],
    )
    return points_in(points, paths)


def _masks(pattern: Path | None, names: Sequence[str]) -> dict[str, Path]:
    """The mask of each tomogram, by name.

    Raises:
        InputError: there is none, or one that all should have.
    """
    if pattern is None:
        return {}
    masks = {name: Path(str(pattern).replace(NAME, name)).absolute() for name in names}
    if NAME not in str(pattern) and len(names) > 1:
        raise InputError(
            f"{pattern} is a mask of one tomogram, and there are {len(names)}; give a path with "
            f"{NAME} in it, such as masks/{NAME}.mrc."
        )
    found = {name: path for name, path in masks.items() if os.path.exists(path)}
    if not found:
        raise InputError(f"There is no mask {pattern} of any tomogram, such as {masks[names[0]]}.")
    lost = [name for name in names if name not in found]
    if lost:
        raise InputError(
            f"There is no mask {masks[lost[0]]}, nor of {len(lost) - 1} other tomograms; draw "
            "them, or leave the option out and write the masks that exist into the table."
        )
    return found
