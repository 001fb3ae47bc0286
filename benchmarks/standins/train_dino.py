"""Train a small vision transformer with patches of 14 pixels in DINOv2's place.

    python benchmarks/standins/train_dino.py --out DIR/dino.pth [--minutes 60] [--device cuda]

Two views of each plane, turned by quarters, with other noise and contrast, are encoded; a token
of one is to be told from all other tokens as that of the same place in the other (InfoNCE). The
checkpoint is in DINOv2's layout with its sizes in the JSON beside it, so that

    cryosam pick TOMO --preset networks --encoder dinov2_vits14_reg \\
        --checkpoint dinov2_vits14_reg=DIR/dino.pth

runs on it. It has seen thousands of simulated planes, not 142 million photographs.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import timm
import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.standins.scenes import steps
from benchmarks.standins.training import parser, train

ARCHITECTURE = "vit_small_patch14_reg4_dinov2"
OPTIONS = {"embed_dim": 192, "depth": 6, "num_heads": 3, "img_size": 14 * 16}
BATCH = 8
TOKENS = 64  # of each plane that are told from one another
TEMPERATURE = 0.1
RATE = 5e-4


def main() -> None:
    args = parser(__doc__, minutes=60).parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    module = timm.create_model(ARCHITECTURE, num_classes=0, dynamic_img_size=True, **OPTIONS)
    module = module.to(args.device).train()
    source = steps(args.seed + 1)

    def next_lesson() -> tuple[Tensor, list[float]]:
        loss, share = lesson(module, [step.planes[0] for step in islice(source, BATCH)], rng)
        return loss, [share]

    train(
        args,
        module,
        next_lesson,
        rate=RATE,
        decay=0.04,
        published=lambda: published(module),
        sizes=OPTIONS,
        said=lambda means: f"places found {means[0]:.2f}",
    )


def lesson(
    module: torch.nn.Module, planes: list[np.ndarray], rng: np.random.Generator
) -> tuple[Tensor, float]:
    """The contrastive loss of a batch of planes (h, w), and the share of places found again."""
    device = next(module.parameters()).device
    side = OPTIONS["img_size"]
    total, found = torch.zeros((), device=device), 0.0
    for plane in planes:
        image = torch.from_numpy(np.ascontiguousarray(plane))[None, None].to(device)
        image = F.interpolate(image, (side, side), mode="bilinear", antialias=True)[0, 0]
        turn = int(rng.integers(4))
        one, other = (
            module.forward_features(varied(view, rng).expand(1, 3, -1, -1))[0]
            for view in (image, torch.rot90(image, turn))
        )
        one, other = (tokens[module.num_prefix_tokens :] for tokens in (one, other))
        grid = side // 14
        other = torch.rot90(other.view(grid, grid, -1), -turn).flatten(0, 1)
        chosen = torch.from_numpy(rng.permutation(grid**2)[:TOKENS]).to(device)
        one, other = (F.normalize(tokens[chosen], dim=1) for tokens in (one, other))
        alike = one @ other.T / TEMPERATURE
        places = torch.arange(len(alike), device=device)
        total = total + (F.cross_entropy(alike, places) + F.cross_entropy(alike.T, places)) / 2
        found += float((alike.argmax(dim=1) == places).float().mean())
    return total / len(planes), found / len(planes)


def varied(image: Tensor, rng: np.random.Generator) -> Tensor:
    """A plane (h, w) with more noise, other contrast and another mean."""
    noise = torch.randn_like(image) * rng.uniform(0, 0.5)
    return image * rng.uniform(0.7, 1.4) + noise + rng.uniform(-0.2, 0.2)


def published(module: torch.nn.Module) -> dict[str, Tensor]:
    """The weights by the names that DINOv2's publisher gives them."""
    state = {name: value.detach().cpu() for name, value in module.state_dict().items()}
    channels = OPTIONS["embed_dim"]
    state["register_tokens"] = state.pop("reg_token")
    # The published class token has a position of its own; here it is part of the token.
    state["pos_embed"] = torch.cat([torch.zeros(1, 1, channels), state["pos_embed"]], dim=1)
    state["mask_token"] = torch.zeros(1, channels)
    return state


if __name__ == "__main__":
    main()
