"""`cryosam demo`: the whole way on a simulated tomogram, in under a minute."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli.arguments import add_count
from aitom_cryosam.cli.simulate import load_densities
from aitom_cryosam.cli.tables import labelled
from aitom_cryosam.errors import InputError
from aitom_cryosam.wording import plural

if TYPE_CHECKING:
    import numpy as np

    from aitom_cryosam.evaluation import Evaluation
    from aitom_cryosam.result import Result
    from aitom_cryosam.simulation.density import Density
    from aitom_cryosam.simulation.simulate import Simulation

NAME = "demo"
VOXEL_SIZE = 10.0  # Å
SHAPE_ZYX = (72, 240, 280)
MEMBRANES = 2
FILLING = 0.11
"""Share of the volume that the balls around the particles take: a crowd that does not touch."""
MOST_COPIES = 36
CLICK_ERROR = 1.0
"""Voxels: how far a person's click is from the particle's centre, root mean square."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam demo`."""
    parser.add_argument(
        "--out",
        default="cryosam_demo",
        metavar="DIR",
        help="folder for the results (default: cryosam_demo)",
    )
    parser.add_argument(
        "--density",
        nargs="+",
        default=[],
        metavar="MAP",
        help="density maps (MRC, protein bright) instead of the invented particles; "
        "the first is picked",
    )
    add_count(parser, "--seed", "of the simulation (default: 0)", default=0)
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier demo")


def run(args: argparse.Namespace) -> int:
    """Simulate, pick, evaluate, write everything, print a table.

    Raises:
        InputError: a map cannot be used, or the folder holds a demo already or is closed.
    """
    from aitom_cryosam import job
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.outputs import check_output
    from aitom_cryosam.settings import Settings
    from aitom_cryosam.simulation.files import write_simulation
    from aitom_cryosam.simulation.settings import SimulationSettings
    from aitom_cryosam.simulation.simulate import simulate

    start = time.perf_counter()
    settings = SimulationSettings(
        shape_zyx=SHAPE_ZYX, voxel_size=VOXEL_SIZE, membranes=MEMBRANES, seed=args.seed
    )
    densities = load_densities(args.density, VOXEL_SIZE)
    _refuse_earlier(args)
    check_output(args.out)
    simulation = simulate([(density, _copies(densities)) for density in densities], settings)
    truth_folder = Path(args.out) / "simulated"
    written = write_simulation(simulation, truth_folder, NAME, overwrite=args.overwrite)

    click = _click(simulation, densities[0].name, args.seed)
    wanted = job.Job(
        tomogram=written[0],
        prompts=(tuple(click[::-1].tolist()),),
        out=Path(args.out),
        settings=Settings(preset="embedded"),
        picture=True,
        overwrite=args.overwrite,
    )
    with ShownProgress(quiet=args.quiet) as progress:
        result = job.pick(wanted, progress=progress)
    evaluation = _evaluate(result, simulation, densities[0])
    note = (
        f"simulated: {plural(len(densities), 'kind')} of particles and "
        f"{plural(MEMBRANES, 'vesicle')}   ·   "
        f"precision {evaluation.precision:.2f}, recall {evaluation.recall:.2f}"
    )
    record = job.write(wanted, result, note=note)
    if not args.quiet:
        print(_table(evaluation, densities, time.perf_counter() - start))
        print(_by_hand(args, click, densities[0]))
        print(f"\nLook at {record.files['picture']}")
    return 0


def _refuse_earlier(args: argparse.Namespace) -> None:
    """Say before the work, and with what to type, that the folder holds a demo."""
    from aitom_cryosam.outputs import refuse_existing
    from aitom_cryosam.result_files import result_paths
    from aitom_cryosam.simulation.files import simulation_paths

    paths = [
        *result_paths(args.out, NAME, picture=True).values(),
        *simulation_paths(Path(args.out) / "simulated", NAME),
    ]
    if not args.overwrite and any(os.path.exists(path) for path in paths):
        raise InputError(
            f"{args.out} holds an earlier demo; add --overwrite to replace it, or --out DIR to "
            "keep it."
        )
    refuse_existing(paths, overwrite=args.overwrite)


def _copies(densities: list[Density]) -> int:
    """Of every kind: as many as fill the volume to `FILLING`."""
    balls = sum(4.19 * density.radius**3 for density in densities)
    voxels = SHAPE_ZYX[0] * SHAPE_ZYX[1] * SHAPE_ZYX[2]
    return max(2, min(MOST_COPIES, int(FILLING * voxels / balls)))


def _click(simulation: Simulation, kind: str, seed: int) -> np.ndarray:
    """(3,) z y x, a tenth of a voxel exact: a person's click on the particle in the middle."""
    import numpy as np

    points = _positions(simulation, kind)
    middle = (np.array(simulation.data.shape) - 1) / 2
    nearest = points[np.linalg.norm(points - middle, axis=1).argmin()]
    error = np.random.default_rng(seed).normal(0, CLICK_ERROR / np.sqrt(3), 3)
    return np.asarray((nearest + error).round(1))


def _positions(simulation: Simulation, kind: str) -> np.ndarray:
    return simulation.points_zyx[[name == kind for name in simulation.classes]]


def _evaluate(result: Result, simulation: Simulation, density: Density) -> Evaluation:
    from aitom_cryosam.evaluation import evaluate
    from aitom_cryosam.picks import Picks

    truth = Picks.from_points(_positions(simulation, density.name))
    return evaluate(result.picks, truth, radius=_radius(density), voxel_size=VOXEL_SIZE)


def _radius(density: Density) -> float:
    """Å, within which a pick is right: inside of the particle, whichever way it is turned."""
    return float(round(2 / 3 * density.radius * VOXEL_SIZE, -1))


def _table(evaluation: Evaluation, densities: list[Density], seconds: float) -> str:
    picked, *others = [density.name for density in densities]
    crowd = [*(f"{evaluation.n_truth} {name}" for name in others), plural(MEMBRANES, "vesicle")]
    rows = [
        ("particles", f"{evaluation.n_truth} {picked} (beside {', '.join(crowd)})"),
        ("clicks", "1"),
        ("picks", f"{evaluation.n_picks}"),
        ("precision", f"{evaluation.precision:.2f}"),
        ("recall", f"{evaluation.recall:.2f}"),
        ("F1", f"{evaluation.f1:.2f} within {_radius(densities[0]):g} Å"),
        ("localisation error", f"{evaluation.localisation_error:.0f} Å (median)"),
        ("seconds", f"{seconds:.0f}"),
    ]
    return labelled(rows)


def _by_hand(args: argparse.Namespace, click: np.ndarray, density: Density) -> str:
    """The commands that do the same, to go on from."""
    name = Path(args.out) / "simulated" / NAME
    x, y, z = click[::-1]
    return f"""
The same by hand:
  cryosam pick {name}.mrc --prompt {x:g},{y:g},{z:g} --preset embedded --out picks
  cryosam evaluate picks/{NAME}_picks.star {name}_truth.star \\
      --radius {_radius(density):g} --class {density.name}"""
