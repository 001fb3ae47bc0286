"""Refinement: the proposals judged a second time, with the average of the picks as template.

The first reference of that average is made of the clicks alone, and the earlier verdict stays
where the halves of the average do not agree, where the correlations with it do not form
two groups, or where the clicked particles are not among those that it finds: then it has drifted
to something else.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.averaging import FEWEST, Averaging
from aitom_cryosam.averaging.full_search import with_new_places
from aitom_cryosam.averaging.likely import with_likely
from aitom_cryosam.averaging.look_alikes import without_look_alikes, without_weak_places
from aitom_cryosam.averaging.particles import Particles
from aitom_cryosam.averaging.reference import Reference
from aitom_cryosam.averaging.rescoring import CLICKS, Rescored, rescored, with_buried
from aitom_cryosam.averaging.settings import AveragingSettings
from aitom_cryosam.averaging.sources import (
    CORRELATION,
    Source,
    box_of,
    oriented,
    particles_of,
    warn_of_missing_masks,
)
from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.picks import UNLIKE_AVERAGE, Picks
from aitom_cryosam.progress import Progress
from aitom_cryosam.resources import Resources
from aitom_cryosam.targets import PARTICLE

logger = logging.getLogger(__name__)

DETAIL = 3.0  # of the diameter, that the halves must agree to
LOSS = 1.2  # of the resolution, that a new set of picks may cost
BETTER = 0.5  # of the picks, that are averaged where clicks show which these are


@dataclass(frozen=True, eq=False)
class Refined:
    """What a second look made of the proposals.

    Attributes:
        average: of the picks that are believed in the end.
        proposals: of each tomogram, with rotations and correlations; scores and probabilities
            are of both looks together, unless the earlier verdict stays.
        masks: of the picks that have none of their own, the average's mask in their place.
        kept_earlier: why the earlier verdict stays, empty if it does not.
    """

    average: Average
    proposals: list[Picks]
    masks: list[list[ParticleMask]]
    kept_earlier: str


def refined(
    sources: Sequence[Source],
    proposals: Sequence[Picks],
    settings: AveragingSettings,
    *,
    first: Reference | None = None,
    full: Resources | None = None,
    progress: Progress | None = None,
) -> Refined:
    """Average the picks, score every proposal with the average, and decide anew.

    Args:
        sources: the picks of each tomogram.
        proposals: of each tomogram, picks among them, by the same ids.
        settings: of the averages.
        first: reference to begin with, in place of the clicks' average.
        full: what a search of the whole tomograms for more proposals may use; None for none.
        progress: told of every step.

    Raises:
        InputError: as for `Averaging`, or the memory does not suffice for the search.
    """
    _, voxel_size = box_of(sources, settings.diameter)
    sources = with_likely(sources, proposals, settings.diameter)
    particles = particles_of(sources, settings.diameter)
    warn_of_missing_masks(particles)
    average, whole = _averages(particles, voxel_size, settings, first, progress)
    picks = oriented(sources, average, particles, settings.diameter)

    def unchanged(why: str) -> Refined:
        """The earlier verdict, with what the average says of its picks."""
        return Refined(whole, _turned(proposals, picks), [[] for _ in proposals], why)

    averaged = "the picks" if average is whole else "the better half of the picks"
    if average.resolution > settings.diameter / DETAIL:
        why = (
            f"the halves of {averaged} agree to {average.resolution_text} only, where "
            f"{settings.diameter / DETAIL:.0f} Å would show the particle"
        )
        return unchanged(why)
    clicked = [
        one.rows_at_clicks(every.points_zyx, settings.diameter)
        for one, every in zip(sources, proposals, strict=True)
    ]
    scores = _scores(sources, proposals, picks, clicked, average, settings, progress)
    if why := drifted(sources, proposals, scores, settings.diameter):
        return unchanged(why)
    every = list(proposals)
    if full is not None:
        searched = [
            with_new_places(one, some, score, average, settings, full, progress=progress)
            for one, some, score in zip(sources, proposals, scores, strict=True)
        ]
        every, scores = map(list, zip(*searched, strict=True))
    decided = judged(sources, every, scores, clicked, average, settings)
    chosen = [
        replace(one, picks=some.take(some.kept).best_first())
        for one, some in zip(sources, decided, strict=True)
    ]
    particles = particles_of(chosen, settings.diameter)
    if sum(len(one.subvolumes) for one in particles) < FEWEST:
        logger.info("Fewer than %d particles are left: the average stays as it was.", FEWEST)
        return Refined(whole, decided, _missing_masks(sources, decided, whole), "")
    again = _averaged_again(particles, voxel_size, settings, average, progress)
    if again.resolution > LOSS * average.resolution:
        why = (
            f"the halves of the new picks agree to {again.resolution_text}, those of {averaged} "
            f"before to {average.resolution_text}"
        )
        return unchanged(why)
    results = _turned(decided, oriented(chosen, again, particles, settings.diameter))
    return Refined(again, results, _missing_masks(sources, results, again), "")


def _averages(
    particles: Sequence[Particles],
    voxel_size: float,
    settings: AveragingSettings,
    first: Reference | None,
    progress: Progress | None,
) -> tuple[Average, Average]:
    """The one that proposals are scored with, and that of all picks; often the same.

    Picks of which half are another kind make an average of both. Where several were clicked, the
    half of the picks that correlates best is averaged; what is like a single click, its noise or
    its turn may say.
    """
    several = sum(len(one.clicks) for one in particles) >= CLICKS
    better = replace(settings, share=BETTER) if several else settings
    work = Averaging(particles, voxel_size, better, progress=progress)
    average = work.run(first)
    return average, average if average.members is None else work.averaged(average.poses)


def _averaged_again(
    particles: Sequence[Particles],
    voxel_size: float,
    settings: AveragingSettings,
    average: Average,
    progress: Progress | None,
) -> Average:
    """The new picks, from the average on: in fewer rounds, as that is near its end already."""
    short = replace(settings, iterations=min(settings.iterations, 2))
    begin = Reference(average.volume * average.mask)
    return Averaging(particles, voxel_size, short, progress=progress).run(begin)


def _scores(
    sources: Sequence[Source],
    proposals: Sequence[Picks],
    picks: Sequence[Picks],
    clicked: Sequence[np.ndarray],
    average: Average,
    settings: AveragingSettings,
    progress: Progress | None,
) -> list[Rescored]:
    """Of the proposals, each with the half of the average that it is not in."""
    return [
        rescored(
            one.tomogram,
            every,
            average,
            settings,
            one.wedge,
            own_half=_own_half(every, some),
            clicked=rows,
            progress=progress,
        )
        for one, every, some, rows in zip(sources, proposals, picks, clicked, strict=True)
    ]


def judged(
    sources: Sequence[Source],
    proposals: Sequence[Picks],
    scores: Sequence[Rescored],
    clicked: Sequence[np.ndarray],
    average: Average,
    settings: AveragingSettings,
) -> list[Picks]:
    """The proposals decided anew; as before where a tomogram's correlations do not tell.

    Args:
        sources: of each tomogram.
        proposals: kept as they were before.
        scores: of the proposals.
        clicked: of each tomogram, (c,) rows of proposals, -1 for a click without one.
        average: that they were scored with.
        settings: of the average.
    """
    told = [row for row, score in enumerate(scores) if score.separates]
    some, every = [sources[row] for row in told], [proposals[row] for row in told]
    better = [scores[row] for row in told]
    better, alike = without_look_alikes(some, every, better, average, settings)
    if alike:
        logger.warning(
            "%d places correlate with the average as the picks do, but resemble each other more "
            "than they resemble the picks: a look-alike. They stay left out.",
            alike,
        )
    better, weak = without_weak_places(every, better, [clicked[row] for row in told])
    if weak:
        logger.info(
            "%d places that had not been picked correlate with the average less than picks and "
            "clicks do, or than picks do that hardly stand out themselves; they stay left out.",
            weak,
        )
    if len(told) < len(scores):
        logger.warning(
            "In %d of %d tomograms the proposals' correlations with the average do not form two "
            "groups; there the picks stay as they were.",
            len(scores) - len(told),
            len(scores),
        )
    result = [
        replace(
            each,
            rotations=score.poses.rotations,
            extra=_with_correlation(each, score.poses.scores),
        )
        for each, score in zip(proposals, scores, strict=True)
    ]
    for row, one, each, score in zip(told, some, every, better, strict=True):
        distance = PARTICLE.spacing * settings.diameter / one.tomogram.voxel_size
        result[row] = _decided(result[row], with_buried(each, score), distance)
    return result


def drifted(
    sources: Sequence[Source],
    proposals: Sequence[Picks],
    scores: Sequence[Rescored],
    diameter: float,
) -> str:
    """Why the scores are not to be believed; empty if they are.

    Args:
        sources: with the user's clicks.
        proposals: of each tomogram.
        scores: of the proposals.
        diameter: Å.
    """
    if not any(one.separates for one in scores):
        return "the proposals' correlations with the average do not form two groups"
    found = []
    for one, every, score in zip(sources, proposals, scores, strict=True):
        if not score.separates:
            continue
        rows = one.rows_at_clicks(every.points_zyx, diameter)
        found += score.probabilities[rows[rows >= 0]].tolist()
    if found and np.mean(np.array(found) > 0.5) < 0.5:
        return (
            f"{sum(value <= 0.5 for value in found)} of {len(found)} clicked particles are unlike "
            "the average, which may be of a more frequent look-alike"
        )
    return ""


def _own_half(proposals: Picks, picks: Picks) -> np.ndarray:
    """(n,) the half of the average that a proposal is in, -1 if in none."""
    halves = {
        number: int(half) - 1
        for number, half, kept in zip(
            picks.ids.tolist(), picks.extra["rlnRandomSubset"], picks.kept, strict=True
        )
        if kept
    }
    return np.array([halves.get(number, -1) for number in proposals.ids.tolist()], np.int64)


def _decided(proposals: Picks, score: Rescored, distance: float) -> Picks:
    """The new verdict: positions, scores, probabilities, reasons."""
    believed = score.probabilities > 0.5
    reasons = tuple(
        "" if now else (UNLIKE_AVERAGE if before else old)
        for now, before, old in zip(believed, proposals.kept, proposals.reasons, strict=True)
    )
    result = replace(
        proposals,
        points_zyx=np.where(believed[:, None], score.points_zyx, proposals.points_zyx),
        scores=score.odds,
        probabilities=score.probabilities,
        kept=believed,
        reasons=reasons,
    )
    return result.one_per_particle(distance)


def _turned(proposals: Sequence[Picks], picks: Sequence[Picks]) -> list[Picks]:
    """Proposals with place, rotation and correlation of those that were averaged."""
    result = []
    for every, some in zip(proposals, picks, strict=True):
        rows = {number: row for row, number in enumerate(every.ids.tolist())}
        place = np.array([rows[number] for number in some.ids.tolist()], np.int64)
        assert some.rotations is not None
        start = every.rotations or Rotation.identity(len(every))
        quaternions, points = start.as_quat(), every.points_zyx.copy()
        quaternions[place], points[place] = some.rotations.as_quat(), some.points_zyx
        correlations = np.array(every.extra.get(CORRELATION, ["0"] * len(every)), float)
        correlations[place] = np.array(some.extra[CORRELATION], float)
        result.append(
            replace(
                every,
                points_zyx=points,
                rotations=Rotation.from_quat(quaternions),
                extra=_with_correlation(every, correlations),
            )
        )
    return result


def _with_correlation(picks: Picks, correlations: np.ndarray) -> dict[str, tuple[str, ...]]:
    return {**picks.extra, CORRELATION: tuple(f"{value:.4f}" for value in correlations)}


def _missing_masks(
    sources: Sequence[Source], proposals: Sequence[Picks], average: Average
) -> list[list[ParticleMask]]:
    """The average's mask in the place of each pick without a mask."""
    masks = []
    for one, every in zip(sources, proposals, strict=True):
        known = {mask.id for mask in one.masks if mask.volume}
        rotations = every.rotations or Rotation.identity(len(every))
        numbers = every.ids.tolist()
        masks.append(
            [
                placed_mask(one, average, numbers[row], every.points_zyx[row], rotations[row])
                for row in np.flatnonzero(every.kept).tolist()
                if numbers[row] not in known
            ]
        )
    return masks


