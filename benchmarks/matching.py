"""Matching on tokens as large as DINOv2-L's, which lie on disk.

    python benchmarks/matching.py [--shape 300,928,960] [--channels 1024] [--scratch DIR]

Random tokens, float16, with the longest side of every plane cut into 37 and every plane encoded,
as `--preset paper` does; pyramid levels 16, 8, 4. A process of its own opens the files
memory-mapped and does what `pick` does between features and masks, twice. It prints the seconds
of each step and the most memory held by then, in which mapped pages count although the system
could drop them. The files are dropped from the system's page cache first, where it lets itself
be asked to.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TOKENS = 37
RATIOS = (16, 8, 4)
TOP_K = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", default="300,928,960", help="voxels z,y,x")
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--scratch", help="folder for the tokens")
    parser.add_argument("--match", help=argparse.SUPPRESS)  # in a process of its own
    args = parser.parse_args()
    shape = tuple(int(size) for size in args.shape.split(","))
    if args.match:
        match(Path(args.match), shape)
        return
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        write(Path(folder), shape, args.channels)
        for _ in range(2):
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--match", folder], check=True)


def token_axes(shape: tuple[int, ...]) -> list[tuple]:
    """For each view the axes along the stack, the rows and the columns."""
    from aitom_cryosam.geometry import TokenAxis, in_plane_axes

    axes = []
    for axis, size in enumerate(shape):
        plane = [shape[other] for other in in_plane_axes(axis)]
        step = max(plane) / TOKENS
        in_plane = [TokenAxis(n, max(1, round(n / step)), step) for n in plane]
        axes.append((TokenAxis(size, size, 1), *in_plane))
    return axes


def write(folder: Path, shape: tuple[int, ...], channels: int) -> None:
    """Random tokens; neighbouring planes resemble each other as planes of a tomogram do."""
    from aitom_cryosam.features.token_files import create_tokens

    shapes = {
        name: (*(axis.count for axis in axes), channels)
        for name, axes in zip("zyx", token_axes(shape), strict=True)
    }
    rng = np.random.default_rng(0)
    for tokens in create_tokens(folder, shapes):
        plane = rng.standard_normal(tokens.shape[1:], dtype=np.float32)
        for index in range(len(tokens)):
            plane *= 0.95
            plane += 0.3 * rng.standard_normal(plane.shape, dtype=np.float32)
            tokens[index] = plane


def match(folder: Path, shape: tuple[int, ...]) -> None:
    """Open the tokens and match, with the seconds and the memory it takes."""
    from aitom_cryosam.features import TriplanarFeatures
    from aitom_cryosam.features.query import Query
    from aitom_cryosam.features.view import View
    from aitom_cryosam.masks import ball
    from aitom_cryosam.matcher import HierarchicalMatcher
    from aitom_cryosam.stages import peak_megabytes

    axes = token_axes(shape)
    cold = forget(folder)
    begin = time.perf_counter()
    arrays = [np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in "zyx"]
    views = [View(i, array, *axes[i]) for i, array in enumerate(arrays)]
    size = sum(array.nbytes for array in arrays)
    print(f"{size / 1e9:.2f} GB of tokens on disk, page cache {'cold' if cold else 'as it is'}")
    last = begin

    def say(step: str) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"  {step:30}{now - last:8.2f} s{peak_megabytes():8.0f} MB", flush=True)
        last = now

    features = TriplanarFeatures(views, RATIOS)
    say("levels 16, 8, 4")
    middle = np.array(shape) / 2
    query = Query(features, features.masked_mean([ball(middle, 12.5, shape)]))
    say("query, projected")
    found = HierarchicalMatcher(ratios=RATIOS, tau_sim=0.5, distance=16.0).match(query)
    say(f"{len(found)} proposals above 0.5")
    all_maxima = HierarchicalMatcher(ratios=RATIOS[-1:], tau_sim=-1, distance=16.0).match(query)
    say(f"{len(all_maxima)} maxima in all")
    rng = np.random.default_rng(0)
    for point in rng.uniform(0, shape, (TOP_K, 3)):
        features.masked_mean([ball(point, 12.5, shape)])
    say(f"{TOP_K} balls averaged")
    print(f"  {'matching':30}{last - begin:8.2f} s{peak_megabytes():8.0f} MB\n")


def forget(folder: Path) -> bool:
    """Ask the system to drop the files from its page cache."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


if __name__ == "__main__":
    main()
