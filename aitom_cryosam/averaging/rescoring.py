"""Rescoring: every proposal against the average, and against background of its own tomogram.

A proposal's correlation with the average says what its features cannot: whether it is the same
structure. Two distributions are fitted to the correlations of a tomogram: that of background
places and of all other proposals, and that of the particles; where each proposal begins between
them is its prior probability. Bayes' rule makes one probability of both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from aitom_cryosam.averaging.alignment import Aligner
from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.poses import Poses, best_of
from aitom_cryosam.averaging.settings import AveragingSettings
from aitom_cryosam.averaging.shells import noise_weights, search_shell
from aitom_cryosam.averaging.spectra import Ball
from aitom_cryosam.averaging.subvolumes import BoxSize, Subvolumes, extract, particle_ball
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.picks import Picks
from aitom_cryosam.progress import Progress, Steps
from aitom_cryosam.tomogram import Tomogram

BACKGROUND = 100  # places of a tomogram that its background is known from
SHIFT = 0.25  # of the diameter, that a proposal may be off
PRIORS = (0.05, 0.95)
"""An earlier verdict is never surer than this."""
PICKED = 0.6
"""A pick is at least so probable: the earlier verdict is on lists, and sees more than one place."""
_UNSURE = 0.8  # of an earlier verdict that has no probability
_FEWEST = 5  # particles or others, below which nothing is fitted
_ROUNDS = 30
CLICKS = 3
"""Fewer do not say how particles correlate."""
APART = 2.0
"""Spreads between the two means, from which on correlations are believed."""
BURIED = 0.1
"""Share of particles that correlate as background does: neighbours lie in their box."""
ALIKE = 0.02
"""Share of all else that correlates as particles do: no correlation is a proof."""
_ALIKE_SPREAD = 100
"""Correlations that say the two spreads are one, beside those of a tomogram that say how wide."""


@dataclass(frozen=True, eq=False)
class Rescored:
    """What the average says of a tomogram's proposals.

    Attributes:
        poses: n, of the proposals; scores are their correlations.
        points_zyx: (n, 3) voxels of the tomogram, where the average fits best.
        background: (m,) correlations of background places.
        odds: (n,) log of the odds that a proposal is a particle; the earlier verdict's where the
            correlations do not tell.
        separation: spreads between the correlations of particles and of all else; 0 where they do
            not form two groups.
        expected: (n,) what the average itself would correlate there: 1, less where the
            tomogram's border cuts the box.
    """

    poses: Poses
    points_zyx: np.ndarray
    background: np.ndarray
    odds: np.ndarray
    separation: float
    expected: np.ndarray

    @property
    def separates(self) -> bool:
        """Whether the correlations form two groups, and so say anything."""
        return self.separation > 0

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
    poses, expected = _aligned(subvolumes, half, average, settings, wedge, steps)
    background = poses.scores[n:]
    odds, apart = combined(
        poses.scores[:n], background, prior_of(proposals), clicked, expected=expected[:n]
    )
    return Rescored(
        poses.take(np.arange(n)),
        subvolumes.take(np.arange(n)).points_zyx(poses.shifts_xyz[:n]),
        background,
        odds,
        apart,
        expected[:n],
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


def prior_of(proposals: Picks) -> np.ndarray:
    """(n,) what the features say: the probability, or the verdict as one that may be wrong."""
    if proposals.probabilities is not None:
        least = np.where(proposals.kept, PICKED, 0)
        return np.clip(np.maximum(proposals.probabilities, least), *PRIORS)
    return np.where(proposals.kept, _UNSURE, 1 - _UNSURE)


def with_buried(proposals: Picks, score: Rescored) -> Rescored:
    """The scores, where no pick loses more odds than particles that correlate as background allow.

    Args:
        proposals: kept as they were before.
        score: of the proposals, by two Gaussians.
    """
    prior = prior_of(proposals)
    logits = np.log(prior / (1 - prior))
    spared = logits + np.logaddexp(np.log(BURIED), np.log1p(-BURIED) + score.odds - logits)
    return replace(score, odds=np.where(proposals.kept, spared, score.odds))


def combined(
    correlations: np.ndarray,
    background: np.ndarray,
    prior: np.ndarray,
    clicked: np.ndarray | None = None,
    *,
    expected: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Log odds of each proposal from its correlation and its prior probability.

    Two Gaussians, the lower of which also holds the background. The particles' own is wide, if
    there are enough of them to say so: neighbours and the sample's surface cost some of them half
    of their correlation, so that a look-alike between the two is not told from them by this alone,
    and some of all else correlate as particles do. Where many picks are another kind, what the
    user clicked says best how a particle correlates.

    Args:
        correlations: (n,) of the proposals.
        background: (m,) of the background.
        prior: (n,) probabilities, without 0 and 1.
        clicked: (c,) rows of proposals that the user clicked, -1 for a click without one.
        expected: (n,) as of `Rescored`; all 1 if None. A particle is expected to correlate by so
            much less, so that a place of which little is seen keeps its prior odds.

    Returns:
        (n,) log odds, and how many spreads the two lie apart; 0, and the prior's odds, where they
        hardly differ.
    """
    logits = np.log(prior / (1 - prior))
    rows = np.zeros(0, np.int64) if clicked is None else np.unique(clicked)
    share = np.ones(len(correlations)) if expected is None else expected
    odds, apart = _two_gaussians(correlations, background, logits, rows[rows >= 0], share)
    return (odds, apart) if apart >= APART else (logits, 0.0)


