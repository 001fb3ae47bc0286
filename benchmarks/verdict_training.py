"""Learn how much each piece of evidence for a pick weighs, on simulated tomograms.

    python benchmarks/verdict_training.py draw DIR --first 1000 --count 60 [--maps DENSITIES]
    python benchmarks/verdict_training.py fit DIR aitom_cryosam/scoring

The first makes tomograms of kinds that exist nowhere, of other seeds than the suite's report
half, runs `CryoSAM` on them from one click up to its proposals and keeps their instances. The
second fits the embedding of `scoring.likeness`, makes evidence with it, as `pick` does, and fits
the networks of `scoring.presence`, `scoring.odds` and `scoring.cut`, the latter two on tomograms
with particles. Each learns from what those before it say of tomograms that they have not seen.
Every draw also counts with four more clicks, and some with fewer proposals; to odds and cut also
with other things or copies taken away, and to presence beside less of the background.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from scipy import ndimage
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from torch.nn.utils.rnn import pad_sequence
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.errors import InputError
from aitom_cryosam.particle_size import centred, particle_size
from aitom_cryosam.prompting import particle_query, segmented
from aitom_cryosam.scoring.chance import chance_level
from aitom_cryosam.scoring.cut import lists
from aitom_cryosam.scoring.evidence import Evidence
from aitom_cryosam.scoring.likeness import Likeness
from aitom_cryosam.scoring.network import NEAREST, GraphNetwork, Network
from aitom_cryosam.scoring.odds import Compared, Seen, spoken_for, weighed
from aitom_cryosam.scoring.places import Places, background_sample
from aitom_cryosam.scoring.presence import signs
from aitom_cryosam.scoring.reciprocity import RECIPROCAL
from aitom_cryosam.scoring.verdict import same
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import simulate
from benchmarks.suite_tomograms import SuiteTomogram, make_tomogram, without_particles

N = TypeVar("N", bound=torch.nn.Module)

SHAPE, SMALL = (40, 144, 144), (40, 72, 96)
KINDS, FEWEST = 3, 6  # of a tomogram, and copies of each, that are clicked
JITTER = 0.08  # radii, standard deviation of a click along each axis
MORE_CLICKS = 4
SHORTENED, SHORTEST, LONGEST = 0.3, 40, 200
"""Share of the draws that also count with fewer proposals, and how many these are."""
FEWER_OTHERS = 0.7
"""Share of the thinned draws that lose other things; the rest lose copies."""
LOW = (0.2, 0.6)
"""Share of all maxima, at least and at most, of which the background is seen a second time."""
FIRST, FOUND = 10, 0.3
"""Of so many first places so large a share are copies, or nothing is learned from the draw of
whether there are particles."""
REACH, BATCH, DROPOUT = 3.0, 1024, 0.1
FOLDS = 3


@dataclass(frozen=True)
class Training:
    """How one kind of network is fitted: the mean of some of them."""

    networks: int
    hidden: int
    steps: int
    decay: float
    whole: bool = False  # lessons are learned as a whole, as lists of which one is to be chosen


ODDS = Training(networks=2, hidden=32, steps=1500, decay=0.1)
PRESENCE = Training(networks=4, hidden=16, steps=400, decay=0.1)
CUT = Training(networks=8, hidden=12, steps=800, decay=0.1, whole=True)
REGRET, STEEPNESS = 2.0, 8.0
HIDDEN, SIZE = 128, 48  # units of the embedding, and its dimensions
STEPS = 5000
AT_ONCE = 12  # draws of a step of the odds that hear
TEMPERATURE = 0.1
APART = 0.3  # weight of what is of no kind
COPIES = 3
"""Places of a kind, at least, that teach the embedding."""
WANTED = 0.25
"""Share of a draw's weight that its copies get towards, where they are fewer."""


