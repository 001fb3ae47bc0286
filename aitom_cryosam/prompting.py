"""Prompting: from clicks to what the clicked particles look like (sections 2.1 and 2.3)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aitom_cryosam.errors import InputError, Remedy
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.masks import ParticleMask, cores
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.picks import Picks
from aitom_cryosam.scoring.instances import pooled
from aitom_cryosam.settings import Settings
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

MOST_WARNINGS = 5
"""Prompts without a mask that are named one by one."""


def as_picks(
    prompts: Picks | Sequence[Sequence[float]], query: ParticleQuery | None = None
) -> Picks:
    """Prompts as points.

    Args:
        prompts: points, or n rows of x, y, z in voxels.
        query: beside which there may be none.

    Raises:
        InputError: there is none, or they are no points.
    """
    if isinstance(prompts, Picks):
        return prompts
    if query is not None and len(prompts) == 0:
        return Picks.from_points(np.zeros((0, 3)))
    points_xyz = np.asarray(prompts, dtype=np.float64)
    if points_xyz.ndim != 2 or points_xyz.shape[1] != 3 or len(points_xyz) == 0:
        raise InputError(f"Expected prompts as n rows of x, y, z, got {points_xyz.shape}.")
    return Picks.from_points(points_xyz[:, ::-1])


def segmented(prompts: Picks, masks: list[ParticleMask]) -> Picks:
    """The prompts, those without a mask left out.

    Args:
        prompts: n.
        masks: n, of the prompts.

    Raises:
        InputError: there are prompts, and none of them has a mask.
    """
    if not len(prompts):
        return prompts
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
        remedy = Remedy.NEARER_PROMPT_OR_WINDOW if why else Remedy.NEARER_PROMPT
        raise InputError("No particle was found at any prompt", remedy)
    return prompts.reject(empty, "no mask")


def sized(settings: Settings, query: ParticleQuery | None, contrast: str) -> Settings:
    """The settings with the query's diameter, where they have none of their own.

    Args:
        settings: of the run.
        query: of particles that were clicked elsewhere.
        contrast: of the tomogram.

    Raises:
        InputError: the query does not fit them, as far as that can be told without features.
    """
    if query is None:
        return settings
    features = {"encoder": {"encoder": settings.encoder}, "shrinkage": settings.shrinkage}
    query.require(features, contrast, settings.pooling, whole=False)
    if settings.diameter_angstrom is not None:
        return settings
    return replace(settings, diameter_angstrom=query.diameter_angstrom)


def particle_query(
    tomogram: Tomogram,
    features: TriplanarFeatures,
    prompts: Picks,
    masks: Sequence[ParticleMask],
    diameter_voxels: float,
    settings: Settings,
) -> ParticleQuery:
    """F_Q of eq. 4, and what goes with it.

    Args:
        tomogram: that the prompts are in.
        features: of it.
        prompts: n, at least one of them kept.
        masks: n, of the prompts.
        diameter_voxels: of the particle.
        settings: say over which voxels of a mask is averaged.
    """
    masks = cores(list(masks), diameter_voxels) if settings.pooling == "core" else masks
    vector, each = features.pool(masks)
    return ParticleQuery(
        vector=vector,
        prompt_features=each,
        prompts_zyx=prompts.points_zyx,
        instances=pooled(features, prompts.points_zyx[prompts.kept], diameter_voxels),
        diameter_angstrom=diameter_voxels * tomogram.voxel_size,
        voxel_size=tomogram.voxel_size,
        contrast=tomogram.contrast,
        pooling=settings.pooling,
        signature=features.signature,
        sources=(tomogram.name,),
    )
