"""SimulationSettings: what to simulate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aitom_cryosam.errors import InputError


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
