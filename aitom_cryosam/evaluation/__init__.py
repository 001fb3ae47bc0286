"""Picks and masks against known ones, and against each other."""

from aitom_cryosam.evaluation.points import Evaluation, best_matching, evaluate
from aitom_cryosam.evaluation.summary import LEVEL, Summary, masked_mean, metrics, pooled, summarise

__all__ = [
    "LEVEL",
    "Evaluation",
    "Summary",
    "best_matching",
    "evaluate",
    "masked_mean",
    "metrics",
    "pooled",
    "summarise",
]
