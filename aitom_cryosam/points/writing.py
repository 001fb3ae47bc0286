"""Project: the picks of many tomograms, gathered and laid out as one program's files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.geometry import SAME_SIZE
from aitom_cryosam.names import distinct, relion_name, star_word, tomogram_root
from aitom_cryosam.picks import Picks, apart_from, joined
from aitom_cryosam.points.formats.registry import Format, known_format
from aitom_cryosam.points.formats.relion_warp import (
    in_parts,
    project_name,
    safe_for_warp,
    with_extents,
)
from aitom_cryosam.points.particle import Particle, object_name
from aitom_cryosam.points.star_syntax import star_text
from aitom_cryosam.points.tomogram_info import TomogramInfo, TomogramPicks, from_finest
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.wording import listed

logger = logging.getLogger(__name__)

_SAME_PLACE = 1.0  # voxel


def merged(groups: Iterable[TomogramPicks]) -> list[TomogramPicks]:
    """One group a tomogram, in the order of their first files.

    Tomograms of one file name in different folders stay apart, named by these folders.

    Raises:
        InputError: two files of one tomogram count voxels of different sizes.
    """
    groups = list(groups)
    label = distinct(info.name for _, info in groups)
    result: dict[str, TomogramPicks] = {}
    renamed: dict[str, str] = {}
    for picks, info in groups:
        name = label(info.name)
        if name not in result:
            if "/" in name:
                renamed[info.name] = name.replace("/", "_")
                info = replace(info, name=renamed[info.name])
            result[name] = (picks, info)
            continue
        before, known = result[name]
        sizes = [size for size in (known.voxel_size, info.voxel_size) if size]
        if len(sizes) == 2 and abs(sizes[0] - sizes[1]) > SAME_SIZE * sizes[0]:
            raise InputError(
                f"{name} has picks in voxels of {sizes[0]:g} Å and of {sizes[1]:g} Å; expected "
                "one size: export them one after the other."
            )
        _tell_twice(name, before, picks)
        result[name] = (joined([before, picks]), known)
    if renamed:
        names = [f"{called} ({before})" for before, called in renamed.items()]
        logger.warning(
            "Tomograms with the same file name are called after their folders: %s.", listed(names)
        )
    return list(result.values())


def _tell_twice(name: str, before: Picks, picks: Picks) -> None:
    """Warn of the same particles in two files, as of a run and of what was made of it."""
    if len(before) and len(picks):
        apart = apart_from(picks.points_zyx, before.points_zyx, _SAME_PLACE)
        if again := int((~apart).sum()):
            logger.warning(
                "%s: %d of %d picks lie where an earlier file has one, too; they are written "
                "twice.",
                name,
                again,
                len(picks),
            )


def chosen(picks: Picks, *, min_score: float | None = None, top: int | None = None) -> Picks:
    """The kept picks, best first.

    Args:
        picks: kept and rejected ones.
        min_score: only those that have at least this score.
        top: at most this many.

    Raises:
        InputError: a smallest score that is none, or for picks that have none.
    """
    picks = picks.take(picks.kept).best_first()
    if min_score is not None:
        if not np.isfinite(min_score):
            raise InputError(f"Expected a number as the lowest score, got {min_score!r}.")
        if np.isnan(picks.scores).any():
            raise InputError("Some picks have no score", Remedy.NO_MIN_SCORE)
        picks = picks.take(picks.scores >= min_score)
    return picks.take(np.arange(min(len(picks), len(picks) if top is None else top)))


def project_files(
    format: str,
    out: str | Path,
    groups: Sequence[TomogramPicks],
    *,
    particle: Particle | None = None,
    tomograms_star: str | Path | None = None,
) -> dict[Path, str | bytes]:
    """What to write, by path; nothing is written.

    An `out` that ends as the format's files do is one file. Any other is a folder, with one file
    for each tomogram in its natural place (`Format.file_name`); `particles` of all tomograms
    where the format holds names; and RELION 5's list for Import and its optimisation set.

    Args:
        format: a name in `registry.FORMATS`.
        out: file or folder; RELION's files name each other by it, so it is best relative to
            the project.
        groups: one a tomogram, as they are to be written.
        particle: for the formats that name it.
        tomograms_star: the project's, for the optimisation set.

    Raises:
        InputError: no such format, what it needs is not known, or `out` does not suit it.
    """
    kind = known_format(format)
    particle = particle or Particle()
    out = Path(out)
    if kind.ending == ".star":
        _tell_renamed(Path(info.name).name for _, info in groups)
    if kind.lengths:
        groups = list(map(from_finest, groups))
    complete = {"relion5": with_extents, "warp": safe_for_warp}
    if format in complete:  # here, so that it warns but once
        groups = complete[format](groups)
    if out.suffix.lower() in (kind.ending, *kind.beside):
        if len(groups) > 1 and not kind.names:
            raise InputError(
                f"A file of the format {format} holds one tomogram, got {len(groups)}",
                Remedy.OUT_FOLDER,
            )
        if format == "warp" and _differ(groups):
            raise InputError(
                "A file of the format warp counts voxels of one size, and those of the tomograms "
                "differ",
                Remedy.OUT_FOLDER,
            )
        if len(groups) == 1 and len(one := _by_object(kind, *groups[0], particle)) == 1:
            groups, particle = [one[0][0]], one[0][1]
        files = _file(kind, out, groups, particle)
        _tell_lost(kind, format, groups)
        return files
    parts = [part for picks, info in groups for part in _by_object(kind, picks, info, particle)]
    empty = [relion_name(info.name) for picks, info in groups if not len(picks)]
    if kind.names and 0 < len(empty) < len(groups):
        logger.warning(
            "Without picks, and so without rows in the file of all tomograms: %s.", listed(empty)
        )
    files = {}
    if format == "relion5":
        files |= _relion5(kind, out, groups, particle, tomograms_star)
    elif format == "warp" and _differ(groups):
        logger.warning("No particles.star of all tomograms: their voxel sizes differ.")
    elif kind.names:
        files |= _file(kind, out / f"particles{kind.ending}", groups, particle)
    if format not in _COMBINED_ONLY:
        for group, thing in parts:
            files |= _file(kind, out / kind.file_name(group[1], thing), [group], thing)
    _tell_lost(kind, format, [group for group, _ in parts])
    return files


def _tell_renamed(names: Iterable[str]) -> None:
    """Warn of names that a STAR file cannot hold: a program looks for the tomogram by its own."""
    changed = [name for name in names if star_word(name) != name]
    if changed:
        logger.warning(
            "Names in STAR files have no spaces or quotes; these are written with underscores: "
            "%s. Rename the files if the program does not find its tomogram.",
            listed(f"{name!r} as {tomogram_root(name)}" for name in changed),
        )


def _differ(groups: Sequence[TomogramPicks]) -> bool:
    """Whether the tomograms have voxels of different sizes."""
    sizes = [info.voxel_size or 0.0 for _, info in groups]
    return max(sizes) - min(sizes) > SAME_SIZE * min(sizes)


def _by_object(
    kind: Format, picks: Picks, info: TomogramInfo, particle: Particle
) -> list[tuple[TomogramPicks, Particle]]:
    """The files of one tomogram: one for each class, if a file is of one object.

    An object that the user names goes before the classes.
    """
    if not kind.by_object or picks.classes is None or particle.name != Particle().name:
        return [((picks, info), particle)]
    names = np.array([object_name(name) for name in picks.classes])
    return [
        ((replace(picks.take(names == name), classes=None), info), replace(particle, name=name))
        for name in dict.fromkeys(names.tolist())
    ] or [((replace(picks, classes=None), info), particle)]


def _tell_lost(kind: Format, format: str, groups: Sequence[TomogramPicks]) -> None:
    lost = list(dict.fromkeys(what for picks, _ in groups for what in kind.lost(picks)))
    if lost:
        *most, last = lost
        what = " or ".join([", ".join(most), last] if most else [last])
        logger.warning("Files of the format %s cannot hold %s, which are left out.", format, what)


# The readers of these take one file of all tomograms, or lists of what is written with it.
_COMBINED_ONLY = ("relion5", "relion4", "dynamo", "motl", "stopgap")


def _file(
    kind: Format, path: Path, groups: Sequence[TomogramPicks], particle: Particle
) -> dict[Path, str | bytes]:
    writers = {kind.ending: kind.write, **kind.beside}
    return {path.with_suffix(ending): write(groups, particle) for ending, write in writers.items()}


def _relion5(
    kind: Format,
    out: Path,
    groups: Sequence[TomogramPicks],
    particle: Particle,
    tomograms_star: str | Path | None,
) -> dict[Path, str | bytes]:
    """The particles, the list that Import Coordinates wants, and the set that Extract wants.

    Import Coordinates fails on a file without rows, and so those without picks have none.
    """
    groups = [group for group in groups if len(group[0])] or groups
    whole, texts = in_parts("relion5", groups)
    parts = [out / kind.file_name(info, particle) for _, info in groups]
    table = {
        "rlnTomoName": [project_name(info) for _, info in groups],
        "rlnTomoImportParticleFile": [path.as_posix() for path in parts],
    }
    tables = {"import.star": ("import", table)}
    if tomograms_star is not None:
        places = {
            "rlnTomoParticlesFile": [(out / "particles.star").as_posix()],
            "rlnTomoTomogramsFile": [Path(tomograms_star).as_posix()],
        }
        tables["optimisation_set.star"] = ("optimisation_set", places)
    for _, columns in tables.values():
        for value in (value for values in columns.values() for value in values):
            if len(value.split()) != 1:
                raise InputError(f"RELION takes no path with a space: {value!r}; choose another.")
    if tomograms_star is None:
        logger.info("There is no optimisation_set.star; %s.", Remedy.TOMOGRAMS_STAR.said())
    return {
        out / "particles.star": whole,
        **dict(zip(parts, texts, strict=True)),
        **{out / name: star_text({block: columns}) for name, (block, columns) in tables.items()},
    }
