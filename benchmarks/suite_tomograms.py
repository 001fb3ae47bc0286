"""The suite's tomograms: made from a seed, of kinds that exist nowhere and of real density maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from aitom_cryosam.errors import InputError
from aitom_cryosam.simulation import microscope
from aitom_cryosam.simulation.density import Density, load_density
from aitom_cryosam.simulation.sample import make_sample, place_particles, place_vesicles
from aitom_cryosam.simulation.settings import SimulationSettings
from benchmarks.assemblies import random_assembly

MARGIN = 8
"""Voxels cut off along y and x: particles are cut by the border, as in a real tomogram."""
MOST_FILLED = 0.2
"""Share of the volume that the particles' bounding spheres take in a crowded sample."""
PURIFIED_EVERY = 4
"""Of so many tomograms one is of a purified sample: one or two kinds, many copies, no membrane."""
MOST_FILLED_PURIFIED = 0.3
PURIFIED_SNR = 10.0
"""Times the signal of the others: a purified sample is thin, and denoised as a rule."""
FILTERS = ("raw", "low-pass", "phase-flip", "wiener")
GOLD = Density(
    "gold",
    (6.0 * (np.linalg.norm(np.mgrid[-6:7, -6:7, -6:7], axis=0) < 5)).astype(np.float32),
    1.0,
)


@dataclass(frozen=True)
class Sample:
    """How much of what there is in a sample, other than in the suite's.

    Attributes:
        copies: of k kinds, (k,), from those that the suite's would have.
        most_filled: share of the volume that the particles' bounding spheres take.
        purified: always.
        smallest: so many of the kinds alone.
    """

    copies: Callable[[np.random.Generator, np.ndarray], np.ndarray]
    most_filled: float
    purified: bool = False
    smallest: int | None = None


@dataclass(frozen=True, eq=False)
class SuiteTomogram:
    """One simulated tomogram.

    Attributes:
        data: (D, H, W) float32, protein dark.
        points_zyx: (n, 3) voxels.
        classes: (n,) names.
        diameters: Å of each kind, of the ball of its volume's second moment.
        voxel_size: Å.
        snr: of a tilt image.
        note: what is special.
    """

    data: np.ndarray
    points_zyx: np.ndarray
    classes: np.ndarray
    diameters: dict[str, float]
    voxel_size: float
    snr: float
    note: str

    def save(self, path: Path) -> None:
        """To one file."""
        names = list(self.diameters)
        np.savez(
            path,
            data=self.data.astype(np.float16),
            points=self.points_zyx,
            classes=self.classes,
            names=names,
            sizes=[self.diameters[name] for name in names],
            numbers=[self.voxel_size, self.snr],
            note=self.note,
        )

    @classmethod
    def load(cls, path: Path) -> SuiteTomogram:
        """What `save` has written."""
        with np.load(path) as file:
            voxel_size, snr = (float(value) for value in file["numbers"])
            diameters = dict(zip(file["names"].tolist(), file["sizes"].tolist(), strict=True))
            return cls(
                file["data"].astype(np.float32),
                file["points"],
                file["classes"],
                diameters,
                voxel_size,
                snr,
                str(file["note"]),
            )


def highest_tilt(seed: int) -> float:
    """Degrees, of a tomogram's tilt series; the lowest is as far on the other side."""
    return float(_rng(seed).uniform(45, 65))


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 20])


