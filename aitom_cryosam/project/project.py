"""Project: tomograms, and how to pick in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aitom_cryosam.errors import InputError
from aitom_cryosam.job import Job
from aitom_cryosam.names import relion_name
from aitom_cryosam.points.tilt_series import TomogramsStar, read_tomograms_star
from aitom_cryosam.regions import RegionRules
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import Settings, refuse_idle
from aitom_cryosam.tomogram import Contrast

NONE = "none"
"""A value that is not given."""


@dataclass(frozen=True, kw_only=True)
class ProjectTomogram:
    """A tomogram of a project; paths are absolute.

    Attributes:
        name: of its folder of results, no other has it.
        path: its file.
        contrast: of protein.
        voxel_size: Å, instead of the header's.
        prompts: file of clicks in it.
        rejects: file of rejected places in it.
        query: of its own, in place of the project's.
        region: mask that picks lie in.
        exclude: masks that picks keep away from.
    """

    name: str
    path: Path
    contrast: Contrast = "dark"
    voxel_size: float | None = None
    prompts: Path | None = None
    rejects: Path | None = None
    query: Path | None = None
    region: Path | None = None
    exclude: tuple[Path, ...] = ()

    @property
    def label(self) -> str:
        """What other programs find it by: the path, or the name where the path is ambiguous."""
        path = str(self.path)
        return path if relion_name(path) == self.name else self.name


@dataclass(frozen=True, kw_only=True)
class Project:
    """Tomograms, and how picks are found in them.

    Attributes:
        path: absolute, of the project's file; results lie in the folder `results` beside it.
        settings: of the method.
        tomograms: in their order.
        query: of all tomograms that have none of their own.
        coords_angpix: Å, the pixel size that files of clicks are written in.
        tomograms_star: of the RELION project, with the tilt series.
        exclude_distance: Å, as in `RegionRules`.
        edge: Å, likewise.
        lamella: likewise.

    Raises:
        InputError: a setting has no effect beside the others.
    """

    path: Path
    settings: Settings
    tomograms: tuple[ProjectTomogram, ...]
    query: Path | None = None
    coords_angpix: float | None = None
    tomograms_star: Path | None = None
    exclude_distance: float = 0.0
    edge: float = 0.0
    lamella: str = NONE

    def __post_init__(self) -> None:
        refuse_idle(self.settings, self.settings.changes)

    @property
    def folder(self) -> Path:
        """Of the project's file."""
        return self.path.parent

    @property
    def results(self) -> Path:
        """The folder with a folder of results for each tomogram."""
        return self.folder / "results"

    @cached_property
    def _tilt_series(self) -> TomogramsStar | None:
        return read_tomograms_star(self.tomograms_star) if self.tomograms_star else None

    def job(self, tomogram: ProjectTomogram, resources: Resources | None = None) -> Job:
        """What `cryosam pick` would be told for one of its tomograms.

        Raises:
            InputError: a value makes no sense, or the tomogram is not in `tomograms_star`.
        """
        series, clicked = self._tilt_series, tomogram.prompts or tomogram.rejects
        rules = RegionRules(
            region=tomogram.region,
            exclude=tomogram.exclude,
            exclude_distance=self.exclude_distance if tomogram.exclude else 0.0,
            edge=self.edge,
            lamella="auto" if self.lamella == "auto" else "none",
        )
        return Job(
            tomogram=tomogram.path,
            query=tomogram.query or self.query,
            regions=rules,
            prompts_file=tomogram.prompts,
            rejects_file=tomogram.rejects,
            coords_angpix=self.coords_angpix if clicked else None,
            out=self.results / tomogram.name,
            voxel_size=tomogram.voxel_size,
            contrast=tomogram.contrast,
            settings=self.settings,
            resources=resources or Resources(),
            tilt_series=series.of(tomogram.path) if series and clicked else None,
            overwrite=True,
        )

    def part(self, number: int, of: int) -> tuple[ProjectTomogram, ...]:
        """Every `of`-th tomogram from the `number`-th on, counted from 1: all parts have all.

        Raises:
            InputError: there is no such part.
        """
        if not 1 <= number <= of:
            raise InputError(f"Expected a part from 1/{of} to {of}/{of}, got {number}/{of}.")
        return self.tomograms[number - 1 :: of]
