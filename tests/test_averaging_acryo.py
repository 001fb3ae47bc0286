"""Alignment beside acryo's: another library finds the same turns among the same candidates."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.alignment import Aligner
from aitom_cryosam.averaging.poses import Poses
from aitom_cryosam.averaging.reference import Reference
from aitom_cryosam.averaging.spectra import Ball
from tests.test_averaging import SIZE, WEDGE, rim, turned, world

alignment = pytest.importorskip("acryo.alignment", reason="acryo is not installed")
tilt = pytest.importorskip("acryo.tilt", reason="acryo is not installed")


def test_acryo_prefers_the_same_turns():
    boxes, rotations, shifts = world(3, noise=1.0, seed=11)
    boxes = rim(boxes).astype(np.float32)
    candidates = Rotation.concatenate([rotations, Rotation.random(5, np.random.default_rng(3))])
    template = rim(turned(Rotation.identity())).astype(np.float32)
    # acryo turns offsets z y x.
    theirs = Rotation.from_matrix(candidates.as_matrix()[:, ::-1, ::-1])
    wedge = tilt.single_axis((-60, 60), axis="y")
    model = alignment.ZNCCAlignment(template, rotations=theirs, tilt=wedge)
    ball = Ball(SIZE, 11)
    for i, box in enumerate(boxes):
        found = Rotation.from_quat(model.align(box, max_shifts=(2, 2, 2)).quat)
        chosen = int((theirs.inv() * found).magnitude().argmin())
        aligner = Aligner(ball, ball.of(boxes[i : i + 1]), WEDGE)
        scores = [
            aligner.score(Reference(template), Poses(one, shifts[i : i + 1], np.zeros(1)))[0]
            for one in (candidates[j : j + 1] for j in range(len(candidates)))
        ]
        assert chosen == int(np.argmax(scores)) == i
