"""The paper's ablations (its tables 2 and 3 and figure 5) on any tomogram with known positions.

    python examples/ablation.py TOMO TRUTH --radius 100 [--class NAME] [--preset paper]
        [--encoders dinov2_vitl14_reg,dino_vitb16,sam_vit_h] [--ratios 16,8,4]
        [--top-k 512,1024,all] [--annotated single,0.1] [--seeds 0,1,2] [--cut none]
        [--checkpoint NAME=FILE] [--device auto] [--cache DIR]

Table 2 changes the encoder, table 3 the matching (hierarchical or naive), figure 5 the number of
proposals; all else is as the preset has it, but for the cut: with "none", as in the paper, every
proposal with a mask is a pick. Prompts are drawn from the truth and stay in the evaluation.
Numbers are means over the seeds, in per cent; beside them the paper's, which are means over 20
tomograms of EMPIAR-10499: another tomogram need not give them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aitom_cryosam import Tomogram
from aitom_cryosam.checkpoints import parse_checkpoints
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.job import Job, pick
from aitom_cryosam.models import ENCODERS
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.belonging import of_tomogram
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import PRESETS, Settings

SINGLE = "single"
EVERY = 10**9
PAPER_ENCODERS = {
    ("sam", SINGLE): (37.4, 38.8, 38.1),
    ("sam", "0.1"): (44.1, 60.0, 50.8),
    ("dino", SINGLE): (56.3, 52.8, 54.5),
    ("dino", "0.1"): (63.2, 74.4, 68.3),
    ("dinov2", SINGLE): (55.4, 58.8, 57.1),
    ("dinov2", "0.1"): (59.8, 80.1, 68.5),
}
PAPER_MATCHING = {
    ("naive", SINGLE): (53.5, 56.4, 54.9),
    ("naive", "0.1"): (60.8, 80.7, 69.4),
    ("hierarchical", SINGLE): (55.4, 58.8, 57.1),
    ("hierarchical", "0.1"): (59.8, 80.1, 68.5),
}


@dataclass(frozen=True)
class Row:
    """One line of a table: what is changed, with how many prompts, and what the paper had."""

    title: str
    changed: str
    annotated: str
    settings: Settings
    paper: tuple[float, float, float] | None


def main(argv: list[str] | None = None) -> None:
    args = _parser().parse_args(argv)
    resources = Resources(
        device=args.device, cache=args.cache, checkpoints=parse_checkpoints(args.checkpoint or [])
    )
    tomogram = Tomogram.open(args.tomogram, voxel_size=args.voxel_size, contrast=args.contrast)
    truth = _truth(args, tomogram)
    title = ""
    done: dict[tuple[Settings, str], str] = {}
    for row in _rows(args):
        if row.title != title:
            title = row.title
            print(f"\n{title}\n{'':22}{'prompts':>9}{'P':>7}{'R':>7}{'F1':>7}{'s':>7}   paper")
        key = (row.settings, row.annotated)
        if key not in done:  # the preset's own row stands in all three
            done[key] = _measured(args, tomogram, truth, row, resources)
        paper = "/".join(map(str, row.paper)) if row.paper else "-"
        print(f"{row.changed:22}{row.annotated:>9}{done[key]}   {paper}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tomogram", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--radius", type=float, required=True, help="Å")
    parser.add_argument("--class", dest="particle_class")
    parser.add_argument("--preset", choices=PRESETS, default="paper")
    parser.add_argument("--encoders", help="default: the preset's")
    parser.add_argument("--ratios", default="16,8,4", help="of hierarchical matching")
    parser.add_argument("--top-k", default="512,1024,all")
    parser.add_argument("--annotated", default=f"{SINGLE},0.1", help="single, or shares of all")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--cut", default="none", help="none, auto or a score")
    parser.add_argument("--diameter", type=float, help="Å")
    parser.add_argument("--voxel-size", type=float, help="Å")
    parser.add_argument("--contrast", choices=("dark", "bright"), default="dark")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", type=Path, help="folder: features are computed once")
    parser.add_argument("--checkpoint", action="append", metavar="NAME=FILE")
    return parser


def _truth(args: argparse.Namespace, tomogram: Tomogram) -> Picks:
    file = of_tomogram(read_points(args.truth, voxel_size=tomogram.voxel_size), tomogram.name)
    if args.particle_class is None:
        return file.picks
    chosen = np.array(file.classes or ("",) * len(file.picks)) == args.particle_class
    if not chosen.any():
        raise InputError(f"{args.truth} has no particle of class {args.particle_class!r}.")
    return file.picks.take(chosen)


def _rows(args: argparse.Namespace) -> Iterator[Row]:
    cut = args.cut if args.cut in ("none", "auto") else float(args.cut)
    ratios = tuple(int(ratio) for ratio in args.ratios.split(","))
    base = replace(PRESETS[args.preset], cut=cut, ratios=ratios, diameter_angstrom=args.diameter)
    annotated = args.annotated.split(",")
    for encoder in (args.encoders or base.encoder).split(","):
        if encoder not in ENCODERS:
            raise InputError(f"Expected an encoder of {', '.join(ENCODERS)}, got {encoder!r}.")
        settings = replace(base, encoder=encoder)
        for share in annotated:
            paper = PAPER_ENCODERS.get((encoder.partition("_")[0], share))
            yield Row("Table 2: feature extractor", encoder, share, settings, paper)
    for strategy, levels in (("naive", (1,)), ("hierarchical", ratios)):
        settings = replace(base, ratios=levels)
        for share in annotated:
            paper = PAPER_MATCHING.get((strategy, share))
            yield Row("Table 3: matching", strategy, share, settings, paper)
    for count in args.top_k.split(","):
        settings = replace(base, top_k=EVERY if count == "all" else int(count))
        for share in annotated:
            yield Row("Figure 5: proposals (no numbers printed)", count, share, settings, None)


def _measured(
    args: argparse.Namespace, tomogram: Tomogram, truth: Picks, row: Row, resources: Resources
) -> str:
    """Precision, recall, F1 and seconds, means over the seeds; a failed run counts 0."""
    numbers = []
    for seed in map(int, args.seeds.split(",")):
        count = 1 if row.annotated == SINGLE else round(float(row.annotated) * len(truth))
        chosen = np.random.default_rng(seed).choice(len(truth), max(count, 1), replace=False)
        clicks = truth.points_zyx[chosen, ::-1]
        job = Job(tomogram=tomogram, prompts=clicks, settings=row.settings, resources=resources)
        start = time.perf_counter()
        try:
            result = pick(job)
        except InputError as error:
            print(f"seed {seed}: {error}")
            numbers.append((0.0, 0.0, 0.0, time.perf_counter() - start))
            continue
        seconds = time.perf_counter() - start
        found = evaluate(result.picks, truth, radius=args.radius, voxel_size=tomogram.voxel_size)
        precision = found.precision if len(result.picks) else 0.0
        numbers.append((100 * precision, 100 * found.recall, 100 * found.f1, seconds))
    precision, recall, f1, seconds = np.mean(numbers, axis=0)
    return f"{precision:7.1f}{recall:7.1f}{f1:7.1f}{seconds:7.0f}"


if __name__ == "__main__":
    main()
