"""Queries that travel: clicks in one tomogram, picks in another."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam import CryoSAM, Picks, Settings, Tomogram
from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.evaluation import evaluate
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.record import Record
from aitom_cryosam.regions import RegionMask, Regions
from aitom_cryosam.result import Result
from aitom_cryosam.simulation.density import barrel, ribosome_like
from aitom_cryosam.simulation.files import write_simulation
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import Simulation, simulate
from tests.toys import SMALL

EMBEDDED = Settings(preset="embedded")


@dataclass(frozen=True)
class World:
    """A simulated tomogram and the bodies of one kind in it."""

    simulation: Simulation
    tomogram: Tomogram
    picks: Picks


def world(seed: int, voxel_size: float) -> World:
    """8 two-lobed bodies among 8 barrels."""
    kinds = [(ribosome_like(voxel_size), 8), (barrel(voxel_size), 8)]
    settings = SimulationSettings(**{**SMALL, "seed": seed, "voxel_size": voxel_size})
    made = simulate(kinds, settings)
    tomogram = Tomogram.from_array(made.data, voxel_size=voxel_size)
    return World(made, tomogram, Picks.from_points(made.points_zyx[:8]))


@pytest.fixture(scope="module")
def worlds() -> tuple[World, World]:
    return world(1, 20.0), world(2, 18.0)


@pytest.fixture(scope="module")
def query(worlds) -> ParticleQuery:
    one, _ = worlds
    return CryoSAM(EMBEDDED).query(one.tomogram, one.picks.take(np.arange(3)))


def ranking(found: Result, where: World) -> float:
    """Average precision of the proposals."""
    voxel_size = where.tomogram.voxel_size
    return evaluate(
        found.proposals, where.picks, radius=100, voxel_size=voxel_size
    ).average_precision


def test_a_query_finds_the_particles_of_another_tomogram(worlds, query):
    _, other = worlds
    travelled = CryoSAM(EMBEDDED).pick(other.tomogram, query=query)
    assert ranking(travelled, other) > 0.9
    assert evaluate(travelled.picks, other.picks, radius=100, voxel_size=18.0).recall > 0.8
    assert travelled.diameter_angstrom == pytest.approx(query.diameter_angstrom)
    assert len(travelled.prompts) == 0


def half_as_large(seed: int, voxel_size: float) -> World:
    """12 two-lobed bodies of 125 Å in a tomogram of the same extent at each voxel size."""
    body = replace(ribosome_like(2 * voxel_size), voxel_size=voxel_size)
    shape = tuple(round(extent / voxel_size) for extent in (400, 760, 900))
    settings = {**SMALL, "shape_zyx": shape, "voxel_size": voxel_size, "seed": seed}
    made = simulate([(body, 12)], SimulationSettings(**settings))
    tomogram = Tomogram.from_array(made.data, voxel_size=voxel_size)
    return World(made, tomogram, Picks.from_points(made.points_zyx))


def test_lengths_follow_the_particle_from_voxels_to_voxels_of_another_size():
    first = half_as_large(1, 10.0)
    query = CryoSAM(EMBEDDED).query(first.tomogram, first.picks.take(np.arange(3)))
    diameters_angstrom = []
    for voxel_size in (8.0, 10.0, 13.6):
        other = half_as_large(2, voxel_size)
        found = CryoSAM(EMBEDDED).pick(other.tomogram, query=query)
        assert evaluate(found.picks, other.picks, radius=50, voxel_size=voxel_size).f1 >= 0.9
        voxels = np.median([mask.volume for mask in found.masks])
        diameters_angstrom.append((6 * voxels / np.pi) ** (1 / 3) * voxel_size)
    # With lengths as in voxels of 10 Å, masks are 136 Å wide at 8 Å and 96 Å at 13.6 Å.
    np.testing.assert_allclose(diameters_angstrom, diameters_angstrom[1], rtol=0.07)


def test_other_tomograms_are_searched_at_the_diameters_of_the_query(worlds, query, monkeypatch):
    """Features at a diameter are compared with the clicks' own at that diameter."""
    _, other = worlds
    assert len(query.aside) == 2
    used = []
    at = CryoSAM.at

    def spied(self, tomogram, request, settings, stages, diameter_voxels):
        found = at(self, tomogram, request, settings, stages, diameter_voxels)
        used.append(found.query)
        diameter_angstrom = diameter_voxels * tomogram.voxel_size
        assert found.query.diameter_angstrom == pytest.approx(diameter_angstrom)
        return replace(found, verdict=replace(found.verdict, presence=0.5))

    monkeypatch.setattr(CryoSAM, "at", spied)
    found = CryoSAM(EMBEDDED).pick(other.tomogram, query=query)
    assert used == [query, *query.aside]
    assert found.query.aside == query.aside
    used.clear()
    CryoSAM(EMBEDDED).pick(other.tomogram, query=replace(query, aside=()))
    assert len(used) == 1


def test_a_query_is_of_the_diameter_that_is_nearest(query):
    smaller, larger = query.aside
    own, ratios = query.diameter_angstrom, (0.5, 0.9, 0.98, 1.0, 1.05, 1.1, 2.0)
    nearest = [smaller, smaller, query, query, query, larger, larger]
    assert [query.at(ratio * own) for ratio in ratios] == nearest


