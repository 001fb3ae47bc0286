"""STAR files as WarpTools, M and RELION take them.

Every written file is one block `data_particles` with LF line ends, a space before `#N`, no
comment, no NaN (but for open scores of our own column), no blank line inside the loop and no
space inside a value; the same picks give the same bytes. Coordinates in files are x, y, z; in
arrays z, y, x.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_text
from aitom_cryosam.names import relion_name, star_word, tomogram_root
from aitom_cryosam.picks import Picks, joined
from aitom_cryosam.points.rotations import to_relion
from aitom_cryosam.points.star_syntax import Columns, star_text
from aitom_cryosam.points.table import (
    ANGLES,
    CENTRED,
    CLASS,
    CLASS_NUMBER,
    ID,
    KEPT,
    OWN_SCORE,
    PARTICLE_ID,
    PIXELS,
    PROBABILITY,
    REASON,
    SCORE,
    VOXEL_SIZE,
    scores_or,
    whole,
)
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo, TomogramPicks, from_finest
from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

NO_REASON = "none"
_LENGTHS = ("relion5", "relion4")  # count Å or pixels of the tilt series
WARP_CRASHES = (
    *("rlnMagnification", "rlnDetectorPixelSize", "rlnImageName", "rlnCtfImage", "rlnVoltage"),
    *("rlnSphericalAberration", "rlnCtfMaxResolution"),
    *("rlnTomoParticleId", "rlnTomoParticleName", "rlnTomoVisibleFrames"),
)
"""The columns that WarpTools 2.0.0dev37 and dev38 crash on (warp#475, #478, #479).

They are those that it writes itself, of volumes (--3d) and of tilt series (--2d).
"""


def write_picks(
    path: str | Path, picks: Picks, tomogram: Tomogram | TomogramInfo, *, overwrite: bool = False
) -> None:
    """Write the kept picks, best first, as WarpTools reads them.

    Columns: those of the flavour `warp`, then `cryosamInstanceId` (the label volume's number)
    and `cryosamVoxelSize` (Å, the unit of the coordinates), and `cryosamProbability` if there
    are probabilities.

    Raises:
        InputError: the file exists or cannot be written.
    """
    columns = _ours(picks.take(picks.kept).best_first(), TomogramInfo.of(tomogram))
    write_text(path, star_text({"particles": columns}), overwrite=overwrite)


def write_proposals(
    path: str | Path, picks: Picks, tomogram: Tomogram | TomogramInfo, *, overwrite: bool = False
) -> None:
    """Write all picks, best first: the columns of `write_picks`, then verdict and reason.

    `cryosamKept` is 1 or 0; `cryosamReason` has underscores for spaces, `none` for a kept one.

    Raises:
        InputError: the file exists or cannot be written.
    """
    ranked = picks.best_first()
    columns = _ours(ranked, TomogramInfo.of(tomogram))
    columns[KEPT] = ranked.kept.astype(int)
    columns[REASON] = [star_word(reason) or NO_REASON for reason in ranked.reasons]
    write_text(path, star_text({"particles": columns}), overwrite=overwrite)


def write_flavour(
    flavour: str,
    path: str | Path,
    picks: Picks,
    tomogram: Tomogram | TomogramInfo,
    *,
    tilt_series: TiltSeries | None = None,
) -> None:
    """Write the kept picks, best first, for one program.

    Args:
        flavour: a name in `FLAVOURS`.
        path: file to write.
        picks: kept and rejected ones.
        tomogram: which they lie in.
        tilt_series: the tilt series; `relion4` needs its pixel size, `relion5` its size too, or
            takes the tomogram's own extent in its place and warns.

    Raises:
        InputError: no such flavour, the tilt series is missing, or the file exists or cannot be
            written.
    """
    check_flavour(flavour)
    group = (picks.take(picks.kept).best_first(), TomogramInfo.of(tomogram, tilt_series))
    if flavour in _LENGTHS:
        group = from_finest(group)
    write_text(path, particles(flavour, [group]))


def particles(flavour: str, groups: Sequence[TomogramPicks]) -> str:
    """One file of all groups in their order.

    Raises:
        InputError: what the flavour needs of a tomogram is not known.
    """
    groups = [group for group in groups if len(group[0])] or groups[:1]
    return star_text({"particles": FLAVOURS[flavour](groups)})


def in_parts(flavour: str, groups: Sequence[TomogramPicks]) -> tuple[str, list[str]]:
    """One file of all groups, and one of each with the same columns, in their order.

    RELION 5 does not import files of different columns together.

    Raises:
        InputError: what the flavour needs of a tomogram is not known.
    """
    columns = FLAVOURS[flavour](groups)
    parts, begin = [], 0
    for picks, _ in groups:
        rows = slice(begin, begin := begin + len(picks))
        parts.append(star_text({"particles": {name: of[rows] for name, of in columns.items()}}))
    return star_text({"particles": columns}), parts


def _ours(picks: Picks, info: TomogramInfo) -> Columns:
    columns = _warp([(picks, info)])
    last = {PROBABILITY: columns.pop(PROBABILITY)} if PROBABILITY in columns else {}
    columns[ID] = picks.ids
    columns[VOXEL_SIZE] = np.full(len(picks), float(info.known_voxel_size("A file of picks")))
    return columns | last


def _warp(groups: Sequence[TomogramPicks]) -> Columns:
    """Warp, WarpTools, M: voxels, to be read with `--coords_angpix` of the voxel size."""
    groups = _identified(safe_for_warp(groups))
    picks = joined([picks for picks, _ in groups])
    columns = _coordinates(PIXELS, picks.points_zyx[:, ::-1])
    columns["rlnMicrographName"] = _of_each(
        groups, lambda info: f"{tomogram_root(info.name)}.tomostar"
    )
    columns |= _angles(picks) or dict.fromkeys(ANGLES, np.zeros(len(picks)))
    return _carried(columns | _score(picks), picks) | _own_score(picks) | _probability(picks)


def safe_for_warp(groups: Sequence[TomogramPicks]) -> list[TomogramPicks]:
    """The same without columns that WarpTools crashes on; the log says which."""
    labels = {label: None for picks, _ in groups for label in picks.extra}
    lost = [label for label in labels if label in WARP_CRASHES]
    if not lost:
        return list(groups)
    logger.warning("Left out, as WarpTools crashes on them: %s.", ", ".join(lost))
    return [
        (replace(picks, extra={k: v for k, v in picks.extra.items() if k not in lost}), info)
        for picks, info in groups
    ]


def _relion31(groups: Sequence[TomogramPicks]) -> Columns:
    """RELION 3.1, beside the tomogram: whole voxels, since its reader truncates."""
    picks = joined([picks for picks, _ in groups])
    columns = _coordinates(PIXELS, whole(picks.points_zyx[:, ::-1]))
    return _carried(columns | _angles(picks), picks) | _probability(picks)


def _relion4(groups: Sequence[TomogramPicks]) -> Columns:
    """RELION 4, `relion_tomo_import_particles`: pixels of the tilt series."""
    asking = "The format relion4"

    def pixels(points_xyz: np.ndarray, info: TomogramInfo) -> np.ndarray:
        voxel_size = info.known_voxel_size(asking)
        return points_xyz * voxel_size / info.known_tilt_series(asking).pixel_size

    return _relion(PIXELS, pixels, groups)


def _relion5(groups: Sequence[TomogramPicks]) -> Columns:
    """RELION 5, Extract: Å from the centre, which is half the unbinned size (not less one)."""

    def centred(points_xyz: np.ndarray, info: TomogramInfo) -> np.ndarray:
        series = info.known_tilt_series("The format relion5")
        extent = np.array(series.size_xyz) * series.pixel_size
        return points_xyz * info.known_voxel_size("The format relion5") - extent / 2

    return _relion(CENTRED, centred, with_extents(groups))


def with_extents(groups: Sequence[TomogramPicks]) -> list[TomogramPicks]:
    """The same with an unbinned size: the tomogram's own, if it is not known; the log says so.

    Raises:
        InputError: neither is known.
    """
    found = [(picks, _with_extent(info)) for picks, info in groups]
    sizes = [
        one.known_voxel_size("The format relion5")
        for (_, one), (_, info) in zip(found, groups, strict=True)
        if one is not info
    ]
    if sizes:
        logger.warning(
            "relion5: the unbinned size%s is not known; taking the tomogram's own extent puts "
            "the particles off by at most half a voxel (%g Å).",
            f" of {len(sizes)} tomograms" if len(sizes) > 1 else "",
            max(sizes) / 2,
        )
    return found


def _with_extent(info: TomogramInfo) -> TomogramInfo:
    if info.tilt_series is not None and info.tilt_series.size_xyz is not None:
        return info
    voxel_size = info.known_voxel_size("The format relion5")
    asking = "The format relion5, without tomograms.star,"
    series = info.tilt_series or TiltSeries(voxel_size)
    x, y, z = (info.known_shape(asking) * voxel_size / series.pixel_size).tolist()
    return replace(info, tilt_series=replace(series, size_xyz=(x, y, z)))


FLAVOURS: dict[str, Callable[[Sequence[TomogramPicks]], Columns]] = {
    "relion5": _relion5,
    "relion4": _relion4,
    "relion31": _relion31,
    "warp": _warp,
}


def check_flavour(name: str) -> None:
    """Refuse one that there is not.

    Raises:
        InputError: it is none of `FLAVOURS`.
    """
    if name not in FLAVOURS:
        raise InputError(f"Expected a STAR flavour of {', '.join(FLAVOURS)}, got {name!r}.")


def _relion(
    labels: tuple[str, ...],
    place: Callable[[np.ndarray, TomogramInfo], np.ndarray],
    groups: Sequence[TomogramPicks],
) -> Columns:
    groups = _identified(groups)
    picks = joined([picks for picks, _ in groups])
    points = [place(one.points_zyx[:, ::-1], info) for one, info in groups]
    columns: Columns = {"rlnTomoName": _of_each(groups, project_name)}
    columns |= _coordinates(labels, np.concatenate(points)) | _angles(picks)
    return _carried(columns | _score(picks), picks) | _own_score(picks) | _probability(picks)


def _of_each(groups: Sequence[TomogramPicks], name: Callable[[TomogramInfo], str]) -> list[str]:
    """Of each point what its tomogram is called."""
    return [text for picks, info in groups for text in [name(info)] * len(picks)]


def _coordinates(labels: tuple[str, ...], points_xyz: np.ndarray) -> Columns:
    return dict(zip(labels, points_xyz.T, strict=True))


def _angles(picks: Picks) -> Columns:
    """RELION's, if there are any."""
    return {} if picks.rotations is None else _coordinates(ANGLES, to_relion(picks.rotations))


def _score(picks: Picks) -> Columns:
    """The programs' column of scores, which they read as numbers: only if every pick has one."""
    return {SCORE: picks.scores} if np.isfinite(picks.scores).all() else {}


def _own_score(picks: Picks) -> Columns:
    """Ours, which no program reads: open where there is none, and absent if there are none."""
    known = np.isfinite(picks.scores)
    if len(picks) and not known.any():
        return {}
    if not known.all():
        logger.warning(
            "%d of %d picks have no score: %s has those of the others, and there is no %s.",
            int((~known).sum()),
            len(picks),
            OWN_SCORE,
            SCORE,
        )
    return {OWN_SCORE: scores_or("nan", picks)}


def _probability(picks: Picks) -> Columns:
    """Ours, likewise."""
    return {} if picks.probabilities is None else {PROBABILITY: picks.probabilities}


def _carried(columns: Columns, picks: Picks) -> Columns:
    """With what means nothing to the coordinates: classes, and columns of the points' own file.

    Classes that are numbers are RELION's; any others have a column that no program knows.
    """
    if picks.classes is not None:
        numbered = all(name.isascii() and name.isdigit() for name in picks.classes)
        columns[CLASS_NUMBER if numbered else CLASS] = [star_word(name) for name in picks.classes]
    known = {*columns, OWN_SCORE}
    return columns | {label: values for label, values in picks.extra.items() if label not in known}


def _identified(groups: Sequence[TomogramPicks]) -> list[TomogramPicks]:
    """With the name of each particle, under a label that WarpTools and M keep.

    No other particle of the data set has its name, and every run gives it the same: the
    tomogram's with the instance's number, or what the points' own file called it.
    """
    found = []
    for picks, info in groups:
        if PARTICLE_ID not in picks.extra:
            name, seen = relion_name(info.name), Counter[int]()
            names = []
            for number in picks.ids.tolist():
                again = f".{seen[number]}" if seen[number] else ""  # of files that were joined
                names.append(f"{name}:{number}{again}")
                seen[number] += 1
            picks = replace(picks, extra={**picks.extra, PARTICLE_ID: tuple(names)})
        found.append((picks, info))
    return found


def project_name(info: TomogramInfo) -> str:
    """The tomogram's name in a RELION project: of `tomograms.star` to the letter, if known."""
    return (info.tilt_series and info.tilt_series.name) or relion_name(info.name)
