"""Which picks belong to which part of the truth: files of several tomograms, put in pairs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from aitom_cryosam.beside import record_beside
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation.truth import Truth, by_tomogram, read_truth, tell_unpicked
from aitom_cryosam.names import relion_name
from aitom_cryosam.points.belonging import of_tomogram
from aitom_cryosam.points.point_file import PointFile
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tilt_series import TomogramsStar
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo, warn_of_outside
from aitom_cryosam.remedies import Remedy
from aitom_cryosam.result_files import picks_files
from aitom_cryosam.wording import listed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Searched:
    """One tomogram: its picks and its truth, both in its voxels.

    Attributes:
        name: as RELION would call it.
        picks: perhaps none.
        truth: perhaps none, if only one class of it counts; ids as in label volumes, that is
            the row among the tomogram's own unless the file gives ids.
        voxel_size: Å.
    """

    name: str
    picks: PointFile
    truth: PointFile
    voxel_size: float


def read_searched(
    picks: Sequence[str | Path | PointFile],
    truth: str | Path,
    *,
    voxel_size: float | None = None,
    truth_angpix: float | None = None,
    particle_class: str | None = None,
    count_unpicked: bool = False,
    tilt_series: TiltSeries | None = None,
    tomograms: TomogramsStar | None = None,
) -> list[Searched]:
    """Read picks and truth, and put them together tomogram by tomogram.

    A file that names no tomogram is of the one in its own name (`TS_01_picks.csv`); or, if
    there is only this file, of the only one in the truth.

    Args:
        picks: files, or folders with `*_picks.star`; or files that were read already.
        truth: a file, or a folder with one for each tomogram, called after it, or the root of a
            copick project.
        voxel_size: Å, of all tomograms; needed where a file of picks does not state it.
        truth_angpix: Å, the pixel size that the truth is written in, if not the tomograms'.
        particle_class: the only class that counts, of the truth, and of picks if they have it.
        count_unpicked: tomograms of the truth without picks were searched too.
        tilt_series: the tilt series of all tomograms that `tomograms` does not know.
        tomograms: their tilt series by name, for coordinates in its pixels or from the centre.

    Returns:
        At least one, in the order of the picks; others are named in a warning.

    Raises:
        InputError: a file cannot be used or is not as its run left it, a tomogram has picks in
            two files, or no tomogram is in both.
    """
    read = partial(read_points, tilt_series=tilt_series, tomograms=tomograms)

    def read_true(path: Path, of: PointFile) -> PointFile:
        size = voxel_size or of.voxel_size
        return read(
            path,
            voxel_size=size,
            coords_angpix=truth_angpix if size else None,
            shape_zyx=of.shape_zyx,
            tomogram=of.tomogram,
            noted_shift=of.noted_shift,
        )

    files = list(_read_all(picks, partial(read, voxel_size=voxel_size), voxel_size))
    files = picks_of_class(files, particle_class)
    known = read_truth(
        Path(truth),
        files,
        read_true,
        count_unpicked=count_unpicked,
        particle_class=particle_class,
    )
    searched, missing, covered = _paired(files, known, voxel_size, particle_class)
    last = files[-1]
    whole, parts = known.of(last)
    if whole.names is None and len(searched) > 1:
        raise InputError(
            f"{truth} does not say which tomogram its points are of, and there are picks of "
            f"{len(searched)}; add a column of names, or compare one at a time."
        )
    _tell(searched, truth, whole, particle_class)
    unpicked = [name for name in parts if name not in covered]
    if missing:
        logger.warning("Left out, as %s has no points there: %s.", truth, listed(missing))
    if count_unpicked:
        nothing, voxel = last.take(np.zeros(0, np.int64)), voxel_size or last.voxel_size or 1.0
        for name in unpicked:
            one = of_class(parts[name], whole, particle_class)
            searched.append(Searched(name, nothing, one, voxel))
    elif unpicked:
        tell_unpicked(unpicked)
    return searched


def _paired(
    files: Sequence[PointFile],
    known: Truth,
    voxel_size: float | None,
    particle_class: str | None,
) -> tuple[list[Searched], list[str], set[str]]:
    """The tomograms of the picks.

    Returns:
        Those that the truth has, at least one; the names of the others; and what the truth calls
        those that it has.

    Raises:
        InputError: a tomogram has picks in two files, or the truth has none of them.
    """
    everything = [pair for one in files for pair in by_tomogram(one, known.label)]
    searched: dict[str, Searched] = {}
    refused: dict[str, InputError] = {}
    covered: set[str] = set()
    for name, points in everything:
        if name in searched:
            raise InputError(
                f"{points.path} has picks of {name}, as {searched[name].picks.path} has; expected "
                "each tomogram once."
            )
        whole, parts = known.of(points)
        try:
            one = parts.get(name) or _of_one(whole, name, points, alone=len(everything) == 1)
        except InputError as error:
            refused[name] = error
            continue
        covered |= {name, *map(known.label, set(one.names or ()))}
        one = of_class(_numbered(one, whole), whole, particle_class)
        searched[name] = Searched(name, points, one, voxel_size or points.voxel_size or 1.0)
    if not searched:
        raise next(iter(refused.values()))
    return list(searched.values()), list(refused), covered


def _read_all(
    paths: Iterable[str | Path | PointFile],
    read: Callable[..., PointFile],
    voxel_size: float | None,
) -> Iterator[PointFile]:
    for path in _files(paths):
        if isinstance(path, PointFile):
            points = path
        else:
            # Picks of another run would pass for this one's.
            record = record_beside(path, only_this=True)
            info = record.info if record else TomogramInfo("")
            points = read(
                path,
                shape_zyx=info.shape_zyx,
                tomogram=info.path,
                noted_shift=info.noted_shift,
            )
            if record:  # a file without picks cannot state it
                size = points.voxel_size or record.info.voxel_size
                points = replace(points, voxel_size=size)
        if len(points.picks) and not (voxel_size or points.voxel_size):
            raise InputError(f"{points.path} states no voxel size", Remedy.VOXEL_SIZE)
        yield points


def _files(paths: Iterable[str | Path | PointFile]) -> Iterator[Path | PointFile]:
    for path in paths:
        if isinstance(path, PointFile):
            yield path
            continue
        yield from picks_files(Path(path))


def _of_one(truth: PointFile, name: str, picks: PointFile, *, alone: bool) -> PointFile:
    """The truth of a tomogram; for the only and unnamed picks, of the only one there is."""
    if alone and not picks.names and len(_roots(truth)) < 2:
        return truth
    try:
        return of_tomogram(truth, name)
    except InputError:
        if picks.names:
            raise
        raise InputError(
            f"{picks.path} does not say which tomogram its picks are of, and {truth.path} has "
            f"{listed(sorted(_roots(truth)))}; name it after one, such as "
            f"NAME_picks{picks.path.suffix}."
        ) from None


def _numbered(points: PointFile, whole: PointFile) -> PointFile:
    """With the row among the tomogram's own as id, if the file gives none."""
    rows = np.arange(1, len(whole.picks) + 1)
    if not np.array_equal(whole.picks.ids, rows):
        return points
    return replace(points, picks=replace(points.picks, ids=rows[: len(points.picks)]))