@dataclass(frozen=True, eq=False)
class Draw:
    """The instances of one run; n proposals, m places of background, p clicks.

    Attributes:
        proposals, background, clicked: (n, k, d), (m, k, d), (p, k, d).
        shapes, clicked_shapes: (n + m, h), (p, h).
        similarities, maxima: (n + m,) and of all maxima.
        own: (n,) bool, the clicked instances.
        copy: (n,) which copy of the clicked kind a proposal is, -1 for none.
        copies: of the clicked kind in the tomogram.
        kinds: (n + m,) which kind of the tomogram is at a place, -1 for none.
    """

    proposals: np.ndarray
    background: np.ndarray
    clicked: np.ndarray
    shapes: np.ndarray
    clicked_shapes: np.ndarray
    similarities: np.ndarray
    maxima: np.ndarray
    own: np.ndarray
    copy: np.ndarray
    copies: np.ndarray
    kinds: np.ndarray

    def save(self, path: Path) -> None:
        """To one file."""
        halves = {name: getattr(self, name).astype(np.float16) for name in ("proposals",)}
        np.savez(path, **{**vars(self), **halves})

    @classmethod
    def load(cls, path: Path) -> Draw:
        """What `save` has written."""
        with np.load(path) as file:
            return cls(**{name: file[name].astype(np.float64) for name in file.files})

    def also(self, more: int, rng: np.random.Generator) -> Draw:
        """The same with some more copies clicked.

        Args:
            more: how many.
            rng: which.
        """
        own = self.own > 0
        _, first = np.unique(self.copy, return_index=True)
        found = [i for i in first if self.copy[i] >= 0 and self.copy[i] not in self.copy[own]]
        if not self.copies:
            found = np.flatnonzero(~own).tolist()  # on nothing, again
        others = rng.permutation(found)[:more].astype(int)
        own[others] = True
        return replace(
            self,
            own=own,
            clicked=np.concatenate([self.clicked, self.proposals[others]]),
            clicked_shapes=np.concatenate([self.clicked_shapes, self.shapes[others]]),
        )

    def first(self, count: int) -> Draw:
        """The same with so many proposals, as by another `--top-k`."""
        n = len(self.own)
        kept = np.r_[: min(count, n), n : len(self.kinds)]
        return replace(
            self,
            **{name: getattr(self, name)[:count] for name in ("proposals", "own", "copy")},
            **{name: getattr(self, name)[kept] for name in ("shapes", "similarities", "kinds")},
        )

    def thinned(self, rng: np.random.Generator) -> Draw | None:
        """The same where there are fewer other things, or fewer copies; None if hardly any is left.

        How many of the proposals are of the kind is otherwise much the same in all draws of a
        folder, and what is learned from them would count on it.

        Args:
            rng: which.
        """
        own, copies = self.own > 0, self.copy >= 0
        if rng.random() < FEWER_OTHERS:
            kept = copies | (rng.random(len(own)) < rng.uniform(0.02, 0.6))
        else:
            kept = own | ~copies | (rng.random(len(own)) < rng.uniform(0.2, 0.7))
        kept |= own
        if kept.sum() < SHORTEST:
            return None
        every = np.append(kept, np.ones(len(self.kinds) - len(own), bool))
        found = np.unique(self.copy[kept & copies])
        return replace(
            self,
            **{name: getattr(self, name)[kept] for name in ("proposals", "own", "copy")},
            **{name: getattr(self, name)[every] for name in ("shapes", "similarities", "kinds")},
            copies=np.array(max(len(found), 1)),
        )

    def seen(self, embedding: Network, level: float | None = None) -> tuple[Likeness, Evidence]:
        """What speaks for the places, as `pick` sees it; beside the background below a level."""
        own = self.own > 0
        places = self.places if level is None else self.places.below(level)
        return spoken_for(places, self.clicked, own, self.clicked_shapes, embedding)

    @property
    def places(self) -> Places:
        """What is compared with the clicks."""
        return Places(
            self.proposals,
            self.background,
            self.similarities,
            self.maxima,
            chance_level(self.maxima),
            self.shapes,
        )


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one draw teaches.

    Attributes:
        rows: (n, r) that a network sees.
        answers: (n,) 0 to 1.
        weights: (n,) of sum 1: a draw counts as much as another.
        neighbours: (n, k) of each place, where the rows are those of places.
    """

    rows: np.ndarray
    answers: np.ndarray
    weights: np.ndarray
    neighbours: np.ndarray | None = None


def of_places(draw: Draw, likeness: Likeness, found: Evidence) -> Lesson:
    """What is weighed, and whether a proposal is of the kind; the clicked count nothing."""
    own = draw.own > 0
    of_kind = (draw.copy >= 0) & ~own
    fewness = WANTED * (~own).sum() / max(of_kind.sum(), 1)
    weights = np.where(of_kind, np.sqrt(max(1, fewness)), 1.0) * ~own
    rows, neighbours = weighed(likeness, found, own)
    return Lesson(rows, of_kind * 1.0, weights / weights.sum(), neighbours)


def of_tomogram(draw: Draw, likeness: Likeness, found: Evidence) -> Lesson:
    """Signs of its places, and whether there are particles like the clicked.

    Where hardly any of these come first, it teaches nothing.
    """
    own = draw.own > 0
    first = np.argsort(np.where(own, np.inf, -found.walks[: len(own)]))[:FIRST]
    weight = 1.0 if not draw.copies or (draw.copy[first] >= 0).mean() >= FOUND else 0.0
    rows = signs(likeness, found, own)[None]
    return Lesson(rows, np.array([draw.copies > 0]) * 1.0, np.array([weight]))


def of_lists(draw: Draw, embedding: Network, odds: GraphNetwork) -> Lesson:
    """What speaks for each list of picks, and its F1."""
    own = draw.own > 0
    likeness, found = draw.seen(embedding)
    seen = Seen(likeness, found, odds(*weighed(likeness, found, own)))
    possible = lists(seen, own)
    copy = draw.copy[Compared((seen,), own, 1.0).order]
    _, first = np.unique(copy, return_index=True)
    hit = np.zeros(len(copy))
    hit[first] = copy[first] >= 0
    right = np.cumsum(hit)[possible.lengths - 1]
    f1 = 2 * right / (possible.lengths + draw.copies)
    return Lesson(possible.rows, f1, np.full(len(f1), 1 / len(f1)))


def main() -> None:
    args = _parser().parse_args()
    if args.what == "fit":
        for name, network in fitted(args.folder).items():
            stored = {key: np.float32(value) for key, value in vars(network).items()}
            np.savez(args.weights / f"{name}.npz", **stored)
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(args.first, args.first + args.count):
        scene = make_tomogram(seed, SHAPE, args.maps)
        for name, draw in draws_of(scene, seed):
            draw.save(args.folder / f"{seed}_{name}.npz")
    for seed in range(args.first, args.first + args.noise):
        tomogram, click = nothing(seed, args.maps)
        try:
            draw = _draw(tomogram, click)
            draw.save(args.folder / f"{seed}_noise.npz")
        except InputError:  # no mask at the click
            continue


def nothing(seed: int, maps: Path | None) -> tuple[Tomogram, np.ndarray]:
    """A tomogram without a particle, and (1, 3) voxels zyx where it is clicked."""
    rng = np.random.default_rng([seed, 23])
    shape, size = (SHAPE, SMALL)[seed // 4 % 2], float(rng.choice([8.0, 10.0, 13.5]))
    if seed % 4 < 2:
        data, size = without_particles(seed, SHAPE if seed % 2 else shape, maps), 10.0
    else:
        settings = SimulationSettings(shape_zyx=shape, voxel_size=size, seed=seed, membranes=0)
        data = simulate([], replace(settings, denoise=float(rng.choice([0, 0, 1, 2])) * size)).data
    click = np.array(data.shape) * rng.uniform(0.25, 0.75, 3)
    if seed % 3 < 2:  # as one would: on something dark
        inside = np.full(data.shape, np.inf)
        middle = tuple(slice(n // 4, n - n // 4) for n in data.shape)
        inside[middle] = ndimage.gaussian_filter(data, seed % 3)[middle]
        click = np.array(np.unravel_index(inside.argmin(), data.shape), float)
    return Tomogram.from_array(data, voxel_size=size), click[None]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="what", required=True)
    draw = commands.add_parser("draw")
    draw.add_argument("folder", type=Path)
    draw.add_argument("--first", type=int, default=1000)
    draw.add_argument("--count", type=int, default=60)
    draw.add_argument("--noise", type=int, default=12, help="tomograms without a particle")
    draw.add_argument("--maps", type=Path, help="folder of density maps that are mixed in")
    learn = commands.add_parser("fit")
    learn.add_argument("folder", type=Path)
    learn.add_argument("weights", type=Path, help="folder of the networks")
    return parser


def draws_of(scene: SuiteTomogram, seed: int) -> list[tuple[str, Draw]]:
    """One click on each of some kinds of a tomogram."""
    rng = np.random.default_rng([seed, 22])
    kinds = [name for name in scene.diameters if (scene.classes == name).sum() >= FEWEST]
    draws = []
    for kind in sorted(rng.permutation(kinds)[:KINDS].tolist()):
        truth = scene.points_zyx[scene.classes == kind]
        radius = scene.diameters[kind] / scene.voxel_size / 2
        click = truth[rng.integers(len(truth))] + rng.normal(0, JITTER * radius, 3)
        click = np.clip(click, 0, np.array(scene.data.shape) - 1)[None]
        try:
            tomogram = Tomogram.from_array(scene.data, voxel_size=scene.voxel_size)
            draws.append((kind, _draw(tomogram, click, scene, kind)))
        except InputError:  # no mask at the click
            continue
    return draws


def _draw(
    tomogram: Tomogram, click: np.ndarray, scene: SuiteTomogram | None = None, kind: str = ""
) -> Draw:
    """The first steps of `CryoSAM.pick`; no scene for a tomogram without particles."""
    settings = Settings(preset="embedded")
    picker = CryoSAM(settings)
    diameter = particle_size(tomogram, click, settings).diameter_voxels
    masks = picker.propagator(tomogram, diameter).propagate(tomogram, click)
    prompts = segmented(Picks.from_points(click), masks)
    features = picker.features(tomogram, diameter)
    query = particle_query(tomogram, features, prompts, masks, diameter, settings)
    maxima, proposals = picker.match(features, query.vector, diameter)
    proposals = centred(tomogram, proposals, diameter)
    places = Places.of(tomogram, features, proposals, maxima, diameter)
    background = background_sample(maxima, places.chance).take(places.parts[0])
    places = places.samples()[0]
    every = np.concatenate([proposals.points_zyx, background.points_zyx])
    kinds, particles = _at(every, scene) if scene else (np.full(len(every), -1),) * 2
    clicked = scene.classes == kind if scene else np.zeros(0, bool)
    number = np.append(np.where(clicked, np.cumsum(clicked) - 1, -1), -1)  # of no particle: -1
    return Draw(
        places.instances,
        places.background,
        query.instances,
        places.shapes,
        query.shapes,
        places.similarities,
        places.maxima,
        same(proposals.points_zyx, click, diameter),
        number[particles[: len(proposals)]],
        clicked.sum(),
        kinds,
    )


def _at(points_zyx: np.ndarray, scene: SuiteTomogram) -> tuple[np.ndarray, np.ndarray]:
    """(n,) twice: the kind and the particle that each of n points lies on; -1 for none."""
    kinds = np.full(len(points_zyx), -1)
    particles, nearest = kinds.copy(), np.ones(len(points_zyx))
    for kind, (name, diameter) in enumerate(scene.diameters.items()):
        rows = np.flatnonzero(scene.classes == name)
        if not len(rows):
            continue
        distance, row = cKDTree(scene.points_zyx[rows]).query(points_zyx)
        distance /= diameter / scene.voxel_size / 2  # in radii
        nearer = distance <= nearest
        kinds[nearer], particles[nearer] = kind, rows[row[nearer]]
        nearest[nearer] = distance[nearer]
    return kinds, particles


def fitted(folder: Path) -> dict[str, Network | GraphNetwork]:
    """The networks of `scoring`, by name."""
    rng = np.random.default_rng(0)
    paths = sorted(folder.glob("*.npz"))
    loaded = [Draw.load(path) for path in paths]
    tomograms = [path.stem.partition("_")[0] for path in paths]
    folds = [set(sorted(set(tomograms))[fold::FOLDS]) for fold in range(FOLDS)]
    every = [variants(draw, rng) for draw in loaded]

    def apart(unseen: set[str]) -> tuple[list[int], list[int]]:
        seen = [i for i, name in enumerate(tomograms) if name not in unseen]
        return seen, [i for i, name in enumerate(tomograms) if name in unseen]

    embeddings, presences = [], []
    of_draws: list[list[Lesson]] = [[] for _ in loaded]
    thin: list[list[Draw]] = [[] for _ in loaded]
    for unseen in folds:
        seen, blind = apart(unseen)
        embeddings.append(embedded([loaded[i] for i in seen]))
        for i in blind:
            for draw in every[i]:
                likeness, found = draw.seen(embeddings[-1])
                presences.append(of_tomogram(draw, likeness, found))
                level = float(np.quantile(draw.maxima, rng.uniform(*LOW)))
                low = draw.seen(embeddings[-1], level)
                presences.append(of_tomogram(draw, *low))
                if draw.copies:
                    of_draws[i].append(of_places(draw, likeness, found))
                    if (fewer := draw.thinned(rng)) is not None:
                        of_draws[i].append(of_places(fewer, *fewer.seen(embeddings[-1])))
                        thin[i].append(fewer)
    of_whole = []
    for unseen, embedding in zip(folds, embeddings, strict=True):
        seen, blind = apart(unseen)
        odds = fit_graph([one for i in seen for one in of_draws[i]], ODDS)
        taught = [i for i in blind if loaded[i].copies]
        of_whole += [of_lists(draw, embedding, odds) for i in taught for draw in every[i] + thin[i]]
    return {
        "embedding": embedded(loaded),
        "presence": fit(presences, PRESENCE),
        "odds": fit_graph([one for some in of_draws for one in some], ODDS),
        "cut": fit(of_whole, CUT),
    }


def variants(draw: Draw, rng: np.random.Generator) -> list[Draw]:
    """A draw as it is, with more clicks and, at times, with fewer proposals."""
    found = [draw, draw.also(MORE_CLICKS, rng)]
    if len(draw.own) > 2 * SHORTEST and (not draw.copies or rng.random() < SHORTENED):
        found.append(draw.first(int(np.exp(rng.uniform(*np.log([SHORTEST, LONGEST]))))))
    return found


def embedded(draws: list[Draw]) -> Network:
    """An embedding in which places of one kind of one tomogram lie close, and all else far.

    What is of no kind lies far from everything.
    """
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    seen = []
    for draw in draws:
        n, known = len(draw.own), torch.tensor(draw.kinds.astype(int))
        alike = (known[:, None] == known) & (known >= 0)
        alike.fill_diagonal_(False)
        likeness = Likeness.of(
            (draw.proposals, draw.background, draw.clicked),
            (draw.shapes[:n], draw.shapes[n:], draw.clicked_shapes),
        )
        rows = torch.tensor(likeness.rows[1].astype(np.float32))
        turns = [torch.tensor(turn) for turn in likeness.turns]
        seen.append((rows, alike, alike.sum(dim=1) >= COPIES, known < 0))
    width, loudness = seen[0][0].shape[1], 2
    spread = np.append(np.full(width - loudness, np.sqrt(2 / width)), np.ones(loudness))
    network = torch.nn.Sequential(
        torch.nn.Dropout(DROPOUT),
        torch.nn.Linear(width, HIDDEN),
        torch.nn.Tanh(),
        torch.nn.Dropout(DROPOUT),
        torch.nn.Linear(HIDDEN, SIZE),
    )
    scale = torch.tensor(1 / spread.astype(np.float32))

    def loss() -> torch.Tensor:
        rows, alike, teaches, of_none = seen[rng.integers(len(seen))]
        turned = (rows * scale)[:, turns[rng.integers(len(turns))]]
        found = torch.nn.functional.normalize(network(turned), dim=1)
        likeness = (found @ found.T / TEMPERATURE).fill_diagonal_(-torch.inf)
        crowd = likeness.logsumexp(dim=1)  # how close all others are
        far = APART * crowd[of_none].mean() if of_none.any() else torch.zeros(())
        if not teaches.any():
            return far
        copies = alike.sum(dim=1)[teaches]
        near = likeness.masked_fill(~alike, 0)[teaches].sum(dim=1) / copies
        weights = 1 / copies  # each kind counts as much as another
        return far + (weights * (crowd[teaches] - near)).sum() / weights.sum()

    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    _descend(loss, optimiser, OneCycleLR(optimiser, 2e-3, total_steps=STEPS), STEPS)
    first, last = network[1], network[4]
    return Network(
        middle=np.zeros(width),
        spread=spread,
        reach=np.inf,
        hidden=first.weight.detach().numpy().T,
        hidden_bias=first.bias.detach().numpy(),
        out=last.weight.detach().numpy().T,
        out_bias=last.bias.detach().numpy(),
    )


def fit(lessons: list[Lesson], training: Training) -> Network:
    """The mean of some networks."""
    torch.manual_seed(0)
    rows = np.concatenate([lesson.rows for lesson in lessons])
    weights = np.concatenate([lesson.weights for lesson in lessons])
    middle = np.average(rows, axis=0, weights=weights)
    spread = np.sqrt(np.average((rows - middle) ** 2, axis=0, weights=weights)) + 1e-6
    scaled = np.clip((rows - middle) / spread, -REACH, REACH)
    answers = np.concatenate([one.answers for one in lessons])
    inputs, answers = (torch.tensor(values.astype(np.float32)) for values in (scaled, answers))
    rng = np.random.default_rng(0)
    lengths = [len(lesson.rows) for lesson in lessons]
    parts, right = (pad_sequence(x.split(lengths), batch_first=True) for x in (inputs, answers))
    there = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]

    def of_rows(network: torch.nn.Module) -> torch.Tensor:
        batch = torch.tensor(rng.choice(len(inputs), BATCH, p=weights / weights.sum()))
        return _cross_entropy(network(inputs[batch])[:, 0], answers[batch])

    def of_whole(network: torch.nn.Module) -> torch.Tensor:
        """What the list that looks best lacks of the best counts, too."""
        some = torch.tensor(rng.choice(len(parts), BATCH // 32))
        found, f1, real = network(parts[some])[:, :, 0], right[some], there[some]
        chance = (STEEPNESS * torch.sigmoid(found)).masked_fill(~real, -torch.inf).softmax(dim=1)
        lost = f1.amax(dim=1) - (chance * f1).sum(dim=1)
        return _cross_entropy(found[real], f1[real]) + REGRET * lost.mean()

    loss = of_whole if training.whole else of_rows
    networks = [
        _trained(_network(rows.shape[1], training.hidden), loss, training, 1e-2)
        for _ in range(training.networks)
    ]
    first, last = ([network[i] for network in networks] for i in (0, 3))
    # The mean of their answers is that of one network with all hidden units.
    return Network(
        middle=middle,
        spread=spread,
        reach=REACH,
        hidden=np.concatenate([layer.weight.detach().numpy() for layer in first]).T,
        hidden_bias=np.concatenate([layer.bias.detach().numpy() for layer in first]),
        out=np.concatenate([layer.weight.detach().numpy()[0] for layer in last])
        / training.networks,
        out_bias=float(np.mean([layer.bias.detach().numpy()[0] for layer in last])),
    )


class _Listening(torch.nn.Module):
    """One of a `GraphNetwork`.

    A deaf one hears of no other place and sees nothing of reciprocity: what it knows of a place is
    what the place itself shows, and what the tomogram's kinds have to do with each other, which is
    never quite as in simulated ones, does not mislead it.
    """

    def __init__(self, width: int, hidden: int, deaf: bool) -> None:
        super().__init__()
        self.seen = torch.nn.Linear(width, hidden)
        self.heard = torch.nn.Linear(4 * hidden, hidden)
        self.out = torch.nn.Linear(hidden, 1)
        self.dropout = torch.nn.Dropout(DROPOUT)
        self.deaf = deaf
        with torch.no_grad():
            if deaf:
                self.seen.weight[:, -RECIPROCAL:] = 0
                self.heard.weight[:, hidden:] = 0

    def forward(self, some: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """(n,) of all places of some tomograms, of which each is (n_i, r) and (n_i, k)."""
        rows = torch.cat([rows for rows, _ in some])
        if self.deaf:
            alone = torch.nn.functional.pad(rows[:, :-RECIPROCAL], (0, RECIPROCAL))
            seen = self.dropout(torch.tanh(self.seen(alone)))
            heard = torch.nn.functional.pad(seen, (0, 3 * seen.shape[1]))
        else:
            seen = self.dropout(torch.tanh(self.seen(rows)))
            sizes = [len(rows) for rows, _ in some]
            starts = np.cumsum([0, *sizes[:-1]])
            near = torch.cat([one + start for (_, one), start in zip(some, starts, strict=True)])
            means = [part.mean(dim=0).expand(len(part), -1) for part in seen.split(sizes)]
            near_ones = [seen[near[:, :NEAREST]].mean(dim=1), seen[near].mean(dim=1)]
            heard = torch.cat([seen, *near_ones, torch.cat(means)], dim=1)
        return self.out(self.dropout(torch.tanh(self.heard(heard))))[:, 0]


def fit_graph(lessons: list[Lesson], training: Training) -> GraphNetwork:
    """The mean of some networks, every other one deaf; their answers are calibrated log odds."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    rows = np.concatenate([lesson.rows for lesson in lessons])
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    taught = []
    for one in lessons:
        scaled = np.clip((one.rows - middle) / spread, -REACH, REACH).astype(np.float32)
        right = [torch.tensor(x.astype(np.float32)) for x in (one.answers, one.weights)]
        taught.append(((torch.tensor(scaled), torch.tensor(one.neighbours)), *right))
    copies = np.sqrt([max(one.answers.sum(), 1) for one in lessons])

    def loss(network: _Listening) -> torch.Tensor:
        # Of many copies there is more to hear.
        often = np.ones(len(lessons)) if network.deaf else copies
        some = rng.choice(len(taught), AT_ONCE, p=often / often.sum())
        seen, answers, weights = zip(*(taught[i] for i in some), strict=True)
        costs = torch.nn.functional.binary_cross_entropy_with_logits(
            network(list(seen)), torch.cat(answers), torch.cat(weights), reduction="sum"
        )
        return costs / AT_ONCE

    networks = [
        _trained(_Listening(rows.shape[1], training.hidden, bool(i % 2)), loss, training, 5e-3)
        for i in range(training.networks)
    ]

    def every(name: str) -> np.ndarray:
        return np.stack([network.state_dict()[name].numpy() for network in networks])

    learned = GraphNetwork(
        middle=middle,
        spread=spread,
        reach=REACH,
        hidden=every("seen.weight").swapaxes(1, 2),
        hidden_bias=every("seen.bias")[:, None],
        heard=every("heard.weight").swapaxes(1, 2),
        heard_bias=every("heard.bias")[:, None],
        out=every("out.weight")[:, 0],
        out_bias=float(every("out.bias").mean()),
    )
    return calibrated(learned, lessons)


