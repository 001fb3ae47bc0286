"""AITom's pickers as a comparison runs them: templates, binning, planted particles."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam.baselines import TemplateMatching, binned_tomogram, dog, read_template
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation.comparison import compare
from aitom_cryosam.picks import Picks
from aitom_cryosam.resources import Resources
from aitom_cryosam.tomogram import Tomogram
from aitom_cryosam.volumes.mrc import write_volume
from tests.toys import small_simulation

AITOM = [
    pytest.mark.aitom,
    pytest.mark.skipif(
        find_spec("aitom") is None,
        reason="AITom is not importable; type: git clone https://github.com/xulabs/aitom aitom "
        '&& export PYTHONPATH="$PWD/aitom"',
    ),
]


def needs_aitom(test):
    for mark in AITOM:
        test = mark(test)
    return test


def blob(shape: tuple[int, int, int], centre: np.ndarray, width: float) -> np.ndarray:
    """A Gaussian, voxels, float32."""
    grid = np.stack(np.indices(shape), axis=-1) - centre
    return np.exp(-((grid / width) ** 2).sum(axis=-1) / 2).astype(np.float32)


def middle_of_mass(volume: np.ndarray) -> np.ndarray:
    """(3,) of what is in the mask."""
    inside = np.argwhere(np.isfinite(volume))
    return np.average(inside, axis=0, weights=volume[tuple(inside.T)])


BALL = (np.indices((28, 33, 30)) - np.array([14, 16, 15]).reshape(3, 1, 1, 1)) ** 2
BALL = (BALL.sum(axis=0) <= 5**2).astype(np.float32)


@pytest.fixture
def lone_map(tmp_path: Path) -> Path:
    """A ball of 5 voxels of 5 Å at the voxel n // 2 of 28 x 33 x 30."""
    data = BALL
    write_volume(tmp_path / "map.mrc", data, voxel_size=5)
    return tmp_path / "map.mrc"


