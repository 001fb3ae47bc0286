"""The preset of the paper at full size: seconds, memory and speed of every stage.

    python benchmarks/gpu.py [--shape 300,928,960] [--encoder dinov2_vitl14_reg]
        [--segmenter sam_vit_h] [--device auto] [--memory 8GB] [--proposals 512] [--reach 12]
        [--compile]

Networks of full size with random weights, written once in their publishers' layout and loaded
as published files are; a tomogram of noise with one ball in every 60 x 60 x 60 voxels. Random
masks would end every walk at its first plane, so that each walk is made to go on for `--reach`
planes both ways: SAM does all of its work, and a disc takes the place of what it found. The
share of the peak counts floating-point operations in matrix products against what the hardware
can do in bfloat16.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from aitom_cryosam import Tomogram, encoders, segmenters
from aitom_cryosam.centring import centred
from aitom_cryosam.checkpoints import digest
from aitom_cryosam.device import Device
from aitom_cryosam.encoders.dino import published_shapes
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.features.query import Query
from aitom_cryosam.masks import labels
from aitom_cryosam.matcher import HierarchicalMatcher
from aitom_cryosam.models import ENCODERS, MODELS, SEGMENTERS
from aitom_cryosam.particle_size import estimated_size
from aitom_cryosam.picks import Picks
from aitom_cryosam.propagator import CrossPlanePropagator
from aitom_cryosam.resources import Resources, parse_memory
from aitom_cryosam.sam.model import ARCHITECTURES, build_sam
from aitom_cryosam.scoring.instances import pooled
from aitom_cryosam.scoring.places import Places
from aitom_cryosam.scoring.verdict import judged
from aitom_cryosam.segmenters import Segmentation
from aitom_cryosam.settings import PRESETS, Settings
from aitom_cryosam.stages import peak_megabytes
from aitom_cryosam.targets import PARTICLE

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bfloat16 operations a second, as the maker states them."""
DIAMETER = 24.0


def main() -> None:
    args = _parser().parse_args()
    shape = tuple(int(size) for size in args.shape.split(","))
    ram, gpu = parse_memory(args.memory) if args.memory else (None, None)
    settings = replace(PRESETS["paper"], encoder=args.encoder, segmenter=args.segmenter)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.weights or Path(scratch)
        checkpoints = {name: weights(folder, name) for name in {args.encoder, args.segmenter}}
        resources = Resources(
            device=args.device,
            ram_bytes=ram,
            gpu_bytes=gpu,
            checkpoints=checkpoints,
            compiled=args.compiled,
        )
        table = Table(Device.choose(resources))
        print(f"{table.device.label}, torch {torch.__version__}, {args.shape} voxels", flush=True)
        measure(table, tomogram_of_noise(shape), settings, resources, args)
    print(table.text())


