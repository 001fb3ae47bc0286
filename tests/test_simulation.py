"""Simulated tomograms: particles lie where the truth says, as the microscope would show them."""

from __future__ import annotations

import math
from dataclasses import replace

import mrcfile
import numpy as np
import pytest
from scipy import ndimage

from aitom_cryosam.errors import InputError
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.simulation.density import Density, barrel, load_density, ribosome_like
from aitom_cryosam.simulation.files import simulation_paths, write_simulation
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import Simulation, simulate

# Three unequal axes, odd and even: half a pixel lost in projection or back-projection shows.
CLEAN = SimulationSettings(
    shape_zyx=(33, 50, 44), snr=math.inf, defocus=0, membranes=0, contrast="bright"
)
SMALL = SimulationSettings(shape_zyx=(40, 62, 71), membranes=0, seed=4)


def blob(sigma: float = 2.0) -> Density:
    z, y, x = np.ogrid[-8:9, -8:9, -8:9]
    gaussian = np.exp(-0.5 * (z**2 + y**2 + x**2) / sigma**2)
    return Density("blob", gaussian.astype(np.float32), 10.0)


def centre_of_mass(data: np.ndarray) -> np.ndarray:
    return np.array(ndimage.center_of_mass(np.where(data > 0.3 * data.max(), data, 0)))


def power(data: np.ndarray, x_per_z: float) -> float:
    """Mean power at middle frequencies near the x axis (above 1) or the z axis (below 1)."""
    spectrum = np.abs(np.fft.fftn(data)) ** 2
    kz, _, kx = (np.abs(f) for f in np.ix_(*map(np.fft.fftfreq, data.shape)))
    near = kx > x_per_z * kz if x_per_z > 1 else kx < x_per_z * kz
    band = (np.hypot(kz, kx) > 0.05) & (np.hypot(kz, kx) < 0.15)
    return float(spectrum.mean(axis=1, keepdims=True)[near & band].mean())


@pytest.mark.parametrize("tilt_range", [(-60, 60), (-88, 88), (-50, 30)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_particle_is_reconstructed_at_its_true_position(
    tilt_range: tuple[float, float], seed: int
) -> None:
    simulation = simulate([(blob(), 1)], replace(CLEAN, tilt_range=tilt_range, seed=seed))
    error = centre_of_mass(simulation.data) - simulation.points_zyx[0]
    assert np.abs(error).max() < 0.1


def test_contrast_transfer_and_noise_move_nothing() -> None:
    settings = replace(CLEAN, defocus=3.0, snr=1.0, seed=2)
    simulation = simulate([(blob(), 1)], settings)
    error = centre_of_mass(simulation.data) - simulation.points_zyx[0]
    assert np.abs(error).max() < 0.2


def test_contrast_transfer_is_that_of_300_kv_and_3_micrometres() -> None:
    def spectrum(defocus: float) -> np.ndarray:
        settings = replace(CLEAN, tilt_range=(0, 0), defocus=defocus)
        return np.abs(np.fft.fft2(simulate([(blob(sigma=1.0), 1)], settings).data.sum(axis=0)))

    ratio = spectrum(3.0) / spectrum(0.0)
    # |sin(1855.5 Å² k² + 0.07)| where k² = (6/440 Å)² + (0, 10, 20 of 1/500 Å)²
    assert ratio[[0, 10, 20], 6] == pytest.approx([0.403, 0.916, 0.240], abs=0.02)


def test_all_tilts_return_the_density_itself() -> None:
    settings = replace(CLEAN, tilt_range=(-89, 89), tilt_step=1)
    peak = simulate([(blob(sigma=3.0), 1)], settings).data.max()
    assert 0.9 < peak < 1.05


def test_a_turned_particle_is_where_its_rotation_says() -> None:
    data = np.zeros((15, 15, 15), dtype=np.float32)
    data[7, 7, 7], data[7, 7, 12] = 1.0, 0.3  # a body and a marker 5 voxels away along x
    data = ndimage.gaussian_filter(data, 1.0)
    density = Density("marked", data / data.max(), 10.0)
    settings = replace(CLEAN, tilt_range=(-89, 89), tilt_step=1, seed=5)
    simulation = simulate([(density, 1)], settings)
    marker = simulation.rotations[0] @ (np.array([7, 7, 12]) - density.centre_zyx)
    places = simulation.points_zyx[0] + np.stack([marker, -marker])
    found, opposite = ndimage.map_coordinates(simulation.data, places.T) / simulation.data.max()
    assert 0.25 < found < 0.4
    assert opposite < 0.1


def test_rotations_are_proper_and_differ() -> None:
    rotations = simulate([(blob(), 3)], CLEAN).rotations
    assert np.allclose(np.linalg.det(rotations), 1)
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3))
    assert np.abs(rotations[0] - rotations[1]).max() > 0.1


