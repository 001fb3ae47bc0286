"""Forecast: the memory and the time that a run takes, before it begins.

The terms are what the steps hold and do. Their factors were measured on the embedded preset.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from aitom_cryosam.encoders.filterbank import FilterBankEncoder
from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import TokenGrid, in_plane_axes
from aitom_cryosam.machine import held_ram, usable_cores
from aitom_cryosam.models import MODELS
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.resources import Resources
from aitom_cryosam.segmenters.contour import ContourSegmenter
from aitom_cryosam.settings import Settings
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.wording import size_text

# Bytes.
_PROGRAM = 135e6  # Python, its libraries, and the networks of the verdict
_TORCH = 600e6  # more, with a network
_MAPPED = 500e6  # of addresses: libraries, and what threads reserve
_THREAD = 25e6  # that works on tokens, if there are so many
_SAMPLE = 60e6  # what a tomogram's normalisation is measured on, at most
_SAMPLED = 30  # a voxel of it
_WAITING = 128e6  # tokens of statistics planes, at most (features/extraction.py)
_EMBEDDED = 256e6  # planes of the contour segmenter, at most
_MASK = 4  # a voxel of the cube around a particle: slices along three axes, and their union
_LABEL = 6  # a voxel of the label volume while its statistics are taken
_DENSE = 30  # a voxel of the probability of all voxels while it is made: half as much afterwards
_USUAL = 200.0  # Å, of a particle whose diameter nobody knows yet; as far as it fits the tomogram
_LEAST = 4.0  # voxels, likewise
# Work that is timed: the side of a plane in pixels, and clicks.
_SIDE, _POINTS = 192, 32
_PLANES = 3  # a diameter, that six walks pass
# Seconds where the contour around a point takes `_POINT`.
_POINT = 0.28e-3
_READ = 10e-9  # a voxel and view: read and normalised
_TOKEN = 5e-6  # whitened, and compared with its neighbours
_PROPOSAL = 20e-3  # centred and scored
_ALONE = 3.0  # what any run takes
# Of networks: tokens along the side of a plane, and channels.
_NETWORKS = {
    "vit_small_patch14": (37, 384),
    "vit_base_patch14": (37, 768),
    "vit_large_patch14": (37, 1024),
    "vit_giant_patch14": (37, 1536),
    "vit_small_patch16": (14, 384),
    "vit_base_patch16": (14, 768),
    "vit_small_patch8": (28, 384),
    "vit_base_patch8": (28, 768),
    "vit_b": (64, 256),
    "vit_l": (64, 256),
    "vit_h": (64, 256),
}


@dataclass(frozen=True)
class Forecast:
    """What a run will need.

    Attributes:
        program_bytes: before any work: the program, and a tomogram that lies in memory.
        token_bytes: of the features' tokens, which may lie in memory or in files.
        thread_bytes: memory that each thread works in.
        other_bytes: the most that is held at once beside these.
        written_bytes: likewise while the results are written; tokens and threads are gone.
        mapped_bytes: of the tomogram's file, whose pages count as held and leave when room is
            short.
        cores: that may work.
    """

    program_bytes: int
    token_bytes: int
    thread_bytes: int
    other_bytes: int
    written_bytes: int
    mapped_bytes: int
    cores: int

    @property
    def bytes(self) -> int:
        """The most memory that the process holds, with tokens in memory and all cores at work."""
        beside = self.token_bytes + self.other_bytes + self.cores * self.thread_bytes
        return self.program_bytes + self.mapped_bytes + max(beside, self.written_bytes)

    @property
    def least_bytes(self) -> int:
        """The same with tokens and tomogram in files, and one core at work."""
        return self.program_bytes + max(self.other_bytes + self.thread_bytes, self.written_bytes)

    def plan(self, resources: Resources) -> MemoryPlan:
        """What the run may do with the memory.

        Raises:
            InputError: the least that it needs is more than may be used.
        """
        if self.least_bytes > resources.most:
            told = resources.most == resources.ram_bytes
            raise InputError(
                f"The run needs about {size_text(self.least_bytes)} of memory, and may use "
                f"{size_text(resources.most)}",
                Remedy.SMALLER_TOMOGRAM if told else Remedy.LARGER_LIMIT,
            )
        mapped = self.least_bytes + self.token_bytes + _MAPPED
        if mapped > resources.addresses:  # files are mapped, too
            raise InputError(
                f"The run needs about {size_text(mapped)} of addresses for memory and files, and "
                f"`ulimit -v` allows {size_text(resources.addresses)}",
                Remedy.LARGER_LIMIT,
            )
        # What a program holds beside the run, a notebook or napari, is not free for it either.
        held = max(self.program_bytes + self.mapped_bytes, held_ram())
        room = max(resources.wanted - held - self.other_bytes, self.thread_bytes)
        threads = min(self.cores, max(room // (2 * self.thread_bytes), 1))
        return MemoryPlan(room - threads * self.thread_bytes, threads)


@dataclass(frozen=True)
class MemoryPlan:
    """How a run keeps within its memory.

    Attributes:
        token_room: bytes of memory that tokens may take; more of them lie in files.
        threads: that work at once.
    """

    token_room: int
    threads: int


def forecast(
    shape_zyx: Sequence[int],
    settings: Settings,
    *,
    diameter_voxels: float,
    voxel_size: float,
    held_bytes: int = 0,
    mapped_bytes: int = 0,
) -> Forecast:
    """The memory of a run.

    Args:
        shape_zyx: (D, H, W) of the tomogram.
        settings: of the run.
        diameter_voxels: of the particle.
        voxel_size: Å.
        held_bytes: of the tomogram's values, if they lie in memory.
        mapped_bytes: of the tomogram's values, if they lie in a file.
    """
    voxels = math.prod(shape_zyx)
    slab, ratios = settings.slab_planes(diameter_voxels), settings.levels(diameter_voxels)
    whole = settings.semantic == "dense"
    planes = [tuple(shape_zyx[i] for i in in_plane_axes(axis)) for axis in range(3)]
    tokens = levels = finest = thread = 0.0
    for size, (height, width) in zip(shape_zyx, planes, strict=True):
        each, channels, worked = _tokens((height, width), settings, diameter_voxels, voxel_size)
        tokens += -(-size // slab) * each
        levels += sum(-(-size // ratio) * each for ratio in ratios)
        finest += whole * size * each
        thread = max(thread, worked + 12 * slab * height * width)
    thread = max(thread, min(_THREAD, 8 * channels * tokens))
    masks = _proposals(shape_zyx, settings, diameter_voxels) * _MASK * diameter_voxels**3
    margin = 1.5 * diameter_voxels
    embedded = sum(
        4 * n * (h + margin) * (w + margin) for n, (h, w) in zip(shape_zyx, planes, strict=True)
    )
    networks = [model.weights.size or 0 for model in settings.networks if model.weights]
    program = _PROGRAM + bool(networks) * (_TORCH + sum(networks)) + held_bytes
    matching = 8 * tokens + 40 * levels + 16 * sum(voxels / ratio**3 for ratio in ratios)
    dense = whole * _DENSE * voxels
    return Forecast(
        program_bytes=int(program),
        token_bytes=int(2 * channels * tokens),
        thread_bytes=int(thread),
        other_bytes=int(
            max(
                min(_SAMPLE, _SAMPLED * voxels),
                min(_WAITING, 4 * channels * tokens),
                matching,
                20 * levels + masks + min(_EMBEDDED, embedded),
                20 * (levels + finest) + masks + dense,
            )
        ),
        written_bytes=int(masks + (dense / 2 or _LABEL * voxels)),
        mapped_bytes=mapped_bytes,
        cores=usable_cores(),
    )


def forecast_on(tomogram: Tomogram, settings: Settings, diameter_voxels: float) -> Forecast:
    """The memory of a run on a tomogram.

    Args:
        tomogram: (D, H, W), as it lies in memory or in its file.
        settings: of the run.
        diameter_voxels: of the particle.
    """
    size = math.prod(tomogram.shape) * tomogram.data.dtype.itemsize
    held = size if _in_memory(tomogram.data) else 0
    return forecast(
        tomogram.shape,
        settings,
        diameter_voxels=diameter_voxels,
        voxel_size=tomogram.voxel_size,
        held_bytes=held,
        mapped_bytes=size - held,
    )


def usual_diameter(tomogram: Tomogram) -> float:
    """Voxels, of a particle whose diameter nobody knows yet."""
    return min(max(_USUAL / tomogram.voxel_size, _LEAST), min(tomogram.shape))


def planned(
    tomogram: Tomogram, settings: Settings, diameter_voxels: float, resources: Resources
) -> MemoryPlan:
    """How a run on a tomogram keeps within the memory.

    Raises:
        InputError: it cannot.
    """
    return forecast_on(tomogram, settings, diameter_voxels).plan(resources)


def seconds(
    shape_zyx: Sequence[int], settings: Settings, *, diameter_voxels: float
) -> float | None:
    """How long a run takes on this machine, a tenth of a second of whose work is timed.

    Args:
        shape_zyx: (D, H, W) of the tomogram.
        settings: of the run.
        diameter_voxels: of the particle.

    Returns:
        Seconds, if it takes all looks and every proposal gets a mask; None with a network, whose
        device is not timed.
    """
    if settings.networks:
        return None
    encoder, segmenter = FilterBankEncoder(diameter_voxels), ContourSegmenter(diameter_voxels)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, _SIDE, _SIDE), dtype=np.float32)
    points, rows = rng.uniform(0, _SIDE, (_POINTS, 2)), np.zeros(_POINTS, np.int64)
    embeddings = segmenter.embed(noise[:1])
    with threadpool_limits(1, "blas"):
        pixel = _shortest(lambda: encoder.encode(noise)) / noise.size
        embedding = _shortest(lambda: segmenter.embed(noise[:1])) / noise[0].size
        point = _shortest(lambda: segmenter.segment(embeddings, rows, points, None)) / _POINTS
    slab, count = (
        settings.slab_planes(diameter_voxels),
        _proposals(shape_zyx, settings, diameter_voxels),
    )
    voxels = 3 * math.prod(shape_zyx)
    slower = point / _POINT
    look = (
        voxels * (pixel / slab + slower * _READ)
        + slower * voxels / slab / encoder.token**2 * _TOKEN
        + count * slower * _PROPOSAL
    )
    masks = voxels * embedding + count * _PLANES * diameter_voxels * point
    shared = settings.looks * look + masks
    return slower * _ALONE + shared / usable_cores()


def _in_memory(data: object) -> bool:
    """Whether values lie in memory, and not in a file, mapped or read piece by piece."""
    found = isinstance(data, np.ndarray)
    while isinstance(data, np.ndarray):
        found = found and not isinstance(data, np.memmap)
        data = data.base
    return found


def _proposals(shape_zyx: Sequence[int], settings: Settings, diameter_voxels: float) -> float:
    """How many there can be."""
    return min(settings.top_k, math.prod(shape_zyx) / diameter_voxels**3 + 1)


def _tokens(
    plane_shape: tuple[int, int], settings: Settings, diameter_voxels: float, voxel_size: float
) -> tuple[int, int, float]:
    """Tokens of a plane, their channels, and bytes that encoding the planes of a batch takes."""
    model = MODELS[settings.encoder]
    if model.family == "filterbank":
        encoder = FilterBankEncoder(diameter_voxels)
        grid, channels = encoder.grid(plane_shape), encoder.channels
        working = encoder.planes_at_once(plane_shape) * encoder.plane_bytes(plane_shape)
    else:
        count, channels = _NETWORKS[re.sub("(_reg4)?_(dinov2|224)$", "", model.architecture)]
        size, working = settings.token_size_angstrom, 0.0
        if size is None:
            square = settings.plane_shape == "square"
            grid = (TokenGrid.square if square else TokenGrid.fitted)(plane_shape, count)
        else:
            size = diameter_voxels * voxel_size / 2 if size == "auto" else size
            grid = TokenGrid.spaced(plane_shape, size / voxel_size)
    return grid.rows.count * grid.columns.count, channels, working


def _shortest(work: Callable[[], object]) -> float:
    """Seconds at work, of the fastest of three: other programs only slow it down."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)
