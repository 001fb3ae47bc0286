"""Odds: from the evidence at each proposal to the probability that it is of the prompted kind.

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
"""Places most like a place, whose rows the network sees too."""
DOUBTED = 3.0
"""Log odds of presence below which it is estimated again, from less and less of each background.

Maxima of two sizes may be background and particles, or all noise: which of them chance ends above
is then an accident, and what the proposals are compared with is, too."""
LEVELS = (0.2, 0.35, 0.5)
"""Shares of all maxima that are background then."""


@dataclass(frozen=True, eq=False)
class SampleOdds:
    """What n proposals look like against one sample of the background.

    Attributes:
        rows: (n, r) input of the network, at each proposal.
        log_odds: (n,) its output: of a proposal to be of the prompted kind, if that is there.
    """

    rows: np.ndarray
    log_odds: np.ndarray


@dataclass(frozen=True, eq=False)
class ProposalOdds:
    """The mean over several samples of the background.

    Attributes:
        samples: one each.
        is_prompt: (n,) bool, proposals that are a prompted particle itself.
        presence: probability that the tomogram holds anything like the clicks.
    """

    samples: tuple[SampleOdds, ...]
    is_prompt: np.ndarray
    presence: float

    @cached_property
    def if_present(self) -> np.ndarray:
        """(n,) probability to be of the kind, if the tomogram holds any; 1 for the prompted."""
        mean = expit(np.mean([one.log_odds for one in self.samples], axis=0))
        return np.where(self.is_prompt, 1, mean)

    @property
    def order(self) -> np.ndarray:
        """(n,) rows of the proposals, the most probable first."""
        return np.argsort(-self.if_present, kind="stable")

    @property
    def probabilities(self) -> np.ndarray:
        """(n,) probability to be of the kind; 1 for the prompted."""
        return np.where(self.is_prompt, 1, self.presence * self.if_present)


def proposal_odds(
    places: Places, clicked: np.ndarray, is_prompt: np.ndarray, shapes: np.ndarray
) -> ProposalOdds:
    """How probable each proposal is.

    Args:
        places: n proposals, and background.
        clicked: (p, k, 3C) instances of the prompts.
        is_prompt: (n,) bool, proposals that are a prompted particle itself.
        shapes: (p, h) of the prompts, as `harmonics.powers`.
    """

    def look(sample: Places) -> tuple[Likeness, Evidence]:
        return likeness_and_evidence(sample, clicked, is_prompt, shapes, shipped("embedding"))

    def present(looks: list[tuple[Likeness, Evidence]]) -> np.ndarray:
        return shipped("presence")(np.stack([signs(*one, is_prompt) for one in looks]))

    samples = places.samples()
    looks = mapped(look, samples)
    presence = present(looks)
    if abs(presence.mean()) < DOUBTED:
        levels = np.quantile(places.maxima, LEVELS)
        lower = [sample.below(level) for sample in samples for level in levels]
        presence = np.append(presence, present(mapped(look, lower)))
    inputs = [graph_inputs(*one, is_prompt) for one in looks]
    odds = tuple(SampleOdds(one[0], shipped_graph("odds")(*one)) for one in inputs)
    return ProposalOdds(odds, is_prompt, float(expit(presence.mean())))


def graph_inputs(
    likeness: Likeness, found: Evidence, is_prompt: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n, r) rows and (n, k) neighbours of n proposals, as the network of the odds takes them."""
    n = len(is_prompt)
    numbers, neighbours = reciprocity(likeness, found.walks[:n], is_prompt, NEIGHBOURS)
    return np.concatenate([found.with_context(n), numbers], axis=1), neighbours


def likeness_and_evidence(
    places: Places,
    clicked: np.ndarray,
    is_prompt: np.ndarray,
    shapes: np.ndarray,
    embedding: Network,
) -> tuple[Likeness, Evidence]:
    """What the odds and the presence are estimated from.

    Args:
        places: n proposals, and background.
        clicked: (p, k, 3C) instances of the prompts.
        is_prompt: (n,) bool, proposals that are a prompted particle itself.
        shapes: (p, h) of the prompts, as `harmonics.powers`.
        embedding: of `Likeness.rows`.
    """
    n = len(is_prompt)
    likeness = Likeness.of(
        (places.instances, places.background, clicked),
        (places.shapes[:n], places.shapes[n:], shapes),
    ).embedded(embedding)
    found = evidence(likeness, places.similarities, places.maxima, places.chance, is_prompt)
    return likeness, found
