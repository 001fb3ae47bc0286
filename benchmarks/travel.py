"""How well a query of five clicks in one tomogram picks in others, beside five clicks in each.

    python benchmarks/travel.py --cache DIR [--tomograms 6]

Simulated tomograms of the same kinds, which exist nowhere, of different signal and voxel size.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.resources import Resources
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import simulate
from benchmarks.assemblies import random_assembly

SHAPE = (56, 200, 200)
SIZES = (240.0, 190.0, 150.0)
"""Å, of the kinds."""
COPIES = 11
SIGNALS = (0.1, 0.05, 0.2, 0.07, 0.15, 0.1)
VOXELS = (10.0, 10.0, 10.0, 12.0, 8.5, 10.0)
"""Å; of the tomograms in their order, the first of which is clicked."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--tomograms", type=int, default=len(SIGNALS))
    args = parser.parse_args()
    scenes = [_scene(number) for number in range(args.tomograms)]
    picker = CryoSAM(Settings(preset="embedded"), resources=Resources(cache=args.cache))
    print("kind  tomogram   SNR  voxel   F1 query  F1 clicks   AP query  AP clicks")
    rows = []
    for kind, size in enumerate(SIZES):
        first, truth = scenes[0]
        query = picker.query(first, _clicks(truth[kind], kind))
        for number, (tomogram, particles) in enumerate(scenes[1:], 1):
            known = Picks.from_points(particles[kind])
            score = partial(evaluate, truth=known, radius=size / 2, voxel_size=tomogram.voxel_size)
            travelled = picker.pick(tomogram, query=query)
            own = picker.pick(tomogram, _clicks(particles[kind], number))
            row = [score(one.picks).f1 for one in (travelled, own)]
            row += [score(one.proposals).average_precision for one in (travelled, own)]
            rows.append(row)
            print(
                f"{size:4.0f}{number:10}{SIGNALS[number]:6.2f}{VOXELS[number]:7.1f}"
                + "".join(f"{value:11.3f}" for value in row),
                flush=True,
            )
    print(f"{'mean':27}" + "".join(f"{value:11.3f}" for value in np.mean(rows, axis=0)))


def _scene(number: int) -> tuple[Tomogram, list[np.ndarray]]:
    """A tomogram, and the particles of each kind, (n, 3) voxels z y x."""
    voxel_size = VOXELS[number]
    kinds = [(random_assembly(f"k{i}", s, voxel_size, 70 + i), COPIES) for i, s in enumerate(SIZES)]
    settings = SimulationSettings(
        shape_zyx=SHAPE,
        voxel_size=voxel_size,
        snr=SIGNALS[number],
        membranes=0,
        seed=300 + number,
    )
    made = simulate(kinds, settings)
    tomogram = Tomogram.from_array(made.data, voxel_size=voxel_size, name=f"T{number}")
    points = np.split(made.points_zyx, len(SIZES))
    return tomogram, points


def _clicks(points_zyx: np.ndarray, seed: int) -> Picks:
    """Five of them."""
    chosen = np.random.default_rng(seed).permutation(len(points_zyx))[:5]
    return Picks.from_points(points_zyx[chosen])


if __name__ == "__main__":
    main()
