"""Job: everything that defines one run, as one value."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_text
from aitom_cryosam.names import file_stem
from aitom_cryosam.points.formats.relion_warp import check_flavour
from aitom_cryosam.points.table import json_of
from aitom_cryosam.points.tomogram_info import TiltSeries
from aitom_cryosam.regions import RegionRules
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.resources import Resources
from aitom_cryosam.result_files import result_paths
from aitom_cryosam.settings import Settings, short_name
from aitom_cryosam.source_file import FileStamp, existing_file, reading
from aitom_cryosam.targets import structure
from aitom_cryosam.targets.base import StructureTarget
from aitom_cryosam.tidying import settle
from aitom_cryosam.tomogram import Contrast, Tomogram

_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run on one tomogram: `run(job)` does it, and its files say that it is done.

    Attributes:
        tomogram: an MRC file; or an open tomogram, which stays in this process.
        prompts: clicks, rows of x, y, z in voxels.
        rejects: places of something else, likewise.
        query: file of what particles clicked elsewhere look like, in place of prompts or beside.
        target: a kind of structure to follow, as a membrane; None for particles, which alone have
            rejects, a query, suggestions and settings that are not their preset's.
        regions: where picks may lie.
        prompts_file: further clicks, in any format that `points.reading` knows.
        rejects_file: further rejected places, likewise.
        coords_angpix: Å, the pixel size that these files are written in, if not the tomogram's.
        out: folder of the results; None for `pick`, which writes nothing.
        voxel_size: Å, instead of the header's.
        contrast: whether protein is "dark" or "bright".
        settings: the method's switches; `Settings.of()` on these resources if None is given.
        settings_note: how they were chosen; logged when the work begins, and recorded.
        resources: device, memory, cache and checkpoints.
        star: further STAR flavours to write, of `points.formats.relion_warp.FLAVOURS`.
        tilt_series: pixel size and size of the tilt series, for RELION's flavours and prompts.
        picture: also draw two slices with the picks.
        suggest: also list and draw so many places whose yes or no would help most.
        overwrite: replace existing results.

    Raises:
        InputError: a value makes no sense, or two contradict each other.
    """

    tomogram: Path | Tomogram
    prompts: tuple[Sequence[float], ...] = ()
    rejects: tuple[Sequence[float], ...] = ()
    query: Path | None = None
    target: StructureTarget | None = None
    regions: RegionRules = field(default_factory=RegionRules)
    prompts_file: Path | None = None
    rejects_file: Path | None = None
    coords_angpix: float | None = None
    out: Path | None = None
    voxel_size: float | None = None
    contrast: Contrast = "dark"
    settings: Settings = None  # type: ignore[assignment]  # __post_init__ sees to it
    settings_note: str = ""
    resources: Resources = field(default_factory=Resources)
    star: tuple[str, ...] = ()
    tilt_series: TiltSeries | None = None
    picture: bool = False
    suggest: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        plain: dict[str, Any] = {
            "prompts": _rows(self.prompts, "prompts"),
            "rejects": _rows(self.rejects, "rejected places"),
            "star": tuple(self.star),
            "settings": self.settings or self._usual_settings(),
            **{
                name: Path(path)
                for name in ("tomogram", "query", "prompts_file", "rejects_file", "out")
                if isinstance(path := getattr(self, name), str)
            },
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.tomogram, (Path, Tomogram)):
            raise InputError(f"Expected a file or a tomogram to search, got {self.tomogram!r}.")
        if isinstance(self.tomogram, Tomogram) and self.voxel_size is not None:
            raise InputError("An open tomogram has its own voxel size; leave voxel_size out.")
        for flavour in self.star:
            check_flavour(flavour)
        if self.target is not None:
            self._refuse_of_particles(self.target.name)
        if "relion4" in self.star and self.tilt_series is None:
            problem = "The format relion4 needs the pixel size of the tilt series"
            raise InputError(problem, Remedy.TILT_SERIES)

    def _refuse_of_particles(self, structure: str) -> None:
        """Refuse what a structure is not found with."""
        changes = [name for name in self.settings.changes if name != "segmenter"]
        of_particles = {
            "a query": self.query is not None,
            "rejected places": bool(self.rejects or self.rejects_file),
            "suggestions": self.suggest > 0,
            **{f"the setting {short_name(name)}": True for name in changes},
        }
        for what, given in of_particles.items():
            if given:
                raise InputError(
                    f"Only particles are found with {what}; leave that out for a {structure}."
                )

    def _usual_settings(self) -> Settings:
        """Membranes and filaments are followed without networks unless one is asked for."""
        return Settings.of(resources=self.resources) if self.target is None else Settings()

    @property
    def name(self) -> str:
        """Of the tomogram; the stem of all files."""
        given = self.tomogram
        return given.name if isinstance(given, Tomogram) else file_stem(given)

    @property
    def files(self) -> dict[str, Path]:
        """That `run` writes, by kind.

        Raises:
            InputError: the job has no folder for results.
        """
        if self.out is None:
            raise InputError("Expected a folder for the results of the job, got none; give out.")
        return result_paths(
            self.out,
            self.name,
            self.star,
            picture=self.picture,
            suggested=self.suggest > 0,
            semantic=self.settings.semantic,
            target="particle" if self.target is None else self.target.name,
        )

    @property
    def done(self) -> bool:
        """Whether all of its files are there."""
        settle(self.files["run"].parent)
        return all(os.path.isfile(path) for path in self.files.values())

    @property
    def inputs(self) -> dict[str, Path]:
        """The files that decide about the result, by what they are."""
        given = self.tomogram
        found = {
            "tomogram": given.path if isinstance(given, Tomogram) else given,
            "query": self.query,
            "prompts": self.prompts_file,
            "rejects": self.rejects_file,
            "region": self.regions.region,
            **{f"excluded {i}": path for i, path in enumerate(self.regions.exclude, 1)},
        }
        return {role: path for role, path in found.items() if path is not None}

    def stamps(self) -> dict[str, FileStamp]:
        """Of its inputs, as they are now; with checksums, but of the tomogram, which has its own.

        What is not there is left out.
        """
        found = {}
        for role, path in self.inputs.items():
            with suppress(OSError):
                found[role] = FileStamp.of(path, checksum=role != "tomogram")
        return found

    def open_tomogram(self) -> Tomogram:
        """The tomogram to search.

        Raises:
            InputError: the file cannot be used.
        """
        if isinstance(self.tomogram, Tomogram):
            return self.tomogram
        return Tomogram.open(self.tomogram, voxel_size=self.voxel_size, contrast=self.contrast)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for `from_json`.

        Raises:
            InputError: the tomogram is an array, which no file has.
        """
        tomogram, voxel_size, contrast = self.tomogram, self.voxel_size, self.contrast
        if isinstance(tomogram, Tomogram):
            if tomogram.path is None:
                raise InputError(
                    f"{tomogram.name} is an array; a job that is written as JSON needs its file."
                )
            voxel_size, contrast = tomogram.voxel_size, tomogram.contrast
            tomogram = tomogram.path
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = {name: str(one) if isinstance(one, Path) else one for name, one in values.items()}
        return {
            "schema": _SCHEMA,
            **plain,
            "tomogram": str(tomogram),
            "prompts": [list(row) for row in self.prompts],
            "rejects": [list(row) for row in self.rejects],
            "target": self.target and {"name": self.target.name, **_lengths(self.target)},
            "regions": self.regions.to_json(),
            "voxel_size": voxel_size,
            "contrast": contrast,
            "settings": asdict(self.settings),
            "resources": self.resources.to_json(),
            "star": list(self.star),
            "tilt_series": self.tilt_series and asdict(self.tilt_series),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Job:
        """What `to_json` gave, also after a way through JSON; what is missing is as usual.

        Raises:
            InputError: a key is not known, or a value cannot be used.
        """
        given = dict(values)
        known = {one.name for one in fields(cls)}
        if given.pop("schema", _SCHEMA) != _SCHEMA or not set(given) <= known:
            unknown = ", ".join(sorted(set(given) - known)) or "another schema"
            raise InputError(f"Expected a job of this version, got one with {unknown}.")
        if "tomogram" not in given:
            raise InputError("Expected a job with a tomogram, got one without.")
        makers: dict[str, Any] = {
            "settings": Settings.from_json,
            "resources": Resources.from_json,
            "tilt_series": _tilt_series,
            "regions": RegionRules.from_json,
            "target": _target,
        }
        for name, make in makers.items():
            if given.get(name) is not None:
                given[name] = make(given[name])
        return cls(**given)

    @classmethod
    def read(cls, path: str | Path) -> Job:
        """The job in a JSON file.

        Raises:
            InputError: it cannot be read, or holds no job.
        """
        path = existing_file(Path(path))
        with reading(path, "a job"):
            return cls.from_json(json_of(path))

    def write(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the job as JSON.

        Raises:
            InputError: the tomogram is an array, the file exists or cannot be written.
        """
        write_text(path, json.dumps(self.to_json(), indent=1) + "\n", overwrite=overwrite)


def _rows(points: Any, what: str) -> tuple[tuple[float, float, float], ...]:
    try:
        rows = tuple((float(x), float(y), float(z)) for x, y, z in points)
    except (TypeError, ValueError):
        rows = ((math.nan,) * 3,)
    if not all(math.isfinite(value) for row in rows for value in row):
        raise InputError(f"Expected {what} as rows of x, y, z in voxels, got {points!r}.")
    return rows


def _lengths(target: StructureTarget) -> dict[str, float | None]:
    return {
        key.removesuffix("_angstrom"): value
        for key, value in asdict(target).items()  # type: ignore[call-overload]
    }


def _target(values: Mapping[str, Any]) -> StructureTarget:
    return structure(**values)


def _tilt_series(values: Mapping[str, Any]) -> TiltSeries:
    size = values.get("size_xyz")
    return TiltSeries(**{**values, "size_xyz": None if size is None else tuple(size)})
