"""Odds: from the evidence at each place to the probability that it is of the prompted kind.

How much each piece of evidence weighs was learned on simulated tomograms of kinds that exist
nowhere (`scoring.network`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from aitom_cryosam.scoring.evidence import Evidence, evidence
from aitom_cryosam.scoring.likeness import Likeness
from aitom_cryosam.scoring.network import Network, shipped, shipped_graph
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.scoring.presence import signs
from aitom_cryosam.scoring.reciprocity import reciprocity

NEIGHBOURS = 24
"""Places most like a place, which it hears."""
DOUBTED = 3.0
"""Log odds of presence below which it is asked again, beside less and less of the background.

Maxima of two sizes may be background and particles, or all noise: which of them chance ends above
is then an accident, and what the proposals are compared with is, too."""
LEVELS = (0.2, 0.35, 0.5)
"""Shares of all maxima that are background then."""


@dataclass(frozen=True, eq=False)
class Compared:
    """The places of a tomogram, n of them proposals, beside the clicks.

    Attributes:
        likeness: of all.
        found: evidence on all.
        own: (n,) bool, clicked instances.
        presence: how probable it is that anything is like the clicks.
        odds: (n,) how probable it is that a proposal is of the kind, if anything is.
    """

    likeness: Likeness
    found: Evidence
    own: np.ndarray
    presence: float
    odds: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """(n,) of the proposals; 1 for those that are clicked."""
        return np.where(self.own, 1, self.presence * self.odds)


def compared(places: Places, clicked: np.ndarray, own: np.ndarray, shapes: np.ndarray) -> Compared:
    """How probable each proposal is.

    Args:
        places: n proposals, and background.
        clicked: (p, k, 3C) instances of the prompts.
        own: (n,) bool, proposals that are a prompted particle itself.
        shapes: (p, h) of the prompts, as `harmonics.powers`.
    """
    likeness, found = spoken_for(places, clicked, own, shapes, shipped("embedding"))
    presence = shipped("presence")(signs(likeness, found, own)[None])[0]
    if abs(presence) < DOUBTED:
        lower = [
            spoken_for(places.below(level), clicked, own, shapes, shipped("embedding"))
            for level in np.quantile(places.maxima, LEVELS)
        ]
        again = shipped("presence")(np.stack([signs(*seen, own) for seen in lower]))
        presence = np.mean([presence, *again])
    odds = expit(shipped_graph("odds")(*weighed(likeness, found, own)))
    return Compared(likeness, found, own, float(expit(presence)), odds)


def weighed(likeness: Likeness, found: Evidence, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, r) what n proposals are judged by, and (n, k) the neighbours that each hears."""
    n = len(own)
    numbers, neighbours = reciprocity(likeness, found.walks[:n], own, NEIGHBOURS)
    return np.concatenate([found.with_context(n), numbers], axis=1), neighbours


def spoken_for(
    places: Places, clicked: np.ndarray, own: np.ndarray, shapes: np.ndarray, embedding: Network
) -> tuple[Likeness, Evidence]:
    """What `compared` weighs.

    Args:
        places: n proposals, and background.
        clicked: (p, k, 3C) instances of the prompts.
        own: (n,) bool, proposals that are a prompted particle itself.
        shapes: (p, h) of the prompts.
        embedding: of what features and shape see.
    """
    n = len(own)
    likeness = Likeness.of(
        (places.instances, places.background, clicked),
        (places.shapes[:n], places.shapes[n:], shapes),
    ).embedded(embedding)
    return likeness, evidence(likeness, places.similarities, places.maxima, places.chance, own)
