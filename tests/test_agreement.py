"""One verdict from several searches."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, logit

from aitom_cryosam.agreement import UNSEEN, agreed
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.picks import OTHER_KIND, Picks
from aitom_cryosam.scoring.kind import Verdict
from aitom_cryosam.scoring.lists import Cut
from aitom_cryosam.scoring.rejects import BY_HAND
from aitom_cryosam.scoring.suggestions import COLUMN, rows_of
from aitom_cryosam.scoring.verdict import PRESENT
from aitom_cryosam.search import Found
from aitom_cryosam.settings import Settings

A, B, C, D = np.eye(4, 3) * 100
AUTO = Settings()


def search(probabilities, presence=0.95, kept=1, best=1, diameter=10.0, **more):
    """Of a dict from points to probabilities, the first of them the prompt's."""
    points = np.array([point for point, _ in probabilities])
    chances = np.array([chance for _, chance in probabilities])
    n = len(points)
    first = np.arange(n) == 0
    lengths = np.arange(1, n + 1)
    verdict = Verdict(
        chances,
        np.ones(n, bool),
        np.arange(n) < kept,
        np.where(first, 1, presence * chances),
        presence=presence,
        cut=Cut(lengths, more.pop("expected", 0.8) - 0.02 * (lengths - best) ** 2),
        against_odds=more.pop("against_odds", False),
    )
    picks = Picks.from_points(points, chances).reject(~verdict.kept, OTHER_KIND)
    nothing = SimpleNamespace()
    query = ParticleQuery(
        **dict.fromkeys(("vector", "prompt_features", "prompts_zyx", "instances"), points),
        **dict.fromkeys(("shapes", "rejected", "rejected_shapes"), points[:0]),
        diameter_angstrom=10 * diameter, voxel_size=10.0, contrast="dark", pooling="core",
    )  # fmt: skip
    proposals = more.pop("change", lambda same: same)(picks)
    return Found(
        diameter, Picks.none(), [], (), Picks.none(), query, proposals, first, verdict, nothing,
        nothing, nothing,
    )  # fmt: skip


def along_x(count):
    """Places with probabilities from 1 down."""
    return [(np.array([0.0, 0.0, 50.0 * i]), 1 - 0.08 * i) for i in range(count)]


def row(found, point):
    (rows,) = np.flatnonzero(np.linalg.norm(found.proposals.points_zyx - point, axis=1) < 2)[None]
    assert len(rows) == 1
    return rows[0]


def test_the_odds_of_a_place_are_the_mean_of_all_searches():
    one = search([(A, 1), (B, 0.9), (C, 0.2)])
    two = search([(A, 1), (B + 1, 0.5), (D, 0.8)])
    found = agreed([one, two], AUTO)
    assert len(found.proposals) == 4
    scores = found.verdict.scores
    assert scores[row(found, A)] == 1
    expected = expit((logit(0.9) + logit(0.5)) / 2)
    assert scores[row(found, B + 0.5)] == pytest.approx(expected)
    assert scores[row(found, C)] == pytest.approx(expit((logit(0.2) + UNSEEN) / 2))
    assert scores[row(found, D)] == pytest.approx(expit((UNSEEN + logit(0.8)) / 2))
    assert found.proposals.probabilities[row(found, B)] == pytest.approx(
        found.verdict.presence * expected
    )
    assert found.diameter_voxels == 10


def test_who_expects_more_weighs_more_in_the_odds():
    one, two = search([(A, 1), (B, 0.9)], expected=0.6), search([(A, 1), (B, 0.3)], expected=0.2)
    found = agreed([one, two], AUTO)
    expected = expit((0.6 * logit(0.9) + 0.2 * logit(0.3)) / 0.8)
    assert found.verdict.scores[row(found, B)] == pytest.approx(expected)


def test_a_place_lies_between_where_the_searches_have_it():
    found = agreed([search([(A, 1), (B, 0.9)]), search([(A + 2, 1), (B + 1, 0.2), (C, 0.5)])], AUTO)
    for point in (A + 1, B + 0.5, C):
        np.testing.assert_allclose(found.proposals.points_zyx[row(found, point)], point)


def test_of_two_proposals_of_a_search_at_one_place_the_more_probable_counts():
    one = search([(A, 1), (B, 0.9)])
    two = search([(A, 1), (B + 1, 0.1), (B - 1, 0.7)])
    found = agreed([one, two], AUTO)
    assert len(found.proposals) == 2
    score = found.verdict.scores[row(found, B)]
    assert score == pytest.approx(expit((logit(0.9) + logit(0.7)) / 2))


def test_there_are_as_many_picks_as_are_best_on_average():
    many = along_x(6)
    one = search(many, best=3, kept=3)
    two = search(many, best=5, kept=5)
    found = agreed([one, two], AUTO)
    assert found.proposals.kept.sum() == 4
    assert found.proposals.kept[[row(found, point) for point, _ in many[:4]]].all()
    assert set(found.proposals.left_out) == {OTHER_KIND}
    by_clusters = [search(many, best=3, kept=6, against_odds=True) for _ in range(2)]
    assert agreed(by_clusters, AUTO).proposals.kept.sum() == 6
    assert agreed([by_clusters[0], one], AUTO).proposals.kept.sum() == 3


