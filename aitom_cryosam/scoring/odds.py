"""Odds: from the evidence at each place to the probability that it is of the prompted kind.

How much each piece of evidence weighs was learned on simulated tomograms of kinds that exist
nowhere (`scoring.network`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from aitom_cryosam.scoring.evidence import Evidence, evidence
from aitom_cryosam.scoring.likeness import Likeness
from aitom_cryosam.scoring.network import Network, shipped, shipped_graph
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.scoring.presence import signs
from aitom_cryosam.scoring.reciprocity import reciprocity
from aitom_cryosam.threads import mapped

NEIGHBOURS = 24
"""Places most like a place, which it hears."""
DOUBTED = 3.0
"""Log odds of presence below which it is asked again, beside less and less of each background.

Maxima of two sizes may be background and particles, or all noise: which of them chance ends above
is then an accident, and what the proposals are compared with is, too."""
LEVELS = (0.2, 0.35, 0.5)
"""Shares of all maxima that are background then."""


@dataclass(frozen=True, eq=False)
class Seen:
    """The n proposals of a tomogram beside the clicks and one background.

    Attributes:
        rows: (n, r) what each is judged by.
        log_odds: (n,) of a proposal to be of the kind, if anything is.
    """

    rows: np.ndarray
    log_odds: np.ndarray


@dataclass(frozen=True, eq=False)
class Compared:
    """The same beside several samples of the background, whose mean counts.

    Attributes:
        seen: beside each.
        own: (n,) bool, clicked instances.
        presence: how probable it is that anything is like the clicks.
    """

    seen: tuple[Seen, ...]
    own: np.ndarray
    presence: float

    @cached_property
    def odds(self) -> np.ndarray:
        """(n,) how probable it is that a proposal is of the kind, if anything is; 1 for clicks."""
        odds = expit(np.mean([one.log_odds for one in self.seen], axis=0))
        return np.where(self.own, 1, odds)

    @property
    def order(self) -> np.ndarray:
        """(n,) rows of the proposals, the best odds first."""
        return np.argsort(-self.odds, kind="stable")

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

    def look(beside: Places) -> tuple[Likeness, Evidence]:
        return spoken_for(beside, clicked, own, shapes, shipped("embedding"))

    def present(looks: list[tuple[Likeness, Evidence]]) -> np.ndarray:
        return shipped("presence")(np.stack([signs(*one, own) for one in looks]))

    samples = places.samples()
    looks = mapped(look, samples)
    presence = present(looks)
    if abs(presence.mean()) < DOUBTED:
        levels = np.quantile(places.maxima, LEVELS)
        lower = [sample.below(level) for sample in samples for level in levels]
        presence = np.append(presence, present(mapped(look, lower)))
    judged_by = [weighed(*one, own) for one in looks]
    seen = tuple(Seen(one[0], shipped_graph("odds")(*one)) for one in judged_by)
    return Compared(seen, own, float(expit(presence.mean())))


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
