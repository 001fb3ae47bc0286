"""How long the napari panel lets a person wait, measured by its session, without a window.

    python benchmarks/napari_session.py TOMO --click X,Y,Z --click X,Y,Z [--contrast dark]

The mask of the first click; a pick with all clicks but the last; one with the last, too.
Seconds of the wall clock and of all processors, and those of each stage of the picks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from aitom_cryosam import Settings, Tomogram
from aitom_cryosam.napari.session import Session
from aitom_cryosam.points.prompts import parse_prompt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tomogram", metavar="TOMO")
    parser.add_argument("--click", action="append", required=True, metavar="X,Y,Z")
    parser.add_argument("--contrast", choices=("dark", "bright"), default="dark")
    parser.add_argument("--preset", default="embedded")
    args = parser.parse_args()
    clicks = np.array([parse_prompt(one)[::-1] for one in args.click])  # (n, 3)
    if len(clicks) < 2:
        parser.error("expected two clicks or more")
    session = Session(Tomogram.open(args.tomogram, contrast=args.contrast))
    settings, none = Settings.of(args.preset), np.zeros((0, 3))
    start, begun = time.perf_counter(), list[float]()
    with measured("mask"):
        session.mask(clicks[0], settings, begun=lambda _: begun.append(time.perf_counter() - start))
    print(f"  its outline in three planes after {begun[0]:.2f} s")
    for name, some in (("first pick", clicks[:-1]), ("second pick", clicks)):
        with measured(name):
            result = session.pick(some, none, settings)
        settings = Settings.of(args.preset, diameter_angstrom=result.diameter_angstrom)
        stages = result.stages.seconds.items()
        print(" ", ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages))
        print(f"  {len(result.picks)} picks of {len(result.proposals)} proposals", flush=True)


@contextmanager
def measured(name: str) -> Iterator[None]:
    """Print how long the block took."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:12}{wall:7.2f} s{cpu:8.2f} CPU s", flush=True)


if __name__ == "__main__":
    main()
