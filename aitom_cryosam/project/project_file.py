"""The file of a project: a STAR file that people read and edit."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_text
from aitom_cryosam.outputs import output_folder
from aitom_cryosam.points.star_syntax import Block, read_blocks
from aitom_cryosam.points.table import VOXEL_SIZE, positive
from aitom_cryosam.settings import Settings, short_name
from aitom_cryosam.source_file import reading

if TYPE_CHECKING:
    import pandas as pd
from aitom_cryosam.project.project import NONE, Project, ProjectTomogram

FILE = "project.star"
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


def read_project(path: str | Path) -> Project:
    """Read a project's file.

    Args:
        path: of the file, or of its folder.

    Raises:
        InputError: there is none, or something in it makes no sense.
    """
    path = Path(path)
    path = (path / FILE if os.path.isdir(path) else path).absolute()
    if not os.path.isfile(path):
        raise InputError(f"There is no project {path}; make one with `cryosam project init`.")
    with reading(path, "the file of a project"):
        blocks = {block.name: block for block in read_blocks(path)}
        if not {"settings", "tomograms"} <= set(blocks):
            raise InputError(f"{path} is no project: it needs the tables settings, tomograms.")
        home = path.parent
        table = blocks["tomograms"].table()
        tomograms = tuple(_tomogram(row, path, home) for row in table.to_dict("records"))
        _check(tomograms, table, path)
        return Project(path=path, tomograms=tomograms, **_options(blocks["settings"], path, home))


def project_text(project: Project) -> str:
    """The content of a project's file."""
    home = project.folder
    method = {"preset": project.settings.preset, **project.settings.changes}
    options = {short_name(name): _word(value, home) for name, value in method.items()}
    others = {name: _word(getattr(project, name), home) for name in _OTHERS}
    options |= {
        name: word for name, word in others.items() if name == "query" or word not in (NONE, "0")
    }
    rows = [[_word(getattr(one, name), home) for name in _COLUMNS] for one in project.tomograms]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        *("data_settings", ""),
        *(f"_{name:20} {word}" for name, word in options.items()),
        *("", "", "data_tomograms", "", "loop_"),
        *(f"_{label} #{i}" for i, label in enumerate(_COLUMNS.values(), 1)),
        *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows),
    ]
    return _HEAD + "\n".join(lines) + "\n"


def write_project(project: Project, *, overwrite: bool = False) -> None:
    """Write the project's file.

    Raises:
        InputError: it exists or cannot be written.
    """
    text = project_text(project)
    output_folder(project.folder)
    write_text(project.path, text, overwrite=overwrite)


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
