"""Learn how much each piece of evidence for a pick weighs, on simulated tomograms.

    python benchmarks/verdict_training.py draw DIR --first 1000 --count 60 [--maps DENSITIES]
    python benchmarks/verdict_training.py fit DIR aitom_cryosam/scoring/odds.npz

The first makes tomograms of kinds that exist nowhere, of other seeds than the suite's report
half, runs `CryoSAM` on them from one click up to its proposals and keeps their instances. The
second makes evidence of them, as `pick` does, and fits the network of `scoring.odds`. Every draw
also counts with four more clicks.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.errors import InputError
from aitom_cryosam.particle_size import centred, particle_diameter
from aitom_cryosam.prompting import particle_query, segmented
from aitom_cryosam.scoring.chance import chance_level
from aitom_cryosam.scoring.evidence import evidence
from aitom_cryosam.scoring.instances import pooled
from aitom_cryosam.scoring.odds import CERTAIN, Weights, context
from aitom_cryosam.scoring.places import background_sample
from aitom_cryosam.scoring.verdict import SAME
from benchmarks.suite_tomograms import SuiteTomogram, make_tomogram, without_particles

SHAPE = (40, 144, 144)
NOWHERE = np.full((1, 3), -1e3)
KINDS, FEWEST = 3, 6  # of a tomogram, and copies of each, that are clicked
JITTER = 0.08  # radii, standard deviation of a click along each axis
MORE_CLICKS = 4
NETWORKS = 4
HIDDEN, REACH, STEPS, BATCH, DECAY, DROPOUT = 12, 3.0, 300, 1024, 0.03, 0.1
MOST_WEIGHT = 20
"""Copies of a kind beyond which a draw counts no more."""
RIDGE = 2e-4
FITTED = 0.65
"""How much the fitted context counts beside Bayes' rule."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What `fit` learns from: n proposals, then m places of background.

    Attributes:
        rows: (n + m, e).
        of_kind: (n + m,) bool.
        own, outstanding: (n,) bool, as for `Weights.probabilities`.
    """

    rows: np.ndarray
    of_kind: np.ndarray
    own: np.ndarray
    outstanding: np.ndarray


@dataclass(frozen=True, eq=False)
class Draw:
    """The instances of one run; n proposals, m places of background, p clicks.

    Attributes:
        proposals, background, clicked: (n, k, d), (m, k, d), (p, k, d).
        similarities, maxima: (n + m,) and of all maxima.
        own: (n,) bool, the clicked instances.
        copy: (n + m,) which copy of the clicked kind a place is, -1 for none.
    """

    proposals: np.ndarray
    background: np.ndarray
    clicked: np.ndarray
    similarities: np.ndarray
    maxima: np.ndarray
    own: np.ndarray
    copy: np.ndarray

    def save(self, path: Path) -> None:
        """To one file."""
        halved = {name: getattr(self, name).astype(np.float16) for name in ("proposals",)}
        np.savez(path, **{**vars(self), **halved})

    @classmethod
    def load(cls, path: Path) -> Draw:
        """What `save` has written."""
        with np.load(path) as file:
            return cls(**{name: file[name].astype(np.float64) for name in file.files})

    def evidence(self, more: int, rng: np.random.Generator) -> Evidence:
        """What speaks for its places.

        Args:
            more: copies that are clicked as well.
            rng: which.
        """
        own = self.own > 0
        _, first = np.unique(self.copy[: len(own)], return_index=True)
        others = rng.permutation([i for i in first if self.copy[i] >= 0 and not own[i]])[:more]
        own[others.astype(int)] = True
        clicked = np.concatenate([self.clicked, self.proposals[others.astype(int)]])
        found = evidence(
            self.proposals, clicked, self.background, self.similarities, self.maxima, own
        )
        outstanding = self.similarities[: len(own)] >= chance_level(self.maxima)
        return Evidence(found, self.copy >= 0, own, outstanding)


def main() -> None:
    args = _parser().parse_args()
    if args.what == "fit":
        rng = np.random.default_rng(0)
        draws = [Draw.load(path) for path in sorted(args.folder.glob("*.npz"))]
        found = [draw.evidence(more, rng) for draw in draws for more in (0, MORE_CLICKS)]
        np.savez(args.weights, **vars(fit(found)))
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(args.first, args.first + args.count):
        scene = make_tomogram(seed, SHAPE, args.maps)
        for name, draw in draws_of(scene, seed):
            draw.save(args.folder / f"{seed}_{name}.npz")
    for seed in range(args.first, args.first + args.noise):
        data = without_particles(seed, SHAPE, args.maps)
        click = np.array(SHAPE) * np.random.default_rng(seed).uniform(0.25, 0.75, (1, 3))
        try:
            draw = _draw(Tomogram.from_array(data, voxel_size=10.0), click, NOWHERE, 1.0)
            draw.save(args.folder / f"{seed}_noise.npz")
        except InputError:  # no mask at the click
            continue


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
    learn.add_argument("weights", type=Path)
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
            draws.append((kind, _draw(tomogram, click, truth, radius)))
        except InputError:  # no mask at the click
            continue
    return draws


def _draw(tomogram: Tomogram, click: np.ndarray, truth: np.ndarray, radius: float) -> Draw:
    """The first steps of `CryoSAM.pick`."""
    settings = Settings(preset="embedded")
    picker = CryoSAM(settings)
    diameter = particle_diameter(tomogram, click, settings)
    masks = picker.propagator(tomogram, diameter).propagate(tomogram, click)
    prompts = segmented(Picks.from_points(click), masks)
    features = picker.features(tomogram, diameter)
    query = particle_query(tomogram, features, prompts, masks, diameter, settings)
    maxima, proposals = picker.match(features, query.vector, diameter)
    points = centred(tomogram, proposals, diameter).points_zyx
    low = background_sample(maxima, chance_level(maxima.scores))
    distance, nearest = cKDTree(truth).query(np.concatenate([points, low.points_zyx]))
    return Draw(
        pooled(features, points, diameter),
        pooled(features, low.points_zyx, diameter),
        query.instances,
        np.concatenate([proposals.scores, low.scores]),
        maxima.scores,
        np.linalg.norm(points - click, axis=1) < SAME * diameter,
        np.where(distance <= radius, nearest, -1),
    )


def fit(found: list[Evidence]) -> Weights:
    """The weights of `scoring.odds`."""
    network = _evidence_weights(found)
    nothing = np.zeros(3)
    even = Weights(
        **network, context_low=nothing, context_high=nothing, context=nothing, slope=1, bias=0
    )
    return replace(even, **_context_weights(found, even))


def _evidence_weights(draws: list[Evidence]) -> dict[str, np.ndarray]:
    """Of the network: a draw's copies count together as much as all its other places."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    found, kinds, weights = [], [], []
    for draw in draws:
        other = np.append(~draw.own, np.ones(len(draw.rows) - len(draw.own), bool))
        rows, of_kind = draw.rows[other], draw.of_kind[other]
        if of_kind.any():
            share = np.sqrt(min(of_kind.sum(), MOST_WEIGHT))
            found.append(rows)
            kinds.append(of_kind)
            weights.append(np.where(of_kind, share / of_kind.sum(), share / (~of_kind).sum()))
    rows, of_kind, weight = (np.concatenate(parts) for parts in (found, kinds, weights))
    middle = np.average(rows, axis=0, weights=weight)
    spread = np.sqrt(np.average((rows - middle) ** 2, axis=0, weights=weight)) + 1e-6
    scaled = np.clip((rows - middle) / spread, -REACH, REACH).astype(np.float32)
    inputs, answers = torch.tensor(scaled), torch.tensor(of_kind.astype(np.float32))
    chances = weight / weight.sum()
    networks = [_network(inputs, answers, chances, rng) for _ in range(NETWORKS)]
    first, last = ([network[i] for network in networks] for i in (0, 3))
    # The mean of their answers is that of one network with all hidden units.
    return {
        "middle": middle,
        "spread": spread,
        "reach": np.array(REACH),
        "hidden": np.concatenate([layer.weight.detach().numpy() for layer in first]).T,
        "hidden_bias": np.concatenate([layer.bias.detach().numpy() for layer in first]),
        "out": np.concatenate([layer.weight.detach().numpy()[0] for layer in last]) / NETWORKS,
        "out_bias": np.mean([layer.bias.detach().numpy()[0] for layer in last]),
    }


