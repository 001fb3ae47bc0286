"""AITom's records: what its consumers expect of them, word for word."""

import json

import numpy as np
import pytest

from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.aitom import peaks_json, picks_of, records


@pytest.fixture
def picks() -> Picks:
    """Three points z, y, x, the best one last, and one that was left out."""
    points = np.array([[0.4, 1.5, 2.49], [9, 9, 9], [11, 21, 31], [4.2, 5.2, 6.2]])
    return Picks.from_points(points, np.array([0.5, 0.9, 2.0, np.nan])).reject([1], "chance")


def test_kept_picks_best_first_as_voxels_x_y_z(picks: Picks) -> None:
    peaks = records(picks)
    assert [peak["x"].tolist() for peak in peaks] == [[31, 21, 11], [2, 2, 0], [6, 5, 4]]
    assert [peak["val"] for peak in peaks] == [2.0, 0.5, pytest.approx(np.nan, nan_ok=True)]
    for peak in peaks:
        assert list(peak) == ["val", "x", "uuid"]
        assert type(peak["val"]) is float
        assert peak["x"].dtype == np.int64
        assert all(isinstance(value, np.int64) for value in peak["x"])


def test_a_pick_keeps_its_uuid_and_shares_it_with_none(picks: Picks) -> None:
    def uuids(name: str) -> list[str]:
        return [peak["uuid"] for peak in records(picks, name)]

    assert uuids("TS_01") == uuids("TS_01")
    assert len({*uuids("TS_01"), *uuids("TS_02")}) == 6
    assert all(len(text) == 36 for text in uuids("TS_01"))


def test_records_become_picks_in_their_order(picks: Picks) -> None:
    back = picks_of(records(picks))
    np.testing.assert_array_equal(back.points_zyx, [[11, 21, 31], [0, 2, 2], [4, 5, 6]])
    np.testing.assert_array_equal(back.scores, [2.0, 0.5, np.nan])
    assert back.kept.all()


@pytest.mark.parametrize(
    "bad",
    [[{"val": 1.0}], [{"val": 1.0, "x": [1, 2]}], [{"val": "a", "x": [1, 2, 3]}], [[1, 2, 3]]],
)
def test_what_is_no_record_is_refused(bad: list) -> None:
    with pytest.raises(InputError, match="Expected AITom's records"):
        picks_of(bad)


def test_json_holds_plain_numbers_and_null_for_no_score(picks: Picks) -> None:
    items = json.loads(peaks_json(records(picks)), parse_constant=pytest.fail)
    assert [item["peak"] for item in items] == [
        {"loc": [31, 21, 11]},
        {"loc": [2, 2, 0]},
        {"loc": [6, 5, 4]},
    ]
    assert [item["val"] for item in items] == [2.0, 0.5, None]
    assert items[0]["uuid"] == records(picks)[0]["uuid"]


def test_no_picks_are_an_empty_list() -> None:
    assert records(Picks.from_points(np.empty((0, 3)))) == []
    assert json.loads(peaks_json([])) == []
    assert len(picks_of([])) == 0
