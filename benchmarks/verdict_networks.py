"""Networks of `aitom_cryosam.scoring` that learn, in torch, what they say there in numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from scipy.optimize import minimize
from torch.nn.utils.rnn import pad_sequence
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from aitom_cryosam.scoring.network import (
    NEAREST,
    GraphNetwork,
    Network,
    SequenceNetwork,
    scaled,
)
from aitom_cryosam.scoring.reciprocity import RECIPROCAL

N = TypeVar("N", bound=torch.nn.Module)

REACH, BATCH, DROPOUT = 3.0, 1024, 0.1
AT_ONCE = 12  # draws of a step of the odds that hear
SEQUENCES = 32  # of a step
AROUND, LAYERS = 7, 2  # lists that are seen at once, and how many times
REGRET, STEEPNESS = 2.0, 8.0


@dataclass(frozen=True)
class Training:
    """How one kind of network is fitted: the mean of some of them.

    Attributes:
        networks: whose mean it is.
        hidden: units of a layer.
        steps: of AdamW.
        decay: of the weights.
        rate: of learning, at first.
    """

    networks: int
    hidden: int
    steps: int
    decay: float
    rate: float


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


def fit(lessons: list[Lesson], training: Training) -> Network:
    """The mean of some networks."""
    torch.manual_seed(0)
    rows = np.concatenate([lesson.rows for lesson in lessons])
    weights = np.concatenate([lesson.weights for lesson in lessons])
    middle = np.average(rows, axis=0, weights=weights)
    spread = np.sqrt(np.average((rows - middle) ** 2, axis=0, weights=weights)) + 1e-6
    values = scaled(rows, middle, spread, REACH)
    answers = np.concatenate([one.answers for one in lessons])
    inputs, answers = (torch.tensor(each.astype(np.float32)) for each in (values, answers))
    rng = np.random.default_rng(0)

    def loss(network: torch.nn.Module) -> torch.Tensor:
        batch = torch.tensor(rng.choice(len(inputs), BATCH, p=weights / weights.sum()))
        return _cross_entropy(network(inputs[batch])[:, 0], answers[batch])

    networks = [
        _trained(_network(rows.shape[1], training.hidden), loss, training)
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
        values = scaled(one.rows, middle, spread, REACH).astype(np.float32)
        right = [torch.tensor(x.astype(np.float32)) for x in (one.answers, one.weights)]
        taught.append(((torch.tensor(values), torch.tensor(one.neighbours)), *right))
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
        _trained(_Listening(rows.shape[1], training.hidden, bool(i % 2)), loss, training)
        for i in range(training.networks)
    ]

    every = partial(_stacked, networks)

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


class _Along(torch.nn.Module):
    """One of a `SequenceNetwork`; what lies beyond the end of a sequence is 0 throughout."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.alone = torch.nn.Linear(width, hidden)
        self.around = torch.nn.ModuleList(
            torch.nn.Conv1d(hidden, hidden, AROUND, padding=AROUND // 2) for _ in range(LAYERS)
        )
        self.whole = torch.nn.ModuleList(
            torch.nn.Linear(hidden, hidden, bias=False) for _ in range(LAYERS)
        )
        self.out = torch.nn.Linear(hidden, 1)
        self.dropout = torch.nn.Dropout(DROPOUT)

    def forward(self, rows: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """(b, l) of some sequences, (b, l, r), of which not all is there, (b, l)."""
        real = there[..., None].float()
        hidden = torch.tanh(self.alone(rows)) * real
        for around, whole in zip(self.around, self.whole, strict=True):
            seen = around(self.dropout(hidden).transpose(1, 2)).transpose(1, 2)
            mean = hidden.sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True)
            hidden = (hidden + torch.tanh(seen + whole(mean))) * real
        return self.out(self.dropout(hidden))[..., 0]


def fit_sequence(lessons: list[Lesson], training: Training) -> SequenceNetwork:
    """The mean of some networks; what the best of a sequence lacks of the best there counts."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    rows = np.concatenate([lesson.rows for lesson in lessons])
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    values = [scaled(one.rows, middle, spread, REACH) for one in lessons]
    inputs, answers = (
        pad_sequence([torch.tensor(one.astype(np.float32)) for one in some], batch_first=True)
        for some in (values, [one.answers for one in lessons])
    )
    ends = torch.tensor([len(one.rows) for one in lessons])
    there = torch.arange(inputs.shape[1]) < ends[:, None]
    often = np.array([one.weights.sum() for one in lessons])

    def loss(network: _Along) -> torch.Tensor:
        some = torch.tensor(rng.choice(len(inputs), SEQUENCES, p=often / often.sum()))
        real, right = there[some], answers[some]
        found = network(inputs[some], real)
        chance = (STEEPNESS * torch.sigmoid(found)).masked_fill(~real, -torch.inf).softmax(dim=1)
        lost = right.amax(dim=1) - (chance * right).sum(dim=1)
        return _cross_entropy(found[real], right[real]) + REGRET * lost.mean()

    networks = [
        _trained(_Along(rows.shape[1], training.hidden), loss, training)
        for _ in range(training.networks)
    ]

    every = partial(_stacked, networks)

    def layers(name: str) -> np.ndarray:
        return np.stack([every(name.format(layer)) for layer in range(LAYERS)], axis=1)

    learned = SequenceNetwork(
        middle=middle,
        spread=spread,
        reach=REACH,
        alone=every("alone.weight").swapaxes(1, 2),
        alone_bias=every("alone.bias"),
        around=layers("around.{}.weight").transpose(0, 1, 4, 3, 2),
        around_bias=layers("around.{}.bias"),
        whole=layers("whole.{}.weight").swapaxes(2, 3),
        out=every("out.weight")[:, 0],
        out_bias=every("out.bias")[:, 0],
    )
    return _of_the_best(learned, lessons)


def _of_the_best(learned: SequenceNetwork, lessons: list[Lesson]) -> SequenceNetwork:
    """What it says of the best of a sequence by a line: the best of many is found too good."""
    found = [learned(one.rows) for one in lessons]
    said = np.array([one.max() for one in found])
    right = np.array([one.answers[each.argmax()] for one, each in zip(lessons, found, strict=True)])
    slope, bias = _line(said, right, np.array([one.weights.sum() for one in lessons]))
    return replace(learned, out=slope * learned.out, out_bias=slope * learned.out_bias + bias)


def calibrated(learned: GraphNetwork, lessons: list[Lesson]) -> GraphNetwork:
    """Log odds by a line: copies got more weight in training than they have."""
    counts = [one.weights > 0 for one in lessons]
    said = [
        learned(one.rows, one.neighbours)[some] for one, some in zip(lessons, counts, strict=True)
    ]
    right = [one.answers[some] for one, some in zip(lessons, counts, strict=True)]
    weights = [np.full(len(one), 1 / len(one)) for one in said]
    slope, bias = _line(*map(np.concatenate, (said, right, weights)))
    return replace(learned, out=slope * learned.out, out_bias=slope * learned.out_bias + bias)


def _line(said: np.ndarray, right: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Slope and bias that make log odds of what n were said to be, by how many are right."""

    def loss(line: np.ndarray) -> float:
        log_odds = line[0] * said + line[1]
        return float(np.average(np.logaddexp(0, log_odds) - right * log_odds, weights=weights))

    slope, bias = minimize(loss, [1.0, -1.0], method="Nelder-Mead").x
    return float(slope), float(bias)


def _stacked(networks: Sequence[torch.nn.Module], name: str) -> np.ndarray:
    """(g, ...) parameters of this name, of g networks."""
    return np.stack([network.state_dict()[name].numpy() for network in networks])


def _network(width: int, hidden: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Linear(width, hidden),
        torch.nn.Tanh(),
        torch.nn.Dropout(DROPOUT),
        torch.nn.Linear(hidden, 1),
    )


def _trained(network: N, loss: Callable[[N], torch.Tensor], training: Training) -> N:
    """The network after its steps, the learning rate going down to 0 along a cosine."""
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=training.rate, weight_decay=training.decay
    )
    schedule = CosineAnnealingLR(optimiser, training.steps)
    descend(lambda: loss(network), optimiser, schedule, training.steps)
    return network.eval()


def descend(
    loss: Callable[[], torch.Tensor], optimiser: Optimizer, schedule: LRScheduler, steps: int
) -> None:
    """So many steps down a loss."""
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        schedule.step()


def _cross_entropy(log_odds: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(log_odds, answers)