@pytest.mark.parametrize(
    ("voxel_size", "binning", "size"),
    [(5.0, 1, 13), (5.0, 2, 9), (5.0, 3, 7), (10.0, 1, 9), (7.5, 2, 7), (2.5, 1, 23), (2.5, 3, 11)],
)
def test_a_template_is_a_tight_odd_box_around_the_particles_position(
    lone_map: Path, voxel_size: float, binning: int, size: int
) -> None:
    template = read_template(lone_map, voxel_size, binning=binning)
    assert template.shape == (size,) * 3
    np.testing.assert_allclose(middle_of_mass(template), [size // 2] * 3, atol=2e-3)
    assert np.isnan(template[0, 0, 0])
    assert np.isfinite(template[0, size // 2, size // 2])


def test_a_template_keeps_what_is_off_its_middle_there(tmp_path: Path) -> None:
    data = blob((40, 41, 42), np.array([26, 16, 23]), 3)  # the position is 20, 20, 21
    write_volume(tmp_path / "map.mrc", data, voxel_size=5)
    template = read_template(tmp_path / "map.mrc", 5.0, binning=2)
    off = middle_of_mass(template) - len(template) // 2
    np.testing.assert_allclose(off, [3, -2, 1], atol=0.03)


def test_resampling_is_said(lone_map: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "aitom_cryosam")
    read_template(lone_map, 5.0)
    assert caplog.text == ""
    read_template(lone_map, 8.0)
    assert "resampled from voxels of 5 Å to 8 Å" in caplog.text


def test_a_dark_map_is_turned_over(tmp_path: Path, lone_map: Path) -> None:
    write_volume(tmp_path / "dark.mrc", -BALL, voxel_size=5)
    turned = read_template(tmp_path / "dark.mrc", 5.0, contrast="dark")
    np.testing.assert_array_equal(turned, read_template(lone_map, 5.0))
    with pytest.raises(InputError, match=r"if protein is dark there, give contrast=.dark"):
        read_template(tmp_path / "dark.mrc", 5.0)


def test_maps_that_are_no_template_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no file .*none.mrc"):
        read_template(tmp_path / "none.mrc", 10.0)
    data = blob((8, 9, 10), np.array([4, 4, 5]), 2)
    write_volume(tmp_path / "one.mrc", data, voxel_size=1)
    with pytest.raises(InputError, match=r"stands for unknown; give map_voxel_size in Å"):
        read_template(tmp_path / "one.mrc", 10.0)
    assert read_template(tmp_path / "one.mrc", 10.0, map_voxel_size=10.0).shape == (9, 9, 9)
    write_volume(tmp_path / "flat.mrc", np.ones((4, 5, 6), np.float32), voxel_size=5)
    with pytest.raises(InputError, match="every voxel is 1; expected a density map"):
        read_template(tmp_path / "flat.mrc", 10.0)
    data[0, 0, 0] = np.nan
    write_volume(tmp_path / "nan.mrc", data, voxel_size=5)
    with pytest.raises(InputError, match="holds NaN or infinity"):
        read_template(tmp_path / "nan.mrc", 10.0)


@pytest.mark.parametrize("factor", [2, 3])
def test_binning_puts_a_voxel_in_the_middle_of_its_cube(factor: int) -> None:
    centre = np.array([13.2, 15.7, 17.1])
    tomogram = Tomogram.from_array(blob((29, 34, 40), centre, 3), voxel_size=4, contrast="bright")
    small = binned_tomogram(tomogram, factor)
    assert small.shape == (29 // factor, 34 // factor, 40 // factor)
    assert (small.voxel_size, small.contrast) == (4 * factor, "bright")
    found = middle_of_mass(small.data) * factor + (factor - 1) / 2
    np.testing.assert_allclose(found, centre, atol=0.02)


def test_binning_is_a_mean() -> None:
    data = np.arange(8 * 9 * 11, dtype=np.int16).reshape(8, 9, 11)
    small = binned_tomogram(Tomogram.from_array(data, voxel_size=4), 2).data
    assert small.shape == (4, 4, 5)
    # the corners of the first cube are 0, 1, 11, 12 and the same 99 later
    assert small[0, 0, 0] == (0 + 1 + 11 + 12) / 4 + 99 / 2
    assert binned_tomogram(Tomogram.from_array(data, voxel_size=4), 1).data.shape == data.shape
    for factor in (0, 3):
        with pytest.raises(InputError, match=r"binning from 1 to 2 for .* 8 × 9 × 11 voxels, got"):
            binned_tomogram(Tomogram.from_array(data, voxel_size=4), factor)


PLANTED = np.array([[14, 22, 33], [20, 40, 14], [25, 14, 51]])


@pytest.fixture
def planted() -> Tomogram:
    """Three dark blobs of σ 15 Å in noise, 38 x 55 x 64 voxels of 5 Å."""
    rng = np.random.default_rng(0)
    data = 0.02 * rng.standard_normal((38, 55, 64)).astype(np.float32)
    for centre in PLANTED:
        data -= blob(data.shape, centre, 3)
    return Tomogram.from_array(data, voxel_size=5)


@needs_aitom
@pytest.mark.parametrize("binning", [1, 2, 3])
def test_template_matching_finds_the_planted_at_their_places(
    planted: Tomogram, lone_map: Path, binning: int
) -> None:
    template = read_template(lone_map, 5.0, binning=binning)
    matching = TemplateMatching(
        planted, template, diameter=60, angular_step=180, binning=binning, processes=1
    )
    found = matching.run()
    best = found.candidates.best_first().points_zyx[:3]
    order = np.argsort(best[:, 0])
    # Binned, the middle of the nearest cube: at most half a cube off.
    assert np.abs(best[order] - PLANTED).max() <= binning / 2
    np.testing.assert_allclose(best % binning, (binning - 1) / 2)
    assert found.annotations == "a template map"
    assert found.settings == {
        "angular_step": 180,
        "rotations": 4,
        "binning": binning,
        "template_voxels": {1: 13, 2: 9, 3: 7}[binning],
        "processes": 1,
    }


@needs_aitom
def test_a_template_of_other_voxels_finds_the_same(planted: Tomogram, tmp_path: Path) -> None:
    data = blob((16, 17, 18), np.array([8, 8, 9]), 1.5)
    write_volume(tmp_path / "coarse.mrc", data, voxel_size=10)
    template = read_template(tmp_path / "coarse.mrc", 5.0)
    matching = TemplateMatching(planted, template, diameter=60, angular_step=180, processes=1)
    best = matching.run().candidates.best_first().points_zyx[:3]
    assert sorted(best.tolist()) == PLANTED.tolist()


@needs_aitom
@pytest.mark.slow
def test_rotations_shared_by_processes_give_the_same(
    planted: Tomogram, lone_map: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aitom_cryosam")
    told: list[tuple[str, int, int]] = []
    template = read_template(lone_map, 5.0)

    def run(processes: int):
        return TemplateMatching(
            planted,
            template,
            diameter=60,
            angular_step=90,
            processes=processes,
            progress=lambda *step: told.append(step),
        ).run()

    one, two = run(1), run(2)
    np.testing.assert_array_equal(one.candidates.points_zyx, two.candidates.points_zyx)
    np.testing.assert_array_equal(one.candidates.kept, two.candidates.kept)
    assert told == [("template matching", n, 24) for n in range(1, 25)] * 2
    assert "24 rotations" in caplog.text
    assert "minutes on 1 process." in caplog.text
    assert "minutes on 2 processes." in caplog.text


@needs_aitom
def test_what_cannot_run_is_refused_before_it_runs(planted: Tomogram, lone_map: Path) -> None:
    template = read_template(lone_map, 5.0)
    with pytest.raises(InputError, match="an angular step above 0 and up to 180 degrees, got 0"):
        TemplateMatching(planted, template, diameter=60, angular_step=0)
    with pytest.raises(InputError, match="Expected 1 thread or more, got 0"):
        TemplateMatching(planted, template, diameter=60, processes=0)
    tight = Resources(ram_bytes=10**6)
    with pytest.raises(InputError, match=r"needs 0\.02 GB, but 0\.00 GB .* give a binning of 2"):
        TemplateMatching(planted, template, diameter=60, resources=tight)
    with pytest.raises(InputError, match=r"The template, \(13, 13, 13\), does not fit"):
        TemplateMatching(
            Tomogram.from_array(planted.data[:13], voxel_size=5), template, diameter=60
        )


@needs_aitom
def test_memory_bounds_the_processes(planted: Tomogram, lone_map: Path) -> None:
    template = read_template(lone_map, 5.0)
    for room, processes in [(50e6, 2), (150e6, 5)]:  # of 21 MB each
        matching = TemplateMatching(
            planted, template, diameter=60, processes=5, resources=Resources(ram_bytes=int(room))
        )
        assert matching.settings["processes"] == processes


@needs_aitom
def test_dog_takes_its_width_from_the_diameter() -> None:
    world = small_simulation()
    tomogram = Tomogram.from_array(world.data, voxel_size=20)
    found = dog(tomogram, diameter=200)
    assert found.annotations == "none"
    assert found.settings == {
        "diameter_angstrom": 200,
        "s1_voxels": pytest.approx(5 / np.sqrt(3)),
    }
    scores = found.candidates.scores
    assert (np.diff(scores) <= 0).all()
    assert 0 < len(found.picks) < len(found.candidates)
    assert found.picks.scores.min() > found.candidates.take(~found.candidates.kept).scores.max()
    truth = Picks.from_points(world.points_zyx)
    assert compare(found, truth, radius=100, voxel_size=20).best[0] > 0.6
