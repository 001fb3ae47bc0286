"""The doctor: what it sees in planted tomograms, and what it tells to type."""

import json
import re
from dataclasses import replace

import mrcfile
import numpy as np
import pytest

from aitom_cryosam import Tomogram
from aitom_cryosam.cli import main
from aitom_cryosam.doctor import Observation, examine
from aitom_cryosam.doctor.header import header_observations
from aitom_cryosam.errors import InputError
from aitom_cryosam.particle_size import ParticleSize
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.power_spectrum import Spectrum
from aitom_cryosam.resources import Resources
from aitom_cryosam.sample_cubes import sample_cubes
from aitom_cryosam.settings import Settings
from aitom_cryosam.trials import tried
from aitom_cryosam.validation.finding import Severity
from tests.toys import small_simulation

NOTHING = np.zeros((0, 3))


@pytest.fixture(scope="module")
def simulation():
    """Dark protein, tilts to 60 degrees about y, 40 x 76 x 90 voxels."""
    return small_simulation()


@pytest.fixture(scope="module")
def tomogram(simulation):
    return Tomogram.from_array(simulation.data, voxel_size=20)


def about(observations, word) -> list[Observation]:
    return [one for one in observations if one.about == word]


def seen(tomogram, points=NOTHING, **how) -> dict[str, Observation]:
    """The last observation about each thing."""
    return {one.about: one for one in examine(tomogram, points, **how)}


@pytest.mark.parametrize(
    ("order", "beam", "tilt"),
    [((0, 1, 2), 0, 1), ((2, 1, 0), 2, 1), ((1, 0, 2), 1, 0), ((0, 2, 1), 0, 2)],
)
def test_the_missing_wedge_tells_the_beam_and_the_tilt_axis(tomogram, order, beam, tilt):
    turned = Tomogram.from_array(tomogram.data.transpose(order), voxel_size=20)
    wedge = Spectrum(sample_cubes(turned)).wedge()
    assert wedge is not None
    assert (wedge.beam, wedge.tilt) == (beam, tilt)
    assert (wedge.lowest, wedge.highest) == pytest.approx((-60, 60), abs=4)
    assert wedge.power < 0.1


def test_noise_has_no_wedge_and_is_not_smooth():
    noise = np.random.default_rng(0).standard_normal((48, 60, 70)).astype(np.float32)
    found = seen(Tomogram.from_array(noise, voxel_size=10))
    assert "No missing wedge" in found["wedge"].text
    assert "Neither denoised" in found["noise"].text
    assert "may be dark or bright" in found["contrast"].text


def test_a_beam_along_another_axis_is_a_warning_with_the_turn(tomogram):
    turned = Tomogram.from_array(tomogram.data.transpose(1, 0, 2), voxel_size=20)
    found = seen(turned)["axes"]
    assert found.severity is Severity.WARNING
    assert "along y, not z" in found.text
    assert "clip rotx" in found.remedy
    assert seen(tomogram)["axes"].severity is Severity.NOTE


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("clicked", [True, False])
def test_the_contrast_follows_the_values(simulation, tomogram, sign, clicked):
    points = simulation.points_zyx[:3] if clicked else NOTHING
    flipped = Tomogram.from_array(sign * tomogram.data.astype(np.float32), voxel_size=20)
    right, wrong = ("dark", "bright") if sign == 1 else ("bright", "dark")
    taken_right = seen(replace(flipped, contrast=right), points)["contrast"]
    taken_wrong = seen(replace(flipped, contrast=wrong), points)["contrast"]
    assert (taken_right.severity, taken_right.options) == (Severity.NOTE, {})
    assert (taken_wrong.severity, taken_wrong.options) == (Severity.WARNING, {"contrast": right})


