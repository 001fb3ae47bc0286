"""The protocol of the paper's Table 1: ribosomes in the tomograms of EMPIAR-10499.

python examples/empiar_10499.py FOLDER STAR [--seeds 0,1,2] [--limit 20] [--preset paper] ...

FOLDER holds the tomograms and STAR their ribosomes (`rlnMicrographName`, `rlnCoordinateX/Y/Z`).
For each tomogram, share of prompts and seed, as many of its true positions as the share says
are the prompts of one run. A run's picks are matched one to one with the truth within --radius,
precision and recall are averaged over tomograms and seeds, and F1 is the harmonic mean of the
two averages, as it is in the paper's table. A run without picks counts 0.

The paper takes a subset of the true positions as prompts and averages over 65 tomograms (over the
first 20 in its Tables 2 and 3). It states neither from which distance or overlap on a particle
counts as found, nor whether prompted particles count. Here all particles count, the prompted
ones too; the columns "without the prompted" leave these out, with the picks that match them.
At 70 % the difference is large: most particles are given.

All runs on a tomogram share what is encoded of it: no plane goes through a network twice. Without
--cache it is kept beside --out until these runs are done (11 GB for 300 x 928 x 960 on a GPU).
Where tokens follow the particle (--preset networks, embedded), that takes a --diameter: estimates
from other prompts are others. --results keeps picks, masks and M, the segmentation, of every run.
Every finished run is a line of --out; the same command goes on after an interruption.

On the denoised volumes of the paper the positions lie at (z - 16, H - 1 - y, W - 1 - x) of those in
the STAR file, at 10 Å: --flip xy --offset 0,0,-16 --coords-angpix 10. Nothing of it is done
unless it is asked for.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from aitom_cryosam import Picks, Tomogram
from aitom_cryosam.cli.machine_options import add_resources, resources
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation import evaluate, masked_mean
from aitom_cryosam.files import write_text
from aitom_cryosam.job import Job, pick
from aitom_cryosam.names import relion_name
from aitom_cryosam.points.belonging import of_tomogram
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.settings import PRESETS

PAPER = {
    0.0: (53.1, 55.3, 54.2),
    0.05: (57.8, 74.3, 65.0),
    0.1: (58.2, 75.1, 65.5),
    0.3: (58.1, 75.4, 65.6),
    0.5: (58.0, 75.3, 65.5),
    0.7: (58.5, 79.4, 67.4),
}
"""Precision, recall and F1 in %, by the share of prompted particles; 0 is a single prompt."""
MOST_OUTSIDE = 0.1
"""Share of the positions that a cropped tomogram may have lost."""


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        rows = _resume(args)
        for row in _runs(args, rows):
            rows.append(row)
            with args.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
        if not rows:
            raise InputError(f"No tomogram in {args.folder} has particles in {args.star}.")
    except InputError as error:
        print(f"empiar_10499: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("empiar_10499: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    print(_table(rows))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with the tomograms")
    parser.add_argument("star", type=Path, metavar="STAR", help="with their particles")
    parser.add_argument("--out", type=Path, default="empiar_10499.jsonl", help="JSON lines")
    parser.add_argument("--results", type=Path, metavar="DIR", help="with the files of every run")
    parser.add_argument("--pattern", default="*.mrc", help="of the tomograms (default: *.mrc)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N tomograms")
    parser.add_argument(
        "--ratios",
        type=_numbers,
        default=(0.0, 0.05, 0.1, 0.7),
        help="shares of prompted particles; 0 for one prompt (default: 0,0.05,0.1,0.7)",
    )
    parser.add_argument("--seeds", type=_numbers, default=(0.0,), help="of the draws (default: 0)")
    parser.add_argument("--radius", type=float, default=100.0, metavar="Å", help="default: 100")
    parser.add_argument("--preset", choices=PRESETS, default="paper")
    parser.add_argument("--cut", metavar="auto|none|SCORE", help="instead of the preset's")
    parser.add_argument("--diameter", type=float, metavar="Å", help="instead of an estimate")
    parser.add_argument("--contrast", choices=("dark", "bright"), default="dark")
    parser.add_argument("--voxel-size", type=float, metavar="Å", help="instead of the headers'")
    parser.add_argument("--coords-angpix", type=float, metavar="Å", help="of the STAR file")
    parser.add_argument("--flip", default="", metavar="AXES", help="mirror positions, as xy")
    parser.add_argument(
        "--offset",
        type=_numbers,
        default=(0.0, 0.0, 0.0),
        metavar="X,Y,Z",
        help="voxels added to the (mirrored) positions",
    )
    add_resources(parser)
    return parser


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(value) for value in text.split(","))


def _cut(text: str) -> Any:
    if text in ("auto", "none"):
        return text
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"Expected auto, none or a score as --cut, got {text!r}.") from error


def _resume(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The runs that are done; a file begun with other options is refused."""
    changes_nothing = (
        "out",
        "results",
        "limit",
        "ratios",
        "seeds",
        "device",
        "memory",
        "cache",
        "compiled",
    )
    options = {k: v for k, v in vars(args).items() if k not in changes_nothing}
    first = json.dumps({"options": options}, default=str) + "\n"
    lines = args.out.read_text().splitlines(keepends=True) if args.out.is_file() else []
    if lines and lines[0] != first:
        raise InputError(f"{args.out} was begun with other options; choose another --out.")
    complete = [first, *(line for line in lines[1:] if line.endswith("\n"))]
    write_text(args.out, "".join(complete), overwrite=True)
    return [json.loads(line) for line in complete[1:]]