def _two_gaussians(
    correlations: np.ndarray,
    background: np.ndarray,
    logits: np.ndarray,
    clicked: np.ndarray,
    expected: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Log odds of the upper of two Gaussians, and how many spreads they lie apart.

    Expectation maximisation from the prior's log odds. The upper mean is at least that of the
    (c,) clicked rows, less its standard error; for each proposal it is as much less as expected.
    The upper one may be the wider. The distance is in their common spread, and 0 where one of the
    two has hardly a member.
    """
    member = 1 / (1 + np.exp(-logits))
    values = np.concatenate([correlations, background])
    odds, distance = logits, 0.0
    for _ in range(_ROUNDS):
        lower = np.concatenate([1 - member, np.ones(len(background))])
        if min(member.sum(), lower.sum()) < _FEWEST:
            return logits, 0.0
        high = _level(correlations, expected, member)
        low = float(np.average(values, weights=lower))
        if len(clicked) >= CLICKS:
            squares = np.average((correlations - high * expected) ** 2, weights=member)
            seen = _level(correlations[clicked], expected[clicked], np.ones(len(clicked)))
            high = max(high, seen - float(np.sqrt(squares / len(clicked))))
        upper = np.maximum(high * expected, low)  # (n,)
        squares_high = member * (correlations - upper) ** 2
        squares_low = float(lower @ (values - low) ** 2)
        common = (float(squares_high.sum()) + squares_low) / len(values) + 1e-12
        narrow = _variance(squares_low, lower.sum(), common)
        wide = _variance(squares_high.sum(), member.sum(), common)
        if len(clicked) >= CLICKS:  # then another kind among the picks lies below their mean
            above = correlations >= upper
            mirrored = _variance(2 * squares_high[above].sum(), 2 * member[above].sum(), common)
            wide = min(wide, mirrored)
        # Where nothing of a particle is seen, it is like all else.
        shown = ((upper - low) / max(high - low, 1e-12)) ** 2
        ratio = _log_ratio(correlations, low, upper, narrow, narrow + max(wide - narrow, 0) * shown)
        odds = logits + ratio - np.logaddexp(np.log1p(-ALIKE), np.log(ALIKE) + ratio)
        member = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        distance = (high - low) / float(np.sqrt(common))
    return odds, distance


def _variance(squares: float, members: float, common: float) -> float:
    """Of one of the two, from its sum of squares; drawn to the common one if it has few members."""
    return (squares + _ALIKE_SPREAD * common) / (members + _ALIKE_SPREAD)


def _log_ratio(
    correlations: np.ndarray, low: float, upper: np.ndarray, narrow: float, wide: np.ndarray
) -> np.ndarray:
    """(n,) log of the upper Gaussian's density by the lower's, which never falls as they rise.

    Args:
        correlations: (n,).
        low: mean of the lower.
        upper: (n,) means of the upper.
        narrow: variance of the lower.
        wide: (n,) variances of the upper, no less.
    """
    # Far below both the wider one has the higher density: the least ratio stands for it there.
    least = (low * wide - upper * narrow) / np.maximum(wide - narrow, 1e-12)
    values = np.maximum(correlations, least)
    squares = (values - low) ** 2 / narrow - (values - upper) ** 2 / wide
    return np.asarray((squares + np.log(narrow / wide)) / 2)


def _level(correlations: np.ndarray, expected: np.ndarray, weights: np.ndarray) -> float:
    """Of a particle of which everything is seen, by least squares."""
    product, square = weights @ (expected * correlations), weights @ expected**2
    return float(product / max(square, 1e-12))


def _aligned(
    subvolumes: Subvolumes,
    half: np.ndarray,
    average: Average,
    settings: AveragingSettings,
    wedge: MissingWedge,
    steps: Steps,
) -> tuple[Poses, np.ndarray]:
    """Each box against the half that it is not in, and (n,) as `Rescored.expected`."""
    size = len(average.volume)
    diameter = settings.diameter / average.voxel_size
    mask = particle_ball(size, diameter)
    masked = subvolumes.boxes * mask
    cut = subvolumes.cut(mask)
    fine = Ball(size, average.agreed_shell)
    coarse = Ball(size, search_shell(size, diameter, settings.step, average.agreed_shell))
    weights = {ball: noise_weights([ball.of(masked)], ball) for ball in (fine, coarse)}
    reach = max(SHIFT * diameter, 1.0)
    poses, expected = Poses.unknown(len(masked)), np.ones(len(masked))
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
        if subvolumes.known is not None:
            some = rows[cut[rows]]
            expected[some] = polished.expected(
                reference, poses.take(some), mask, subvolumes.known[some]
            )
    return poses, expected
