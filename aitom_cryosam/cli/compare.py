"""`cryosam compare`: CryoSAM, AITom's pickers and other programs' files on one tomogram."""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitom_cryosam.cli import compared_methods
from aitom_cryosam.cli.arguments import add_repeatable
from aitom_cryosam.cli.compared_methods import CRYOSAM, METHODS, Bench
from aitom_cryosam.cli.options import add_matching, add_tomogram, add_volume
from aitom_cryosam.cli.tables import aligned, number
from aitom_cryosam.cli.tilt_series_options import add_tilt_series, tilt_series_of_tomogram
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.evaluation.comparison import Agreement, Compared, MethodPicks
    from aitom_cryosam.picks import Picks
    from aitom_cryosam.points.point_file import PointFile
    from aitom_cryosam.points.tomogram_info import TiltSeries
    from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

_HEAD = (
    *("method", "picks", "precision", "recall", "F1", "AP", "error (Å)", "seconds"),
    *("best F1*", "annotations"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam compare`."""
    add_tomogram(parser)
    parser.add_argument(
        "--truth",
        required=True,
        metavar="FILE",
        help="the known positions, or a folder with those of the tomogram",
    )
    add_matching(parser)
    parser.add_argument(
        "--methods",
        type=_names,
        default=(CRYOSAM,),
        metavar="NAME[,NAME...]",
        help=f"{', '.join(METHODS)}, or none for --picks alone (default: {CRYOSAM})",
    )
    add_repeatable(
        parser,
        "--picks",
        "NAME=FILE",
        "any program's picks of this tomogram, or a folder of results; repeatable",
        type=_named_file,
    )
    add_volume(parser)
    parser.add_argument("--out", metavar="DIR", help="also write JSON, a figure, and the picks")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    add_tilt_series(parser)
    compared_methods.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the methods, print one table and who agrees with whom, write the files."""
    from aitom_cryosam.cli.progress import ShownProgress
    from aitom_cryosam.evaluation import evaluate
    from aitom_cryosam.evaluation.comparison import agreements, compare
    from aitom_cryosam.tomogram import Tomogram

    names = [*args.methods, *(name for name, _ in args.picks)]
    _check_names(names)
    tomogram = Tomogram.open(args.tomogram, voxel_size=args.voxel_size, contrast=args.contrast)
    paths = _paths(args, tomogram)
    tilt_series = tilt_series_of_tomogram(args)
    truth = _truth(args, tomogram, tilt_series)
    same: dict[str, Any] = {"radius": args.radius, "voxel_size": tomogram.voxel_size}
    given = {
        name: _found_by_others(path, tomogram, tilt_series, args.particle_class)
        for name, path in args.picks
    }
    with ShownProgress(quiet=args.quiet) as progress:
        bench = Bench(args, tomogram, tilt_series, truth, progress)
        # What can be refused is refused before the first method runs.
        evaluate(truth, truth, **same)
        plans = {name: METHODS[name](bench) for name in args.methods}
        ended = {name: _timed(name, plan) for name, plan in plans.items()}
    found = {name: one for name, one in ended.items() if one is not None} | given
    if not found:
        return 2
    compared = {name: compare(one, truth, **same) for name, one in found.items()}
    agreement = agreements(found, **same)
    for name in given:  # by other programs, which may count otherwise
        _tell_doubt(name, compared[name], tomogram, truth, args.radius)
    print(f"{_table(compared)}\n{_notes(bench)}")
    if len(found) > 1:
        print(f"\n{_matrix(found, agreement)}")
    if args.out:
        _write(bench, paths, compared, agreement)
    return 2 if None in ended.values() else 0


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Two methods are called {name}; give --picks another NAME=FILE.")
    if not names:
        raise InputError("There is nothing to compare; add --methods or --picks NAME=FILE.")


def _paths(args: argparse.Namespace, tomogram: Tomogram) -> dict[str, Path]:
    """Of JSON, figure and the picks of the methods that run; none exists yet."""
    from aitom_cryosam.outputs import check_output

    if not args.out:
        return {}
    ends = {"json": "comparison.json", "figure": "comparison.png"}
    ends |= {name: f"{name}.star" for name in args.methods}
    paths = {key: Path(args.out) / f"{tomogram.name}_{end}" for key, end in ends.items()}
    check_output(args.out, paths.values(), overwrite=args.overwrite)
    return paths


def _truth(args: argparse.Namespace, tomogram: Tomogram, tilt_series: TiltSeries | None) -> Picks:
    from aitom_cryosam.evaluation.pairing import of_class
    from aitom_cryosam.evaluation.truth import truth_file
    from aitom_cryosam.points.tomogram_info import TomogramInfo, warn_of_outside

    file = truth_file(args.truth, tomogram.path or tomogram.name, args.particle_class)
    whole = _points(file, tomogram, tilt_series, args.truth_angpix)
    truth = of_class(_of(tomogram, whole), whole, args.particle_class).picks
    if not len(truth):
        raise InputError(f"{file} holds no particles of {tomogram.name}.")
    warn_of_outside(file, [(TomogramInfo.of(tomogram), truth.points_zyx)])
    return truth


def _found_by_others(
    path: str, tomogram: Tomogram, tilt_series: TiltSeries | None, particle_class: str | None
) -> MethodPicks:
    from aitom_cryosam.evaluation.comparison import MethodPicks
    from aitom_cryosam.evaluation.pairing import picks_of_class

    file = _in_folder(path, tomogram)
    [own] = picks_of_class([_points(file, tomogram, tilt_series, None)], particle_class)
    return MethodPicks.of(_of(tomogram, own).picks, "file", settings={"file": path})


def _tell_doubt(
    name: str, compared: Compared, tomogram: Tomogram, truth: Picks, radius: float
) -> None:
    from aitom_cryosam.evaluation.counting import Matched, doubt

    matched = Matched(
        compared.found.picks.points_zyx,
        truth.points_zyx,
        compared.picks.pairs,
        tomogram.voxel_size,
        tomogram.shape,
    )
    if said := doubt([matched], radius):
        logger.warning("%s: %s.", name, said)


def _in_folder(path: str, tomogram: Tomogram) -> str:
    """The file of picks of a tomogram in a folder of results; a file itself."""
    from aitom_cryosam.names import relion_name, result_stem
    from aitom_cryosam.result_files import picks_files
    from aitom_cryosam.wording import listed

    files = picks_files(Path(path))
    wanted = relion_name(str(tomogram.path or tomogram.name))
    own = [file for file in files if relion_name(result_stem(file)) == wanted]
    own = own or (files if len(files) == 1 else [])  # whose points say which tomogram's they are
    if len(own) != 1:
        names = listed(file.name for file in files)
        raise InputError(f"{path} holds {names}; name the file that has the picks of {wanted}.")
    return str(own[0])


def _points(
    path: str | Path, tomogram: Tomogram, tilt_series: TiltSeries | None, angpix: float | None
) -> PointFile:
    from aitom_cryosam.points.reading import read_points

    return read_points(
        path,
        voxel_size=tomogram.voxel_size,
        coords_angpix=angpix,
        tilt_series=tilt_series,
        shape_zyx=tomogram.shape,
        tomogram=tomogram.path,
    )


def _of(tomogram: Tomogram, points: PointFile) -> PointFile:
    from aitom_cryosam.points.belonging import of_tomogram

    return of_tomogram(points, tomogram.path or tomogram.name)


def _timed(name: str, plan: Callable[[], MethodPicks]) -> MethodPicks | None:
    """What a method found; None, and why, if it cannot: the others' hours are not lost then."""
    logger.info("%s ...", name)
    start = time.perf_counter()
    try:
        return replace(plan(), seconds=time.perf_counter() - start)
    except InputError as error:
        logger.error("%s is left out: %s", name, error)
        return None


def _table(compared: Mapping[str, Compared]) -> str:
    """A row for each method."""
    rows = [list(_HEAD)] + [_row(name, one) for name, one in compared.items()]
    return aligned(rows, left=(0, len(_HEAD) - 1))


def _row(name: str, one: Compared) -> list[str]:
    picks, best = one.picks, one.best[0]
    shares = (picks.precision, picks.recall, picks.f1, one.average_precision)
    return [
        name,
        f"{picks.n_picks}",
        *(number(share) for share in shares),
        number(picks.localisation_error, "{:.1f}"),
        "-" if one.found.seconds is None else f"{one.found.seconds:.0f}",
        number(best),
        one.found.annotations,
    ]


def _notes(bench: Bench) -> str:
    args = bench.args
    of_class = f" of class {args.particle_class}" if args.particle_class else ""
    return (
        f"\n{len(bench.truth)} particles{of_class}, matched one to one within {args.radius:g} Å. "
        "AP: along all candidates,\nalso those below a method's threshold.\n"
        "* at the threshold that suits the truth best, which no user knows; the other columns are "
        "at each\nmethod's own."
    )


def _matrix(
    found: Mapping[str, MethodPicks], agreement: Mapping[tuple[str, str], Agreement]
) -> str:
    """Shared / only the row's / only the column's, above a diagonal of the numbers of picks."""
    names = list(found)
    rows = [["shared/only row/only column", *names]]
    for i, name in enumerate(names):
        pairs = [agreement[name, other] for other in names[i + 1 :]]
        cells = [f"{one.shared}/{one.only_first}/{one.only_second}" for one in pairs]
        rows.append([name, *[""] * i, f"{len(found[name].picks)}", *cells])
    return aligned(rows)


def _write(
    bench: Bench,
    paths: Mapping[str, Path],
    compared: Mapping[str, Compared],
    agreement: Mapping[tuple[str, str], Agreement],
) -> None:
    from aitom_cryosam.evaluation.comparison import method_report
    from aitom_cryosam.evaluation.curves import write_comparison
    from aitom_cryosam.files import write_text
    from aitom_cryosam.outputs import output_folder
    from aitom_cryosam.points.formats.relion_warp import write_proposals

    output_folder(bench.args.out)
    args, overwrite = bench.args, bench.args.overwrite
    for name in set(args.methods) & set(compared):
        candidates = compared[name].found.candidates
        write_proposals(paths[name], candidates, bench.tomogram, overwrite=overwrite)
    report = {
        "tomogram": args.tomogram,
        "voxel_size_angstrom": bench.tomogram.voxel_size,
        "truth": args.truth,
        "class": args.particle_class,
        "n_truth": len(bench.truth),
        "radius_angstrom": args.radius,
        "methods": {name: method_report(one) for name, one in compared.items()},
        "agreement": [
            {"first": first, "second": second, **asdict(one)}
            for (first, second), one in agreement.items()
        ],
    }
    write_text(paths["json"], json.dumps(report, indent=1) + "\n", overwrite=overwrite)
    write_comparison(paths["figure"], compared, overwrite=overwrite)


def _names(text: str) -> tuple[str, ...]:
    chosen = () if text == "none" else tuple(text.split(","))
    for name in chosen:
        if name not in METHODS:
            raise argparse.ArgumentTypeError(f"unknown {name!r}; expected {', '.join(METHODS)}")
    return chosen


def _named_file(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"expected NAME=FILE, got {text!r}")
    return name, path
