"""From point prompts to 3D instance masks (paper section 2.1): walks across planes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aitom_cryosam import segmenters
from aitom_cryosam.cache import Cache
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.models import MODELS
from aitom_cryosam.picks import NO_MASK, Picks
from aitom_cryosam.progress import Progress
from aitom_cryosam.propagator.base import Propagator
from aitom_cryosam.propagator.crossplane import CrossPlanePropagator
from aitom_cryosam.propagator.outlines import Outlines
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import Settings
from aitom_cryosam.targets import PARTICLE
from aitom_cryosam.tomogram import Tomogram

__all__ = [
    "CrossPlanePropagator",
    "Outlines",
    "Propagator",
    "build",
    "masks_of",
    "outliner",
    "warn_of_balls",
    "without_mask",
]

logger = logging.getLogger(__name__)


def build(
    settings: Settings, resources: Resources, tomogram: Tomogram, *, diameter_voxels: float
) -> Propagator:
    """The propagator that the settings name.

    Args:
        settings: its segmenter, `tau_iou`, `merge` and `mask_fallback`.
        resources: device, memory, cache and checkpoints.
        tomogram: which the points will lie in.
        diameter_voxels: of the particle.

    Raises:
        InputError: a network's weights are missing or wrong, or it does not fit on the device.
    """
    extent = PARTICLE.extent * diameter_voxels
    segmenter = segmenters.build(
        settings, resources, diameter_voxels=diameter_voxels, max_extent=extent
    )
    signature, store = segmenter.codec.signature, None
    if resources.cache is not None and signature is not None:
        store = Cache(resources.cache).embeddings(tomogram, signature)
    return CrossPlanePropagator(
        segmenter,
        tau_iou=settings.tau_iou,
        merge=settings.merge,
        max_extent=extent,
        concurrent=segmenter.concurrent,
        ball_diameter=None if settings.mask_fallback == "none" else diameter_voxels,
        budget_bytes=min(segmenter.held_bytes, resources.ram),
        store=store,
    )


def outliner(settings: Settings, resources: Resources) -> Outlines | None:
    """What follows membranes and filaments beside the filters: the masks of a network.

    Args:
        settings: its segmenter and `tau_iou`; a whole plane is shown to it.
        resources: device, memory and checkpoints.

    Returns:
        None for a segmenter that has no weights.
    """
    if MODELS[settings.segmenter].weights is None:
        return None
    whole = replace(settings, window=None)

    def segmenter(size: int) -> segmenters.PlaneSegmenter:
        return segmenters.build(whole, resources, diameter_voxels=size, max_extent=size)

    return Outlines(segmenter, settings.segmenter, resources.ram)


def masks_of(
    propagator: Propagator,
    tomogram: Tomogram,
    proposals: Picks,
    wanted: np.ndarray,
    progress: Progress | None = None,
) -> list[ParticleMask]:
    """The masks of some proposals.

    Args:
        propagator: that makes them.
        tomogram: which the proposals lie in.
        proposals: n.
        wanted: (n,) bool, the proposals that get one.
        progress: as for `Propagator.propagate`.

    Returns:
        n masks; that of a proposal which is not wanted is empty.
    """
    chosen = proposals.points_zyx[wanted]
    made = iter(propagator.propagate(tomogram, chosen, progress=progress, stage="proposal masks"))
    return [
        next(made) if now else ParticleMask.empty(point)
        for point, now in zip(proposals.points_zyx, wanted, strict=True)
    ]


def without_mask(proposals: Picks, masks: Sequence[ParticleMask], spared: np.ndarray) -> Picks:
    """Proposals, those left out that have no mask: a segmenter's refusal counts against them.

    Args:
        proposals: n.
        masks: n, of the proposals.
        spared: (n,) bool, those for which a ball will do.
    """
    pairs = zip(masks, spared, strict=True)
    lost = [not mask.volume or (mask.is_ball and not ball_will_do) for mask, ball_will_do in pairs]
    return proposals.reject(lost, NO_MASK)


def warn_of_balls(masks: Sequence[ParticleMask]) -> None:
    """Say how many of the picks' masks are balls."""
    balls = sum(mask.is_ball for mask in masks)
    if balls:
        logger.warning(
            "%d of %d picks have no mask; a ball of the particle's diameter takes its place.",
            balls,
            len(masks),
        )
