"""How picks change when the same tomogram was processed otherwise.

    python benchmarks/alterations.py TOMO TRUTH --radius 60 [--class NAME]

Every alteration is of the same tomogram, with the same clicks: five draws of one true particle
and two of five, by `numpy.random.default_rng(seed).choice`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.binning import binned
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.points.reading import read_points

DRAWS = {1: range(5), 5: range(2)}  # seeds by clicks


@dataclass(frozen=True)
class Alteration:
    """What is done to a tomogram, and by how much its voxels are larger then.

    Attributes:
        of: (D, H, W) of spread 1 to the altered one.
        bin: voxels along one of the new.
    """

    of: Callable[[np.ndarray], np.ndarray]
    bin: int = 1


def _noisy(data: np.ndarray, spread: float) -> np.ndarray:
    return data + spread * np.random.default_rng(5).standard_normal(data.shape, np.float32)


def _sloping(data: np.ndarray, spread: float) -> np.ndarray:
    return data + spread * np.linspace(-1, 1, data.shape[1], dtype=np.float32)[:, None]


ALTERATIONS = {
    "as it is": Alteration(lambda data: data),
    "smoothed, 1 voxel": Alteration(lambda data: ndimage.gaussian_filter(data, 1)),
    "smoothed, 2 voxels": Alteration(lambda data: ndimage.gaussian_filter(data, 2)),
    "noise of half the spread": Alteration(lambda data: _noisy(data, 0.5)),
    "noise of the spread": Alteration(lambda data: _noisy(data, 1)),
    "high-pass, 20 voxels": Alteration(lambda data: data - ndimage.gaussian_filter(data, 20)),
    "high-pass, 3 voxels": Alteration(lambda data: data - ndimage.gaussian_filter(data, 3)),
    "slope along y, 1 spread": Alteration(lambda data: _sloping(data, 1)),
    "slope along y, 3 spreads": Alteration(lambda data: _sloping(data, 3)),
    "square root": Alteration(lambda data: np.sqrt(data - data.min())),
    "binned by 2": Alteration(lambda data: binned(data, 2), 2),
}


def main() -> None:
    args = _parser().parse_args()
    logging.disable(logging.WARNING)
    tomogram = Tomogram.open(args.tomogram)
    points = read_points(args.truth)
    truth = points.picks.points_zyx
    if args.particle_class:
        truth = truth[np.array(points.classes) == args.particle_class]
    data = np.asarray(tomogram.data, np.float32)
    print(f"{'':26} one click: mean, worst   five: mean, worst")
    for name, alteration in ALTERATIONS.items():
        altered = Tomogram.from_array(
            alteration.of((data - data.mean()) / data.std()),
            voxel_size=tomogram.voxel_size * alteration.bin,
        )
        there = (truth - (alteration.bin - 1) / 2) / alteration.bin
        said = ""
        for clicks, seeds in DRAWS.items():
            found = [_f1(altered, there, clicks, seed, args.radius) for seed in seeds]
            said += f"{np.mean(found):12.3f} {min(found):6.2f}   "
        print(f"{name:26} {said}", flush=True)


def _f1(tomogram: Tomogram, truth_zyx: np.ndarray, clicks: int, seed: int, radius: float) -> float:
    rows = np.random.default_rng(seed).choice(len(truth_zyx), clicks, replace=False)
    picker = CryoSAM(Settings(preset="embedded"))
    picks = picker.pick(tomogram, Picks.from_points(truth_zyx[rows])).picks
    truth = Picks.from_points(truth_zyx)
    return evaluate(picks, truth, radius=radius, voxel_size=tomogram.voxel_size).f1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tomogram", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--radius", type=float, required=True, help="Å, between pick and particle")
    parser.add_argument("--class", dest="particle_class", help="of the truth")
    return parser


if __name__ == "__main__":
    main()