@pytest.mark.parametrize(("dtype", "size"), [(np.uint8, 8), (np.uint16, 16)])
def test_numbers_read_with_the_other_sign_are_told(simulation, dtype, size):
    values = (simulation.data - simulation.data.mean()) / simulation.data.std()
    sound = np.clip((values + 5) / 10 * (1 << size), 0, (1 << size) - 1).astype(dtype)
    torn = sound.view(f"i{size // 8}")
    told = [
        one
        for data in (sound, torn, (sound - (1 << size - 1)).view(torn.dtype), values)
        for one in about(examine(Tomogram.from_array(data, voxel_size=20)), "header")
    ]
    (one,) = told
    assert f"{size}-bit numbers, read as signed, jump over half of their range" in one.text
    assert f".view('u{size // 8}')" in one.remedy


def test_margins_are_told_by_axis(tomogram):
    data = np.full((40, 96, 90), tomogram.data.mean(), np.float32)
    data[:, 12:88] = tomogram.data
    found = seen(Tomogram.from_array(data, voxel_size=20))["margins"]
    assert "12 at the start and 8 at the end of y" in found.text
    assert "margins" not in seen(tomogram)


def test_clicks_on_particles_stand_out_and_one_on_nothing_does_not(simulation, tomogram):
    diameter = 250 / 20
    good = about(examine(tomogram, simulation.points_zyx[:8], diameter=diameter), "clicks")
    assert [one.severity for one in good] == [Severity.NOTE, Severity.NOTE]
    grid = np.stack(np.meshgrid(*(np.arange(8, n - 8, 4) for n in tomogram.shape)), -1)
    places = grid.reshape(-1, 3).astype(float)
    distances = np.linalg.norm(places[:, None] - simulation.points_zyx, axis=2).min(axis=1)
    nothing = places[[distances.argmax()]]
    bad = about(examine(tomogram, nothing, diameter=diameter), "clicks")[-1]
    assert bad.severity is Severity.WARNING
    assert "may not be on a particle" in bad.text
    several = examine(tomogram, np.repeat(nothing, 7, axis=0), diameter=diameter)
    assert about(several, "clicks")[-1].text.startswith("Each of 7 clicks (")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "truth", "diameter"),
    [
        ("apoferritin_10491/apof_left.mrc", "apoferritin_10491/apof_left_truth.star", 120),
        ("simulated/shrec_like_raw.mrc", "simulated/shrec_like_truth.star", None),
        ("simulated/shrec_like_den.mrc", "simulated/shrec_like_truth.star", 300),
    ],
)
def test_no_true_click_is_doubted(data_dir, name, truth, diameter):
    tomogram = Tomogram.open(data_dir / name)
    points = read_points(data_dir / truth).picks.points_zyx
    known = diameter and diameter / tomogram.voxel_size  # 300 Å is that of none of seven kinds
    told = about(examine(tomogram, points, diameter=known), "clicks")
    assert [one.severity for one in told] == [Severity.NOTE, Severity.NOTE], told


def test_a_particle_larger_than_the_tomogram_takes_no_longer(tomogram):
    clicks = np.array([[20.0, 38, 45]])
    huge = seen(tomogram, clicks, diameter=1e12)  # as of voxels in metres
    assert huge["clicks"].text == seen(tomogram, clicks, diameter=1e3)["clicks"].text


def test_clicks_in_another_order_or_unit_are_told_how_to_be_given(simulation, tomogram):
    high = simulation.points_zyx[simulation.points_zyx[:, 2] > 45]
    swapped = about(examine(tomogram, high[:, ::-1]), "clicks")[0]
    assert swapped.severity is Severity.ERROR
    assert swapped.remedy == "as z,y,x all would lie inside: give x,y,z"
    middle = np.array(tomogram.shape) // 2
    centred = about(examine(tomogram, simulation.points_zyx - middle), "clicks")[0]
    assert centred.remedy == "counted from the middle all would lie inside: add 45,38,20"
    angstrom = about(examine(tomogram, simulation.points_zyx * 20), "clicks")[0]
    assert angstrom.options == {"coords-angpix": "1"}
    assert "divide typed ones by 20" in angstrom.remedy
    one_out = np.concatenate([simulation.points_zyx[:2], [[39, 75, 5000]]])
    partly = about(examine(tomogram, one_out), "clicks")[0]
    assert partly.severity is Severity.WARNING
    assert "1 of 3" in partly.text
    assert "5000,75,39" in partly.text


