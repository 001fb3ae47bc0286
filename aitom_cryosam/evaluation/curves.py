"""Pictures of evaluations: precision-recall curves, histograms of scores and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation.points import Evaluation
from aitom_cryosam.files import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aitom_cryosam.evaluation.comparison import Compared

TRUE, FALSE, GREY = "#1f77b4", "#d9822b", "0.8"
_BINS = 20


def write_curve(
    path: str | Path,
    evaluations: Mapping[str, Evaluation],
    *,
    parts: Sequence[Evaluation] = (),
    overwrite: bool = False,
) -> None:
    """Write a PNG of precision against recall; the dot stands for all picks.

    Args:
        path: to write.
        evaluations: by the name in the legend, as one total or several methods; all scored.
        parts: thin grey lines, as the tomograms of a total.
        overwrite: replace an existing file.

    Raises:
        InputError: picks without scores, or the file exists or cannot be written.
    """
    for name, one in evaluations.items():
        if len(one.curve_recall) < one.n_picks:
            missing = int((~np.isfinite(one.scores)).sum())
            raise InputError(
                f"{missing} of the {one.n_picks} picks of {name} have no score; a "
                "precision-recall curve needs one for each pick."
            )
    figure, (axes,) = _figure(1)
    _show_f1(axes)
    for i, one in enumerate(parts):
        label = "each tomogram" if i == 0 else None
        axes.plot(one.curve_recall, one.curve_precision, color=GREY, lw=0.8, label=label)
    for name, one in evaluations.items():
        label = f"{name}: AP {one.average_precision:.2f}, F1 {one.f1:.2f}"
        (line,) = axes.plot(one.curve_recall, one.curve_precision, lw=2, label=label)
        axes.plot(one.recall, one.precision, "o", color=line.get_color(), ms=7, clip_on=False)
    axes.legend(loc="lower left", frameon=False)
    _save(figure, path, overwrite)


def write_comparison(
    path: str | Path, compared: Mapping[str, Compared], *, overwrite: bool = False
) -> None:
    """Write a PNG: every method's curve with a dot at its own threshold, and bars of F1.

    Args:
        path: to write.
        compared: by the method's name; one without scores has only its dot.
        overwrite: replace an existing file.

    Raises:
        InputError: the file exists or cannot be written.
    """
    figure, (curves, bars) = _figure(2)
    _show_f1(curves)
    for row, (name, one) in enumerate(compared.items()):
        colour, all_found = f"C{row}", one.candidates.curve_recall.max(initial=0)
        # Beyond the last true particle a curve only falls; it is drawn down to the dot.
        last = int(np.searchsorted(one.candidates.curve_recall, all_found)) + 1
        end = max(last, one.picks.n_picks)
        shown = one.candidates.curve_recall[:end], one.candidates.curve_precision[:end]
        curves.plot(*shown, lw=2, color=colour, label=f"{name}: AP {one.average_precision:.2f}")
        dot: dict[str, Any] = {
            "color": colour,
            "ms": 8,
            "mec": "white",
            "clip_on": False,
            "zorder": 3,
        }
        curves.plot(one.picks.recall, one.picks.precision, "o", **dot)
        best = one.best[0]
        bars.barh(row, best, height=0.7, color=colour, alpha=0.3)
        bars.barh(row, one.picks.f1, height=0.7, color=colour)
        chosen = f" ({best:.2f})" if np.isfinite(best) else ""
        bars.text(1.02, row, f"{one.picks.f1:.2f}{chosen}", va="center")
    curves.legend(loc="lower left", frameon=False)
    bars.set_yticks(range(len(compared)), list(compared))
    bars.invert_yaxis()
    bars.set(xlim=(0, 1), xlabel="F1 (pale: threshold chosen with the truth)")
    _save(figure, path, overwrite)


def write_histograms(
    path: str | Path, evaluation: Evaluation, *, radius: float, overwrite: bool = False
) -> None:
    """Write a PNG of two histograms: scores of true and false picks, localisation errors.

    Args:
        path: to write.
        evaluation: of one tomogram, or pooled.
        radius: Å, that pairs may be apart.
        overwrite: replace an existing file.

    Raises:
        InputError: the file exists or cannot be written.
    """
    figure, (scores, errors) = _figure(2)
    _show_scores(scores, evaluation)
    errors.hist(evaluation.distances, bins=np.linspace(0, radius, _BINS + 1).tolist(), color=TRUE)
    if len(evaluation.distances):
        median = evaluation.localisation_error
        errors.axvline(median, color="black", lw=1, label=f"median {median:.1f} Å")
        errors.legend(frameon=False)
    errors.set(xlim=(0, radius), xlabel="localisation error (Å)", ylabel="matched picks")
    _save(figure, path, overwrite)


def _show_f1(axes: Axes) -> None:
    """Precision against recall, with lines of equal F1."""
    for level in np.arange(0.1, 1, 0.1):
        recall = np.linspace(level / (2 - level) + 1e-6, 1, 200)
        axes.plot(recall, level * recall / (2 * recall - level), color="0.92", lw=0.8, zorder=0)
        axes.text(1.005, level / (2 - level), f"{level:.1f}", fontsize=7, color="0.6", va="center")
    axes.text(1.005, 1.0, "F1", fontsize=7, color="0.6", va="center")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")


def _show_scores(axes: Axes, evaluation: Evaluation) -> None:
    """Both kinds on the same bins, one over the other."""
    scored = np.isfinite(evaluation.scores)
    scores, paired = evaluation.scores[scored], evaluation.paired[scored]
    axes.set(xlabel="score", ylabel="picks")
    if not len(scores):
        axes.text(0.5, 0.5, "no scores", transform=axes.transAxes, ha="center", color="0.5")
        return
    bins = np.histogram_bin_edges(scores, _BINS)
    axes.hist(
        [scores[paired], scores[~paired]],
        bins=bins.tolist(),
        stacked=True,
        color=[TRUE, FALSE],
        label=[f"true: {paired.sum()}", f"false: {(~paired).sum()}"],
    )
    axes.legend(frameon=False)


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1 + 5 * panels, 4.5), facecolor="white", layout="constrained")
    axes = [figure.add_subplot(1, panels, i + 1) for i in range(panels)]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: str | Path, overwrite: bool) -> None:
    with writing(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
