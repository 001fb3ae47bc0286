"""What to type next in other programs, with the paths of one result."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass

from aitom_cryosam.record import Record


@dataclass(frozen=True)
class Step:
    """Commands for one program."""

    program: str
    note: str
    commands: tuple[str, ...]


def select_command(record: Record) -> str:
    """Keeps NUMBER picks of a result, without another run."""
    path = shlex.quote(str(record.path.resolve()))
    return f"cryosam select {path} --top NUMBER --out selected"


def next_steps(record: Record) -> list[Step]:
    """From picks to subtomograms in RELION 5, Warp and M; from a structure to particles off it."""
    voxel = float(record.info.voxel_size or 1)
    diameter = record.diameter_angstrom
    box = 2 * math.ceil(1.6 * diameter / voxel / 2)
    picks = shlex.quote(str(record.files["picks"].resolve()))
    export = f"cryosam export {picks} --to relion5 --tomograms-star tomograms.star --out relion5"
    size = f"--box {box} --diameter {math.ceil(diameter)}"
    return [
        *_off_structure(record),
        Step(
            "RELION 5",
            "in the project's folder; a box and a bin that suit your pixel size",
            (
                export,
                "relion_tomo_subtomo --i relion5/optimisation_set.star --o Extract/picks/ "
                f"--b {2 * box} --crop {box} --bin BIN --stack2d",
            ),
        ),
        Step(
            "Warp",
            "in the folder of warp_tiltseries.settings",
            (
                f"WarpTools ts_export_particles --settings warp_tiltseries.settings --input_star "
                f"{picks} --coords_angpix {voxel:g} --output_star relion/picks.star "
                f"--output_angpix {voxel:g} {size} --relative_output_paths --2d",
            ),
        ),
        Step(
            "M",
            "after a refinement in RELION; the two halves, the mask and the STAR are its",
            (
                f"MTools create_species --population m/NAME.population --name NAME --diameter "
                f"{math.ceil(diameter)} --sym C1 --half1 run_half1_class001_unfil.mrc --half2 "
                "run_half2_class001_unfil.mrc --mask mask.mrc --particles_relion run_data.star "
                f"--angpix_coords {voxel:g}",
            ),
        ),
    ]


def _off_structure(record: Record) -> list[Step]:
    """How to pick particles that keep away from membranes or filaments."""
    target = record.content.get("target")
    if target is None:
        return []
    tomogram = shlex.quote(str(record.tomogram_path or "TOMO"))
    mask = shlex.quote(str(record.files["semantic"].resolve()))
    return [
        Step(
            f"Particles off the {target['name']}s",
            "with a click of yours in place of X,Y,Z",
            (
                f"cryosam pick {tomogram} --prompt X,Y,Z --exclude {mask} --exclude-distance 50 "
                "--out picks",
            ),
        )
    ]
