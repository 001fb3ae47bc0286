"""What a run would need of this machine: memory and time, for each preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aitom_cryosam.doctor.observation import Observation
from aitom_cryosam.forecast import forecast_on, seconds, usual_diameter
from aitom_cryosam.particle_size import ASIDE, ParticleSize
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import Settings
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.validation.finding import Severity
from aitom_cryosam.wording import in_angstrom, size_text


@dataclass(frozen=True)
class Needs:
    """What one preset takes here.

    Attributes:
        preset: its name.
        bytes: memory, at the most; of all diameters that a run may try.
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
        size = f"{self.diameter_voxels:.0f} voxels" if known is None else in_angstrom(known)
        text = f"{'; '.join(parts)}. For a particle of {size}."
        return Observation(Severity.NOTE, "needs", text)


def needs_of(
    tomogram: Tomogram,
    presets: Mapping[str, Settings],
    lacking: Mapping[str, str],
    resources: Resources,
    size: ParticleSize | None = None,
    *,
    voxel_size_known: bool = True,
) -> list[Needs]:
    """The forecast for each preset.

    Args:
        tomogram: to search.
        presets: settings by name.
        lacking: what keeps a preset from running, by its name.
        resources: of the machine.
        size: of the particle, if it is known. A smaller one that a run may try takes more memory.
        voxel_size_known: whether the tomogram's is not only assumed.
    """
    size = size or ParticleSize(usual_diameter(tomogram))
    voxels = size.diameter_voxels
    angstrom = voxels * tomogram.voxel_size if voxel_size_known else None
    found = []
    for name, settings in presets.items():
        aside = [voxels * ratio for ratio in ASIDE] if settings.looks > 1 else []
        needs, *others = (
            forecast_on(tomogram, settings, each) for each in (voxels, *size.rivals_voxels, *aside)
        )
        lacks = [lacking[name]] if name in lacking else []
        if needs.least_bytes > resources.most:
            lacks.append(f"{size_text(resources.most)} of memory may be used")
        most = max(one.bytes for one in (needs, *others))
        time = seconds(tomogram.shape, settings, diameter_voxels=voxels)
        found.append(Needs(name, most, time, voxels, angstrom, "; ".join(lacks)))
    return found
