"""Log odds of probabilities, which are finite."""

from __future__ import annotations

import numpy as np
from scipy.special import logit

_SURE = 1e-4  # a probability nearer to 0 or 1 says no more


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """(n,) of (n,) probabilities; those of 0 and 1 are as of nearly so."""
    return np.asarray(logit(np.clip(probabilities, _SURE, 1 - _SURE)))
