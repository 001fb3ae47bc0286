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
from aitom_cryosam.scoring.kind import FEWEST
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
LOWEST = 0.2
"""Share of all maxima that are background when the places are seen once more, whatever chance is.

What they look like beside two backgrounds tells more than beside one. And in a packed sample most
maxima may be copies, so that what chance calls background is of the kind."""
CROWDED = 0.45
"""Share of that background which is of the kind, by what it looks like beside the lowest maxima,
from which on it is none: most of it should not be."""


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
    """What n proposals look like against several samples of the background, and all in all.

    Attributes:
        samples: of what chance calls background, one each.
        is_prompt: (n,) bool, proposals that are a prompted particle itself.
        presence: probability that the tomogram holds anything like the clicks.
        lowest: beside the lowest of all maxima.
        crowded: whether what chance calls background is itself of the kind.
    """

    samples: tuple[SampleOdds, ...]
    is_prompt: np.ndarray
    presence: float
    lowest: SampleOdds | None = None
    crowded: bool = False

    @property
    def decisive(self) -> tuple[SampleOdds, ...]:
        """Those that tell how many proposals are of the kind."""
        return (self.lowest,) if self.crowded and self.lowest else self.samples

    @cached_property
    def if_present(self) -> np.ndarray:
        """(n,) probability to be of the kind, if the tomogram holds any; 1 for the prompted."""
        log_odds = np.mean([one.log_odds for one in self.samples], axis=0)
        if self.lowest is not None:
            log_odds = (log_odds + self.lowest.log_odds) / 2
        return np.where(self.is_prompt, 1, expit(log_odds))

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
    beside_lowest = places.below(float(np.quantile(places.maxima, LOWEST))).samples()[0]
    inputs = [graph_inputs(*one, is_prompt) for one in (*looks, look(beside_lowest))]
    *odds, lowest = (SampleOdds(rows, shipped_graph("odds")(rows, near)) for rows, near in inputs)
    called_background = (places.similarities[: len(is_prompt)] < places.chance) & ~is_prompt
    crowded = (
        called_background.sum() >= FEWEST
        and expit(lowest.log_odds[called_background]).mean() > CROWDED
    )
    return ProposalOdds(
        tuple(odds), is_prompt, float(expit(presence.mean())), lowest, bool(crowded)
    )


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
