"""Other picks from the proposals of a run."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation.comparison import MethodPicks
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.napari.curation import Curation
from aitom_cryosam.picks import CUT_REASONS, DUPLICATE, NO_MASK
from aitom_cryosam.points.formats.relion_warp import write_picks
from aitom_cryosam.record import Record
from aitom_cryosam.regions import RegionRules
from aitom_cryosam.regions.regions import EDGE, OUTSIDE
from aitom_cryosam.report.gallery import movable
from aitom_cryosam.selection import Selection, write_selection
from aitom_cryosam.volumes.mrc import write_volume
from tests.toys import small_simulation


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> Record:
    folder = tmp_path_factory.mktemp("run")
    simulation = small_simulation()
    write_volume(folder / "TS_01.mrc", simulation.data, voxel_size=20.0)
    settings = Settings(preset="embedded", top_k=30, diameter_angstrom=250.0, cut="none")
    clicks = simulation.points_zyx[1:3, ::-1]
    result = CryoSAM(settings).pick(Tomogram.open(folder / "TS_01.mrc"), clicks)
    result.write(folder / "out", star=["warp"])
    return Record.open(folder / "out")


def test_a_cut_is_moved_both_ways(record):
    scores = record.picks.scores
    higher = Selection(cut=float(np.median(scores))).of(record)
    assert higher.kept.sum() == (scores >= np.median(scores)).sum()
    assert {r for r, k in zip(higher.reasons, higher.kept, strict=True) if not k} >= {
        "below the cut"
    }
    strict = record.proposals.reject(record.proposals.scores < np.inf, "below the cut")
    stricter = replace_proposals(record, strict)
    assert Selection().of(stricter).kept.sum() == 0
    assert Selection(cut=-10.0).of(stricter).kept.sum() == len(record.picks)


def replace_proposals(record: Record, proposals: Picks) -> Record:
    """A record that reads other proposals."""
    other = replace(record)
    other.__dict__["proposals"] = proposals
    return other


def test_the_best_stay(record):
    best = Selection(top=3).of(record)
    assert np.flatnonzero(best.kept).tolist() == np.flatnonzero(record.proposals.kept)[:3].tolist()


def test_fdr_counts_the_false_picks_to_expect(record):
    n = len(record.proposals)
    probable = replace(
        record.proposals,
        probabilities=np.linspace(1, 0, n),
        kept=np.ones(n, bool),
        reasons=("",) * n,
    )
    chosen = Selection(fdr=0.1).of(replace_proposals(record, probable))
    false = 1 - np.linspace(1, 0, n)
    assert false[chosen.kept].mean() <= 0.1
    assert false[: chosen.kept.sum() + 1].mean() > 0.1
    bare = replace(record.proposals, probabilities=None)
    with pytest.raises(InputError, match="has no probabilities"):
        Selection(fdr=0.1).of(replace_proposals(record, bare))


def test_curated_points_are_found_by_id_and_by_place(record, tmp_path, caplog):
    chosen = record.picks.take(np.array([0, 2]))
    write_picks(tmp_path / "ids.star", chosen, record.info)
    assert Selection(keep=tmp_path / "ids.star").of(record).ids[
        Selection(keep=tmp_path / "ids.star").of(record).kept
    ].tolist() == sorted(chosen.ids.tolist())
    rows = [",".join(f"{v + 0.4:.3f}" for v in point[::-1]) for point in chosen.points_zyx]
    (tmp_path / "places.csv").write_text("\n".join(["x,y,z", *rows, "0,0,0"]) + "\n")
    placed = Selection(keep=tmp_path / "places.csv").of(record)
    assert placed.ids[placed.kept].tolist() == sorted(chosen.ids.tolist())
    assert "not curated" in placed.reasons
    assert (
        "places.csv: 1 of 3 points are not among the run's proposals, and are left out"
        in caplog.text
    )
    assert "ids.star" not in caplog.text


def test_numbers_of_another_run_are_not_those_of_this_one(record, tmp_path, caplog):
    chosen = record.picks.take(np.array([0, 2]))
    moved = np.add(chosen.points_zyx, [[0, 0, 1], [0, 0, 40]])
    write_picks(tmp_path / "other.star", replace(chosen, points_zyx=moved), record.info)
    left = Selection(keep=tmp_path / "other.star").of(record)
    assert left.ids[left.kept].tolist() == [chosen.ids[0]]
    assert "other.star: 1 of 2 points are not among the run's proposals" in caplog.text


@pytest.mark.parametrize("name", ["empty.csv", "empty.coords"])
def test_a_curated_file_without_points_is_refused(record, tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=f"{name} holds no points; expected those to keep"):
        Selection(keep=tmp_path / name).of(record)


def test_rejected_by_hand(record):
    gone = int(record.picks.ids[1])
    left = Selection(reject_ids=frozenset({gone})).of(record)
    assert gone not in left.ids[left.kept]
    assert left.kept.sum() == len(record.picks) - 1
    with pytest.raises(InputError, match="has no instance 9999"):
        Selection(reject_ids=frozenset({9999})).of(record)


def test_regions_apply_again(record):
    left = Selection(regions=RegionRules(edge=200)).of(record)
    assert "at the edge" in left.reasons
    assert 0 < left.kept.sum() < len(record.picks)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"cut": float("nan")}, "a score as cut"),
        ({"fdr": 1.0}, "a share of false picks from 0 to below 1 as fdr, got 1.0"),
        ({"fdr": float("nan")}, "a share of false picks from 0 to below 1 as fdr, got nan"),
        ({"top": 0}, "number of picks"),
        ({"cut": 0.5, "fdr": 0.1}, "got both"),
    ],
)
def test_what_makes_no_sense(values, says):
    with pytest.raises(InputError, match=says):
        Selection(**values)


def test_the_command_writes_a_whole_result(record, tmp_path: Path, capsys):
    out = tmp_path / "selected"
    (tmp_path / "bad.txt").write_text(f"{record.picks.ids[0]}\n{record.picks.ids[3]},\n")
    asked = ["select", str(record.path.parent), "--out", str(out), "--star", "warp"]
    assert main([*asked, "--top", "5", "--reject-ids", str(tmp_path / "bad.txt")]) == 0
    assert "TS_01: 5 picks" in capsys.readouterr().out
    new = Record.open(out)
    new.check()
    assert new.picks.ids.tolist() == np.delete(record.picks.ids, [0, 3])[:5].tolist()
    assert set(np.unique(new.labels())) - {0} <= set(new.picks.ids.tolist())
    assert [mask.volume for mask in new.masks] == [
        mask.volume for mask in record.masks if mask.id in new.picks.ids
    ]
    assert new.query.vector.tobytes() == record.query.vector.tobytes()
    assert json.loads(new.path.read_text())["selection"]["top"] == 5
    assert main([*asked, "--top", "5"]) == 2
    assert "already exists" in capsys.readouterr().err
    (tmp_path / "bad.txt").write_text(f"{record.picks.ids[0]}\r\n", encoding="utf-16")  # Notepad
    assert main([*asked, "--reject-ids", str(tmp_path / "bad.txt"), "--overwrite"]) == 0
    assert Record.open(out).picks.ids.tolist() == record.picks.ids[1:].tolist()
    (tmp_path / "words.txt").write_text("one")
    assert main([*asked, "--reject-ids", str(tmp_path / "words.txt"), "--overwrite"]) == 2
    assert "Expected whole numbers" in capsys.readouterr().err


def test_nothing_selected_is_told(record, tmp_path, caplog):
    asked = ["select", str(record.path), "--out", str(tmp_path / "none"), "--cut", "99"]
    assert main(asked) == 0
    assert len(Record.open(tmp_path / "none").picks) == 0
    assert "nothing is selected; the best of" in caplog.text
    assert " below the cut" in caplog.text


def test_no_cut_undoes_what_a_region_or_a_person_left_out():
    reasons = [*sorted(CUT_REASONS), OUTSIDE, EDGE, "rejected by hand", DUPLICATE, NO_MASK]
    picks = Picks.from_points(np.zeros((len(reasons), 3)), np.ones(len(reasons)))
    for row, reason in enumerate(reasons):
        picks = picks.reject([row], reason)
    expected = [reason in CUT_REASONS for reason in reasons]
    assert picks.cut_decides.tolist() == movable(picks).tolist() == expected
    curation = Curation(picks, "me")
    curation.cut = 0.5
    assert curation.kept.tolist() == expected
    assert len(MethodPicks.of(picks, "file").candidates) == sum(expected)


def test_curated_points_may_be_in_the_tilt_series_units(record, tmp_path):
    series = ["--unbinned-pixel-size", "5", "--unbinned-size", "360,304,160"]
    typed = [str(record.path.parent), "--out"]
    assert main(["export", *typed, str(tmp_path / "a.star"), "--to", "relion5", *series]) == 0
    select = ["select", *typed, str(tmp_path / "out"), "--keep", str(tmp_path / "a.star")]
    assert main(select) == 2
    assert main([*select, *series]) == 0
    assert np.array_equal(Record.open(tmp_path / "out").picks.ids, record.picks.ids)


@pytest.mark.parametrize("given", [{"cut": "0.5"}, {"top": 1.5}, {"top": "3"}])
def test_a_selection_by_what_is_no_number(given):
    with pytest.raises(InputError, match=r"Expected a (score|number of picks)"):
        Selection(**given)


@pytest.mark.parametrize("points", [[[1, 2]], np.ones((3, 2)), np.ones((3, 4)), [1, 2, 3], "abc"])
def test_points_are_rows_of_three(points):
    with pytest.raises(InputError, match=r"Expected (points of shape \(n, 3\)|rows of z, y, x)"):
        Picks.from_points(points)


def test_a_mask_that_is_added_takes_no_voxel_from_a_pick(record, tmp_path):
    """As napari adds them, of proposals that the run left out."""
    selection = Selection(top=1)
    chosen = selection.of(record)
    first = chosen.ids[chosen.kept][0]
    everywhere = np.ones(record.labels().shape, bool)
    added = ParticleMask(int(chosen.ids.max()) + 1, np.zeros(3), np.zeros(3, int), everywhere, 1.0)
    labels = write_selection(record, selection, chosen, tmp_path, masks=[added]).labels()
    own = record.labels() == first
    assert own.any()
    assert (labels[own] == first).all()
    assert (labels[~own] == added.id).all()
