"""`cryosam evaluate`: picks against known positions."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING, Any

from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.evaluation import Evaluation
    from aitom_cryosam.io.points import PointFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cryosam evaluate`."""
    parser.add_argument("picks", metavar="PICKS", help="STAR or CSV; every row counts as a pick")
    parser.add_argument("truth", metavar="TRUTH", help="STAR or CSV with the known positions")
    parser.add_argument(
        "--radius",
        type=float,
        required=True,
        metavar="ANGSTROM",
        help="a pick this close to a particle may be it, one pick to one particle",
    )
    parser.add_argument(
        "--class",
        dest="particle_class",
        metavar="NAME",
        help="count only this class of the truth (column particleClass)",
    )
    parser.add_argument(
        "--voxel-size",
        type=float,
        metavar="ANGSTROM",
        help="of the tomogram; needed if PICKS does not state it, as those of `pick` do",
    )
    parser.add_argument(
        "--truth-angpix",
        type=float,
        metavar="ANGSTROM",
        help="pixel size that TRUTH is written in, if not the tomogram's",
    )
    parser.add_argument("--json", metavar="FILE", help="also write all numbers and the PR curve")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def run(args: argparse.Namespace) -> int:
    """Print the table, write the JSON file.

    Raises:
        InputError: a file or option cannot be used, or picks and truth do not fit together.
    """
    from aitom_cryosam.evaluation import evaluate
    from aitom_cryosam.io.files import refuse_existing, write_text

    if args.json:
        refuse_existing([args.json], overwrite=args.overwrite)
    picks, truth, voxel_size = _read(args)
    evaluation = evaluate(picks.picks, truth.picks, radius=args.radius, voxel_size=voxel_size)
    recalls = _class_recalls(evaluation, truth)
    print(_table(args, evaluation, recalls))
    if args.json:
        report = _report(args, evaluation, recalls, voxel_size)
        write_text(args.json, json.dumps(report, indent=1) + "\n", overwrite=args.overwrite)
    return 0


def _read(args: argparse.Namespace) -> tuple[PointFile, PointFile, float]:
    """Picks and truth of one tomogram, in voxels of one size, and that size."""
    from aitom_cryosam.io.points import of_tomogram, read_points
    from aitom_cryosam.io.star import relion_name

    picks = read_points(args.picks, voxel_size=args.voxel_size)
    voxel_size = args.voxel_size or picks.voxel_size
    if voxel_size is None:
        if len(picks.picks):
            raise InputError(f"{args.picks} states no voxel size; add --voxel-size ANGSTROM.")
        voxel_size = 1.0  # of no consequence
    truth = read_points(args.truth, voxel_size=voxel_size, coords_angpix=args.truth_angpix)
    names = sorted({relion_name(name) for name in picks.names or ()})
    if len(names) > 1:
        raise InputError(f"{args.picks} has picks of {len(names)} tomograms; expected one.")
    for name in names:
        truth = of_tomogram(truth, name)
    if args.particle_class is not None:
        truth = _of_class(truth, args.particle_class)
    return picks, truth, voxel_size


def _of_class(truth: PointFile, wanted: str) -> PointFile:
    import numpy as np

    if truth.classes is None:
        raise InputError(f"{truth.path} has no column particleClass; leave --class out.")
    chosen = np.array(truth.classes) == wanted
    if not chosen.any():
        known = ", ".join(sorted(set(truth.classes)))
        raise InputError(f"{truth.path} has no class {wanted!r}; expected one of {known}.")
    return truth.take(chosen)


def _class_recalls(evaluation: Evaluation, truth: PointFile) -> dict[str, float]:
    """Of one matching with all particles, the share of each class that was found."""
    classes = truth.classes or ()
    if len(set(classes)) < 2:
        return {}
    found = [classes[true] for true in evaluation.pairs[:, 1]]
    return {name: found.count(name) / classes.count(name) for name in sorted(set(classes))}


def _table(args: argparse.Namespace, evaluation: Evaluation, recalls: dict[str, float]) -> str:
    of_class = f" of class {args.particle_class}" if args.particle_class else ""
    rows = [
        ("picks", f"{evaluation.n_picks}"),
        ("particles", f"{evaluation.n_truth}{of_class}"),
        ("matched", f"{len(evaluation.pairs)} within {args.radius:g} Å"),
        ("precision", _text(evaluation.precision)),
        ("recall", _text(evaluation.recall)),
        ("F1", _text(evaluation.f1)),
        ("average precision", _text(evaluation.average_precision)),
        ("localisation error", _text(evaluation.localisation_error, "{:.1f} Å (median)")),
        *((f"recall of {name}", _text(recall)) for name, recall in recalls.items()),
    ]
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:{width}}  {value}" for label, value in rows)


def _text(value: float, template: str = "{:.3f}") -> str:
    return template.format(value) if math.isfinite(value) else "-"


def _report(
    args: argparse.Namespace,
    evaluation: Evaluation,
    recalls: dict[str, float],
    voxel_size: float,
) -> dict[str, Any]:
    """What the table says and the curve; null where there is no number."""
    numbers = {
        name: value if math.isfinite(value) else None
        for name in ("precision", "recall", "f1", "average_precision", "localisation_error")
        for value in [getattr(evaluation, name)]
    }
    return {
        "picks": args.picks,
        "truth": args.truth,
        "class": args.particle_class,
        "radius_angstrom": args.radius,
        "voxel_size_angstrom": voxel_size,
        "n_picks": evaluation.n_picks,
        "n_truth": evaluation.n_truth,
        "n_matched": len(evaluation.pairs),
        **numbers,
        "recall_by_class": recalls,
        "curve": {
            "recall": evaluation.curve_recall.tolist(),
            "precision": evaluation.curve_precision.tolist(),
        },
    }
