"""A shift of the tomogram by whole tokens, cells and slabs shifts all that is found in it."""

import numpy as np
import pytest

from aitom_cryosam import CryoSAM, Settings, Tomogram
from aitom_cryosam.encoders import build
from aitom_cryosam.resources import Resources
from tests.toys import SMALL, small_simulation

DIAMETER = 250.0  # Å; tokens of 3 voxels, slabs of 2 and cells of 4 divide a shift of 12
SHIFT = 12
MARGIN = 24  # voxels: nearer to the border, the encoder sees what came round


@pytest.mark.parametrize("axis", [1, 2])
def test_picks_move_with_the_tomogram(axis) -> None:
    simulation = small_simulation(shape_zyx=(40, 132, 144))
    # One search: the shift is a whole number of tokens at this diameter only.
    settings = Settings(
        diameter_angstrom=DIAMETER, ratios=(4,), cut="none", shrinkage=None, looks=1
    )
    voxel_size = SMALL["voxel_size"]
    encoder = build(
        settings, Resources(), diameter_voxels=DIAMETER / voxel_size, voxel_size=voxel_size
    )
    assert encoder.grid((132, 144)).rows.step == 3
    middle = (np.array(simulation.data.shape) - 1) / 2
    prompt = min(simulation.points_zyx, key=lambda point: np.abs(point - middle)[1:].max())
    shift = np.zeros(3)
    shift[axis] = SHIFT
    here, there = (
        CryoSAM(settings).pick(
            Tomogram.from_array(
                np.roll(simulation.data, int(move[axis]), axis=axis), voxel_size=voxel_size
            ),
            [(prompt + move)[::-1]],
        )
        for move in (np.zeros(3), shift)
    )
    inner = np.array(here.tomogram.shape) - 1 - MARGIN - shift
    points = here.picks.points_zyx
    points = points[((points >= MARGIN) & (points <= inner))[:, 1:].all(axis=1)]
    assert len(points) >= 4
    # With those that were left out as duplicates: which of two touching picks stays is decided by
    # their distance, and that by less than a voxel.
    apart = np.linalg.norm(points[:, None] + shift - there.proposals.points_zyx, axis=2)
    apart = apart.min(axis=1)
    assert np.median(apart) < 0.01
    # The outline of some has changed by a voxel: the border is part of each plane's deviation.
    assert apart.max() < 0.5