def test_tilts_to_60_degrees_leave_a_wedge_along_z_empty() -> None:
    data = simulate([(blob(), 1)], CLEAN).data
    assert power(data, 1 / 2.5) < 0.1 * power(data, 2.5)
    full = simulate([(blob(), 1)], replace(CLEAN, tilt_range=(-89, 89), tilt_step=1)).data
    assert power(full, 1 / 2.5) > 0.5 * power(full, 2.5)


def test_dark_is_bright_with_the_other_sign() -> None:
    bright = simulate([(blob(), 2)], replace(SMALL, contrast="bright"))
    dark = simulate([(blob(), 2)], SMALL)
    assert np.array_equal(dark.data, -bright.data)
    assert dark.data[dark.labels > 0].mean() < dark.data[dark.labels == 0].mean()


def test_the_same_seed_gives_the_same_bytes() -> None:
    particles = [(ribosome_like(10.0), 1), (barrel(10.0), 2)]
    first, again = simulate(particles, SMALL), simulate(particles, SMALL)
    assert first.data.tobytes() == again.data.tobytes()
    assert first.labels.tobytes() == again.labels.tobytes()
    other = simulate(particles, replace(SMALL, seed=5))
    assert not np.array_equal(first.points_zyx, other.points_zyx)


def test_noise_has_the_asked_ratio_and_denoising_lowers_it() -> None:
    def variance(**changes: float) -> float:
        settings = replace(CLEAN, **changes)
        return float(np.var(simulate([(blob(), 4)], settings).data - clean))

    clean = simulate([(blob(), 4)], CLEAN).data
    assert variance(snr=0.1) / variance(snr=0.4) == pytest.approx(4, rel=1e-3)
    assert variance(snr=0.1, denoise=12.0) < 0.1 * variance(snr=0.1)


def test_an_empty_sample_is_noise_alone() -> None:
    simulation = simulate([(blob(), 0)], SMALL)
    assert simulation.points_zyx.shape == (0, 3)
    assert simulation.rotations.shape == (0, 3, 3)
    assert simulation.data.std() > 0
    assert not simulation.labels.any()


