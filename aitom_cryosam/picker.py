"""CryoSAM: the steps of the paper in their order (its figure 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aitom_cryosam import checkpoints, clicks, encoders, prompting, propagator, threads
from aitom_cryosam.cache import Cache
from aitom_cryosam.errors import expect_kind
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.features.query import Query
from aitom_cryosam.forecast import planned
from aitom_cryosam.matcher import HierarchicalMatcher
from aitom_cryosam.networks import check_resources
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.particle_size import centred, particle_diameter
from aitom_cryosam.picks import Picks
from aitom_cryosam.progress import Progress
from aitom_cryosam.propagator import Propagator
from aitom_cryosam.regions import Regions, located
from aitom_cryosam.resources import Resources
from aitom_cryosam.result import Result
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.scoring.rejects import BY_HAND
from aitom_cryosam.scoring.suggestions import suggested
from aitom_cryosam.scoring.verdict import decided, judged, ranked, same, scored
from aitom_cryosam.semantic import particle_probability
from aitom_cryosam.settings import Settings
from aitom_cryosam.stages import Stages
from aitom_cryosam.targets import PARTICLE
from aitom_cryosam.tomogram import Tomogram


class CryoSAM:
    """Picks every copy of a particle that a few prompts point at.

    Args:
        settings: all switches; `Settings.of()`, the best that the machine can run, if None.
        resources: device (must exist), memory, cache and checkpoints; the machine's if None.
        progress: shown how far each stage is.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        resources: Resources | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.resources = resources or Resources()
        self.settings = settings or Settings.of(resources=self.resources)
        expect_kind(self.settings, Settings, 'settings, as Settings.of("embedded") gives')
        expect_kind(self.resources, Resources, 'resources, as Resources(device="cpu")')
        check_resources(self.resources, [model.name for model in self.settings.networks])
        self.progress = progress

    def pick(
        self,
        tomogram: Tomogram,
        prompts: Picks | Sequence[Sequence[float]] = (),
        *,
        rejects: Picks | Sequence[Sequence[float]] = (),
        query: ParticleQuery | None = None,
        regions: Regions | None = None,
        suggest: int = 0,
    ) -> Result:
        """Run the method on one tomogram.

        Args:
            tomogram: (D, H, W).
            prompts: points on particles of one kind, or n rows of x, y, z in voxels; none if
                there is a query.
            rejects: likewise, on what is something else; so is all that is more like it.
            query: of particles that were clicked elsewhere; they and the prompts count alike.
            regions: where picks may lie; what lies elsewhere is no background either.
            suggest: number of places to ask about, those that would help most.

        Returns:
            Every proposal with its verdict, the masks of the picks, and how it came about.

        Raises:
            InputError: there is neither prompt nor query, no prompt gives a mask, a rejected
                place is on one, the query does not fit the run, or a network cannot be run.
        """
        prompts = prompting.as_picks(tomogram, prompts, query)
        prompting.check_asked(regions, suggest)
        stages = Stages()
        with stages.measure("weights"):
            networks = checkpoints.used(self.settings.networks, self.resources.checkpoints)
        with stages.measure("diameter"):
            settings = prompting.sized(self.settings, query, tomogram.contrast)
            diameter_voxels = particle_diameter(tomogram, prompts.points_zyx, settings)
            planned(tomogram, settings, diameter_voxels, self.resources)  # refused before any work
            rejects = prompting.as_rejects(tomogram, rejects, prompts, diameter_voxels)
        walks = self.propagator(tomogram, diameter_voxels)
        with stages.measure("prompt masks"):
            prompts, prompt_masks = prompting.prompted(walks, tomogram, prompts, self.progress)
            worth = clicks.looked_at(tomogram, prompts, prompt_masks, diameter_voxels)
        with stages.measure("features"):
            features = self.features(tomogram, diameter_voxels)
        with stages.measure("matching"):
            if query is not None:
                query.require(features.signature, tomogram.contrast, settings.pooling)
            if len(prompts):
                clicked = prompting.particle_query(
                    tomogram, features, prompts, prompt_masks, diameter_voxels, settings
                )
                query = clicked if query is None else ParticleQuery.merged([clicked, query])
            assert query is not None  # as_picks has seen to it
            query = prompting.rejecting(query, tomogram, features, rejects, diameter_voxels)
            maxima, proposals = self.match(features, query.vector, diameter_voxels, regions)
            ratio = settings.levels(diameter_voxels)[-1]
            trace = prompting.traced(features, query.vector, prompt_masks, maxima, ratio)
        with stages.measure("centring"):
            if self.settings.centring:
                proposals = centred(tomogram, proposals, diameter_voxels)
        with stages.measure("verdict"):
            places = Places.of(tomogram, features, proposals, maxima, diameter_voxels)
            worth = clicks.compared(worth, prompts, query.instances, places)
            own = same(proposals.points_zyx, prompts.points_zyx[prompts.kept], diameter_voxels)
            verdict = judged(places, query.instances, own, query.shapes, settings.encoder)
            there = same(proposals.points_zyx, rejects.points_zyx, diameter_voxels)
            proposals = scored(proposals, verdict).reject(there, BY_HAND)
            proposals = decided(located(proposals, regions), verdict, settings)
            proposals = prompting.without_like_rejected(query, proposals, places, own, settings)
            settled = own | clicks.cut_off(tomogram, proposals.points_zyx, diameter_voxels)
            proposals = suggested(proposals, places, query.instances, settled, suggest)
        with stages.measure("proposal masks"):
            wanted = proposals.kept | self.settings.all_masks
            masks = propagator.masks_of(
                walks, tomogram, proposals, wanted, self.progress, "proposal masks"
            )
            proposals = propagator.without_mask(
                proposals, masks, own | (settings.mask_fallback == "all")
            )
            proposals, masks = ranked(
                proposals, masks, PARTICLE.spacing * diameter_voxels, settings.position
            )
            propagator.warn_of_balls(masks)
            dense = settings.semantic == "dense"
            probability = particle_probability(features, query.vector, masks) if dense else None
        return Result(
            tomogram=tomogram,
            settings=settings,
            diameter_angstrom=diameter_voxels * tomogram.voxel_size,
            prompts=prompts,
            rejects=rejects,
            prompt_masks=prompt_masks,
            worth=tuple(worth),
            query=query,
            proposals=proposals,
            by_clusters=verdict.against_odds and settings.cut == "auto" and settings.fdr is None,
            masks=masks,
            stages=stages,
            networks=networks,
            trace=trace,
            probability=probability,
        )

    def query(
        self,
        tomogram: Tomogram,
        prompts: Picks | Sequence[Sequence[float]],
        *,
        rejects: Picks | Sequence[Sequence[float]] = (),
    ) -> ParticleQuery:
        """What the clicked particles look like, to look for them in other tomograms.

        Args:
            tomogram: (D, H, W).
            prompts: points on particles of one kind, or n rows of x, y, z in voxels.
            rejects: likewise, on what is something else.

        Raises:
            InputError: as for `pick`.
        """
        prompts = prompting.as_picks(tomogram, prompts)
        diameter_voxels = particle_diameter(tomogram, prompts.points_zyx, self.settings)
        rejects = prompting.as_rejects(tomogram, rejects, prompts, diameter_voxels)
        walks = self.propagator(tomogram, diameter_voxels)
        prompts, masks = prompting.prompted(walks, tomogram, prompts, self.progress)
        features = self.features(tomogram, diameter_voxels)
        found = prompting.particle_query(
            tomogram, features, prompts, masks, diameter_voxels, self.settings
        )
        return prompting.rejecting(found, tomogram, features, rejects, diameter_voxels)

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
        query: np.ndarray,
        diameter_voxels: float,
        regions: Regions | None = None,
    ) -> tuple[Picks, Picks]:
        """Where the features resemble the query (2.3).

        Args:
            features: of the tomogram.
            query: (3C,) F_Q of eq. 4.
            diameter_voxels: voxels, of the particle.
            regions: where maxima count.

        Returns:
            All maxima of the similarity at the finest level, and the proposals.
        """
        matcher = HierarchicalMatcher.of(self.settings, diameter_voxels)
        similarity = Query(features, query)
        found, maxima = matcher.match(similarity), matcher.everywhere.match(similarity)
        if regions is not None:
            found, maxima = (some.take(regions.allows(some.points_zyx)) for some in (found, maxima))
        return maxima, found.take(np.arange(len(found)) < self.settings.top_k)
