"""Copick projects: their tomograms as files, and picks and masks written back, through copick."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.messages import logging_kept
from aitom_cryosam.names import file_stem, relion_name
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.copick import text
from aitom_cryosam.points.particle import Particle
from aitom_cryosam.points.tomogram_info import TomogramInfo, from_finest
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.source_file import existing_file
from aitom_cryosam.wording import listed

logger = logging.getLogger(__name__)

_PLACE = re.compile(r"(?P<config>.+\.json)/(?P<run>[^/]+)(/(?P<kind>[^/@]*)(@(?P<size>[^/@]+))?)?")
_SAME_SIZE = 0.01  # Å; copick names folders by three digits


@dataclass(frozen=True)
class CopickTomogram:
    """One tomogram of a project.

    Attributes:
        run: its name.
        voxel_size: Å, its voxel spacing.
        kind: its tomogram type, as "wbp".
        path: the OME-Zarr folder.
    """

    run: str
    voxel_size: float
    kind: str
    path: Path

    def __str__(self) -> str:
        return f"{self.run}/{self.kind}@{self.voxel_size:g}"


def is_config(path: str | Path) -> bool:
    """Whether a file is the configuration of a copick project; one that is not there is none."""
    return _content(Path(path)) is not None


def tomograms_of(
    config: str | Path,
    *,
    runs: Iterable[str] = (),
    kind: str | None = None,
    voxel_size: float | None = None,
) -> list[CopickTomogram]:
    """The tomograms of a project, by run.

    Args:
        config: its JSON file.
        runs: names; all if there are none.
        kind: tomogram type; all if None.
        voxel_size: Å, voxel spacing; all if None.

    Raises:
        InputError: copick is not installed, the configuration cannot be used, there is no such
            tomogram, or one is not on this machine.
    """
    config = Path(config)
    root = _opened(config)
    every = {str(run.name): run for run in root.runs}
    unknown = [name for name in runs if name not in every]
    if unknown or not every:
        asked = f"run {unknown[0]}" if unknown else "runs"
        raise InputError(f"{config} has no {asked}; it has {_some(every)}.")
    found = [
        (run, spacing, tomogram)
        for run in [every[name] for name in runs] or every.values()
        for spacing in run.voxel_spacings
        for tomogram in spacing.tomograms
    ]
    there = [f"{run.name}/{t.tomo_type}@{s.voxel_size:g}" for run, s, t in found]
    chosen = [
        CopickTomogram(str(run.name), float(s.voxel_size), str(t.tomo_type), _folder(config, t))
        for run, s, t in found
        if kind in (None, t.tomo_type)
        and (voxel_size is None or abs(s.voxel_size - voxel_size) <= _SAME_SIZE)
    ]
    if not chosen:
        size = "" if voxel_size is None else f" with voxels of {voxel_size:g} Å"
        raise InputError(
            f"{config} has no tomogram {kind or ''}{size} there; it has {_some(there)}.".replace(
                "  ", " "
            )
        )
    return chosen


def named(text: str) -> list[CopickTomogram] | None:
    """The tomograms of a project that a text names; None if it is any other path.

    Args:
        text: `CONFIG.json`, or `CONFIG.json/RUN/TYPE@SIZE`; with `*` as RUN all runs, and all
            types and voxel spacings where they are left out.

    Raises:
        InputError: as `tomograms_of`.
    """
    if is_config(text):
        return tomograms_of(text)
    place = _PLACE.fullmatch(text)
    if place is None or os.path.exists(text):
        return None
    try:
        size = float(place["size"]) if place["size"] else None
    except ValueError:
        raise InputError(
            f"Expected CONFIG.json/RUN/TYPE@ANGSTROM, got {text}; correct its voxel spacing."
        ) from None
    runs = [] if place["run"] == "*" else [place["run"]]
    return tomograms_of(place["config"], runs=runs, kind=place["kind"] or None, voxel_size=size)


def located(tomogram: str) -> str:
    """A tomogram's path, also of one that is named within a project.

    Args:
        tomogram: a path, which is given back; or as for `named`.

    Raises:
        InputError: as `named`, or there is a choice.
    """
    found = named(tomogram)
    if found is None:
        return tomogram
    if len(found) > 1:
        raise InputError(f"{tomogram} can be {_some(map(str, found))}; name one of them.")
    return str(found[0].path)


def write_back(
    config: str | Path,
    groups: Sequence[tuple[Picks, TomogramInfo, Callable[[], np.ndarray] | None]],
    *,
    object_name: str,
    user: str,
    session: str,
    overwrite: bool = False,
) -> list[Path]:
    """Write picks, and their masks as an instance segmentation, into a project's overlay.

    Args:
        config: the project's JSON file.
        groups: for each tomogram the picks in its voxels, of which those that are kept are
            written; what is known of it, whose name is the run's or its path; and what gives the
            (D, H, W) ids of the picks, or None.
        object_name: one of the project's pickable objects.
        user: user id, without an underscore.
        session: session id, without an underscore.
        overwrite: replace what this user has written in this session.

    Returns:
        What was written.

    Raises:
        InputError: the project has no such run, object or voxel spacing, two tomograms are of
            one run, the session has picks of this object, and nothing is written then; or its
            overlay cannot be written.
    """
    config = Path(config)
    groups = [(*from_finest((picks, info)), labels) for picks, info, labels in groups]
    root = _opened(config, overlay=True)
    runs = _runs(config, root, [info for _, info, _ in groups])
    place = {"user_id": user, "session_id": session}
    _refuse_place(config, root, runs, object_name, place, overwrite=overwrite)
    try:
        return [
            path
            for run, group in zip(runs, groups, strict=True)
            for path in _written(run, *group, object_name, place)
        ]
    except OSError as error:
        raise InputError(
            f"The overlay of {config} cannot be written ({error.strerror}); correct overlay_root."
        ) from None


def refuse_place(
    config: str | Path,
    runs: Iterable[str],
    *,
    object_name: str,
    user: str,
    session: str,
    overwrite: bool = False,
) -> None:
    """Before the work, refuse what `write_back` would refuse after it.

    Args:
        config: the project's JSON file.
        runs: names of those that will have picks, which are there.
        object_name: one of the project's pickable objects.
        user: user id, without an underscore.
        session: session id, without an underscore.
        overwrite: replace what this user has written in this session.

    Raises:
        InputError: as `write_back`.
    """
    config = Path(config)
    root = _opened(config, overlay=True)
    place = {"user_id": user, "session_id": session}
    found = [root.get_run(name) for name in runs]
    _refuse_place(config, root, found, object_name, place, overwrite=overwrite)


def _refuse_place(
    config: Path,
    root: Any,
    runs: Iterable[Any],
    object_name: str,
    place: Mapping[str, str],
    *,
    overwrite: bool,
) -> None:
    objects = [one.name for one in root.pickable_objects]
    if object_name not in objects:
        raise InputError(
            f"{config} has no object {object_name}; it has {_some(objects)}: add it there first."
        )
    user, session = place["user_id"], place["session_id"]
    for what, name in (("user", user), ("session", session)):
        if not re.fullmatch(r"[^<>:\"/\\|?*\s_]+", name):
            raise InputError(f"Expected a {what} id without spaces, _ and /, got {name!r}.")
    for run in runs:
        there = run.get_picks(object_name=object_name, **place)
        masks = run.get_segmentations(name=object_name, is_instance=True, **place)
        if (there or masks) and not overwrite:
            raise InputError(
                f"{run.name} has picks or masks of {object_name} by {user} in session {session}",
                Remedy.OVERWRITE,
            )


def _runs(config: Path, root: Any, infos: Iterable[TomogramInfo]) -> list[Any]:
    """The run of each tomogram, by its name.

    Raises:
        InputError: there is none, two are of one run, or the voxel size is not known.
    """
    runs: dict[str, Any] = {}
    for info in infos:
        run = root.get_run(file_stem(info.name)) or root.get_run(relion_name(info.name))
        if run is None:
            known = _some(run.name for run in root.runs)
            raise InputError(f"{config} has no run {relion_name(info.name)}; it has {known}.")
        info.known_voxel_size("A project of copick")
        if run.name in runs:
            raise InputError(
                f"Several of the tomograms are of the run {run.name}, which has one set of picks "
                "by a user in a session; export them one after the other, into sessions of their "
                "own."
            )
        runs[run.name] = run
    return list(runs.values())


def _written(
    run: Any,
    picks: Picks,
    info: TomogramInfo,
    labels: Callable[[], np.ndarray] | None,
    object_name: str,
    place: Mapping[str, str],
) -> list[Path]:
    """The files of picks and masks in a run; where one cannot be written, no masks are left."""
    from copick.models import CopickPicksFile

    content = json.loads(text([(picks.take(picks.kept), info)], Particle(object_name)))
    content |= {"run_name": run.name, **place}
    voxel_size = info.known_voxel_size("A project of copick")
    segmentation = {"voxel_size": voxel_size, "name": object_name, "is_instance": True, **place}
    before = run.get_segmentations(**segmentation)
    masks = None
    try:
        if labels is not None:
            masks = run.new_segmentation(**segmentation, exist_ok=True)
            masks.from_numpy(np.asarray(labels()))
        made = run.new_picks(object_name=object_name, exist_ok=True, **place)
        made.meta = CopickPicksFile(**content)
        made.store()
    except BaseException:  # Ctrl-C, too
        if masks is not None and not before:
            masks.delete()
        raise
    return [Path(made.path), *([Path(masks.path)] if masks is not None else [])]


def _content(path: Path) -> dict[str, Any] | None:
    """Of a configuration; None for any other file, and a tomogram is not even read."""
    if path.suffix.lower() != ".json":
        return None
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and "pickable_objects" in content else None


def _opened(config: Path, *, overlay: bool = False) -> Any:
    """The project, as copick has it: of two roots, one that is not there is told and passed.

    Args:
        config: its JSON file.
        overlay: its overlay is needed, to be written into.

    Raises:
        InputError: it cannot be opened, or what is needed of its roots is not there.
    """
    content = _content(existing_file(config))
    if content is None:
        raise InputError(
            f"{config} is not the configuration of a copick project; expected JSON with "
            "pickable_objects and overlay_root."
        )
    try:
        if _local(content.get("overlay_root")):  # else masks would find no folder to lie in
            content["overlay_fs_args"] = {**content.get("overlay_fs_args", {}), "auto_mkdir": True}
        with logging_kept("") as of_process:  # copick's modules set it up anew
            of_process.handlers.clear()
            root = _package().from_string(json.dumps(content))
    except InputError:
        raise
    except Exception:  # of any kind: what copick and the file systems behind it raise
        raise InputError(
            f"copick cannot open the project of {config}; check its config_type, roots and "
            "pickable_objects."
        ) from None
    roots = {name: getattr(root.config, name, None) for name in ("static_root", "overlay_root")}
    given = {name: _local(url) for name, url in roots.items() if url}
    missing = {name: place for name, place in given.items() if place and not os.path.isdir(place)}
    for name, place in missing.items():
        said = f"{config} has {place} as its {name}, which is no folder"
        if len(missing) == len(given) or (overlay and name == "overlay_root"):
            raise InputError(f"{said}; correct it.")
        logger.warning("%s; only what its other root has is read.", said)
    return root


def _local(url: str | None) -> Path | None:
    """The folder of an address on this machine."""
    if not url:
        return None
    scheme, separator, rest = url.partition("://")
    if not separator:
        return Path(url)
    return Path(rest) if scheme in ("local", "file") else None


def _folder(config: Path, tomogram: Any) -> Path:
    """Where a tomogram of copick lies on this machine."""
    name = "static_path" if getattr(tomogram, "read_only", False) else "overlay_path"
    path = Path(str(getattr(tomogram, name, "")))
    if not os.path.isdir(path):
        raise InputError(
            f"{config}: the tomogram {tomogram.tomo_type} is not on this machine; copy it with "
            "`copick sync tomograms`, and use the project of the copy."
        )
    return path


def _package() -> ModuleType:
    try:
        import copick
    except ImportError:
        raise InputError(
            "A project of copick needs the package copick, which is not installed; type: "
            "pip install 'aitom-cryosam[copick]'."
        ) from None
    return copick


def _some(names: Iterable[str]) -> str:
    return listed(names, most=8) or "none"
