"""Baselines: AITom's own pickers on a tomogram, as a comparison runs them.

Both get the particle's size and keep its copies apart as CryoSAM does, which is kinder to them
than their own defaults.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from aitom_cryosam.aitom import DoGPicker, TemplateMatchingPicker, aitom_module
from aitom_cryosam.aitom.aitom_pickers import template_offset, zyz_angles
from aitom_cryosam.binning import binned
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation.comparison import MethodPicks
from aitom_cryosam.geometry import unbinned_coordinate
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.aitom import Record, picks_of
from aitom_cryosam.progress import Progress
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.resources import Resources
from aitom_cryosam.targets import PARTICLE
from aitom_cryosam.tomogram import Contrast, Tomogram
from aitom_cryosam.volumes.density_map import read_density_map, resampled

ANGULAR_STEP = 30.0
"""Degrees. The nearest of the 552 rotations is then 15° off a particle's at the median, 24° at
most, by which the rim of a particle of 250 Å moves 3 nm: what stays alike are its larger parts,
which tomograms show best. Half of the step takes eight times as long."""
_BYTES_PER_VOXEL = 160  # of one process of AITom's scan: measured, 142
_MOST_RIM = 0.5  # of a template's faces that may be protein


def need_aitom() -> None:
    """Say now, rather than after hours of other methods, that AITom is missing.

    Raises:
        InputError: with what to type.
    """
    for name in ("pick.dog.particle_picking_dog__util", "pick.dog.particle_picking_dog__filter"):
        aitom_module(f"aitom.{name}")
    aitom_module("aitom.template.matching.standard_scanning.run_single")


def dog(tomogram: Tomogram, *, diameter: float) -> MethodPicks:
    """AITom's difference of Gaussians.

    Its s1 is the particle's radius divided by √3: a ball answers a Gaussian of this width most
    strongly. (AITom's own 7 nm is this for a ribosome.)

    Args:
        tomogram: (D, H, W).
        diameter: Å, of the particle.
    """
    width = diameter / tomogram.voxel_size
    s1 = max(width / 2 / math.sqrt(3), 1.0)
    picker = DoGPicker({"s1": s1, "peak_dist_min": PARTICLE.spacing * width})
    return MethodPicks(
        _candidates(*picker.candidates(tomogram)),
        "none",
        settings={"diameter_angstrom": diameter, "s1_voxels": s1},
    )


class TemplateMatching:
    """AITom's template matching, checked before it runs.

    Args:
        tomogram: (D, H, W).
        template: of `read_template` with the same voxel size and binning.
        diameter: Å, of the particle; its copies are `PARTICLE.spacing` of it apart.
        angular_step: degrees between neighbouring rotations.
        binning: of the tomogram.
        processes: that share the rotations; one for each core if None. Fewer run if their
            memory would not suffice.
        resources: whose memory holds.
        progress: as of `TemplateMatchingPicker`.

    Raises:
        InputError: the template does not fit into the tomogram, a number is out of range, or
            the memory does not suffice for one process.
    """

    def __init__(
        self,
        tomogram: Tomogram,
        template: np.ndarray,
        *,
        diameter: float,
        angular_step: float = ANGULAR_STEP,
        binning: int = 1,
        processes: int | None = None,
        resources: Resources | None = None,
        progress: Progress | None = None,
    ) -> None:
        if not 0 < angular_step <= 180:
            raise InputError(
                f"Expected an angular step above 0 and up to 180 degrees, got {angular_step:g}."
            )
        self.tomogram = binned_tomogram(tomogram, binning)
        template_offset(self.tomogram.shape[::-1], template.shape)
        processes = _processes(self.tomogram, processes, resources or Resources())
        self.settings = {
            "angular_step": angular_step,
            "rotations": len(zyz_angles(angular_step)),
            "binning": binning,
            "template_voxels": len(template),
            "processes": processes,
        }
        self._binning = binning
        self._picker = TemplateMatchingPicker(
            {
                "template": template.T,
                "angle_step": angular_step,
                "peak_dist_min": PARTICLE.spacing * diameter / self.tomogram.voxel_size,
                "multiprocessing_process_num": processes,
            },
            progress=progress,
        )

    def run(self) -> MethodPicks:
        """Scan all rotations."""
        peaks, level = self._picker.candidates(self.tomogram)
        found = _candidates(peaks, level, self._binning)
        return MethodPicks(found, "a template map", settings=self.settings)


def read_template(
    path: str | Path,
    voxel_size: float,
    *,
    contrast: Contrast = "bright",
    map_voxel_size: float | None = None,
    binning: int = 1,
) -> np.ndarray:
    """A density map as a template: resampled, centred, protein bright, in a tight box.

    A particle's position is that of the map's voxel n // 2, as in RELION. The mask is the
    smallest ball around it that holds the protein, which is the largest piece above Otsu's
    threshold, and a voxel more.

    Args:
        path: MRC file.
        voxel_size: Å, of the tomogram before binning.
        contrast: of protein in the map.
        map_voxel_size: Å, instead of the one in the file's header.
        binning: as of the tomogram.

    Returns:
        (n, n, n) float32, n odd, NaN outside of the mask.

    Raises:
        InputError: no such file, no voxel size, or no particle in it.
    """
    data, stated = read_density_map(
        path, voxel_size, Remedy.TEMPLATE_VOXEL_SIZE, voxel_size=map_voxel_size
    )
    data = data * np.float32(1 if contrast == "bright" else -1)
    return _template(data, _radius(path, data), voxel_size / stated, binning)


def binned_tomogram(tomogram: Tomogram, factor: int) -> Tomogram:
    """The means of cubes of factor³ voxels; voxel i of it has its centre at i·f + (f - 1)/2.

    Raises:
        InputError: the factor is below 1, or the tomogram is smaller than a few cubes.
    """
    if factor == 1:
        return tomogram
    if factor < 1 or min(tomogram.shape) < 4 * factor:
        raise InputError(
            f"Expected a binning from 1 to {min(tomogram.shape) // 4} for a tomogram of "
            f"{' × '.join(map(str, tomogram.shape))} voxels, got {factor}."
        )
    return Tomogram.from_array(
        binned(np.asarray(tomogram.data, np.float32), factor),
        voxel_size=factor * tomogram.voxel_size,
        name=tomogram.name,
        contrast=tomogram.contrast,
    )


def _radius(path: str | Path, data: np.ndarray) -> float:
    """Voxels from the middle to the farthest protein of a map where it is bright."""
    pieces, _ = ndimage.label(data > threshold_otsu(data))
    protein = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    faces = [protein.take(end, axis).mean() for axis in range(3) for end in (0, -1)]
    if np.mean(faces) > _MOST_RIM:
        raise InputError(f"{path}: what is bright surrounds what is dark", Remedy.TEMPLATE_CONTRAST)
    middle = np.array(data.shape) // 2
    return float(np.linalg.norm(np.argwhere(protein) - middle, axis=1).max())


def _template(data: np.ndarray, radius: float, factor: float, binning: int) -> np.ndarray:
    """The ball of a map, in voxels `factor` times as large, then binned; NaN outside.

    The middle of an odd number of binned voxels is the map's, whatever the binning.
    """
    reach = math.ceil(radius / factor / binning) + 1  # binned voxels
    n = 2 * reach + 1
    first = np.array(data.shape) // 2 - factor * (n * binning - 1) / 2
    fine = resampled(data, factor, first, (n * binning,) * 3, mode="nearest")
    template = binned(fine, binning)
    z, y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1, -reach : reach + 1]
    template[z**2 + y**2 + x**2 > reach**2] = np.nan
    return template


def _processes(tomogram: Tomogram, wanted: int | None, resources: Resources) -> int:
    """How many may run at a time."""
    if wanted is not None and wanted < 1:
        raise InputError(f"Expected 1 thread or more, got {wanted}.")
    each = _BYTES_PER_VOXEL * math.prod(tomogram.shape)
    fit = resources.ram // each
    if fit < 1:
        raise InputError(
            f"Template matching needs {each / 1e9:.2f} GB, but {resources.ram / 1e9:.2f} GB may "
            "be used",
            Remedy.BINNING,
        )
    return int(min(wanted or resources.threads, fit))


def _candidates(records: list[Record], level: float, binning: int = 1) -> Picks:
    """In voxels before binning; kept from the level on."""
    found = picks_of(records)
    points = unbinned_coordinate(found.points_zyx, binning)
    scores = found.scores
    return Picks.from_points(points, scores).reject(scores < level, "below the threshold")
