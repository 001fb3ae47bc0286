"""Which pieces of ridges are structures though nobody clicked on them."""

from dataclasses import replace

import numpy as np
import pytest

from aitom_cryosam.picks import Picks
from aitom_cryosam.targets.growth import grown
from aitom_cryosam.targets.ridges import Ridges

SHAPE = (9, 36, 130)
CLICKED, ALIKE, RAGGED = (slice(4, 30), slice(4, 30)), (slice(4, 30), slice(46, 72)), 90


def flat(plane, response):
    """A sheet at z = 4 with the cells of a plane (h, w) bool, bin 1."""
    cells = np.argwhere(np.broadcast_to(plane & (np.indices(SHAPE)[0] == 4), SHAPE))
    up = np.tile(np.float32([1, 0, 0]), (len(cells), 1))
    values = np.full(len(cells), response, np.float32)
    return Ridges("sheet", cells, 1, 0 * up, up, values, values, np.zeros(SHAPE, np.float32))


def test_a_ragged_piece_is_no_sheet_though_as_large_and_clear_as_the_clicked_one():
    plane = np.zeros(SHAPE[1:], bool)
    plane[CLICKED] = plane[ALIKE] = True
    for x in range(RAGGED, 126, 5):  # a comb, whose teeth are not linked
        plane[4:30, x : x + 2] = True
    plane[4:6, RAGGED:126] = True
    speck = np.zeros(SHAPE[1:], bool)
    speck[10:12, 10:12] = True
    clicks = Picks.from_points(np.array([[4.0, 15, 15]]))
    found = grown(flat(plane, 3.0), flat(speck, 1.0), clicks, 2.0, 300)
    x = found.ridges.cells_zyx[:, 2]
    assert plane[:, RAGGED:].sum() > 300  # of the size of a structure
    assert set(found.labels[x < 40]) == {1}
    assert set(found.labels[(x > 40) & (x < 80)]) == {2}
    assert x.max() < RAGGED


GRID, CENTRE, RADIUS = (44, 44, 44), np.array([22.0, 22, 22]), 16.0
RAYS = np.stack(np.indices(GRID), axis=-1) - CENTRE
FAR = np.linalg.norm(RAYS, axis=-1)
GAP = 6.0  # cells


def sheets(*parts):
    """Points of some cells (D, H, W) bool, with normals (D, H, W, 3) of their own, bin 1."""
    cells = np.concatenate([np.argwhere(chosen) for chosen, _ in parts])
    normals = np.concatenate([normals[chosen] for chosen, normals in parts])
    normals = np.float32(normals / np.linalg.norm(normals, axis=1, keepdims=True))
    values = np.full(len(cells), 3, np.float32)
    grid = np.zeros(GRID, np.float32)
    return Ridges("sheet", cells, 1, 0 * normals, normals, values, values, grid)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("cut", [0, 5])  # cells of the cap that lie outside of the tomogram
def test_a_small_cap_behind_a_gap_is_of_the_clicked_vesicle_and_a_flank_is_not(axis, cut):
    along = np.moveaxis(RAYS, 3, 0)[axis]
    shell = (np.abs(FAR - RADIUS) < 0.7) & (along > -RADIUS - 1 + cut)
    body, cap = shell & (along > 0), shell & (along < -GAP)
    inner = (FAR < 11) & (np.abs(along + 5) < 0.7)  # flat, across the vesicle
    flat_normals = np.zeros((*GRID, 3))
    flat_normals[..., axis] = 1
    ridges = sheets((body, RAYS), (cap, RAYS), (inner, flat_normals))
    speck = ridges.take(np.arange(4))
    clicks = Picks.from_points((CENTRE + np.roll([RADIUS, 0, 0], axis))[None])
    found = grown(ridges, speck, clicks, 2.0, 2 * cap.sum() + inner.sum())
    assert found.prompts.kept.all()
    own = np.zeros(GRID, np.int64)
    own[tuple(found.ridges.cells_zyx.T)] = found.labels
    assert (own[body] == 1).all()
    assert (own[cap] == 1).mean() > 0.9
    assert not own[inner & ~shell].any()


@pytest.mark.parametrize(("depth", "is_sheet"), [(0.0, True), (2.0, False)])
def test_a_sheet_that_bulges_as_touching_particles_do_is_none_though_clicked(depth, is_sheet):
    """Large and whole, but bent to and fro within the size of a particle."""
    wave = 2 * np.pi / 12  # a cell
    z, y, x = np.moveaxis(np.stack(np.indices(GRID), axis=-1), 3, 0)
    height = z - 22 - depth * np.sin(wave * y) * np.sin(wave * x)
    slopes = np.stack(np.gradient(height), axis=-1)
    ridges = sheets((np.abs(height) <= 0.5, slopes))
    clicks = Picks.from_points(np.array([[22.0, 24, 24]]))
    found = grown(ridges, ridges.take(np.arange(4)), clicks, 2.0, 300)
    assert found.prompts.kept.all() == is_sheet
    assert set(found.labels) == ({1} if is_sheet else set())


@pytest.mark.parametrize("smaller", [True, False])
def test_what_is_no_larger_than_a_particle_is_no_sheet_though_clicked(smaller):
    shell = np.abs(FAR - 6) < 0.7
    clicks = Picks.from_points(np.array([[22.0, 22, 28]]))
    ridges = sheets((shell, RAYS))
    size = shell.sum() + (1 if smaller else 0)
    found = grown(ridges, ridges.take(np.arange(4)), clicks, 2.0, size)
    assert found.prompts.kept.all() == (not smaller)
    assert bool(len(found.ridges)) == (not smaller)


@pytest.mark.parametrize(
    ("weak", "clicked", "bridged"),
    [
        (0.9, [15, 90], True),  # of 3 at the clicks, of which a path needs 0.6 × 0.4
        (0.9, [15], False),
        (0.6, [15, 90], False),
        (1.5, [15], True),  # a part of the sheet by itself: 0.4 of the clicks
    ],
)
def test_a_path_between_two_clicks_bridges_a_weak_place(weak, clicked, bridged):
    plane = np.zeros(SHAPE[1:], bool)
    plane[4:30, 4:110] = True
    whole = flat(plane, 3.0)
    x = whole.cells_zyx[:, 2]
    values = np.where((x > 42) & (x < 66), weak, 3.0).astype(np.float32)
    ridges = replace(whole, responses=values, contrasts=values)
    speck = np.zeros(SHAPE[1:], bool)
    speck[10:12, 10:12] = True
    clicks = Picks.from_points(np.array([[4.0, 15, x] for x in clicked]))
    found = grown(ridges, flat(speck, 0.1), clicks, 2.0, 300)
    assert found.prompts.kept.all()
    columns = set(found.ridges.cells_zyx[:, 2].tolist())
    assert {15, 90} <= columns
    assert bool(columns & {52, 53, 54, 55, 56}) == bridged  # a step may be some cells long
