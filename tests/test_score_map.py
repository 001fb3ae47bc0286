"""The score map: brute force, another library and slabs give the same; what is missing is found."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage
from skimage.feature import match_template

from aitom_cryosam.averaging.average import Average
from aitom_cryosam.averaging.full_search import ORIGIN, with_new_places
from aitom_cryosam.averaging.rescoring import Rescored, background_places, rescored
from aitom_cryosam.averaging.rotations import all_rotations
from aitom_cryosam.averaging.score_map import score_map
from aitom_cryosam.averaging.settings import AveragingSettings
from aitom_cryosam.averaging.slabs import correlated, duration
from aitom_cryosam.averaging.sources import Source
from aitom_cryosam.averaging.spectra import Ball, Readable
from aitom_cryosam.averaging.subvolumes import soft_ball
from aitom_cryosam.averaging.template import Template
from aitom_cryosam.averaging.wedge import MissingWedge
from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.picks import Picks
from aitom_cryosam.record import Record
from aitom_cryosam.regions import Regions
from aitom_cryosam.resources import Resources
from aitom_cryosam.simulation.simulate import Simulation
from aitom_cryosam.tomogram import Tomogram
from tests.test_cli_average import result, simulation  # noqa: F401
from tests.toys import small_simulation, true_average

WEDGE = MissingWedge(-60.0, 60.0)
SETTINGS = AveragingSettings(diameter=250.0, step=40.0)
SMALL = Resources(device="cpu", ram_bytes=1 << 30)
SIZE = 8
TURNS = all_rotations(90.0)[:5]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def template(mask: np.ndarray) -> Template:
    torch = pytest.importorskip("torch")
    ball = Ball(SIZE, 3)
    structure = ndimage.gaussian_filter(noise(SIZE, SIZE, SIZE), 1).astype(np.float32)
    weights = torch.from_numpy(WEDGE.weights(ball.points_xyz))
    return Template(ball, 1.0, weights, torch.from_numpy(mask), Readable(structure[None]))


def test_the_map_is_that_of_brute_force():
    volume, mask = noise(11, 14, 13), soft_ball(SIZE, 2, 2)
    looked_for = template(mask)
    half = SIZE // 2
    padded = np.pad(volume, [(half, half - 1)] * 3)
    windows = sliding_window_view(padded, (SIZE,) * 3)  # (11, 14, 13, 8, 8, 8)
    centred = windows - (windows * mask).sum(axis=(3, 4, 5), keepdims=True) / mask.sum()
    lengths = np.sqrt((mask * centred**2).sum(axis=(3, 4, 5)))
    boxes = looked_for.turned(TURNS).numpy()
    scores = [(box * centred).sum(axis=(3, 4, 5)) / lengths for box in boxes]
    found = correlated(volume, looked_for, TURNS)
    np.testing.assert_allclose(found, np.max(scores, axis=0), atol=1e-4)


def test_the_map_is_that_of_another_library():
    volume = noise(11, 14, 13)
    looked_for = template(np.ones((SIZE,) * 3, np.float32))
    theirs = [
        match_template(volume, box.numpy(), pad_input=True) for box in looked_for.turned(TURNS)
    ]
    inner = tuple(slice(SIZE // 2, -SIZE // 2) for _ in range(3))
    ours = correlated(volume, looked_for, TURNS)
    np.testing.assert_allclose(ours[inner], np.max(theirs, axis=0)[inner], atol=1e-4)


def test_slabs_make_the_same_map():
    volume, looked_for = noise(11, 14, 13), template(soft_ball(SIZE, 2, 2))
    told = []
    little = correlated(
        volume, looked_for, TURNS, 48 * 24 * 24 * 12, lambda *step: told.append(step)
    )
    assert told[-1][2] > len(TURNS)  # more than one slab
    assert told[-1][1] == told[-1][2]
    np.testing.assert_allclose(little, correlated(volume, looked_for, TURNS), atol=1e-5)


def test_too_little_memory_is_said():
    with pytest.raises(InputError, match=r"full search needs about \d+ kB .* may use 50 kB"):
        correlated(noise(11, 14, 13), template(soft_ball(SIZE, 2, 2)), TURNS, 50e3)


def test_what_does_not_vary_scores_nothing():
    volume = noise(11, 14, 24)
    volume[:, :, 12:] = 0
    found = correlated(volume, template(soft_ball(SIZE, 2, 2)), TURNS)
    assert np.isfinite(found).all()
    assert (found[:, :, 17:] == 0).all()


def test_a_duration_is_said_in_words():
    assert [duration(seconds) for seconds in (4, 700, 9000)] == ["4 s", "12 min", "2.5 h"]


@pytest.fixture(scope="module")
def crowd() -> Simulation:
    """8 particles, then 8 of another kind."""
    return small_simulation(snr=0.5)


@pytest.fixture(scope="module")
def source(crowd: Simulation) -> Source:
    tomogram = Tomogram.from_array(crowd.data, voxel_size=20.0)
    points = crowd.points_zyx[:8]
    return Source(tomogram, Picks.from_points(points), points[:1], [], WEDGE)


@pytest.fixture(scope="module")
def average() -> Average:
    return true_average()


def test_the_average_is_found_where_it_lies(source, average, crowd):
    found = score_map(source.tomogram, average, WEDGE, diameter=250.0, step=40.0)
    points, _ = found.maxima(8.0)
    assert distances(points[:8], crowd.points_zyx[:8]).max() < 3


def distances(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(n,) voxels to the nearest."""
    return np.linalg.norm(points[:, None] - truth, axis=-1).min(axis=1)


