"""Density maps as templates, references and samples of a simulation."""

from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam.averaging.reference import read_reference
from aitom_cryosam.baselines import read_template
from aitom_cryosam.errors import InputError
from aitom_cryosam.simulation.density import load_density
from aitom_cryosam.volumes.density_map import resampled
from aitom_cryosam.volumes.mrc import write_volume

READERS = {
    "reference": lambda path, **given: read_reference(path, 24, 10.0, **given),
    "template": lambda path, **given: read_template(path, 10.0, **given),
    "sample": lambda path, **given: load_density(path, 10.0, **given),
}


def blob(shape: tuple[int, int, int], width: float) -> np.ndarray:
    """Bright about voxel n // 2."""
    grids = np.ogrid[tuple(slice(-(n // 2), n - n // 2) for n in shape)]
    return np.exp(-0.5 * sum(grid**2 for grid in grids) / width**2).astype(np.float32)


@pytest.mark.filterwarnings("ignore:Data array contains NaN values")
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_holds_no_density_is_refused_by_all(read, tmp_path: Path) -> None:
    path = tmp_path / "map.mrc"
    with pytest.raises(InputError, match=r"There is no file .*map\.mrc"):
        read(path)
    write_volume(path, np.full((8, 9, 10), 2, np.float32), voxel_size=5)
    with pytest.raises(InputError, match="every voxel is 2; expected a density map"):
        read(path)
    data = blob((8, 9, 10), 2)
    data[0, 0, 0] = np.nan
    write_volume(path, data, voxel_size=5, overwrite=True)
    with pytest.raises(InputError, match="holds NaN or infinity; expected a density map"):
        read(path)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_map_that_states_no_voxel_size_is_asked_for_its_own(read, tmp_path: Path) -> None:
    """And not for the tomogram's."""
    path = tmp_path / "map.mrc"
    write_volume(path, blob((30, 30, 30), 4), voxel_size=1)
    with pytest.raises(InputError, match="give map_voxel_size in Å"):
        read(path)
    read(path, map_voxel_size=5.0)


@pytest.mark.parametrize("shape", [(40, 40, 40), (41, 41, 41), (40, 41, 44)])
@pytest.mark.parametrize("voxel_size", [5.0, 10.0, 14.0])
def test_a_reference_has_the_map_s_middle_in_its_own(shape, voxel_size, tmp_path: Path) -> None:
    """Voxel n // 2 of both, as RELION has it: a shift here is one of all positions."""
    path = tmp_path / "map.mrc"
    write_volume(path, blob(shape, 30 / voxel_size), voxel_size=voxel_size)
    box = read_reference(path, 24, 10.0).box
    assert box.shape == (24,) * 3
    assert abs(box.mean()) < 1e-4
    bright = np.where(box > 0.2 * box.max(), box, 0)
    middle = [(bright.sum(axis=axes) * np.arange(24)).sum() for axes in ((1, 2), (0, 2), (0, 1))]
    np.testing.assert_allclose(np.array(middle) / bright.sum(), 12, atol=0.01)


@pytest.mark.parametrize(
    ("sign", "voxel_size", "says"),
    [
        (1, 10.0, ""),
        (-1, 10.0, "protein seems to be dark in it"),
        (1, 40.0, "is 1200 Å wide, but the boxes of the particles are 240 Å"),
        (1, 2.0, "is 60 Å wide, but the boxes of the particles are 240 Å"),
    ],
)
def test_a_reference_of_something_else_is_told(
    sign, voxel_size, says, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "map.mrc"
    noise = np.random.default_rng(0).normal(0, 0.2, (30, 30, 30)).astype(np.float32)
    write_volume(path, sign * blob((30, 30, 30), 3) + noise, voxel_size=voxel_size)
    read_reference(path, 24, 10.0)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == bool(says)
    assert says in "".join(told)


def test_what_coarse_voxels_cannot_show_is_taken_out_first() -> None:
    z, y, x = np.indices((24, 24, 24))
    checkers = np.where((z + y + x) % 2, 1.0, -1.0)
    coarse = resampled(checkers, 3, np.full(3, 4.0), (6, 6, 6))
    assert np.abs(coarse).max() < 0.02  # each would be 1 or -1
    np.testing.assert_allclose(resampled(checkers, 1, np.zeros(3), (24, 24, 24)), checkers)
