"""Methods against a truth of four particles in a row, 10 voxels of 10 Å apart."""

import numpy as np
import pytest

from aitom_cryosam.evaluation.comparison import (
    Agreement,
    MethodPicks,
    agreements,
    compare,
    method_report,
)
from aitom_cryosam.evaluation.curves import write_comparison
from aitom_cryosam.picks import Picks

SAME = {"radius": 15.0, "voxel_size": 10.0}


def row(xs: list[float], scores: list[float] | None = None) -> Picks:
    return Picks.from_points(np.array([[5, 7, x] for x in xs]).reshape(-1, 3), scores)


TRUTH = row([0, 10, 20, 30])


@pytest.fixture
def scored() -> MethodPicks:
    """Two of its three picks are true, and the better one of two below its threshold."""
    candidates = row([0, 50, 10, 20, 60], [0.9, 0.8, 0.7, 0.6, 0.5])
    return MethodPicks(candidates.reject([3, 4], "below the threshold"), "1 click", 2.5, {"s1": 3})


@pytest.fixture
def unscored() -> MethodPicks:
    return MethodPicks(row([1, 30]), "file")


def test_a_method_counts_at_its_own_threshold_and_its_curve_goes_on(scored: MethodPicks) -> None:
    report = method_report(compare(scored, TRUTH, **SAME))
    assert report == {
        "picks": 3,
        "matched": 2,
        "precision": pytest.approx(2 / 3),
        "recall": 0.5,
        "f1": pytest.approx(4 / 7),
        "average_precision": pytest.approx((1 + 2 / 3 + 3 / 4) / 4),
        "localisation_error": 0.0,
        "seconds": 2.5,
        "annotations": "1 click",
        "settings": {"s1": 3},
        "candidates": 5,
        "threshold_chosen_with_the_truth": {"f1": 0.75, "picks": 4, "threshold": 0.6},
        # without the last candidate: nothing true comes after the fourth
        "curve": {
            "recall": [0.25, 0.25, 0.5, 0.75],
            "precision": [1.0, 0.5, pytest.approx(2 / 3), 0.75],
        },
    }


def test_without_scores_there_is_no_curve(unscored: MethodPicks) -> None:
    report = method_report(compare(unscored, TRUTH, **SAME))
    assert (report["precision"], report["recall"], report["localisation_error"]) == (1, 0.5, 5)
    assert report["average_precision"] is None
    assert report["threshold_chosen_with_the_truth"] == {"f1": None, "picks": 0, "threshold": None}
    assert report["curve"] == {"recall": [], "precision": []}


def test_a_method_that_found_nothing(scored: MethodPicks) -> None:
    nothing = MethodPicks(row([], []), "none")
    report = method_report(compare(nothing, TRUTH, **SAME))
    assert (report["picks"], report["f1"], report["precision"]) == (0, 0.0, None)
    assert agreements({"a": scored, "b": nothing}, **SAME) == {("a", "b"): Agreement(0, 3, 0)}


def test_agreement_is_one_to_one_within_the_radius(
    scored: MethodPicks, unscored: MethodPicks
) -> None:
    third = MethodPicks(row([0, 1, 11.6]), "file")  # two at the first particle, one too far off
    assert agreements({"a": scored, "b": unscored, "c": third}, **SAME) == {
        ("a", "b"): Agreement(1, 2, 1),
        ("a", "c"): Agreement(1, 2, 2),
        ("b", "c"): Agreement(1, 1, 2),
    }


def test_proposals_that_no_threshold_would_bring_back_are_no_candidates() -> None:
    picks = row([0, 10, 20, 30], [0.4, 0.3, 0.2, 0.1])
    for index, reason in enumerate(["", "duplicate", "no_mask", "chance"]):
        picks = picks.reject([index], reason) if reason else picks
    found = MethodPicks.of(picks, "file")
    assert found.candidates.points_zyx[:, 2].tolist() == [0, 30]
    assert found.picks.points_zyx[:, 2].tolist() == [0]


def test_the_figure_has_a_curve_a_dot_and_two_bars_for_each(
    tmp_path, monkeypatch, scored: MethodPicks, unscored: MethodPicks
) -> None:
    from matplotlib.figure import Figure

    saved, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (saved.append(self), save(self, *a, **k))
    )
    compared = {name: compare(one, TRUTH, **SAME) for name, one in [("a", scored), ("b", unscored)]}
    write_comparison(tmp_path / "c.png", compared)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    curves, bars = saved[0].axes
    lines = [line.get_xydata().round(3).tolist() for line in curves.lines[-4:]]
    assert lines == [
        [[0.25, 1], [0.25, 0.5], [0.5, 0.667], [0.75, 0.75]],
        [[0.5, 0.667]],
        [],
        [[0.5, 1]],
    ]
    widths = [patch.get_width() for patch in bars.patches]
    assert widths[:2] == [0.75, pytest.approx(4 / 7)]
    assert widths[3] == pytest.approx(2 / 3)
    assert [text.get_text() for text in bars.texts] == ["0.57 (0.75)", "0.67"]
