"""Project: tomograms and how to pick in them, as one STAR file that people read and edit."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_text
from aitom_cryosam.job import Job
from aitom_cryosam.names import relion_name
from aitom_cryosam.outputs import output_folder
from aitom_cryosam.points.star_syntax import Block, read_blocks
from aitom_cryosam.points.table import VOXEL_SIZE, positive
from aitom_cryosam.points.tilt_series import TomogramsStar, read_tomograms_star
from aitom_cryosam.regions import RegionRules
from aitom_cryosam.resources import Resources
from aitom_cryosam.settings import Settings, refuse_idle, short_name
from aitom_cryosam.source_file import reading
from aitom_cryosam.tomogram import Contrast

if TYPE_CHECKING:
    import pandas as pd

FILE = "project.star"
NONE = "none"
"""A value that is not given."""
_NAME = "rlnTomoName"
_COLUMNS = {
    "name": _NAME,
    "path": "cryosamTomogram",
    "contrast": "cryosamContrast",
    "voxel_size": VOXEL_SIZE,
    "prompts": "cryosamPrompts",
    "rejects": "cryosamRejects",
    "query": "cryosamQuery",
    "region": "cryosamRegion",
    "exclude": "cryosamExclude",
}
_METHOD = {short_name(one.name): one.name for one in fields(Settings)}
_OTHERS = ("query", "coords_angpix", "tomograms_star", "exclude_distance", "edge", "lamella")
_HEAD = """\
# A project of `cryosam project`, to be edited as you like; `cryosam project run` then does what
# is missing or has changed. Paths count from this folder; none: not given.
# The first table has options of `cryosam pick` for all tomograms, as: _diameter 250
# The second has a row for each tomogram. cryosamVoxelSize (Angstrom) none is the header's;
# cryosamQuery none is the query above; several masks in cryosamExclude are parted by commas.

"""


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

    @classmethod
    def read(cls, path: str | Path) -> Project:
        """Read a project's file.

        Args:
            path: of the file, or of its folder.

        Raises:
            InputError: there is none, or something in it makes no sense.
        """
        path = Path(path)
        path = (path / FILE if path.is_dir() else path).absolute()
        if not path.is_file():
            raise InputError(f"There is no project {path}; make one with `cryosam project init`.")
        with reading(path, "the file of a project"):
            blocks = {block.name: block for block in read_blocks(path)}
            if not {"settings", "tomograms"} <= set(blocks):
                raise InputError(f"{path} is no project: it needs the tables settings, tomograms.")
            home = path.parent
            table = blocks["tomograms"].table()
            tomograms = tuple(_tomogram(row, path, home) for row in table.to_dict("records"))
            _check(tomograms, table, path)
            return cls(path=path, tomograms=tomograms, **_options(blocks["settings"], path, home))

    def text(self) -> str:
        """Of the project's file."""
        home = self.folder
        method = {"preset": self.settings.preset, **self.settings.changes}
        options = {short_name(name): _word(value, home) for name, value in method.items()}
        others = {name: _word(getattr(self, name), home) for name in _OTHERS}
        options |= {
            name: word
            for name, word in others.items()
            if name == "query" or word not in (NONE, "0")
        }
        rows = [[_word(getattr(one, name), home) for name in _COLUMNS] for one in self.tomograms]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            *("data_settings", ""),
            *(f"_{name:20} {word}" for name, word in options.items()),
            *("", "", "data_tomograms", "", "loop_"),
            *(f"_{label} #{i}" for i, label in enumerate(_COLUMNS.values(), 1)),
            *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows),
        ]
        return _HEAD + "\n".join(lines) + "\n"

    def write(self, *, overwrite: bool = False) -> None:
        """Write the project's file.

        Raises:
            InputError: it exists or cannot be written.
        """
        text = self.text()
        output_folder(self.folder)
        write_text(self.path, text, overwrite=overwrite)


def _word(value: Any, home: Path) -> str:
    """A value as one word of the file."""
    if value is None or value == ():
        return NONE
    if isinstance(value, Path):
        near = value.is_relative_to(home.parent)
        text = Path(_relative(value, home)).as_posix() if near else value.as_posix()
    elif isinstance(value, (tuple, list)):
        text = ",".join(_word(one, home).strip('"') for one in value)
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    if '"' in text or not text.isprintable():
        raise InputError(f"A project's file cannot hold the name {text!r}; rename it.")
    return f'"{text}"' if re.search(r"\s|^#", text) else text


