"""CryoSAM: the steps of the paper in their order (its figure 1)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Lock

import numpy as np

from aitom_cryosam.encoders import ENCODERS
from aitom_cryosam.errors import InputError
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.matcher import HierarchicalMatcher
from aitom_cryosam.picks import Picks, suppressed
from aitom_cryosam.propagator import CrossPlanePropagator
from aitom_cryosam.result import Result, Stages
from aitom_cryosam.scale import estimate_diameter
from aitom_cryosam.scoring import background_cut
from aitom_cryosam.segmenters import SEGMENTERS
from aitom_cryosam.settings import Settings
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

SPACING = 0.65
"""Two particles are at least this many diameters apart; of two closer picks the better stays."""
EXTENT = 1.6
"""A mask that is wider than this many diameters is not one particle."""
Progress = Callable[[str, int, int], None]


class CryoSAM:
    """Picks every copy of a particle that a few prompts point at.

    Args:
        settings: all switches; the embedded preset if None.
        progress: called with the stage's name, the steps done and their number; from several
            threads, but one call at a time.
    """

    def __init__(
        self, settings: Settings | None = None, *, progress: Progress | None = None
    ) -> None:
        self.settings = settings or Settings()
        self.progress = progress

    def pick(self, tomogram: Tomogram, prompts: Picks | Sequence[Sequence[float]]) -> Result:
        """Run the method on one tomogram.

        Args:
            tomogram: (D, H, W).
            prompts: points on particles of one kind, or n rows of x, y, z in voxels.

        Returns:
            Every proposal with its verdict, the masks of the picks, and how it came about.

        Raises:
            InputError: there is no prompt, or no prompt gives a mask.
        """
        prompts = _as_picks(prompts)
        stages = Stages()
        with stages.measure("diameter"):
            diameter = self._diameter(tomogram, prompts)
        propagator = self._propagator(diameter)
        propagator.progress = self._reporter("prompt masks")
        with stages.measure("prompt masks"):
            prompt_masks = propagator.propagate(tomogram, prompts.points_zyx)
            prompts = _without_empty(prompts, prompt_masks)
        with stages.measure("features"):
            features = self._features(tomogram, diameter)
        with stages.measure("matching"):
            query = features.masked_mean(prompt_masks)
            maxima = self._match(features, query, diameter)
        proposals = maxima.take(np.arange(min(len(maxima), self.settings.top_k)))
        propagator.progress = self._reporter("proposal masks")
        with stages.measure("proposal masks"):
            masks = propagator.propagate(tomogram, proposals.points_zyx)
        with stages.measure("picks"):
            cut = self._cut(maxima, prompts)
            proposals, masks = _verdicts(proposals, masks, cut, SPACING * diameter)
        return Result(
            tomogram=tomogram,
            settings=self.settings,
            diameter=diameter * tomogram.voxel_size,
            prompts=prompts,
            prompt_masks=prompt_masks,
            query=query,
            proposals=proposals,
            masks=masks,
            cut=cut,
            stages=stages,
        )

    def _diameter(self, tomogram: Tomogram, prompts: Picks) -> float:
        """Voxels: as the user said, or estimated from the prompts."""
        if self.settings.diameter is not None:
            return self.settings.diameter / tomogram.voxel_size
        largest = min(self.settings.max_diameter / tomogram.voxel_size, min(tomogram.shape))
        diameter = estimate_diameter(tomogram, prompts.points_zyx, max_diameter=largest)
        logger.info("Diameter estimated from the prompts: %.0f Å", diameter * tomogram.voxel_size)
        return diameter

    def _propagator(self, diameter: float) -> CrossPlanePropagator:
        return CrossPlanePropagator(
            SEGMENTERS[self.settings.segmenter](diameter),
            tau_iou=self.settings.tau_iou,
            merge=self.settings.merge,
            max_extent=EXTENT * diameter,
        )

    def _features(self, tomogram: Tomogram, diameter: float) -> TriplanarFeatures:
        return TriplanarFeatures.extract(
            tomogram,
            ENCODERS[self.settings.encoder](diameter),
            slab=max(1, round(self.settings.slab * diameter / 2)),
            shrinkage=self.settings.shrinkage,
            ratios=self.settings.ratios,
            progress=self._counter("features", sum(tomogram.shape)),
        )

    def _match(self, features: TriplanarFeatures, query: np.ndarray, diameter: float) -> Picks:
        """All maxima of the similarity, best first; most of them are background."""
        matcher = HierarchicalMatcher(
            ratios=self.settings.ratios,
            tau_sim=self.settings.tau_sim,
            distance=SPACING * diameter,
        )
        return matcher.match(features, query)

    def _reporter(self, stage: str) -> Callable[[int, int], None] | None:
        """What tells the steps done of how many."""
        return None if self.progress is None else partial(self.progress, stage)

    def _counter(self, stage: str, total: int) -> Callable[[int], None] | None:
        """What tells the steps since its last call, from any thread."""
        if self.progress is None:
            return None
        report, lock, done = self.progress, Lock(), 0

        def add(steps: int) -> None:
            nonlocal done
            with lock:
                done += steps
                report(stage, done, total)

        return add

    def _cut(self, maxima: Picks, prompts: Picks) -> float:
        """The score from which on a proposal is a pick."""
        if self.settings.cut == "auto":
            return background_cut(maxima.scores, int(prompts.kept.sum()))
        return -np.inf if self.settings.cut == "none" else float(self.settings.cut)


def _as_picks(prompts: Picks | Sequence[Sequence[float]]) -> Picks:
    if isinstance(prompts, Picks):
        return prompts
    points_xyz = np.asarray(prompts, dtype=np.float64)
    if points_xyz.ndim != 2 or points_xyz.shape[1] != 3 or len(points_xyz) == 0:
        raise InputError(f"Expected prompts as n rows of x, y, z, got {points_xyz.shape}.")
    return Picks.from_points(points_xyz[:, ::-1])


def _without_empty(prompts: Picks, masks: list[ParticleMask]) -> Picks:
    """Prompts without a mask are left out; if none is left there is nothing to look for."""
    empty = np.array([mask.volume == 0 for mask in masks])
    for point in prompts.points_zyx[empty]:
        logger.warning(
            "No particle was found at the prompt %s; it is left out.",
            ",".join(f"{value:g}" for value in point[::-1]),
        )
    if empty.all():
        raise InputError(
            "No particle was found at any prompt; click on a particle's centre, check --contrast, "
            "or give its --diameter."
        )
    return prompts.reject(empty, "no mask")


def _verdicts(
    proposals: Picks, masks: list[ParticleMask], cut: float, distance: float
) -> tuple[Picks, list[ParticleMask]]:
    """Proposals with their position, verdict and rank as id; and the masks of the kept ones."""
    proposals = replace(proposals, points_zyx=_positions(proposals, masks))
    proposals = proposals.reject(proposals.scores < cut, "below the cut")
    proposals = proposals.reject([mask.volume == 0 for mask in masks], "no mask")
    chosen = np.flatnonzero(proposals.kept)
    alive = suppressed(proposals.points_zyx[chosen], proposals.scores[chosen], distance)
    proposals = proposals.reject(np.setdiff1d(chosen, chosen[alive]), "duplicate")
    kept = [mask for mask, keep in zip(masks, proposals.kept, strict=True) if keep]
    return proposals, kept


def _positions(proposals: Picks, masks: list[ParticleMask]) -> np.ndarray:
    """(n, 3) half-way between the peak of the similarity and the middle of the mask."""
    centres = np.array([mask.centroid_zyx for mask in masks]).reshape(-1, 3)
    found = np.isfinite(centres[:, :1])
    return np.where(found, (proposals.points_zyx + centres) / 2, proposals.points_zyx)
