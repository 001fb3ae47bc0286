"""How time and memory of every stage grow with the tomogram, and how exact the similarity is.

    python benchmarks/scaling.py [--sizes 64,96,128,160,224,320]

Cubes of noise with one ball of 12 voxels in every 24 x 24 x 24 voxels, one click, the defaults
of `cryosam pick`. Every cube is picked in a process of its own. Seconds a stage, and the most
memory the process had held when the stage ended (`start`: after loading the package); both also
for each voxel, where a number that does not rise means no worse than linear. At most `top_k` =
512 proposals are judged, and only picks get a mask: these stages stop growing at about 128 voxels.

Beside two stages stands their floor: the bytes that must be read or written once and the
operations that the method asks for, over what this machine moved and multiplied in a second in
the same process. What lies between floor and time is Python, copies and caches.

Then the cosine similarity of all voxels of a 64 x 128 x 128 tomogram on one core: ours, and two
ways of building all channels of every voxel. Their time grows with the channels, ours does not
but for one product with the tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitom_cryosam.encoders.filterbank import POOLING, RESPONSES, WINDOWS, FilterBankEncoder
from aitom_cryosam.filters import TRUNCATE
from aitom_cryosam.settings import PRESETS

if TYPE_CHECKING:
    from aitom_cryosam.features import TriplanarFeatures

DIAMETER = 12.0
PRODUCTS = 6
"""Numbers that matching needs of a token: its dot products with the query, itself and four
neighbours."""
SPACING = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="64,96,128,160,224,320", help="voxels a side")
    # Steps that run in processes of their own.
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--pick", help=argparse.SUPPRESS)
    parser.add_argument("--exactness", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make(int(args.make[0]), args.make[1])
    elif args.pick:
        pick(args.pick)
    elif args.exactness:
        exactness()
    else:
        sizes = [int(size) for size in args.sizes.split(",")]
        totals = [scaling(size) for size in sizes]
        if len(sizes) > 1:
            slope = np.polyfit(np.log(sizes), np.log(totals), 1)[0] / 3
            print(f"whole time grows as voxels^{slope:.2f}\n", flush=True)
        child("--exactness", capture_output=False)


def child(*arguments: str, capture_output: bool = True) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, text=True, capture_output=capture_output).stdout


def scaling(size: int) -> float:
    """Print the stages of one cube; returns the seconds of all."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "cube.mrc")
        child("--make", str(size), path)
        run = json.loads(child("--pick", path))
    start, voxels = run["start"], size**3
    seconds, megabytes = run["seconds"], run["peak_megabytes"]
    print(f"{size}³ = {voxels / 1e6:.2f} million voxels, {run['proposals']} proposals")
    print(f"  {'stage':16}{'s':>8}{'µs/voxel':>11}{'peak MB':>10}{'bytes/voxel':>13}")
    print(f"  {'start':16}{'':>19}{start:10.0f}")
    for stage in seconds:
        row = seconds[stage], seconds[stage] / voxels * 1e6
        memory = megabytes[stage], (megabytes[stage] - start) * 1e6 / voxels
        line = f"  {stage:16}{row[0]:8.2f}{row[1]:11.3f}{memory[0]:10.0f}{memory[1]:13.1f}"
        print(line + floor_text(run, stage, size))
    total = sum(seconds.values())
    share = seconds["matching"] / total
    print(
        f"  {'all':16}{total:8.2f}{total / voxels * 1e6:11.3f}   matching {share:.1%}\n", flush=True
    )
    return total