def calibrated(learned: GraphNetwork, lessons: list[Lesson]) -> GraphNetwork:
    """Log odds by a line: copies got more weight in training than they have."""
    odds = [learned(one.rows, one.neighbours) for one in lessons]
    counts = [one.weights > 0 for one in lessons]

    def loss(line: np.ndarray) -> float:
        costs = []
        for one, values, some in zip(lessons, odds, counts, strict=True):
            found = line[0] * values[some] + line[1]
            costs.append(np.mean(np.logaddexp(0, found) - one.answers[some] * found))
        return float(np.mean(costs))

    slope, bias = minimize(loss, [1.0, -1.0], method="Nelder-Mead").x
    return replace(
        learned, out=slope * learned.out, out_bias=float(slope * learned.out_bias + bias)
    )


def _network(width: int, hidden: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Linear(width, hidden),
        torch.nn.Tanh(),
        torch.nn.Dropout(DROPOUT),
        torch.nn.Linear(hidden, 1),
    )


def _trained(network: N, loss: Callable[[N], torch.Tensor], training: Training, rate: float) -> N:
    """The network after its steps, from a learning rate down to 0 along a cosine."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=training.decay)
    schedule = CosineAnnealingLR(optimiser, training.steps)
    _descend(lambda: loss(network), optimiser, schedule, training.steps)
    return network


def _descend(
    loss: Callable[[], torch.Tensor], optimiser: Optimizer, schedule: LRScheduler, steps: int
) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        schedule.step()


def _cross_entropy(log_odds: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(log_odds, answers)


if __name__ == "__main__":
    main()
