"""Files of a simulation: tomogram, truth and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import publishing
from aitom_cryosam.points.rotations import to_relion
from aitom_cryosam.points.star_syntax import Columns, star_text
from aitom_cryosam.points.table import ANGLES, CLASS, PIXELS
from aitom_cryosam.simulation.simulate import Simulation
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.mrc import write_volume


def write_simulation(
    simulation: Simulation, folder: str | Path, name: str, *, overwrite: bool = False
) -> tuple[Path, Path, Path]:
    """Write `<name>.mrc`, `<name>_truth.star` and `<name>_truth_labels.mrc`.

    The truth has one row per particle: `rlnCoordinateX/Y/Z` (voxels from 0, an integer is a voxel
    centre), `rlnMicrographName`, RELION's three angles of the density
    and `particleClass`; row n, from 1, is label n.

    Args:
        simulation: what `simulate` returned.
        folder: made if it is missing.
        name: stem of the files and of the tomogram.
        overwrite: replace existing files.

    Returns:
        The three paths in this order.

    Raises:
        InputError: a name that no STAR file or folder takes, or a file that exists or cannot be
            written; none of them is written then.
    """
    paths = simulation_paths(folder, name)
    tomogram = Tomogram.from_array(simulation.data, voxel_size=simulation.voxel_size, name=name)
    with publishing(folder, {path.name: path for path in paths}, overwrite=overwrite) as drafts:
        data, truth, labels = (drafts[path.name] for path in paths)
        write_volume(data, simulation.data, voxel_size=simulation.voxel_size)
        truth.write_text(_truth_text(simulation, name), encoding="utf-8", newline="\n")
        tomogram.write_labels(labels, simulation.labels)
    return paths


def simulation_paths(folder: str | Path, name: str) -> tuple[Path, Path, Path]:
    """Where `write_simulation` puts tomogram, truth and labels.

    Raises:
        InputError: the name is empty, or has a space, quote, `#` or slash in it.
    """
    if not name or set(name) & set(" \t\n\"'#/\\"):
        raise InputError(f"Expected a name without spaces, quotes, # and slashes, got {name!r}.")
    folder = Path(folder)
    return (
        folder / f"{name}.mrc",
        folder / f"{name}_truth.star",
        folder / f"{name}_truth_labels.mrc",
    )


def _truth_text(simulation: Simulation, name: str) -> str:
    # The simulation turns offsets z y x; a file's angles turn x y z.
    turned = simulation.rotations[:, ::-1, ::-1]
    angles = to_relion(Rotation.from_matrix(turned)) if len(turned) else np.zeros((0, 3))
    columns: Columns = dict(zip(PIXELS, simulation.points_zyx.T[::-1], strict=True))
    columns["rlnMicrographName"] = [f"{name}.tomostar"] * len(turned)
    columns |= dict(zip(ANGLES, angles.T, strict=True))
    columns[CLASS] = list(simulation.classes)
    return star_text({"particles": columns})
