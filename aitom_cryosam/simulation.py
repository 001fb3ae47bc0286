"""Simulated tomograms with known particles: density maps in, a reconstruction and its truth out.

A sample of randomly turned particles and vesicles is projected along a tilt series around y,
every image gets the contrast transfer of the microscope and white noise, and a weighted
back-projection turns the images into a volume with the missing wedge of a real one. The tilt axis
runs along y through the middle of the volume.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import fft, ndimage
from scipy.sparse import csr_array
from scipy.spatial.transform import Rotation
from scipy.special import expit

from aitom_cryosam.errors import InputError
from aitom_cryosam.io.files import refuse_existing, write_text
from aitom_cryosam.io.mrc import read_volume, write_labels, write_volume
from aitom_cryosam.io.star import CLASS, PIXELS
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

LABEL_FRACTION = 0.1
"""A voxel belongs to a particle where its density is above this fraction of the map's maximum."""
MEMBRANE_LABEL = -1

_WAVELENGTH = 0.0196875  # Å, electrons of 300 kV
_SPHERICAL_ABERRATION = 2.7e7  # Å
_AMPLITUDE_CONTRAST = 0.07

_LEAFLET_DISTANCE = 20.0  # Å, from the middle of the membrane to the middle of a leaflet
_LEAFLET_SIGMA = 8.0  # Å
_MEMBRANE_HALF_THICKNESS = 35.0  # Å, labelled
_MEMBRANE_DENSITY = 0.5  # of a particle's maximum
_VESICLE_RADII = (0.15, 0.2)  # of the volume's shorter side in x and y

_CUBIC = 3  # order of the spline that turns and moves the particles
_CANDIDATES, _ROUNDS = 64, 100  # random places tried for each particle


@dataclass(frozen=True, kw_only=True)
class SimulationSettings:
    """What to simulate.

    Attributes:
        shape_zyx: voxels of the tomogram.
        voxel_size: Å.
        tilt_range: degrees, first and last tilt.
        tilt_step: degrees between neighbouring tilts.
        snr: signal-to-noise ratio of a tilt image: variance of the noise-free image (mean over
            the series) by the variance of the white noise, the same for each tilt; `math.inf`
            adds none. An empty sample gets noise of variance 1.
        defocus: µm, underfocus of the 300 kV microscope; 0 leaves the contrast transfer out.
        seed: of everything random; the same settings and densities give the same bytes.
        membranes: number of vesicles.
        contrast: "dark" particles, or "bright" ones.
        denoise: Å, sigma of a Gaussian that smooths the reconstruction; 0 leaves it as it is.

    Raises:
        InputError: a value outside of what makes sense.
    """

    shape_zyx: tuple[int, int, int] = (128, 384, 384)
    voxel_size: float = 10.0
    tilt_range: tuple[float, float] = (-60.0, 60.0)
    tilt_step: float = 3.0
    snr: float = 0.1
    defocus: float = 3.0
    seed: int = 0
    membranes: int = 2
    contrast: str = "dark"
    denoise: float = 0.0

    def __post_init__(self) -> None:
        first, last = self.tilt_range
        size = " x ".join(map(str, self.shape_zyx[::-1]))
        checks = [
            (min(self.shape_zyx) >= 8, f"a size of at least 8 voxels in x, y and z, got {size}"),
            (0 < self.voxel_size < math.inf, f"a voxel size above 0 Å, got {self.voxel_size:g}"),
            (-90 < first <= last < 90, f"tilts between -90° and 90°, got {first:g} to {last:g}"),
            (0 < self.tilt_step < math.inf, f"a tilt step above 0°, got {self.tilt_step:g}"),
            (self.snr > 0, f"a signal-to-noise ratio above 0 (inf: no noise), got {self.snr:g}"),
            (0 <= self.defocus < math.inf, f"a defocus of 0 µm or more, got {self.defocus:g}"),
            (self.seed >= 0, f"a seed of 0 or more, got {self.seed}"),
            (self.membranes >= 0, f"0 membranes or more, got {self.membranes}"),
            (self.contrast in {"dark", "bright"}, f"dark or bright contrast, got {self.contrast}"),
            (0 <= self.denoise < math.inf, f"a denoising of 0 Å or more, got {self.denoise:g}"),
        ]
        for good, sentence in checks:
            if not good:
                raise InputError(f"Expected {sentence}.")

    @property
    def tilts(self) -> np.ndarray:
        """(t,) float64, degrees."""
        first, last = self.tilt_range
        return first + self.tilt_step * np.arange(int((last - first) / self.tilt_step + 1e-6) + 1)


