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
"""Å, of a particle whose diameter nobody knows yet."""


@dataclass(frozen=True)
class Needs:
    """What one preset takes here.

    Attributes:
        preset: its name.
        bytes: memory, at the most.
        seconds: time; None where it depends on a device that is not timed.
        diameter_angstrom: of the particle that it is for.
        lack: what keeps it from running here; empty for nothing.
    """

    preset: str
    bytes: int
    seconds: float | None
    diameter_angstrom: float
    lack: str = ""

    @property
    def observation(self) -> Observation:
        """As a sentence."""
        time = self.seconds
        duration = "the time depends on the device" if time is None else f"about {time:.0f} s"
        parts = [f"{self.preset} takes about {size_text(self.bytes)} of memory", duration]
        parts += [f"it cannot run here: {self.lack}"] if self.lack else []
        text = f"{'; '.join(parts)}. For a particle of {self.diameter_angstrom:.0f} Å."
        return Observation(Severity.NOTE, "needs", text)


def needs_of(
    tomogram: Tomogram,
    presets: Mapping[str, Settings],
    lacking: Mapping[str, str],
    resources: Resources,
    diameter_angstrom: float | None = None,
) -> list[Needs]:
    """The forecast for each preset.

    Args:
        tomogram: to search.
        presets: settings by name.
        lacking: what keeps a preset from running, by its name.
        resources: of the machine.
        diameter_angstrom: of the particle, if it is known.
    """
    size = diameter_angstrom or USUAL
    voxels, voxel_size = size / tomogram.voxel_size, tomogram.voxel_size
    found = []
    for name, settings in presets.items():
        needs = forecast(tomogram.shape, settings, diameter_voxels=voxels, voxel_size=voxel_size)
        lacks = [lacking[name]] if name in lacking else []
        if needs.least_bytes > resources.most:
            lacks.append(f"{size_text(resources.most)} of memory may be used")
        time = seconds(tomogram.shape, settings, diameter_voxels=voxels)
        found.append(Needs(name, needs.bytes, time, size, "; ".join(lacks)))
    return found
