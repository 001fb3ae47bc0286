"""Cross-plane self-prompting: from point prompts to 3D instance masks (paper section 2.1)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.masks import ParticleMask, ball
from aitom_cryosam.progress import Progress, Steps
from aitom_cryosam.propagator.embeddings import EmbeddingStore, PlaneEmbeddings
from aitom_cryosam.propagator.growth import Growth, Merge
from aitom_cryosam.propagator.walks import AxisWalks, Rules
from aitom_cryosam.segmenters.base import PlaneSegmenter
from aitom_cryosam.threads import side_by_side
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

_PARTS = 6
"""Of the budget, one for each axis that is walked beside others: no more in all than one axis
alone would often hold."""


class CrossPlanePropagator:
    """Segments the three planes through a prompt, then walks from them both ways: six walks.

    Each plane of a walk is prompted by the point of highest confidence and the mask logits of
    the plane before (eq. 2). A walk ends, and notes why, at

    - "border": the tomogram ends;
    - "empty": the plane gave no mask;
    - "iou": the masks of two adjacent planes overlap less than `tau_iou`; the new one is dropped;
    - "size limit": more than half of `max_extent` away from the prompt, or a wider mask.

    Walks do not depend on each other. Those along one axis advance together, whatever planes
    they are on; a plane is embedded only if a walk reaches it. Budget, store and threads change
    how often and when, never the masks.

    Args:
        segmenter: what turns a point, and the mask before, into a mask.
        tau_iou: smallest overlap of adjacent masks, 0 to 1 (τ_IoU).
        merge: "union" of the three axes' results, as in the paper, or "consensus": voxels in at
            least two of them.
        max_extent: voxels, the largest particle along any axis; None for no limit.
        concurrent: whether the three axes may be walked side by side, with a part of the budget
            each. They are if that is enough for the planes around a prompt.
        ball_diameter: voxels, of the ball that takes the place of a mask where a prompt inside
            the tomogram yields none; None leaves it empty. Of two masks it is the worse: its
            score is 0.
        budget_bytes: for the embeddings and masks held at once; two embeddings and the masks of
            one prompt are held in any case.
        store: keeps embeddings for later runs, if the segmenter's are worth it.
    """

    def __init__(
        self,
        segmenter: PlaneSegmenter,
        *,
        tau_iou: float = 0.5,
        merge: Merge = "union",
        max_extent: float | None = None,
        concurrent: bool = False,
        ball_diameter: float | None = None,
        budget_bytes: float = 256e6,
        store: EmbeddingStore | None = None,
    ) -> None:
        self.segmenter = segmenter
        self.rules = Rules(tau_iou, np.inf if max_extent is None else max_extent, budget_bytes)
        self.merge = merge
        self.concurrent = concurrent
        self.ball_diameter = ball_diameter
        self.store = store

    def propagate(
        self,
        tomogram: Tomogram,
        points_zyx: np.ndarray,
        *,
        progress: Progress | None = None,
        stage: str = "masks",
    ) -> list[ParticleMask]:
        """One mask per prompt.

        Args:
            tomogram: the tomogram.
            points_zyx: (n, 3) fractional voxels. The planes are the nearest ones.
            progress: called with the stage, the walks that have ended and their number.
            stage: what the masks are made for, as progress shows it.

        Returns:
            n masks in the order of the prompts, with ids from 1. A prompt that yields nothing
            has an empty mask or a ball, with its walks' "empty" or "size limit"; outside the
            tomogram it is empty, and all six say "border".
        """
        masks = self._masks(AxisWalks.run, self.merge, tomogram, points_zyx, progress, stage)
        return [self._or_ball(mask, tomogram.shape) for mask in masks]

    def start(
        self,
        tomogram: Tomogram,
        points_zyx: np.ndarray,
        *,
        progress: Progress | None = None,
        stage: str = "masks",
    ) -> list[ParticleMask]:
        """As `propagate`, but only the masks on the three planes through each prompt (eq. 1)."""
        masks = self._masks(AxisWalks.start, "union", tomogram, points_zyx, progress, stage)
        return [replace(mask, stops={}) for mask in masks]

    def _or_ball(self, mask: ParticleMask, shape: tuple[int, int, int]) -> ParticleMask:
        nearest = nearest_voxel(mask.prompt_zyx)
        inside = ((nearest >= 0) & (nearest < shape)).all()
        if mask.volume or self.ball_diameter is None or not inside:
            return mask
        made = ball(mask.prompt_zyx, self.ball_diameter / 2, shape)
        return replace(mask, offset_zyx=made.offset_zyx, mask=made.mask, is_ball=True)

    def _masks(
        self,
        walk: Callable[[AxisWalks, np.ndarray], None],
        merge: Merge,
        tomogram: Tomogram,
        points_zyx: np.ndarray,
        progress: Progress | None,
        stage: str,
    ) -> list[ParticleMask]:
        points = np.asarray(points_zyx, dtype=np.float64).reshape(-1, 3)
        growth = Growth(len(points))
        nearest = nearest_voxel(points)
        inside = np.flatnonzero(((nearest >= 0) & (nearest < tomogram.shape)).all(axis=1))
        ended = Steps(progress, stage, 6 * len(points))
        ended.add(6 * (len(points) - len(inside)))

        def along(axis: int, budget_bytes: float) -> AxisWalks:
            embeddings = PlaneEmbeddings(self.segmenter, tomogram, axis, self.store)
            rules = replace(self.rules, budget_bytes=budget_bytes)
            return AxisWalks(embeddings, rules, points, growth, ended.add)

        whole = self.rules.budget_bytes
        part = whole / _PARTS
        if self.concurrent and all(along(axis, part).at_ease for axis in range(3)):
            side_by_side(lambda axis: walk(along(axis, part), inside), range(3))
        else:
            for axis in range(3):
                walk(along(axis, whole), inside)
        masks = growth.merged(points, merge)
        logger.debug("%d of %d prompts gave a mask", sum(m.volume > 0 for m in masks), len(masks))
        return masks
