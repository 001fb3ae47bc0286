"""Rescoring: every proposal against the average, and against background of its own tomogram.

A proposal's correlation with the average says what its features cannot: whether it is the same
structure. Two distributions are fitted to the correlations of a tomogram: that of background
places and of all other proposals, and that of the particles; where each proposal begins between
them is its earlier probability. Bayes' rule makes one probability of both.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from aitom_cryosam.averaging.alignment import Aligner, Poses, best_of
from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.averaging import AveragingSettings
from aitom_cryosam.averaging.shells import noise_weights, search_shell
from aitom_cryosam.averaging.spectra import Ball
from aitom_cryosam.averaging.subvolumes import BoxSize, Subvolumes, extract, particle_ball
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.picks import Picks
from aitom_cryosam.progress import Progress, Steps
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

BACKGROUND = 100  # places of a tomogram that its background is known from
SHIFT = 0.25  # of the diameter, that a proposal may be off
PRIORS = (0.05, 0.95)
"""An earlier verdict is never surer than this."""
_UNSURE = 0.8  # of an earlier verdict that has no probability
_FEWEST = 5  # particles or others, below which nothing is fitted
_ROUNDS = 30
CLICKS = 3
"""Fewer do not say how particles correlate."""
APART = 2.0
"""Spreads between the two means, from which on correlations are believed."""
BURIED = 0.1
"""Share of particles that correlate as background does: the tomogram's border cuts them, or
neighbours lie in their box."""


@dataclass(frozen=True, eq=False)
class Rescored:
    """What the average says of a tomogram's proposals.

    Attributes:
        poses: n, of the proposals; scores are their correlations.
        points_zyx: (n, 3) voxels of the tomogram, where the average fits best.
        background: (m,) correlations of background places.
        odds: (n,) log of the odds that a proposal is a particle; the earlier verdict's where the
            correlations do not tell.
        told: whether the correlations fall into two.
    """

    poses: Poses
    points_zyx: np.ndarray
    background: np.ndarray
    odds: np.ndarray
    told: bool

    @property
    def probabilities(self) -> np.ndarray:
        """(n,) that a proposal is a particle."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.odds, -50, 50))))


