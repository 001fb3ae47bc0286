"""What a click is worth, and what makes one an odd one."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from aitom_cryosam import Picks, Tomogram
from aitom_cryosam.clicks import Worth, compared, cut_off, looked_at
from aitom_cryosam.masks import ParticleMask, ball
from aitom_cryosam.scoring.places import Places

SHAPE = (40, 60, 80)
D = 12.0


@pytest.fixture(scope="module")
def tomogram():
    data = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    data[:, :, :8] = 0  # a blank margin at the start of x
    return Tomogram.from_array(data, voxel_size=10, name="TS_01")


def seen(tomogram, point, radius=D / 2, aside=0.0):
    """What is odd of one click with a ball as outline."""
    point = np.array(point, float)
    mask = replace(ball(point + np.array([0, aside, 0]), radius, SHAPE), prompt_zyx=point)
    (found,) = looked_at(tomogram, Picks.from_points(point[None]), [mask], D)
    return found.odd


def test_no_points_are_no_numbers(tomogram):
    """Where a region leaves no proposal."""
    assert cut_off(tomogram, np.zeros((0, 3)), D).dtype == bool


@pytest.mark.parametrize(
    ("point", "radius", "aside", "says"),
    [
        ((20, 30, 40), D / 2, 0, ""),
        ((20, 8, 40), D / 2, 0, "near the border"),
        ((20, 30, 72), D / 2, 0, "near the border"),
        ((5, 30, 40), D / 2, 0, "near the border"),
        ((7, 30, 40), D / 2, 0, ""),  # z is short
        ((20, 30, 14), D / 2, 0, "near the blank margin"),
        ((20, 30, 40), 0.8 * D, 0, "perhaps into a neighbour"),
        ((20, 30, 40), D / 2, 0.4 * D, "perhaps into a neighbour"),
        ((20, 30, 40), 0.2 * D, 0, "the diameter is uncertain"),
    ],
)
def test_place_and_outline(tomogram, caplog, point, radius, aside, says):
    with caplog.at_level(logging.WARNING):
        odd = seen(tomogram, point, radius, aside)
    assert len(odd) == bool(says)
    assert all(says in one for one in odd)
    assert (f"The click {point[2]},{point[1]},{point[0]} {odd[0]};" in caplog.text) if odd else True
    assert bool(caplog.text) == bool(says)


def test_points_that_are_cut_off(tomogram):
    points = np.array([[20.0, 30, 40], [20, 8, 40], [20, 30, 14]])
    assert cut_off(tomogram, points, D).tolist() == [False, True, True]


def test_a_click_without_a_mask_has_no_outline(tomogram):
    point = np.array([20.0, 30, 40])
    (found,) = looked_at(tomogram, Picks.from_points(point[None]), [ParticleMask.empty(point)], D)
    assert found == Worth()


def test_many_odd_clicks_are_counted(tomogram, caplog):
    points = np.array([[20.0, 3, 20 + 5 * i] for i in range(8)])
    masks = [ball(point, D / 2, SHAPE) for point in points]
    with caplog.at_level(logging.WARNING):
        looked_at(tomogram, Picks.from_points(points), masks, D)
    [said] = caplog.messages
    assert said.startswith(
        "Each of 8 clicks (20,3,20, 25,3,20, 30,3,20, 35,3,20, 40,3,20, ...) is "
    )
    assert "is near the border; click further inside" in said


def places(seed=0, clicks=4, odd=1):
    """Clicks of a kind, some of another, and background."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.standard_normal((20, 20)))[0][:2]
    rows = np.repeat([*centres, np.zeros(20)], [clicks, odd, 100], axis=0)[:, None]
    rows = 4 * rows + rng.standard_normal((len(rows), 2, 20)) * 0.5
    clicked, background = rows[: clicks + odd], rows[clicks + odd :]
    nothing = np.zeros((0, 2, 20))
    return clicked, Places(nothing, background, np.zeros(100), np.zeros(100), 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_click_on_something_else_is_named(seed, caplog):
    clicked, where = places(seed)
    prompts = Picks.from_points(np.arange(18).reshape(6, 3)).reject([2], "no mask")
    with caplog.at_level(logging.WARNING):
        found = compared([Worth()] * 6, prompts, clicked, where)
    assert found[2] == Worth()
    assert [bool(one.odd) for one in found] == [False] * 5 + [True]
    assert min(found[i].retrieved for i in (0, 1, 3, 4)) > 0.95
    assert "The click 17,16,15 is unlike the other clicks; see whether" in caplog.text


def test_what_was_odd_before_stays_so_and_one_click_is_not_compared():
    clicked, where = places(odd=0)
    odd = Worth(odd=("is near the border",))
    one = Picks.from_points(np.zeros((1, 3)))
    assert compared([odd], one, clicked[:1], where) == [odd]
    (found,) = compared([odd], one, clicked, where)  # the others come from another tomogram
    assert found.odd == odd.odd
    assert found.retrieved > 0.95
    few = replace(where, background=where.background[:3])
    assert compared([odd], one, clicked, few) == [odd]