def make_tomogram(
    seed: int, shape: tuple[int, int, int], maps: Path | None, sample: Sample | None = None
) -> SuiteTomogram:
    """A tomogram of 5 to 9 kinds, or of a purified sample.

    Args:
        seed: of everything.
        shape: (D, H, W) voxels, after the margins are cut off.
        maps: a folder of density maps, one or two of which are mixed in; None for none.
        sample: None for one of the suite.
    """
    rng = _rng(seed)
    tilt = float(rng.uniform(45, 65))  # first of all, as `highest_tilt` says
    settings = SimulationSettings(
        shape_zyx=(shape[0], shape[1] + 2 * MARGIN, shape[2] + 2 * MARGIN),
        voxel_size=float(rng.choice([8.0, 10.0, 10.0, 12.0, 14.0])),
        tilt_range=(-tilt, tilt),
        tilt_step=3.0,
        snr=float(np.exp(rng.uniform(np.log(0.03), np.log(0.3)))),
        defocus=float(rng.uniform(2, 6)),
        seed=seed,
        membranes=int(rng.choice([0, 0, 1, 2])),
    )
    filter_ = str(rng.choice(FILTERS))
    kinds = _kinds(rng, settings, maps)
    if sample is not None and sample.smallest:
        kinds = sorted(kinds, key=lambda kind: kind.radius)[: sample.smallest]
    counts, most_filled = rng.integers(15, 61, len(kinds)), MOST_FILLED
    if seed % PURIFIED_EVERY == PURIFIED_EVERY - 1 or (sample is not None and sample.purified):
        kinds = [kinds[i] for i in rng.permutation(len(kinds))[: rng.integers(1, 3)]]
        counts, most_filled = rng.integers(60, 400, len(kinds)), MOST_FILLED_PURIFIED
        settings = replace(settings, membranes=0, snr=PURIFIED_SNR * settings.snr)
        filter_ = "low-pass"
    if sample is not None:
        counts = sample.copies(np.random.default_rng([seed, 24]), counts)
        most_filled = sample.most_filled
    for _ in range(40):
        try:
            densities, points, vesicles = _placed(rng, settings, kinds, counts, most_filled)
            break
        except InputError:
            counts = np.maximum((0.85 * counts).astype(int), 4)
            settings = replace(settings, membranes=max(settings.membranes - 1, 0))
    else:
        raise RuntimeError(f"Seed {seed}: the particles do not fit.")
    turns = Rotation.from_quat(rng.standard_normal((len(densities), 4))).as_matrix()
    sample, _ = make_sample(densities, points, turns, vesicles, settings)
    note = filter_
    if rng.random() < 0.25:
        note += ", carbon"
        _add_carbon(sample, rng, settings.voxel_size)
    images = microscope.recorded(microscope.tilt_images(sample, settings), settings, rng)
    images = _corrected(images, settings, filter_)
    data = microscope.back_projection(images, settings)
    if filter_ == "low-pass":
        data = ndimage.gaussian_filter(data, rng.uniform(8, 16) / settings.voxel_size)
    data = -data[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    if rng.random() < 0.25:
        note += ", blank margin"
        data = data.copy()
        data[:, : rng.integers(6, 15)] = data.mean()
        data[:, -int(rng.integers(6, 15)) :] = data.mean()
    points = points - [0, MARGIN, MARGIN]
    inside = ((points >= 0) & (points <= np.array(data.shape) - 1)).all(axis=1)
    names = np.array([density.name for density in densities])
    inside &= names != "gold"
    if "blank" in note:
        varying = np.flatnonzero(np.ptp(data, axis=(0, 2)) > 0)
        inside &= (points[:, 1] >= varying[0]) & (points[:, 1] <= varying[-1])
    sizes = {kind.name: _diameter(kind) for kind in kinds}
    return SuiteTomogram(
        data, points[inside], names[inside], sizes, settings.voxel_size, settings.snr, note
    )


def without_particles(seed: int, shape: tuple[int, int, int], maps: Path | None) -> np.ndarray:
    """(D, H, W) float32: noise as reconstructed, or a tomogram with its phases randomised."""
    rng = np.random.default_rng([seed, 21])
    if seed % 2:
        data = make_tomogram(seed, shape, maps).data
        noise = np.fft.rfftn(rng.standard_normal(shape))
        spectrum = np.abs(np.fft.rfftn(data)) * np.exp(1j * np.angle(noise))
        return np.fft.irfftn(spectrum, shape).astype(np.float32)
    settings = SimulationSettings(shape_zyx=shape, tilt_range=(-57, 57), seed=seed)
    empty = microscope.tilt_images(np.zeros(shape, np.float32), settings)
    images = microscope.recorded(empty, settings, rng)
    data = microscope.back_projection(images, settings)
    return ndimage.gaussian_filter(data, rng.uniform(0.4, 1.6)) if rng.random() < 0.7 else data


def _kinds(
    rng: np.random.Generator, settings: SimulationSettings, maps: Path | None
) -> list[Density]:
    count = int(rng.integers(5, 10))
    largest = min(350.0, 0.85 * settings.shape_zyx[0] * settings.voxel_size)
    sizes = rng.uniform(80, largest, count)
    kinds = [
        random_assembly(f"k{i}", size, settings.voxel_size, int(rng.integers(2**31)))
        for i, size in enumerate(sizes)
    ]
    if maps is not None:
        files = sorted(maps.glob("*.mrc"))
        for i, file in enumerate(rng.choice(len(files), 2, replace=False)):
            kinds[i] = load_density(files[file], settings.voxel_size)
    return kinds


def _placed(
    rng: np.random.Generator,
    settings: SimulationSettings,
    kinds: list[Density],
    counts: np.ndarray,
    most_filled: float,
) -> tuple[list[Density], np.ndarray, list]:
    volume = np.prod(settings.shape_zyx)
    spheres = np.array([4 / 3 * np.pi * kind.radius**3 for kind in kinds])
    share = min(1.0, most_filled * volume / (spheres @ counts))
    # A large kind gives way first; the fewest are as in the issue, 15, where they fit.
    counts = np.maximum((counts * share).round().astype(int), np.minimum(counts, 12))
    beads = int(rng.choice([0, 0, 6]))
    gold = replace(GOLD, voxel_size=settings.voxel_size)
    densities = [kind for kind, n in zip(kinds, counts, strict=True) for _ in range(n)]
    densities += [gold] * beads
    vesicles = place_vesicles(settings, rng)
    points = place_particles([d.radius for d in densities], vesicles, settings, rng)
    return densities, points, vesicles


def _diameter(kind: Density) -> float:
    """Å: of the solid ball with the second moment of the density."""
    weights = kind.data[kind.data > 0.1]
    offsets = np.argwhere(kind.data > 0.1) - kind.centre_zyx
    second = (weights @ (offsets**2).sum(axis=1)) / weights.sum()
    return float(2 * np.sqrt(5 / 3 * second) * kind.voxel_size)


def _add_carbon(sample: np.ndarray, rng: np.random.Generator, voxel_size: float) -> None:
    """A film with grain whose straight edge runs across a corner of the volume."""
    _, height, width = sample.shape
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.42)
    y, x = np.ogrid[:height, :width]
    across = np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)
    thick = max(2, round(120 / voxel_size))
    grain = ndimage.gaussian_filter(rng.standard_normal((thick, height, width)), 0.8)
    sample[2 : 2 + thick] += (0.35 + 0.8 * grain) * (across > reach)


def _corrected(images: np.ndarray, settings: SimulationSettings, filter_: str) -> np.ndarray:
    """Phase-flipped or Wiener-like filtered images; the others as they are."""
    if filter_ not in ("phase-flip", "wiener"):
        return images
    transfer = microscope._contrast_transfer(images.shape[1:], settings)
    flipped = filter_ == "phase-flip"
    correction = np.sign(transfer) if flipped else transfer / (transfer**2 + 0.2)
    return np.stack([microscope._filter2d(image, correction) for image in images])