def _context_weights(draws: list[Evidence], even: Weights) -> dict[str, np.ndarray]:
    """Of the context, by the likelihood of all proposals; each draw counts the same."""
    log_odds = [even.log_odds(draw.rows[: len(draw.own)]) for draw in draws]
    log_odds = [np.where(d.own, CERTAIN, values) for d, values in zip(draws, log_odds, strict=True)]
    contexts = np.array(
        [context(v, d.own, d.outstanding) for d, v in zip(draws, log_odds, strict=True)]
    )
    middle, spread = contexts.mean(axis=0), contexts.std(axis=0)
    rows, answers, weights = [], [], []
    for draw, values, here in zip(draws, log_odds, (contexts - middle) / spread, strict=True):
        other = ~draw.own
        count = other.sum()
        rows.append(np.column_stack([values[other], np.tile([*here, 1], (count, 1))]))
        answers.append(draw.of_kind[: len(other)][other])
        weights.append(np.full(count, 1 / count / len(draws)))
    x, y, weight = (np.concatenate(parts) for parts in (rows, answers, weights))

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ beta
        ridge = RIDGE * np.array([0, 1, 1, 1, 0]) * beta
        value = weight @ (np.logaddexp(0, z) - y * z) + ridge @ beta / 2
        return value, x.T @ (weight * (expit(z) - y)) + ridge

    slope, *shares, bias = minimize(loss, [0.7, 0, 0, 0, -2.7], jac=True).x
    fitted = np.array([slope, *shares / spread, bias - middle @ (shares / spread)])
    # Bayes' rule with the share alone; it holds where no tomogram was like that.
    bayes = np.array([1, 1, 0, 0, 0])
    slope, *shares, bias = FITTED * fitted + (1 - FITTED) * bayes
    return {
        "context_low": contexts.min(axis=0),
        "context_high": contexts.max(axis=0),
        "context": np.array(shares),
        "slope": np.array(slope),
        "bias": np.array(bias),
    }


def _network(
    inputs: torch.Tensor, answers: torch.Tensor, chances: np.ndarray, rng: np.random.Generator
) -> torch.nn.Sequential:
    network = torch.nn.Sequential(
        torch.nn.Linear(inputs.shape[1], HIDDEN),
        torch.nn.Tanh(),
        torch.nn.Dropout(DROPOUT),
        torch.nn.Linear(HIDDEN, 1),
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        batch = torch.tensor(rng.choice(len(inputs), BATCH, p=chances))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            network(inputs[batch])[:, 0], answers[batch]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network


if __name__ == "__main__":
    main()