def placed_mask(
    source: Source, average: Average, number: int, point_zyx: np.ndarray, rotation: Rotation
) -> ParticleMask:
    """The average's mask turned into the tomogram.

    Args:
        source: of the tomogram.
        average: whose mask it is.
        number: id of the mask.
        point_zyx: (3,) voxels, where the average's middle lies.
        rotation: of the average.
    """
    factor = average.voxel_size / source.tomogram.voxel_size
    size = len(average.mask)
    reach = int(np.ceil(size / 2 * factor))
    middle = nearest_voxel(point_zyx)
    lower = np.clip(middle - reach, 0, source.tomogram.shape)
    upper = np.clip(middle + reach + 1, 0, source.tomogram.shape)
    grid = np.stack(np.meshgrid(*map(np.arange, lower, upper), indexing="ij"), axis=-1)
    offsets_xyz = (grid - point_zyx)[..., ::-1] @ rotation.as_matrix() / factor  # R^-1 r
    voxels = nearest_voxel(offsets_xyz[..., ::-1]) + size // 2
    inside = ((voxels >= 0) & (voxels < size)).all(axis=-1)
    voxels = np.clip(voxels, 0, size - 1)
    mask = inside & (average.mask[tuple(np.moveaxis(voxels, -1, 0))] > 0.5)
    return ParticleMask(number, np.asarray(point_zyx, np.float64), lower, mask, 0.0)
