"""Prompting: from clicks to what the clicked particles look like (sections 2.1 and 2.3)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral

import numpy as np

from aitom_cryosam.errors import InputError, expect_kind
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.features.query import Query
from aitom_cryosam.geometry import as_typed
from aitom_cryosam.masks import ParticleMask, cores
from aitom_cryosam.models import JUDGED
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.picks import NO_MASK, Picks
from aitom_cryosam.points.prompts import PROMPT, REJECTED, refuse_misplaced
from aitom_cryosam.progress import Progress
from aitom_cryosam.propagator import Propagator
from aitom_cryosam.regions import Regions
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.scoring.chance import chance_level
from aitom_cryosam.scoring.harmonics import powers
from aitom_cryosam.scoring.instances import pooled
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.scoring.rejects import without_like
from aitom_cryosam.scoring.verdict import SAME
from aitom_cryosam.settings import Settings
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.trace import Trace
from aitom_cryosam.wording import listed

logger = logging.getLogger(__name__)


def as_picks(
    tomogram: Tomogram,
    prompts: Picks | Sequence[Sequence[float]],
    query: ParticleQuery | None = None,
) -> Picks:
    """Prompts as points.

    Args:
        tomogram: to lie in.
        prompts: points, or n rows of x, y, z in voxels.
        query: beside which there may be none.

    Raises:
        InputError: there is none, they are no points or lie outside, or another argument is not
            of its kind.
    """
    expect_kind(tomogram, Tomogram, "a tomogram, as Tomogram.open(path) gives")
    if query is not None:
        expect_kind(query, ParticleQuery, "a query, as ParticleQuery.read(path) gives")
        if not isinstance(prompts, Picks) and len(prompts) == 0:
            return Picks.none()
    return _points(tomogram, prompts, PROMPT)


def check_search(regions: Regions | None, suggest: int) -> None:
    """Refuse what would be found to be none after minutes.

    Args:
        regions: where picks may lie.
        suggest: number of places to ask about.

    Raises:
        InputError: one is not of its kind.
    """
    if regions is not None:
        expect_kind(regions, Regions, "regions, as RegionRules(...).of(tomogram) gives")
    expect_kind(suggest, Integral, "a number of suggestions")
    if suggest < 0:
        raise InputError(f"Expected a number of suggestions from 0, got {suggest}.")


def as_rejects(
    tomogram: Tomogram,
    rejects: Picks | Sequence[Sequence[float]],
    prompts: Picks,
    diameter_voxels: float,
) -> Picks:
    """Rejected places as points.

    Args:
        tomogram: to lie in.
        rejects: points, or n rows of x, y, z in voxels, or none.
        prompts: that they may not lie on.
        diameter_voxels: of the particle.

    Raises:
        InputError: they are no points, lie outside, or one lies on a prompt.
    """
    if len(rejects) == 0:
        return Picks.none()
    found = _points(tomogram, rejects, REJECTED)
    for point in found.points_zyx:
        gaps = np.linalg.norm(prompts.points_zyx - point, axis=1)
        if len(gaps) and gaps.min() < SAME * diameter_voxels:
            raise InputError(
                f"The rejected place {as_typed(point)} lies on the particle of the prompt "
                f"{as_typed(prompts.points_zyx[gaps.argmin()])}; leave one of them out."
            )
    return found


def rejecting(
    query: ParticleQuery,
    tomogram: Tomogram,
    features: TriplanarFeatures,
    rejects: Picks,
    diameter_voxels: float,
) -> ParticleQuery:
    """The query with what is at some places of a tomogram said to be something else.

    Args:
        query: of the kind.
        tomogram: (D, H, W).
        features: of the tomogram.
        rejects: r places.
        diameter_voxels: of the particle.
    """
    points = rejects.points_zyx
    return query.rejecting(
        pooled(features, points, diameter_voxels), powers(tomogram, points, diameter_voxels)
    )


def without_rejected(
    query: ParticleQuery,
    proposals: Picks,
    places: Places,
    is_prompt: np.ndarray,
    settings: Settings,
) -> Picks:
    """Proposals without those that are more like what the query rejects than like its clicks.

    Args:
        query: of the kind.
        proposals: n, with the scores and the decisions of the verdict.
        places: the same, and background.
        is_prompt: (n,) bool, proposals that are a prompted particle itself.
        settings: the encoder; an embedding was learned with the features of one.
    """
    shapes = (query.shapes, query.rejected_shapes) if settings.encoder == JUDGED else None
    return without_like(query.rejected, proposals, places, query.instances, is_prompt, shapes)


def _points(tomogram: Tomogram, rows: Picks | Sequence[Sequence[float]], kind: str) -> Picks:
    found = rows if isinstance(rows, Picks) else _from_rows(rows, kind)
    refuse_misplaced(found.points_zyx, tomogram, kind)
    return found


def _from_rows(rows: Sequence[Sequence[float]], kind: str) -> Picks:
    names = [str(name) for name in getattr(rows, "columns", "xyz")]  # a DataFrame has its own
    if [name[-1:].lower() for name in names] != [*"xyz"] and names != [*"012"]:
        raise InputError(f"Expected a table of {kind}s with columns x, y, z, got {listed(names)}.")
    try:
        points_xyz = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"Expected {kind}s as n rows of the numbers x, y, z, got {str(rows)[:50]}."
        ) from None
    if points_xyz.ndim != 2 or points_xyz.shape[1] != 3 or len(points_xyz) == 0:
        raise InputError(f"Expected {kind}s as n rows of x, y, z, got {points_xyz.shape}.")
    return Picks.from_points(points_xyz[:, ::-1])


def prompted(
    walks: Propagator, tomogram: Tomogram, prompts: Picks, progress: Progress | None = None
) -> tuple[Picks, list[ParticleMask]]:
    """Make the prompts' masks.

    Returns:
        The prompts, those without a mask not kept, and a mask of each.

    Raises:
        InputError: there are prompts, and none of them has a mask.
    """
    masks = walks.propagate(tomogram, prompts.points_zyx, progress=progress, stage="prompt masks")
    return _segmented(prompts, masks), masks


def _segmented(prompts: Picks, masks: list[ParticleMask]) -> Picks:
    """The prompts, those without a mask left out; refused if that is each of them."""
    if not len(prompts):
        return prompts
    balls = [mask for mask in masks if mask.is_ball]
    if balls:
        where, why = _where(balls), _why(balls)
        logger.warning(
            "No mask was found at %s%s; a ball of the particle's diameter takes its place.",
            where,
            why,
        )
    empty = [mask for mask in masks if not mask.volume]
    if empty:
        left_out = "it is left out" if len(empty) == 1 else "they are left out"
        logger.warning("No particle was found at %s%s; %s.", _where(empty), _why(empty), left_out)
    if len(empty) == len(masks):
        remedy = Remedy.NEARER_PROMPT_OR_WINDOW if _why(empty) else Remedy.NEARER_PROMPT
        raise InputError("No particle was found at any prompt", remedy)
    return prompts.reject([not mask.volume for mask in masks], NO_MASK)


def _where(masks: Sequence[ParticleMask]) -> str:
    places = listed(as_typed(mask.prompt_zyx) for mask in masks)
    return f"the prompt {places}" if len(masks) == 1 else f"{len(masks)} prompts ({places})"


def _why(masks: Sequence[ParticleMask]) -> str:
    """Empty if it is not the same for all."""
    wide = all("size limit" in mask.stops.values() for mask in masks)
    return ": the outline is wider than the particle" if wide else ""


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
    points_zyx = prompts.points_zyx[prompts.kept]
    instances = pooled(features, points_zyx, diameter_voxels)
    shapes = powers(tomogram, points_zyx, diameter_voxels)
    return ParticleQuery(
        vector=vector,
        prompt_features=each,
        prompts_zyx=prompts.points_zyx,
        instances=instances,
        shapes=shapes,
        rejected=instances[:0],
        rejected_shapes=shapes[:0],
        diameter_angstrom=diameter_voxels * tomogram.voxel_size,
        voxel_size=tomogram.voxel_size,
        contrast=tomogram.contrast,
        pooling=settings.pooling,
        signature=features.signature,
        sources=(tomogram.name,),
    )


def traced(similarity: Query, masks: Sequence[ParticleMask], maxima: Picks, ratio: int) -> Trace:
    """What led to the proposals, in the planes through the first prompt that was used.

    Without a prompt, through the best maximum.

    Args:
        similarity: of the tomogram with F_Q of eq. 4.
        masks: of the prompts.
        maxima: all of the similarity.
        ratio: voxels of a cell of the finest level.
    """
    clicked = [mask.prompt_zyx for mask in masks if mask.volume]
    middle = (np.array(similarity.features.shape) - 1) / 2
    centre = [*clicked, *maxima.best_first().points_zyx[:1], middle][0]
    cells = similarity.similarity(ratio)
    return Trace.of(masks, centre, ratio, cells, chance_level(maxima.scores))
