"""Evaluated: all numbers of an evaluation, as the table that is printed and as JSON."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aitom_cryosam.cli import resolution
from aitom_cryosam.cli.tables import aligned, number

if TYPE_CHECKING:
    from aitom_cryosam.evaluation import Evaluation, Summary
    from aitom_cryosam.evaluation.angles import AngularErrors
    from aitom_cryosam.evaluation.labels import LabelEvaluation
    from aitom_cryosam.evaluation.pairing import Searched
    from aitom_cryosam.evaluation.surface import SurfaceDistances


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What was measured.

    Attributes:
        searched: picks and truth of each tomogram.
        evaluations: of each, by name.
        summary: of all.
        recalls: share of each class of the truth that was found; empty where there is one.
        masks: of the only tomogram, where label volumes were given.
        angles: of the picks' rotations, or of those in their average; None without any.
        averages: of picks and truth, where they were asked for.
    """

    searched: Sequence[Searched]
    evaluations: Mapping[str, Evaluation]
    summary: Summary
    recalls: Mapping[str, float]
    masks: tuple[LabelEvaluation, SurfaceDistances] | None
    angles: AngularErrors | None
    averages: resolution.Averages | None

    @property
    def angles_of_averages(self) -> bool:
        """Whether the angular errors are not of the picks' own rotations."""
        return self.averages is not None and self.angles is self.averages.angles


def table(args: argparse.Namespace, found: Evaluated) -> str:
    """For people: everything of one tomogram, or a row for each of several."""
    further = [(f"recall of {name}", number(recall)) for name, recall in found.recalls.items()]
    if angles := found.angles:
        parts = ", ".join(
            f"{axis} {part:.1f}°" for axis, part in zip("xyz", angles.median_about_xyz, strict=True)
        )
        of_averages = found.angles_of_averages
        against = ", against the average of the true positions" if of_averages else ""
        further.append(
            (
                "angular error",
                f"{angles.median:.1f}° (median, {angles.symmetry.name}, up to one rotation common "
                f"to all{against}); about {parts}",
            )
        )
    if found.averages:
        picks, true = (number(one, "{:.1f} Å") for one in found.averages[:2])
        further.append(("resolution", f"{picks} (of the true positions {true})"))
    if found.masks:
        further += _mask_rows(*found.masks, args.tolerance)
    if len(found.evaluations) == 1:
        return aligned(_rows(args, found.summary.total) + further, left=(0, 1))
    notes = [("matched", f"within {args.radius:g} Å"), *further]
    grid = _grid(args, found.evaluations, found.summary)
    return f"{grid}\n\n{aligned(notes, left=(0, 1))}"


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


def as_json(args: argparse.Namespace, found: Evaluated) -> dict[str, Any]:
    """What the table says, and the curves; null where there is no number."""
    from aitom_cryosam.evaluation import LEVEL

    beta = args.beta or 1
    summary, angles, averages = found.summary, found.angles, found.averages
    report = {
        "picks": args.picks,
        "truth": args.truth,
        "class": args.particle_class,
        "radius_angstrom": args.radius,
        "voxel_size_angstrom": found.searched[0].voxel_size,
        "beta": beta,
        **_numbers(summary.total, beta),
        "recall_by_class": found.recalls,
        "tomograms": {
            one.name: {
                "voxel_size_angstrom": one.voxel_size,
                **_numbers(found.evaluations[one.name], beta),
            }
            for one in found.searched
        },
        "mean": summary.mean,
        "intervals": {
            "level": LEVEL,
            "resamples": args.resamples,
            "seed": args.seed,
            "total": summary.total_interval,
            "mean": summary.mean_interval,
        },
        "masks": _mask_numbers(*found.masks) if found.masks else None,
    }
    return _without_nan(report) | {
        "angular_error_degrees": angles
        and {
            "median": angles.median,
            "median_about_xyz": angles.median_about_xyz,
            "symmetry": angles.symmetry.name,
            "of_averages": found.angles_of_averages,
            "each": angles.degrees.round(3).tolist(),
        },
        "resolution_angstrom": averages
        and _without_nan({"picks": averages.picks, "truth": averages.truth}),
    }


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