def measure(
    table: Table,
    tomogram: Tomogram,
    settings: Settings,
    resources: Resources,
    args: argparse.Namespace,
) -> None:
    """Run the stages one after the other."""
    planes = sum(tomogram.shape)
    # A counter of operations keeps torch from compiling, so that SAM would give up to be compiled.
    plain = replace(resources, compiled=False)
    with table.stage("digest", work="of weights and tomogram"):
        for path in resources.checkpoints.values():
            digest(path)
        tomogram.digest()
    points = random_points(tomogram.shape, args.proposals, args.reach)
    with table.stage("diameter", work="and the normalisation of the tomogram"):
        estimated_size(tomogram, points[:1], max_diameter_voxels=2 * DIAMETER)
    with table.stage("load encoder"):
        encoder = encoders.build(
            settings, resources, diameter_voxels=DIAMETER, voxel_size=tomogram.voxel_size
        )
    counted = encoders.build(
        settings, plain, diameter_voxels=DIAMETER, voxel_size=tomogram.voxel_size
    )
    operations = sum(
        size * flops(counted.encode, tomogram.planes(axis, 0, 1))
        for axis, size in enumerate(tomogram.shape)
    )
    with table.stage("features", work=f"{planes} planes", count=planes, operations=operations):
        features = TriplanarFeatures.extract(
            tomogram, encoder, ratios=settings.ratios, ram_bytes=resources.ram
        )
    del encoder, counted
    with table.stage("matching"):
        vector = features.sample(np.array(tomogram.shape)[None] / 2)[0]
        similarity = Query(features, vector)
        matcher = HierarchicalMatcher.of(replace(settings, tau_sim=-1), DIAMETER)
        matcher.match(similarity)
        maxima = matcher.everywhere.match(similarity)
    with table.stage("centring", work=f"{args.proposals} proposals"):
        centred(tomogram, Picks.from_points(points), DIAMETER)
    with table.stage("verdict", work=f"{args.proposals} proposals, {len(maxima)} maxima"):
        clicked = pooled(features, points[:1], DIAMETER)
        # As many candidates as proposals, all above chance: the most work there can be.
        proposals = Picks.from_points(points, np.full(len(points), 2.0))
        places = Places.of(tomogram, features, proposals, maxima, DIAMETER)
        judged(places, clicked, np.zeros(len(points), bool), places.shapes[:1])
    size: Any = {"diameter_voxels": DIAMETER, "max_extent": PARTICLE.extent * DIAMETER}
    with table.stage("load segmenter"):
        segmenter = FixedWalks(segmenters.build(settings, resources, **size))
    counted = segmenters.build(settings, plain, **size)
    per_plane = flops(counted.embed, tomogram.planes(0, 0, 1))
    (embedding,) = counted.embed(tomogram.planes(0, 0, 1))
    few = np.resize(points[:, 1:], (8, 2))
    per_prompt = flops(counted.segment, [embedding], np.zeros(8, int), few, None) / 8
    del counted
    walks = CrossPlanePropagator(
        segmenter, max_extent=2 * args.reach, budget_bytes=segmenter.held_bytes
    )
    with table.stage("prompt masks", work="1 prompt"):
        walks.propagate(tomogram, points[:1])
    segmenter.planes = segmenter.prompts = 0
    with table.stage("proposal masks") as row:
        masks = walks.propagate(tomogram, points)
    row.work = f"{segmenter.planes} planes, {segmenter.prompts} prompts"
    row.operations = segmenter.planes * per_plane + segmenter.prompts * per_prompt
    count = min(args.sample, tomogram.shape[1])
    with table.stage("of these: planes embedded", count=count, operations=count * per_plane):
        segmenter.embed(tomogram.planes(1, 0, count))
    count = 8 * args.sample
    with table.stage("of these: prompts decoded", count=count, operations=count * per_prompt):
        repeated = np.tile(few, (args.sample, 1))
        segmenter.segment([embedding], np.zeros(count, int), repeated, None)
    with table.stage("labels", work="written"), tempfile.TemporaryDirectory() as folder:
        tomogram.write_labels(Path(folder) / "labels.mrc", labels(tomogram.shape, masks))


