"""Overlap of label volumes that can be counted by hand.

Every instance is a bar along x in a volume of (2, 3, 12) voxels; z = 0 unless said. Found above,
true below it:

    y = 0   1 1 1 1 . . . . . . . .      y = 1   . . 2 2 2 2 2 3 . . . .
            4 4 4 4 4 . . . . . . .              7 7 7 7 . . 5 5 . . . .
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation.labels import evaluate_labels


def volume(*bars, dtype=np.int16):
    """Bars of (label, z, y, first x, number of voxels)."""
    data = np.zeros((2, 3, 12), dtype)
    for label, z, y, x, length in bars:
        data[z, y, x : x + length] = label
    return data


FOUND = volume((1, 0, 0, 0, 4), (2, 0, 1, 2, 5), (3, 0, 1, 7, 1))
TRUTH = volume((4, 0, 0, 0, 5), (7, 0, 1, 0, 4), (5, 0, 1, 6, 2))


def test_instances_by_hand():
    result = evaluate_labels(FOUND, TRUTH)
    # 1 and 4 share 4 of 5 voxels, 2 and 7 share 2 of 7, 3 and 5 share 1 of 2.
    assert result.pairs.tolist() == [[1, 4], [2, 7], [3, 5]]
    np.testing.assert_allclose(result.ious, [4 / 5, 2 / 7, 1 / 2])
    assert (result.n_found, result.n_truth, result.n_matched) == (3, 3, 2)
    assert result.precision == result.recall == result.f1 == pytest.approx(2 / 3)
    assert result.mean_iou == pytest.approx((4 / 5 + 2 / 7 + 1 / 2) / 3)
    assert result.mean_matched_iou == pytest.approx((4 / 5 + 1 / 2) / 2)


def test_voxels_by_hand():
    result = evaluate_labels(FOUND, TRUTH)
    assert (result.voxels_found, result.voxels_truth, result.voxels_both) == (10, 11, 8)
    assert result.voxel_iou == pytest.approx(8 / 13)
    assert result.voxel_precision == pytest.approx(8 / 10)
    assert result.voxel_recall == pytest.approx(8 / 11)


def test_the_overlap_that_counts_is_an_option_and_closed():
    assert evaluate_labels(FOUND, TRUTH, iou=0.51).n_matched == 1
    assert evaluate_labels(FOUND, TRUTH, iou=0.2).n_matched == 3
    for iou in (0, -1, 1.01, math.nan):
        with pytest.raises(InputError, match="above 0 and at most 1"):
            evaluate_labels(FOUND, TRUTH, iou=iou)
    assert evaluate_labels(TRUTH, TRUTH, iou=1).f1 == 1


def test_a_pair_that_matches_comes_before_a_larger_sum_of_overlaps():
    # Found 1 and true 1 share 6 of 12; 1 and 2 share 4 of 10, 2 and 1 share 2 of 8, together more.
    found = volume((1, 0, 0, 0, 10), (2, 0, 0, 10, 2))
    truth = volume((2, 0, 0, 0, 4), (1, 0, 0, 4, 8))
    result = evaluate_labels(found, truth)
    assert result.pairs.tolist() == [[1, 1]]
    np.testing.assert_allclose(result.ious, [6 / 12])
    assert evaluate_labels(found, truth, iou=0.6).pairs.tolist() == [[1, 2], [2, 1]]


def test_one_found_instance_over_two_true_ones_matches_once():
    found = volume((1, 0, 0, 0, 8))
    truth = volume((1, 0, 0, 0, 4), (2, 0, 0, 4, 4))
    result = evaluate_labels(found, truth)
    assert len(result.pairs) == 1
    assert (result.precision, result.recall) == (1, 0.5)


def test_membranes_are_background():
    truth = volume((-1, 1, 2, 0, 9), (4, 0, 0, 0, 5))
    found = volume((-3, 0, 2, 0, 9), (4, 1, 2, 0, 5))
    result = evaluate_labels(found, truth)
    assert (result.n_found, result.n_truth, result.voxels_both) == (1, 1, 0)
    assert result.f1 == result.mean_iou == result.voxel_iou == 0


def test_one_class_of_the_truth():
    result = evaluate_labels(FOUND, TRUTH, true_ids=[4, 6])
    assert (result.n_found, result.n_truth, result.n_matched) == (3, 1, 1)
    assert (result.voxels_truth, result.voxels_both) == (5, 4)
    with pytest.raises(InputError, match="no instance"):
        evaluate_labels(FOUND, TRUTH, true_ids=[6])


def test_nothing_found():
    result = evaluate_labels(np.zeros_like(TRUTH), TRUTH)
    assert (result.n_found, result.recall, result.f1, result.mean_iou) == (0, 0, 0, 0)
    assert np.isnan([result.precision, result.mean_matched_iou, result.voxel_precision]).all()


def test_large_labels_of_any_type():
    found = volume((2**24, 1, 0, 0, 4), dtype=np.float32)
    truth = volume((40000, 1, 0, 0, 4), dtype=np.uint16)
    assert evaluate_labels(found, truth).pairs.tolist() == [[2**24, 40000]]


def test_other_shapes_and_other_numbers():
    with pytest.raises(InputError, match=r"\(2, 3, 12\), got \(12, 3, 2\)"):
        evaluate_labels(FOUND.T, TRUTH)
    for value in (0.5, math.nan, math.inf):
        bad = volume((value, 1, 1, 3, 1), dtype=np.float32)
        with pytest.raises(InputError, match="whole numbers"):
            evaluate_labels(bad, TRUTH)
        with pytest.raises(InputError, match="whole numbers"):
            evaluate_labels(TRUTH, bad)


labels = st.lists(st.integers(-1, 4), min_size=12, max_size=12)


@given(found=labels, truth=labels.filter(lambda row: max(row) > 0), data=st.data())
def test_overlaps_are_those_of_the_masks_whichever_way_the_axes_lie(found, truth, data):
    found, truth = (np.array(row).reshape(2, 3, 2) for row in (found, truth))
    result = evaluate_labels(found, truth)
    for (a, b), iou in zip(result.pairs, result.ious, strict=True):
        one, other = found == a, truth == b
        assert iou == pytest.approx((one & other).sum() / (one | other).sum())
    axes = data.draw(st.permutations(range(3)))
    turned = evaluate_labels(found.transpose(axes), truth.transpose(axes))
    assert turned.pairs.tolist() == result.pairs.tolist()
    assert (result.voxels_both, result.n_found) == (
        ((found > 0) & (truth > 0)).sum(),
        len(set(found[found > 0].tolist())),
    )
