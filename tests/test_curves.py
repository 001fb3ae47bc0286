"""What is drawn: the numbers behind the pictures."""

import numpy as np
import pytest

from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.evaluation.curves import write_curve, write_histograms
from aitom_cryosam.picks import Picks


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved, beside being written."""
    from matplotlib.figure import Figure

    saved = []
    save = Figure.savefig

    def keep(self, *args, **kwargs):
        saved.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def evaluation(scores=(0.9, 0.8, 0.7)):
    """The second of three picks is false; the others are 10 and 0 Å off; one of 3 is missed."""
    picks = Picks.from_points([[1, 2, 3], [1, 2, 50], [1, 20, 3]], scores)
    truth = Picks.from_points([[1, 2, 4], [1, 20, 3], [1, 40, 3]])
    return evaluate(picks, truth, radius=20, voxel_size=10)


def test_the_curve_and_its_end(tmp_path, figures):
    one = evaluation()
    write_curve(tmp_path / "c.png", {"ours": one}, parts=[one, one])
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    (axes,) = figures[0].axes
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    expected = np.array([[1 / 3, 1], [1 / 3, 1 / 2], [2 / 3, 2 / 3]])
    np.testing.assert_allclose(lines["ours: AP 0.56, F1 0.67"], expected)
    np.testing.assert_allclose(axes.lines[-1].get_xydata(), expected[-1:])
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["each tomogram", "ours: AP 0.56, F1 0.67"]


def test_a_curve_of_unscored_picks_is_refused(tmp_path):
    with pytest.raises(InputError, match="1 of the 3 picks of theirs have no score"):
        write_curve(tmp_path / "c.png", {"theirs": evaluation((0.9, np.nan, 0.7))})
    assert not list(tmp_path.iterdir())


def test_the_histograms_count_true_false_and_errors(tmp_path, figures):
    write_histograms(tmp_path / "h.png", evaluation(), radius=20)
    scores, errors = figures[0].axes
    legend = [text.get_text() for text in scores.get_legend().get_texts()]
    assert legend == ["true: 2", "false: 1"]
    heights = [sum(bar.get_height() for bar in bars) for bars in scores.containers]
    assert heights == [2, 1]
    bins = {round(bar.get_x()): bar.get_height() for bar in errors.patches if bar.get_height()}
    assert bins == {0: 1, 10: 1}
    assert errors.get_legend().get_texts()[0].get_text() == "median 5.0 Å"


def test_histograms_without_picks_or_scores(tmp_path, figures):
    nothing = evaluate(
        Picks.from_points([]), Picks.from_points([[1, 2, 3]]), radius=9, voxel_size=1
    )
    write_histograms(tmp_path / "h.png", nothing, radius=9)
    write_histograms(tmp_path / "h.png", evaluation(None), radius=9, overwrite=True)
    assert all(figure.axes[0].texts[0].get_text() == "no scores" for figure in figures)
    with pytest.raises(InputError, match="already exists"):
        write_histograms(tmp_path / "h.png", nothing, radius=9)