def test_there_are_no_more_proposals_than_asked_for():
    one = search([(A, 1), (B, 0.3), (C, 0.2)])
    two = search([(A, 1), (D, 0.4), (C, 0.3)])
    found = agreed([one, two], Settings(top_k=2))
    assert len(found.proposals) == len(found.verdict.scores) == len(found.is_prompt) == 2
    assert row(found, A) == 0
    assert row(found, C) == 1  # the others were seen once


def test_whether_any_is_present_all_decide_together():
    one, other = (search(along_x(5), presence=chance, expected=0.7) for chance in (0.9, 0.2))
    said = agreed([one, other], AUTO).verdict.presence
    assert said == pytest.approx(expit((logit(0.9) + logit(0.2)) / 2 + logit(0.7)))
    assert agreed([other, one], AUTO).verdict.presence == pytest.approx(said)


def test_one_search_alone_does_not_see_what_two_deny():
    sure = search(along_x(5), presence=0.95, kept=4, best=4, expected=0.9)
    never = search(along_x(5), presence=0.01, expected=0.6)
    found = agreed([sure, never, never], AUTO)
    assert found.verdict.presence < PRESENT
    assert found.proposals.kept.sum() == 1
    assert found.promise == 0


def test_what_all_doubt_a_little_is_there_if_good_lists_are_expected_of_it():
    """Of a tomogram without a particle, few searches are in two minds, and expect little."""
    doubtful = [search(along_x(5), presence=0.45, best=4, expected=0.8) for _ in range(3)]
    found = agreed(doubtful, AUTO)
    assert found.verdict.presence >= PRESENT
    assert found.proposals.kept.sum() == 4
    assert found.promise > 0
    hopeless = [search(along_x(5), presence=0.55, best=4, expected=0.3) for _ in range(3)]
    assert agreed(hopeless, AUTO).verdict.presence < PRESENT


def test_the_search_that_expects_most_knows_best_where_the_list_ends():
    def ends(*expected):
        bests = zip((10, 4, 4), expected, strict=True)
        searches = [search(along_x(12), best=best, expected=f1) for best, f1 in bests]
        found = agreed(searches, AUTO)
        peak = Cut.mean([one.verdict.cut for one in searches]).expected
        assert found.verdict.expected == pytest.approx(peak)  # in which all count alike
        return found.proposals.kept.sum()

    assert ends(0.6, 0.6, 0.6) == 6
    assert ends(0.8, 0.3, 0.3) == 10


@pytest.mark.parametrize(
    ("fall", "ends"), [(5, 5), (4, 4), (9, 9), (3, 6), (10, 6), (None, 6)], ids=str
)
def test_a_list_ends_where_the_odds_fall_off_near_its_end(fall, ends):
    """Of 6 places, the odds of which fall off after so many."""
    places = [(point, 0.9 if i < (fall or 99) else 0.5) for i, (point, _) in enumerate(along_x(14))]
    searches = [search(places, best=6) for _ in range(3)]
    assert agreed(searches, AUTO).proposals.kept.sum() == ends


def test_what_no_cut_decides_stays_left_out():
    def change(picks):
        return picks.reject(np.arange(len(picks)) == 1, BY_HAND)

    one = search([(A, 1), (B, 0.99), (C, 0.98)], kept=3, best=3, change=change)
    two = search([(A, 1), (B, 0.99), (C, 0.98)], kept=3, best=3)
    found = agreed([one, two], AUTO)
    assert found.proposals.reasons[row(found, B)] == BY_HAND
    assert found.proposals.kept.sum() == 2


def test_settings_decide_what_is_kept():
    one = search([(A, 1), (B, 0.9), (C, 0.01)])
    assert agreed([one, one], Settings(cut="none")).proposals.kept.all()
    kept = agreed([one, one], Settings(fdr=0.2)).proposals.kept
    assert kept.sum() == 2


def test_suggestions_are_those_of_the_first_search():
    def asking(number):
        def change(picks):
            words = ["none"] * len(picks)
            words[number] = "1"
            return Picks(
                picks.points_zyx, picks.scores, picks.ids, picks.kept, picks.reasons,
                extra={COLUMN: tuple(words)},
            )  # fmt: skip

        return change

    one = search([(A, 1), (B, 0.5)], change=asking(1))
    two = search([(A, 1), (B, 0.8), (C, 0.6)], change=asking(2))
    found = agreed([one, two], AUTO)
    assert rows_of(found.proposals).tolist() == [row(found, B)]


def test_the_query_goes_on_with_those_of_the_other_diameters():
    """So that other tomograms can be searched at all of them."""
    searches = [search([(A, 1)], diameter=diameter) for diameter in (10.0, 9.0, 11.0)]
    query = agreed(searches, AUTO).query
    assert (query.vector == searches[0].query.vector).all()
    assert [one.diameter_angstrom for one in query.aside] == [90, 110]