def _relative(path: Path, home: Path) -> Path:
    return (
        path.relative_to(home)
        if path.is_relative_to(home)
        else Path("..", path.relative_to(home.parent))
    )


def _options(block: Block, path: Path, home: Path) -> dict[str, Any]:
    """The arguments of `Project` in the first table."""
    texts = dict(zip(block.labels, block.rows[0] if block.rows else [], strict=False))
    unknown = sorted(set(texts) - set(_METHOD) - set(_OTHERS))
    if unknown:
        known = ", ".join([*_METHOD, *_OTHERS])
        raise InputError(f"{path} has the setting {unknown[0]}, expected one of {known}.")
    with reading(path, "the file of a project"):
        method = {_METHOD[key]: _value(key, texts[key]) for key in texts if key in _METHOD}
        try:
            settings = Settings(**method)
        except InputError as error:
            raise InputError(f"{path}: {error.problem}") from None
    found: dict[str, Any] = {"settings": settings}
    for name in ("query", "tomograms_star"):
        found[name] = _place(texts.get(name, NONE), home)
    for name in ("exclude_distance", "edge", "coords_angpix"):
        if texts.get(name, NONE) not in (NONE, "0"):
            found[name] = positive(texts[name], path, name)
    if texts.get("lamella", NONE) not in (NONE, "auto"):
        raise InputError(f"{path}: expected lamella none or auto, got {texts['lamella']!r}.")
    found["lamella"] = texts.get("lamella", NONE)
    return found


def _value(name: str, text: str) -> Any:
    """A setting of the method."""
    if text == NONE and name != "cut":
        return None
    if name == "ratios" and text != "auto":
        return tuple(_number(one) for one in text.split(","))
    return {"true": True, "false": False}.get(text.lower(), _number(text))


def _number(text: str) -> Any:
    """A number if it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _place(text: str, home: Path) -> Path | None:
    return None if text == NONE else _absolute(home, text)


def _absolute(home: Path, text: str) -> Path:
    return Path(os.path.normpath(home / text))


def _tomogram(row: Mapping[str, Any], path: Path, home: Path) -> ProjectTomogram:
    def text(attribute: str) -> str:
        return str(row.get(_COLUMNS[attribute], NONE))

    if text("path") == NONE or text("name") == NONE:
        raise InputError(f"{path}: every tomogram needs {_NAME} and {_COLUMNS['path']}.")
    contrast, size = text("contrast").replace(NONE, "dark"), text("voxel_size")
    if contrast not in ("dark", "bright"):
        raise InputError(
            f"{path}: {text('name')} has the contrast {contrast!r}, expected dark or bright."
        )
    excluded = text("exclude")
    return ProjectTomogram(
        name=text("name"),
        path=_absolute(home, text("path")),
        contrast="dark" if contrast == "dark" else "bright",
        voxel_size=None if size == NONE else positive(size, path, VOXEL_SIZE),
        prompts=_place(text("prompts"), home),
        rejects=_place(text("rejects"), home),
        query=_place(text("query"), home),
        region=_place(text("region"), home),
        exclude=tuple(_absolute(home, one) for one in excluded.split(",") if excluded != NONE),
    )


def _check(tomograms: Sequence[ProjectTomogram], table: pd.DataFrame, path: Path) -> None:
    unknown = [label for label in table if label not in _COLUMNS.values()]
    if unknown:
        known = ", ".join(_COLUMNS.values())
        raise InputError(f"{path} has the column {unknown[0]}, expected some of {known}.")
    if not tomograms:
        raise InputError(f"{path} has no tomogram; add a row for each, or make it again.")
    name, count = Counter(one.name for one in tomograms).most_common(1)[0]
    if count > 1:
        raise InputError(f"{path} has {count} tomograms called {name}; give each its own name.")
    for one in tomograms:
        if not re.fullmatch(r"[^/\\.][^/\\]*", one.name):
            raise InputError(f"{path}: {one.name!r} is no name for a folder; choose another.")
