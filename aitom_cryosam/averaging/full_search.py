"""Full search: places of a tomogram that resemble the average, but were never proposed.

Features propose what looks like the clicks in three planes; what lies among neighbours or at the
sample's surface may not. Its proposals are judged by the same rule as all others.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.average import Average, AveragingSettings
from aitom_cryosam.averaging.rescoring import SHIFT, UNSURE
from aitom_cryosam.averaging.score_map import score_map
from aitom_cryosam.averaging.sources import Source
from aitom_cryosam.device import Device
from aitom_cryosam.picks import Picks, joined
from aitom_cryosam.progress import Progress
from aitom_cryosam.resources import Resources
from aitom_cryosam.targets import PARTICLE

logger = logging.getLogger(__name__)

ORIGIN = "cryosamOrigin"
"""Column: what proposed a place."""
FEATURES, AVERAGE = "features", "average"
NOT_PROPOSED = "not proposed"
_STEP = 0.75  # of the first search over turns of a particle, between those of the map
_LIKE_PICKS = 0.1  # of the picks score less in the map than a new place must


def with_new_places(
    source: Source,
    proposals: Picks,
    average: Average,
    settings: AveragingSettings,
    resources: Resources,
    *,
    progress: Progress | None = None,
) -> Picks:
    """The proposals and, after them, maxima of the score map that are none of them.

    A new place scores as high as nine of ten picks, and lies farther from every proposal than
    that would be shifted. It is not kept, and as unlikely as a proposal that was left out.

    Args:
        source: the picks of one tomogram.
        proposals: n, picks among them.
        average: of picks.
        settings: of the average.
        resources: device and memory.
        progress: told of every turn.

    Raises:
        InputError: the memory does not suffice.
    """
    device = Device.choose(resources)
    found = score_map(
        source.tomogram,
        average,
        source.wedge,
        diameter=settings.diameter,
        step=_STEP * settings.step,
        device=device.name,
        memory=device.limit,
        progress=progress,
    )
    across = settings.diameter / source.tomogram.voxel_size
    points = proposals.points_zyx
    usual = found.best_near(points[proposals.kept], SHIFT * across)
    maxima, scores = found.maxima(float(np.quantile(usual, _LIKE_PICKS)), PARTICLE.spacing * across)
    new = cKDTree(points).query(maxima)[0] > SHIFT * across
    if source.regions is not None:
        new &= source.regions.allows(maxima)
    logger.info(
        "%s: %d places that were never proposed score as high as the picks.",
        source.tomogram.name,
        int(new.sum()),
    )
    return joined(
        [
            _of_origin(proposals, FEATURES),
            _of_origin(_proposed(proposals, maxima[new], scores[new]), AVERAGE),
        ]
    )


def _of_origin(picks: Picks, origin: str) -> Picks:
    return replace(picks, extra={**picks.extra, ORIGIN: (origin,) * len(picks)})


def _proposed(proposals: Picks, points_zyx: np.ndarray, scores: np.ndarray) -> Picks:
    """Points as proposals with all columns of others."""
    n = len(points_zyx)
    picks = Picks.from_points(points_zyx, scores).reject(np.arange(n), NOT_PROPOSED)
    return replace(
        picks,
        ids=picks.ids + proposals.ids.max(initial=0),
        probabilities=None if proposals.probabilities is None else np.full(n, 1 - UNSURE),
        rotations=None if proposals.rotations is None else Rotation.identity(n),
        classes=None if proposals.classes is None else ("none",) * n,
        extra={label: ("0",) * n for label in proposals.extra},
    )
