"""Growth: from clicks on ridges to whole structures, and to the others that look like them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from aitom_cryosam.picks import Picks
from aitom_cryosam.targets.outliner import Outliner
from aitom_cryosam.targets.ridges import Ridges, way_back

CHANCE = {"sheet": 0.75, "line": 0.9}
"""Share of the noise's ridges that have too little support to be part of a structure."""
OF_CLICKED = {"sheet": 0.4, "line": 0.25}
"""Nor is a part whose support is below this share of that at the clicks: lines are followed into
their weak places, where sheets would run over into their surroundings."""
LARGER = 3.0
"""All responses of a structure are so many times those of the largest that the noise makes."""
ALIKE = 0.6
"""A structure without a click has at least this share of the faintest clicked one's contrast."""
AS_LARGE = {"sheet": 0.25, "line": 0.05}
"""And all its responses are at least this share of those of the smallest clicked one; lines come
in pieces, which are judged when they are joined."""
BROAD = 0.86
"""A sheet without a click has at least this share of the neighbours that a point of the narrowest
clicked one has in the mean: the flanks of particles that touch make a crooked, ragged sheet."""
ACROSS, AROUND, FEWEST = 15.0, 32, 30
"""Cells that a gap in a sheet is wide at most; points behind it that each point is compared with;
points that say whether a piece continues the sheet."""
CONTINUES = 0.9
"""Mean cosine of the normals on both sides of such a gap, one of each two mirrored."""
EVEN = 0.8
"""Mean cosine, one of each two mirrored, of normals on a clicked sheet that are so far apart: of
particles that touch it is lower."""
APART, SOME = (4.0, 9.0), 400
"""Cells, about a particle's size; points of a piece that are looked at."""
THICK = 3.5
"""Points in each cell along a line that is not clicked: rows of particles have more."""
GAP = 0.6
"""Support along a path between two clicks, of the least in a structure, that makes them one."""
RIM, RIM_NEIGHBOURS, RIM_STEPS = 0.5, 3, 2
"""Support of a point at the rim, of the least in a structure; its neighbours there; the steps."""
NOTHING_THERE = "nothing there"


@dataclass(frozen=True, eq=False)
class Grown:
    """The structures of one kind.

    Attributes:
        ridges: n points of the structures.
        labels: (n,) int64, from 1: the structure of each point. Clicked ones come first, in the
            order of the clicks, then the others by falling mass.
        prompts: the clicks; one that is on no structure is not kept, and says why.
    """

    ridges: Ridges
    labels: np.ndarray
    prompts: Picks


