"""The segmentation M: union of the picks' masks, or the voxels that are probable by themselves."""

import numpy as np
import pytest

from aitom_cryosam import CryoSAM, Tomogram
from aitom_cryosam.masks import labels
from aitom_cryosam.semantic import particle_probability
from aitom_cryosam.settings import Settings
from aitom_cryosam.volumes.mrc import read_volume
from tests.toys import SMALL, particle_mask, random_features, small_simulation


@pytest.fixture(scope="module")
def simulation():
    return small_simulation()


@pytest.fixture(scope="module")
def result(simulation):
    tomogram = Tomogram.from_array(simulation.data, voxel_size=SMALL["voxel_size"], name="TS_01")
    settings = Settings(top_k=40, semantic="dense")
    return CryoSAM(settings).pick(tomogram, simulation.points_zyx[1:2, ::-1])


def test_dense_finds_the_particles_voxels(simulation, result):
    truth = (simulation.labels > 0) & (simulation.labels <= 8)
    found = result.semantic() == 1
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert dice > 0.5
    assert result.probability.min() >= 0
    assert result.probability.max() <= 1


def test_files(result, tmp_path):
    paths = result.write(tmp_path)
    semantic = read_volume(paths["semantic"]).data
    np.testing.assert_array_equal(semantic, read_volume(paths["probability"]).data >= 0.5)
    assert semantic.shape == result.tomogram.shape
    assert set(np.unique(semantic)) == {0, 1}


def test_the_probability_is_calibrated_and_rises_with_the_similarity():
    features = random_features((12, 16, 20))
    query = features.sample(np.array([[6.0, 8, 10]]))[0]
    mask = particle_mask((4, 6, 8), np.ones((5, 5, 5)))
    probability = particle_probability(features, query, [mask])
    inside = labels(probability.shape, [mask]) > 0
    # By isotonic regression, the mean over all voxels is the share of members.
    assert probability.mean() == pytest.approx(inside.mean(), abs=0.02)
    assert probability[6, 8, 10] == probability.max() > 0.1
    for low, high in ((0, 0.1), (0.1, 0.5), (0.5, 1.01)):
        chosen = (probability >= low) & (probability < high)
        if chosen.sum() > 100:
            assert inside[chosen].mean() == pytest.approx(probability[chosen].mean(), abs=0.1)


def test_without_a_pick_nothing_is_probable():
    features = random_features((12, 16, 20))
    assert not particle_probability(features, np.ones(15), []).any()


def test_the_paper_writes_the_union():
    assert Settings(preset="paper").semantic == "union"
    assert Settings().semantic == "none"
