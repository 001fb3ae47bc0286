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
SAMPLES = 4
"""Samples of the background, each of which the places are seen beside: what is said beside one
alone depends on which it is."""


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

    @property
    def parts(self) -> list[np.ndarray]:
        """(b,) rows of the background each, as many parts as it has whole samples, or one.

        Each is spread over all of the background. Whitening wants no fewer places.
        """
        count = max(1, len(self.background) // CHANCE_SAMPLE)
        rows = [np.arange(first, len(self.background), count) for first in range(count)]
        return [some[_spread(len(some), CHANCE_SAMPLE)] for some in rows]

    def samples(self) -> list[Places]:
        """The same beside each of these parts."""
        return [self._beside(rows) for rows in self.parts]

    def below(self, chance: float) -> Places:
        """The same beside the background that lies below this similarity, or its lowest few."""
        similarities = self.similarities[len(self.instances) :]
        count = max(int((similarities < chance).sum()), FEWEST)
        low = np.sort(np.argsort(similarities, kind="stable")[:count])
        return replace(self._beside(low), chance=chance)

    def _beside(self, rows: np.ndarray) -> Places:
        """The same beside these rows of the background."""
        n = len(self.instances)
        both = np.append(np.arange(n), n + rows)
        return replace(
            self,
            background=self.background[rows],
            similarities=self.similarities[both],
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
    return maxima.take(low[_spread(len(low), SAMPLES * CHANCE_SAMPLE)])


def _spread(n: int, most: int) -> np.ndarray:
    """(m,) of 0 to n - 1, evenly spread, m up to the most."""
    return np.linspace(0, n - 1, min(n, most)).round().astype(int)
