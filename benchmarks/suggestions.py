"""How much five answers to suggestions are worth: one click and them against five random clicks.

    python benchmarks/suggestions.py --cache DIR --seeds 4,12 [--answers 5]

The tomograms and kinds are those of `benchmarks/suite.py`. A simulated user clicks once, answers
`CryoSAM.pick(..., suggest=N)` by the truth (within half a diameter of a particle of the kind: a
prompt, else a reject), and picks again. The rows say F1 of the one click, of these, and of as
many random clicks as there were answers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.resources import Resources
from aitom_cryosam.scoring.suggestions import rows_of
from benchmarks.suite import FEWEST, KINDS, SHAPE
from benchmarks.suite_tomograms import SuiteTomogram, make_tomogram


def main() -> None:
    args = _parser().parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    print("tomogram  kind  diameter  one click  answers (yes)  random clicks", flush=True)
    table = [row for seed in map(int, args.seeds.split(",")) for row in _rows(args, seed)]
    print("mean", *np.mean(table, axis=0).round(3))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2,3")
    parser.add_argument("--answers", type=int, default=5)
    return parser


def _rows(args: argparse.Namespace, seed: int) -> list[tuple[float, float, float]]:
    path = args.cache / f"tomogram_{seed}_none.npz"
    if not path.exists():
        make_tomogram(seed, SHAPE, None).save(path)
    scene = SuiteTomogram.load(path)
    kinds = [name for name in scene.diameters if (scene.classes == name).sum() >= FEWEST]
    rng = np.random.default_rng([seed, 22])
    chosen = sorted(rng.permutation(kinds)[:KINDS].tolist())
    return [_row(args, scene, kind, seed, rng) for kind in chosen]


def _row(
    args: argparse.Namespace, scene: SuiteTomogram, kind: str, seed: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """F1 of one click, of it with the answers, of random clicks."""
    truth = scene.points_zyx[scene.classes == kind]
    order, diameter = rng.permutation(len(truth)), scene.diameters[kind]
    tomogram = Tomogram.from_array(scene.data, voxel_size=scene.voxel_size)
    picker = CryoSAM(Settings(preset="embedded"), resources=Resources(cache=args.cache))

    def f1(clicks: np.ndarray, rejects: np.ndarray, suggest: int = 0) -> tuple[float, Picks]:
        try:
            found = picker.pick(
                tomogram,
                Picks.from_points(clicks),
                rejects=Picks.from_points(rejects),
                suggest=suggest,
            )
        except InputError:  # no mask at the click
            return 0.0, Picks.none()
        known, size = Picks.from_points(truth), scene.voxel_size
        return evaluate(
            found.picks, known, radius=diameter / 2, voxel_size=size
        ).f1, found.proposals

    nothing = np.zeros((0, 3))
    one, proposals = f1(truth[order[:1]], nothing, args.answers)
    asked = proposals.points_zyx[rows_of(proposals)]
    yes = cKDTree(truth).query(asked)[0] < diameter / 2 / scene.voxel_size
    answered, _ = f1(np.concatenate([truth[order[:1]], asked[yes]]), asked[~yes])
    several, _ = f1(truth[order[: args.answers]], nothing)
    row = f"{one:11.2f}{answered:11.2f} ({yes.sum()}){several:15.2f}"
    print(f"{seed:8}  {kind:>4}{diameter:8.0f} Å{row}", flush=True)
    return one, answered, several


if __name__ == "__main__":
    main()
