"""CryoSAM: the steps of the paper in their order (its figure 1)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Lock

import numpy as np

from aitom_cryosam import checkpoints, encoders, presets, segmenters
from aitom_cryosam.cache import Cache
from aitom_cryosam.errors import InputError
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.features.query import Query
from aitom_cryosam.masks import ParticleMask, ball
from aitom_cryosam.matcher import HierarchicalMatcher
from aitom_cryosam.picks import Picks, suppressed
from aitom_cryosam.propagator import CrossPlanePropagator
from aitom_cryosam.resources import Resources
from aitom_cryosam.result import Result, Stages
from aitom_cryosam.scale import MIN_DIAMETER, estimate_diameter, refine_centres
from aitom_cryosam.scoring import Verdict, chance_level, judge
from aitom_cryosam.settings import PAPER_RATIOS, Settings
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

SPACING = 0.65
"""Two particles are at least this many diameters apart; of two closer picks the better stays."""
EXTENT = 1.6
"""A mask that is wider than this many diameters is not one particle."""
CLIMBS = 3
"""The similarity is flat inside a particle: its peak is up to half a radius beside the centre,
and each refinement moves a point by 0.2 diameters at most."""
REGIONS = (0.5, 1.0)
"""Radii, in particle radii, of the balls over which an instance's features are averaged."""
CHANCE_SAMPLE = 250
"""Maxima at chance level that stand for the background."""
MOST_WARNINGS = 5
"""Prompts without a mask that are named one by one."""
Progress = Callable[[str, int, int], None]


