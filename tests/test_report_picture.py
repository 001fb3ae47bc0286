"""The picture: what is drawn where, on three unequal axes."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread
from matplotlib.patches import Circle

from aitom_cryosam import Picks, Result, Settings, Tomogram
from aitom_cryosam.errors import InputError
from aitom_cryosam.masks import ParticleMask
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.report import picture as report
from aitom_cryosam.stages import Stages

PICKS = [(10, 15, 20), (12, 30, 50), (22, 15, 40)]
"""z y x; the first is in both slices, the second in that across z, the third in that across y."""


def cube(number: int, centre: tuple[int, int, int]) -> ParticleMask:
    """3 x 3 x 3 voxels."""
    return ParticleMask(number, np.array(centre), np.array(centre) - 1, np.ones((3, 3, 3), bool), 1)


@pytest.fixture
def result() -> Result:
    data = np.random.default_rng(0).standard_normal((28, 40, 64)).astype(np.float32)
    empty = ParticleMask(2, np.full(3, 5.0), np.zeros(3, int), np.zeros((0, 0, 0), bool), 0)
    proposals = Picks.from_points(np.array([*PICKS, (10, 35, 5)]), np.array([0.9, 0.8, 0.7, 0.1]))
    query = ParticleQuery(
        vector=np.ones(3, np.float32),
        prompt_features=np.ones((2, 3), np.float32),
        prompts_zyx=np.array([(10.0, 15, 20), (5, 5, 5)]),
        instances=np.ones((1, 2, 3), np.float32),
        shapes=np.zeros((0, 0), np.float32),
        rejected=np.zeros((0, 2, 3), np.float32),
        rejected_shapes=np.zeros((0, 0), np.float32),
        diameter_angstrom=80.0,
        voxel_size=10.0,
        contrast="dark",
        pooling="core",
    )
    return Result(
        tomogram=Tomogram.from_array(data, voxel_size=10, name="TS_01"),
        settings=Settings(diameter_angstrom=np.float32(80)),
        diameter_angstrom=80.0,
        prompts=Picks.from_points(np.array([(10, 15, 20), (5, 5, 5)])).reject([1], "no mask"),
        prompt_masks=[cube(1, PICKS[0]), empty],
        query=query,
        proposals=proposals.reject([3], "below the cut"),
        masks=[cube(number, centre) for number, centre in enumerate(PICKS, 1)],
        stages=Stages(),
    )


def circles(axes: Axes) -> list[tuple[tuple[float, float], float]]:
    return [(patch.center, patch.radius) for patch in axes.patches if isinstance(patch, Circle)]


def test_each_slice_shows_its_own_picks_as_wide_as_the_particle(result: Result) -> None:
    _, across_z, _, across_y = report._draw(result, "").axes
    assert circles(across_z) == [((20, 15), 4), ((50, 30), 4)]  # x, y
    assert circles(across_y) == [((20, 10), 4), ((40, 22), 4)]  # x, z


def test_the_slice_is_the_click_s_in_the_tomogram_s_own_contrast(result: Result) -> None:
    bare = report._draw(result, "").axes[0]
    image = np.asarray(bare.images[0].get_array())
    expected = result.tomogram.data[9:12].mean(axis=0)
    assert image.shape == (40, 64)
    assert np.corrcoef(image.ravel(), expected.ravel())[0, 1] > 0.999
    assert bare.get_title(loc="left") == "z = 10, mean of 3 planes"


def test_outlines_enclose_the_masks(result: Result) -> None:
    _, across_z, _, across_y = report._draw(result, "").axes
    for axes, height, width in ((across_z, 15, 20), (across_y, 10, 20)):
        clicked = [line for line in axes.lines if line.get_color() == report.CLICK]
        x, y = clicked[0].get_data()
        assert (min(x), max(x)) == (width - 1.5, width + 1.5)
        assert (min(y), max(y)) == (height - 1.5, height + 1.5)
    assert sum(line.get_color() == report.MASK for line in across_z.lines) == 1


def test_title_and_file(result: Result, tmp_path: Path) -> None:
    figure = report._draw(result, "a note")
    assert [text.get_text() for text in figure.texts] == ["TS_01: 3 picks from 1 click", "a note"]
    path = tmp_path / "TS_01_picks.png"
    assert path == tmp_path / "TS_01_picks.png"
    report.write_picture(path, result)
    assert imread(path).shape[1] == 1300
    with pytest.raises(InputError, match="already exists"):
        report.write_picture(path, result)


@pytest.mark.parametrize(
    ("largest", "length"), [(0.9, 0.5), (1, 1), (4.9, 2), (5, 5), (99, 50), (100, 100)]
)
def test_the_scale_bar_is_round(largest: float, length: float) -> None:
    assert report._round_length(largest) == pytest.approx(length)


def test_numbers_of_numpy_are_recorded(result: Result, tmp_path: Path) -> None:
    run = result.write(tmp_path)["run"]
    assert json.loads(run.read_text())["settings"]["diameter_angstrom"] == 80