@dataclass(frozen=True, eq=False)
class Density:
    """One kind of particle.

    Attributes:
        name: its class in the truth, without spaces.
        data: (d, h, w) float32, from 0 to 1.
        voxel_size: Å.

    Raises:
        InputError: the data are no volume, or nowhere above `LABEL_FRACTION`.
    """

    name: str
    data: np.ndarray
    voxel_size: float

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or not self.data.max() > LABEL_FRACTION:
            raise InputError(f"Expected a volume with values up to 1 as the density {self.name}.")

    @cached_property
    def centre_zyx(self) -> np.ndarray:
        """(3,) float64, voxels of `data`: the centre of mass, which the truth states."""
        return np.array(ndimage.center_of_mass(self.data), dtype=np.float64)

    @cached_property
    def radius(self) -> float:
        """Voxels: of the sphere around the centre that holds all labelled voxels."""
        voxels = np.argwhere(self.data > LABEL_FRACTION)
        return float(np.linalg.norm(voxels - self.centre_zyx, axis=1).max())

    @cached_property
    def spline(self) -> np.ndarray:
        """(d, h, w) float32, the cubic spline's coefficients, which turn it without blur."""
        return np.asarray(ndimage.spline_filter(self.data, _CUBIC, output=np.float32))


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated tomogram and its truth.

    Attributes:
        data: (D, H, W) float32, the reconstruction.
        labels: (D, H, W) int32: i for the voxels of particle row i - 1, -1 for membranes.
        points_zyx: (n, 3) float64, voxels: the particles' centres of mass.
        classes: n names of densities, in the order these were given.
        rotations: (n, 3, 3) float64, turn the density's z y x offsets into the tomogram's.
        voxel_size: Å.
    """

    data: np.ndarray
    labels: np.ndarray
    points_zyx: np.ndarray
    classes: tuple[str, ...]
    rotations: np.ndarray
    voxel_size: float


@dataclass(frozen=True)
class _Vesicle:
    centre_zyx: np.ndarray
    radius: float  # voxels, to the middle of the membrane


def load_density(
    path: str | Path, voxel_size: float, *, map_voxel_size: float | None = None
) -> Density:
    """A density map, brought to the tomogram's voxel size and to values from 0 to 1.

    Negative values count as 0; the map's own maximum becomes 1. The file's stem is the name.

    Args:
        path: MRC file, protein bright.
        voxel_size: Å, wanted.
        map_voxel_size: Å, instead of the one in the file's header.

    Raises:
        InputError: the file cannot be read, or holds no density.
    """
    try:
        volume = read_volume(path, voxel_size=map_voxel_size)
    except InputError as error:  # --voxel-size is the tomogram's here
        raise InputError(str(error).replace("--voxel-size", "--map-voxel-size")) from None
    data = np.asarray(volume.data, dtype=np.float32)
    if not np.isfinite(data).all():
        raise InputError(f"{path} holds NaN or infinity; expected a density map.")
    factor = volume.voxel_size / voxel_size
    if abs(factor - 1) > 1e-3:
        data = _resampled(data, factor)
    data = data.clip(min=0)
    peak = data.max(initial=0)
    if peak <= 0:
        raise InputError(f"{path} holds no density above 0 at {voxel_size:g} Å; is it inverted?")
    name = Path(path).name.split(".")[0]
    return Density("_".join(name.split()), (data / peak).astype(np.float32), voxel_size)


def _resampled(data: np.ndarray, factor: float) -> np.ndarray:
    """The same field of view, and its middle, in `factor` times the voxels per length."""
    if factor < 1:
        data = ndimage.gaussian_filter(data, (1 / factor - 1) / 2)  # against aliasing
    before = np.array(data.shape)
    after = np.ceil(before * factor).astype(int)
    first = (before - 1) / 2 - (after - 1) / 2 / factor
    return np.asarray(
        ndimage.affine_transform(data, np.eye(3) / factor, first, output_shape=tuple(after))
    )


def ribosome_like(voxel_size: float) -> Density:
    """An invented two-lobed body of about 250 Å, for demonstrations without density maps.

    Args:
        voxel_size: Å.
    """
    z, y, x = grid = _grid(140.0, voxel_size)
    data = np.zeros([axis.size for axis in grid])
    for centre, half_axes in _TWO_LOBES:
        scaled = [(g - c) / a for g, c, a in zip(grid, centre, half_axes, strict=True)]
        outside = (np.sqrt(sum(axis**2 for axis in scaled)) - 1) * min(half_axes)  # Å, roughly
        data = np.maximum(data, _soft(outside, voxel_size))
    waves = (y + 0.6 * z) / 58, (x - 0.5 * y) / 52, (z + x) / 64
    grain = sum(np.cos(2 * np.pi * wave) for wave in waves) / 3  # seen where no edge is
    return Density("ribosome_like", _normalised(data * (0.6 + 0.4 * grain)), voxel_size)


# Ellipsoids, centre and half axes z y x in Å: a large and a small lobe with a cleft between
# them, a head, and two stalks.
_TWO_LOBES = (
    ((-32, 0, 0), (70, 105, 92)),
    ((72, -8, 0), (30, 92, 48)),
    ((82, 68, 10), (30, 32, 34)),
    ((-62, -98, 12), (22, 30, 20)),
    ((-20, 100, -30), (30, 25, 20)),
)


def barrel(voxel_size: float) -> Density:
    """An invented hollow barrel, 150 Å long and 114 Å wide, of four rings.

    Args:
        voxel_size: Å.
    """
    z, y, x = _grid(90.0, voxel_size)
    ring = np.hypot(y, x)
    wall = _soft(np.maximum(ring - 57, 22 - ring), voxel_size)
    rings = 0.75 - 0.25 * np.cos(2 * np.pi * (z + 75) / 37.5)
    ends = _soft(np.abs(z) - 75, voxel_size)
    return Density("barrel", _normalised(wall * rings * ends), voxel_size)


def _grid(half_width: float, voxel_size: float) -> tuple[np.ndarray, ...]:
    """Open z, y, x coordinates in Å around the middle of a cube."""
    n = math.ceil(half_width / voxel_size)
    axis = np.arange(-n, n + 1) * voxel_size
    return np.ix_(axis, axis, axis)


def _soft(outside: np.ndarray, voxel_size: float) -> np.ndarray:
    """1 inside, 0 outside (a distance in Å), with an edge that voxels of the size can show."""
    return expit(-outside / max(3.0, 0.3 * voxel_size))


def _normalised(data: np.ndarray) -> np.ndarray:
    return (data / data.max()).astype(np.float32)


def simulate(
    densities: Sequence[tuple[Density, int]], settings: SimulationSettings | None = None
) -> Simulation:
    """Simulate a tomogram.

    Args:
        densities: each kind of particle and its number of copies.
        settings: the defaults if None.

    Raises:
        InputError: a density has another voxel size, a count is negative, or the particles and
            membranes do not fit into the volume.
    """
    settings = settings or SimulationSettings()
    for density, count in densities:
        if density.voxel_size != settings.voxel_size:
            raise InputError(
                f"Expected {density.name} in voxels of {settings.voxel_size:g} Å, "
                f"got {density.voxel_size:g} Å."
            )
        if count < 0:
            raise InputError(f"Expected 0 copies of {density.name} or more, got {count}.")
    rng = np.random.default_rng(settings.seed)
    copies = [density for density, count in densities for _ in range(count)]
    vesicles = _place_vesicles(settings, rng)
    points = _place([density.radius for density in copies], vesicles, settings, rng)
    quaternions = rng.standard_normal((len(copies), 4))
    rotations = Rotation.from_quat(quaternions).as_matrix() if copies else np.empty((0, 3, 3))
    sample, labels = _sample(copies, points, rotations, vesicles, settings)
    logger.info("Simulating %d particles in %d tilts.", len(copies), len(settings.tilts))
    images = _filtered(_tilt_images(sample, settings), settings, rng)
    data = _back_projection(images, settings)
    if settings.denoise:
        data = ndimage.gaussian_filter(data, settings.denoise / settings.voxel_size)
    if settings.contrast == "dark":
        np.negative(data, out=data)
    names = tuple(density.name for density in copies)
    return Simulation(data, labels, points, names, rotations, settings.voxel_size)


def write_simulation(
    simulation: Simulation, folder: str | Path, name: str, *, overwrite: bool = False
) -> tuple[Path, Path, Path]:
    """Write `<name>.mrc`, `<name>_truth.star` and `<name>_truth_labels.mrc`.

    The truth has one row per particle: `rlnCoordinateX/Y/Z` (voxels from 0, an integer is a voxel
    centre), `rlnMicrographName` and `particleClass`; row n, from 1, is label n.

    Args:
        simulation: what `simulate` returned.
        folder: must exist.
        name: stem of the files and of the tomogram.
        overwrite: replace existing files.

    Returns:
        The three paths in this order.

    Raises:
        InputError: a name that no STAR file or folder takes, or a file that exists or cannot be
            written.
    """
    paths = simulation_paths(folder, name)
    refuse_existing(paths, overwrite=overwrite)
    tomogram = Tomogram.from_array(simulation.data, voxel_size=simulation.voxel_size, name=name)
    write_volume(paths[0], simulation.data, voxel_size=simulation.voxel_size, overwrite=overwrite)
    write_text(paths[1], _truth_text(simulation, name), overwrite=overwrite)
    write_labels(paths[2], simulation.labels, tomogram, overwrite=overwrite)
    return paths


def simulation_paths(folder: str | Path, name: str) -> tuple[Path, Path, Path]:
    """Where `write_simulation` puts tomogram, truth and labels.

    Raises:
        InputError: the name is empty, or has a space, quote, `#` or slash in it.
    """
    if not name or set(name) & set(" \t\n\"'#/\\"):
        raise InputError(f"Expected a name without spaces, quotes, # and slashes, got {name!r}.")
    folder = Path(folder)
    return (
        folder / f"{name}.mrc",
        folder / f"{name}_truth.star",
        folder / f"{name}_truth_labels.mrc",
    )


def _truth_text(simulation: Simulation, name: str) -> str:
    columns = (*PIXELS, "rlnMicrographName", CLASS)
    header = [f"_{column} #{i}" for i, column in enumerate(columns, start=1)]
    rows = [
        f"{x:.6f} {y:.6f} {z:.6f} {name}.tomostar {kind}"
        for (z, y, x), kind in zip(simulation.points_zyx, simulation.classes, strict=True)
    ]
    return "\n".join(["data_particles", "", "loop_", *header, *rows, ""])


def _place_vesicles(settings: SimulationSettings, rng: np.random.Generator) -> list[_Vesicle]:
    """Vesicles anywhere in the volume, cut by its faces, that do not touch one another."""
    depth, height, width = settings.shape_zyx
    gap = 2 * _MEMBRANE_HALF_THICKNESS / settings.voxel_size
    vesicles: list[_Vesicle] = []
    for _ in range(settings.membranes * _ROUNDS):
        centre = rng.uniform((0.3, 0.1, 0.1), (0.7, 0.9, 0.9)) * (depth, height, width)
        new = _Vesicle(centre, rng.uniform(*_VESICLE_RADII) * min(height, width))
        if all(
            np.linalg.norm(new.centre_zyx - old.centre_zyx) > new.radius + old.radius + gap
            for old in vesicles
        ):
            vesicles.append(new)
        if len(vesicles) == settings.membranes:
            return vesicles
    if settings.membranes:
        raise InputError(
            f"Only {len(vesicles)} of {settings.membranes} membranes fit without touching; "
            "ask for fewer."
        )
    return vesicles


def _place(
    radii: Sequence[float],
    vesicles: Sequence[_Vesicle],
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> np.ndarray:
    """Centres of spheres that lie inside the volume and meet neither each other nor a membrane.

    Args:
        radii: n, voxels; the largest are placed first.

    Returns:
        (n, 3) float64, z y x.
    """
    last = np.array(settings.shape_zyx) - 1
    if radii and 2 * max(radii) > last.min():
        diameter = 2 * max(radii) * settings.voxel_size
        raise InputError(
            f"A particle of {diameter:.0f} Å does not fit into a volume that is "
            f"{last.min() * settings.voxel_size:.0f} Å thick; enlarge its shape."
        )
    points = np.empty((len(radii), 3))
    placed: list[int] = []
    for i in np.argsort(radii)[::-1]:
        radius = radii[i]
        for _ in range(_ROUNDS):
            candidates = rng.uniform(radius, last - radius, (_CANDIDATES, 3))
            to_others = np.linalg.norm(candidates[:, None] - points[placed], axis=2)
            free = (to_others > np.array(radii)[placed] + radius).all(axis=1)
            for vesicle in vesicles:
                to_membrane = np.linalg.norm(candidates - vesicle.centre_zyx, axis=1)
                margin = radius + _MEMBRANE_HALF_THICKNESS / settings.voxel_size
                free &= np.abs(to_membrane - vesicle.radius) > margin
            if free.any():
                points[i] = candidates[free.argmax()]
                placed.append(int(i))
                break
        else:
            raise InputError(
                f"Only {len(placed)} of {len(radii)} particles fit without overlap; "
                "ask for fewer, or enlarge the shape."
            )
    return points


def _sample(
    copies: Sequence[Density],
    points_zyx: np.ndarray,
    rotations: np.ndarray,
    vesicles: Sequence[_Vesicle],
    settings: SimulationSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """The sample's density (D, H, W) float32 and its labels (D, H, W) int32."""
    sample = np.zeros(settings.shape_zyx, dtype=np.float32)
    labels = np.zeros(settings.shape_zyx, dtype=np.int32)
    for vesicle in vesicles:
        _add_vesicle(sample, labels, vesicle, settings.voxel_size)
    for i, density in enumerate(copies):
        box, particle = _turned(density, points_zyx[i], rotations[i], sample.shape)
        sample[box] += particle
        labels[box][particle > LABEL_FRACTION] = i + 1
    return sample, labels