class CryoSAM:
    """Picks every copy of a particle that a few prompts point at.

    Args:
        settings: all switches; the embedded preset if None.
        resources: device, memory, cache and checkpoints; what the machine has if None.
        progress: called with the stage's name, the steps done and their number; from several
            threads, but one call at a time.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        resources: Resources | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.resources = resources or Resources()
        self.progress = progress

    def pick(self, tomogram: Tomogram, prompts: Picks | Sequence[Sequence[float]]) -> Result:
        """Run the method on one tomogram.

        Args:
            tomogram: (D, H, W).
            prompts: points on particles of one kind, or n rows of x, y, z in voxels.

        Returns:
            Every proposal with its verdict, the masks of the picks, and how it came about.

        Raises:
            InputError: there is no prompt, no prompt gives a mask, or a network cannot be run.
        """
        prompts = _as_picks(prompts)
        stages = Stages()
        with stages.measure("weights"):
            networks = self._networks()
        with stages.measure("diameter"):
            diameter = self._diameter(tomogram, prompts)
        propagator = self.propagator(tomogram, diameter)
        propagator.progress = self._reporter("prompt masks")
        with stages.measure("prompt masks"):
            prompt_masks = propagator.propagate(tomogram, prompts.points_zyx)
            prompts = _without_empty(prompts, prompt_masks)
        with stages.measure("features"):
            features = self.features(tomogram, diameter)
        with stages.measure("matching"):
            cores = self.settings.pooling == "core"
            query = features.masked_mean(_cores(prompt_masks, diameter) if cores else prompt_masks)
            maxima, proposals = self.match(features, query, diameter)
        propagator.progress = self._reporter("proposal masks")
        with stages.measure("centring"):
            proposals = _centred(tomogram, proposals, diameter)
        with stages.measure("proposal masks"):
            masks = propagator.propagate(tomogram, proposals.points_zyx)
        with stages.measure("picks"):
            verdict = _judge(features, prompts, proposals, maxima, diameter)
            proposals = replace(proposals, scores=verdict.scores)
            proposals = self._decide(proposals, verdict, masks)
            proposals, masks = _ranked(proposals, masks, SPACING * diameter)
        return Result(
            tomogram=tomogram,
            settings=self.settings,
            diameter=diameter * tomogram.voxel_size,
            prompts=prompts,
            prompt_masks=prompt_masks,
            query=query,
            proposals=proposals,
            masks=masks,
            stages=stages,
            networks=networks,
        )

    def _networks(self) -> dict[str, dict[str, str]]:
        """File and checksum of the weights in use, by model; all of them are there."""
        files = {
            model.name: checkpoints.require(model, self.resources.checkpoints)
            for model in presets.networks(self.settings)
        }
        return {
            name: {"file": str(path), "sha256": checkpoints.digest(path)}
            for name, path in files.items()
        }

    def _diameter(self, tomogram: Tomogram, prompts: Picks) -> float:
        """Voxels: as the user said, or estimated from the prompts."""
        largest: float = min(tomogram.shape)
        if self.settings.diameter is not None:
            given = self.settings.diameter / tomogram.voxel_size
            if not 2 <= given <= largest:
                raise InputError(
                    f"A particle of {self.settings.diameter:g} Å is {given:.1f} voxels wide; "
                    f"expected 2 to {largest:g} voxels. Check --diameter and --voxel-size."
                )
            return given
        largest = min(self.settings.max_diameter / tomogram.voxel_size, largest)
        if largest < MIN_DIAMETER:
            raise InputError(
                f"A particle below {MIN_DIAMETER:g} voxels has no size that could be estimated; "
                "check --voxel-size, or give the --diameter."
            )
        diameter = estimate_diameter(tomogram, prompts.points_zyx, max_diameter=largest)
        logger.info("Diameter estimated from the prompts: %.0f Å", diameter * tomogram.voxel_size)
        return diameter

    def propagator(self, tomogram: Tomogram, diameter: float) -> CrossPlanePropagator:
        """What makes masks of points (2.1).

        Args:
            tomogram: which the points will lie in.
            diameter: voxels, of the particle.
        """
        extent = EXTENT * diameter
        segmenter = segmenters.build(
            self.settings, self.resources, diameter=diameter, max_extent=extent
        )
        store = None
        if self.resources.cache is not None and segmenter.signature is not None:
            store = Cache(self.resources.cache).embeddings(tomogram, segmenter.signature)
        return CrossPlanePropagator(
            segmenter,
            tau_iou=self.settings.tau_iou,
            merge=self.settings.merge,
            max_extent=extent,
            budget_bytes=min(segmenter.held_bytes, self.resources.ram),
            store=store,
        )

    def features(self, tomogram: Tomogram, diameter: float) -> TriplanarFeatures:
        """The features of all voxels (2.2).

        Args:
            tomogram: (D, H, W).
            diameter: voxels, of the particle.
        """
        encoder = encoders.build(
            self.settings, self.resources, diameter=diameter, voxel_size=tomogram.voxel_size
        )
        return TriplanarFeatures.extract(
            tomogram,
            encoder,
            slab=max(1, round(self.settings.slab * diameter / 2)),
            shrinkage=self.settings.shrinkage,
            ratios=self._ratios(diameter),
            progress=self._counter("features", sum(tomogram.shape)),
            ram_bytes=self.resources.ram,
            cache=Cache(self.resources.cache) if self.resources.cache else None,
        )

    def _ratios(self, diameter: float) -> tuple[int, ...]:
        ratios = self.settings.ratios
        return _useful_ratios(diameter) if isinstance(ratios, str) else ratios

    def match(
        self, features: TriplanarFeatures, query: np.ndarray, diameter: float
    ) -> tuple[Picks, Picks]:
        """Where the features resemble the query (2.3).

        Args:
            features: of the tomogram.
            query: (3C,) F_Q of eq. 4.
            diameter: voxels, of the particle.

        Returns:
            All maxima of the similarity at the finest level, and the proposals.
        """
        distance = SPACING * diameter
        ratios = self._ratios(diameter)
        everywhere = HierarchicalMatcher(ratios=ratios[-1:], tau_sim=-1, distance=distance)
        matcher = HierarchicalMatcher(
            ratios=ratios, tau_sim=self.settings.tau_sim, distance=distance
        )
        similarity = Query(features, query)
        found = matcher.match(similarity)
        return everywhere.match(similarity), found.take(np.arange(len(found)) < self.settings.top_k)

    def _decide(self, proposals: Picks, verdict: Verdict, masks: list[ParticleMask]) -> Picks:
        """Proposals that are not picks, with the reason."""
        proposals = proposals.reject(
            np.array([mask.volume == 0 for mask in masks], bool), "no mask"
        )
        if self.settings.cut == "auto":
            proposals = proposals.reject(~verdict.kept & ~verdict.candidates, "chance")
            return proposals.reject(~verdict.kept, "another kind")
        if self.settings.cut == "none":
            return proposals
        return proposals.reject(proposals.scores < float(self.settings.cut), "below the cut")

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
    wide = [mask for mask in masks if mask.volume == 0 and "size limit" in mask.stops.values()]
    why = "; its outline is wider than the particle" if len(wide) == empty.sum() else ""
    for point in prompts.points_zyx[empty][:MOST_WARNINGS]:
        logger.warning(
            "No particle was found at the prompt %s%s; it is left out.",
            ",".join(f"{value:g}" for value in point[::-1]),
            why,
        )
    if empty.sum() > MOST_WARNINGS:
        logger.warning("Nor at %d other prompts.", empty.sum() - MOST_WARNINGS)
    if empty.all():
        raise InputError(
            "No particle was found at any prompt; click on a particle's centre, check --contrast, "
            f"give its --diameter{', or try --window 3 or --segmenter contour' if why else ''}."
        )
    return prompts.reject(empty, "no mask")


def _useful_ratios(diameter: float) -> tuple[int, ...]:
    """The paper's levels that can see the particle: cells no larger than its radius.

    A larger cell mixes the particle with its surroundings and would be dropped with it.
    """
    radius = diameter / 2
    useful = tuple(ratio for ratio in PAPER_RATIOS if ratio <= max(radius, 1))
    return useful or (max(1, int(radius / 1.5)),)


def _cores(masks: list[ParticleMask], diameter: float) -> list[ParticleMask]:
    """Each mask without its rim: the voxels within half a particle radius of its middle.

    The features of the rim are half those of its surroundings.
    """
    cores = []
    for mask in masks:
        if mask.volume == 0:
            continue
        squares = ((mask.voxels_zyx - mask.centroid_zyx) ** 2).sum(axis=1)
        core = np.zeros_like(mask.mask)
        core[mask.mask] = squares <= max((diameter / 4) ** 2, squares.min())
        cores.append(replace(mask, mask=core))
    return cores


def _centred(tomogram: Tomogram, proposals: Picks, diameter: float) -> Picks:
    """Proposals moved to the middle of what stands out there."""
    points = proposals.points_zyx
    for _ in range(CLIMBS):
        points = refine_centres(tomogram, points, diameter)
    return replace(proposals, points_zyx=points)


def _judge(
    features: TriplanarFeatures,
    prompts: Picks,
    proposals: Picks,
    maxima: Picks,
    diameter: float,
) -> Verdict:
    """Compare the proposals' features with the prompts' and with the background's."""
    chance = chance_level(maxima.scores)
    low = np.flatnonzero(maxima.scores < chance)
    sample = np.linspace(0, len(low) - 1, min(len(low), CHANCE_SAMPLE))
    low = low[sample.round().astype(int)]

    def pooled(points_zyx: np.ndarray) -> np.ndarray:
        """(n, k, 3C), eq. 4 over balls in place of masks: a bad mask must not spoil a score."""
        return np.array(
            [
                [
                    features.masked_mean([ball(point, region * diameter / 2, features.shape)])
                    for region in REGIONS
                ]
                for point in points_zyx
            ]
        ).reshape(len(points_zyx), len(REGIONS), 3 * features.channels)

    return judge(
        proposals.scores,
        chance,
        pooled(proposals.points_zyx),
        pooled(prompts.points_zyx[prompts.kept]),
        pooled(maxima.points_zyx[low]),
    )


