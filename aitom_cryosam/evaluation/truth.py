"""Truth: known positions in one file, or in a folder with a file for each tomogram.

The root of a copick project is such a folder, too: of a run with picks of several objects, one
class must be asked for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.names import RESULT, distinct, relion_name, result_stem
from aitom_cryosam.picks import Picks, joined
from aitom_cryosam.points.belonging import of_tomogram
from aitom_cryosam.points.formats.registry import endings
from aitom_cryosam.points.point_file import PointFile
from aitom_cryosam.points.tomogram_info import TomogramInfo
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.tidying import settle
from aitom_cryosam.wording import listed

logger = logging.getLogger(__name__)

Reader = Callable[[Path, PointFile], PointFile]
"""What reads a file, in voxels of the tomogram that these picks are of."""

_TRUTH = "_truth"
_RUNS, _IN_RUN = "ExperimentRuns", "Picks/[!.]*.json"
_OTHERS = tuple(end for kind, end in RESULT.items() if kind != "picks")


class Known(NamedTuple):
    """Known positions.

    Attributes:
        whole: all of them.
        parts: those of each tomogram.
    """

    whole: PointFile
    parts: dict[str, PointFile]


@dataclass(frozen=True)
class Truth:
    """Known positions, to be had in the voxels of any tomogram.

    Attributes:
        label: what to call each tomogram of the picks and of the truth.
        of: gives them in voxels of the tomogram that picks are of.
    """

    label: Callable[[str], str]
    of: Callable[[PointFile], Known]


def read_truth(
    path: Path,
    picks: Sequence[PointFile],
    read: Reader,
    *,
    count_unpicked: bool = False,
    particle_class: str | None = None,
) -> Truth:
    """Those of one file, or of a folder with a file for each tomogram, called after it.

    Args:
        path: the file or folder.
        picks: of all tomograms, at least one file.
        read: reads a file.
        count_unpicked: of a folder, read those of tomograms without picks, too; else a warning
            names them.
        particle_class: of a folder, which file counts where a tomogram has one for each class.

    Raises:
        InputError: there is no file of any of the tomograms, or one cannot be read.
    """
    if os.path.isdir(path):
        return _of_folder(path, picks, read, count_unpicked, particle_class)
    return _of_file(path, picks, read)


def _of_file(path: Path, picks: Sequence[PointFile], read: Reader) -> Truth:
    """It is read and split once for all tomograms whose voxels lie alike."""
    first = read(path, picks[0])
    label = distinct(_names(picks), first.names or ())
    found = {_voxels(picks[0]): Known(first, _split(first, label))}

    def known(points: PointFile) -> Known:
        voxels = _voxels(points)
        if voxels not in found:
            whole = read(path, points)
            found[voxels] = Known(whole, _split(whole, label))
        return found[voxels]

    return Truth(label, known)


def _voxels(points: PointFile) -> Hashable:
    """What a file's places in the voxels of the tomogram of some points depend on."""
    size, shape = points.voxel_size, points.shape_zyx
    info = TomogramInfo("", size, shape, path=points.tomogram, noted_shift=points.noted_shift)
    return size, shape, tuple(info.shift_xyz(size or 0.0))


def _of_folder(
    path: Path,
    picks: Sequence[PointFile],
    read: Reader,
    count_unpicked: bool,
    particle_class: str | None,
) -> Truth:
    label = distinct(_names(picks))
    picked = dict(pair for one in picks for pair in by_tomogram(one, label))
    folder = _Folder.at(path)
    # The only file is of the only picks, if they name no tomogram.
    alone = len(folder.called) == len(picked) == 1 and not _names(picks)
    only = next(iter(folder.called)) if alone else None
    parts: dict[str, PointFile] = {}
    taken: dict[Path, str] = {}
    refused: list[InputError] = []
    for name, one in picked.items():
        try:
            own = [only] if only else folder.of(name)
        except InputError as error:
            refused.append(error)
            continue
        file = _one(own, name, particle_class)
        if file in taken:
            raise InputError(
                f"{file} could be of {taken[file]} or of {name}; give the picks of one of them, or "
                "rename it."
            )
        taken[file] = name
        parts[name] = _of(read(file, one), name)
    if not parts:
        raise refused[0]
    picked_here = {folder.called[file] for file in taken}
    unpicked = [name for name in dict.fromkeys(folder.called.values()) if name not in picked_here]
    if unpicked and not count_unpicked:
        tell_unpicked(unpicked)
    nowhere = replace(picks[0], shape_zyx=None, tomogram=None)
    for name in unpicked if count_unpicked else ():
        file = _one(folder.of(name), name, particle_class)
        parts[name] = _of(read(file, nowhere), name)
    every = parts.values()
    whole = joined([replace(part.picks, extra={}) for part in every])
    known = Known(PointFile(path, whole, tuple(_names(every))), parts)
    return Truth(label, lambda _: known)