@pytest.fixture(scope="module")
def judged(source, average, crowd) -> tuple[Picks, Rescored]:
    """Five of the particles, five of the other kind and ten empty places, as they were judged."""
    empty = background_places(source.tomogram, crowd.points_zyx, 10.0)[:10]
    points = np.concatenate([crowd.points_zyx[[*range(5), *range(8, 13)]], empty])
    proposals = Picks.from_points(points, np.linspace(1, 0, 20)).reject(np.arange(5, 20), "chance")
    return proposals, rescored(source.tomogram, proposals, average, SETTINGS, WEDGE)


def test_particles_that_were_never_proposed_join(source, average, crowd, judged):
    every, score = with_new_places(source, *judged, average, SETTINGS, SMALL)
    n = len(judged[0])
    assert len(every) == len(score.odds) > n
    assert every.extra[ORIGIN][:n] == ("features",) * n
    assert set(every.extra[ORIGIN][n:]) == {"average"}
    assert not every.kept[n:].any()
    assert set(every.reasons[n:]) == {"not proposed"}
    assert len(np.unique(every.ids)) == len(every)
    believed = score.points_zyx[n:][score.probabilities[n:] > 0.5]
    assert distances(crowd.points_zyx[5:8], believed).max() < 3
    assert distances(believed, crowd.points_zyx[:8]).max() < 3


def test_new_places_keep_to_the_regions_of_the_run(source, average, judged):
    nowhere = Regions(shape_zyx=source.tomogram.shape, edge_voxels=1e6)
    every, score = with_new_places(
        replace(source, regions=nowhere), *judged, average, SETTINGS, SMALL
    )
    assert len(every) == len(score.odds) == len(judged[0])
    assert set(every.extra[ORIGIN]) == {"features"}


def test_a_search_without_refine_is_refused(tmp_path, capsys):
    arguments = ["pick", "TS_01.mrc", "--prompt", "1,2,3", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--search", "full"]) == 2
    assert "--search full is for --refine" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--memory", "much"], "Expected an amount of memory"),
        (["--device", "toaster"], "Expected auto, cuda"),
        (["--search", "everything"], "invalid choice"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(result, tmp_path, capsys, typed, said):  # noqa: F811
    arguments = ["refine", str(result), "--out", str(tmp_path / "out"), "--tilt-range", "-60,60"]
    assert status([*arguments, "--search", "full", *typed]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def status(arguments: list[str]) -> int | str | None:
    try:
        return main(arguments)
    except SystemExit as stopped:
        return stopped.code


@pytest.mark.slow
def test_the_files_say_what_was_never_proposed(result, tmp_path):  # noqa: F811
    arguments = ["refine", str(result), "--out", str(tmp_path), "--tilt-range", "-60,60"]
    options = ["--search", "full", "--step", "40", "--iterations", "2", "--memory", "1GB"]
    assert main([*arguments, *options, "--quiet"]) == 0
    record = Record.open(tmp_path)
    assert record.content["refinement"]["search"] == "full"
    assert set(record.proposals.extra[ORIGIN]) <= {"features", "average"}
    assert len(record.picks) >= len(Record.open(result).picks)
