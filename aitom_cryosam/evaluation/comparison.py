"""Comparison: what several methods found in one tomogram, against the truth and each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from aitom_cryosam.evaluation.points import Evaluation, evaluate
from aitom_cryosam.evaluation.summary import metrics
from aitom_cryosam.picks import Picks


@dataclass(frozen=True, eq=False)
class MethodPicks:
    """What one method found.

    Attributes:
        candidates: everything that it scored; its picks are those kept at its own threshold.
        annotations: what it was told of the particle, in words.
        seconds: that it took, or None if nobody measured.
        settings: as the report should say them.
    """

    candidates: Picks
    annotations: str
    seconds: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, picks: Picks, annotations: str, **more: Any) -> MethodPicks:
        """From picks and proposals, without those that no threshold would bring back."""
        return cls(picks.take(picks.cut_decides), annotations, **more)

    @property
    def picks(self) -> Picks:
        """The candidates at the method's own threshold."""
        return self.candidates.take(self.candidates.kept)


@dataclass(frozen=True, eq=False)
class Compared:
    """One method against the truth.

    Attributes:
        found: by the method.
        picks: evaluation at the method's own threshold.
        candidates: of everything it scored, whose curve goes beyond that threshold.
    """

    found: MethodPicks
    picks: Evaluation
    candidates: Evaluation

    @property
    def average_precision(self) -> float:
        """Of all candidates; NaN without scores."""
        return self.candidates.average_precision

    @property
    def best(self) -> tuple[float, int, float]:
        """The highest F1 along the candidates' curve, its number of picks and its threshold.

        Nobody who does not know the truth can choose this threshold. NaN, 0, NaN without scores.
        """
        one = self.candidates
        if not len(one.curve_recall):
            return math.nan, 0, math.nan
        numbers = np.arange(1, len(one.curve_recall) + 1)
        f1 = 2 * one.curve_recall * one.n_truth / (numbers + one.n_truth)
        index = int(f1.argmax())
        return float(f1[index]), index + 1, float(np.sort(-one.scores)[index]) * -1


@dataclass(frozen=True)
class Agreement:
    """Two methods' picks, matched one to one.

    Attributes:
        shared: pairs within the radius.
        only_first: picks of the first method without partner.
        only_second: likewise of the second.
    """

    shared: int
    only_first: int
    only_second: int


def compare(found: MethodPicks, truth: Picks, *, radius: float, voxel_size: float) -> Compared:
    """Evaluate a method at its own threshold, and along its whole curve.

    Args:
        found: by the method.
        truth: at least one particle.
        radius: Å, a pair may be as far apart as this.
        voxel_size: Å.

    Raises:
        InputError: as for `evaluate`.
    """
    picks, candidates = (
        evaluate(one, truth, radius=radius, voxel_size=voxel_size)
        for one in (found.picks, found.candidates)
    )
    return Compared(found, picks, candidates)


def agreements(
    found: Mapping[str, MethodPicks], *, radius: float, voxel_size: float
) -> dict[tuple[str, str], Agreement]:
    """Every pair of methods, at their own thresholds; those within a radius in Å agree."""
    result = {}
    for (first, one), (second, other) in combinations(found.items(), 2):
        matched = evaluate(
            one.picks, other.picks, radius=radius, voxel_size=voxel_size, empty_truth=True
        )
        shared = len(matched.pairs)
        result[first, second] = Agreement(
            shared, matched.n_picks - shared, matched.n_truth - shared
        )
    return result


def method_report(compared: Compared) -> dict[str, Any]:
    """For JSON: the numbers of one method; None where there is no number.

    The curve ends where the last true particle is found.
    """
    best_f1, best_picks, best_threshold = compared.best
    recall = compared.candidates.curve_recall
    end = int(np.searchsorted(recall, recall[-1])) + 1 if len(recall) else 0
    numbers = metrics(compared.picks) | {"average_precision": compared.average_precision}
    del numbers["f_beta"]
    return {
        "picks": compared.picks.n_picks,
        "matched": len(compared.picks.pairs),
        **{name: _number(value) for name, value in numbers.items()},
        "seconds": compared.found.seconds,
        "annotations": compared.found.annotations,
        "settings": dict(compared.found.settings),
        "candidates": compared.candidates.n_picks,
        "threshold_chosen_with_the_truth": {
            "f1": _number(best_f1),
            "picks": best_picks,
            "threshold": _number(best_threshold),
        },
        "curve": {
            "recall": recall[:end].tolist(),
            "precision": compared.candidates.curve_precision[:end].tolist(),
        },
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
