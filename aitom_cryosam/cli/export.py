"""`cryosam export`: picks of one or many tomograms as another program's files."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli.argument_types import whole_number
from aitom_cryosam.cli.arguments import add_count, add_length, add_number
from aitom_cryosam.cli.tables import file_rows, labelled
from aitom_cryosam.cli.tilt_series_options import tilt_series_of, tomograms_of
from aitom_cryosam.cli.tomogram_info_options import add_tomogram_info, size_of
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from aitom_cryosam.picks import Picks
    from aitom_cryosam.points.point_file import PointFile
    from aitom_cryosam.points.tilt_series import TomogramsStar
    from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo, TomogramPicks
    from aitom_cryosam.record import Record


logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam export`."""
    parser.add_argument(
        "picks", nargs="+", metavar="PICKS", help="files of picks, or folders that `pick` wrote"
    )
    add_choice(parser)
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FORMAT",
        help="of PICKS, if it is not clear from the files",
    )
    add_length(
        parser, "--coords-angpix", "pixel size that PICKS are written in, if not the tomogram's"
    )
    add_tomogram_info(parser, "what PICKS do not say about it")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Which picks, as which program's files, and where."""
    from aitom_cryosam.points.formats.registry import FORMATS

    parser.epilog = "; ".join(f"{name} is {kind.about}" for name, kind in FORMATS.items()) + "."
    parser.add_argument("--to", required=True, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument(
        "--out", required=True, metavar="PATH", help="a file of the format, or a folder"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    add_number(parser, "--min-score", "SCORE", "only picks that score at least this much")
    add_count(parser, "--top", "only the N best of each tomogram", type=whole_number)
    parser.add_argument(
        "--object", default="particle", metavar="NAME", help="for copick, eman2, cmm"
    )
    parser.add_argument(
        "--user-id",
        default="cryosam",
        metavar="NAME",
        help="whose picks they are in copick, where PATH is the CONFIG.json of a project "
        "(default: cryosam)",
    )
    parser.add_argument(
        "--session-id", default="1", metavar="NAME", help="likewise, the session (default: 1)"
    )
    add_count(
        parser,
        "--box",
        "for cbox, eman2, imod-model (default: 32)",
        type=whole_number,
        default=32,
        metavar="VOXELS",
    )


def run(args: argparse.Namespace) -> int:
    """Write all files, say what is in them."""
    from aitom_cryosam.beside import record_beside

    # The tomogram that was typed stands above what a record says of it; masks are only copick's.
    wanted = not args.tomo or args.to == "copick"
    files = [(path, record_beside(path) if wanted else None) for path in _files(args.picks)]
    results = [(_tomogram(record), record) for _, record in files if record]
    return write(args, read_groups(args, files), results)


def write(
    args: argparse.Namespace,
    points: Iterable[TomogramPicks],
    results: Iterable[tuple[str, Record]] = (),
) -> int:
    """Write the chosen of these points, say what is in the files.

    Args:
        args: of the command.
        points: of each tomogram.
        results: that have masks of the points, by the names of the tomograms.

    Raises:
        InputError: as for `run`.
    """
    from aitom_cryosam.copick_project import is_config
    from aitom_cryosam.files import write_all
    from aitom_cryosam.names import relion_name
    from aitom_cryosam.points.formats.registry import known_format
    from aitom_cryosam.points.particle import Particle
    from aitom_cryosam.points.tomogram_info import warn_of_extents
    from aitom_cryosam.points.writing import chosen, merged, project_files

    known_format(args.to)
    into_copick = args.to == "copick" and is_config(args.out)
    groups = [
        (chosen(picks, min_score=args.min_score, top=args.top), info)
        for picks, info in merged(points)
    ]
    warn_of_extents(info for _, info in groups)
    if into_copick:
        files = _into_copick(args, groups, results)
    else:
        made = project_files(
            args.to,
            args.out,
            groups,
            particle=Particle(args.object, args.box),
            tomograms_star=args.tomograms_star,
        )
        write_all(made, overwrite=args.overwrite)
        files = list(made)
    if not any(len(picks) for picks, _ in groups):
        logger.warning("%s", _nothing(args))
    if not args.quiet:
        rows = [("picks", f"{len(picks)} of {relion_name(info.name)}") for picks, info in groups]
        print(labelled([*rows, *file_rows(files)]))
    return 0


def _nothing(args: argparse.Namespace) -> str:
    """What to say where the files hold no pick."""
    if args.min_score is None:
        return "There are no picks: the files that were written hold none."
    return (
        f"No pick scores {args.min_score:g} or more: the files that were written hold none; lower "
        "--min-score."
    )


def _into_copick(
    args: argparse.Namespace,
    groups: Sequence[TomogramPicks],
    results: Iterable[tuple[str, Record]],
) -> list[Path]:
    """Into the overlay of a project; with the masks, where the picks are of one result."""
    import numpy as np

    from aitom_cryosam.copick_project import write_back
    from aitom_cryosam.masks import labels_of

    records: dict[str, list[Record]] = {}
    for name, record in results:
        records.setdefault(name, []).append(record)

    def labels(picks: Picks, record: Record) -> np.ndarray:
        return labels_of(record.labels(), picks.ids).astype(np.int32)

    masked = []
    for picks, info in groups:
        own = records.get(info.name, [])
        if len(own) > 1:
            logger.warning("%s: picks of several results; their masks are not written.", info.name)
        masked.append((picks, info, partial(labels, picks, own[0]) if len(own) == 1 else None))
    return write_back(
        args.out,
        masked,
        object_name=args.object,
        user=args.user_id,
        session=args.session_id,
        overwrite=args.overwrite,
    )


def read_groups(
    args: argparse.Namespace, files: Iterable[tuple[Path, Record | None]]
) -> Iterator[TomogramPicks]:
    """The points of every tomogram in every file, each with what is known of it.

    Args:
        args: of the command.
        files: of points, each with the record of the run that wrote it, if there is one.

    Raises:
        InputError: a file cannot be used, or a point lies outside its tomogram.
    """
    from aitom_cryosam.names import result_stem
    from aitom_cryosam.points.reading import read_points

    tilt_series = tilt_series_of(args)
    tomograms = tomograms_of(args)
    files = list(files)
    stems = Counter(result_stem(path) for path, _ in files)
    for path, record in files:
        known = _known(args, record, tilt_series)
        file = read_points(
            path,
            voxel_size=known.voxel_size,
            coords_angpix=args.coords_angpix,
            tilt_series=tomograms.of(known.name) if tomograms and known.name else tilt_series,
            tomograms=tomograms,
            shape_zyx=known.shape_zyx,
            tomogram=known.path,
            noted_shift=known.noted_shift,
            format=args.source,
        )
        stem = result_stem(path)
        unnamed = stem if stems[stem] == 1 else str(path.with_name(stem))
        yield from _groups(file, known, unnamed, tomograms, only=args.tomo is not None)


def _files(paths: Sequence[str]) -> Iterator[Path]:
    from aitom_cryosam.result_files import picks_files

    seen = set[Path]()
    for path in (file for one in paths for file in picks_files(Path(one))):
        if path.resolve() in seen:
            raise InputError(f"{path} is given twice; leave one out.")
        seen.add(path.resolve())
        yield path


def _tomogram(record: Record) -> str:
    """What the groups of its picks call a result's tomogram."""
    return str(record.tomogram_path or record.info.name)


def _known(
    args: argparse.Namespace, record: Record | None, tilt_series: TiltSeries | None
) -> TomogramInfo:
    """Of the options, or of the run that wrote the picks; the name is empty if neither has it."""
    from aitom_cryosam.points.tomogram_info import TomogramInfo

    name, (shape, voxel_size) = args.tomo or "", size_of(args)
    place, shift = Path(args.tomo) if args.tomo else None, (0.0, 0.0, 0.0)
    if record and not args.tomo:
        name = _tomogram(record)
        voxel_size = voxel_size or record.info.voxel_size
        shape = shape or record.info.shape_zyx
        place, shift = record.info.path, record.info.noted_shift
    return TomogramInfo(name, voxel_size, shape, tilt_series, place, shift)


def _groups(
    file: PointFile,
    known: TomogramInfo,
    unnamed: str,
    tomograms: TomogramsStar | None,
    *,
    only: bool,
) -> Iterator[TomogramPicks]:
    """One group for each name in a file, or of the known tomogram only; all, if it has no names."""
    import numpy as np

    from aitom_cryosam.points.belonging import of_tomogram
    from aitom_cryosam.points.outside import otherwise

    names = (of_tomogram(file, known.name) if only else file).names or ()
    labels: list[str | None] = [*dict.fromkeys(names)] or [None]
    for label in labels:
        every = np.arange(len(file.picks))
        rows = every if label is None else every[np.array(file.names) == label]
        own = known.name if only or len(labels) == 1 else ""
        info = replace(
            known,
            name=own or label or unnamed,
            voxel_size=known.voxel_size or file.voxel_size,
        )
        if tomograms:
            info = replace(
                info, tilt_series=_series(tomograms, info.name, named=bool(own or label))
            )
        picks = file.picks.take(rows)
        for row in info.outside(picks.points_zyx)[:1]:
            x, y, z = picks.points_zyx[row, ::-1]
            hint = (
                otherwise(info, picks.points_zyx)
                or "; add --coords-angpix ANGSTROM if its pixels differ"
            )
            raise InputError(
                f"{file.path}, row {rows[row] + 1}: the voxel {x:g},{y:g},{z:g} lies outside "
                f"{Path(info.name).name}, which has {info.bounds()}{hint}."
            )
        yield picks, info


def _series(tomograms: TomogramsStar, name: str, *, named: bool) -> TiltSeries:
    """The tilt series of a tomogram, which may be called only as the file of its points."""
    try:
        return tomograms.of(name)
    except InputError as error:
        if named:
            raise
        said = error.problem.removesuffix(".")
        raise InputError(f"{said}; or say by --tomo FILE which tomogram it is.") from None