def rescored(
    tomogram: Tomogram,
    proposals: Picks,
    average: Average,
    settings: AveragingSettings,
    wedge: MissingWedge,
    *,
    own_half: np.ndarray | None = None,
    clicked: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Rescored:
    """Score every proposal with the average.

    Args:
        tomogram: in which they lie.
        proposals: n, kept and not.
        average: of picks.
        settings: as of the average.
        wedge: of the tilt series.
        own_half: (n,) 0 or 1 for a proposal that is in that half of the average, which is then
            scored with the other; -1 for one that is in none. All -1 if None.
        clicked: (c,) as for `combined`.
        progress: told of every proposal and every place of the background.
    """
    voxels = settings.diameter / tomogram.voxel_size
    box = BoxSize(len(average.volume), round(average.voxel_size / tomogram.voxel_size))
    places = background_places(tomogram, proposals.points_zyx, voxels)
    subvolumes = extract(tomogram, np.concatenate([proposals.points_zyx, places]), box)
    n = len(proposals)
    half = np.full(len(subvolumes), -1)
    if own_half is not None:
        half[:n] = own_half
    free = np.flatnonzero(half < 0)
    half[free] = np.arange(len(free)) % 2
    steps = Steps(progress, "rescoring", len(subvolumes))
    poses = _aligned(subvolumes, half, average, settings, wedge, steps)
    background = poses.scores[n:]
    odds, told = combined(poses.scores[:n], background, earlier(proposals), clicked)
    return Rescored(
        poses.take(np.arange(n)),
        subvolumes.take(np.arange(n)).points_zyx(poses.shifts_xyz[:n]),
        background,
        odds,
        told,
    )


def background_places(
    tomogram: Tomogram, points_zyx: np.ndarray, diameter_voxels: float
) -> np.ndarray:
    """(m, 3) places at least a diameter from every proposal; fewer where there is no room."""
    lower, upper = (np.array(corner) for corner in tomogram.content_box)
    margin = np.minimum(diameter_voxels / 2, (upper - lower) / 3)
    rng = np.random.default_rng(0)
    places = rng.uniform(lower + margin, upper - margin, (50 * BACKGROUND, 3))
    if len(points_zyx):
        away = cKDTree(points_zyx).query(places)[0]
        far = away >= diameter_voxels
        # In a crowded tomogram the farthest places have to do.
        places = places[far] if far.sum() >= BACKGROUND else places[np.argsort(-away)]
    return np.asarray(places[:BACKGROUND])


def earlier(proposals: Picks) -> np.ndarray:
    """(n,) what the features say: the probability, or the verdict as one that may be wrong."""
    if proposals.probabilities is not None:
        return np.clip(proposals.probabilities, *PRIORS)
    return np.where(proposals.kept, _UNSURE, 1 - _UNSURE)


def with_buried(proposals: Picks, score: Rescored) -> Rescored:
    """The scores, where no pick loses more odds than particles that correlate as background allow.

    Args:
        proposals: kept as they were before.
        score: of the proposals, by two Gaussians.
    """
    prior = earlier(proposals)
    logits = np.log(prior / (1 - prior))
    spared = logits + np.logaddexp(np.log(BURIED), np.log1p(-BURIED) + score.odds - logits)
    return replace(score, odds=np.where(proposals.kept, spared, score.odds))


def combined(
    correlations: np.ndarray,
    background: np.ndarray,
    prior: np.ndarray,
    clicked: np.ndarray | None = None,
) -> tuple[np.ndarray, bool]:
    """Log odds of each proposal from its correlation and its earlier probability.

    Two Gaussians, the lower of which also holds the background. The particles' own is wide:
    neighbours and the sample's surface cost some of them half of their correlation, so that a
    look-alike between the two is not told from them by this alone. Where many picks are another
    kind, what the user clicked says best how a particle correlates.

    Args:
        correlations: (n,) of the proposals.
        background: (m,) of the background.
        prior: (n,) probabilities, without 0 and 1.
        clicked: (c,) rows of proposals that the user clicked, -1 for a click without one.

    Returns:
        (n,) log odds, and whether the two differ; if not, the odds are the prior's.
    """
    logits = np.log(prior / (1 - prior))
    rows = np.zeros(0, np.int64) if clicked is None else np.unique(clicked)
    odds, distance = _two(correlations, background, logits, correlations[rows[rows >= 0]])
    if distance < APART:
        return logits, False
    return odds, True


def _two(
    correlations: np.ndarray, background: np.ndarray, logits: np.ndarray, clicked: np.ndarray
) -> tuple[np.ndarray, float]:
    """Log odds of the upper of two Gaussians of one spread, and how many spreads they lie apart.

    Expectation maximisation from the prior's log odds. The upper mean is at least that of the
    (c,) clicked ones, less its standard error. The distance is 0 where one of the two has hardly
    a member.
    """
    member = 1 / (1 + np.exp(-logits))
    values = np.concatenate([correlations, background])
    odds, distance = logits, 0.0
    for _ in range(_ROUNDS):
        upper = np.concatenate([member, np.zeros(len(background))])
        if min(upper.sum(), (1 - upper).sum()) < _FEWEST:
            return logits, 0.0
        high, low = (float(np.average(values, weights=w)) for w in (upper, 1 - upper))
        if len(clicked) >= CLICKS:
            error = np.sqrt(np.average((values - high) ** 2, weights=upper) / len(clicked))
            high = max(high, float(clicked.mean() - error))
        within = upper * (values - high) ** 2 + (1 - upper) * (values - low) ** 2
        spread = float(np.sqrt(within.mean())) + 1e-6
        # One spread for both: the odds rise with the correlation wherever that lies.
        odds = logits + (high - low) / spread**2 * (correlations - (high + low) / 2)
        member = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        distance = (high - low) / spread
    return odds, distance


def _aligned(
    subvolumes: Subvolumes,
    half: np.ndarray,
    average: Average,
    settings: AveragingSettings,
    wedge: MissingWedge,
    steps: Steps,
) -> Poses:
    """Each box against the half that it is not in."""
    size = len(average.volume)
    diameter = settings.diameter / average.voxel_size
    masked = subvolumes.boxes * particle_ball(size, diameter)
    fine = Ball(size, average.agreed_shell)
    coarse = Ball(size, search_shell(size, diameter, settings.step, average.agreed_shell))
    weights = {ball: noise_weights([ball.of(masked)], ball) for ball in (fine, coarse)}
    reach = max(SHIFT * diameter, 1.0)
    poses = Poses.unknown(len(masked))
    for side in (0, 1):
        rows = np.flatnonzero(half == side)
        if not len(rows):
            continue
        reference = average.half_reference(1 - side)
        rough, polished = (
            Aligner(
                ball, ball.of(masked[rows]), wedge, weights=weights[ball], device=settings.device
            )
            for ball in (coarse, fine)
        )
        found = rough.search(reference, step=settings.step, max_shift=reach, keep=2, steps=steps)
        near = [
            rough.refine(reference, one, step=settings.step / 2, max_shift=reach) for one in found
        ]
        best = polished.refine(
            reference, best_of(near), step=settings.step / 4, max_shift=reach, rounds=2
        )
        poses = poses.merged(rows, best)
    return poses
