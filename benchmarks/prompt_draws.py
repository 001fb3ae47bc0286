"""How well `cryosam pick` does from a few random prompts: one run for each draw, then the mean.

    python benchmarks/prompt_draws.py TOMO TRUTH --radius 100 [--class NAME] [--prompts 1]
        [--seeds 0,1,2,3,4] [--labels LABELS] [--pick-options "--diameter 250"]

The prompts of a draw are `numpy.random.default_rng(seed).choice(n, PROMPTS, replace=False)` of
the n true particles of the class. Every run is a process of its own with the defaults of
`cryosam pick`; seconds and memory are those of that whole process. A run that fails counts 0.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.names import file_stem
from aitom_cryosam.points.point_file import PointFile
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.volumes.mrc import read_volume

CRYOSAM = [sys.executable, "-m", "aitom_cryosam"]
COLUMNS = ("n_picks", "precision", "recall", "f1", "localisation_error", "seconds", "megabytes")


def main() -> None:
    args = _parser().parse_args()
    truth = read_points(args.truth)
    rows = np.arange(len(truth.picks))
    if args.particle_class:
        rows = np.flatnonzero(np.array(truth.classes) == args.particle_class)
    columns = [*COLUMNS, "mask_iou"] if args.labels else [*COLUMNS]
    print("    seed", *(f"{name[:10]:>10}" for name in columns), flush=True)
    results = []
    for seed in map(int, args.seeds.split(",")):
        chosen = np.random.default_rng(seed).choice(len(rows), args.prompts, replace=False)
        with tempfile.TemporaryDirectory() as folder:
            found = _one_run(args, truth, rows, rows[chosen], Path(folder))
        results.append([found.get(name, np.nan) for name in columns])
        print(f"{seed:8}", *(f"{value:10.3f}" for value in results[-1]), flush=True)
    print("    mean", *(f"{value:10.3f}" for value in _means(results)))


def _means(results: list[list[float]]) -> np.ndarray:
    """Of every column, over the runs that have a number."""
    return np.ma.masked_invalid(results).mean(axis=0).filled(np.nan)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tomogram", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--radius", required=True, help="Å")
    parser.add_argument("--class", dest="particle_class")
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--labels", type=Path, help="row number of the truth, from 1, per voxel")
    parser.add_argument("--pick-options", default="", help="passed on to cryosam pick")
    return parser


def _one_run(
    args: argparse.Namespace, truth: PointFile, rows: np.ndarray, prompts: np.ndarray, folder: Path
) -> dict[str, float]:
    """Pick and evaluate; `rows` are those of the class in the truth, `prompts` some of them."""
    typed = [
        f"--prompt={x:.6f},{y:.6f},{z:.6f}" for z, y, x in truth.picks.points_zyx[prompts].tolist()
    ]
    options = shlex.split(args.pick_options)
    command = ["pick", str(args.tomogram), *typed, "--out", str(folder), "--quiet", *options]
    status, seconds, megabytes = _measured(command)
    costs = {"seconds": seconds, "megabytes": megabytes}
    if status:
        print(f"cryosam pick ended with status {status}", file=sys.stderr)
        return {"n_picks": 0, "precision": 0, "recall": 0, "f1": 0, **costs}
    stem = folder / file_stem(args.tomogram)
    picks, report = Path(f"{stem}_picks.star"), folder / "evaluation.json"
    command = ["evaluate", str(picks), str(args.truth), "--radius", args.radius]
    command += ["--json", str(report), "--quiet"]
    command += ["--class", args.particle_class] if args.particle_class else []
    subprocess.run([*CRYOSAM, *command], check=True, stdout=subprocess.DEVNULL)
    numbers = json.loads(report.read_text())
    found = {name: numbers[name] for name in COLUMNS if numbers.get(name) is not None} | costs
    if args.labels:
        labels = Path(f"{stem}_labels.mrc")
        found["mask_iou"] = _mask_iou(picks, labels, truth, rows, args.labels, float(args.radius))
    return found


def _measured(command: list[str]) -> tuple[int, float, float]:
    """Exit status, seconds and peak resident memory in 10^6 bytes of one `cryosam` process."""
    start = time.perf_counter()
    process = subprocess.Popen([*CRYOSAM, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, time.perf_counter() - start, usage.ru_maxrss * unit / 1e6


def _mask_iou(
    picks_path: Path,
    labels_path: Path,
    truth: PointFile,
    rows: np.ndarray,
    true_labels_path: Path,
    radius: float,
) -> float:
    """Mean over the matched picks of the overlap of their mask with the particle's."""
    picks = read_points(picks_path)
    voxel_size = picks.voxel_size or 1.0
    found = read_volume(labels_path, voxel_size=voxel_size).data.astype(np.int64)
    true = read_volume(true_labels_path, voxel_size=voxel_size).data.astype(np.int64)
    true = np.maximum(true, 0)  # membranes are no particle
    pairs = evaluate(
        picks.picks, truth.picks.take(rows), radius=radius, voxel_size=voxel_size
    ).pairs
    ids, numbers = picks.picks.ids[pairs[:, 0]], rows[pairs[:, 1]] + 1
    found_size = np.bincount(found.ravel(), minlength=ids.max(initial=0) + 1)
    true_size = np.bincount(true.ravel(), minlength=len(truth.picks) + 1)
    marked = (found > 0) & (true > 0)
    width = len(true_size)
    overlap = np.bincount(found[marked] * width + true[marked], minlength=len(found_size) * width)
    both = overlap[ids * width + numbers]
    return float(np.mean(both / (found_size[ids] + true_size[numbers] - both)))


if __name__ == "__main__":
    main()
