"""Galleries: the central slices of groups of proposals, so that a person can judge them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.picks import Picks
from aitom_cryosam.report.images import photograph
from aitom_cryosam.report.section import Section
from aitom_cryosam.scoring.suggestions import rows_of

BEST, AROUND, REJECTED = 12, 12, 6
"""Tiles of the best, around the cut (half of them above), and of each reason."""
_SIDE = 2.0  # diameters that a tile shows
_PIXELS = 40  # a slice of a tile is no larger than this many pixels


@dataclass(frozen=True)
class Tile:
    """One proposal.

    Attributes:
        picture: data URI: slices across z, y, x from left to right.
        number: its id.
        score: its score.
        xyz: voxels.
        note: why it was left out, or "".
        row: of the proposal.
    """

    picture: str
    number: int
    score: float
    xyz: tuple[float, float, float]
    note: str
    row: int

    @property
    def about(self) -> str:
        """A line that says which it is."""
        x, y, z = self.xyz
        score = f", score {self.score:.3f}" if math.isfinite(self.score) else ""
        note = f"; {self.note}" if self.note else ""
        return f"number {self.number}{score}, x {x:.1f}, y {y:.1f}, z {z:.1f}{note}"


@dataclass(frozen=True)
class Group:
    """Tiles under one heading, of how many in all."""

    title: str
    about: str
    total: int
    tiles: tuple[Tile, ...]


class Tiles:
    """Cuts tiles from one tomogram.

    Args:
        data: (D, H, W) of the tomogram.
        diameter: voxels, of the particle.
        limits: values that are black and white.
    """

    def __init__(self, data: np.ndarray, diameter: float, limits: tuple[float, float]) -> None:
        self.data = data
        self.side = max(int(_SIDE * diameter) | 1, 9)
        self.thickness = max(int(diameter / 4), 1)
        self.limits = limits

    def tile(self, picks: Picks, row: int) -> Tile:
        """The tile of one row."""
        point = picks.points_zyx[row]
        slices = [
            Section.around(self.data, axis, point, self.side, self.thickness).values[::-1]
            for axis in range(3)
        ]
        z, y, x = (float(value) for value in point)
        return Tile(
            photograph(np.hstack(slices), limits=self.limits, largest=3 * _PIXELS),
            int(picks.ids[row]),
            float(picks.scores[row]),
            (x, y, z),
            picks.reasons[row],
            int(row),
        )

    def group(self, title: str, about: str, picks: Picks, rows: np.ndarray, most: int) -> Group:
        """The first `most` of some rows, (m,) indices."""
        return Group(
            title, about, len(rows), tuple(self.tile(picks, int(row)) for row in rows[:most])
        )


def groups(tiles: Tiles, proposals: Picks, cut: float | None) -> list[Group]:
    """The best picks, those around the cut, and the rejected by reason.

    Args:
        tiles: of the tomogram.
        proposals: best first, with their verdict.
        cut: the lowest score of a pick; None if there is none.
    """
    kept = np.flatnonzero(proposals.kept)
    found = [tiles.group("The best", "picks with the highest scores", proposals, kept, BEST)]
    if cut is not None:
        below = np.flatnonzero(~proposals.kept & (proposals.scores < cut) & movable(proposals))
        near = np.concatenate([kept[-(AROUND // 2) :], below[: AROUND // 2]])
        about = "the last picks, and the first that were left out"
        found.append(tiles.group("Around the cut", about, proposals, near, AROUND))
    if len(asked := rows_of(proposals)):
        about = "the places where a yes or no would help most"
        found.append(tiles.group("Worth a look", about, proposals, asked, len(asked)))
    reasons = dict.fromkeys(reason for reason in proposals.reasons if reason)
    for reason in reasons:
        rows = np.flatnonzero([one == reason for one in proposals.reasons])
        about = "left out; the best of them"
        found.append(tiles.group(reason.capitalize(), about, proposals, rows, REJECTED))
    return [group for group in found if group.tiles]


def movable(proposals: Picks) -> np.ndarray:
    """(n,) bool, which proposals are picks at one cut or another."""
    return proposals.cut_decides & np.isfinite(proposals.scores)
