"""Diameter and centre of a particle from clicks."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from aitom_cryosam.ball_contrast import parabola_vertices
from aitom_cryosam.centring import centred, refine_centres
from aitom_cryosam.particle_size import estimated_size, particle_size
from aitom_cryosam.picks import Picks
from aitom_cryosam.settings import Settings
from aitom_cryosam.surroundings import binned_boxes
from aitom_cryosam.tomogram import Tomogram

SHAPE = (64, 72, 81)
CENTRE = (30, 37, 41)
LARGEST = {"max_diameter_voxels": 40}


def ball(centre, radius):
    grid = np.indices(SHAPE)
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


def tomogram(picture, noise=1.0):
    values = picture + np.random.default_rng(0).normal(0, noise, SHAPE)
    return Tomogram.from_array(values.astype(np.float32), voxel_size=10, contrast="bright")


def diameter_at(where, points, **bounds):
    return estimated_size(where, points, **bounds).diameter_voxels


@pytest.mark.parametrize("bin_", [1, 2])
def test_surroundings_are_means_less_their_mean_and_0_outside(bin_):
    noisy, half = tomogram(ball(CENTRE, 9)), 4
    points = np.array([CENTRE, (1.2, 37, 41), (30, 70.6, 80), (30.7, 36.4, 41.2), (-40, 0, 0)])
    boxes, firsts = binned_boxes(noisy, points, half, bin_)
    assert boxes.shape == (5, 9, 9, 9)
    inset, side = (bin_ - 1) / 2, 9 * bin_
    np.testing.assert_array_equal(firsts + bin_ * half, np.round(points - inset) + inset)
    whole = noisy.box((0, 0, 0), SHAPE)
    for box, first in zip(boxes, (firsts - inset).astype(int), strict=True):
        places = [start + np.arange(side) for start in first]
        held = [place[(place >= 0) & (place < n)] for place, n in zip(places, SHAPE, strict=True)]
        expected = np.zeros((side,) * 3)
        if all(map(len, held)):
            values = whole[np.ix_(*held)]
            starts = [place[0] - start for place, start in zip(held, first, strict=True)]
            cut = tuple(slice(a, a + n) for a, n in zip(starts, values.shape, strict=True))
            expected[cut] = values - values.mean()
        expected = expected.reshape(9, bin_, 9, bin_, 9, bin_).mean(axis=(1, 3, 5))
        np.testing.assert_allclose(box, expected, atol=1e-5)


@pytest.mark.parametrize("radius", [3, 6, 11, 19])
def test_a_ball(radius):
    noisy = tomogram(ball(CENTRE, radius))
    assert diameter_at(noisy, [CENTRE], max_diameter_voxels=60) == pytest.approx(
        2 * radius, rel=0.15
    )


@pytest.mark.parametrize("off", [(0, 0, 0), (0, 2, 1)])
def test_a_hollow_ball_among_its_like(off):
    picture = np.zeros(SHAPE)
    for shift in ((0, 0, 0), (0, 0, 14), (0, 0, -14), (0, 13, 5), (0, -13, -4)):
        centre = np.add(CENTRE, shift)
        picture += ball(centre, 6) & ~ball(centre, 3)
    diameter = diameter_at(tomogram(picture), np.add([CENTRE], off), max_diameter_voxels=50)
    assert diameter == pytest.approx(12, rel=0.2)


def test_several_clicks_share_one_estimate():
    centres = [(20, 20, 20), (40, 50, 60), (20, 50, 30)]
    picture = sum(ball(centre, 5) for centre in centres)
    noisy = tomogram(picture, noise=2.0)
    assert diameter_at(noisy, centres, max_diameter_voxels=40) == pytest.approx(10, rel=0.15)


@pytest.mark.parametrize("clicks", [1, 5])
def test_a_dense_middle_is_not_the_particle(clicks):
    centres = [(15, 17, 18), (46, 52, 60), (16, 52, 22), (46, 18, 20), (18, 20, 62)]
    picture = sum(0.75 * ball(centre, 4) + 0.25 * ball(centre, 8) for centre in centres)
    noisy = tomogram(picture, noise=0.5)
    diameter = diameter_at(noisy, centres[:clicks], max_diameter_voxels=40)
    assert diameter == pytest.approx(16, rel=0.15)


def test_the_answer_keeps_to_its_bounds():
    noisy = tomogram(ball(CENTRE, 10))
    assert 4 <= diameter_at(noisy, [CENTRE], max_diameter_voxels=12) <= 12
    largest = diameter_at(noisy, [CENTRE], max_diameter_voxels=60, min_diameter_voxels=30)
    assert largest == pytest.approx(30)
    assert diameter_at(noisy, [CENTRE], max_diameter_voxels=20, min_diameter_voxels=20) == 20


@pytest.mark.parametrize("corner", [(0, 0, 0), (63, 71, 80)])
def test_at_a_corner(corner):
    diameter = diameter_at(tomogram(ball(corner, 8)), [corner], max_diameter_voxels=40)
    assert 10 < diameter < 24


@pytest.mark.parametrize(("points", "largest"), [([], 30), ([CENTRE], 3)])
def test_what_cannot_be_estimated(points, largest):
    with pytest.raises(ValueError, match="Expected a point, and a maximum"):
        diameter_at(tomogram(ball(CENTRE, 5)), points, max_diameter_voxels=largest)


def test_one_place_that_is_found_from_many_is_one():
    around = np.add(CENTRE, np.random.default_rng(1).uniform(-3, 3, (20, 3)))
    found = centred(tomogram(ball(CENTRE, 9)), Picks.from_points(around), 18).points_zyx
    assert len(np.unique(found, axis=0)) == 1


@pytest.mark.parametrize("climbs", [1, 3])
@pytest.mark.parametrize(("middle", "face"), [(-3, 0), (66, 63)])
def test_a_centre_stays_inside(middle, face, climbs):
    cut = tomogram(ball((middle, 36, 40), 8))
    (moved,) = refine_centres(cut, [[face, 36, 40]], 16, climbs)
    assert moved[0] == face
    np.testing.assert_allclose(moved[1:], (36, 40), atol=1)


@pytest.mark.parametrize("radius", [5, 16])
def test_a_click_moves_to_the_centre(radius):
    clicks = np.add(CENTRE, np.array([(0.2, -0.2, 0.1), (0.1, 0.15, -0.3)]) * radius)
    moved = refine_centres(tomogram(ball(CENTRE, radius)), clicks, 2 * radius)
    np.testing.assert_allclose(moved, [CENTRE, CENTRE], atol=0.5)
    assert refine_centres(tomogram(ball(CENTRE, radius)), np.zeros((0, 3)), 9).shape == (0, 3)


def test_where_a_click_moves_does_not_depend_on_the_others():
    noise = np.random.default_rng(1).normal(size=(40, 40, 40))
    around = Tomogram.from_array(noise, voxel_size=1.0)
    clicks = np.random.default_rng(2).uniform(0, 39, (37, 3))  # some near faces, some climb far
    together = refine_centres(around, clicks, 8, 3)
    alone = [refine_centres(around, [click], 8, 3)[0] for click in clicks]
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert (np.abs(together - clicks).max(axis=1) > 2).any()


@pytest.mark.parametrize(
    ("voxel_size", "given", "says"),
    [
        (10, None, ""),
        (1, None, r"A particle of 1\d Å, with voxels of 1 Å, is too small to be seen"),
        (10, 25, r"A particle of 25 Å, with voxels of 10 Å, is too small to be seen"),
        (40, 1600, r"A particle of 1600 Å, with voxels of 40 Å, is larger than nearly all"),
    ],
)
def test_a_size_that_no_particle_has_is_doubted(voxel_size, given, says, caplog):
    seen = replace(tomogram(ball(CENTRE, 6)), voxel_size=voxel_size)
    particle_size(seen, np.array([CENTRE]), Settings(preset="embedded", diameter_angstrom=given))
    told = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(told) == bool(says)
    assert all(re.match(says, one) and "1 nm is 10 Å" in one for one in told)


@pytest.mark.parametrize(
    ("inner", "strength", "first", "rivals"),
    [(4, 0.2, 8, [39]), (4, 0.5, 39, []), (7, 0.7, 39, [14])],
    ids=["a larger one", "a much smaller one", "a smaller one"],
)
def test_another_maximum_of_the_curve_is_a_rival(inner, strength, first, rivals):
    around = ball(CENTRE, 19) & ~ball(CENTRE, 14)
    both = tomogram(ball(CENTRE, inner) + strength * around, noise=0.3)
    size = estimated_size(both, [CENTRE], max_diameter_voxels=60)
    assert size.estimated
    assert size.diameter_voxels == pytest.approx(first, rel=0.15)
    assert size.rivals_voxels == pytest.approx(rivals, rel=0.15)


def test_a_ball_that_stands_alone_has_no_rival():
    alone = estimated_size(tomogram(ball(CENTRE, 6), noise=0.1), [CENTRE], max_diameter_voxels=60)
    assert alone.rivals_voxels == ()


def test_a_given_diameter_is_not_estimated():
    settings = Settings(preset="embedded", diameter_angstrom=120)
    given = particle_size(tomogram(ball(CENTRE, 6)), np.array([CENTRE]), settings)
    assert (given.diameter_voxels, given.estimated, given.rivals_voxels) == (12, False, ())


def test_the_vertex_of_a_parabola_is_where_it_peaks():
    vertices = np.array([3.0, 3.4, 2.6, 3.0, 0.0])
    lines = -np.square(np.arange(7) - vertices[:, None])
    lines[3] = 1  # a plateau
    steps = parabola_vertices(lines, np.array([3, 3, 3, 3, 0]))
    np.testing.assert_allclose(steps, [0, 0.4, -0.4, 0, 0], atol=1e-12)


def test_an_estimate_lies_between_the_radii_that_are_tried():
    grid = np.indices(SHAPE)
    away = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, CENTRE, strict=True)))
    ratios = [
        diameter_at(tomogram(np.clip(radius + 0.5 - away, 0, 1), 0.01), [CENTRE], **LARGEST)
        / (2 * radius)
        for radius in (6, 6.5, 7, 7.5)
    ]
    assert np.ptp(ratios) < 0.06  # those that are tried are 12 % apart
