"""Angular errors of picks whose true rotations are known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aitom_cryosam.averaging.symmetry import Symmetry
from aitom_cryosam.cli import main
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.evaluation.angles import angular_errors
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.simulation.files import write_simulation
from tests.toys import small_simulation


def oriented(rotations: Rotation, points: np.ndarray) -> Picks:
    from dataclasses import replace

    return replace(Picks.from_points(points), rotations=rotations)


POINTS = np.arange(30)[:, None] * np.array([20.0, 0, 0])


@pytest.mark.parametrize("name", ["C1", "D7", "O"])
def test_a_common_rotation_and_equivalent_ones_are_no_error(name):
    group = Symmetry(name).rotations
    rng = np.random.default_rng(0)
    truth = Rotation.random(30, rng)
    equal = truth * group[rng.integers(len(group), size=30)]
    about_y = Rotation.from_rotvec(np.outer(np.full(30, 4.0), (0, 1, 0)), degrees=True)
    about_y = Rotation.concatenate([about_y[:15], about_y[15:].inv()])
    found = about_y * equal * Rotation.random(None, rng)
    picks, true = oriented(found, POINTS), oriented(truth, POINTS)
    matched = evaluate(picks, true, radius=50, voxel_size=10)
    errors = angular_errors([(picks, true, matched)], Symmetry(name))
    assert errors is not None
    assert errors.median == pytest.approx(4, abs=1.5)
    x, y, z = errors.median_about_xyz
    assert y > 2
    assert max(x, z) < 2


def test_without_rotations_there_is_none():
    picks = Picks.from_points(POINTS)
    matched = evaluate(picks, picks, radius=50, voxel_size=10)
    assert angular_errors([(picks, picks, matched)]) is None


def test_the_simulators_truth_has_the_rotations_that_it_used(tmp_path):
    done = small_simulation(shape_zyx=(40, 60, 70), membranes=0)
    _, truth, _ = write_simulation(done, tmp_path, "TS_01")
    read = read_points(truth, voxel_size=20.0).picks.rotations
    assert read is not None
    np.testing.assert_allclose(read.as_matrix(), done.rotations[:, ::-1, ::-1], atol=1e-6)


def test_evaluate_says_the_angular_error(tmp_path, capsys):
    done = small_simulation(shape_zyx=(40, 60, 70), membranes=0)
    _, truth, _ = write_simulation(done, tmp_path, "TS_01")
    arguments = ["evaluate", str(truth), str(truth), "--radius", "50", "--voxel-size", "20"]
    assert main([*arguments, "--symmetry", "D2"]) == 0
    assert "angular error" in (out := capsys.readouterr().out)
    assert "0.0° (median, D2" in out
