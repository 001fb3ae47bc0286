"""Train a small vision transformer with patches of 14 pixels in DINOv2's place.

    python benchmarks/standins/train_dino.py --out DIR/dino.pth [--minutes 60] [--device cuda]

Two views of each plane are encoded: one turned by quarters, with other noise and contrast. Tokens
on the same kind of thing (a kind of particle, membrane, nothing) are to be more alike than others,
within and across planes: DINOv2 has that of 142 million photographs, a stand-in is told the kinds
(Khosla et al. 2020, supervised contrastive learning). The checkpoint is in DINOv2's layout with
its sizes in the JSON beside it, so that

    cryosam pick TOMO --preset networks --encoder dinov2_vits14_reg \\
        --checkpoint dinov2_vits14_reg=DIR/dino.pth

runs on it. The kinds of a tomogram that it is tried on are none that it was told.
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

from benchmarks.standins.scenes import FIRST_KIND, Step
from benchmarks.standins.training import parser, train

ARCHITECTURE = "vit_small_patch14_reg4_dinov2"
OPTIONS = {"embed_dim": 96, "depth": 3, "num_heads": 3, "img_size": 14 * 12}
GRID = 12  # tokens along a side
BATCH = 6
TOKENS = 12  # of each kind on each plane that are told from one another
PURE = 0.6
"""Share of a token that one kind must fill; others are on an edge, and not asked."""
TEMPERATURE = 0.1
RATE = 1e-3


def main() -> None:
    args = parser(__doc__, minutes=60).parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    module = timm.create_model(ARCHITECTURE, num_classes=0, dynamic_img_size=True, **OPTIONS)
    with torch.no_grad():
        for block in module.blocks:  # DINOv2's 1e-5 is for deep networks and long trainings
            block.ls1.gamma.fill_(0.2)
            block.ls2.gamma.fill_(0.2)
    module = module.to(args.device).train()
    train(
        args,
        module,
        lambda source: lesson(module, list(islice(source, BATCH)), rng),
        rate=RATE,
        decay=0.04,
        published=lambda: published(module),
        sizes=OPTIONS,
        said=lambda means: (
            f"tokens of particles whose nearest one elsewhere is of their kind {means[0]:.2f}, "
            f"by chance {means[1]:.2f}"
        ),
    )


def lesson(
    module: torch.nn.Module, batch: list[Step], rng: np.random.Generator
) -> tuple[Tensor, list[float]]:
    """The contrastive loss of a batch; how many particles' tokens find their kind, also by chance.

    Args:
        module: the network.
        batch: of planes that may be of one tomogram.
        rng: of views and tokens.
    """
    device = next(module.parameters()).device
    images, turns, chosen, kinds = [], rng.integers(4, size=len(batch)), [], []
    for step in batch:
        image = torch.from_numpy(step.planes[0])[None, None].to(device)
        image = F.interpolate(image, (OPTIONS["img_size"],) * 2, mode="bilinear", antialias=True)
        images.append(image[0, 0])
        tokens, of_kind = asked(step.kinds[0], rng)
        chosen.append(torch.from_numpy(tokens).to(device))
        kinds.append(of_kind)
    turned = [torch.rot90(image, int(n)) for image, n in zip(images, turns, strict=True)]
    shown = torch.stack([varied(image, rng) for image in (*images, *turned)])
    tokens = module.forward_features(shown[:, None].expand(-1, 3, -1, -1))
    tokens = F.normalize(tokens[:, module.num_prefix_tokens :], dim=2)
    one, other = tokens.view(2, len(batch), GRID, GRID, -1)
    back = [torch.rot90(part, -int(n)) for part, n in zip(other, turns, strict=True)]
    views = zip(one, back, chosen, strict=True)
    pairs = [(a.flatten(0, 1)[i], b.flatten(0, 1)[i]) for a, b, i in views]
    one, other = (torch.cat(part) for part in zip(*pairs, strict=True))  # (m, C)
    kind = torch.from_numpy(np.concatenate(kinds)).to(device)
    same = kind[:, None] == kind
    alike = one @ other.T
    loss = sum(_contrast(part / TEMPERATURE, same) for part in (alike, alike.T)) / 2
    elsewhere = ~torch.eye(len(kind), dtype=torch.bool, device=device)
    nearest = alike.detach().where(elsewhere, -torch.inf).argmax(dim=1)
    judged = (kind >= FIRST_KIND) & ((same & elsewhere).sum(dim=1) > 0)
    found = float((kind[nearest] == kind)[judged].float().mean()) if judged.any() else 0.0
    chance = float(same.float().mean(dim=1)[judged].mean()) if judged.any() else 0.0
    return loss, [found, chance]


def asked(kinds: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(m,) tokens of a plane that are of one kind, TOKENS of each at most, and (m,) their kinds.

    Args:
        kinds: (h, w) of the pixels.
        rng: chooses.
    """
    rows, columns = (np.arange(size) * GRID // size for size in kinds.shape)
    token = (rows[:, None] * GRID + columns).ravel()
    sizes = np.bincount(token, minlength=GRID**2)
    tokens, found = [], []
    for kind in np.unique(kinds):
        share = np.bincount(token, (kinds == kind).ravel(), GRID**2) / np.maximum(sizes, 1)
        some = rng.permutation(np.flatnonzero(share >= PURE))[:TOKENS]
        tokens.append(some)
        found.append(np.full(len(some), kind))
    return np.concatenate(tokens), np.concatenate(found)


def _contrast(alike: Tensor, same: Tensor) -> Tensor:
    """(m, m) similarities: the mean over what is the same of how surely it is told."""
    sure = alike.log_softmax(dim=1)
    return -((sure * same).sum(dim=1) / same.sum(dim=1)).mean()


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