def _ranked(
    proposals: Picks, masks: list[ParticleMask], distance: float
) -> tuple[Picks, list[ParticleMask]]:
    """Best first, at their final positions, numbered; and the masks of the picks."""
    proposals = replace(proposals, points_zyx=_positions(proposals, masks))
    chosen = np.flatnonzero(proposals.kept)
    alive = suppressed(proposals.points_zyx[chosen], proposals.scores[chosen], distance)
    proposals = proposals.reject(np.setdiff1d(chosen, chosen[alive]), "duplicate")
    order = np.argsort(-proposals.scores, kind="stable")
    ids = np.arange(1, len(order) + 1)
    proposals = replace(proposals.take(order), ids=ids)
    ranked = (replace(masks[old], id=int(new)) for new, old in zip(ids, order, strict=True))
    return proposals, [mask for mask, kept in zip(ranked, proposals.kept, strict=True) if kept]


def _positions(proposals: Picks, masks: list[ParticleMask]) -> np.ndarray:
    """(n, 3) half-way between the proposal and the middle of its mask."""
    centres = np.array([mask.centroid_zyx for mask in masks]).reshape(-1, 3)
    found = np.isfinite(centres[:, :1])
    return np.where(found, (proposals.points_zyx + centres) / 2, proposals.points_zyx)
