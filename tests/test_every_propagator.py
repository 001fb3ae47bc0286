"""What everything that makes instance masks of points must do."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import aitom_cryosam
from aitom_cryosam import propagator
from aitom_cryosam.geometry import nearest_voxel
from aitom_cryosam.models import MODELS, SEGMENTERS
from aitom_cryosam.settings import Settings
from aitom_cryosam.tomogram import Tomogram
from tests.families import VOXEL_SIZE, resources

SHAPE = (21, 26, 31)
POINTS = np.array([(10, 12, 9), (9.6, 13.4, 22.5), (0, 0, 0)])
SPHERES = POINTS[:2].round()
DIAMETER = 9.0  # voxels, of the spheres
MADE = {"CrossPlanePropagator": SEGMENTERS}
"""Every class that makes masks of points, and the segmenters that lead `build` to it."""
KINDS = [
    (name, merge)
    for name in sorted({name for names in MADE.values() for name in names})
    for merge in (("union",) if MODELS[name].weights else ("union", "consensus"))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def tomogram():
    grid = np.indices(SHAPE)
    data = np.random.default_rng(1).normal(0, 0.4, SHAPE)
    for centre in SPHERES:
        away = np.linalg.norm(grid - centre[:, None, None, None], axis=0)
        data += 2 * (away <= DIAMETER / 2)
    return Tomogram.from_array(data.astype(np.float32), voxel_size=VOXEL_SIZE, contrast="bright")


def make(kind, folder, tomogram):
    name, merge = kind
    # Masks of random weights are no spheres: they may be as wide as the tomogram.
    random = MODELS[name].weights is not None
    settings = Settings(segmenter=name, merge=merge, tau_iou=0 if random else 0.5)
    diameter = max(SHAPE) if random else DIAMETER
    return propagator.build(settings, resources(name, folder), tomogram, diameter_voxels=diameter)


@pytest.fixture(params=KINDS, ids="-".join, scope="module")
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def one(kind, folder, tomogram):
    return make(kind, folder, tomogram)


@pytest.fixture(scope="module")
def masks(one, tomogram):
    return one.propagate(tomogram, POINTS)


def overlap(first, second) -> float:
    """Intersection over union; 1 for two empty masks."""
    mine, other = (set(map(tuple, mask.voxels_zyx.tolist())) for mask in (first, second))
    return len(mine & other) / len(mine | other) if mine | other else 1.0


def test_no_class_goes_untested() -> None:
    found = set()
    for path in Path(aitom_cryosam.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and any(
                isinstance(part, ast.FunctionDef) and part.name == "propagate" for part in node.body
            ):
                found.add(node.name)
    assert found == {"Propagator", "_Remembered", *MADE}  # the second hands on to another


def test_every_segmenter_leads_to_the_class_that_is_tested(one, kind) -> None:
    assert kind[0] in MADE[type(one).__name__]


def test_masks_come_in_the_order_of_the_points_and_lie_inside(masks) -> None:
    assert [mask.id for mask in masks] == [1, 2, 3]
    for mask, point in zip(masks, POINTS, strict=True):
        np.testing.assert_array_equal(mask.prompt_zyx, point)
        assert mask.mask.dtype == bool
        assert mask.mask.ndim == 3
        assert np.isfinite(mask.score)
        if mask.volume:
            assert (mask.voxels_zyx >= 0).all()
            assert (mask.voxels_zyx < SHAPE).all()
        else:
            assert mask.stops  # says why
    assert masks[0].volume > 0  # or the tests here would compare nothing


def test_a_contour_is_the_sphere(masks, kind) -> None:
    if MODELS[kind[0]].weights is not None:
        pytest.skip("random weights know no spheres")
    grid = np.indices(SHAPE)
    for mask, centre in zip(masks[:2], SPHERES, strict=True):
        assert np.linalg.norm(mask.centroid_zyx - centre) < 2
        sphere = np.linalg.norm(grid - centre[:, None, None, None], axis=0) <= DIAMETER / 2
        found = np.zeros(SHAPE, bool)
        found[tuple(mask.voxels_zyx.T)] = True
        assert found[sphere].mean() > 0.9
        assert found.sum() < 4 * sphere.sum()


def test_the_same_points_give_the_same_masks(kind, folder, tomogram, masks) -> None:
    again = make(kind, folder, tomogram).propagate(tomogram, POINTS)
    for first, second in zip(masks, again, strict=True):
        np.testing.assert_array_equal(first.offset_zyx, second.offset_zyx)
        np.testing.assert_array_equal(first.mask, second.mask)
        assert (first.score, first.stops) == (second.score, second.stops)


def test_a_mask_does_not_depend_on_the_other_points(one, tomogram, masks) -> None:
    (alone,) = one.propagate(tomogram, POINTS[1:2])
    assert alone.id == 1
    assert overlap(alone, masks[1]) > 0.99  # a network rounds otherwise in another batch
    assert abs(alone.score - masks[1].score) < 0.3 * abs(masks[0].score - masks[1].score)


def test_a_mask_begins_on_the_three_planes_through_its_point(one, kind, tomogram, masks) -> None:
    begun = one.start(tomogram, POINTS)
    assert [mask.id for mask in begun] == [1, 2, 3]
    for mask, whole, point in zip(begun, masks, POINTS, strict=True):
        voxels = set(map(tuple, mask.voxels_zyx.tolist()))
        assert (mask.voxels_zyx == nearest_voxel(point)).any(axis=1).all()
        assert mask.stops == {}
        assert voxels or not whole.volume
        if kind[1] == "union":
            assert voxels <= set(map(tuple, whole.voxels_zyx.tolist()))


def test_no_points_are_no_masks(one, tomogram) -> None:
    assert one.propagate(tomogram, np.zeros((0, 3))) == []


def test_points_are_only_read_and_progress_ends(one, tomogram) -> None:
    points, steps = POINTS[:1].copy(), []
    points.flags.writeable = False
    one.propagate(tomogram, points, progress=lambda *step: steps.append(step), stage="some masks")
    assert {stage for stage, _, _ in steps} == {"some masks"}
    done = [number for _, number, _ in steps]
    assert done == sorted(done)
    assert steps[-1][1] == steps[-1][2] > 0