@dataclass(frozen=True, eq=False)
class _Pieces:
    """The connected pieces of the points of ridges that are inside.

    Attributes:
        ridges: n points.
        inside: (n,) bool.
        numbers: (n,) the piece of each point, from 0; -1 of those that are not inside.
        masses: (pieces,) the sum of the responses of each: of a large or a clear one it is large.
    """

    ridges: Ridges
    inside: np.ndarray
    numbers: np.ndarray
    masses: np.ndarray

    @classmethod
    def of(cls, ridges: Ridges, inside: np.ndarray) -> _Pieces:
        """Those of (n,) bool points."""
        numbers = np.full(len(ridges), -1, np.int64)
        if inside.any():
            numbers[inside] = connected_components(ridges.graph(inside), directed=False)[1]
        masses = np.bincount(numbers[inside], ridges.responses[inside])
        return cls(ridges, inside, numbers, masses)

    @property
    def own(self) -> np.ndarray:
        """(inside,) the piece of each point that is inside."""
        return self.numbers[self.inside]

    def __len__(self) -> int:
        return len(self.masses)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(pieces,) of values (inside,) of the points that are inside."""
        return np.asarray(ndimage.mean(values, self.own, np.arange(len(self))))

    def by_mass(self, chosen: np.ndarray, *, but: list[int]) -> np.ndarray:
        """The numbers of the chosen (pieces,) bool, without some, by falling mass."""
        left = np.setdiff1d(np.flatnonzero(chosen), but)
        return left[np.argsort(-self.masses[left], kind="stable")]

    def sizes(self) -> np.ndarray:
        """(pieces,) cells: of all of a sheet, or across the box around a line."""
        if self.ridges.kind == "sheet" or not len(self):
            return np.bincount(self.own)
        cells, names = self.ridges.cells_zyx[self.inside], np.arange(len(self))
        spans = [np.subtract(*ndimage.extrema(axis, self.own, names)[1::-1]) for axis in cells.T]
        return np.linalg.norm(spans, axis=0)


def grown(
    ridges: Ridges,
    chance: Ridges,
    prompts: Picks,
    reach_voxels: float,
    smallest_size: float,
    outliner: Outliner | None = None,
) -> Grown:
    """Grow clicks to structures along ridges that the noise does not make.

    An outliner is asked about those that are found without it: what it adds makes no structure, but
    may join the parts of one.

    Args:
        ridges: of the tomogram.
        chance: of its noise.
        prompts: clicks.
        reach_voxels: how far a click may lie from its ridge.
        smallest_size: cells of a sheet; or cells from one end to the other of a piece of a line
            that is not clicked. The flanks of a particle are smaller.
        outliner: says which weak ridges go on from the clicks, too.
    """
    seeds = _seeds(ridges, prompts, reach_voxels)
    least = _least(ridges, chance, seeds[seeds >= 0])
    by_chance = chance.support >= least
    smallest = LARGER * _Pieces.of(chance, by_chance).masses.max(initial=0)

    def growing(inside: np.ndarray) -> Grown:
        return _grown(ridges, inside, prompts, reach_voxels, least, smallest, smallest_size)

    inside = ridges.support >= least
    inside |= _paths(ridges, seeds[seeds >= 0], least)
    found = growing(inside)
    kept = found.prompts.kept
    if outliner is None or not kept.any():
        return found
    outlined = outliner.outlined(ridges, seeds[kept], GAP * _least(ridges, chance, seeds[kept]))
    if not outlined.any():
        return found
    more = growing(inside | outlined)
    return more if more.prompts.kept[kept].all() else found


def _least(ridges: Ridges, chance: Ridges, seeds: np.ndarray) -> float:
    """Support of a point of a structure, at least.

    Args:
        ridges: of the tomogram.
        chance: of its noise.
        seeds: (p,) points at the clicks.
    """
    least = float(np.quantile(chance.support, CHANCE[chance.kind])) if len(chance) else 0.0
    of_clicked = OF_CLICKED[ridges.kind] * np.median(ridges.support[seeds]) if len(seeds) else 0.0
    return max(least, float(of_clicked))


def _grown(
    ridges: Ridges,
    inside: np.ndarray,
    prompts: Picks,
    reach_voxels: float,
    least: float,
    smallest: float,
    smallest_size: float,
) -> Grown:
    """As `grown`, of the points that are `inside` (n,) bool.

    `least` is the support of a point that is inside by itself, `smallest` the least sum of the
    responses of a structure.
    """
    pieces = _Pieces.of(ridges, inside)
    sizes = pieces.sizes()
    own = _clicked(pieces, prompts, reach_voxels, smallest)
    clicked = list(dict.fromkeys(own[own >= 0].tolist()))
    part_of = np.arange(len(pieces))
    alike = pieces.masses >= smallest
    if ridges.kind == "sheet":
        clicked = [
            one
            for one in clicked
            if _evenness(ridges, np.flatnonzero(pieces.numbers == one)) >= EVEN
        ]
    if clicked:
        contrasts = pieces.mean(ridges.contrasts[inside])
        alike &= contrasts >= ALIKE * contrasts[clicked].min()
    if clicked and ridges.kind == "sheet":
        waiting = pieces.by_mass(alike, but=clicked)
        part_of = _continued(ridges, pieces.numbers, clicked, waiting)
        whole = np.bincount(part_of, sizes)
        clicked = [one for one in clicked if whole[one] >= smallest_size]
    prompts = prompts.reject(~np.isin(own, clicked), NOTHING_THERE)
    others: list[int] = []
    if clicked:
        alike &= _as_clicked(pieces, sizes, clicked, smallest_size)
        alike &= part_of == np.arange(len(pieces))
        others = pieces.by_mass(alike, but=clicked).tolist()
    names = np.zeros(len(pieces) + 1, np.int64)  # the last for -1, of no piece
    names[clicked + others] = np.arange(1, len(clicked + others) + 1)
    names[:-1] = names[part_of]
    labels = _rims(ridges, names[pieces.numbers], RIM * least)
    chosen = np.flatnonzero(labels)
    return Grown(ridges.take(chosen), labels[chosen], prompts)


def _clicked(pieces: _Pieces, prompts: Picks, reach_voxels: float, smallest: float) -> np.ndarray:
    """(p,) the largest piece within reach of each click, -1 without one of the smallest mass."""
    own = np.full(len(prompts), -1)
    for number, near in enumerate(_near(pieces.ridges, prompts, reach_voxels)):
        candidates = np.unique(pieces.numbers[near[pieces.inside[near]]])
        candidates = candidates[pieces.masses[candidates] >= smallest]
        if len(candidates):
            own[number] = candidates[np.argmax(pieces.masses[candidates])]
    return own


def _as_clicked(
    pieces: _Pieces, sizes: np.ndarray, clicked: list[int], smallest_size: float
) -> np.ndarray:
    """(pieces,) bool: which are as large as the clicked ones, and as thin or as broad."""
    ridges, masses = pieces.ridges, pieces.masses
    alike = (masses >= AS_LARGE[ridges.kind] * masses[clicked].min()) & (sizes >= smallest_size)
    if ridges.kind == "line":
        return alike & (np.bincount(pieces.own) <= THICK * sizes)
    neighbours = ridges.neighbours[pieces.inside][:, pieces.inside]
    broad = pieces.mean(np.diff(neighbours.indptr))
    return alike & (broad >= BROAD * broad[clicked].min())


def _continued(
    ridges: Ridges, piece: np.ndarray, sheets: list[int], waiting: np.ndarray
) -> np.ndarray:
    """Which pieces belong together, as they continue a sheet behind a gap.

    The missing wedge hides parts of a vesicle, so that others hang together with nothing.

    Args:
        ridges: n points.
        piece: (n,) the number of the piece of each, -1 of none.
        sheets: the numbers of those that are continued.
        waiting: of those that may continue them, the largest first.

    Returns:
        (pieces,) the sheet that each belongs to, or its own number.
    """
    part_of = np.arange(piece.max() + 1)
    places = ridges.places_zyx
    known, tree = np.zeros(0, int), None
    for number in waiting.tolist():
        if tree is None:  # the first time, and when the sheets have grown
            known = np.flatnonzero((piece >= 0) & np.isin(part_of[piece], sheets))
            tree = cKDTree(places[known])
        rows = np.flatnonzero(piece == number)
        lengths, near = tree.query(places[rows], k=AROUND, distance_upper_bound=ACROSS)
        one, column = np.nonzero(np.isfinite(lengths))
        if len(np.unique(one)) < FEWEST:
            continue
        one, other = rows[one], known[near[one, column]]
        cosines = _mirrored(ridges, places, one, other)
        if cosines.mean() >= CONTINUES:
            part_of[number] = np.bincount(part_of[piece[other]]).argmax()
            tree = None
    return part_of


def _mirrored(ridges: Ridges, places: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(pairs,) cosines of the normals of points of a sheet, one of each two mirrored.

    Of two points on an evenly bent sheet each has the other's normal, mirrored by the plane midway
    between them; what lies beside the sheet, as the flank of a particle, has not.

    Args:
        ridges: n points.
        places: (n, 3) cells, of each.
        one: (pairs,) rows.
        other: (pairs,) rows of other places.
    """
    ways = places[other] - places[one]
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    normals = ridges.directions_zyx[other]
    mirrored = normals - 2 * (normals * ways).sum(axis=1, keepdims=True) * ways
    return np.abs((mirrored * ridges.directions_zyx[one]).sum(axis=1))


