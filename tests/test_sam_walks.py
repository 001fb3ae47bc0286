"""Six walks through a tiny SAM whose networks are scripted to follow spheres."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from aitom_cryosam.device import Device
from aitom_cryosam.propagator import CrossPlanePropagator
from aitom_cryosam.segmenters import sam as sam_module
from tests.tiny_models import tiny_sam

SHAPE = (40, 48, 64)
CENTRES = np.array([(15, 17, 19), (22.5, 30, 44)])
RADII = np.array([8.0, 7.0])
MAX_EXTENT = 22.0


class Spheres:
    """A tomogram, 0 on the surface of its spheres and highest in their middle."""

    shape = SHAPE

    def __init__(self):
        grid = np.indices(SHAPE).transpose(1, 2, 3, 0)
        self.depths = [
            radius - np.linalg.norm(grid - centre, axis=3)
            for centre, radius in zip(CENTRES, RADII, strict=True)
        ]
        self.data = np.clip(np.max(self.depths, axis=0) / 3, -3, 3).astype(np.float32)

    def planes(self, axis, start, stop):
        return np.moveaxis(self.data, axis, 0)[start:stop]


def show(encoder, images):
    """The image encoder: (b, 3, 128, 128) to 16 of the 32 × 32 mean brightnesses a token."""
    return F.pixel_unshuffle(F.avg_pool2d(images[:, :1], 4), 4).permute(0, 2, 3, 1)


class Follower(sam_module.SamDecoder):
    """The mask decoder: what is bright within a few pixels of the point.

    It checks what it is told: a point that lies where the mask before was highest.
    """

    bright = (127.5 - 123.675) / 58.395  # grey value of 0, as SAM normalises it
    reach = 24  # pixels of the padded square
    calls = 0  # with a mask

    def __call__(self, images, points_xy, masks):
        seen = F.pixel_shuffle(images.transpose(1, 2).unflatten(2, (8, 8)), 4)[:, 0]
        (points_xy,) = points_xy.unbind(dim=1)  # a particle's outline has one point
        axis = torch.arange(32) * 4 + 1.5
        away = torch.hypot(
            axis[:, None] - points_xy[:, 1, None, None], axis - points_xy[:, 0, None, None]
        )
        if masks is not None:
            Follower.calls += 1
            highest = masks.flatten(1).argmax(dim=1)
            peaks_xy = torch.stack([axis[highest % 32], axis[highest // 32]], dim=1)
            assert (peaks_xy - points_xy).abs().max() < 4.1
        logits = torch.where(away < self.reach, seen - self.bright, -1.0)
        scores = torch.tensor([0.5, 0.75, 0.5])
        return logits[:, None].expand(-1, 3, -1, -1), scores.expand(len(seen), -1)


@pytest.fixture
def sam(monkeypatch):
    monkeypatch.setattr(sam_module, "SamDecoder", Follower)
    monkeypatch.setattr(Follower, "calls", 0)
    sam = tiny_sam()
    monkeypatch.setattr(sam_module.SamEncoder, "__call__", show)
    return sam


def overlap(mask, truth):
    found = np.zeros(SHAPE, bool)
    box = tuple(
        slice(start, start + size)
        for start, size in zip(mask.offset_zyx, mask.mask.shape, strict=True)
    )
    found[box] = mask.mask
    return (found & truth).sum() / (found | truth).sum()


@pytest.mark.parametrize("window", [None, 40])
def test_six_walks_return_the_spheres(monkeypatch, sam, window):
    settings = {"max_extent": MAX_EXTENT, "identity": {}}
    device = Device("cpu", 10**9)
    if window is None:
        segmenter = sam_module.SamSegmenter(sam, device, **settings)
    else:
        segmenter = sam_module.WindowSamSegmenter(sam, device, **settings, side=window)
        monkeypatch.setattr(Follower, "reach", 24 * SHAPE[2] / window)
    tomogram = Spheres()
    propagator = CrossPlanePropagator(segmenter, max_extent=MAX_EXTENT)
    prompts = CENTRES + np.array([(2, -1, 1.5), (-2, 2, 0)])
    masks = propagator.propagate(tomogram, prompts)
    for mask, depth, centre in zip(masks, tomogram.depths, CENTRES, strict=True):
        assert overlap(mask, depth > 0) > 0.93
        np.testing.assert_allclose(mask.centroid_zyx, centre, atol=0.3)
        assert mask.score == pytest.approx(0.75)
        assert sorted(mask.stops) == ["+x", "+y", "+z", "-x", "-y", "-z"]
        assert set(mask.stops.values()) <= {"iou", "empty"}
    assert Follower.calls > 20


class Undecided(Follower):
    """Three candidates: the core, the particle, and it with what lies around it. Their predicted
    overlaps differ by noise alone."""

    depths = (3.0, 0.0, -2.5)  # voxels within the surface
    steps = 0  # of all walks together

    def __call__(self, images, points_xy, masks):
        logits, _ = super().__call__(images, points_xy, masks)
        Undecided.steps += 0 if masks is None else len(masks)
        within = torch.tensor(self.depths)[:, None, None] * (127.5 / 3 / 3 / 58.395)
        noise = Undecided.rng.standard_normal((len(logits), 3))
        return logits - within, torch.tensor(0.9 + 0.05 * noise, dtype=torch.float)


def steps_of_240_walks(monkeypatch, agreement):
    monkeypatch.setattr(sam_module, "SamDecoder", Undecided)
    monkeypatch.setattr(Undecided, "steps", 0)
    monkeypatch.setattr(Undecided, "rng", np.random.default_rng(0), raising=False)
    monkeypatch.setattr(sam_module.SamEncoder, "__call__", show)
    segmenter = sam_module.SamSegmenter(
        tiny_sam(), Device("cpu", 10**9), max_extent=MAX_EXTENT, identity={}, agreement=agreement
    )
    prompts = np.tile(CENTRES, (20, 1)) + np.random.default_rng(1).uniform(-1, 1, (40, 3))
    CrossPlanePropagator(segmenter, max_extent=MAX_EXTENT).propagate(Spheres(), prompts)
    return Undecided.steps


def test_a_walk_keeps_to_the_candidates_that_agree_with_the_mask_before(monkeypatch):
    # By the predicted overlap alone it jumps between the core and the surroundings, and ends
    # half way to the surface, 5 to 10 voxels from the middle.
    alone, agreeing = (steps_of_240_walks(monkeypatch, agreement) for agreement in (0.0, 0.5))
    assert alone < 240 * 5
    assert agreeing > 240 * 7
