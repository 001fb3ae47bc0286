"""Likeness: how alike instances are, in a space in which this tomogram's background is nothing.

Two descriptions see different things: an encoder's features its planes, the powers of spherical
harmonics its volume. In each the background becomes a unit sphere around 0 and an instance a
direction. A third direction is made of both: an embedding, learned on simulated tomograms of kinds
that exist nowhere, in which copies of one kind, however they are turned, lie close to each other
and far from all else (Khosla et al., "Supervised contrastive learning", 2020). The likeness of
two instances is the mean of their cosines, of which the embedding's counts as much as both others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise, permutations

import numpy as np

from aitom_cryosam.scoring.kind import flat, unit, whitening
from aitom_cryosam.scoring.network import Network

PLANES = 3
MOST_LOUD = 0.8
"""Of `loudness`, either way."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """Directions whose dot products are likenesses, -1 to 1.

    Attributes:
        clicks: (p, a) of the prompted instances.
        places: (n + m, a) of the proposals, and of the background.
        proposals: n.
        ends: column of a where each part ends: features, shape, and the embedding if there is one.
        regions: k, of an instance.
        loudness: (n + m, 2) log of how far an instance is from the background, by features and by
            shape, in units of the clicks'.
    """

    clicks: np.ndarray
    places: np.ndarray
    proposals: int
    ends: tuple[int, ...]
    regions: int
    loudness: np.ndarray

    @classmethod
    def of(
        cls,
        instances: tuple[np.ndarray, np.ndarray, np.ndarray],
        shapes: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> Likeness:
        """Compare n proposals, m places of background and p clicks, without an embedding.

        Args:
            instances: (n, k, d), (m, k, d) and (p, k, d), pooled features of each.
            shapes: (n, h), (m, h) and (p, h), powers of harmonics of each.
        """
        parts = [_directions(*(flat(rows) for rows in instances)), _directions(*shapes)]
        clicks, places = (
            np.concatenate([part[i] for part in parts], axis=1) / np.sqrt(2) for i in (0, 1)
        )
        loudness = np.stack([part[2] for part in parts], axis=1)
        cut = parts[0][0].shape[1]
        ends = (cut, clicks.shape[1])
        return cls(clicks, places, len(instances[0]), ends, instances[2].shape[1], loudness)

    def embedded(self, embedding: Network) -> Likeness:
        """The same with the directions of an embedding of `rows` beside.

        The mean over all `turns`: the same whichever axes the tomogram has.

        Args:
            embedding: from a + 2 numbers to any.
        """
        clicks, places = (
            np.concatenate(
                [seen, unit(np.mean([embedding(rows[:, turn]) for turn in self.turns], axis=0))],
                axis=1,
            )
            / np.sqrt(2)
            for seen, rows in zip((self.clicks, self.places), self.rows, strict=True)
        )
        return replace(self, clicks=clicks, places=places, ends=(*self.ends, clicks.shape[1]))

    @property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """(p, a + 2) and (n + m, a + 2), of the clicks and the places: direction and loudness."""
        usual = np.zeros((len(self.clicks), self.loudness.shape[1]))
        return (
            np.concatenate([self.clicks, usual], axis=1),
            np.concatenate([self.places, self.loudness], axis=1),
        )

    @property
    def turns(self) -> list[np.ndarray]:
        """(a + 2,) each: columns of `rows` as they are when the tomogram's axes are exchanged."""
        columns = np.arange(self.clicks.shape[1] + self.loudness.shape[1])
        features = columns[: self.ends[0]].reshape(self.regions, PLANES, -1)
        rest = columns[self.ends[0] :]
        return [
            np.concatenate([features[:, list(order)].ravel(), rest])
            for order in permutations(range(PLANES))
        ]

    @property
    def query(self) -> np.ndarray:
        """(a,) the mean direction of the clicks."""
        return np.asarray(unit(self.clicks.mean(axis=0)[None])[0])

    @property
    def by_embedding(self) -> tuple[np.ndarray, np.ndarray]:
        """(p, e) and (n + m, e) unit vectors of the clicks and the places, by the last part alone.

        That is the embedding, if there is one.
        """
        part = slice(self.ends[-2], None)
        return unit(self.clicks[:, part]), unit(self.places[:, part])

    def by_part(self) -> list[np.ndarray]:
        """(n + m,) of each part: the likeness to the clicks by it alone."""
        parts = [slice(*pair) for pair in pairwise((0, *self.ends))]
        return [
            unit(self.places[:, part]) @ unit(self.clicks[:, part].mean(axis=0)[None])[0]
            for part in parts
        ]


def mutual(summed: np.ndarray, count: int) -> float:
    """Mean likeness of two among so many unit vectors of sum (a,)."""
    return float((summed @ summed - count) / max(count * (count - 1), 1))


def _directions(
    proposals: np.ndarray, background: np.ndarray, clicks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors of clicks (p, d) and of the others (n + m, d), and log lengths of the latter."""
    middle, spread = background.mean(axis=0), background.std(axis=0) + 1e-9
    sets = [(rows - middle) / spread for rows in (background, proposals, clicks)]
    white = whitening(sets[0], sets[0].shape[1])
    empty, places, clicks = (rows @ white for rows in sets)
    places = np.concatenate([places, empty])
    usual = np.linalg.norm(clicks, axis=1).mean()
    lengths = np.log(np.linalg.norm(places, axis=1) / usual + 1e-9)
    return unit(clicks), unit(places), np.clip(lengths, -MOST_LOUD, MOST_LOUD)
