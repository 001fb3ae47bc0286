"""The presets `networks` and `paper` on the stand-ins, one switch changed at a time.

    python benchmarks/standins/compare.py --sam DIR/sam.pth --dino DIR/dino.pth [--cache DIR]

Tomograms, kinds and clicks follow from seeds; neither network has seen any of the kinds. A click
is a random particle's centre, the diameter is given: that of a ball of the particle's volume.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.propagator import Propagator
from aitom_cryosam.resources import Resources
from aitom_cryosam.simulation.simulate import Simulation
from benchmarks.standins.scenes import scene

ENCODER, SEGMENTER = "dinov2_vits14_reg", "sam_vit_h"
SEED = 2_000_000  # far from what either network learned from
SMALLEST = 12.0  # voxels, diameter of a kind that is clicked
BY_SCORE = "candidates by SAM's score alone"
Change = Callable[[float], dict[str, Any]]
"""The settings that differ, for a particle's diameter in Å."""

VARIATIONS: dict[str, list[tuple[str, Change]]] = {
    "networks": [
        ("networks", lambda _: {}),
        ("--token-size of a quarter diameter", lambda d: {"token_size_angstrom": d / 4}),
        ("--token-size of one diameter", lambda d: {"token_size_angstrom": d}),
        ("whole planes", lambda _: {"token_size_angstrom": None}),
        (
            "whole planes, --plane-shape square",
            lambda _: {"token_size_angstrom": None, "plane_shape": "square"},
        ),
        ("--shrinkage none", lambda _: {"shrinkage": None}),
        ("--tau-sim 0.5", lambda _: {"tau_sim": 0.5}),
        ("--ratios 16,8,4", lambda _: {"ratios": (16, 8, 4)}),
        ("--slab 0.25", lambda _: {"slab": 0.25}),
        ("--no-centring", lambda _: {"centring": False}),
        ("--window 3", lambda _: {"window": 3.0}),
        (BY_SCORE, lambda _: {}),
        ("--tau-iou 0.3", lambda _: {"tau_iou": 0.3}),
        ("--tau-iou 0.7", lambda _: {"tau_iou": 0.7}),
        ("--merge union", lambda _: {"merge": "union"}),
        ("--pooling mask", lambda _: {"pooling": "mask"}),
        ("--position mask", lambda _: {"position": "mask"}),
        ("--encoder filterbank", lambda _: {"encoder": "filterbank"}),
        ("--segmenter contour", lambda _: {"segmenter": "contour"}),
    ],
    "paper": [
        ("paper", lambda _: {}),
        ("--cut auto", lambda _: {"cut": "auto"}),
        ("--cut auto --plane-shape aspect", lambda _: {"cut": "auto", "plane_shape": "aspect"}),
        ("--cut auto --tau-sim 0", lambda _: {"cut": "auto", "tau_sim": 0.0}),
        ("--cut auto --no-centring", lambda _: {"cut": "auto", "centring": False}),
    ],
    "embedded": [("embedded", lambda _: {})],
}


@dataclass(frozen=True)
class Draw:
    """Clicks on one kind of one tomogram; `points_zyx` are all its copies, `rows` the clicked."""

    truth: Simulation
    tomogram: Tomogram
    points_zyx: np.ndarray
    rows: np.ndarray
    clicks_zyx: np.ndarray
    diameter_angstrom: float


@dataclass(frozen=True)
class Outcome:
    """Of one run: F1 of the picks, average precision and recall of all proposals, of the clicks'
    masks the Dice coefficient with the truth, and the share of their walks that ended by overlap.
    """

    f1: float = 0.0
    precision: float = 0.0
    recall: float = 0.0
    dice: float = 0.0
    by_overlap: float = np.nan


class ByScore(CryoSAM):
    """Takes the candidate that SAM scores best, whatever the mask before was."""

    def propagator(self, tomogram: Tomogram, diameter_voxels: float) -> Propagator:
        """As `CryoSAM.propagator`."""
        walks: Any = super().propagator(tomogram, diameter_voxels)
        walks.segmenter.agreement = 0.0
        return walks


