"""Places: what is compared with the clicks, proposals and background, as features see it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.picks import Picks
from aitom_cryosam.scoring.chance import chance_level
from aitom_cryosam.scoring.harmonics import HARMONICS, powers
from aitom_cryosam.scoring.instances import pooled
from aitom_cryosam.scoring.kind import FEWEST, unit, whitening
from aitom_cryosam.scoring.span import spanned
from aitom_cryosam.tomogram import Tomogram

CHANCE_SAMPLE = 250
"""Maxima at chance level that stand for the background."""


@dataclass(frozen=True, eq=False)
class Places:
    """Proposals and background of one tomogram.

    Attributes:
        instances: (n, k, 3C) of the proposals, as `pooled`.
        background: (m, k, 3C) of maxima that do not stand out.
        similarities: (n + m,) of both with the query.
        maxima: (l,) similarities of all maxima.
        chance: of the maxima, from `chance_level`.
        shapes: (n + m, h) of both, as `harmonics.powers`; none where not measured.
    """

    instances: np.ndarray
    background: np.ndarray
    similarities: np.ndarray
    maxima: np.ndarray
    chance: float
    shapes: np.ndarray = field(default_factory=lambda: np.zeros((0, HARMONICS)))

    @classmethod
    def of(
        cls,
        tomogram: Tomogram,
        features: TriplanarFeatures,
        proposals: Picks,
        maxima: Picks,
        diameter_voxels: float,
    ) -> Places:
        """Average the features at proposals and at a sample of the background.

        Args:
            tomogram: (D, H, W).
            features: of the tomogram.
            proposals: n.
            maxima: all of the similarity, most of them background.
            diameter_voxels: of the particle.
        """
        chance = chance_level(maxima.scores)
        low = background_sample(maxima, chance)
        every = np.concatenate([proposals.points_zyx, low.points_zyx])
        return cls(
            instances=pooled(features, proposals.points_zyx, diameter_voxels),
            background=pooled(features, low.points_zyx, diameter_voxels),
            similarities=np.concatenate([proposals.scores, low.scores]),
            maxima=maxima.scores,
            chance=chance,
            shapes=powers(tomogram, every, diameter_voxels),
        )

    def below(self, chance: float) -> Places:
        """The same beside the background that lies below this similarity, or its lowest few."""
        n = len(self.instances)
        similarities = self.similarities[n:]
        count = max(int((similarities < chance).sum()), FEWEST)
        low = np.sort(np.argsort(similarities, kind="stable")[:count])
        both = np.append(np.arange(n), n + low)
        return replace(
            self,
            background=self.background[low],
            similarities=self.similarities[both],
            chance=chance,
            shapes=self.shapes[both] if len(self.shapes) else self.shapes,
        )

    def whitened(self, *sets: np.ndarray) -> list[np.ndarray]:
        """Instances where this tomogram's background is a unit sphere around 0.

        Args:
            sets: (n_i, k, 3C) each, n_i ≥ 1; of unit length before.

        Returns:
            (n_i, r) each; as they are where there is hardly any background.
        """
        rows = [unit(one) for one in sets]
        if len(self.background) < FEWEST:
            return rows
        dimensions = rows[0].shape[1]
        background, *rows = spanned(unit(self.background), *rows)
        white = whitening(background, dimensions)
        return [(one - background.mean(axis=0)) @ white for one in rows]


def background_sample(maxima: Picks, chance: float) -> Picks:
    """Places that stand for the background.

    Args:
        maxima: all of the similarity, best first.
        chance: what stays below it is background.
    """
    low = np.flatnonzero(maxima.scores < chance)
    sample = np.linspace(0, len(low) - 1, min(len(low), CHANCE_SAMPLE))
    return maxima.take(low[sample.round().astype(int)])
