"""What a run would need of this machine: memory and time, for each preset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aitom_cryosam.doctor.observation import Observation
from aitom_cryosam.forecast import forecast, seconds
from aitom_cryosam.resources import Resources, size_text
from aitom_cryosam.settings import Settings
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.validation.finding import Severity

USUAL = 200.0
"""Å, of a particle whose diameter nobody knows yet."""


def need_observations(
    tomogram: Tomogram,
    presets: Mapping[str, Settings],
    lacking: Mapping[str, str],
    resources: Resources,
    diameter_angstrom: float | None = None,
) -> Iterator[Observation]:
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
    for name, settings in presets.items():
        needs = forecast(tomogram.shape, settings, diameter_voxels=voxels, voxel_size=voxel_size)
        time = seconds(tomogram.shape, settings, diameter_voxels=voxels)
        duration = "the time depends on the device" if time is None else f"about {time:.0f} s"
        text = f"{name} takes about {size_text(needs.bytes)} of memory; {duration}"
        if needs.least_bytes > resources.most:
            text += f"; {size_text(resources.most)} may be used, too little"
        if name in lacking:
            text += f"; it cannot run here: {lacking[name]}"
        yield Observation(Severity.NOTE, "needs", f"{text}. For a particle of {size:.0f} Å.")