def _add_vesicle(
    sample: np.ndarray, labels: np.ndarray, vesicle: _Vesicle, voxel_size: float
) -> None:
    """Add a sphere of two leaflets, whose membrane is labelled."""
    grid = np.ogrid[tuple(map(slice, sample.shape))]
    squares = [
        (axis.astype(np.float32) - float(centre)) ** 2
        for axis, centre in zip(grid, vesicle.centre_zyx, strict=True)
    ]
    offsets = (np.sqrt(sum(squares)) - vesicle.radius) * voxel_size  # Å
    membrane = np.abs(offsets) < _MEMBRANE_HALF_THICKNESS
    from_leaflet = np.abs(offsets[membrane]) - _LEAFLET_DISTANCE
    sample[membrane] += _MEMBRANE_DENSITY * np.exp(-0.5 * (from_leaflet / _LEAFLET_SIGMA) ** 2)
    labels[membrane] = MEMBRANE_LABEL


def _turned(
    density: Density, point_zyx: np.ndarray, rotation: np.ndarray, shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], np.ndarray]:
    """A box of the sample of `shape`, and the turned particle in it."""
    reach = density.radius + 4  # what lies below the label's threshold belongs to it as well
    lower = np.maximum(np.floor(point_zyx - reach).astype(int), 0)
    upper = np.minimum(np.ceil(point_zyx + reach).astype(int) + 1, shape)
    particle = ndimage.affine_transform(
        density.spline,
        rotation.T,
        density.centre_zyx + rotation.T @ (lower - point_zyx),
        output_shape=tuple(upper - lower),
        order=_CUBIC,
        prefilter=False,
    )
    return tuple(map(slice, lower, upper)), particle


