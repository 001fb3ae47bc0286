"""Evidence: what tells the prompted kind from all else at a place, in a dozen numbers.

None of them depends on how many channels an encoder has or on how loud the tomogram is: they are
likenesses in units of what the best other copies reach, or of the background's own spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitom_cryosam.scoring.likeness import Likeness
from aitom_cryosam.scoring.spreading import reached

COPIES = (5, 20)
"""Numbers of best places, the clicked ones left out, that say how alike copies are here."""
LOUD_BACKGROUND = 0.9
"""Share of the background that its best tenth exceeds."""
LEAST = 0.02  # likeness of copies
FAINT = 1e-3  # chance of a walk that is as good as none


@dataclass(frozen=True, eq=False)
class Evidence:
    """What speaks for n proposals and m places of background.

    Attributes:
        rows: (n + m, e) at each place.
        context: (c,) of the tomogram.
    """

    rows: np.ndarray
    context: np.ndarray

    @property
    def log_walks(self) -> np.ndarray:
        """(n + m,) log of the chance, and a little, that a walk from a place comes to a click."""
        return self.rows[:, 0]

    @property
    def walks(self) -> np.ndarray:
        """(n + m,) the chance that a walk from a place comes to a click."""
        return np.asarray(np.exp(self.log_walks) - FAINT)

    def with_context(self, n: int) -> np.ndarray:
        """(n, e + c) at each of the first n places, the context beside it."""
        return np.concatenate([self.rows[:n], np.tile(self.context, (n, 1))], axis=1)


def evidence(
    likeness: Likeness,
    similarities: np.ndarray,
    maxima: np.ndarray,
    chance: float,
    is_prompt: np.ndarray,
) -> Evidence:
    """What speaks for each place.

    Args:
        likeness: of the places and the clicks, embedded.
        similarities: (n + m,) of the places with the query.
        maxima: (l,) similarities of all maxima.
        chance: from `chance_level`.
        is_prompt: (n,) bool, proposals that are a prompted particle itself.
    """
    n = likeness.proposals
    found = reached(likeness)
    walks = found.chances
    alike = likeness.places @ likeness.query
    by_features, by_shape, by_embedding = likeness.by_part()
    ranked = np.argsort(-np.where(is_prompt, -np.inf, walks[:n]), kind="stable")
    ranked = ranked[: max(n - is_prompt.sum(), 1)]

    def typical(values: np.ndarray, copies: int) -> float:
        return max(float(values[ranked[:copies]].mean()), LEAST)

    few, _ = COPIES
    alike_few, alike_many = (typical(alike, copies) for copies in COPIES)
    standing = _standing(alike, alike[n:])
    log_walks = np.log(walks + FAINT)
    log_few, log_many = (np.log(typical(walks, copies) + FAINT) for copies in COPIES)
    log_background = np.log(np.quantile(walks[n:], LOUD_BACKGROUND) + FAINT)
    columns = [
        log_walks,
        log_walks - log_few,
        log_walks - log_many,
        log_walks - log_background,
        alike / alike_few,
        alike / alike_many,
        standing,
        _standing(similarities, maxima),
        by_features / typical(by_features, few),
        by_shape / typical(by_shape, few),
        by_embedding / typical(by_embedding, few),
        _standing(by_embedding, by_embedding[n:]),
        found.to_background,
        np.log(found.totals + FAINT),
        *likeness.loudness.T,
    ]
    others = similarities[:n][~is_prompt]
    context = [
        np.log(len(likeness.clicks)),
        alike_few,
        alike_many / alike_few,
        np.sort(standing[:n][~is_prompt])[-few:].mean() if len(others) else 0.0,
        log_few,
        log_many - log_few,
        np.log((others >= chance).mean() + 0.01) if len(others) else np.log(0.01),
        log_background,
        typical(by_embedding, few),
    ]
    return Evidence(np.stack(columns, axis=1), np.array(context))


def _standing(values: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Values above the middle of the usual ones, in spreads of these."""
    middle, spread = bulk(usual)
    return (values - middle) / spread


def bulk(usual: np.ndarray) -> tuple[float, float]:
    """Middle and spread of most values, (n,) or of any other shape."""
    middle = np.median(usual)
    return float(middle), float(1.4826 * np.median(np.abs(usual - middle)) + 1e-3)