def make(size: int, path: str) -> None:
    """Write a cube of noise with a ball near every node of a lattice, the first at its node."""
    from aitom_cryosam.volumes.mrc import write_volume

    rng = np.random.default_rng(0)
    data = rng.standard_normal((size,) * 3, dtype=np.float32)
    reach = int(DIAMETER) // 2
    grid = np.ogrid[(slice(-reach, reach + 1),) * 3]
    ball = 2 * (sum(axis**2 for axis in grid) <= reach**2)
    nodes = np.arange(SPACING // 2, size - SPACING // 2 + 1, SPACING)
    for index, node in enumerate(np.stack(np.meshgrid(nodes, nodes, nodes), -1).reshape(-1, 3)):
        z, y, x = node + (rng.integers(-4, 5, 3) if index else 0) - reach
        side = 2 * reach + 1
        data[z : z + side, y : y + side, x : x + side] -= ball
    write_volume(path, data, voxel_size=10.0)


def pick(path: str) -> None:
    """Print what the stages took as JSON."""
    from aitom_cryosam import CryoSAM, Tomogram
    from aitom_cryosam.stages import peak_megabytes

    start = peak_megabytes()
    result = CryoSAM().pick(Tomogram.open(path), [(SPACING // 2,) * 3])
    stages = result.stages
    report = {"seconds": stages.seconds, "peak_megabytes": stages.peak_megabytes}
    report |= {"start": start, "proposals": len(result.proposals), **speeds()}
    print(json.dumps(report))


def floor_text(run: dict[str, Any], stage: str, size: int) -> str:
    """What a stage cannot do without, where that is known, and how long it would take."""
    needs = floors(size).get(stage)
    if needs is None:
        return ""
    moved, operations = needs
    seconds = max(moved / run["bytes_a_second"], operations / run["operations_a_second"])
    return f"   floor {seconds:.2f} s: {moved / 1e9:.2f} GB, {operations / 1e9:.1f} GFLOP"


def floors(size: int) -> dict[str, tuple[float, float]]:
    """(bytes, operations) of the stages of a cube that are most of the work, by their name."""
    encoder = FilterBankEncoder(DIAMETER)
    slab = max(1, round(PRESETS["embedded"].slab * DIAMETER / 2))
    planes = 3 * -(-size // slab)
    tokens = planes * (-(-size // encoder.token)) ** 2
    filtered = 0.0
    for sigma, factor in encoder.scales():
        # Three derivatives down the columns, and six of these across.
        filtered += planes * (size / factor) ** 2 * 9 * 2 * (2 * TRUNCATE * sigma / factor + 1)
    for width in (POOLING, *WINDOWS):
        maps = RESPONSES * (1 if width == POOLING else 2)
        taps = 2 * TRUNCATE * width * encoder.radius / encoder.token + 1
        filtered += tokens * maps * 2 * 2 * taps
    whitened = tokens * 2 * encoder.channels**2
    kept = 2 * tokens * encoder.channels  # float16
    return {
        "features": (3 * 4 * size**3 + kept, filtered + whitened),
        "matching": (kept, tokens * PRODUCTS * 2 * encoder.channels),
    }


def speeds() -> dict[str, float]:
    """Bytes copied and operations of a matrix product in a second, the best of five."""
    source, target = np.ones((2, 1 << 25), np.float32)
    square = np.ones((2048, 2048), np.float32)
    copied = min(timed(lambda: np.copyto(target, source) or target)[1] for _ in range(5))
    multiplied = min(timed(lambda: square @ square)[1] for _ in range(5))
    return {
        "bytes_a_second": 2 * source.nbytes / copied,
        "operations_a_second": 2 * len(square) ** 3 / multiplied,
    }


def exactness(shape: tuple[int, int, int] = (64, 128, 128)) -> None:
    """Print the largest difference from the explicit similarity, and both times."""
    from threadpoolctl import threadpool_limits

    from aitom_cryosam import Tomogram
    from aitom_cryosam.encoders.filterbank import FilterBankEncoder
    from aitom_cryosam.features import TriplanarFeatures
    from aitom_cryosam.features.query import Query

    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    tomogram = Tomogram.from_array(noise, voxel_size=10.0)
    features = TriplanarFeatures.extract(tomogram, FilterBankEncoder(18.0), shrinkage=0.1)
    vector = features.sample(np.array([[31.0, 62.0, 65.0]]))[0]
    cells = np.indices(shape).reshape(3, -1).T
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with threadpool_limits(1):
        ours = timed(lambda: Query(features, vector).similarity(1).ravel())
        planes = timed(lambda: by_planes(features, vector))
        points = timed(lambda: by_points(features, vector, cells))
    print(f"similarity of {noise.size:,} voxels with {len(vector)} channels")
    print(f"  {'ours':45}{ours[1]:7.2f} s")
    for name, (values, seconds) in {
        "explicit, all channels of a plane at a time": planes,
        "explicit, all channels of a voxel at a time": points,
    }.items():
        difference = np.abs(values - ours[0]).max()
        print(f"  {name:45}{seconds:7.2f} s = {seconds / ours[1]:.1f} times ours, ", end="")
        print(f"largest difference {difference:.1e}", flush=True)


def timed(compute: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    begin = time.perf_counter()
    values = compute()
    return values, time.perf_counter() - begin


def by_points(features: TriplanarFeatures, vector: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """(n,) cosine similarity from the explicit features of each voxel."""
    parts = []
    for points in np.array_split(cells, 64):
        channels = features.sample(points)
        parts.append(channels @ vector / np.linalg.norm(channels, axis=1))
    return np.concatenate(parts) / np.linalg.norm(vector)


def by_planes(features: TriplanarFeatures, vector: np.ndarray) -> np.ndarray:
    """(n,) cosine similarity by interpolating every channel to every voxel, z by z."""
    q_z, q_y, q_x = np.split(vector, 3)
    of_z, of_y, of_x = features.views
    y_of_z, x_of_z = (axis.weights(np.arange(axis.size)) for axis in (of_z.rows, of_z.columns))
    z_of_y, x_of_y = (axis.weights(np.arange(axis.size)) for axis in (of_y.rows, of_y.columns))
    z_of_x, y_of_x = (axis.weights(np.arange(axis.size)) for axis in (of_x.rows, of_x.columns))
    result = np.empty(features.shape, np.float32)
    for z in range(len(result)):
        channels = (  # (H, W, C) each
            _interpolated(of_z.tokens[z].astype(np.float32), y_of_z, x_of_z),
            _lines(of_y.tokens, z_of_y[z], x_of_y),
            _lines(of_x.tokens, z_of_x[z], y_of_x).transpose(1, 0, 2),
        )
        dots = sum(view @ q for view, q in zip(channels, (q_z, q_y, q_x), strict=True))
        norms = sum(np.square(view).sum(axis=-1) for view in channels)
        result[z] = dots / np.sqrt(norms)
    return result.ravel() / np.float32(np.linalg.norm(vector))


def _interpolated(tokens: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(gh, gw, C) tokens at every pixel, (h, w, C)."""
    along = np.tensordot(rows.astype(np.float32), tokens, axes=1)  # (h, gw, C)
    return np.matmul(columns.astype(np.float32), along)


def _lines(tokens: np.ndarray, row: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The line across every plane (n, gh, gw, C) at one row, (n, w, C)."""
    used = np.flatnonzero(row)
    line = np.tensordot(row[used].astype(np.float32), tokens[:, used].astype(np.float32), (0, 1))
    return np.matmul(columns.astype(np.float32), line)


if __name__ == "__main__":
    main()
