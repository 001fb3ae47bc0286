"""CryoSAM: the steps of the paper in their order (its figure 1), the first ones by `Search`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from aitom_cryosam import checkpoints, competition, prompting, propagator
from aitom_cryosam.errors import expect_kind
from aitom_cryosam.networks import check_given
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.particle_size import particle_size
from aitom_cryosam.picks import Picks
from aitom_cryosam.progress import Progress
from aitom_cryosam.regions import Regions
from aitom_cryosam.resources import Resources
from aitom_cryosam.result import Result
from aitom_cryosam.scoring.verdict import ranked
from aitom_cryosam.search import Found, Request, Search
from aitom_cryosam.semantic import particle_probability
from aitom_cryosam.settings import Settings
from aitom_cryosam.stages import Stages
from aitom_cryosam.targets import PARTICLE
from aitom_cryosam.tomogram import Tomogram


class CryoSAM(Search):
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
        resources = resources or Resources()
        settings = settings or Settings.of(resources=resources)
        expect_kind(settings, Settings, 'settings, as Settings.of("embedded") gives')
        expect_kind(resources, Resources, 'resources, as Resources(device="cpu")')
        check_given(resources, [model.name for model in settings.networks], settings.unused)
        super().__init__(settings, resources, progress)

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
        prompting.check_search(regions, suggest)
        stages = Stages()
        with stages.measure("weights"):
            networks = checkpoints.used(self.settings.networks, self.resources.checkpoints)
            settings = prompting.sized(self.settings, query, tomogram.contrast)
        request = Request(prompts, rejects, query, regions, suggest)
        found = self._best(tomogram, request, settings, stages)
        proposals, diameter_voxels = found.proposals, found.diameter_voxels
        with stages.measure("proposal masks"):
            walks = found.walks or self.propagator(tomogram, diameter_voxels)
            wanted = proposals.kept | settings.all_masks
            masks = propagator.masks_of(walks, tomogram, proposals, wanted, self.progress)
            proposals = propagator.without_mask(
                proposals, masks, found.is_prompt | (settings.mask_fallback == "all")
            )
            proposals, masks = ranked(
                proposals, masks, PARTICLE.spacing * diameter_voxels, settings.position
            )
            propagator.warn_of_balls(masks)
            probability = None
            if settings.semantic == "dense":
                features = found.features or self.features(tomogram, diameter_voxels)
                probability = particle_probability(features, found.query.vector, masks)
        return Result(
            tomogram=tomogram,
            settings=settings,
            diameter_angstrom=diameter_voxels * tomogram.voxel_size,
            prompts=found.prompts,
            rejects=found.rejects,
            prompt_masks=found.prompt_masks,
            worth=tuple(found.worth),
            query=found.query,
            proposals=proposals,
            by_clusters=found.verdict.against_odds
            and settings.cut == "auto"
            and settings.fdr is None,
            masks=masks,
            stages=stages,
            networks=networks,
            trace=found.trace,
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
        request = Request(prompting.as_picks(tomogram, prompts), rejects)
        return self._best(tomogram, request, self.settings, Stages(), sure=math.inf).query

    def _best(
        self,
        tomogram: Tomogram,
        request: Request,
        settings: Settings,
        stages: Stages,
        sure: float = competition.SURE,
    ) -> Found:
        """What is found at the particle's diameter; where that is unsure, at the best of some."""
        with stages.measure("diameter"):
            size = particle_size(tomogram, request.prompts.points_zyx, settings)
        if request.query is not None and not request.query.aside:
            settings = replace(settings, looks=1)
        look = partial(self.at, tomogram, request, settings, stages)
        return competition.best(look, size, tomogram.voxel_size, settings, sure=sure)
