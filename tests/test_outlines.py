"""A network's masks follow a vesicle into what the filters find too weak, and stay thin."""

import logging

import numpy as np
import pytest
from scipy import ndimage

from aitom_cryosam.picks import Picks
from aitom_cryosam.propagator.outlines import PROMPTS, Outlines
from aitom_cryosam.segmenters.base import Segmentation
from aitom_cryosam.segmenters.codec import ArrayCodec
from aitom_cryosam.targets.growth import grown
from aitom_cryosam.targets.ridges import Ridges
from tests.test_targets_growth import FAR, GRID, RADIUS, RAYS

SHELL = np.abs(FAR - RADIUS) < 0.7
WEAK = SHELL & (RAYS[..., 2] < -4)
INNER = (FAR < 11) & (np.abs(RAYS[..., 2] + 5) < 0.7)  # flat, across the vesicle
CLICKS = Picks.from_points(np.array([[22.0, 22, 22 + RADIUS]]))


class Masks:
    """Makes of a plane's bright pixels, where the first point is on them, a mask."""

    codec, held_bytes, concurrent = ArrayCodec(lambda shape: 4 * shape[0] * shape[1]), 1e8, False

    def __init__(self, made):
        self.made, self.asked = made, []

    def planes_at_once(self, plane_shape):
        return 8

    def embed(self, planes):
        return list(planes)

    def segment(self, embeddings, rows, points_yx, previous):
        assert points_yx.shape == (len(rows), PROMPTS, 2)
        assert previous is None or len(previous) == len(rows)
        self.asked.append(points_yx)
        masks = np.array([self.made(embeddings[row] > 0.5) for row in rows])
        n = len(rows)
        return Segmentation(
            np.zeros((n, 2), np.int64), masks, masks[:, :1, :1], np.ones(n), points_yx[:, 0]
        )


def filled(bright):
    return ndimage.binary_fill_holes(ndimage.binary_dilation(bright, iterations=2))


def dilated(bright):
    return ndimage.binary_dilation(bright, iterations=3)


def nothing(bright):
    return np.zeros_like(bright)


@pytest.fixture(scope="module")
def ridges():
    """A vesicle, a third of it with a third of the response, and as weak a sheet in it."""
    flat = np.zeros((*GRID, 3))
    flat[..., 2] = 1
    parts = (SHELL & ~WEAK, RAYS, 3.0), (WEAK, RAYS, 0.9), (INNER, flat, 0.9)
    cells = np.concatenate([np.argwhere(chosen) for chosen, _, _ in parts])
    normals = np.concatenate([normals[chosen] for chosen, normals, _ in parts])
    normals = np.float32(normals / np.linalg.norm(normals, axis=1, keepdims=True))
    values = np.repeat(np.float32([part[2] for part in parts]), [part[0].sum() for part in parts])
    grid = SHELL + 0.05 * np.random.default_rng(0).standard_normal(GRID)
    return Ridges("sheet", cells, 1, 0 * normals, normals, values, values, np.float32(grid))


def labels(ridges, made=None):
    """(D, H, W) int64, and the segmenter."""
    masks = Masks(made)
    outliner = made and Outlines(lambda size: masks, "sam_vit_h", 1e8)
    found = grown(ridges, ridges.take(np.arange(4)), CLICKS, 2.0, 300, outliner)
    assert found.prompts.kept.all()
    volume = np.zeros(GRID, np.int64)
    volume[tuple(found.ridges.cells_zyx.T)] = found.labels
    return volume, masks


@pytest.mark.parametrize("made", [filled, dilated])
def test_masks_that_are_too_wide_complete_the_sheet_and_leave_it_thin(ridges, made):
    alone, _ = labels(ridges)
    assert (alone[WEAK] == 1).mean() < 0.6
    volume, masks = labels(ridges, made)
    assert (volume[SHELL] == 1).mean() > 0.95
    assert not volume[~SHELL].any()
    assert len(masks.asked) > RADIUS  # walks go from plane to plane
    spread = np.ptp(np.concatenate(masks.asked), axis=1).max(axis=1)
    assert np.median(spread) > 8  # cells: prompts are several places on the ridge


def test_masks_with_nothing_leave_the_ridges_as_they_are_and_say_so(ridges, caplog):
    alone, _ = labels(ridges)
    with caplog.at_level(logging.WARNING):
        volume, masks = labels(ridges, nothing)
    np.testing.assert_array_equal(volume, alone)
    assert len(masks.asked) == 3  # a walk ends where its mask holds no prompt
    assert (
        "sam_vit_h outlines nothing at the clicks; filters alone follow the structure."
        in caplog.messages
    )


def test_a_network_makes_no_structure_where_the_filters_find_none(ridges):
    chance = ridges.take(np.flatnonzero(ridges.responses > 2))  # noise that is as clear
    outliner = Outlines(lambda size: Masks(filled), "sam_vit_h", 1e8)
    found = grown(ridges, chance, CLICKS, 2.0, 300, outliner)
    assert not found.prompts.kept.any()
    assert not len(found.ridges)
