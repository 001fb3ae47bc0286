"""`cryosam simulate`: a tomogram with known particles."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aitom_cryosam.cli import options
from aitom_cryosam.cli.argument_types import tilt_range
from aitom_cryosam.cli.arguments import add_count, add_length, add_number
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.simulation.density import Density

_VOXEL_BYTES = 6  # of the tomogram, and of its labels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam simulate`."""
    parser.add_argument(
        "maps",
        metavar="MAP",
        nargs="*",
        default=[],
        help="density map (MRC, protein bright), one kind of particle each; "
        "without any, two invented kinds",
    )
    add_length(parser, "--map-voxel-size", "of the maps, instead of what their headers say")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--count",
        type=_integers,
        default=(20,),
        metavar="N[,N...]",
        help="copies: one number for all maps, or one for each (default: 20)",
    )
    parser.add_argument(
        "--shape",
        type=_integers,
        default=(384, 384, 128),
        metavar="X,Y,Z",
        help="voxels of the tomogram (default: 384,384,128)",
    )
    _add_microscope(parser)
    add_count(parser, "--membranes", "number of vesicles (default: 2)", default=2)
    parser.add_argument(
        "--contrast", choices=("dark", "bright"), default="dark", help="of protein (default: dark)"
    )
    add_length(
        parser,
        "--denoise",
        "sigma of a Gaussian that smooths the result (default: 0, none)",
        default=0.0,
    )
    add_count(parser, "--seed", "(default: 0)", default=0)
    parser.add_argument(
        "--name", default="simulated", metavar="STEM", help="of the files (default: simulated)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")


def _add_microscope(parser: argparse.ArgumentParser) -> None:
    add_length(
        parser,
        "--voxel-size",
        "of the tomogram; maps are resampled to it (default: 10)",
        default=10.0,
    )
    parser.add_argument(
        "--tilt-range",
        type=tilt_range,
        default=(-60.0, 60.0),
        metavar="LOW,HIGH",
        help="degrees around y (default: -60,60)",
    )
    add_number(parser, "--tilt-step", "DEGREES", "(default: 3)", default=3.0)
    add_number(
        parser,
        "--snr",
        "RATIO",
        "variance of a noise-free tilt image by that of its noise; inf: no noise (default: 0.1)",
        default=0.1,
    )
    add_number(
        parser,
        "--defocus",
        "MICROMETRE",
        "underfocus at 300 kV; 0: no contrast transfer (default: 3)",
        default=3.0,
    )


def run(args: argparse.Namespace) -> int:
    """Simulate, write tomogram, truth and labels, and print where they are.

    Raises:
        InputError: a map or option cannot be used, or a result is there already.
    """
    from aitom_cryosam.outputs import check_output
    from aitom_cryosam.simulation.files import simulation_paths, write_simulation
    from aitom_cryosam.simulation.settings import SimulationSettings
    from aitom_cryosam.simulation.simulate import simulate

    if len(args.shape) != 3:
        raise InputError(f"Expected --shape X,Y,Z, got {len(args.shape)} numbers.")
    settings = SimulationSettings(
        shape_zyx=args.shape[::-1],
        voxel_size=args.voxel_size,
        tilt_range=args.tilt_range,
        tilt_step=args.tilt_step,
        snr=args.snr,
        defocus=args.defocus,
        seed=args.seed,
        membranes=args.membranes,
        contrast=args.contrast,
        denoise=args.denoise,
    )
    if not args.maps:
        options.refuse(
            args, ("map_voxel_size",), "{0} is for density maps; give one, or leave {0} out."
        )
    paths = simulation_paths(args.out, args.name)
    size = math.prod(args.shape) * _VOXEL_BYTES
    check_output(args.out, paths, size=size, overwrite=args.overwrite)
    densities = load_densities(args.maps, args.voxel_size, map_voxel_size=args.map_voxel_size)
    counts = args.count * len(densities) if len(args.count) == 1 else args.count
    if len(counts) != len(densities):
        raise InputError(
            f"Expected --count with 1 number or {len(densities)}, one per map, got {len(counts)}."
        )
    simulation = simulate(list(zip(densities, counts, strict=True)), settings)
    paths = write_simulation(simulation, args.out, args.name, overwrite=args.overwrite)
    if not args.quiet:
        for kind, count in Counter(simulation.classes).items():
            print(f"{count:5} {kind}")
        print(*paths, sep="\n")
    return 0


def load_densities(
    maps: Sequence[str], voxel_size: float, *, map_voxel_size: float | None = None
) -> list[Density]:
    """The maps, or the invented particles, each under a name of its own.

    Raises:
        InputError: a map cannot be used, or two have one name.
    """
    from aitom_cryosam.simulation.density import barrel, load_density, ribosome_like

    if not maps:
        return [ribosome_like(voxel_size), barrel(voxel_size)]
    densities = [load_density(path, voxel_size, map_voxel_size=map_voxel_size) for path in maps]
    twice = [name for name, n in Counter(d.name for d in densities).items() if n > 1]
    if twice:
        raise InputError(f"Two maps would be the class {twice[0]}; rename one of the files.")
    return densities


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected whole numbers and commas, got {text!r}"
        ) from None
