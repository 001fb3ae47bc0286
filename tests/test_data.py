"""One click on the real apoferritin tomogram, and on noise of its spectrum."""

import numpy as np
import pytest

from aitom_cryosam import CryoSAM, Tomogram
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.points.reading import read_points

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def tomogram(data_dir):
    return Tomogram.open(data_dir / "apoferritin_10491" / "apof_left.mrc")


@pytest.fixture(scope="module")
def truth(data_dir):
    return read_points(data_dir / "apoferritin_10491" / "apof_left_truth.star").picks


@pytest.fixture(scope="module")
def click(truth):
    return truth.take(np.random.default_rng(0).choice(len(truth), 1, replace=False))


@pytest.fixture(scope="module")
def result(tomogram, click):
    return CryoSAM().pick(tomogram, click)


def test_one_click_finds_apoferritin(result, truth):
    found = evaluate(result.picks, truth, radius=60, voxel_size=10)
    assert found.f1 >= 0.72
    assert found.localisation_error <= 15


def test_noise_of_the_same_spectrum_gives_at_most_a_tenth_of_the_picks(result, tomogram, click):
    phases = np.fft.rfftn(np.random.default_rng(0).standard_normal(tomogram.shape))
    spectrum = np.abs(np.fft.rfftn(tomogram.data)) * np.exp(1j * np.angle(phases))
    noise = np.fft.irfftn(spectrum, tomogram.shape, axes=(0, 1, 2)).astype(np.float32)
    found = CryoSAM().pick(Tomogram.from_array(noise, voxel_size=10), click)
    assert len(found.proposals) > len(result.picks)  # or there would be nothing to refuse
    assert len(found.picks) <= 0.1 * len(result.picks)
