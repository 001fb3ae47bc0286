"""Search: the steps of the paper up to the verdict, at one diameter of the particle."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aitom_cryosam import clicks, encoders, prompting, propagator, threads
from aitom_cryosam.cache import Cache
from aitom_cryosam.centring import centred
from aitom_cryosam.clicks import Worth
from aitom_cryosam.features import Query, TriplanarFeatures
from aitom_cryosam.forecast import planned
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.matcher import HierarchicalMatcher
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.picks import Picks
from aitom_cryosam.progress import Progress
from aitom_cryosam.propagator import Propagator
from aitom_cryosam.regions import Regions, located
from aitom_cryosam.resources import Resources
from aitom_cryosam.scoring.kind import Verdict
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.scoring.rejects import BY_HAND
from aitom_cryosam.scoring.suggestions import suggested
from aitom_cryosam.scoring.verdict import PRESENT, decided, judged, same, scored
from aitom_cryosam.settings import Settings
from aitom_cryosam.stages import Stages
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.trace import Trace


@dataclass(frozen=True, eq=False)
class Request:
    """What is looked for.

    Attributes:
        prompts: points on particles of one kind.
        rejects: points on what is something else, or n rows of x, y, z in voxels.
        query: of particles that were clicked elsewhere.
        regions: where picks may lie.
        suggest: number of places to ask about.
    """

    prompts: Picks
    rejects: Picks | Sequence[Sequence[float]] = ()
    query: ParticleQuery | None = None
    regions: Regions | None = None
    suggest: int = 0


@dataclass(frozen=True, eq=False)
class Found:
    """What one diameter leads to.

    Attributes:
        diameter_voxels: of the particle.
        prompts: those that were asked for; one without a mask is not kept, and says why.
        prompt_masks: one a prompt, in their order.
        worth: what each prompt is, likewise.
        rejects: points on what is something else.
        query: F_Q of eq. 4, of the prompts and of a query from elsewhere.
        proposals: n, with their verdict.
        is_prompt: (n,) bool, proposals that are a prompted particle itself.
        verdict: on them, as it was before regions and rejects.
        trace: what led to the proposals.
        features: of the tomogram, where they are asked for again; None where they were let go.
        walks: make masks of points; likewise.
        messages: that were kept back.
    """

    diameter_voxels: float
    prompts: Picks
    prompt_masks: list[ParticleMask]
    worth: Sequence[Worth]
    rejects: Picks
    query: ParticleQuery
    proposals: Picks
    is_prompt: np.ndarray
    verdict: Verdict
    trace: Trace
    features: TriplanarFeatures | None
    walks: Propagator | None
    messages: Sequence[logging.LogRecord] = ()

    @property
    def promise(self) -> float:
        """F1 that is expected of the picks; 0 where only the prompts are picks."""
        presence = self.verdict.presence or 0.0
        return presence * self.verdict.expected if presence >= PRESENT else 0.0

    def alone(self) -> Found:
        """The same without what takes memory, before another diameter is searched at."""
        return replace(self, features=None, walks=None)


class Search:
    """Searches a tomogram for what is like some prompts.

    Args:
        settings: all switches.
        resources: device, memory, cache and checkpoints.
        progress: shown how far each stage is.
    """

    def __init__(
        self, settings: Settings, resources: Resources, progress: Progress | None = None
    ) -> None:
        self.settings = settings
        self.resources = resources
        self.progress = progress

    def at(
        self,
        tomogram: Tomogram,
        request: Request,
        settings: Settings,
        stages: Stages,
        diameter_voxels: float,
    ) -> Found:
        """Make prompt masks, features and query, match, and decide.

        Args:
            tomogram: (D, H, W).
            request: what is looked for.
            settings: with the diameter of the query, if there is one.
            stages: to which seconds and memory are added.
            diameter_voxels: of the particle.

        Raises:
            InputError: no prompt gives a mask, a reject is on one, or query or memory do not fit.
        """
        planned(tomogram, settings, diameter_voxels, self.resources)  # refused before any work
        rejects = prompting.as_rejects(tomogram, request.rejects, request.prompts, diameter_voxels)
        walks = self.propagator(tomogram, diameter_voxels)
        with stages.measure("prompt masks"):
            prompts, masks = prompting.prompted(walks, tomogram, request.prompts, self.progress)
            worth = clicks.looked_at(tomogram, prompts, masks, diameter_voxels)
        with stages.measure("features"):
            features = self.features(tomogram, diameter_voxels)
        with stages.measure("matching"):
            query = request.query and request.query.at(diameter_voxels * tomogram.voxel_size)
            if query is not None:
                query.require(features.signature, tomogram.contrast, settings.pooling)
            if len(prompts):
                clicked = prompting.particle_query(
                    tomogram, features, prompts, masks, diameter_voxels, settings
                )
                query = clicked if query is None else ParticleQuery.merged([clicked, query])
            assert query is not None  # as_picks has seen to it
            query = prompting.rejecting(query, tomogram, features, rejects, diameter_voxels)
            alike = Query(features, query.vector)
            maxima, proposals = self.match(features, alike, diameter_voxels, request.regions)
            trace = prompting.traced(alike, masks, maxima, settings.levels(diameter_voxels)[-1])
        with stages.measure("centring"):
            if settings.centring:
                proposals = centred(tomogram, proposals, diameter_voxels)
        with stages.measure("verdict"):
            places = Places.of(tomogram, features, proposals, maxima, diameter_voxels)
            worth = clicks.compared(worth, prompts, query.instances, places)
            dense = features if settings.semantic == "dense" else None
            del features, alike  # places are compared without them, and take memory themselves
            points_zyx = proposals.points_zyx
            is_prompt = same(points_zyx, prompts.points_zyx[prompts.kept], diameter_voxels)
            verdict = judged(places, query.instances, is_prompt, query.shapes, settings.encoder)
            there = same(points_zyx, rejects.points_zyx, diameter_voxels)
            proposals = scored(proposals, verdict).reject(there, BY_HAND)
            proposals = decided(located(proposals, request.regions), verdict, settings)
            proposals = prompting.without_rejected(query, proposals, places, is_prompt, settings)
            settled = is_prompt | clicks.cut_off(tomogram, points_zyx, diameter_voxels)
            proposals = suggested(proposals, places, query.instances, settled, request.suggest)
        return Found(
            diameter_voxels=diameter_voxels,
            prompts=prompts,
            prompt_masks=masks,
            worth=worth,
            rejects=rejects,
            query=query,
            proposals=proposals,
            is_prompt=is_prompt,
            verdict=verdict,
            trace=trace,
            features=dense,
            walks=walks,
        )

    def propagator(self, tomogram: Tomogram, diameter_voxels: float) -> Propagator:
        """What makes masks of points (2.1).

        Args:
            tomogram: which the points will lie in.
            diameter_voxels: of the particle.
        """
        return propagator.build(
            self.settings, self.resources, tomogram, diameter_voxels=diameter_voxels
        )

    def features(self, tomogram: Tomogram, diameter_voxels: float) -> TriplanarFeatures:
        """The features of all voxels (2.2).

        Args:
            tomogram: (D, H, W).
            diameter_voxels: voxels, of the particle.
        """
        plan = planned(tomogram, self.settings, diameter_voxels, self.resources)
        threads.allow(plan.threads)
        encoder = encoders.build(
            self.settings,
            self.resources,
            diameter_voxels=diameter_voxels,
            voxel_size=tomogram.voxel_size,
        )
        return TriplanarFeatures.extract(
            tomogram,
            encoder,
            slab=self.settings.slab_planes(diameter_voxels),
            shrinkage=self.settings.shrinkage,
            ratios=self.settings.levels(diameter_voxels),
            progress=self.progress,
            ram_bytes=plan.token_room,
            cache=Cache(self.resources.cache) if self.resources.cache else None,
        )

    def match(
        self,
        features: TriplanarFeatures,
        query: np.ndarray | Query,
        diameter_voxels: float,
        regions: Regions | None = None,
    ) -> tuple[Picks, Picks]:
        """Where the features resemble the query (2.3).

        Args:
            features: of the tomogram.
            query: (3C,) F_Q of eq. 4, or made of it.
            diameter_voxels: voxels, of the particle.
            regions: where maxima count.

        Returns:
            All maxima of the similarity at the finest level, and the proposals.
        """
        matcher = HierarchicalMatcher.of(self.settings, diameter_voxels)
        similarity = query if isinstance(query, Query) else Query(features, query)
        found, maxima = matcher.match(similarity), matcher.everywhere.match(similarity)
        if regions is not None:
            found, maxima = (some.take(regions.allows(some.points_zyx)) for some in (found, maxima))
        return maxima, found.take(np.arange(len(found)) < self.settings.top_k)