def test_clicks_of_all_tomograms_count_at_all_diameters(query):
    both = ParticleQuery.merged([query, query])
    assert [len(one.instances) for one in both.aside] == [6, 6]
    assert ParticleQuery.merged([query, replace(query, aside=())]).aside == ()


def test_query_and_prompts_count_alike(worlds, query):
    _, other = worlds
    one = CryoSAM(EMBEDDED).pick(other.tomogram, other.picks.take(np.arange(1)), query=query)
    assert len(one.query.instances) == 4
    assert one.query.sources == ("tomogram",)
    alone = CryoSAM(replace(EMBEDDED, diameter_angstrom=query.diameter_angstrom)).pick(
        other.tomogram, other.picks.take(np.arange(1))
    )
    np.testing.assert_allclose(
        one.query.vector, (3 * query.vector + alone.query.vector) / 4, atol=1e-6
    )


def test_there_and_back(query, tmp_path):
    query.write(tmp_path / "a.query")
    again = ParticleQuery.read(tmp_path / "a.query")
    for name in ("vector", "prompt_features", "prompts_zyx", "instances"):
        np.testing.assert_array_equal(getattr(again, name), getattr(query, name))
        for one, other in zip(again.aside, query.aside, strict=True):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    again.require(query.signature, "dark", "core")
    again.write(tmp_path / "b.query")
    assert (tmp_path / "a.query").read_bytes() == (tmp_path / "b.query").read_bytes()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"contrast": "bright"}, "query is of bright protein"),
        ({"pooling": "mask"}, "made with pooling mask, this run has core"),
        ({"signature": {"shrinkage": 0.2}}, "shrinkage 0.2, this run has 0.1|encoder"),
        ({"signature": {"encoder": {"encoder": "dinov2_vitl14"}}}, "encoder.encoder dinov2_vitl14"),
    ],
)
def test_a_query_that_does_not_fit_is_refused_before_any_work(worlds, query, changes, says):
    picker = CryoSAM(EMBEDDED, progress=lambda *_: pytest.fail("work has begun"))
    with pytest.raises(InputError, match=says):
        picker.pick(worlds[1].tomogram, query=replace(query, **changes))


def test_features_that_differ_otherwise_are_refused_when_they_are_there(worlds, query):
    encoder = {**query.signature["encoder"], "scales": [1.0]}
    other = replace(query, signature={**query.signature, "encoder": encoder})
    with pytest.raises(InputError, match=r"made with encoder.scales \[1.0\]"):
        CryoSAM(EMBEDDED).pick(worlds[1].tomogram, query=other)


def test_without_prompt_and_query_there_is_nothing_to_look_for(worlds):
    with pytest.raises(InputError, match="prompts as n rows"):
        CryoSAM(EMBEDDED).pick(worlds[1].tomogram)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "There is no file"), (b"", "is not the query"), (b"PK\x03\x04 nonsense", "is not the")],
)
def test_what_is_no_query(content, says, tmp_path):
    path = tmp_path / "x.query"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        ParticleQuery.read(path)


def test_arrays_that_do_not_go_together(query, tmp_path):
    replace(query, vector=query.vector[:-1]).write(tmp_path / "x.query")
    with pytest.raises(InputError, match="do not match"):
        ParticleQuery.read(tmp_path / "x.query")