class FixedWalks:
    """A segmenter that does all of its work, and then says that it found a disc."""

    def __init__(self, segmenter: Any) -> None:
        self.segmenter = segmenter
        self.planes = self.prompts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.segmenter, name)

    def embed(self, planes: np.ndarray) -> list[Any]:
        self.planes += len(planes)
        return self.segmenter.embed(planes)

    def segment(
        self,
        embeddings: Sequence[Any],
        rows: np.ndarray,
        points_yx: np.ndarray,
        previous: Segmentation | None,
    ) -> Segmentation:
        self.prompts += len(points_yx)
        found = self.segmenter.segment(embeddings, rows, points_yx, previous)
        side = found.masks.shape[-1]
        line = (np.arange(side) - side // 2) ** 2
        disc = line[:, None] + line < (DIAMETER / 4) ** 2
        return replace(
            found, masks=np.tile(disc, (len(found), 1, 1)), points_yx=np.array(points_yx)
        )


@dataclass
class Row:
    """What one stage took."""

    stage: str
    work: str = ""
    count: int = 0
    operations: float = 0
    seconds: float = 0
    device_bytes: int = 0
    megabytes: float = 0


@dataclass
class Table:
    """All stages, on one device."""

    device: Device
    rows: list[Row] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, **known: Any) -> Iterator[Row]:
        row = Row(name, **known)
        on_gpu = self.device.name.startswith("cuda")
        if on_gpu:
            torch.cuda.synchronize(self.device.name)
            torch.cuda.reset_peak_memory_stats(self.device.name)
        start = time.perf_counter()
        yield row
        if on_gpu:
            torch.cuda.synchronize(self.device.name)
            row.device_bytes = torch.cuda.max_memory_allocated(self.device.name)
        row.seconds = time.perf_counter() - start
        row.megabytes = peak_megabytes()
        self.rows.append(row)
        print(f"{name}: {row.seconds:.1f} s", flush=True)

    def text(self) -> str:
        """As Markdown."""
        peak = next((top for name, top in PEAKS.items() if name in self.device.label), None)
        lines = ["| stage | s | a second | TFLOP/s | of peak | GPU GB | RAM GB | work |"]
        lines.append("|---|---|---|---|---|---|---|---|")
        whole = [row for row in self.rows if not row.stage.startswith("of these")]
        seconds = sum(row.seconds for row in whole)
        most = max(row.device_bytes for row in self.rows)
        total = Row("all", seconds=seconds, device_bytes=most, megabytes=peak_megabytes())
        for row in (*self.rows, total):
            speed = row.operations / row.seconds
            cells = (
                row.stage,
                f"{row.seconds:.1f}",
                f"{row.count / row.seconds:.1f}" if row.count else "",
                f"{speed / 1e12:.1f}" if speed else "",
                f"{100 * speed / peak:.0f} %" if speed and peak else "",
                f"{row.device_bytes / 1e9:.1f}",
                f"{row.megabytes / 1e3:.1f}",
                row.work,
            )
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)


def weights(folder: Path, name: str) -> Path:
    """A random checkpoint of a model at full size, in its publisher's layout."""
    path = folder / f"random_{name}.pth"
    model = MODELS[name]
    if path.exists():
        return path
    torch.manual_seed(0)
    if model.family == "sam":
        torch.save(build_sam(ARCHITECTURES[model.architecture]).state_dict(), path)
    else:
        shapes = published_shapes(model)
        torch.save({key: 0.02 * torch.randn(shape) for key, shape in shapes.items()}, path)
    return path


def flops(function: Any, *inputs: Any) -> float:
    """Floating-point operations of one call."""
    with FlopCounterMode(display=False) as counter:
        function(*inputs)
    return float(counter.get_total_flops())


def tomogram_of_noise(shape: tuple[int, ...]) -> Tomogram:
    rng = np.random.default_rng(0)
    data = rng.integers(-40, 40, shape, dtype=np.int8)
    data[tuple(slice(30, None, 60) for _ in shape)] = 100
    return Tomogram.from_array(data, voxel_size=10.0, contrast="bright")


def random_points(shape: tuple[int, ...], count: int, margin: int) -> np.ndarray:
    """(count, 3), a walk's reach away from the borders."""
    low, high = np.full(3, margin), np.array(shape) - margin - 1
    return np.random.default_rng(1).uniform(low, high, (count, 3))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", default="300,928,960", help="voxels z,y,x")
    parser.add_argument("--encoder", choices=ENCODERS, default=PRESETS["paper"].encoder)
    parser.add_argument("--segmenter", choices=SEGMENTERS, default=PRESETS["paper"].segmenter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--memory", help="as for cryosam pick")
    parser.add_argument("--compile", dest="compiled", action="store_true", help="SAM's blocks")
    parser.add_argument("--proposals", type=int, default=512)
    parser.add_argument("--reach", type=int, default=12, help="planes that a walk goes each way")
    parser.add_argument("--sample", type=int, default=128, help="planes to time embedding on")
    parser.add_argument("--weights", type=Path, help="folder that keeps the random weights")
    return parser


if __name__ == "__main__":
    main()
