"""The training that both stand-ins share: warm up, learn for so many minutes, save now and then."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.standins.scenes import Step, steps

WARM_UP = 100  # steps
SAVED_EVERY = 100  # steps
UNSEEN = 40  # lessons on tomograms that were not learned from, at the end


def parser(about: str, minutes: float) -> argparse.ArgumentParser:
    """Options of a script that trains.

    Args:
        about: its docstring.
        minutes: that it usually takes.
    """
    made = argparse.ArgumentParser(description=about.partition("\n")[0])
    made.add_argument("--out", type=Path, required=True, help="checkpoint, .pth")
    made.add_argument("--minutes", type=float, default=minutes)
    made.add_argument("--device", default="cpu")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--go-on", action="store_true", help="from what --out has; another --seed")
    return made


def train(
    args: argparse.Namespace,
    module: torch.nn.Module,
    lesson: Callable[[Iterator[Step]], tuple[Tensor, Sequence[float]]],
    *,
    rate: float,
    decay: float,
    published: Callable[[], Mapping[str, Tensor]],
    sizes: Mapping[str, Any],
    said: Callable[[Sequence[float]], str],
) -> None:
    """Train until the minutes are over, with the checkpoint and its sizes beside each other.

    Args:
        args: of `parser`.
        module: on its device.
        lesson: takes what it needs; gives the loss of it, and what was reached.
        rate: of learning, after the warm-up.
        decay: of the weights.
        published: the checkpoint's weights.
        sizes: of the module, for the JSON file.
        said: the line that tells of the means of what was reached.
    """
    optimiser = torch.optim.AdamW(module.parameters(), rate, weight_decay=decay)
    learned = args.out.with_suffix(".learned")  # by the module's own names
    if args.go_on:
        module.load_state_dict(torch.load(learned, weights_only=True))
    source = steps(args.seed)
    begin, recent, number, late = time.monotonic(), [], 0, 0.0
    while late < 1:
        number += 1
        late = (time.monotonic() - begin) / (60 * args.minutes)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(number / WARM_UP, 1) * max(1 - late, 0.02)
        loss, reached = lesson(source)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        recent.append((float(loss.detach()), *reached))
        if late >= 1 or number % SAVED_EVERY == 0:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            torch.save(published(), args.out)
            torch.save(module.state_dict(), learned)
            args.out.with_suffix(".json").write_text(json.dumps(sizes))
            loss_mean, *means = np.mean(recent[-SAVED_EVERY:], axis=0)
            print(f"{number:6} steps {late:5.0%}  loss {loss_mean:.3f}  {said(means)}", flush=True)
    unseen = steps(args.seed + 1_000_000, draws=8)
    with torch.no_grad():
        means = np.mean([lesson(unseen)[1] for _ in range(UNSEEN)], axis=0)
    print(f"tomograms not learned from: {said(means.tolist())}", flush=True)
