"""Full search: places of a tomogram that resemble the average, but were never proposed.

Features propose what looks like the clicks in three planes; what lies among neighbours or at the
sample's surface may not. Its proposals are judged by the same rule as all others.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.poses import Poses
from aitom_cryosam.averaging.rescoring import (
    PRIORS,
    SHIFT,
    Rescored,
    combined,
    prior_of,
    rescored,
)
from aitom_cryosam.averaging.score_map import ScoreMap, score_map
from aitom_cryosam.averaging.settings import AveragingSettings
from aitom_cryosam.averaging.sources import Source
from aitom_cryosam.device import Device
from aitom_cryosam.picks import Picks, apart_from, joined
from aitom_cryosam.progress import Progress
from aitom_cryosam.resources import Resources
from aitom_cryosam.targets import PARTICLE

logger = logging.getLogger(__name__)

ORIGIN = "cryosamOrigin"
"""Column: what proposed a place."""
FEATURES, AVERAGE = "features", "average"
NOT_PROPOSED = "not proposed"


def with_new_places(
    source: Source,
    proposals: Picks,
    score: Rescored,
    average: Average,
    settings: AveragingSettings,
    resources: Resources,
    *,
    progress: Progress | None = None,
) -> tuple[Picks, Rescored]:
    """The proposals and, after them, maxima of the score map that are none of them.

    A new place scores nearer to the believed ones than to the map's other maxima, and lies
    farther from every proposal than that is shifted. Before it is judged it is not kept, and as
    unlikely as any proposal can be.

    Returns:
        The proposals with the new ones after them, and the scores of all.

    Raises:
        InputError: the memory does not suffice.
    """
    device = Device.choose(resources)
    found = score_map(
        source.tomogram,
        average,
        source.wedge,
        diameter=settings.diameter,
        step=settings.step,
        device=device.name,
        memory=device.limit,
        progress=progress,
    )
    new = _new_places(source, proposals, score, found, settings.diameter)
    logger.info(
        "%s: %d places that were never proposed score nearly as high as particles.",
        source.tomogram.name,
        len(new),
    )
    if not len(new):
        return _of_origin(proposals, FEATURES), score
    more = rescored(source.tomogram, new, average, settings, source.wedge, progress=progress)
    every = joined([_of_origin(proposals, FEATURES), _of_origin(new, AVERAGE)])
    poses = Poses.joined([score.poses, more.poses])
    background = np.concatenate([score.background, more.background])
    prior = np.concatenate([prior_of(proposals), np.full(len(new), PRIORS[0])])
    clicked = source.rows_at_clicks(proposals.points_zyx, settings.diameter)
    expected = np.concatenate([score.expected, more.expected])
    odds, apart = combined(poses.scores, background, prior, clicked, expected=expected)
    points = np.concatenate([score.points_zyx, more.points_zyx])
    return every, Rescored(poses, points, background, odds, apart, expected)


def _new_places(
    source: Source, proposals: Picks, score: Rescored, found: ScoreMap, diameter: float
) -> Picks:
    """Maxima as proposals that are not kept, numbered after the others, with their columns."""
    across = diameter / source.tomogram.voxel_size
    believed = score.points_zyx[score.probabilities > 0.5]
    if not len(believed):
        return proposals.take(np.zeros(0, np.int64))
    points, values = found.maxima(PARTICLE.spacing * across)
    usual = np.median(found.best_near(believed, SHIFT * across))
    new = values >= (usual + np.median(values)) / 2
    new &= apart_from(points, proposals.points_zyx, SHIFT * across)
    if source.regions is not None:
        new &= source.regions.allows(points)
    n = int(new.sum())
    picks = Picks.from_points(points[new], values[new]).reject(np.arange(n), NOT_PROPOSED)
    return replace(
        picks,
        ids=picks.ids + proposals.ids.max(initial=0),
        probabilities=None if proposals.probabilities is None else np.full(n, PRIORS[0]),
        rotations=None if proposals.rotations is None else Rotation.identity(n),
        classes=None if proposals.classes is None else ("none",) * n,
        extra={label: ("0",) * n for label in proposals.extra},
    )


def _of_origin(picks: Picks, origin: str) -> Picks:
    return replace(picks, extra={**picks.extra, ORIGIN: (origin,) * len(picks)})
