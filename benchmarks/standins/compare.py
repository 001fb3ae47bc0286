"""The presets `networks` and `paper` on the stand-ins, one switch changed at a time.

    python benchmarks/standins/compare.py --sam DIR/sam.pth --dino DIR/dino.pth [--cache DIR]

Tomograms, kinds and clicks follow from seeds; neither network has seen any of the kinds. A click
is a random particle's centre, the diameter is given: that of a ball of the particle's volume.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram, propagator
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.resources import Resources
from aitom_cryosam.simulation.simulate import Simulation
from benchmarks.standins.scenes import scene

ENCODER, SEGMENTER = "dinov2_vits14_reg", "sam_vit_h"
SEED = 2_000_000  # far from what either network learned from
SMALLEST = 12.0  # voxels, diameter of a kind that is clicked
Change = Callable[[float], dict[str, Any]]
"""The settings that differ, for a particle's diameter in Å."""

WALKS: dict[str, dict[str, Any]] = {
    "networks": {},
    "--mask-fallback none": {"mask_fallback": "none"},
    "--candidate best": {"candidate": "best"},
    "--tau-iou 0.3": {"tau_iou": 0.3},
    "--tau-iou 0.7": {"tau_iou": 0.7},
    "--merge union": {"merge": "union"},
    "--window 3": {"window": 3.0},
    "--window 5": {"window": 5.0},
    "--window 5 --merge union": {"window": 5.0, "merge": "union"},
    "--segmenter contour": {"segmenter": "contour"},
}
"""Of which only masks are compared."""
VARIATIONS: dict[str, dict[str, Change]] = {
    "embedded": {"embedded": lambda _: {}},
    "networks": {
        "networks": lambda _: {},
        "--token-size of a quarter diameter": lambda d: {"token_size_angstrom": d / 4},
        "--token-size of one diameter": lambda d: {"token_size_angstrom": d},
        "whole planes": lambda _: {"token_size_angstrom": None},
        "whole planes, --plane-shape square": lambda _: {
            "token_size_angstrom": None,
            "plane_shape": "square",
        },
        "--shrinkage none": lambda _: {"shrinkage": None},
        "--tau-sim 0.5": lambda _: {"tau_sim": 0.5},
        "--mask-fallback none": lambda _: {"mask_fallback": "none"},
        "--mask-fallback all": lambda _: {"mask_fallback": "all"},
        "--merge union": lambda _: {"merge": "union"},
        "--window 5": lambda _: {"window": 5.0},
        "--encoder filterbank": lambda _: {"encoder": "filterbank"},
        "--segmenter contour": lambda _: {"segmenter": "contour"},
    },
    "paper": {
        "paper": lambda _: {},
        "paper, --cut auto": lambda _: {"cut": "auto"},
        "paper, --cut auto, --plane-shape aspect": lambda _: {
            "cut": "auto",
            "plane_shape": "aspect",
        },
    },
}


@dataclass(frozen=True)
class Kind:
    """The particles of one kind in a tomogram.

    Attributes:
        truth: what was simulated.
        tomogram: of it.
        rows: (n,) of the truth.
        points_zyx: (n, 3) voxels.
        diameter_voxels: of a ball of a particle's volume.
    """

    truth: Simulation
    tomogram: Tomogram
    rows: np.ndarray
    points_zyx: np.ndarray
    diameter_voxels: float


@dataclass(frozen=True)
class Draw:
    """Some particles of a kind that are clicked, `clicked` (m,) of its n."""

    kind: Kind
    clicked: np.ndarray

    @property
    def clicks_zyx(self) -> np.ndarray:
        """(m, 3) voxels."""
        return self.kind.points_zyx[self.clicked]


@dataclass(frozen=True)
class Outcome:
    """Of one run.

    Attributes:
        f1: of the picks.
        precision: average precision of all proposals.
        recall: likewise.
        dice: of the clicks' masks with the truth.
        unmasked: share of what the verdict takes for particles that has no mask.
    """

    f1: float = 0.0
    precision: float = 0.0
    recall: float = 0.0
    dice: float = 0.0
    unmasked: float = np.nan


def main() -> None:
    args = _parser().parse_args()
    with TemporaryDirectory() as temporary:
        resources = Resources(
            device=args.device,
            cache=args.cache or Path(temporary),
            checkpoints={ENCODER: args.dino, SEGMENTER: args.sam},
        )
        tables = {"walks": compare_walks, "picks": compare_picks}
        for name in args.tables or tables:
            tables[name](args.tomograms, resources)


