"""How good one click and five are, on many simulated tomograms of kinds that exist nowhere.

    python benchmarks/suite.py --half development --cache DIR [--maps DENSITIES] [--jobs 2]

Tomograms and clicks follow from seeds: 24 tomograms to develop on, 24 others to report on. Every
draw is a run of `CryoSAM.pick` with its defaults and no threshold chosen with the truth. Features
are kept in the cache, so that a change of what comes after them is scored sooner the next time.
"""

from __future__ import annotations

import argparse
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.averaging.refinement import refined
from aitom_cryosam.averaging.settings import AveragingSettings
from aitom_cryosam.averaging.sources import Source
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.resources import Resources
from aitom_cryosam.result import Result
from benchmarks.suite_tomograms import SuiteTomogram, highest_tilt, make_tomogram

SHAPE = (48, 176, 176)
HALVES = {"development": range(0, 24), "report": range(100, 124)}
KINDS = 2
"""Kinds of a tomogram that are clicked."""
FEWEST = 9
"""Copies of a kind that is clicked."""
NEAR = 1.5
"""Radii from the border in x or y within which a click counts as near it."""
BAD = 0.3
"""F1 of a draw that failed."""


@dataclass(frozen=True)
class Draw:
    """What came of some clicks on one kind of one tomogram.

    Attributes:
        clicks: how many.
        diameter: Å, of the kind.
        snr: of a tilt image.
        near: whether a click was near the border.
        f1: of the picks.
        precision: average precision of the proposals.
        recall: of the proposals.
        refined: F1 of the picks after the second look with the average; NaN without one.
    """

    clicks: int
    diameter: float
    snr: float
    near: bool
    f1: float
    precision: float
    recall: float
    refined: float = math.nan


def main() -> None:
    args = _parser().parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    seeds = list(HALVES[args.half])[: args.first]
    with ProcessPoolExecutor(args.jobs) as pool:
        draws = [draw for some in pool.map(partial(_draws, args), seeds) for draw in some]
    print(_table(draws))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--half", choices=[*HALVES], default="development")
    parser.add_argument("--first", type=int, help="only so many tomograms")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--maps", type=Path, help="folder of density maps that are mixed in")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--refine", action="store_true", help="also judge again with the average (minutes a draw)"
    )
    return parser


def _draws(args: argparse.Namespace, seed: int) -> list[Draw]:
    """One click and five on each of the kinds that are clicked."""
    scene = _scene(args, seed)
    counts = {name: int((scene.classes == name).sum()) for name in scene.diameters}
    kinds = [name for name, count in counts.items() if count >= FEWEST]
    rng = np.random.default_rng([seed, 22])
    kinds = sorted(rng.permutation(kinds)[:KINDS].tolist())
    return [_draw(args, seed, scene, kind, clicks, rng) for kind in kinds for clicks in (1, 5)]


def _scene(args: argparse.Namespace, seed: int) -> SuiteTomogram:
    path = args.cache / f"tomogram_{seed}_{'maps' if args.maps else 'none'}.npz"
    if not path.exists():
        make_tomogram(seed, SHAPE, args.maps).save(path)
    return SuiteTomogram.load(path)  # also the first time: the file has fewer digits


def _draw(
    args: argparse.Namespace,
    seed: int,
    scene: SuiteTomogram,
    kind: str,
    clicks: int,
    rng: np.random.Generator,
) -> Draw:
    voxel_size, diameter = scene.voxel_size, scene.diameters[kind]
    truth = scene.points_zyx[scene.classes == kind]
    chosen = truth[rng.permutation(len(truth))[:clicks]]
    tomogram = Tomogram.from_array(scene.data, voxel_size=voxel_size)
    picker = CryoSAM(Settings(preset="embedded"), resources=Resources(cache=args.cache))
    gaps = np.minimum(chosen, np.array(scene.data.shape) - 1 - chosen)[:, 1:]
    near = bool(gaps.min() < NEAR * diameter / 2 / voxel_size)
    try:
        result = picker.pick(tomogram, Picks.from_points(chosen))
    except InputError:  # no mask at the click: nothing is found
        return Draw(clicks, diameter, scene.snr, near, 0, 0, 0)
    known = Picks.from_points(truth)
    score = partial(evaluate, truth=known, radius=diameter / 2, voxel_size=voxel_size)
    every = score(result.proposals)
    return Draw(
        clicks,
        diameter,
        scene.snr,
        near,
        score(result.picks).f1,
        every.average_precision,
        every.recall,
        score(_refined(result, seed)).f1 if args.refine else math.nan,
    )


def _refined(result: Result, seed: int) -> Picks:
    """The picks after `cryosam refine`, with the tilt range that the tomogram has."""
    tilt = highest_tilt(seed)
    source = Source(
        result.tomogram,
        result.picks,
        result.prompts.points_zyx[result.prompts.kept],
        result.masks,
        MissingWedge(-tilt, tilt),
    )
    try:
        found = refined(
            [source], [result.proposals], AveragingSettings(diameter=result.diameter_angstrom)
        )
    except InputError:  # fewer than 10 picks: nothing to average
        return result.picks
    return found.proposals[0].take(found.proposals[0].kept)


def _table(draws: list[Draw]) -> str:
    """Mean, worst tenth and failures of each group, for one click and for five."""
    groups = {
        "all": lambda _: True,
        "150 Å and more": lambda draw: draw.diameter >= 150,
        "below 150 Å": lambda draw: draw.diameter < 150,
        "signal 0.1 and more": lambda draw: draw.snr >= 0.1,
        "signal below 0.1": lambda draw: draw.snr < 0.1,
        "click near the border": lambda draw: draw.near,
        "clicks inside": lambda draw: not draw.near,
    }
    lines = [
        f"{'':24}clicks  draws  mean F1   p10  <{BAD:g}    AP  recall of proposals  F1 refined"
    ]
    for name, belongs in groups.items():
        for clicks in (1, 5):
            some = [draw for draw in draws if draw.clicks == clicks and belongs(draw)]
            if not some:
                continue
            f1 = np.array([draw.f1 for draw in some])
            ap, recall = (np.mean([getattr(d, a) for d in some]) for a in ("precision", "recall"))
            lines.append(
                f"{name:24}{clicks:6}{len(some):7}{f1.mean():9.2f}{np.percentile(f1, 10):6.2f}"
                f"{(f1 < BAD).mean():6.2f}{ap:6.2f}{recall:8.2f}"
                f"{np.mean([draw.refined for draw in some]):26.2f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