def _runs(args: argparse.Namespace, done: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every run that is not done yet, one after the other."""
    finished = {(row["tomogram"], row["ratio"], row["seed"]) for row in done}
    paths = sorted(args.folder.glob(args.pattern))[: args.limit]
    settings = replace(PRESETS[args.preset], diameter_angstrom=args.diameter)
    if args.cut is not None:
        settings = replace(settings, cut=_cut(args.cut))
    available = resources(args)
    taken: dict[str, str] = {}
    for path in paths:
        wanted = [
            (ratio, int(seed))
            for ratio in args.ratios
            for seed in args.seeds
            if (path.name, ratio, int(seed)) not in finished
        ]
        if not wanted:
            continue
        tomogram = Tomogram.open(path, voxel_size=args.voxel_size, contrast=args.contrast)
        truth = _truth(args, tomogram, taken)
        if truth is None:
            continue
        # Shares and seeds of a tomogram differ in their prompts: it is encoded for the first one.
        with TemporaryDirectory(prefix="empiar_10499-", dir=args.out.parent) as scratch:
            kept = replace(available, cache=args.cache or Path(scratch))
            job = Job(tomogram=tomogram, settings=settings, resources=kept)
            for ratio, seed in wanted:
                row = {"tomogram": path.name, "ratio": ratio, "seed": seed}
                row |= _one_run(job, truth, ratio, seed, args)
                print(
                    f"{path.name}, {_share(ratio)} prompted, seed {seed}: {row['n_picks']} picks, "
                    f"{row['n_matched']} of {row['n_truth']} particles, {row['seconds']} s",
                    row["failed"],
                    flush=True,
                )
                yield row


def _truth(args: argparse.Namespace, tomogram: Tomogram, taken: dict[str, str]) -> Picks | None:
    """The particles of a tomogram, in its voxels; None if the STAR file has none."""
    points = read_points(
        args.star, voxel_size=tomogram.voxel_size, coords_angpix=args.coords_angpix
    )
    try:
        points = of_tomogram(points, tomogram.name)
    except InputError as error:
        print(f"{tomogram.name} is left out: {error}", file=sys.stderr)
        return None
    name = relion_name(points.names[0]) if points.names else tomogram.name
    if name in taken:
        raise InputError(f"{taken[name]} and {tomogram.path} are both {name}; add --pattern.")
    taken[name] = str(tomogram.path)
    moved = positions(points.picks.points_zyx, tomogram.shape, args.flip, args.offset)
    inside = np.all((moved > -0.5) & (moved < np.array(tomogram.shape) - 0.5), axis=1)
    outside = int((~inside).sum())
    if outside > MOST_OUTSIDE * len(moved):
        raise InputError(
            f"{outside} of {len(moved)} particles lie outside {tomogram.path}; check "
            "--coords-angpix, --flip and --offset."
        )
    return Picks.from_points(moved[inside])


def positions(
    points_zyx: np.ndarray,
    shape_zyx: tuple[int, int, int],
    flip: str,
    offset_xyz: tuple[float, ...],
) -> np.ndarray:
    """(n, 3) voxels: mirrored along the axes named in `flip`, then moved by the offset."""
    if len(offset_xyz) != 3 or not set(flip) <= set("xyz"):
        raise InputError("Expected --offset X,Y,Z and axes of x, y, z for --flip.")
    mirrored = np.array([axis in flip for axis in "zyx"])
    last = np.array(shape_zyx) - 1
    return np.where(mirrored, last - points_zyx, points_zyx) + offset_xyz[::-1]


def _one_run(
    job: Job, truth: Picks, ratio: float, seed: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Pick from some true positions, and count."""
    n_prompts = max(1, round(ratio * len(truth)))
    # The prompts of a smaller share are among those of a larger one.
    prompted = np.random.default_rng(seed).permutation(len(truth))[:n_prompts]
    start, failed = time.perf_counter(), ""
    try:
        result = pick(replace(job, prompts=truth.points_zyx[prompted, ::-1]))
        picks = result.picks
    except InputError as error:
        picks, failed = Picks.from_points(np.zeros((0, 3))), str(error)
    seconds = round(time.perf_counter() - start, 1)
    tomogram = job.open_tomogram()
    if args.results and not failed:
        name = f"{tomogram.name}_{_share(ratio).replace('%', 'percent')}_{seed}"
        result.write(args.results / name, overwrite=True)
    found = evaluate(picks, truth, radius=args.radius, voxel_size=tomogram.voxel_size)
    return {
        "n_prompts": n_prompts,
        "n_picks": found.n_picks,
        "n_truth": found.n_truth,
        "n_matched": len(found.pairs),
        "n_matched_prompts": int(np.isin(found.pairs[:, 1], prompted).sum()),
        "seconds": seconds,
        "failed": failed,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    """Means over tomograms and seeds, in %, beside the paper's."""
    lines = [
        f"{'':10}{'all particles':^18}{'paper':^18}{'without the prompted':^22}",
        f"{'prompts':10}{'P     R    F1':>17}{'P     R    F1':>18}{'P     R    F1':>20}"
        f"{'runs':>9}{'failed':>8}{'minutes':>9}",
    ]
    for ratio in sorted({row["ratio"] for row in rows}):
        of_ratio = [row for row in rows if row["ratio"] == ratio]
        means = [_means(of_ratio, False), PAPER.get(ratio, (np.nan,) * 3), _means(of_ratio, True)]
        cells = "".join(" " + "".join(_cell(value) for value in three) for three in means)
        minutes = np.mean([row["seconds"] for row in of_ratio]) / 60
        failed = sum(bool(row["failed"]) for row in of_ratio)
        lines.append(f"{_share(ratio):8}{cells}{len(of_ratio):>11}{failed:>8}{minutes:>9.1f}")
    return "\n".join(lines)


def _means(rows: list[dict[str, Any]], unprompted: bool) -> tuple[float, float, float]:
    """Precision, recall and F1 in %; with `unprompted`, of what was not given."""
    shares = []
    for row in rows:
        given = row["n_matched_prompts"] if unprompted else 0
        matched, picks = row["n_matched"] - given, row["n_picks"] - given
        truth = row["n_truth"] - (row["n_prompts"] if unprompted else 0)
        if truth:
            shares.append((matched / max(picks, 1), matched / truth))
    precision, recall = 100 * masked_mean(np.array(shares).reshape(-1, 2))
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


def _share(ratio: float) -> str:
    return f"{ratio:.0%}" if ratio else "one"


def _cell(value: float) -> str:
    return f"{value:6.1f}" if np.isfinite(value) else f"{'-':>6}"


if __name__ == "__main__":
    sys.exit(main())
