"""Lines as points: gaps, ends at the tomogram's faces, and the middle of the density."""

import numpy as np
import pytest

from aitom_cryosam.geometry import unbinned_coordinate
from aitom_cryosam.picks import Picks
from aitom_cryosam.targets import filament
from aitom_cryosam.targets.filament import Filament, to_faces
from aitom_cryosam.targets.fitting import centred
from aitom_cryosam.targets.ridges import Ridges
from aitom_cryosam.tomogram import Tomogram


def ridges(kind, x, direction, cells=None):
    """Points in a row along x."""
    places = np.stack([np.full(len(x), 4), np.full(len(x), 4), x], axis=1)
    directions = np.tile(np.float32(direction), (len(x), 1))
    ones = np.ones(len(x), np.float32)
    cells = np.zeros((9, 9, 60), np.float32) if cells is None else cells
    return Ridges(kind, places, 2, 0 * directions, directions, ones, ones, cells)


@pytest.mark.parametrize(
    ("kind", "direction", "gap", "connected"),
    [
        ("line", (0, 0, 1), 5, True),
        ("line", (0, 0, 1), 8, False),
        ("line", (0, 1, 1), 5, False),
        ("sheet", (1, 0, 0), 5, False),
    ],
)
def test_a_line_is_followed_over_a_short_gap(kind, direction, gap, connected):
    x = np.concatenate([np.arange(10, 16), np.arange(15 + gap, 22 + gap)])
    graph = ridges(kind, x, direction / np.linalg.norm(direction)).graph(np.ones(len(x), bool))
    assert (graph[5, 6] > 0) == connected
    assert abs(graph - graph.T).max() == 0


def test_an_end_before_a_face_is_straight_and_reaches_it():
    x = np.arange(12, 90.0)
    line = np.stack([20 + 0 * x, 30 + 0.2 * x, x], axis=1)
    bent = line.copy()
    bent[:6, 1] += np.arange(6, 0, -1)
    continued = to_faces(bent, (40, 60, 300), 10)
    assert np.abs(continued[:, 2].min()) < 1.5
    np.testing.assert_allclose(continued[:, 1], 30 + 0.2 * continued[:, 2], atol=0.5)
    assert continued[:, 2].max() == 89  # far from any face: the end stays
    assert np.ptp(np.sign(np.diff(continued[:, 2]))) == 0  # still in order


@pytest.mark.parametrize("radius", [0.0, 3.0])
def test_a_line_moves_into_the_middle_of_the_density(radius):
    z, y, _ = np.indices((17, 17, 40))
    wall = np.hypot(z - 8, y - 8) - radius  # cells
    cells = np.exp(-0.5 * wall**2).astype(np.float32)
    x = np.arange(5, 35.0)
    line = np.stack([8.9 + 0 * x, 7.2 + 0 * x, x], axis=1)
    points = ridges("line", np.arange(3), (0, 0, 1), cells)
    found = centred(unbinned_coordinate(line, 2), points, 2 * radius)
    middle = unbinned_coordinate(np.array([8.0, 8.0]), 2)
    assert np.abs(found[:, :2] - middle).max() < 0.6  # voxels; a cell has 2


@pytest.mark.parametrize("step", [1, 3])  # cells from point to point
@pytest.mark.parametrize(("gap", "is_one"), [(7, True), (9, False)])
def test_short_pieces_are_one_filament_from_face_to_face(monkeypatch, step, gap, is_one):
    """Each of 120 Å: nothing by itself; and the last points are 100 Å from the faces."""
    x = np.concatenate([np.arange(start, start + 7, step) for start in range(5, 90, 6 + gap)])
    pieces = ridges("line", x, (0, 0, 1), np.zeros((9, 9, x.max() + 6), np.float32))
    chance = pieces.take(np.array([0]))
    monkeypatch.setattr(filament, "find_ridges", lambda *_, **__: (pieces, chance))
    data = np.random.default_rng(0).standard_normal([2 * size for size in pieces.shape])
    tomogram = Tomogram.from_array(data.astype(np.float32), voxel_size=10.0)
    clicks = Picks.from_points(pieces.points_zyx[[0]])
    found = Filament(diameter_angstrom=70.0).find(tomogram, clicks)
    assert found.count == is_one
    if is_one:
        along = found.ridges.points_zyx[:, 2]
        assert along.min() <= 4
        assert along.max() >= tomogram.shape[2] - 5