def test_the_commands(worlds, tmp_path: Path, capsys, caplog):
    for world, name in zip(worlds, ("one", "two"), strict=True):
        write_simulation(world.simulation, tmp_path, name)
    click = ",".join(f"{value:g}" for value in worlds[0].picks.points_zyx[0, ::-1])
    out = tmp_path / "a.query"
    asked = [str(tmp_path / "one.mrc"), "--prompt", click, "--preset", "embedded"]
    assert main(["query", *asked, "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "1 in 1 tomogram" in told.out
    (width,) = re.findall(r"diameter  (\d+ Å)\n", told.out)
    assert f"Diameter estimated from the prompts: {width}\n" in told.err
    assert main(["query", *asked, "--out", str(out)]) == 2
    assert "already exists" in capsys.readouterr().err
    both = [str(tmp_path / "one.mrc"), *asked]
    assert main(["query", *both, "--out", str(tmp_path / "b.query")]) == 2
    assert "a click in one tomogram" in capsys.readouterr().err
    picked = ["pick", str(tmp_path / "two.mrc"), "--query", str(out), "--preset", "embedded"]
    assert main([*picked, "--out", str(tmp_path / "picks")]) == 0
    assert capsys.readouterr().out.startswith(f"diameter  {width}, of the query\n")
    record = Record.open(tmp_path / "picks")
    assert record.query.sources == ("one",)
    assert evaluate(record.picks, worlds[1].picks, radius=100, voxel_size=18.0).recall > 0.5
    assert main([*picked, "--contrast", "bright", "--out", str(tmp_path / "no")]) == 2
    assert "query is of dark protein" in capsys.readouterr().err
    assert not (tmp_path / "no").exists() or not list((tmp_path / "no").iterdir())


def test_clicks_of_several_tomograms_are_read_before_any_work(
    worlds, query, tmp_path: Path, capsys, caplog, monkeypatch
):
    asked: list[tuple[str, int, int]] = []

    def stand_in(self, tomogram, prompts, *, rejects):
        asked.append((tomogram.name, len(prompts), len(rejects)))
        return query

    monkeypatch.setattr(CryoSAM, "query", stand_in)
    paths = [str(tmp_path / f"{name}.mrc") for name in ("one", "two")]
    for path, world in zip(paths, worlds, strict=True):
        world.tomogram.write_volume(path, np.asarray(world.tomogram.data))
    rows = {
        "prompts": "one,9,9,9\ntwo,9,9,9\ntwo,20,20,20\n",
        "some": "two,30,30,30\n",
        "others": "TS_01,30,30,30\n",
    }
    files = {name: tmp_path / f"{name}.csv" for name in rows}
    for name, file in files.items():
        file.write_text("rlnTomoName,x,y,z\n" + rows[name])
    (tmp_path / "nameless.csv").write_text("x,y,z\n9,9,9\n")

    def run(prompts: str, rejects: str) -> int:
        clicks = [
            "--prompts",
            f"{tmp_path}/{prompts}.csv",
            "--rejects",
            f"{tmp_path}/{rejects}.csv",
        ]
        out = ["--out", str(tmp_path / "a.query"), "--preset", "embedded", "--overwrite"]
        return main(["query", *paths, *clicks, *out])

    assert run("prompts", "some") == 0
    assert asked == [("one", 1, 0), ("two", 2, 1)]
    assert f"{files['some']} has no clicks in one." in caplog.text
    bad = {
        ("prompts", "others"): "has points of TS_01; expected some of",
        ("some", "prompts"): "has points of two; expected some of one",
        ("nameless", "some"): "does not say in which of 2 tomograms",
        ("prompts", "nameless"): "does not say in which of 2 tomograms",
    }
    for (prompts, rejects), says in bad.items():
        assert run(prompts, rejects) == 2
        assert says in capsys.readouterr().err
    assert len(asked) == 2


def test_only_what_lies_in_the_region_is_picked(worlds, query):
    _, other = worlds
    tomogram = other.tomogram
    inside = np.zeros(tomogram.shape, bool)
    inside[:, :, : tomogram.shape[2] // 2] = True
    mask = RegionMask("left", inside, 1, tomogram.voxel_size)
    found = CryoSAM(EMBEDDED).pick(
        tomogram, query=query, regions=Regions(shape_zyx=tomogram.shape, region=mask)
    )
    half = tomogram.shape[2] / 2 - 0.5
    assert len(found.picks) > 0
    assert (found.picks.points_zyx[:, 2] <= half + 1).all()  # the middle of its mask counts too
    there = other.picks.take(other.picks.points_zyx[:, 2] < half)
    assert evaluate(found.picks, there, radius=100, voxel_size=18.0).recall == 1
    distances = np.array(found.proposals.extra["cryosamDistanceLeft"], float)
    beyond = [reason == "outside the region" for reason in found.proposals.reasons]
    assert (distances[beyond] > 0).all()


@pytest.mark.slow
def test_a_region_of_a_twentieth_is_picked_as_if_it_was_cut_out(query):
    shape, voxel_size = (36, 84, 84), 20.0

    def block(body, count: int, seed: int) -> Simulation:
        settings = SimulationSettings(**{**SMALL, "shape_zyx": shape, "seed": seed})
        return simulate([(body(voxel_size), count)], settings)

    wanted = block(ribosome_like, 16, 1)
    others = [block(barrel, 10, seed).data for seed in (2, 3, 4)]
    turns = [(1, 1), (-1, 1), (1, -1), (-1, -1)]
    blocks = [others[i % 3][:, :: turns[i % 4][0], :: turns[i % 4][1]] for i in range(20)]
    blocks[7] = wanted.data
    rows = [np.concatenate(blocks[5 * row : 5 * row + 5], axis=2) for row in range(4)]
    tomogram = Tomogram.from_array(np.concatenate(rows, axis=1), voxel_size=voxel_size)
    inside = np.zeros(tomogram.shape, bool)
    inside[:, 84:168, 168:252] = True
    mask = RegionMask("cell", inside, 1, voxel_size)
    assert mask.volume == 0.05
    regions = Regions(shape_zyx=tomogram.shape, region=mask)
    there = CryoSAM(EMBEDDED).pick(tomogram, query=query, regions=regions).picks
    alone = CryoSAM(EMBEDDED).pick(
        Tomogram.from_array(wanted.data, voxel_size=voxel_size), query=query
    )
    assert len(alone.picks) >= 15
    assert abs(len(there) - len(alone.picks)) <= 0.05 * len(alone.picks)
    moved = replace(there, points_zyx=there.points_zyx - [0, 84, 168])
    same = evaluate(moved, alone.picks, radius=voxel_size, voxel_size=voxel_size)
    assert len(same.pairs) >= min(len(moved), len(alone.picks)) - 1  # one may be another
