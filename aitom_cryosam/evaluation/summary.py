"""Summary: the evaluations of several tomograms together, with confidence intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation.points import Evaluation, curve

METRICS = ("precision", "recall", "f1", "average_precision", "localisation_error")
LEVEL = 0.95
"""Of the confidence intervals."""


@dataclass(frozen=True)
class Summary:
    """Several tomograms together. Metrics by name: `METRICS` and "f_beta".

    Attributes:
        total: all picks against all true particles (micro average).
        mean: of each metric over the tomograms that have it (macro average).
        total_interval: low and high end of each metric of the total, from resampled tomograms;
            None with one tomogram.
        mean_interval: likewise of the mean.
    """

    total: Evaluation
    mean: dict[str, float]
    total_interval: dict[str, tuple[float, float]] | None
    mean_interval: dict[str, tuple[float, float]] | None


def pooled(evaluations: Sequence[Evaluation]) -> Evaluation:
    """All tomograms as one: indices count on from one tomogram to the next.

    The picks of all tomograms make one curve, in the order of their scores.
    """
    offsets = np.cumsum([(0, 0), *((one.n_picks, one.n_truth) for one in evaluations)], axis=0)
    scores = np.concatenate([one.scores for one in evaluations])
    hits = np.zeros(0, bool)
    if all(len(one.curve_recall) == one.n_picks for one in evaluations):
        ranked = np.concatenate([one.ranked for one in evaluations])
        hits = np.concatenate([one.hits for one in evaluations])
        hits = hits[np.argsort(ranked, kind="stable")]
    n_picks, n_truth = (int(count) for count in offsets[-1])
    return Evaluation(
        n_picks,
        n_truth,
        np.concatenate([one.pairs + at for one, at in zip(evaluations, offsets, strict=False)]),
        np.concatenate([one.distances for one in evaluations]),
        *curve(hits, n_truth),
        scores,
    )


def summarise(
    evaluations: Sequence[Evaluation], *, beta: float = 1.0, resamples: int = 1000, seed: int = 0
) -> Summary:
    """Total, mean and their 95 % confidence intervals over tomograms.

    Args:
        evaluations: one a tomogram, at least one.
        beta: of the metric "f_beta".
        resamples: how often as many tomograms are drawn, with replacement (bootstrap).
        seed: of the draws.

    Raises:
        InputError: fewer than 1 resample, a seed below 0, or beta is not above 0.
    """
    total = pooled(evaluations)
    table = np.array([list(metrics(one, beta).values()) for one in evaluations])
    names = metrics(total, beta)
    mean = dict(zip(names, masked_mean(table).tolist(), strict=True))
    draws = _draws(len(evaluations), resamples, seed)
    if len(evaluations) < 2:
        return Summary(total, mean, None, None)
    totals = [metrics(pooled([evaluations[i] for i in draw]), beta) for draw in draws]
    return Summary(
        total,
        mean,
        _intervals(names, np.array([list(row.values()) for row in totals])),
        _intervals(names, np.array([masked_mean(table[draw]) for draw in draws])),
    )


def metrics(evaluation: Evaluation, beta: float = 1.0) -> dict[str, float]:
    """Every metric by its name, those of `METRICS` and "f_beta"; NaN where there is no number."""
    values = {name: float(getattr(evaluation, name)) for name in METRICS}
    return values | {"f_beta": evaluation.f_beta(beta)}


def masked_mean(table: np.ndarray) -> np.ndarray:
    """(k,) mean of each column of (n, k) over the rows that have a number; NaN if none has."""
    return np.asarray(np.ma.masked_invalid(table).mean(axis=0).filled(np.nan))


def _draws(n: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, n) indices of tomograms."""
    if resamples < 1:
        raise InputError(f"Expected at least 1 resample, got {resamples}.")
    if seed < 0:
        raise InputError(f"Expected a seed of 0 or more, got {seed}.")
    return np.random.default_rng(seed).integers(n, size=(resamples, n))


def _intervals(names: Iterable[str], drawn: np.ndarray) -> dict[str, tuple[float, float]]:
    """Percentiles of each column of (resamples, k), of the resamples that have a number."""
    ends = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    columns = [column[np.isfinite(column)] for column in drawn.T]
    pairs = [np.quantile(one, ends).tolist() if len(one) else [np.nan] * 2 for one in columns]
    return {name: (low, high) for name, (low, high) in zip(names, pairs, strict=True)}
