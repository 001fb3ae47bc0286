"""Filaments from two clicks: bent fibres and a tube in noise."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.relion_warp import particles
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.targets.filament import DIAMETERS, TRACK, TUBE, Filament, estimated_diameter
from aitom_cryosam.tomogram import Tomogram

SHAPE, VOXEL = (32, 64, 80), 20.0
X = np.arange(0, 80, 0.25)
LINES = [  # (m, 3) z y x: bent along x, and straight
    np.stack([12 + 0 * X, 18 + (X - 40) ** 2 / 250, X], axis=1),
    np.stack([18 + 0.06 * X, 50 - 0.1 * X, X], axis=1),
]


def tomogram(diameter, lines, shape=SHAPE):
    """Protein bright; a filled fibre, or a tube if the diameter is above 100 Å."""
    grid = np.stack(np.indices(shape), axis=-1).reshape(-1, 3)
    radius = 0.0 if diameter < 100 else diameter / 2 - 25
    data = np.zeros(shape)
    for line in lines:
        distance = cKDTree(line).query(grid)[0].reshape(shape) * VOXEL
        data += np.exp(-0.5 * ((distance - radius) / 25) ** 2)
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(shape), 0.7)
    data = (data + 0.7 * noise).astype(np.float32)
    return Tomogram.from_array(data, voxel_size=VOXEL, name="TS_01", contrast="bright")


def clicks(line):
    return Picks.from_points(line[[60, -60]])


@pytest.fixture(scope="module")
def fibres():
    return Filament(diameter_angstrom=70.0).find(tomogram(70, LINES), clicks(LINES[0]))


def test_both_fibres_are_found_from_clicks_on_one(fibres):
    places = fibres.ridges.points_zyx
    truth = np.concatenate(LINES)
    assert fibres.prompts.kept.all()
    assert fibres.count == 2
    assert (cKDTree(places).query(truth)[0] <= 2).mean() > 0.85
    assert (cKDTree(truth).query(places)[0] <= 2).mean() > 0.8


def test_points_are_in_order_along_each_fibre(fibres):
    points = fibres.points
    tubes, tracks = np.array(points.extra[TUBE]), np.array(points.extra[TRACK], float)
    assert set(tubes) == {"1", "2"}
    for tube in ("1", "2"):
        own = tubes == tube
        gaps = np.linalg.norm(np.diff(points.points_zyx[own], axis=0), axis=1) * VOXEL
        np.testing.assert_allclose(gaps, 82, atol=12)
        assert (np.diff(tracks[own]) > 0).all()
        along = points.rotations[own].apply([0, 0, 1])[:-1, ::-1]
        steps = np.diff(points.points_zyx[own], axis=0)
        steps /= np.linalg.norm(steps, axis=1, keepdims=True)
        assert np.degrees(np.arccos((along * steps).sum(axis=1))).max() < 20


def test_relion_has_the_columns_of_helices_in_order(fibres):
    text = particles("relion31", [(fibres.points.best_first(), TomogramInfo("TS_01", VOXEL))])
    assert f"_{TUBE} " in text
    rows = [line.split() for line in text.splitlines() if line[:1].isdigit()]
    assert len(rows) == len(fibres.points)


def test_a_tube_with_its_walls():
    line = LINES[1] - (4, 10, 0)
    found = Filament(diameter_angstrom=250.0).find(tomogram(250, [line]), clicks(line))
    places = found.ridges.points_zyx
    assert found.prompts.kept.all()
    assert (cKDTree(places).query(line)[0] <= 2).mean() > 0.85
    assert (cKDTree(line).query(places)[0] <= 2).mean() > 0.8
    assert found.half_width_angstrom == 125


def test_particles_in_a_row_are_no_filament_though_clicked():
    centres = np.array([[16, 32 + 3 * np.sin(i), 15 + 9 * i] for i in range(6)])
    grid = np.stack(np.indices(SHAPE), axis=-1).reshape(-1, 3)
    distance = cKDTree(centres).query(grid)[0].reshape(SHAPE)  # voxels
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 0.7)
    data = 1.5 / (1 + np.exp((distance - 4.5) / 0.7)) + 0.5 * noise
    row = Tomogram.from_array(data.astype(np.float32), voxel_size=VOXEL, contrast="bright")
    found = Filament(diameter_angstrom=70.0).find(row, Picks.from_points(centres[[1, -2]]))
    assert not found.prompts.kept.any()
    assert found.count == len(found.ridges) == len(found.points) == 0


@pytest.mark.parametrize("diameter", [DIAMETERS[0], DIAMETERS[-1]])
def test_the_diameter_is_estimated_from_the_clicks(diameter):
    x = np.arange(0, 48, 0.25)
    line = np.stack([10 + 0.04 * x, 18 - 0.08 * x, x], axis=1)
    small = tomogram(diameter, [line], (24, 32, 48))
    assert estimated_diameter(small, clicks(line)) == diameter


@pytest.mark.skipif("CRYOSAM_DATA" not in os.environ, reason="CRYOSAM_DATA is not set")
def test_a_real_microtubule_is_straight():
    path = Path(os.environ["CRYOSAM_DATA"]) / "microtubule" / "13pf_MT.mrc"
    real = Tomogram.open(path, contrast="bright")
    prompts = Picks.from_points(np.array([[18.0, 150, 38], [18, 50, 67]]))
    found = Filament(diameter_angstrom=250.0).find(real, prompts)
    places = found.ridges.points_zyx[found.labels == 1]
    middle = places.mean(axis=0)
    along = np.linalg.svd(places - middle, full_matrices=False)[2][0]
    beside = (places - middle) - np.outer((places - middle) @ along, along)
    near = np.linalg.norm(beside, axis=1) <= 2
    assert near.mean() >= 0.9
    assert np.ptp(places[near, 1]) >= 0.9 * real.shape[1]