def _from_axis(n: int) -> np.ndarray:
    """Distance of n voxels or pixels from the tilt axis, which is in their middle."""
    return np.arange(n) - (n - 1) / 2


def _detector(settings: SimulationSettings) -> int:
    """Pixels across the tilt axis: enough for the whole sample at any tilt."""
    depth, _, width = settings.shape_zyx
    return math.ceil(math.hypot(depth, width)) + 2


def _tilt_images(sample: np.ndarray, settings: SimulationSettings) -> np.ndarray:
    """Parallel projections of the (D, H, W) sample: (t, u, H) float32, u across the tilt axis.

    A voxel at x, z from the axis falls on u = x cos(tilt) + z sin(tilt).
    """
    depth, height, width = sample.shape
    columns = sample.transpose(0, 2, 1).reshape(depth * width, height)
    n_u = _detector(settings)
    return np.stack([_rays(tilt, depth, width, n_u) @ columns for tilt in settings.tilts])


def _rays(tilt: float, depth: int, width: int, n_u: int) -> csr_array:
    """The (u, depth * width) matrix of line integrals through a z, x plane at a tilt in degrees.

    A ray steps through the planes it meets most steeply, and interpolates within each.
    """
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    if abs(cos) >= abs(sin):
        steep, flat, n_steps, n_across, strides = cos, sin, depth, width, (width, 1)
    else:
        steep, flat, n_steps, n_across, strides = sin, cos, width, depth, (1, width)
    u, step = _from_axis(n_u)[:, None], _from_axis(n_steps)
    across = (u - step * flat) / steep + (n_across - 1) / 2  # (u, steps)
    below = np.floor(across).astype(int)
    index = np.stack([below, below + 1])
    weight = np.stack([below + 1 - across, across - below]) / abs(steep)
    inside = (index >= 0) & (index < n_across)
    pixel = np.arange(n_steps) * strides[0] + index * strides[1]
    row = np.broadcast_to(np.arange(n_u)[:, None], inside.shape)
    entries = weight[inside].astype(np.float32), (row[inside], pixel[inside])
    return csr_array(entries, shape=(n_u, depth * width))