def compare_walks(tomograms: int, resources: Resources) -> None:
    """Masks from the middle of every large particle: how good, and why their walks ended."""
    cases = [kind for number in range(tomograms) for kind in kinds(number)]
    clicked = sum(len(kind.points_zyx) for kind in cases)
    print(f"{clicked} masks {'':27}  Dice  none  walks ended by IoU  size  empty")
    for name, changes in WALKS.items():
        dice, stops, none = [], [], []
        for kind in cases:
            settings = Settings(
                preset="networks", **{"encoder": ENCODER, "segmenter": SEGMENTER, **changes}
            )
            walks: Any = propagator.build(
                settings, resources, kind.tomogram, diameter_voxels=kind.diameter_voxels
            )
            masks = walks.propagate(kind.tomogram, kind.points_zyx)
            pairs = zip(masks, kind.rows.tolist(), strict=True)
            dice += [_dice(mask, kind.truth, row) for mask, row in pairs]
            stops += [reason for mask in masks for reason in mask.stops.values()]
            none += [mask.is_ball or not mask.volume for mask in masks]
        shares = [stops.count(reason) / len(stops) for reason in ("iou", "size limit", "empty")]
        ended = "".join(
            f"{share:{width}.2f}" for share, width in zip(shares, (20, 6, 7), strict=True)
        )
        print(f"{name:36}{np.mean(dice):8.2f}{np.mean(none):6.2f}{ended}", flush=True)


def compare_picks(tomograms: int, resources: Resources) -> None:
    """Runs from one click and from five."""
    cases = [draw for number in range(tomograms) for draw in draws(number)]
    one = np.array([len(draw.clicks_zyx) == 1 for draw in cases])
    print(f"F1 of {one.sum()} draws of one click, of {(~one).sum()} of five")
    print(f"{'':39}1 click  worst    AP  recall 5 clicks    AP  recall   Dice  unmasked")
    for preset, variations in VARIATIONS.items():
        for name, change in variations.items():
            outcomes = [run(preset, change, draw, resources) for draw in cases]
            print(_line(name, outcomes, one), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sam", type=Path, required=True)
    parser.add_argument("--dino", type=Path, required=True)
    parser.add_argument("--tomograms", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path, help="keep features and embeddings for another time")
    parser.add_argument("--tables", nargs="*", choices=("walks", "picks"))
    return parser


def kinds(number: int) -> list[Kind]:
    """Those of a tomogram that are large enough; there is one at least."""
    rng = np.random.default_rng([SEED, number])
    while True:
        truth = scene(rng)
        tomogram = Tomogram.from_array(truth.data, voxel_size=truth.voxel_size)
        volumes = np.bincount(truth.labels[truth.labels > 0], minlength=len(truth.classes) + 1)[1:]
        names, found = np.array(truth.classes), []
        for name in np.unique(names):
            rows = np.flatnonzero(names == name)
            diameter = float(2 * (0.75 * np.median(volumes[rows]) / np.pi) ** (1 / 3))
            if diameter >= SMALLEST:
                found.append(Kind(truth, tomogram, rows, truth.points_zyx[rows], diameter))
        if found:
            return found


def draws(number: int) -> Iterator[Draw]:
    """Two draws of one click and one of five on one kind of a tomogram."""
    rng = np.random.default_rng([SEED + 1, number])
    large = kinds(number)
    kind = large[rng.integers(len(large))]
    order = rng.permutation(len(kind.rows))
    yield from (Draw(kind, clicked) for clicked in (order[:1], order[1:2], order[:5]))


def run(preset: str, change: Change, draw: Draw, resources: Resources) -> Outcome:
    """The preset with a change on a draw."""
    kind = draw.kind
    diameter = kind.diameter_voxels * kind.tomogram.voxel_size
    models = {} if preset == "embedded" else {"encoder": ENCODER, "segmenter": SEGMENTER}
    settings = Settings(
        preset=preset, **{**models, "diameter_angstrom": diameter, **change(diameter)}
    )
    picker = CryoSAM(settings, resources=resources)
    try:
        result = picker.pick(kind.tomogram, Picks.from_points(draw.clicks_zyx))
    except InputError:  # no mask at any click: nothing is found
        return Outcome()
    truth = Picks.from_points(kind.points_zyx)
    score = partial(evaluate, truth=truth, radius=diameter / 2, voxel_size=kind.tomogram.voxel_size)
    every = score(result.proposals)
    lost = result.proposals.reasons.count("no mask")
    unmasked = lost + sum(mask.is_ball for mask in result.masks)
    pairs = zip(result.prompt_masks, kind.rows[draw.clicked].tolist(), strict=True)
    return Outcome(
        score(result.picks).f1,
        every.average_precision if len(result.proposals) else 0.0,
        every.recall,
        float(np.mean([_dice(mask, kind.truth, row) for mask, row in pairs])),
        unmasked / max(lost + len(result.picks), 1),
    )


def _dice(mask: ParticleMask, truth: Simulation, row: int) -> float:
    """With the voxels of a particle."""
    true = truth.labels == row + 1
    common = np.count_nonzero(mask.mask & true[mask.box]) if mask.volume else 0
    return 2 * common / (np.count_nonzero(true) + mask.volume)


def _line(name: str, outcomes: list[Outcome], one: np.ndarray) -> str:
    f1, precision, recall, dice, unmasked = (
        np.array([getattr(outcome, field.name) for outcome in outcomes])
        for field in fields(Outcome)
    )
    return (
        f"{name:38}{f1[one].mean():8.2f}{f1[one].min():7.2f}{precision[one].mean():6.2f}"
        f"{recall[one].mean():8.2f}{f1[~one].mean():9.2f}{precision[~one].mean():6.2f}"
        f"{recall[~one].mean():8.2f}{dice.mean():7.2f}{np.nanmean(unmasked):10.2f}"
    )


if __name__ == "__main__":
    main()
