"""Look-alikes: whether places that a second look would add are of the kind that was picked.

Particles of a more frequent kind may correlate with the picks' average as well as the picks do.
But they resemble each other more than they resemble the picks: each particle is compared, as it
lies, with averages of both groups, made of those particles that are not in its half. Of what
remains, places that correlate less than the picks do are no particles either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import ttest_ind

from aitom_cryosam.averaging.alignment import Aligner
from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.poses import Poses
from aitom_cryosam.averaging.reconstruction import Sum
from aitom_cryosam.averaging.reference import Reference
from aitom_cryosam.averaging.rescoring import CLICKS, PICKED, Rescored, combined, prior_of
from aitom_cryosam.averaging.settings import AveragingSettings
from aitom_cryosam.averaging.shells import noise_weights
from aitom_cryosam.averaging.sources import Source
from aitom_cryosam.averaging.spectra import Ball
from aitom_cryosam.averaging.subvolumes import BoxSize, extract, particle_ball
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.picks import Picks

_FEWEST = 8  # of a group: fewer make no average of two halves
_LOWEST = 0.1  # of the picks: a place that is added correlates at least as well
_FAR = 4.0  # spreads between particles and all else, below which no place is added
_APART = 0.7  # spreads between the groups' preferences, from which on they are two kinds ...
_CHANCE = 0.01  # ... if they would seldom differ so by chance


@dataclass(frozen=True, eq=False)
class _Believed:
    """Particles of one tomogram that correlate with the average.

    Attributes:
        boxes: (n, size, size, size), masked.
        poses: n.
        added: (n,) bool, those that were no picks before.
        half: (n,) 0 or 1, in either group.
        wedge: of the tilt series.
    """

    boxes: np.ndarray
    poses: Poses
    added: np.ndarray
    half: np.ndarray
    wedge: MissingWedge

    def rows(self, added: bool, half: int) -> np.ndarray:
        return np.flatnonzero((self.added == added) & (self.half == half))


def without_look_alikes(
    sources: Sequence[Source],
    proposals: Sequence[Picks],
    scores: Sequence[Rescored],
    average: Average,
    settings: AveragingSettings,
) -> tuple[list[Rescored], int]:
    """The scores, with odds of even at most for all places that are another kind than the picks.

    Returns:
        The scores, and how many places were taken back.
    """
    added = [_added(*each) for each in zip(proposals, scores, strict=True)]
    count = sum(int(rows.sum()) for rows in added)
    mask = particle_ball(len(average.volume), settings.diameter / average.voxel_size)
    if not count:
        return list(scores), 0
    believed = [
        _believed(*each, average, mask) for each in zip(sources, proposals, scores, strict=True)
    ]
    more = sum(int(one.added.sum()) for one in believed)
    picked = sum(len(one.added) for one in believed) - more
    if min(more, picked) < _FEWEST or not _are_two_kinds(believed, average, settings.device):
        return list(scores), 0
    return [_taken_back(*each) for each in zip(proposals, scores, added, strict=True)], count


def without_weak_places(
    proposals: Sequence[Picks], scores: Sequence[Rescored], clicked: Sequence[np.ndarray]
) -> tuple[list[Rescored], int]:
    """The scores, with odds of even at most for added places that correlate less than the picks.

    A pick has features and average for it, as a place has that is as probable and was left out
    for the length of the list. Any other has the average alone: it has to correlate with that at
    least as well as the lowest tenth of the picks that stay, in the same tomogram if that has
    enough of them; and as what was clicked there, less their deviation. Where particles and all
    else lie close together, look-alikes are not told: nothing is added.

    Args:
        proposals: of each tomogram, kept as they were before.
        scores: of the proposals.
        clicked: of each tomogram, (c,) rows of proposals, -1 for a click without one.

    Returns:
        The scores, and how many places were taken back.
    """
    stay = [
        score.poses.scores[(score.probabilities > 0.5) & every.kept]
        for every, score in zip(proposals, scores, strict=True)
    ]
    everywhere = np.concatenate(stay)
    if not len(everywhere):
        return list(scores), 0
    result, count = [], 0
    for every, score, own, rows in zip(proposals, scores, stay, clicked, strict=True):
        least = np.quantile(own if len(own) >= _FEWEST else everywhere, _LOWEST)
        seen = score.poses.scores[np.unique(rows[rows >= 0])]
        if len(seen) >= CLICKS:
            least = max(least, seen.mean() - seen.std(ddof=1))
        weak = (score.poses.scores < least) & (prior_of(every) < PICKED)
        weak = _added(every, score) & (weak | (score.separation < _FAR))
        result.append(_taken_back(every, score, weak))
        count += int(weak.sum())
    return result, count


def _added(proposals: Picks, score: Rescored) -> np.ndarray:
    """(n,) bool: believed, and no pick before."""
    return np.asarray((score.probabilities > 0.5) & ~proposals.kept)


def _taken_back(proposals: Picks, score: Rescored, rows: np.ndarray) -> Rescored:
    """With the odds of before, even at most, for (n,) bool proposals."""
    prior = np.minimum(prior_of(proposals), 0.5)
    return replace(score, odds=np.where(rows, np.log(prior / (1 - prior)), score.odds))


def _believed(
    source: Source,
    proposals: Picks,
    score: Rescored,
    average: Average,
    mask: np.ndarray,
) -> _Believed:
    # Clicks leave fewer in doubt; here numbers count, and what the correlations alone say will do.
    odds, apart = combined(
        score.poses.scores, score.background, prior_of(proposals), expected=score.expected
    )
    rows = np.flatnonzero((score.odds > 0) | ((apart > 0) & (odds > 0)))
    box = BoxSize(len(mask), round(average.voxel_size / source.tomogram.voxel_size))
    boxes = extract(source.tomogram, proposals.points_zyx[rows], box).boxes * mask
    group = ~proposals.kept[rows]
    half = np.where(group, np.cumsum(group), np.cumsum(~group)) % 2
    return _Believed(boxes, score.poses.take(rows), group, half, source.wedge)


def _are_two_kinds(believed: Sequence[_Believed], average: Average, device: str) -> bool:
    """Whether each group resembles itself more than the other group resembles it."""
    size = len(average.volume)
    ball = Ball(size, average.agreed_shell)
    spectra = [ball.of(one.boxes) for one in believed]
    weights = noise_weights(spectra, ball)
    aligners = [
        Aligner(ball, values, one.wedge, weights=weights, device=device)
        for one, values in zip(believed, spectra, strict=True)
    ]
    preference = [np.zeros(len(one.half)) for one in believed]
    for sign, added in ((1, False), (-1, True)):
        for half in (0, 1):
            total = Sum.empty(ball)
            for one in believed:
                rows = one.rows(added, half)
                poses = one.poses.take(rows)
                total = total.add(one.boxes[rows], poses, one.wedge, device=device)
            reference = Reference(total.average() * average.mask)
            for one, aligner, values in zip(believed, aligners, preference, strict=True):
                found = aligner.score(reference, one.poses)
                values += np.where(one.half == half, 0, sign * found)
    added_ones = np.concatenate([one.added for one in believed])
    values = np.concatenate(preference)
    ours, theirs = values[~added_ones], values[added_ones]
    spread = np.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / 2)
    chance = ttest_ind(ours, theirs, equal_var=False, alternative="greater").pvalue
    return bool(ours.mean() - theirs.mean() > _APART * spread and chance < _CHANCE)
