"""Pick one of two kinds of particles in a small simulated tomogram, from one click.

python examples/pick_from_click.py [FOLDER]
"""

import sys

from aitom_cryosam import CryoSAM, Picks, Record, Tomogram
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.simulation.density import barrel, ribosome_like
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import simulate

VOXEL_SIZE = 10.0  # Å


def main(folder: str = "picks_of_example") -> None:
    simulated = simulate(
        [(ribosome_like(VOXEL_SIZE), 15), (barrel(VOXEL_SIZE), 15)],
        SimulationSettings(shape_zyx=(64, 180, 180), voxel_size=VOXEL_SIZE, membranes=0),
    )
    of_kind = [kind == "ribosome_like" for kind in simulated.classes]
    truth = Picks.from_points(simulated.points_zyx[of_kind])

    # With a file: Tomogram.open("TS_01.mrc"). Protein is dark unless contrast="bright" is given.
    tomogram = Tomogram.from_array(simulated.data, voxel_size=VOXEL_SIZE, name="example")
    z, y, x = truth.points_zyx[0].round()
    result = CryoSAM().pick(tomogram, [(x, y, z)])

    for pick, score in zip(result.picks.points_zyx[:3], result.picks.scores, strict=False):
        print(f"z, y, x = {pick.round(1)}, score {score:.2f}")
    quality = evaluate(result.picks, truth, radius=100, voxel_size=VOXEL_SIZE)
    print(f"{quality.n_picks} picks, precision {quality.precision:.2f}, F1 {quality.f1:.2f}")
    files = result.write(folder, overwrite=True)
    for kind, path in Record.open(files["run"]).files.items():
        print(f"{kind:10}{path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
