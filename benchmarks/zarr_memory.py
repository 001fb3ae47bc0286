"""Memory of a tomogram as OME-Zarr beside the same one as a memory-mapped MRC file.

Each is opened in a process of its own, which measures it (margins, normalisation, checksum) and
reads all planes across all three axes, as a run does.

    python benchmarks/zarr_memory.py --shape 200 800 800 --chunk 128
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import numpy as np
import zarr

from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.mrc import write_volume


def make(folder: Path, shape: tuple[int, int, int], chunk: int) -> list[Path]:
    data = np.random.default_rng(0).standard_normal(shape, np.float32)
    write_volume(folder / "a.mrc", data, voxel_size=10)
    group = zarr.open_group(str(folder / "a.zarr"), mode="w", zarr_format=2)
    how = {"chunks": tuple(min(chunk, n) for n in shape), "dtype": data.dtype, "shape": shape}
    group.create_array("0", **how)[...] = data
    scale = [{"type": "scale", "scale": [10.0] * 3}]
    axes = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]
    dataset = {"path": "0", "coordinateTransformations": scale}
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [dataset]}]
    return [folder / "a.mrc", folder / "a.zarr"]


def status(name: str) -> float:
    """MB, of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(name))


def use(path: str) -> None:
    """Print peak resident and peak private MB, and seconds."""
    peak, over = [0.0], Event()

    def watch() -> None:
        while not over.wait(0.01):
            peak[0] = max(peak[0], status("RssAnon:"))

    thread = Thread(target=watch)
    thread.start()
    start = time.perf_counter()
    tomogram = Tomogram.open(path)
    digest = tomogram.digest()
    _ = tomogram.normalisation
    for axis, size in enumerate(tomogram.shape):
        for first in range(0, size, 4):
            tomogram.planes(axis, first, min(first + 4, size))
    seconds = time.perf_counter() - start
    over.set()
    thread.join()
    print(f"{status('VmHWM:'):.0f} {peak[0]:.0f} {seconds:.1f} {digest[:12]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(200, 800, 800), metavar="N")
    parser.add_argument("--chunk", type=int, default=128)
    parser.add_argument("--use", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.use:
        use(args.use)
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = make(Path(folder), tuple(args.shape), args.chunk)
        size = paths[0].stat().st_size / 1e6
        print(f"{size:.0f} MB of voxels; peak MB resident, peak MB private, seconds")
        for path in paths:
            command = [sys.executable, __file__, "--use", str(path)]
            out = subprocess.run(command, check=True, capture_output=True, env=os.environ)
            print(f"{path.name:8}{out.stdout.decode().strip()}")


if __name__ == "__main__":
    main()
