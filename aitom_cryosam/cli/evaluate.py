"""`cryosam evaluate`: picks against known positions."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitom_cryosam.cli import options, resolution
from aitom_cryosam.cli.options import add_matching
from aitom_cryosam.cli.tables import aligned, number
from aitom_cryosam.cli.tilt_series import add_tilt_series, tilt_series_of, tomograms_of
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.evaluation import Evaluation, Summary
    from aitom_cryosam.evaluation.angles import AngularErrors
    from aitom_cryosam.evaluation.labels import LabelEvaluation
    from aitom_cryosam.evaluation.pairing import Searched
    from aitom_cryosam.evaluation.surface import SurfaceDistances

_IOU = 0.5
"""Overlap of masks, if none is typed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam evaluate`."""
    parser.add_argument(
        "picks",
        metavar="PICKS",
        nargs="+",
        help="files with picks of one or several tomograms, every row counts; or folders with "
        "results of `pick`",
    )
    parser.add_argument("truth", metavar="TRUTH", help="file with the known positions")
    parser.add_argument(
        "--voxel-size",
        type=float,
        metavar="ANGSTROM",
        help="of the tomograms; needed if PICKS does not state it, as those of `pick` do",
    )
    add_options(parser)
    resolution.add_options(parser)
    _add_labels(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """How picks and truth are compared, and what is written."""
    add_matching(parser)
    add_tilt_series(parser)
    parser.add_argument(
        "--count-unpicked",
        action="store_true",
        help="tomograms of TRUTH without picks were searched too: their particles are missed "
        "(default: they are left out)",
    )
    parser.add_argument(
        "--symmetry",
        default="C1",
        metavar="C1...I",
        help="of the particle, for the angular error of oriented picks (default: C1)",
    )
    parser.add_argument(
        "--beta", type=float, metavar="B", help="also F-beta: recall counts B times as much"
    )
    parser.add_argument(
        "--resamples",
        type=int,
        default=1000,
        metavar="N",
        help="for the 95 %% intervals, bootstrap over tomograms (default: 1000)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the resamples (default: 0)"
    )
    _add_files(parser)


def _add_labels(parser: argparse.ArgumentParser) -> None:
    labels = parser.add_argument_group("masks", "of one tomogram")
    labels.add_argument("--labels", metavar="MRC", help="instance labels of the picks")
    labels.add_argument(
        "--truth-labels",
        metavar="MRC",
        help="true ones; with --class, label n is the tomogram's row n in TRUTH",
    )
    labels.add_argument(
        "--iou",
        type=float,
        metavar="T",
        help=f"overlap from which on two instances match (default: {_IOU:g})",
    )
    labels.add_argument(
        "--truth-label",
        type=int,
        metavar="N",
        help="count only this label of the true ones, as -1 of the membranes of `simulate`",
    )
    labels.add_argument(
        "--tolerance",
        type=float,
        metavar="ANGSTROM",
        help="a voxel this close to a true one counts as right in the last rows (default: 0)",
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    files = parser.add_argument_group("files")
    files.add_argument("--curve", metavar="PNG", help="draw precision against recall")
    files.add_argument(
        "--histogram", metavar="PNG", help="draw the scores of true and false picks, and errors"
    )
    files.add_argument("--json", metavar="FILE", help="all numbers and the PR curves")
    files.add_argument("--overwrite", action="store_true", help="replace existing files")


def run(args: argparse.Namespace) -> int:
    """Print the table, write the files.

    Raises:
        InputError: a file or option cannot be used, or picks and truth do not fit together.
    """
    from aitom_cryosam.evaluation import evaluate, summarise
    from aitom_cryosam.evaluation.curves import write_curve, write_histograms
    from aitom_cryosam.evaluation.pairing import read_searched
    from aitom_cryosam.files import ready_to_write, write_text

    files = [path for path in (args.json, args.curve, args.histogram) if path]
    ready_to_write(files, overwrite=args.overwrite)
    for path in filter(None, (args.curve, args.histogram)):
        if not path.lower().endswith(".png"):
            raise InputError(f"Expected a picture to write, as curve.png, got {path}.")
    searched = read_searched(
        getattr(args, "points", args.picks),  # of a project, read by its names
        args.truth,
        voxel_size=args.voxel_size,
        truth_angpix=args.truth_angpix,
        particle_class=args.particle_class,
        count_unpicked=args.count_unpicked,
        tilt_series=tilt_series_of(args),
        tomograms=tomograms_of(args),
    )
    holds_truth = any(len(one.truth.picks) for one in searched)
    evaluations = {
        one.name: evaluate(
            one.picks.picks,
            one.truth.picks,
            radius=args.radius,
            voxel_size=one.voxel_size,
            empty_truth=holds_truth,
        )
        for one in searched
    }
    summary = summarise(
        list(evaluations.values()),
        beta=1 if args.beta is None else args.beta,
        resamples=args.resamples,
        seed=args.seed,
    )
    recalls = _class_recalls(summary.total, searched)
    masks = _masks(args, searched)
    angles = _angles(args, searched, evaluations)
    averages = resolution.averages(args, searched)
    of_averages = angles is None
    if averages and of_averages:
        angles = averages.angles
    print(_table(args, evaluations, summary, recalls, masks, angles, averages, of_averages))
    if args.curve:
        parts = list(evaluations.values()) if len(evaluations) > 1 else []
        name = "all tomograms" if parts else searched[0].name
        write_curve(args.curve, {name: summary.total}, parts=parts, overwrite=args.overwrite)
    if args.histogram:
        write_histograms(
            args.histogram, summary.total, radius=args.radius, overwrite=args.overwrite
        )
    if args.json:
        report = _report(args, searched, evaluations, summary, recalls, masks)
        report["angular_error_degrees"] = angles and {
            "median": angles.median,
            "median_about_xyz": angles.median_about_xyz,
            "symmetry": angles.symmetry.name,
            "of_averages": of_averages,
            "each": angles.degrees.round(3).tolist(),
        }
        report["resolution_angstrom"] = averages and _without_nan(
            {"picks": averages.picks, "truth": averages.truth}
        )
        write_text(args.json, json.dumps(report, indent=1) + "\n", overwrite=args.overwrite)
    return 0


def _class_recalls(total: Evaluation, searched: Sequence[Searched]) -> dict[str, float]:
    """Of one matching with all particles, the share of each class that was found."""
    classes = [name for one in searched for name in one.truth.classes or ()]
    if len(set(classes)) < 2:
        return {}
    found = [classes[true] for true in total.pairs[:, 1]]
    return {name: found.count(name) / classes.count(name) for name in sorted(set(classes))}


def _angles(
    args: argparse.Namespace, searched: Sequence[Searched], evaluations: Mapping[str, Evaluation]
) -> AngularErrors | None:
    """Of the matched picks, where both have rotations."""
    from aitom_cryosam.averaging.symmetry import Symmetry
    from aitom_cryosam.evaluation.angles import angular_errors

    tomograms = [(one.picks.picks, one.truth.picks, evaluations[one.name]) for one in searched]
    return angular_errors(tomograms, Symmetry(args.symmetry))


def _masks(
    args: argparse.Namespace, searched: Sequence[Searched]
) -> tuple[LabelEvaluation, SurfaceDistances] | None:
    """The label volumes of the only tomogram against each other, if they are given."""
    import numpy as np

    from aitom_cryosam.evaluation.labels import evaluate_labels
    from aitom_cryosam.evaluation.surface import surface_distances
    from aitom_cryosam.record import record_beside
    from aitom_cryosam.volumes.reading import read_volume

    paths = args.labels, args.truth_labels
    if paths == (None, None):
        sentence = "{} is of --labels; add these, or leave it out."
        options.refuse(args, ("iou", "truth_label", "tolerance"), sentence)
        return None
    if None in paths:
        raise InputError("--labels and --truth-labels belong together; give both.")
    if len(searched) > 1:
        raise InputError(f"--labels is of one tomogram, but picks of {len(searched)} are compared.")
    (one,) = searched
    record_beside(Path(args.labels), alone=True)
    found, truth = (read_volume(path, voxel_size=one.voxel_size).values for path in paths)
    ids = one.truth.picks.ids if args.particle_class and args.truth_label is None else None
    if args.truth_label is not None:
        truth = (truth == args.truth_label).astype("int8")
    iou = _IOU if args.iou is None else args.iou
    overlap = evaluate_labels(found, truth, iou=iou, true_ids=ids)
    inside = truth > 0 if ids is None else np.isin(truth, ids)
    return overlap, surface_distances(
        found > 0, inside, voxel_size=one.voxel_size, tolerance=args.tolerance or 0.0
    )


def _table(
    args: argparse.Namespace,
    evaluations: Mapping[str, Evaluation],
    summary: Summary,
    recalls: dict[str, float],
    masks: tuple[LabelEvaluation, SurfaceDistances] | None,
    angles: AngularErrors | None,
    averages: resolution.Averages | None,
    of_averages: bool,
) -> str:
    further = [(f"recall of {name}", number(recall)) for name, recall in recalls.items()]
    if angles:
        parts = ", ".join(
            f"{axis} {part:.1f}°" for axis, part in zip("xyz", angles.median_about_xyz, strict=True)
        )
        against = ", against the average of the true positions" if of_averages else ""
        further.append(
            (
                "angular error",
                f"{angles.median:.1f}° (median, {angles.symmetry.name}, up to one rotation common "
                f"to all{against}); about {parts}",
            )
        )
    if averages:
        picks, true = (number(one, "{:.1f} Å") for one in averages[:2])
        further.append(("resolution", f"{picks} (of the true positions {true})"))
    if masks:
        further += _mask_rows(*masks, args.tolerance)
    if len(evaluations) == 1:
        return aligned(_rows(args, summary.total) + further, left=(0, 1))
    table = _grid(args, evaluations, summary)
    notes = [("matched", f"within {args.radius:g} Å"), *further]
    return f"{table}\n\n{aligned(notes, left=(0, 1))}"


def _rows(args: argparse.Namespace, evaluation: Evaluation) -> list[tuple[str, str]]:
    """Everything about the only tomogram."""
    of_class = f" of class {args.particle_class}" if args.particle_class else ""
    beta = [(f"F{args.beta:g}", number(evaluation.f_beta(args.beta)))] if args.beta else []
    return [
        ("picks", f"{evaluation.n_picks}"),
        ("particles", f"{evaluation.n_truth}{of_class}"),
        ("matched", f"{len(evaluation.pairs)} within {args.radius:g} Å"),
        ("precision", number(evaluation.precision)),
        ("recall", number(evaluation.recall)),
        ("F1", number(evaluation.f1)),
        *beta,
        ("average precision", number(evaluation.average_precision)),
        ("localisation error", number(evaluation.localisation_error, "{:.1f} Å (median)")),
        ("95 % intervals", "- (need several tomograms)"),
    ]


def _mask_rows(
    masks: LabelEvaluation, surface: SurfaceDistances, tolerance: float | None
) -> list[tuple[str, str]]:
    counts = f"{masks.n_matched} of {masks.n_found} found and {masks.n_truth} true ones"
    return [
        ("masks", f"{counts}, IoU ≥ {masks.iou:g}"),
        ("  precision", number(masks.precision)),
        ("  recall", number(masks.recall)),
        ("  F1", number(masks.f1)),
        (
            "  mean IoU",
            f"{number(masks.mean_iou)} (of matched ones {number(masks.mean_matched_iou)})",
        ),
        ("voxels, IoU", number(masks.voxel_iou)),
        ("  Dice", number(masks.voxel_dice)),
        ("  precision", number(masks.voxel_precision)),
        ("  recall", number(masks.voxel_recall)),
        (
            "  surface distance",
            f"{number(surface.mean, '{:.1f} Å')} (mean), "
            f"{number(surface.percentile95, '{:.1f} Å')} (95 %)",
        ),
        *(
            [
                (f"  precision within {tolerance:g} Å", number(surface.precision)),
                (f"  recall within {tolerance:g} Å", number(surface.recall)),
            ]
            if tolerance
            else []
        ),
    ]


def _grid(args: argparse.Namespace, evaluations: Mapping[str, Evaluation], summary: Summary) -> str:
    """A row for each tomogram, then total and mean with their intervals."""
    from aitom_cryosam.evaluation import metrics

    columns = {"precision": "precision", "recall": "recall", "f1": "F1"}
    columns |= {"f_beta": f"F{args.beta:g}"} if args.beta else {}
    columns |= {"average_precision": "AP", "localisation_error": "error (Å)"}

    def row(name: str, one: Evaluation | None, values: Mapping[str, Any]) -> list[str]:
        counts = (one.n_picks, one.n_truth, len(one.pairs)) if one else ("", "", "")
        return [name, *map(str, counts), *(_cell(key, values[key]) for key in columns)]

    beta = args.beta or 1
    rows = [["tomogram", "picks", "particles", "matched", *columns.values()]]
    rows += [row(name, one, metrics(one, beta)) for name, one in evaluations.items()]
    rows.append(row("total", summary.total, metrics(summary.total, beta)))
    rows.append(row("  95 % interval", None, summary.total_interval or {}))
    rows.append(row("mean", None, summary.mean))
    rows.append(row("  95 % interval", None, summary.mean_interval or {}))
    return aligned(rows)


def _cell(metric: str, value: float | tuple[float, float]) -> str:
    template = "{:.1f}" if metric == "localisation_error" else "{:.3f}"
    ends = value if isinstance(value, tuple) else (value,)
    return "–".join(number(end, template) for end in ends)


def _report(
    args: argparse.Namespace,
    searched: Sequence[Searched],
    evaluations: Mapping[str, Evaluation],
    summary: Summary,
    recalls: dict[str, float],
    masks: tuple[LabelEvaluation, SurfaceDistances] | None,
) -> dict[str, Any]:
    """What the table says, and the curves; null where there is no number."""
    from aitom_cryosam.evaluation import LEVEL

    beta = args.beta or 1
    report = {
        "picks": args.picks,
        "truth": args.truth,
        "class": args.particle_class,
        "radius_angstrom": args.radius,
        "voxel_size_angstrom": searched[0].voxel_size,
        "beta": beta,
        **_numbers(summary.total, beta),
        "recall_by_class": recalls,
        "tomograms": {
            one.name: {
                "voxel_size_angstrom": one.voxel_size,
                **_numbers(evaluations[one.name], beta),
            }
            for one in searched
        },
        "mean": summary.mean,
        "intervals": {
            "level": LEVEL,
            "resamples": args.resamples,
            "seed": args.seed,
            "total": summary.total_interval,
            "mean": summary.mean_interval,
        },
        "masks": _mask_numbers(*masks) if masks else None,
    }
    return _without_nan(report)


def _numbers(evaluation: Evaluation, beta: float) -> dict[str, Any]:
    from aitom_cryosam.evaluation import metrics

    paired = evaluation.paired
    return {
        "n_picks": evaluation.n_picks,
        "n_truth": evaluation.n_truth,
        "n_matched": len(evaluation.pairs),
        **metrics(evaluation, beta),
        "distances_angstrom": evaluation.distances.tolist(),
        "scores": {
            "true": evaluation.scores[paired].tolist(),
            "false": evaluation.scores[~paired].tolist(),
        },
        "curve": {
            "recall": evaluation.curve_recall.tolist(),
            "precision": evaluation.curve_precision.tolist(),
        },
    }


def _mask_numbers(masks: LabelEvaluation, surface: SurfaceDistances) -> dict[str, Any]:
    names = [
        *("iou", "n_found", "n_truth", "n_matched", "precision", "recall", "f1", "mean_iou"),
        *("mean_matched_iou", "voxel_dice", "voxel_iou", "voxel_precision"),
        "voxel_recall",
    ]
    return {name: getattr(masks, name) for name in names} | {
        "surface_distance_angstrom": {"mean": surface.mean, "percentile95": surface.percentile95},
        "within_tolerance": {"precision": surface.precision, "recall": surface.recall},
        "pairs": [
            {"label": found, "truth_label": true, "iou": overlap}
            for (found, true), overlap in zip(masks.pairs.tolist(), masks.ious, strict=True)
        ],
    }


def _without_nan(value: Any) -> Any:
    """The same with None, null in JSON, for every number that is not finite."""
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
