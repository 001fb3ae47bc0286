"""How fast prompts are decoded with SAM: many at once against one by one.

    OMP_NUM_THREADS=1 python benchmarks/decoder.py [--prompts 64] [--side 464] [--device cpu]

A mask decoder of the published size with random weights, prompts on one plane, without and with
the mask logits of the plane before. Milliseconds a prompt, from the embedding to masks in the
plane's pixels, and how many times as fast as `SamPredictor.predict_torch` one by one. Then the
time to encode an image with ViT-B: once a plane, or once a prompt where SAM sees a window around
each. The best of several runs; on a CPU in seconds of its cores, which other programs on the
machine hardly change. What the masks are worth cannot be measured with random weights.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from segment_anything import SamPredictor

from aitom_cryosam.device import Device
from aitom_cryosam.resources import Resources
from aitom_cryosam.sam.model import ARCHITECTURES, build_sam
from aitom_cryosam.segmenters.base import Segmentation
from aitom_cryosam.segmenters.sam import PlaneEmbedding, SamSegmenter

EXTENT = 40.0  # voxels
FEW = 8  # prompts that the slow ways are timed with on a CPU


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--side", type=int, default=464, help="voxels of the square plane")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    device = Device.choose(Resources(device=args.device))
    sam = build_sam(ARCHITECTURES["vit_b"])
    segmenter = SamSegmenter(sam, device, max_extent=EXTENT, identity={})
    shape = (args.side, args.side)
    grid = segmenter.map_side // 4
    image = torch.randn(1, 256, grid, grid, device=device.name)
    tokens = image[0].flatten(1).T.contiguous().to(device.precision)
    points = rng.uniform(0, args.side, (args.prompts, 2))
    few = min(FEW, args.prompts) if device.name == "cpu" else args.prompts

    ways = {
        "SamPredictor, one by one": (partial(theirs, sam, image, shape, device, points[:few]), 1),
        "SamPredictor, all at once": (
            partial(theirs, sam, image, shape, device, points[:few]),
            few,
        ),
        "ours, one by one": (
            partial(ours, segmenter, PlaneEmbedding(tokens, shape), points[:few]),
            1,
        ),
        "ours, all at once": (
            partial(ours, segmenter, PlaneEmbedding(tokens, shape), points),
            args.prompts,
        ),
    }
    print(f"{device.label}, {torch.get_num_threads()} threads, {args.prompts} prompts on a plane")
    print(f"{'ms a prompt':28s}{'point':>9s}{'':8s}{'and mask':>9s}")
    alone: list[float] = []
    for name, (way, at_once) in ways.items():
        times = [
            best(partial(way, at_once, with_masks), args.repeats, device)
            for with_masks in (False, True)
        ]
        times = [seconds / len(way.args[-1]) for seconds in times]
        alone = alone or times
        ratios = zip(times, alone, strict=True)
        print(f"{name:28s}" + "".join(f"{1e3 * a:9.2f}{b / a:7.2f}×" for a, b in ratios))
    plane = rng.normal(0, 1, (1, *shape)).astype(np.float32)
    seconds = best(lambda: segmenter.embed(plane), 1, device)
    print(f"{'encode an image':28s}{1e3 * seconds:9.2f}", flush=True)


def ours(
    segmenter: SamSegmenter,
    embedding: PlaneEmbedding,
    points: np.ndarray,
    at_once: int,
    with_masks: bool,
) -> None:
    """Segment all points with our segmenter, so many a call."""
    side = segmenter.side
    low = np.ones((at_once, segmenter.map_side, segmenter.map_side), np.float32)
    before = Segmentation(
        np.zeros((at_once, 2), np.int64),
        np.ones((at_once, side, side), bool),
        low,
        np.ones(at_once, np.float32),
        np.zeros((at_once, 2)),
    )
    for start in range(0, len(points), at_once):
        part = points[start : start + at_once]
        masks = before.take(slice(len(part))) if with_masks else None
        segmenter.segment([embedding], np.zeros(len(part), np.int64), part, masks)


def theirs(
    sam: torch.nn.Module,
    image: torch.Tensor,
    shape: tuple[int, int],
    device: Device,
    points: np.ndarray,
    at_once: int,
    with_masks: bool,
) -> None:
    """The same with the predictor, in the same precision; its masks come back, too."""
    predictor = SamPredictor(sam)
    predictor.features, predictor.is_image_set = image, True
    predictor.original_size, predictor.input_size = shape, (1024, 1024)
    points_xy = predictor.transform.apply_coords(points[:, None, ::-1], shape)
    points_xy = torch.as_tensor(points_xy, dtype=torch.float, device=device.name)
    labels = torch.ones(at_once, 1, dtype=torch.int, device=device.name)
    low = torch.ones(at_once, 1, 4 * image.shape[2], 4 * image.shape[3], device=device.name)
    for start in range(0, len(points), at_once):
        part = points_xy[start : start + at_once]
        with device.autocast():
            found = predictor.predict_torch(
                part, labels[: len(part)], mask_input=low[: len(part)] if with_masks else None
            )
        for value in found:
            value.cpu()


def best(work: Callable[[], object], repeats: int, device: Device) -> float:
    """Seconds of the fastest of some runs, after one that is not counted."""
    clock = time.process_time if device.name == "cpu" else time.perf_counter
    seconds = []
    for _ in range(1 + repeats):
        start = clock()
        work()
        if device.name.startswith("cuda"):
            torch.cuda.synchronize(device.name)
        seconds.append(clock() - start)
    return min(seconds[1:])


if __name__ == "__main__":
    main()