@pytest.fixture
def file(tmp_path, tomogram):
    path = tmp_path / "TS_01.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data(tomogram.data.astype(np.float32))
        mrc.voxel_size = 20
    return path


@pytest.mark.parametrize(
    ("size", "text", "typed"),
    [
        (0, "no voxel size", "ANGSTROM"),
        (1, "stands for unknown", "ANGSTROM"),
        ((20, 20, 25), "unequal voxel sizes, 20 × 20 × 25 Å in x, y, z", "ANGSTROM"),
        (1.35, "nanometres", "13.5"),
        (20, "Voxels of 20 Å.", None),
    ],
)
def test_the_header_s_voxel_size(file, size, text, typed):
    with mrcfile.open(file, "r+") as mrc:
        mrc.voxel_size = size
    found = header_observations(file)[1]
    assert text in found.text
    assert found.options.get("voxel-size") == typed
    assert not any("oxel" in one.text for one in header_observations(file, voxel_size=20)[1:])


def test_the_header_s_place_axes_and_labels(file):
    with mrcfile.open(file, "r+") as mrc:
        mrc.header.origin = (100, 0, -50)
        mrc.header.nzstart = 7
        mrc.header.mapc, mrc.header.maps = 3, 1
        mrc.header.label[0] = b"made by \x07 someone"
        mrc.header.nsymbt = -4
    texts = " ".join(one.text for one in header_observations(file))
    assert "100, 0, -50 Å, first voxel 0, 0, 7" in texts
    assert "axes 3, 2, 1" in texts
    assert "“made by ? someone”" in texts
    assert "extended header" not in texts


def test_the_command_prints_what_to_type(file, capsys, simulation):
    click = ",".join(f"{value:.1f}" for value in simulation.points_zyx[0, ::-1])
    arguments = ["doctor", str(file), "--prompt", click, "--contrast", "bright"]
    assert main(arguments) == 0
    assert "→ type --contrast dark" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    contrast = next(one for one in answer["observations"] if one["about"] == "contrast")
    assert (contrast["severity"], contrast["type"]) == ("warning", "--contrast dark")


def test_the_command_looks_on_where_the_voxel_size_is_missing(file, capsys, simulation):
    with mrcfile.open(file, "r+") as mrc:
        mrc.voxel_size = 0
    click = ",".join(f"{value:.1f}" for value in simulation.points_zyx[0, ::-1])
    assert main(["doctor", str(file), "--prompt", click, "--diameter", "250"]) == 1
    out, errors = capsys.readouterr()
    assert "→ type --voxel-size ANGSTROM" in out
    assert "wedge lies around z" in out
    assert re.search(r"For a particle of \d+ voxels\.", out)
    assert re.fullmatch(r"Diameter estimated from the prompts: \d+ voxels\n", errors)
    assert main(["doctor", str(file), "--voxel-size", "20"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert main(["doctor", str(file), "--voxel-size", "20", "--quiet"]) == 0
    warned = capsys.readouterr().out.splitlines()
    assert [line for line in told if line[:1] in "!✗"] == [w for w in warned if w[:1] in "!✗"]
    assert not any(line.startswith("·") for line in warned)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (
            ["--diameter", "25"],
            "A particle of 25 Å is 1.2 voxels wide; expected 2 to 40 voxels, 40 to 800 Å.",
        ),
        (["--voxel-size", "200"], "A particle below 4 voxels has no size that could be estimated."),
    ],
)
def test_a_size_that_a_run_would_refuse_is_an_error(file, capsys, simulation, typed, says):
    click = ",".join(f"{value:.1f}" for value in simulation.points_zyx[0, ::-1])
    assert main(["doctor", str(file), "--prompt", click, *typed]) == 1
    out = capsys.readouterr().out
    assert f"✗ diameter  {says}" in out
    assert "→ check --diameter and --voxel-size" in out


def test_what_cannot_be_read_is_one_sentence(tmp_path, capsys):
    (tmp_path / "text.mrc").write_text("not a volume")
    assert main(["doctor", str(tmp_path / "text.mrc")]) == 2
    assert "is not an MRC file" in capsys.readouterr().err
    with pytest.raises(InputError, match="There is no file"):
        header_observations(tmp_path / "nothing.mrc")


