"""Membranes and filaments against tomograms in which they are known.

    python benchmarks/structures.py [--kinds vesicles,tubes,fibres,noise] [--seeds 0-5] [--draws 1]
    python benchmarks/structures.py --kinds noise,particles --seeds 0-9 --draws 2
    python benchmarks/structures.py --shared shrec_like_den.mrc shrec_like_labels.mrc.gz --draws 3

Simulated tomograms with contrast transfer, missing wedge, noise and particles; 4 clicks drawn at
random on what can be seen, each off the middle by a voxel. Everything lies within 2 voxels or
counts as missed. A membrane's recall is of its voxels whose normal is within 50° of the x, y
plane, and of all; a filament's of the centre lines that run more than 25° from x, square to the
tilt axis, and of all. In `noise` and `particles` there are particles only, and nothing may be
found: from one draw of clicks anywhere, or from clicks on the particles. The clicks are a seed's:
the figures of one draw can be had again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from aitom_cryosam.picks import Picks
from aitom_cryosam.propagator import outliner
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import Settings
from aitom_cryosam.targets.base import Structures, StructureTarget
from aitom_cryosam.targets.filament import Filament
from aitom_cryosam.targets.membrane import Membrane
from aitom_cryosam.targets.outliner import Outliner
from benchmarks.structure_tomograms import WIDTHS_ANGSTROM, Scene, noise, shared, simulated

CLICKS = 4
NEAR = 2.0
"""Voxels."""
BESIDE = 3.0
"""Voxels, sigma of a click's distance from the middle of a particle."""
EMPTY = ("noise", "particles")
"""Kinds without structures."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kinds", default="vesicles,tubes,fibres,noise")
    parser.add_argument("--seeds", default="0-5", help="first and last")
    parser.add_argument("--shape", default="192,192,64", help="voxels x,y,z")
    parser.add_argument("--draws", type=int, default=1, help="of clicks, in each tomogram")
    parser.add_argument(
        "--checkpoint", metavar="MODEL=FILE", help="of a SAM, which then outlines vesicles, too"
    )
    parser.add_argument("--shared", nargs=2, type=Path, metavar=("MRC", "LABELS"))
    args = parser.parse_args()
    outlining = args.checkpoint and outlines(*args.checkpoint.split("=", 1))

    if args.shared:
        report("shared", list(membranes(shared(*args.shared), args.draws, outlining)))
        return
    first, last = map(int, args.seeds.split("-"))
    shape = tuple(map(int, args.shape.split(",")))[::-1]
    for kind in args.kinds.split(","):
        rows: list[dict[str, float]] = []
        for seed in range(first, last + 1):
            if kind in EMPTY:
                rows += nothing(kind, seed, shape, args.draws)
            elif kind == "vesicles":
                rows += membranes(simulated(kind, seed, shape), args.draws, outlining)
            else:
                rows += filaments(simulated(kind, seed, shape), args.draws, WIDTHS_ANGSTROM[kind])
        report(kind, rows)
        if kind in EMPTY:
            counts = [count for row in rows for count in row.values()]
            print(f"{np.count_nonzero(counts)} of {len(counts)} runs found something", flush=True)


def membranes(
    scene: Scene, draws: int, outlining: Outliner | None = None
) -> Iterator[dict[str, float]]:
    """A row for each draw of clicks."""
    visible = scene.visible
    for draw in range(draws):
        found, seconds = followed(scene, Membrane(), draw, outlining)
        mask = found.volume(scene.tomogram) > 0
        points = found.points
        _, normals = scene.nearest(points.points_zyx)
        along = points.rotations.apply([0, 0, 1])[:, ::-1] if len(points) else normals
        cosines = np.clip(np.abs((normals * along).sum(axis=1)), 0, 1)
        yield {
            "recall": within(mask, visible),
            "of all": within(mask, scene.truth),
            "precision": within(scene.truth, mask),
            "normals": float(np.degrees(np.median(np.arccos(cosines)))) if len(points) else np.nan,
            "found": found.count / len(scene.vesicles),
            "CPU s": seconds,
        }


def filaments(scene: Scene, draws: int, width_angstrom: float) -> Iterator[dict[str, float]]:
    """A row for each draw of clicks."""
    truth = np.concatenate(scene.lines)
    visible = np.concatenate([np.zeros((0, 3)), *scene.visible_lines])
    for draw in range(draws):
        found, seconds = followed(scene, Filament(diameter_angstrom=width_angstrom), draw)
        line = found.ridges.points_zyx
        yield {
            "recall": beside(visible, line),
            "of all": beside(truth, line),
            "precision": beside(line, truth),
            "found": found.count / len(scene.lines),
            "CPU s": seconds,
        }


def beside(points: np.ndarray, line: np.ndarray) -> float:
    """Share of points (n, 3) that a line (m, 3) comes near to; NaN without a point."""
    if not len(points) or not len(line):
        return 0.0 if len(points) else np.nan
    return float((cKDTree(line).query(points)[0] <= NEAR).mean())


def nothing(
    kind: str, seed: int, shape: tuple[int, int, int], draws: int
) -> Iterator[dict[str, float]]:
    """How many structures there seem to be where there are none; a row for each draw of clicks."""
    tomogram, particles = noise(seed, shape)
    last = np.array(shape) - 1
    if kind == "noise":
        clicks = [np.random.default_rng(seed).uniform(0, last, (CLICKS, 3))]
    else:
        rng = np.random.default_rng(seed + 100)
        clicks = [_beside(particles, rng).clip(0, last) for _ in range(draws)]
    targets = {"membranes": Membrane()}
    targets |= {kind: Filament(diameter_angstrom=width) for kind, width in WIDTHS_ANGSTROM.items()}
    for points in clicks:
        prompts = Picks.from_points(points)
        yield {name: target.find(tomogram, prompts).count for name, target in targets.items()}


def _beside(particles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(CLICKS, 3) clicks on some of the particles (n, 3)."""
    chosen = rng.choice(len(particles), CLICKS, replace=False)
    return particles[chosen] + BESIDE * rng.standard_normal((CLICKS, 3))


def followed(
    scene: Scene, target: StructureTarget, draw: int, outlining: Outliner | None = None
) -> tuple[Structures, float]:
    """What is found from one draw of clicks, and the CPU seconds."""
    clicks = Picks.from_points(scene.clicks(CLICKS, np.random.default_rng(draw)))
    begin = time.process_time()
    found = target.find(scene.tomogram, clicks, outliner=outlining)
    return found, time.process_time() - begin


def outlines(model: str, path: str) -> Outliner | None:
    """What outlines by the masks of a network whose weights are in a file."""
    return outliner(Settings(segmenter=model), Resources(checkpoints={model: Path(path)}))


def within(mask: np.ndarray, voxels: np.ndarray) -> float:
    """Share of some voxels (D, H, W) that a mask (D, H, W) comes near to."""
    if not mask.any() or not voxels.any():
        return 0.0 if voxels.any() else np.nan
    return float((ndimage.distance_transform_edt(~mask)[voxels] <= NEAR).mean())


def report(kind: str, rows: list[dict[str, float]]) -> None:
    """Each row, the mean and the lowest of each column."""
    names = list(rows[0])
    table = np.array([[row[name] for name in names] for row in rows])
    print(f"{kind:10}" + "".join(f"{name:>10}" for name in names))
    for name, row in zip(
        [*range(len(rows)), "mean", "lowest"],
        [*table, np.nanmean(table, axis=0), np.nanmin(table, axis=0)],
        strict=True,
    ):
        print(f"{name:>10}" + "".join(f"{value:10.3f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
