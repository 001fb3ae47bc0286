"""Which pieces of ridges are structures though nobody clicked on them."""

import numpy as np

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