def tell_unpicked(tomograms: Iterable[str]) -> None:
    """Name the tomograms of the truth that are left out, as they have no picks."""
    said = Remedy.COUNT_UNPICKED.said()
    logger.warning("Left out, as there are no picks: %s (%s).", listed(tomograms), said)


def truth_file(truth: str | Path, tomogram: str | Path, particle_class: str | None = None) -> Path:
    """The file with the known positions of a tomogram: any file itself; of a folder its own.

    Its name is matched as those of tomograms are, without what results and `simulate` append.

    Raises:
        InputError: a folder has no file of this tomogram, or several.
    """
    truth = Path(truth)
    if not os.path.isdir(truth):
        return truth
    return _one(_Folder.at(truth).of(tomogram), tomogram, particle_class)


@dataclass(frozen=True)
class _Folder:
    """A folder with a file of points for each tomogram.

    Attributes:
        path: of it.
        called: what tomogram each file is called after.
    """

    path: Path
    called: dict[Path, str]

    @classmethod
    def at(cls, path: Path) -> _Folder:
        """What is in a folder; of a tomogram that has a file named `*_truth`, only this.

        Raises:
            InputError: it has no file of points.
        """
        found = {file: _name(file) for file in _files(path)}
        told = {name for file, name in found.items() if file.stem.endswith(_TRUTH)}
        return cls(
            path,
            {
                file: name
                for file, name in found.items()
                if file.stem.endswith(_TRUTH) or name not in told
            },
        )

    @cached_property
    def _by_root(self) -> dict[str, list[Path]]:
        roots: dict[str, list[Path]] = {}
        for file, name in self.called.items():
            roots.setdefault(relion_name(name), []).append(file)
        return roots

    def of(self, tomogram: str | Path) -> list[Path]:
        """The files of a tomogram: called as it, or else much like it.

        Raises:
            InputError: there are none.
        """
        files = self._by_root.get(relion_name(str(tomogram))) or list(self.called)
        places = Picks.from_points(np.zeros((len(files), 3)))
        named = PointFile(self.path, places, tuple(self.called[file] for file in files))
        return [files[number - 1] for number in of_tomogram(named, tomogram).picks.ids]


def _one(files: Sequence[Path], tomogram: str | Path, particle_class: str | None) -> Path:
    """The file of a tomogram; of several that of the class, by which copick calls them."""
    called = (particle_class or "").replace("_", "-")
    own = [file for file in files if file.stem.rpartition("_")[2] == called] or files
    if len(own) > 1:
        several, folder = listed(file.name for file in own), own[0].parent
        wanted = f"one of class {particle_class!r}" if particle_class else "one"
        problem = f"{folder} has {several} of {relion_name(str(tomogram))}; expected {wanted}"
        if _RUNS in folder.parts and not particle_class:
            raise InputError(problem, Remedy.ONE_CLASS)
        raise InputError(f"{problem}.")
    return own[0]


def by_tomogram(points: PointFile, label: Callable[[str], str]) -> list[tuple[str, PointFile]]:
    """The picks of every tomogram in a file, which is named by the file's own name if by none."""
    unnamed = relion_name(result_stem(points.path))
    return list((_split(points, label) or {unnamed: points}).items())


def _split(points: PointFile, label: Callable[[str], str]) -> dict[str, PointFile]:
    """The points of each tomogram that the file names, in the order of the file."""
    called = {name: label(name) for name in dict.fromkeys(points.names or ())}
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(points.names or ()):
        rows.setdefault(called[name], []).append(row)
    return {root: points.take(np.array(these)) for root, these in rows.items()}


def _of(points: PointFile, name: str) -> PointFile:
    """The points of a tomogram, under the name that it has here."""
    own = of_tomogram(points, name)
    return replace(own, names=(name,) * len(own.picks))


def _names(files: Iterable[PointFile]) -> list[str]:
    """The tomogram of each point of some files, as far as they say it."""
    return [name for one in files for name in one.names or ()]


def _files(folder: Path) -> list[Path]:
    """The files of points in a folder.

    Raises:
        InputError: it has none.
    """
    settle(folder)
    runs = folder if folder.name == _RUNS else folder / _RUNS
    inside = runs.glob(f"[!.]*/{_IN_RUN}") if os.path.isdir(runs) else folder.glob("[!.]*")
    found = sorted(
        path
        for path in inside
        if path.suffix.lower() in endings()
        and os.path.isfile(path)
        and not path.name.endswith(_OTHERS)
    )
    if not found:
        raise InputError(f"The folder {folder} holds no files of points; name a file instead.")
    return found


def _name(file: Path) -> str:
    """The tomogram that a file is called after."""
    return result_stem(file).removesuffix(_TRUTH)
