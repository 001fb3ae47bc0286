"""What a run would need of this machine: memory and time, for each preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aitom_cryosam.doctor.observation import Observation
from aitom_cryosam.forecast import forecast, seconds
from aitom_cryosam.resources import Resources, size_text
from aitom_cryosam.settings import Settings
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.validation.finding import Severity

USUAL = 200.0
"""Å, of a particle whose diameter nobody knows yet; as far as it fits the tomogram."""
LEAST = 4.0
"""Voxels, likewise."""


@dataclass(frozen=True)
class Needs:
    """What one preset takes here.

    Attributes:
        preset: its name.
        bytes: memory, at the most.
        seconds: time; None where it depends on a device that is not timed.
        diameter_voxels: of the particle that it is for.
        diameter_angstrom: of the particle; None where the voxel size is not known.
        lack: what keeps it from running here; empty for nothing.
    """

    preset: str
    bytes: int
    seconds: float | None
    diameter_voxels: float
    diameter_angstrom: float | None
    lack: str = ""

    @property
    def observation(self) -> Observation:
        """As a sentence."""
        time = self.seconds
        duration = "the time depends on the device" if time is None else f"about {time:.0f} s"
        parts = [f"{self.preset} takes about {size_text(self.bytes)} of memory", duration]
        parts += [f"it cannot run here: {self.lack}"] if self.lack else []
        known = self.diameter_angstrom
        size = f"{self.diameter_voxels:.0f} voxels" if known is None else f"{known:.0f} Å"
        text = f"{'; '.join(parts)}. For a particle of {size}."
        return Observation(Severity.NOTE, "needs", text)


def needs_of(
    tomogram: Tomogram,
    presets: Mapping[str, Settings],
    lacking: Mapping[str, str],
    resources: Resources,
    diameter_voxels: float | None = None,
    *,
    voxel_size_known: bool = True,
) -> list[Needs]:
    """The forecast for each preset.

    Args:
        tomogram: to search.
        presets: settings by name.
        lacking: what keeps a preset from running, by its name.
        resources: of the machine.
        diameter_voxels: of the particle, if it is known.
        voxel_size_known: whether the tomogram's is not only assumed.
    """
    voxel_size = tomogram.voxel_size
    most = min(tomogram.shape)
    voxels = diameter_voxels or min(max(USUAL / voxel_size, LEAST), most)
    angstrom = voxels * voxel_size if voxel_size_known else None
    found = []
    for name, settings in presets.items():
        needs = forecast(tomogram.shape, settings, diameter_voxels=voxels, voxel_size=voxel_size)
        lacks = [lacking[name]] if name in lacking else []
        if needs.least_bytes > resources.most:
            lacks.append(f"{size_text(resources.most)} of memory may be used")
        time = seconds(tomogram.shape, settings, diameter_voxels=voxels)
        found.append(Needs(name, needs.bytes, time, voxels, angstrom, "; ".join(lacks)))
    return found
