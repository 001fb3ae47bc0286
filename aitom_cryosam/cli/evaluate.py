"""`cryosam evaluate`: picks against known positions."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aitom_cryosam.cli import options, resolution
from aitom_cryosam.cli.arguments import add_count, add_length, add_number
from aitom_cryosam.cli.evaluation_output import Evaluated, as_json, table
from aitom_cryosam.cli.options import add_matching
from aitom_cryosam.cli.tilt_series_options import add_tilt_series, tilt_series_of, tomograms_of
from aitom_cryosam.errors import InputError

if TYPE_CHECKING:
    from aitom_cryosam.evaluation import Evaluation
    from aitom_cryosam.evaluation.angles import AngularErrors
    from aitom_cryosam.evaluation.labels import LabelEvaluation
    from aitom_cryosam.evaluation.pairing import Searched
    from aitom_cryosam.evaluation.surface import SurfaceDistances

logger = logging.getLogger(__name__)

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
    parser.add_argument(
        "truth",
        metavar="TRUTH",
        help="file with the known positions, or a folder of such files, each called after its "
        "tomogram",
    )
    add_length(
        parser,
        "--voxel-size",
        "of the tomograms; needed if PICKS does not state it, as those of `pick` do",
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
        help="count the particles of tomograms without picks as missed (default: these tomograms "
        "are left out)",
    )
    parser.add_argument(
        "--symmetry",
        default="C1",
        metavar="C1...I",
        help="of the particle, for the angular error of oriented picks (default: C1)",
    )
    add_number(parser, "--beta", "B", "also F-beta: recall counts B times as much")
    add_count(
        parser,
        "--resamples",
        "for the 95 %% intervals, bootstrap over tomograms (default: 1000)",
        default=1000,
    )
    add_count(parser, "--seed", "of the resamples (default: 0)", default=0)
    _add_files(parser)


def _add_labels(parser: argparse.ArgumentParser) -> None:
    labels = parser.add_argument_group("masks", "of one tomogram")
    labels.add_argument("--labels", metavar="MRC", help="instance labels of the picks")
    labels.add_argument(
        "--truth-labels",
        metavar="MRC",
        help="true ones; with --class, label n is the tomogram's row n in TRUTH",
    )
    add_number(
        labels, "--iou", "T", f"overlap from which on two instances match (default: {_IOU:g})"
    )
    add_count(
        labels,
        "--truth-label",
        "count only this label of the true ones, as -1 of the membranes of `simulate`",
    )
    add_length(
        labels,
        "--tolerance",
        "a voxel this close to a true one counts as right in the last rows (default: 0)",
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
    from aitom_cryosam.evaluation.counting import Matched, doubt
    from aitom_cryosam.evaluation.pairing import read_searched
    from aitom_cryosam.outputs import ready_to_write

    files = [path for path in (args.json, args.curve, args.histogram) if path]
    ready_to_write(files, overwrite=args.overwrite)
    for path in filter(None, (args.curve, args.histogram)):
        if not path.lower().endswith(".png"):
            raise InputError(f"Expected a PNG file to write, such as curve.png, got {path}.")
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
    found = _evaluated(args, searched)
    matched = [
        Matched(
            one.picks.picks.points_zyx,
            one.truth.picks.points_zyx,
            found.evaluations[one.name].pairs,
            one.voxel_size,
            one.picks.shape_zyx or one.truth.shape_zyx,
        )
        for one in searched
    ]
    if doubted := doubt(matched, args.radius, args.truth_angpix):
        logger.warning("%s.", doubted)
    print(table(args, found))
    _write(args, found)
    return 0


def _evaluated(args: argparse.Namespace, searched: Sequence[Searched]) -> Evaluated:
    from aitom_cryosam.evaluation import evaluate, summarise

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
    masks = _masks(args, searched)
    angles = _angles(args, searched, evaluations)
    averages = resolution.averages(args, searched)  # takes minutes: after what may be refused
    return Evaluated(
        searched,
        evaluations,
        summary,
        recalls=_class_recalls(summary.total, searched),
        masks=masks,
        angles=averages.angles if averages and angles is None else angles,
        averages=averages,
    )


def _write(args: argparse.Namespace, found: Evaluated) -> None:
    """The files that were asked for."""
    from aitom_cryosam.evaluation.curves import write_curve, write_histograms
    from aitom_cryosam.files import write_text

    total, overwrite = found.summary.total, args.overwrite
    if args.curve:
        parts = list(found.evaluations.values()) if len(found.evaluations) > 1 else []
        name = "all tomograms" if parts else found.searched[0].name
        write_curve(args.curve, {name: total}, parts=parts, overwrite=overwrite)
    if args.histogram:
        write_histograms(args.histogram, total, radius=args.radius, overwrite=overwrite)
    if args.json:
        content = json.dumps(as_json(args, found), indent=1)
        write_text(args.json, content + "\n", overwrite=overwrite)


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

    from aitom_cryosam.beside import record_beside
    from aitom_cryosam.evaluation.labels import evaluate_labels
    from aitom_cryosam.evaluation.surface import surface_distances
    from aitom_cryosam.volumes.reading import read_volume

    paths = args.labels, args.truth_labels
    if paths == (None, None):
        sentence = "{} is for --labels; add them, or leave it out."
        options.refuse(args, ("iou", "truth_label", "tolerance"), sentence)
        return None
    if None in paths:
        raise InputError("--labels and --truth-labels belong together; give both.")
    if len(searched) > 1:
        raise InputError(
            f"--labels is for one tomogram, but picks of {len(searched)} are compared."
        )
    (one,) = searched
    record_beside(Path(args.labels), only_this=True)
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
