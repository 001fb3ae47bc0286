"""Learn how much each piece of evidence for a pick weighs, on simulated tomograms.

    python benchmarks/verdict_training.py draw DIR --first 1000 --count 60 [--maps DENSITIES]
    python benchmarks/verdict_training.py draw DIR --first 70000 --count 500 --sample abundant ...
    python benchmarks/verdict_training.py fit DIR aitom_cryosam/scoring

The first two make tomograms of kinds that exist nowhere, of other seeds than the suite's report
half, run `CryoSAM` on them from one click up to its proposals and keep their instances. How many
copies there are differs from sample to sample, as what is learned would count on it. The third
fits the embedding of `scoring.likeness`, makes evidence with it, as `pick` does, and fits the
networks of `scoring.presence`, `scoring.odds` and `scoring.cut`, the latter two on tomograms with
particles. Each learns from what those before it say of tomograms that they have not seen. Every
draw also counts with four more clicks, and some with fewer proposals; to odds and cut also with
one and five clicks on the clearest copies, as users do it, and with other things or copies taken
away, and to presence beside less of the background.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import cKDTree
from torch.optim.lr_scheduler import OneCycleLR

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.centring import centred
from aitom_cryosam.errors import InputError
from aitom_cryosam.particle_size import particle_size
from aitom_cryosam.prompting import particle_query, prompted
from aitom_cryosam.scoring.chance import chance_level
from aitom_cryosam.scoring.cut import list_lengths, list_rows
from aitom_cryosam.scoring.evidence import Evidence
from aitom_cryosam.scoring.likeness import Likeness
from aitom_cryosam.scoring.network import GraphNetwork, Network, SequenceNetwork
from aitom_cryosam.scoring.odds import ProposalOdds, SampleOdds, graph_inputs, likeness_and_evidence
from aitom_cryosam.scoring.places import Places, background_sample
from aitom_cryosam.scoring.presence import signs
from aitom_cryosam.scoring.verdict import same
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import simulate
from benchmarks.suite_tomograms import Sample, SuiteTomogram, make_tomogram, without_particles
from benchmarks.verdict_networks import (
    DROPOUT,
    Lesson,
    Training,
    descend,
    fit,
    fit_graph,
    fit_sequence,
)

SHAPE, SMALL = (40, 144, 144), (40, 72, 96)  # without a particle
KINDS = 4  # of a tomogram that are clicked
JITTER = 0.08  # radii, standard deviation of a click along each axis
MORE_CLICKS = 4
CLEAR_CLICKS = (1, 5)
CLEAREST, ENOUGH = 5, 3
"""One clear click is on one of the first so many copies, or of the first one in so many of them, if
these are fewer."""
SHORTENED, SHORTEST, LONGEST = 0.3, 40, 200
"""Share of the draws that also count with fewer proposals, and how many these are."""
FEWER_OTHERS = 0.7
"""Share of the thinned draws that lose other things; the rest lose copies."""
LOW = (0.2, 0.6)
"""Share of all maxima, at least and at most, of which the background is seen a second time."""
FIRST, FOUND = 10, 0.3
"""Of so many first places so large a share are copies, or nothing is learned from the draw of
whether there are particles."""
FOLDS = 3
COUNTED, MANY = (3, 200), 0.35
"""Lists teach as often as this power of their best length, between these, says: most tomograms
drawn have few copies, and from them alone a network learns that all have."""

ODDS = Training(networks=2, hidden=48, steps=5000, decay=0.1, rate=5e-3)
PRESENCE = Training(networks=4, hidden=48, steps=3000, decay=0.1, rate=1e-2)
CUT = Training(networks=6, hidden=24, steps=5000, decay=0.1, rate=3e-3)
HIDDEN, SIZE = 256, 48  # units of the embedding, and its dimensions
STEPS = 10000
TEMPERATURE = 0.1
APART = 0.3  # weight of what is of no kind
COPIES = 3
"""Places of a kind, at least, that teach the embedding."""
WANTED = 0.25
"""Share of a draw's weight that its copies get towards, where they are fewer."""


def _crowded(rng: np.random.Generator, usual: np.ndarray) -> np.ndarray:
    return (usual * rng.uniform(1, 3)).astype(int)


def _abundant(rng: np.random.Generator, usual: np.ndarray) -> np.ndarray:
    """One to three kinds have most of the copies, as in a cell."""
    counts = rng.integers(1, 13, len(usual))
    some = rng.permutation(len(usual))[: rng.integers(1, 4)]
    counts[some] = np.exp(rng.uniform(*np.log([30, 250]), len(some))).astype(int)
    return counts


def _hundreds(rng: np.random.Generator, usual: np.ndarray) -> np.ndarray:
    return np.exp(rng.uniform(*np.log([150, 600]), len(usual))).astype(int)