def test_particles_and_membranes_keep_apart_inside_the_volume() -> None:
    kinds = [(barrel(10.0), 12), (ribosome_like(10.0), 5)]
    settings = replace(SMALL, shape_zyx=(50, 130, 141), membranes=2)
    simulation = simulate(kinds, settings)
    assert simulation.classes == ("barrel",) * 12 + ("ribosome_like",) * 5
    radii = np.repeat([density.radius for density, _ in kinds], [12, 5])[:, None]
    assert (simulation.points_zyx >= radii).all()
    assert (simulation.points_zyx <= np.array(settings.shape_zyx) - 1 - radii).all()
    distances = np.linalg.norm(simulation.points_zyx[:, None] - simulation.points_zyx, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (distances > radii + radii.T).all()
    whole = [np.count_nonzero(density.data > 0.1) for density, _ in kinds]
    sizes = np.bincount(simulation.labels[simulation.labels > 0])[1:]
    assert sizes == pytest.approx(np.repeat(whole, [12, 5]), rel=0.1)  # nothing painted over
    membranes = np.argwhere(simulation.labels == -1)
    assert len(membranes) > 10_000
    for point, radius in zip(simulation.points_zyx, radii, strict=True):
        assert np.linalg.norm(membranes - point, axis=1).min() > radius


def test_labels_are_the_rows_of_the_truth() -> None:
    simulation = simulate([(barrel(10.0), 3), (blob(), 4)], SMALL)
    ids = range(1, 8)
    centres = ndimage.center_of_mass(simulation.labels > 0, simulation.labels, ids)
    assert sorted(np.unique(simulation.labels)) == [0, *ids]
    assert np.abs(np.array(centres) - simulation.points_zyx).max() < 0.3


def test_invented_particles_have_their_size_at_any_voxel_size() -> None:
    for voxel_size in (4.0, 13.6):
        volumes = []
        for make, diameter in ((ribosome_like, 290), (barrel, 188)):
            density = make(voxel_size)
            assert density.data.dtype == np.float32
            assert (density.data.min() >= 0, density.data.max()) == (True, 1)
            assert 2 * density.radius * voxel_size == pytest.approx(diameter, rel=0.08)
            volumes.append(np.count_nonzero(density.data > 0.1) * voxel_size**3)
        assert volumes == pytest.approx([4.4e6, 1.7e6], rel=0.12)
    z, y, x = (np.array(barrel(5.0).data.shape) - 1) // 2
    assert barrel(5.0).data[z, y, x] < 0.01  # hollow


def test_maps_are_resampled_and_normalised(tmp_path) -> None:
    path = tmp_path / "a map.mrc"
    z, y, x = np.ogrid[-20:21, -20:21, -20:21]
    data = 7 * np.exp(-0.5 * ((z / 6) ** 2 + (y / 4) ** 2 + (x / 8) ** 2)) - 0.5
    with mrcfile.new(path) as file:
        file.set_data(data.astype(np.float32))
        file.voxel_size = 5.0
    density = load_density(path, 10.0)
    assert (density.name, density.voxel_size) == ("a_map", 10.0)
    assert density.data.shape == (21, 21, 21)
    assert (density.data.min(), density.data.max()) == (0, 1)
    assert np.abs(density.centre_zyx - 10).max() < 0.01
    profile = (7 * np.exp(-0.5 * (np.arange(-10, 11) * 2 / 8) ** 2) - 0.5).clip(min=0) / 6.5
    assert np.abs(density.data[10, 10] - profile).max() < 0.02
    assert load_density(path, 10.0, map_voxel_size=10.0).data.shape == (41, 41, 41)


def test_a_map_of_unknown_voxel_size_names_the_right_option(tmp_path) -> None:
    path = tmp_path / "map.mrc"
    with mrcfile.new(path) as file:
        file.set_data(np.ones((8, 8, 8), dtype=np.float32))
    with pytest.raises(InputError, match="give map_voxel_size in Å"):
        load_density(path, 10.0)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (-2.0, "no density above 0"),
        (-1.0, "every voxel is -1; expected a density map"),
        (np.nan, "NaN or infinity"),
    ],
)
def test_maps_without_density_are_refused(tmp_path, value: float, sentence: str) -> None:
    path = tmp_path / "map.mrc"
    with mrcfile.new(path) as file:
        file.set_data(np.full((8, 8, 8), -1, dtype=np.float32))
        file.data[1, 2, 3] = value
        file.voxel_size = 10.0
    with pytest.raises(InputError, match=sentence):
        load_density(path, 10.0)