def _evenness(ridges: Ridges, rows: np.ndarray) -> float:
    """How evenly a piece of a sheet is bent: 1 for a plane or a sphere; 0 if it is too small."""
    places = ridges.places_zyx
    some = rows[:: max(1, len(rows) // SOME)]
    near = cKDTree(places[rows]).query_ball_point(places[some], APART[1])
    one = np.repeat(some, [len(rest) for rest in near])
    other = rows[np.concatenate(near).astype(np.int64)]
    apart = np.linalg.norm(places[one] - places[other], axis=1) > APART[0]
    cosines = _mirrored(ridges, places, one[apart], other[apart])
    return float(cosines.mean()) if len(cosines) else 0.0


def _rims(ridges: Ridges, labels: np.ndarray, least: float) -> np.ndarray:
    """The labels, with weaker points that structures have around them and in their gaps."""
    linked = ridges.linked
    for _ in range(RIM_STEPS):
        free = (labels == 0) & (ridges.support >= least)
        around = linked[free][:, labels > 0].tocsr()
        enough = np.diff(around.indptr) >= RIM_NEIGHBOURS
        rows = np.flatnonzero(free)[enough]
        first = around.indices[around.indptr[:-1][enough]]
        labels = labels.copy()
        labels[rows] = labels[labels > 0][first]
    return labels


def _near(ridges: Ridges, prompts: Picks, reach_voxels: float) -> list[np.ndarray]:
    """The points within reach of each click."""
    if not len(ridges):
        return [np.zeros(0, np.int64) for _ in range(len(prompts))]
    found = cKDTree(ridges.points_zyx).query_ball_point(prompts.points_zyx, reach_voxels)
    return [np.array(sorted(one), np.int64) for one in found]


def _seeds(ridges: Ridges, prompts: Picks, reach_voxels: float) -> np.ndarray:
    """(p,) the best supported point within reach of each click, -1 without any."""
    near = _near(ridges, prompts, reach_voxels)
    return np.array(
        [one[np.argmax(ridges.support[one])] if len(one) else -1 for one in near], np.int64
    )


def _paths(ridges: Ridges, seeds: np.ndarray, least: float) -> np.ndarray:
    """(n,) bool: the points of the minimal paths between clicks that are of one structure.

    Places with too little support are no part of a path.
    """
    allowed = np.flatnonzero(ridges.support >= GAP * least)
    on = np.zeros(len(ridges), bool)
    seeds = np.searchsorted(allowed, np.intersect1d(seeds, allowed))
    if len(seeds) < 2:
        return on
    steps = ridges.costs(allowed, least)
    costs, before = dijkstra(steps, indices=seeds, return_predecessors=True)
    for start in range(len(seeds)):
        for end in range(start):
            if np.isfinite(costs[start, seeds[end]]):
                on[allowed[way_back(before[start], int(seeds[end]), int(seeds[start]))]] = True
    return on