@dataclass(frozen=True)
class Drawn:
    """Tomograms of one sort of sample, that are drawn from.

    Attributes:
        shapes_zyx: voxels, in turn.
        sample: None for the suite's.
        fewest: copies of a kind that is clicked.
    """

    shapes_zyx: tuple[tuple[int, int, int], ...]
    sample: Sample | None
    fewest: int


SAMPLES = {
    "suite": Drawn(((40, 144, 144), (48, 176, 176), (40, 144, 144), (56, 200, 200)), None, 6),
    "crowded": Drawn(
        ((64, 224, 224), (56, 200, 200), (72, 256, 256), (64, 256, 256)), Sample(_crowded, 0.3), 6
    ),
    "abundant": Drawn(
        ((64, 256, 256), (64, 224, 224), (72, 256, 256), (64, 288, 288)), Sample(_abundant, 0.3), 20
    ),
    "purified": Drawn(
        ((48, 200, 200), (40, 224, 224), (56, 200, 200), (48, 240, 240)),
        Sample(_hundreds, 0.2, purified=True, smallest=4),
        60,
    ),
}


@dataclass(frozen=True, eq=False)
class Draw:
    """The instances of one run; n proposals, m places of background, p clicks.

    Attributes:
        proposals, background, clicked: (n, k, d), (m, k, d), (p, k, d).
        shapes, clicked_shapes: (n + m, h), (p, h).
        similarities, maxima: (n + m,) and of all maxima.
        is_prompt: (n,) bool, the clicked instances.
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
    is_prompt: np.ndarray
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
        is_prompt = self.is_prompt > 0
        found = self._other_copies(np.arange(len(is_prompt)))
        if not self.copies:
            found = np.flatnonzero(~is_prompt)  # on nothing, again
        others = rng.permutation(found)[:more].astype(int)
        is_prompt[others] = True
        return replace(
            self,
            is_prompt=is_prompt,
            clicked=np.concatenate([self.clicked, self.proposals[others]]),
            clicked_shapes=np.concatenate([self.clicked_shapes, self.shapes[others]]),
        )

    def on_clear(self, clicks: int, found: Evidence, rng: np.random.Generator) -> Draw | None:
        """The same with clicks on what comes first, as users do it; None of too few copies.

        Copies that are clear are more alike than others, so that lists seem to end earlier.

        Args:
            clicks: how many; a single one is on any of the first.
            found: what speaks for each place as it is.
            rng: which.
        """
        ranked = np.argsort(-found.walks[: len(self.is_prompt)], kind="stable")
        clear = ranked[np.sort(self._other_copies(ranked))]
        if len(clear) < max(clicks, ENOUGH):
            return None
        if clicks == 1:
            clear = clear[[rng.integers(min(CLEAREST, len(clear) // ENOUGH))]]
        rows = clear[:clicks]
        return replace(
            self,
            is_prompt=np.isin(np.arange(len(self.is_prompt)), rows),
            clicked=self.proposals[rows],
            clicked_shapes=self.shapes[rows],
        )

    def _other_copies(self, order: np.ndarray) -> np.ndarray:
        """(c,) where in an order, (n,) of the proposals, each copy comes first; no clicked one."""
        copies, first = np.unique(self.copy[order], return_index=True)
        known = np.append(self.copy[self.is_prompt > 0], -1)  # and what is no copy
        return np.asarray(first[~np.isin(copies, known)])

    def first(self, count: int) -> Draw:
        """The same with so many proposals, as by another `--top-k`."""
        n = len(self.is_prompt)
        kept = np.r_[: min(count, n), n : len(self.kinds)]
        return replace(
            self,
            **{name: getattr(self, name)[:count] for name in ("proposals", "is_prompt", "copy")},
            **{name: getattr(self, name)[kept] for name in ("shapes", "similarities", "kinds")},
        )

    def thinned(self, rng: np.random.Generator) -> Draw | None:
        """The same where there are fewer other things, or fewer copies; None if hardly any is left.

        How many of the proposals are of the kind is otherwise much the same in all draws of a
        folder, and what is learned from them would count on it.

        Args:
            rng: which.
        """
        is_prompt, copies = self.is_prompt > 0, self.copy >= 0
        if rng.random() < FEWER_OTHERS:
            kept = copies | (rng.random(len(is_prompt)) < rng.uniform(0.02, 0.6))
        else:
            kept = is_prompt | ~copies | (rng.random(len(is_prompt)) < rng.uniform(0.2, 0.7))
        kept |= is_prompt
        if kept.sum() < SHORTEST:
            return None
        every = np.append(kept, np.ones(len(self.kinds) - len(is_prompt), bool))
        found = np.unique(self.copy[kept & copies])
        return replace(
            self,
            **{name: getattr(self, name)[kept] for name in ("proposals", "is_prompt", "copy")},
            **{name: getattr(self, name)[every] for name in ("shapes", "similarities", "kinds")},
            copies=np.array(max(len(found), 1)),
        )

    def seen(self, embedding: Network, level: float | None = None) -> tuple[Likeness, Evidence]:
        """What speaks for the places, as `pick` sees it; beside the background below a level."""
        is_prompt = self.is_prompt > 0
        places = self.places if level is None else self.places.below(level)
        return likeness_and_evidence(
            places, self.clicked, is_prompt, self.clicked_shapes, embedding
        )

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


def of_places(draw: Draw, likeness: Likeness, found: Evidence) -> Lesson:
    """What is weighed, and whether a proposal is of the kind; the clicked count nothing."""
    is_prompt = draw.is_prompt > 0
    of_kind = (draw.copy >= 0) & ~is_prompt
    fewness = WANTED * (~is_prompt).sum() / max(of_kind.sum(), 1)
    weights = np.where(of_kind, np.sqrt(max(1, fewness)), 1.0) * ~is_prompt
    rows, neighbours = graph_inputs(likeness, found, is_prompt)
    return Lesson(rows, of_kind * 1.0, weights / weights.sum(), neighbours)


def of_tomogram(draw: Draw, likeness: Likeness, found: Evidence) -> Lesson:
    """Signs of its places, and whether there are particles like the clicked.

    Where hardly any of these come first, it teaches nothing.
    """
    is_prompt = draw.is_prompt > 0
    first = np.argsort(np.where(is_prompt, np.inf, -found.walks[: len(is_prompt)]))[:FIRST]
    weight = 1.0 if not draw.copies or (draw.copy[first] >= 0).mean() >= FOUND else 0.0
    rows = signs(likeness, found, is_prompt)[None]
    return Lesson(rows, np.array([draw.copies > 0]) * 1.0, np.array([weight]))


def of_lists(draw: Draw, places: Lesson, odds: GraphNetwork) -> Lesson:
    """What speaks for each list of picks, and its F1.

    Args:
        draw: of which the places are.
        places: what they are judged by.
        odds: that did not learn from them.
    """
    assert places.neighbours is not None
    is_prompt = draw.is_prompt > 0
    seen = SampleOdds(places.rows, odds(places.rows, places.neighbours))
    lengths = list_lengths(is_prompt)
    copy = draw.copy[ProposalOdds((seen,), is_prompt, 1.0).order]
    _, first = np.unique(copy, return_index=True)
    hit = np.zeros(len(copy))
    hit[first] = copy[first] >= 0
    right = np.cumsum(hit)[lengths - 1]
    f1 = 2 * right / (lengths + draw.copies)
    often = np.clip(lengths[f1.argmax()], *COUNTED) ** MANY
    return Lesson(list_rows(seen, is_prompt, lengths), f1, np.full(len(f1), often / len(f1)))


def main() -> None:
    args = _parser().parse_args()
    if args.what == "fit":
        for name, network in fitted(args.folder).items():
            stored = {key: np.float32(value) for key, value in vars(network).items()}
            np.savez(args.weights / f"{name}.npz", **stored)
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    drawn = SAMPLES[args.sample]
    for seed in range(args.first, args.first + args.count):
        shape = drawn.shapes_zyx[seed // 2 % len(drawn.shapes_zyx)]
        try:
            scene = make_tomogram(seed, shape, args.maps if seed % 2 else None, drawn.sample)
        except RuntimeError:  # the particles do not fit
            continue
        for name, draw in draws_of(scene, seed, drawn.fewest):
            draw.save(args.folder / f"{seed}_{name}.npz")
    for seed in range(args.first, args.first + args.noise):
        for name, (tomogram, click) in (
            ("nothing", nothing(seed, args.maps)),
            ("noise", filtered_noise(seed)),
        ):
            try:
                _draw(tomogram, click).save(args.folder / f"{seed}_{name}.npz")
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
        click = _darkest(data, seed % 3)
    return Tomogram.from_array(data, voxel_size=size), click[None]


def filtered_noise(seed: int) -> tuple[Tomogram, np.ndarray]:
    """White noise, smoothed or not, and (1, 3) voxels zyx where it is clicked."""
    rng = np.random.default_rng([seed, 31])
    shape = ((40, 76, 90), (64, 96, 96), (48, 128, 128), SHAPE)[rng.integers(4)]
    data = rng.standard_normal(shape).astype(np.float32)
    data = ndimage.gaussian_filter(data, rng.choice([0, 0.5, 0.7, 1, 1.4, 2]))
    if rng.random() < 0.3:
        data -= ndimage.gaussian_filter(data, rng.uniform(4, 12))
    click = np.array(shape) * rng.uniform(0.25, 0.75, 3)
    if rng.random() < 0.7:  # on something dark
        click = _darkest(data, rng.uniform(0.5, 2.5))
    return Tomogram.from_array(data, voxel_size=float(rng.choice([8, 10, 13.5]))), click[None]


def _darkest(data: np.ndarray, sigma: float) -> np.ndarray:
    """(3,) voxels zyx: where the middle of a tomogram is darkest, smoothed."""
    inside = np.full(data.shape, np.inf)
    middle = tuple(slice(n // 4, n - n // 4) for n in data.shape)
    inside[middle] = ndimage.gaussian_filter(data, sigma)[middle]
    return np.array(np.unravel_index(inside.argmin(), data.shape), float)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="what", required=True)
    draw = commands.add_parser("draw")
    draw.add_argument("folder", type=Path)
    draw.add_argument("--first", type=int, default=1000)
    draw.add_argument("--count", type=int, default=60)
    draw.add_argument("--noise", type=int, default=12, help="tomograms without a particle, twice")
    draw.add_argument("--sample", choices=SAMPLES, default="suite")
    draw.add_argument("--maps", type=Path, help="folder of density maps that are mixed in")
    learn = commands.add_parser("fit")
    learn.add_argument("folder", type=Path)
    learn.add_argument("weights", type=Path, help="folder of the networks")
    return parser


def draws_of(scene: SuiteTomogram, seed: int, fewest: int) -> list[tuple[str, Draw]]:
    """One click on each of some kinds of a tomogram, of which there are not fewer."""
    rng = np.random.default_rng([seed, 22])
    kinds = [name for name in scene.diameters if (scene.classes == name).sum() >= fewest]
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
    walks = picker.propagator(tomogram, diameter)
    prompts, masks = prompted(walks, tomogram, Picks.from_points(click))
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


def fitted(folder: Path) -> dict[str, Network | GraphNetwork | SequenceNetwork]:
    """The networks of `scoring`, by name."""
    rng = np.random.default_rng(0)
    paths = sorted(folder.glob("*.npz"))
    loaded = [Draw.load(path) for path in paths]
    tomograms = [path.stem.partition("_")[0] for path in paths]
    folds = [set(sorted(set(tomograms))[fold::FOLDS]) for fold in range(FOLDS)]

    def apart(unseen: set[str]) -> tuple[list[int], list[int]]:
        seen = [i for i, name in enumerate(tomograms) if name not in unseen]
        return seen, [i for i, name in enumerate(tomograms) if name in unseen]

    presences = []
    taught: list[list[tuple[Draw, Lesson]]] = [[] for _ in loaded]
    for unseen in folds:
        seen, blind = apart(unseen)
        embedding = embedded([loaded[i] for i in seen])
        for i in blind:
            plain = variants(loaded[i], rng)
            looks = [draw.seen(embedding) for draw in plain]
            for draw, look in zip(plain, looks, strict=True):
                presences.append(of_tomogram(draw, *look))
                level = float(np.quantile(draw.maxima, rng.uniform(*LOW)))
                presences.append(of_tomogram(draw, *draw.seen(embedding, level)))
                taught[i] += places_of(draw, look, embedding, rng)
            for clicks in CLEAR_CLICKS:
                if (clear := loaded[i].on_clear(clicks, looks[0][1], rng)) is not None:
                    taught[i] += places_of(clear, clear.seen(embedding), embedding, rng)
    of_whole = []
    for unseen in folds:
        seen, blind = apart(unseen)
        odds = fit_graph([places for i in seen for _, places in taught[i]], ODDS)
        of_whole += [of_lists(*one, odds) for i in blind for one in taught[i]]
    return {
        "embedding": embedded(loaded),
        "presence": fit(presences, PRESENCE),
        "odds": fit_graph([places for some in taught for _, places in some], ODDS),
        "cut": fit_sequence(of_whole, CUT),
    }


def places_of(
    draw: Draw, look: tuple[Likeness, Evidence], embedding: Network, rng: np.random.Generator
) -> list[tuple[Draw, Lesson]]:
    """What its places teach, as it is seen and thinned; nothing where there are no copies."""
    if not draw.copies:
        return []
    taught = [(draw, of_places(draw, *look))]
    if (fewer := draw.thinned(rng)) is not None:
        taught.append((fewer, of_places(fewer, *fewer.seen(embedding))))
    return taught


def variants(draw: Draw, rng: np.random.Generator) -> list[Draw]:
    """A draw as it is first, with more clicks and, at times, with fewer proposals."""
    found = [draw, draw.also(MORE_CLICKS, rng)]
    if len(draw.is_prompt) > 2 * SHORTEST and (not draw.copies or rng.random() < SHORTENED):
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
        n, known = len(draw.is_prompt), torch.tensor(draw.kinds.astype(int))
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
    descend(loss, optimiser, OneCycleLR(optimiser, 2e-3, total_steps=STEPS), STEPS)
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


if __name__ == "__main__":
    main()