def main() -> None:
    args = _parser().parse_args()
    cases = [draw for number in range(args.tomograms) for draw in draws(number)]
    ones = [len(draw.clicks_zyx) == 1 for draw in cases]
    clicks = np.array(ones)
    print(f"{clicks.sum()} draws of one click, {(~clicks).sum()} of five")
    print(f"{'':38}one click: F1  worst    AP  recall  five: F1    AP  recall    Dice  by overlap")
    with TemporaryDirectory() as temporary:
        cache = args.cache or Path(temporary)
        resources = Resources(
            device=args.device,
            cache=cache,
            checkpoints={ENCODER: args.dino, SEGMENTER: args.sam},
        )
        for preset, variations in VARIATIONS.items():
            for name, change in variations:
                if args.only and not any(word in f"{preset} {name}" for word in args.only):
                    continue
                outcomes = [run(preset, name, change, draw, resources) for draw in cases]
                print(_line(name, outcomes, clicks), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sam", type=Path, required=True)
    parser.add_argument("--dino", type=Path, required=True)
    parser.add_argument("--tomograms", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path, help="keep features and embeddings for another time")
    parser.add_argument("--only", nargs="*", help="words in the preset or the variation")
    return parser


def draws(number: int) -> Iterator[Draw]:
    """Two draws of one click and one of five on one kind of a tomogram."""
    rng = np.random.default_rng([SEED, number])
    while True:
        truth = scene(rng)
        sizes = np.bincount(truth.labels[truth.labels > 0], minlength=len(truth.classes) + 1)[1:]
        kinds = np.array(truth.classes)
        volumes = {kind: np.median(sizes[kinds == kind]) for kind in sorted(set(truth.classes))}
        diameters = {kind: 2 * (0.75 * n / np.pi) ** (1 / 3) for kind, n in volumes.items()}
        large = [kind for kind, diameter in diameters.items() if diameter >= SMALLEST]
        if large:
            break
    kind = str(rng.choice(large))
    of_kind = np.flatnonzero(kinds == kind)
    tomogram = Tomogram.from_array(truth.data, voxel_size=truth.voxel_size)
    order = rng.permutation(of_kind)
    for rows in (order[:1], order[1:2], order[:5]):
        yield Draw(
            truth,
            tomogram,
            truth.points_zyx[of_kind],
            rows,
            truth.points_zyx[rows],
            float(diameters[kind]) * truth.voxel_size,
        )


def run(preset: str, name: str, change: Change, draw: Draw, resources: Resources) -> Outcome:
    """The preset with a change on a draw."""
    diameter = draw.diameter_angstrom
    models = {} if preset == "embedded" else {"encoder": ENCODER, "segmenter": SEGMENTER}
    settings = Settings(
        preset=preset, **{**models, "diameter_angstrom": diameter, **change(diameter)}
    )
    picker = (ByScore if name == BY_SCORE else CryoSAM)(settings, resources=resources)
    try:
        result = picker.pick(draw.tomogram, Picks.from_points(draw.clicks_zyx))
    except InputError:  # no mask at any click: nothing is found
        return Outcome()
    truth = Picks.from_points(draw.points_zyx)
    score = partial(evaluate, truth=truth, radius=diameter / 2, voxel_size=draw.tomogram.voxel_size)
    every = score(result.proposals)
    masks = result.prompt_masks
    stops = [reason for mask in masks for reason in mask.stops.values()]
    return Outcome(
        score(result.picks).f1,
        every.average_precision if len(result.proposals) else 0.0,
        every.recall,
        float(np.mean([_dice(m, draw, row) for m, row in zip(masks, draw.rows, strict=True)])),
        float(np.mean([reason == "iou" for reason in stops])),
    )


def _dice(mask: ParticleMask, draw: Draw, row: int) -> float:
    labels = draw.truth.labels
    true = np.count_nonzero(labels == row + 1)
    common = np.count_nonzero(mask.mask & (labels[mask.box] == row + 1)) if mask.volume else 0
    return 2 * common / (true + mask.volume)


def _line(name: str, outcomes: list[Outcome], one: np.ndarray) -> str:
    f1, precision, recall, dice, overlap = (
        np.array([getattr(outcome, field) for outcome in outcomes])
        for field in ("f1", "precision", "recall", "dice", "by_overlap")
    )
    return (
        f"{name:38}{f1[one].mean():13.2f}{f1[one].min():7.2f}{precision[one].mean():6.2f}"
        f"{recall[one].mean():8.2f}{f1[~one].mean():10.2f}{precision[~one].mean():6.2f}"
        f"{recall[~one].mean():8.2f}{dice.mean():8.2f}{np.nanmean(overlap):12.2f}"
    )


if __name__ == "__main__":
    main()
