"""Membranes from clicks: a vesicle of a bilayer in noise, with compact particles around it."""

import numpy as np
import pytest
from scipy import ndimage

from aitom_cryosam.picks import Picks
from aitom_cryosam.points.rotations import along_z
from aitom_cryosam.regions import RegionMask, Regions
from aitom_cryosam.targets.base import STRUCTURE
from aitom_cryosam.targets.fitting import fitted
from aitom_cryosam.targets.membrane import Membrane
from aitom_cryosam.targets.ridges import Ridges
from aitom_cryosam.tomogram import Tomogram

SHAPE, VOXEL = (48, 72, 90), 20.0
CENTRE, RADIUS = np.array([24.0, 36, 40]), 18.0  # voxels
TO_POINTS = np.stack(np.indices(SHAPE), axis=-1) - CENTRE  # (D, H, W, 3)
FROM_MIDDLE = np.linalg.norm(TO_POINTS, axis=-1) - RADIUS  # voxels


def noise():
    return ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 0.7)


def tomogram(data):
    return Tomogram.from_array(data.astype(np.float32), voxel_size=VOXEL, contrast="bright")


def on_sphere(*directions_zyx):
    rays = np.array(directions_zyx, float)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return Picks.from_points(CENTRE + RADIUS * rays)


def vesicle_data():
    """Protein bright."""
    balls = np.zeros(SHAPE)
    for z, y, x in ((8, 8, 80), (40, 60, 80), (24, 10, 10), (24, 36, 84)):
        balls[z, y, x] = 1
    balls = ndimage.gaussian_filter(balls, 3)
    membrane = np.exp(-0.5 * (FROM_MIDDLE * VOXEL / 25) ** 2)
    return 0.8 * membrane + 0.8 * balls / balls.max() + 0.6 * noise()


@pytest.fixture(scope="module")
def vesicle():
    return tomogram(vesicle_data())


@pytest.fixture(scope="module")
def found(vesicle):
    return Membrane(spacing_angstrom=120.0).find(
        vesicle, on_sphere((0, 1, 0), (0.3, -1, 0.2), (0.2, 0, 1))
    )


def test_nothing_is_left_of_a_membrane_outside_of_the_regions(vesicle, found):
    corner = np.zeros(vesicle.shape, bool)
    corner[:3, :3, :3] = True
    regions = Regions(
        shape_zyx=vesicle.shape, region=RegionMask("corner", corner, 1, vesicle.voxel_size)
    )
    left = found.within(regions)
    assert left.count == len(left.ridges) == 0
    assert not left.points.kept.any()
    assert not left.volume(vesicle).any()
    assert np.isinf(left.distance_angstrom(vesicle)).all()
    assert left.prompts.kept.all()  # they are on a membrane
    assert found.within(None) is found


def test_the_sheet_and_nothing_else(vesicle, found):
    volume = found.volume(vesicle)
    truth = np.abs(FROM_MIDDLE) * VOXEL <= 35
    assert found.count == 1
    assert volume.dtype == np.int16
    assert ndimage.binary_dilation(volume > 0)[truth].mean() > 0.95
    assert (np.abs(FROM_MIDDLE[volume > 0]) * VOXEL < 75).mean() > 0.95


def test_points_lie_on_the_sheet_at_their_spacing_with_the_normal_along_z(found):
    points = found.points
    rays = points.points_zyx - CENTRE
    assert np.abs(np.linalg.norm(rays, axis=1) - RADIUS).max() < 2.5
    gaps = np.linalg.norm(points.points_zyx[:, None] - points.points_zyx, axis=2)
    assert gaps[~np.eye(len(points), dtype=bool)].min() >= 120 / VOXEL
    normals_xyz = points.rotations.apply([0, 0, 1])
    rays_xyz = rays[:, ::-1] / np.linalg.norm(rays, axis=1, keepdims=True)
    cosines = (normals_xyz * rays_xyz).sum(axis=1)
    assert (cosines > 0).all()  # outward
    assert np.degrees(np.median(np.arccos(np.clip(cosines, -1, 1)))) < 10
    assert set(points.extra[STRUCTURE]) == {"1"}
    expected = 4 * np.pi * RADIUS**2 / (120 / VOXEL) ** 2
    assert 0.5 * expected < len(points) < 1.5 * expected


def test_normals_of_a_noisy_sheet_follow_its_curve():
    rng = np.random.default_rng(0)
    cells = np.argwhere(np.abs(FROM_MIDDLE) < 0.5)
    rays = cells - CENTRE
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    offsets = np.float32(0.6 * rng.standard_normal((len(cells), 1)) * rays)
    guess = rays + 0.15 * rng.standard_normal(rays.shape)
    guess /= np.linalg.norm(guess, axis=1, keepdims=True)
    ones, grid = np.ones(len(cells), np.float32), np.zeros(SHAPE, np.float32)
    grid += np.exp(-0.5 * (FROM_MIDDLE / 1.2) ** 2)
    sheet = fitted(Ridges("sheet", cells, 1, offsets, guess, ones, ones, grid), 1.0)
    cosines = np.abs((sheet.directions_zyx * rays).sum(axis=1))
    errors = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    assert np.quantile(errors, 0.9) < 1.5  # through the next neighbours alone 2.2


def test_the_distance_is_that_from_the_middle(vesicle, found):
    distance = found.distance_angstrom(vesicle)
    assert distance.shape == SHAPE
    error = distance - np.abs(FROM_MIDDLE) * VOXEL
    assert np.median(np.abs(error)) < 15


def test_a_click_off_the_sheet_is_left_out(vesicle):
    clicks = on_sphere((0, 1, 0), (0, 0, 1))
    clicks.points_zyx[1] = CENTRE
    prompts = Membrane().find(vesicle, clicks).prompts
    assert prompts.kept.tolist() == [True, False]
    assert prompts.reasons[1] == "nothing there"


def test_noise_holds_no_membrane():
    found = Membrane().find(tomogram(noise()), on_sphere((0, 1, 0), (0, 0, 1), (0, -1, 0)))
    assert not found.prompts.kept.any()
    assert found.count == len(found.points) == 0
    empty = tomogram(noise())
    assert not found.volume(empty).any()
    assert np.isinf(found.distance_angstrom(empty)).all()


def test_z_is_turned_into_the_direction():
    directions = np.array([[0, 0, 2.0], [0, 0, -1], [1, 0, 0], [1, -2, 0.5]])
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(along_z(directions).apply([0, 0, 1]), unit, atol=1e-12)