@pytest.mark.parametrize("data", [np.zeros((5, 5, 5)), np.ones((5, 5))])
def test_densities_without_density_are_refused(data: np.ndarray) -> None:
    with pytest.raises(InputError, match="Expected a volume with values up to 1 as the density a"):
        Density("a", data, 10.0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"shape_zyx": (4, 50, 60)}, "at least 8 voxels in x, y and z, got 60 x 50 x 4"),
        ({"voxel_size": 0}, "a voxel size above 0 Å, got 0"),
        ({"tilt_range": (-90, 60)}, "got -90 to 60"),
        ({"tilt_range": (10, -10)}, "got 10 to -10"),
        ({"tilt_step": 0}, "a tilt step above 0°, got 0"),
        ({"snr": 0}, "ratio above 0"),
        ({"snr": math.nan}, "ratio above 0"),
        ({"defocus": -1}, "a defocus of 0 µm or more, got -1"),
        ({"seed": -1}, "a seed of 0 or more, got -1"),
        ({"membranes": -1}, "0 membranes or more, got -1"),
        ({"contrast": "grey"}, "dark or bright contrast, got grey"),
        ({"denoise": -1}, "a denoising of 0 Å or more, got -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        SimulationSettings(**wrong)


@pytest.mark.parametrize(
    ("density", "count", "changes", "sentence"),
    [
        (blob(), -1, {}, "0 copies of blob or more, got -1"),
        (barrel(8.0), 1, {}, "barrel in voxels of 10 Å, got 8 Å"),
        (ribosome_like(10.0), 1, {"shape_zyx": (20, 60, 60)}, "does not fit into a volume"),
        (blob(), 500, {}, "of 500 particles fit without overlap"),
        (blob(), 0, {"membranes": 50}, "of 50 membranes fit without touching"),
    ],
)
def test_what_does_not_fit_is_said(
    density: Density, count: int, changes: dict, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        simulate([(density, count)], replace(SMALL, **changes))


def tiny() -> Simulation:
    points = np.array([[3.25, 4.0, 5.5], [1.0, 2.0, 3.0]])
    data = np.zeros((9, 10, 11), dtype=np.float32)
    labels = np.zeros((9, 10, 11), dtype=np.int32)
    labels[0, 1, 2], data[0, 1, 2] = -1, 2.5
    return Simulation(data, labels, points, ("4v4r", "1e10"), np.stack([np.eye(3)] * 2), 13.6)


def test_files_hold_the_simulation(tmp_path) -> None:
    paths = write_simulation(tiny(), tmp_path, "00255")
    assert [path.name for path in paths] == [
        "00255.mrc",
        "00255_truth.star",
        "00255_truth_labels.mrc",
    ]
    assert paths[1].read_text().strip().splitlines()[-2:] == [
        "5.500000 4.000000 3.250000 00255.tomostar 0.000000 0.000000 0.000000 4v4r",
        "3.000000 2.000000 1.000000 00255.tomostar 0.000000 0.000000 0.000000 1e10",
    ]
    truth = read_points(paths[1], voxel_size=13.6)
    assert np.array_equal(truth.picks.points_zyx, tiny().points_zyx)
    assert truth.classes == ("4v4r", "1e10")
    for path, dtype, value in ((paths[0], np.float32, 2.5), (paths[2], np.int16, -1)):
        with mrcfile.open(path) as file:
            assert file.data.dtype == dtype
            assert file.data[0, 1, 2] == value
            assert file.voxel_size.x == pytest.approx(13.6)


def test_existing_files_stay_unless_told(tmp_path) -> None:
    write_simulation(tiny(), tmp_path, "a")
    (tmp_path / "a.mrc").unlink()
    with pytest.raises(InputError, match=r"a_truth.star already exists"):
        write_simulation(tiny(), tmp_path, "a")
    assert not (tmp_path / "a.mrc").exists()
    write_simulation(tiny(), tmp_path, "a", overwrite=True)
    assert (tmp_path / "a.mrc").exists()


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a#b", "a\\b"])
def test_names_that_break_a_star_file_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="Expected a name without spaces"):
        simulation_paths(".", name)
