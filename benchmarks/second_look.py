"""What the average makes of the picks of one run: before and after `refine`, and how they lie.

    python benchmarks/second_look.py TOMO TRUTH --class NAME --radius 130 [--clicks 5]
        [--seed 4,5] [--map MAP] [--cache DIR]

The clicks are the first of `numpy.random.default_rng(seed).permutation` of the true particles.
With a map of the structure, the true positions are averaged and aligned with it: their average's
resolution is what the picks' compares with, and their turns stand in for the true ones.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.averaging.averaging import Averaging
from aitom_cryosam.averaging.reference import read_reference
from aitom_cryosam.averaging.refinement import Refined, refined
from aitom_cryosam.averaging.settings import AveragingSettings
from aitom_cryosam.averaging.sources import Source, box_of, oriented, particles_of
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.evaluation.angles import angular_errors
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.resources import Resources


def main() -> None:
    args = _parser().parse_args()
    tomogram = Tomogram.open(args.tomogram)
    every = read_points(args.truth)
    truth = every.picks.points_zyx[np.array(every.classes) == args.particle_class]
    order = np.random.default_rng(args.seed).permutation(len(truth))
    picker = CryoSAM(Settings(preset="embedded"), resources=Resources(cache=args.cache))
    result = picker.pick(tomogram, Picks.from_points(truth[order[: args.clicks]]))
    source = Source(
        tomogram,
        result.picks,
        result.prompts.points_zyx[result.prompts.kept],
        result.masks,
        MissingWedge(*args.tilt_range),
    )
    start = time.process_time()
    found = refined(
        [source], [result.proposals], AveragingSettings(diameter=result.diameter_angstrom)
    )
    seconds = time.process_time() - start
    score = partial(
        evaluate,
        truth=Picks.from_points(truth),
        radius=args.radius,
        voxel_size=tomogram.voxel_size,
    )
    for name, proposals in (("before", result.proposals), ("after", found.proposals[0])):
        picks, all_ = score(proposals.take(proposals.kept)), score(proposals)
        print(
            f"{name:7} F1 {picks.f1:.3f}  precision {picks.precision:.2f}  "
            f"recall {picks.recall:.2f}  AP {all_.average_precision:.3f}"
        )
    average = found.average
    print(
        f"{len(result.proposals)} proposals, {seconds:.0f} CPU s; {average.count} particles agree "
        f"to {average.resolution:.1f} Å. {found.kept_earlier}"
    )
    if args.map:
        _compare(args, source, truth, found, result.diameter_angstrom)


def _compare(
    args: argparse.Namespace, source: Source, truth: np.ndarray, found: Refined, diameter: float
) -> None:
    """Resolution and turns of the picks against those of the true positions."""
    known = replace(source, picks=Picks.from_points(truth), prompts=np.zeros((0, 3)), masks=[])
    box, voxel_size = box_of([known], diameter)
    particles = particles_of([known], diameter)
    first = read_reference(args.map, box.size, voxel_size)
    average = Averaging(particles, voxel_size, AveragingSettings(diameter=diameter)).run(first)
    (true,) = oriented([known], average, particles, diameter)
    proposals = found.proposals[0]
    picks = proposals.take(proposals.kept)
    pairs = evaluate(picks, truth=true, radius=args.radius, voxel_size=source.tomogram.voxel_size)
    angles = angular_errors([(picks, true, pairs)])
    print(
        f"True positions: {average.count} particles agree to {average.resolution:.1f} Å; "
        f"the picks are turned against them by {angles.median:.1f}° (median)."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tomogram", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--class", dest="particle_class", required=True)
    parser.add_argument("--radius", type=float, required=True, help="Å")
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--seed", type=_numbers, default=[0], metavar="N[,N]")
    parser.add_argument("--tilt-range", type=_numbers, default=[-60, 60], metavar="LOW,HIGH")
    parser.add_argument("--map", type=Path, help="of the structure, protein bright")
    parser.add_argument("--cache", type=Path)
    return parser


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


if __name__ == "__main__":
    main()