def _filtered(
    images: np.ndarray, settings: SimulationSettings, rng: np.random.Generator
) -> np.ndarray:
    """The images (t, u, H) as the microscope takes them, ramp-filtered across the tilt axis."""
    if settings.defocus:
        transfer = _contrast_transfer(images.shape[1:], settings)
        images = np.stack([_filter2d(image, transfer) for image in images])
    if math.isfinite(settings.snr):
        sigma = math.sqrt(float(images.var(axis=(1, 2)).mean()) / settings.snr)
        images = images + np.float32(sigma or 1) * rng.standard_normal(images.shape, np.float32)
    n_u = images.shape[1]
    padded = fft.next_fast_len(2 * n_u, real=True)
    ramp = fft.rfftfreq(padded).astype(np.float32)[:, None]
    return fft.irfft(fft.rfft(images, padded, axis=1) * ramp, padded, axis=1)[:, :n_u]


def _filter2d(image: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """Multiply a padded image's spectrum; `transfer` is for the padded size."""
    n_u, height = image.shape
    shape = _padded(image.shape)
    return fft.irfft2(fft.rfft2(image, shape) * transfer, shape)[:n_u, :height]


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Room for the fringes of a particle at the rim, which would come back on the other side."""
    return tuple(fft.next_fast_len(n + 32, real=True) for n in shape)


def _contrast_transfer(shape: tuple[int, ...], settings: SimulationSettings) -> np.ndarray:
    """Of the microscope for padded images of the shape, positive at low frequencies, float32."""
    n_u, n_y = _padded(shape)
    frequency2 = fft.fftfreq(n_u, settings.voxel_size)[:, None] ** 2
    frequency2 = frequency2 + fft.rfftfreq(n_y, settings.voxel_size) ** 2  # 1/Å²
    phase = math.pi * _WAVELENGTH * frequency2 * settings.defocus * 1e4
    phase -= math.pi / 2 * _SPHERICAL_ABERRATION * _WAVELENGTH**3 * frequency2**2
    return np.sin(phase + math.asin(_AMPLITUDE_CONTRAST)).astype(np.float32)


def _back_projection(images: np.ndarray, settings: SimulationSettings) -> np.ndarray:
    """Ramp-filtered images (t, u, H) to a volume (D, H, W) float32, section by section."""
    depth, height, width = settings.shape_zyx
    tilts = np.radians(settings.tilts)
    n_tilts, n_u, _ = images.shape
    rows = images.reshape(n_tilts * n_u, height)
    shared = _from_axis(width)[:, None] * np.cos(tilts) + (n_u - 1) / 2  # (W, t)
    step = np.float32(math.radians(settings.tilt_step))
    volume = np.empty((depth, height, width), dtype=np.float32)
    for section, z in zip(volume, _from_axis(depth), strict=True):
        u = shared + z * np.sin(tilts)
        below = np.floor(u).astype(np.int32)
        weights = np.stack([below + 1 - u, u - below], axis=2).astype(np.float32) * step
        index = np.stack([below, below + 1], axis=2) + n_u * np.arange(n_tilts)[:, None]
        ends = np.arange(width + 1) * (2 * n_tilts)
        matrix = csr_array((weights.ravel(), index.ravel(), ends), shape=(width, len(rows)))
        section[:] = (matrix @ rows).T
    return volume
