"""`cryosam pick`: every copy of a particle, from one or more clicks."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam pick`."""
    parser.add_argument("tomogram", metavar="TOMO", help="MRC file (.mrc .rec .map, or .gz)")
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="X,Y,Z",
        help="a click on a particle, in voxels from 0; repeatable",
    )
    parser.add_argument("--prompts", metavar="FILE", help="STAR or CSV with clicks")
    parser.add_argument(
        "--coords-angpix",
        type=float,
        metavar="ANGSTROM",
        help="pixel size that FILE is written in, if not the tomogram's",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    parser.add_argument("--preset", choices=("embedded",), default="embedded")
    parser.add_argument(
        "--voxel-size", type=float, metavar="ANGSTROM", help="instead of the header's"
    )
    parser.add_argument(
        "--contrast", choices=("dark", "bright"), default="dark", help="of protein (default: dark)"
    )
    parser.add_argument(
        "--diameter", type=float, metavar="ANGSTROM", help="of the particle, instead of an estimate"
    )
    parser.add_argument(
        "--star",
        type=_flavours,
        default=(),
        metavar="FLAVOUR[,FLAVOUR...]",
        help="also write relion5, relion4, relion31, warp",
    )
    parser.add_argument(
        "--unbinned-pixel-size",
        type=float,
        metavar="ANGSTROM",
        help="of the tilt series, for relion4 and relion5",
    )
    parser.add_argument(
        "--unbinned-size",
        type=_size,
        metavar="X,Y,Z",
        help="of the tomogram in unbinned pixels, for relion5",
    )
    _add_method(parser)


def _add_method(parser: argparse.ArgumentParser) -> None:
    method = parser.add_argument_group("method", "defaults are the preset's")
    method.add_argument("--top-k", type=int, metavar="N", help="number of proposals")
    method.add_argument(
        "--cut",
        type=_cut,
        metavar="auto|none|SCORE",
        help="which proposals become picks: by the gap to the background, all, or from SCORE on",
    )
    method.add_argument("--tau-iou", type=float, metavar="T", help="smallest overlap of a walk")
    method.add_argument("--tau-sim", type=float, metavar="T", help="smallest cosine similarity")
    method.add_argument(
        "--ratios",
        type=_ratios,
        metavar="R[,R...]",
        help="pyramid levels in voxels, coarse to fine; 1 for naive matching",
    )
    method.add_argument("--merge", choices=("union", "consensus"), help="of the three axes' masks")


def run(args: argparse.Namespace) -> int:
    """Pick, write all files, print where they are.

    Raises:
        InputError: a file or option cannot be used; nothing is written then.
    """
    from aitom_cryosam.io.files import output_folder, refuse_existing
    from aitom_cryosam.io.prompts import read_prompts
    from aitom_cryosam.io.star import Unbinned
    from aitom_cryosam.picker import CryoSAM
    from aitom_cryosam.result import result_paths
    from aitom_cryosam.tomogram import Tomogram

    settings = _settings(args)
    tomogram = Tomogram.open(args.tomogram, voxel_size=args.voxel_size, contrast=args.contrast)
    prompts = read_prompts(tomogram, args.prompt, args.prompts, coords_angpix=args.coords_angpix)
    unbinned = None
    if args.unbinned_pixel_size is not None:
        unbinned = Unbinned(args.unbinned_pixel_size, args.unbinned_size)
    elif "relion4" in args.star:
        raise InputError("--star relion4 needs --unbinned-pixel-size ANGSTROM.")
    output_folder(args.out)
    refuse_existing(
        result_paths(args.out, tomogram.name, args.star).values(), overwrite=args.overwrite
    )
    result = CryoSAM(settings).pick(tomogram, prompts)
    paths = result.write(args.out, star=args.star, unbinned=unbinned, overwrite=args.overwrite)
    print(f"{len(result.picks)} picks of {len(result.proposals)} proposals: {paths['picks']}")
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    """The preset with what was typed."""
    from aitom_cryosam.settings import Settings

    names = ("diameter", "top_k", "cut", "tau_iou", "tau_sim", "ratios", "merge")
    typed = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return Settings(**typed)


def _flavours(text: str) -> tuple[str, ...]:
    known = ("relion5", "relion4", "relion31", "warp")
    chosen = tuple(text.split(","))
    for name in chosen:
        if name not in known:
            raise argparse.ArgumentTypeError(f"unknown {name!r}; expected {', '.join(known)}")
    return chosen


def _cut(text: str) -> float | str:
    return text if text in ("auto", "none") else float(text)


def _ratios(text: str) -> tuple[int, ...]:
    return tuple(int(value) for value in text.split(","))


def _size(text: str) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in text.split(","))
    return x, y, z
