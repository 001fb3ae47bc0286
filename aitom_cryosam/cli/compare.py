"""`cryosam compare`: CryoSAM, AITom's pickers and other programs' files on one tomogram."""

from __future__ import annotations

import argparse
import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitom_cryosam.cli import averaging, machine, method
from aitom_cryosam.cli.machine import add_resources
from aitom_cryosam.cli.method import add_method
from aitom_cryosam.cli.options import add_matching, add_prompts, add_tomogram, add_volume
from aitom_cryosam.cli.tables import aligned, number
from aitom_cryosam.cli.tilt_series import add_tilt_series, tilt_series_of_tomogram
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.evaluation.comparison import Agreement, Compared, Found
    from aitom_cryosam.job import Job
    from aitom_cryosam.picks import Picks
    from aitom_cryosam.points.reading import PointFile
    from aitom_cryosam.points.tomogram_info import TiltSeries
    from aitom_cryosam.progress import Progress
    from aitom_cryosam.result import Result
    from aitom_cryosam.tomogram import Tomogram

logger = logging.getLogger(__name__)

CRYOSAM, REFINED = "cryosam", "cryosam+refine"
DOG, TEMPLATE = "aitom-dog", "aitom-template"
_HEAD = (
    *("method", "picks", "precision", "recall", "F1", "AP", "error (Å)", "seconds"),
    *("best F1*", "annotations"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam compare`."""
    add_tomogram(parser)
    parser.add_argument("--truth", required=True, metavar="FILE", help="the known positions")
    add_matching(parser)
    parser.add_argument(
        "--methods",
        type=_names,
        default=(CRYOSAM,),
        metavar="NAME[,NAME...]",
        help=f"{', '.join(METHODS)}, or none for --picks alone (default: {CRYOSAM})",
    )
    parser.add_argument(
        "--picks",
        action="append",
        default=[],
        type=_named_file,
        metavar="NAME=FILE",
        help="any program's picks of this tomogram; repeatable",
    )
    add_volume(parser)
    parser.add_argument("--out", metavar="DIR", help="also write JSON, a figure, and the picks")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    add_tilt_series(parser)
    averaging.add_wedge(parser, of=REFINED)
    _add_prompts(parser)
    _add_template(parser)
    add_method(parser)
    add_resources(parser)


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    prompts = parser.add_argument_group("prompts", f"of {CRYOSAM} and {REFINED}")
    add_prompts(prompts)
    prompts.add_argument("--draw", type=int, metavar="N", help="take N points of the truth instead")
    prompts.add_argument("--seed", type=int, default=0, metavar="S", help="of --draw (default: 0)")


def _add_template(parser: argparse.ArgumentParser) -> None:
    template = parser.add_argument_group("template", f"of {TEMPLATE}")
    template.add_argument("--template", metavar="MAP", help="density map of the particle, MRC")
    template.add_argument(
        "--template-voxel-size", type=float, metavar="ANGSTROM", help="instead of its header's"
    )
    template.add_argument(
        "--template-contrast",
        choices=("bright", "dark"),
        default="bright",
        help="of protein in the map (default: bright)",
    )
    template.add_argument(
        "--angular-step",
        type=float,
        default=30.0,
        metavar="DEGREES",
        help="between rotations (default: 30, the nearest is then 15 off at the median)",
    )
    template.add_argument(
        "--binning",
        type=int,
        default=1,
        metavar="N",
        help="of tomogram and template; 2 is 8 times as fast (default: 1)",
    )
    template.add_argument(
        "--threads", type=int, metavar="N", help="processes side by side (default: all cores)"
    )


@dataclass(frozen=True, eq=False)
class _Bench:
    """What all methods share."""

    args: argparse.Namespace
    tomogram: Tomogram
    tilt_series: TiltSeries | None
    truth: Picks
    progress: Progress

    @property
    def diameter(self) -> float:
        """Å, for AITom's pickers."""
        if self.args.diameter is None:
            twice = 2 * float(self.args.radius)
            logger.info("No --diameter: taking twice the --radius, %g Å, for AITom's.", twice)
            return twice
        if not 0 < self.args.diameter < math.inf:
            raise InputError(f"Expected a --diameter above 0 Å, got {self.args.diameter:g}.")
        return float(self.args.diameter)


def run(args: argparse.Namespace) -> int:
    """Run the methods, print one table and who agrees with whom, write the files.

    Raises:
        InputError: a file or option cannot be used; nothing has run then.
    """
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
    given = {name: _found_by_others(path, tomogram, tilt_series) for name, path in args.picks}
    with ShownProgress(quiet=args.quiet) as progress:
        bench = _Bench(args, tomogram, tilt_series, truth, progress)
        # What can be refused is refused before the first method runs.
        evaluate(truth, truth, **same)
        plans = {name: METHODS[name](bench) for name in args.methods}
        ended = {name: _timed(name, plan) for name, plan in plans.items()}
    found = {name: one for name, one in ended.items() if one is not None} | given
    if not found:
        return 2
    compared = {name: compare(one, truth, **same) for name, one in found.items()}
    agreement = agreements(found, **same)
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
    from aitom_cryosam.files import check_output

    if not args.out:
        return {}
    ends = {"json": "comparison.json", "figure": "comparison.png"}
    ends |= {name: f"{name}.star" for name in args.methods}
    paths = {key: Path(args.out) / f"{tomogram.name}_{end}" for key, end in ends.items()}
    check_output(args.out, paths.values(), overwrite=args.overwrite)
    return paths


def _truth(args: argparse.Namespace, tomogram: Tomogram, tilt_series: TiltSeries | None) -> Picks:
    from aitom_cryosam.evaluation.pairing import of_class
    from aitom_cryosam.points.tomogram_info import TomogramInfo, warn_of_outside

    whole = _points(args.truth, tomogram, tilt_series, args.truth_angpix)
    truth = of_class(_of(tomogram, whole), whole, args.particle_class).picks
    if not len(truth):
        raise InputError(f"{args.truth} holds no particles of {tomogram.name}.")
    warn_of_outside(args.truth, [(TomogramInfo.of(tomogram), truth.points_zyx)])
    return truth


def _found_by_others(path: str, tomogram: Tomogram, tilt_series: TiltSeries | None) -> Found:
    from aitom_cryosam.evaluation.comparison import Found

    picks = _of(tomogram, _points(path, tomogram, tilt_series, None)).picks
    return Found.of(picks, "file", settings={"file": path})


def _points(
    path: str, tomogram: Tomogram, tilt_series: TiltSeries | None, angpix: float | None
) -> PointFile:
    from aitom_cryosam.points.reading import read_points

    return read_points(
        path,
        voxel_size=tomogram.voxel_size,
        coords_angpix=angpix,
        tilt_series=tilt_series,
        shape_zyx=tomogram.shape,
    )


def _of(tomogram: Tomogram, points: PointFile) -> PointFile:
    from aitom_cryosam.points.reading import of_tomogram

    return of_tomogram(points, tomogram.path or tomogram.name)


def _timed(name: str, plan: Callable[[], Found]) -> Found | None:
    """What a method found; None, and why, if it cannot: the others' hours are not lost then."""
    logger.info("%s ...", name)
    start = time.perf_counter()
    try:
        return replace(plan(), seconds=time.perf_counter() - start)
    except InputError as error:
        logger.error("%s is left out: %s", name, error)
        return None


def _cryosam(bench: _Bench, *, refine: bool = False) -> Callable[[], Found]:
    from aitom_cryosam import job
    from aitom_cryosam.evaluation.comparison import Found

    wanted = _job(bench)

    def pick() -> Found:
        result = job.pick(wanted, progress=bench.progress)
        clicks = f"{len(result.prompts)} click{'' if len(result.prompts) == 1 else 's'}"
        origin = " of the truth" if bench.args.draw else ""
        return Found.of(
            _refined(bench, result) if refine else result.proposals,
            clicks + origin,
            settings={
                **asdict(wanted.settings),
                "diameter_angstrom": result.diameter_angstrom,
                "prompts_xyz": result.prompts.points_zyx[:, ::-1].tolist(),
            },
        )

    return pick


def _refined(bench: _Bench, result: Result) -> Picks:
    """The proposals judged again with the average of the picks."""
    from aitom_cryosam.averaging.refinement import refined
    from aitom_cryosam.averaging.sources import Source

    source = Source(
        result.tomogram,
        result.picks,
        result.prompts.points_zyx[result.prompts.kept],
        result.masks,
        averaging.wedge_of(bench.args, result.tomogram),
    )
    settings = averaging.usual_settings(result.diameter_angstrom)
    outcome = refined([source], [result.proposals], settings, progress=bench.progress)
    if outcome.kept_earlier:
        logger.warning("%s: the earlier verdict stays: %s.", REFINED, outcome.kept_earlier)
    return outcome.proposals[0]


def _job(bench: _Bench) -> Job:
    """With the clicks, or points of the truth in their place."""
    from aitom_cryosam.job import Job

    resources = machine.resources(bench.args)
    return Job(
        tomogram=bench.tomogram,
        settings=method.settings(bench.args, resources),
        resources=resources,
        prompts=tuple(_prompts(bench).points_zyx[:, ::-1].tolist()),
    )


def _prompts(bench: _Bench) -> Picks:
    from aitom_cryosam.cli import options
    from aitom_cryosam.points.prompts import read_prompts

    args, texts = bench.args, list(bench.args.prompt)
    if args.draw is not None:
        if args.prompt or args.prompts:
            raise InputError("Expected prompts or --draw, got both; leave one out.")
        texts = _drawn(bench.truth, args.draw, args.seed)
        logger.info("Prompts taken from the truth, seed %d: %s.", args.seed, " ".join(texts))
    elif not (args.prompt or args.prompts):
        raise InputError(
            f"{CRYOSAM} needs a prompt; add --prompt X,Y,Z, --prompts FILE, or --draw N to take N "
            "points of the truth."
        )
    options.refuse_pixel_size_alone(args)
    return read_prompts(
        bench.tomogram,
        texts,
        args.prompts,
        coords_angpix=args.coords_angpix,
        tilt_series=bench.tilt_series,
    )


def _drawn(truth: Picks, number: int, seed: int) -> list[str]:
    """X,Y,Z of some true particles; those of a smaller number are among those of a larger."""
    import numpy as np

    if not 1 <= number <= len(truth):
        raise InputError(
            f"Expected --draw from 1 to {len(truth)}, the particles of the truth, got {number}."
        )
    chosen = np.random.default_rng(seed).permutation(len(truth))[:number]
    return [",".join(map("{:g}".format, row)) for row in truth.points_zyx[chosen, ::-1]]


def _dog(bench: _Bench) -> Callable[[], Found]:
    from aitom_cryosam import baselines

    baselines.need_aitom()
    return partial(baselines.dog, bench.tomogram, diameter=bench.diameter)


def _template_matching(bench: _Bench) -> Callable[[], Found]:
    from aitom_cryosam import baselines

    args = bench.args
    baselines.need_aitom()
    if args.template is None:
        raise InputError(f"{TEMPLATE} needs a density map of the particle; add --template MAP.")
    template = baselines.read_template(
        args.template,
        bench.tomogram.voxel_size,
        contrast=args.template_contrast,
        map_voxel_size=args.template_voxel_size,
        binning=args.binning,
    )
    return baselines.TemplateMatching(
        bench.tomogram,
        template,
        diameter=bench.diameter,
        angular_step=args.angular_step,
        binning=args.binning,
        processes=args.threads,
        resources=machine.resources(args),
        progress=bench.progress,
    ).run


METHODS: dict[str, Callable[[_Bench], Callable[[], Found]]] = {
    CRYOSAM: _cryosam,
    REFINED: partial(_cryosam, refine=True),
    DOG: _dog,
    TEMPLATE: _template_matching,
}


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


def _notes(bench: _Bench) -> str:
    args = bench.args
    of_class = f" of class {args.particle_class}" if args.particle_class else ""
    return (
        f"\n{len(bench.truth)} particles{of_class}, matched one to one within {args.radius:g} Å. "
        "AP: along all candidates,\nalso those below a method's threshold.\n"
        "* threshold chosen with the truth: no user could; the other columns are at each method's "
        "own."
    )


def _matrix(found: Mapping[str, Found], agreement: Mapping[tuple[str, str], Agreement]) -> str:
    """Shared / only the row's / only the column's, above a diagonal of the numbers of picks."""
    names = list(found)
    rows = [["shared/only row/only column", *names]]
    for i, name in enumerate(names):
        pairs = [agreement[name, other] for other in names[i + 1 :]]
        cells = [f"{one.shared}/{one.only_first}/{one.only_second}" for one in pairs]
        rows.append([name, *[""] * i, f"{len(found[name].picks)}", *cells])
    return aligned(rows)


def _write(
    bench: _Bench,
    paths: Mapping[str, Path],
    compared: Mapping[str, Compared],
    agreement: Mapping[tuple[str, str], Agreement],
) -> None:
    from aitom_cryosam.evaluation.comparison import method_report
    from aitom_cryosam.evaluation.curves import write_comparison
    from aitom_cryosam.files import output_folder, write_text
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
