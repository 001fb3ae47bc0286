"""Evidence: what tells the prompted kind from all else at a place, in a dozen numbers.

None of them depends on how many channels an encoder has or on how loud the tomogram is: they are
cosines of instances in a space in which this tomogram's background is a unit sphere around 0,
in units of the background's own spread or of what the best other copies reach.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from aitom_cryosam.scoring.kind import discriminant, flat, unit, whitening

COPIES = (5, 20)
"""Numbers of best places, the clicked ones left out, that say how alike copies are here."""
EXPANSION = 8
"""Best places that are averaged into the query, by how far they stand out."""
OUTSTANDING = 4.0
"""Spreads of the background above its middle where a place stands out."""
STEEPNESS = 8.0  # of the soft membership, in distances between typical background and typical pick
ROUNDS = 2
MOST_LOUD = 0.8  # log of the ratio of an instance's length and the clicked one's


def evidence(
    proposals: np.ndarray,
    clicked: np.ndarray,
    background: np.ndarray,
    similarities: np.ndarray,
    maxima: np.ndarray,
    own: np.ndarray,
) -> np.ndarray:
    """What speaks for each place.

    Args:
        proposals: (n, k, d) features of the proposals, k regions of an instance, the core first.
        clicked: (p, k, d) of the prompted instances.
        background: (m, k, d) of maxima that do not stand out.
        similarities: (n + m,) of proposals and background with the query.
        maxima: (l,) similarities of all maxima.
        own: (n,) bool, whether a proposal is a clicked instance itself.

    Returns:
        (n + m, 12), of the proposals and of the background.
    """
    n, regions = proposals.shape[:2]
    rows = [flat(values) for values in (proposals, background, clicked)]
    middle = rows[1].mean(axis=0)
    white = whitening(rows[1], rows[1].shape[1])
    places, empty, clicks = ((values - middle) @ white for values in rows)
    every = np.concatenate([places, empty])  # (n + m, k d)
    lengths = np.linalg.norm(every, axis=1) / np.linalg.norm(clicks, axis=1).mean()
    every = unit(every)
    clicks = unit(clicks)
    query = unit(clicks.mean(axis=0)[None])[0]
    alike = every @ query
    ranked = np.argsort(-np.where(own, -1, alike[:n]), kind="stable")
    few, many = (max(float(alike[ranked[:count]].mean()), 0.02) for count in COPIES)

    best = ranked[:EXPANSION]
    shares = np.clip(_standing(alike, n)[best] / OUTSTANDING, 0, 1) + 1e-3
    wider = unit((query + shares @ every[best] / shares.sum())[None])[0]
    standing = _standing(every @ wider, n)
    fisher = _kind_or_not(every, clicks, expit(standing - OUTSTANDING), own)

    cut = every.shape[1] // regions
    parts = [
        unit(every[:, part]) @ unit(clicks[:, part].mean(axis=0)[None])[0]
        for part in (slice(cut), slice(cut, None))
    ]
    typical = np.median(maxima)
    spread = 1.4826 * np.median(np.abs(maxima - typical)) + 1e-3
    columns = [
        _standing(alike, n),
        (similarities - typical) / spread,
        standing,
        fisher,
        alike / few,
        *(part / few for part in parts),
        alike / many,
        np.clip(np.log(lengths + 1e-9), -MOST_LOUD, MOST_LOUD),
        *(np.full(len(every), value) for value in (np.log(len(clicks)), few, many)),
    ]
    return np.stack(columns, axis=1)


def _standing(values: np.ndarray, n: int) -> np.ndarray:
    """Values above the background's, which are those from n on, in spreads of it."""
    middle = np.median(values[n:])
    return (values - middle) / (1.4826 * np.median(np.abs(values[n:] - middle)) + 1e-3)


def _kind_or_not(
    every: np.ndarray, clicks: np.ndarray, member: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """(n + m,) on Fisher's discriminant: 0 is the typical background, 1 the typical pick."""
    member[: len(own)][own] = 1
    for _ in range(ROUNDS):
        scores = discriminant(every, member, clicks, every.shape[1])
        low, high = (np.average(scores, weights=w + 1e-9) for w in (1 - member, member))
        scores = (scores - low) / max(high - low, 1e-9)
        member = expit(STEEPNESS * (scores - 0.5))
    return scores
