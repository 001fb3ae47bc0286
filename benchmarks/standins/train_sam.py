"""Train a small SAM, of SAM's own classes, on planes of simulated tomograms.

    python benchmarks/standins/train_sam.py --out DIR/sam.pth [--minutes 90] [--device cuda]

It learns what a walk asks of it: a mask from a point, and the next plane's mask from the point of
highest confidence and the logits before (eq. 1 and 2), and how well each candidate fits. The
checkpoint is in SAM's layout with its sizes in the JSON beside it, so that

    cryosam pick TOMO --preset networks --segmenter sam_vit_h --checkpoint sam_vit_h=DIR/sam.pth

runs on it. It is not a SAM: it has seen thousands of planes, not a billion masks. What it is for
is to see the whole preset on trained weights.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2]))

from aitom_cryosam.sam.decoder import SamDecoder
from aitom_cryosam.sam.model import Architecture, build_sam
from aitom_cryosam.segmenters.sam import grey
from benchmarks.standins.scenes import Step
from benchmarks.standins.training import parser, train

SIZES = Architecture(
    embed_dim=128,
    depth=4,
    num_heads=4,
    global_attn_indexes=(1, 3),
    window_size=4,
    img_size=64,
    patch_size=8,
    prompt_embed_dim=96,
    decoder_num_heads=4,
    decoder_mlp_dim=256,
    iou_head_hidden_dim=96,
)
BATCH = 4  # planes, and as many next ones
PROMPTS = 6
"""Particles of a plane that are asked for, at most."""
SMALLEST = 12  # pixels of a particle that is asked for
RATE = 1e-3
FOCUS = 2.0
"""Of the focal loss: what is right already counts little."""


def main() -> None:
    args = parser(__doc__, minutes=90).parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    sam = build_sam(SIZES).to(args.device).requires_grad_(True).train()
    train(
        args,
        sam,
        lambda source: lesson(sam, source, rng),
        rate=RATE,
        decay=0.01,
        published=sam.state_dict,
        sizes=asdict(SIZES),
        said=lambda means: (
            f"IoU of the chosen mask: point {means[0]:.2f}, next plane {means[1]:.2f}"
        ),
    )


def lesson(
    sam: torch.nn.Module, source: Iterator[Step], rng: np.random.Generator
) -> tuple[Tensor, list[float]]:
    """The loss of masks from points and of the next planes', and the overlaps reached."""
    batch = []
    while len(batch) < BATCH:
        step = next(source)
        numbers, counts = np.unique(step.instances[0], return_counts=True)
        numbers = numbers[(numbers > 0) & (counts >= SMALLEST)]
        if len(numbers):
            batch.append((step, rng.permutation(numbers)[:PROMPTS]))
    rows = [row for row, (_, numbers) in enumerate(batch) for _ in numbers]
    asked = [(step, number) for step, numbers in batch for number in numbers]
    points = np.stack([rng.choice(np.argwhere(s.instances[0] == n)) for s, n in asked])
    scales = np.array([SIZES.img_size / max(s.planes[0].shape) for s, _ in asked])[:, None]
    decoder, total, reached, before = SamDecoder(sam), torch.zeros(()), [], None
    for plane in range(2):
        images = torch.stack([shown(step.planes[plane]) for step, _ in batch]).to(sam.device)
        truth = torch.stack([framed(s.instances[plane] == n) for s, n in asked]).to(sam.device)
        embedded = sam.image_encoder(sam.preprocess(images)).flatten(2).transpose(1, 2)
        xy = torch.from_numpy((points * scales)[:, ::-1].copy()).float().to(sam.device)
        logits, scores = decoder(embedded[rows], xy, before)
        losses, overlaps = judged(logits, truth)
        # As SAM: the best candidate learns, so that three can differ; all learn their quality.
        total = total.to(losses) + losses.amin(dim=1).mean() + F.mse_loss(scores, overlaps)
        best = scores.argmax(dim=1)
        each = torch.arange(len(asked), device=best.device)
        before = logits[each, best].detach()
        reached.append(float(overlaps[each, best].mean()))
        peaks = before.flatten(1).argmax(dim=1).cpu().numpy()
        side = before.shape[-1]
        places = np.stack([peaks // side, peaks % side], axis=1) + 0.5
        points = places * (SIZES.img_size / side) / scales - 0.5
    return total, reached


def judged(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """(b, k) focal and Dice loss, and overlap, of candidates (b, k, l, l) with (b, l, l)."""
    wanted = truth[:, None].expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    focal = (entropy * (1 - torch.exp(-entropy)) ** FOCUS).mean(dim=(2, 3))
    shares = logits.sigmoid()
    both = (shares * wanted).sum(dim=(2, 3))
    dice = 1 - (2 * both + 1) / (shares.sum(dim=(2, 3)) + wanted.sum(dim=(2, 3)) + 1)
    masks = logits.detach() > 0
    common = (masks & (wanted > 0.5)).sum(dim=(2, 3))
    either = (masks | (wanted > 0.5)).sum(dim=(2, 3)).clamp(min=1)
    return 20 * focal + dice, common / either


def shown(plane: np.ndarray) -> Tensor:
    """(3, H, W) float32 0 to 255, a plane (h, w) as SAM is shown one."""
    height, width = (round(n * SIZES.img_size / max(plane.shape)) for n in plane.shape)
    image = Image.fromarray(grey(plane[None])[0])
    resized = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    image = np.zeros((SIZES.img_size, SIZES.img_size), np.float32)
    image[:height, :width] = resized
    return torch.from_numpy(image).expand(3, -1, -1)


def framed(mask: np.ndarray) -> Tensor:
    """(l, l) float32, a mask (h, w) on the low-resolution map of the padded square."""
    side = 4 * SIZES.img_size // SIZES.patch_size
    longer = max(mask.shape)
    square = np.zeros((longer, longer), np.float32)
    square[: mask.shape[0], : mask.shape[1]] = mask
    resized = F.interpolate(torch.from_numpy(square)[None, None], (side, side), mode="area")
    return (resized[0, 0] >= 0.5).float()


if __name__ == "__main__":
    main()