def test_the_same_tomogram_gets_the_same_words(simulation, tomogram):
    points = simulation.points_zyx[:4]
    assert examine(tomogram, points) == examine(tomogram, points)


def test_presets_are_ranked_by_how_well_each_click_finds_the_others(tomogram, simulation):
    good = Settings(preset="embedded")
    blind = replace(good, shrinkage=None, slab=2.0, tau_iou=0.0)
    clicks = simulation.points_zyx[:3]
    trials = tried(tomogram, clicks, {"blind": blind, "good": good}, Resources())
    assert [one.name for one in trials] == ["good", "blind"]
    assert 0.85 < trials[0].retrieval <= 1
    apart = simulation.points_zyx[[0, 1, 9]]  # one of another kind
    mixed = tried(tomogram, apart, {"good": good}, Resources())[0]
    assert mixed.retrieval < trials[0].retrieval
    with pytest.raises(InputError, match="two clicks or more, got 1"):
        tried(tomogram, clicks[:1], {"good": good}, Resources())


def test_the_command_ranks_the_presets_that_can_run(file, simulation, capsys):
    clicks = [",".join(f"{v:g}" for v in p[::-1]) for p in simulation.points_zyx[:2]]
    typed = [part for click in clicks for part in ("--prompt", click)]
    assert main(["doctor", str(file), "--voxel-size", "20", *typed, "--presets", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    first, *others = told["presets"]
    assert [one["preset"] for one in told["needs"]] == ["embedded", "paper", "networks"]
    assert told["needs"][0]["bytes"] > 1e8
    assert told["needs"][0]["seconds"] > 1
    assert (first["preset"], first["problem"]) == ("embedded", "")
    assert 0.8 < first["retrieval"] <= 1
    assert {one["preset"] for one in others} == {"paper", "networks"}
    assert all(one["retrieval"] is None and "weights" in one["problem"] for one in others)


def test_it_says_what_each_preset_takes_here_and_what_keeps_it_from_running(file, capsys):
    assert main(["doctor", str(file), "--diameter", "250"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " needs " in line]
    assert len(lines) == 3
    assert re.search(r"embedded takes about [\d.]+ MB of memory; about \d+ s\. .* 250 Å", lines[0])
    assert "paper takes about" in lines[1]
    assert "no weights of dinov2_vitl14_reg and sam_vit_h" in lines[1]
    assert main(["doctor", str(file), "--preset", "paper", "--memory", "1GB"]) == 1
    shown = capsys.readouterr().out
    assert "it cannot run here: no weights" in shown
    assert "1 GB of memory may be used" in shown
    assert "✗ preset    The weights of dinov2_vitl14_reg are not on this machine" in shown


def test_a_click_near_the_border_is_noted_where_the_size_is_known(tomogram):
    points = np.array([[20.0, 5, 40], [20, 40, 40]])
    (seen,) = about(examine(tomogram, points, diameter=12), "border")
    assert seen.severity is Severity.NOTE  # a run warns itself
    assert "The click 40,5,20 is near the border" in seen.text


def test_other_diameters_that_a_run_may_try_are_told(file, simulation, capsys, monkeypatch):
    click = ",".join(f"{value:.1f}" for value in simulation.points_zyx[0, ::-1])
    asked = ["doctor", str(file), "--prompt", click, "--json"]

    def answer(*rivals):
        size = ParticleSize(12.5, estimated=True, rivals_voxels=rivals)
        monkeypatch.setattr("aitom_cryosam.particle_size.particle_size", lambda *_, **__: size)
        assert main(asked) == 0
        told = json.loads(capsys.readouterr().out)
        seen = [one for one in told["observations"] if one["about"] == "diameter"]
        return seen, told["needs"][0]["bytes"]

    nothing, usual = answer()
    assert nothing == []
    (seen,), most = answer(24.0, 6.0)
    assert "the particle is 250 Å wide, or else 480 Å or 120 Å. A run that finds" in seen["text"]
    assert "--diameter" in seen["remedy"]
    assert most > usual