def of_class(points: PointFile, whole: PointFile, wanted: str | None) -> PointFile:
    """Those of one class; perhaps none, if the whole file has some."""
    if wanted is None:
        return points
    if whole.classes is None:
        raise InputError(f"{whole.path} has no column particleClass", Remedy.NO_CLASS)
    if wanted not in whole.classes:
        known = ", ".join(sorted(set(whole.classes)))
        raise InputError(f"{whole.path} has no class {wanted!r}; expected one of {known}.")
    return _only(points, wanted)


def picks_of_class(files: Sequence[PointFile], wanted: str | None) -> list[PointFile]:
    """The picks of one class, where a file has some of it; those without a class all stay."""
    if wanted is None or not any(wanted in (one.classes or ()) for one in files):
        return list(files)
    own = [_only(one, wanted) for one in files]
    every, left = (sum(len(one.picks) for one in points) for points in (files, own))
    if left < every:
        logger.info("%d of %d picks are of class %s and count.", left, every, wanted)
    return own


def _only(points: PointFile, wanted: str) -> PointFile:
    """Those of a class; all, if none has any."""
    return points if points.classes is None else points.take(np.array(points.classes) == wanted)


def _tell(
    searched: Sequence[Searched], path: str | Path, truth: PointFile, particle_class: str | None
) -> None:
    """Of particles outside or twice, and of classes: right as long as no class is asked for."""
    infos = [TomogramInfo(one.name, one.voxel_size, one.picks.shape_zyx) for one in searched]
    true = [one.truth.picks.points_zyx for one in searched]
    warn_of_outside(path, zip(infos, true, strict=True))
    if again := sum(len(points) - len(np.unique(points.round(2), axis=0)) for points in true):
        logger.warning(
            "%s: %d of its positions are given twice, as in files that were joined; one counts as "
            "missed.",
            path,
            again,
        )
    mine = {name for one in searched for name in one.picks.classes or ()}
    known = set(truth.classes or ())
    if particle_class is None and mine & known and len(mine | known) > 1:
        logger.warning(
            "Picks and particles of the classes %s are matched whatever their class; %s.",
            listed(sorted(mine | known)),
            Remedy.COMPARED_CLASS.said(),
        )


def _roots(points: PointFile) -> set[str]:
    return {relion_name(name) for name in set(points.names or ())}
