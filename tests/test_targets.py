"""A fourth kind of structure: one description, and a line that names it."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from aitom_cryosam.cli import main
from aitom_cryosam.errors import InputError
from aitom_cryosam.job import Job
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.rotations import along_z
from aitom_cryosam.record import Record
from aitom_cryosam.targets import STRUCTURES, structure
from aitom_cryosam.targets.base import Structures
from aitom_cryosam.targets.ridges import Ridges
from aitom_cryosam.volumes.mrc import read_volume, write_volume

SHAPE, VOXEL = (12, 20, 28), 10.0


@dataclass(frozen=True, kw_only=True)
class Support:
    """The carbon that a sample lies on: a flat sheet at the height of the clicks."""

    spacing_angstrom: float = 40.0
    thickness_angstrom: float = 30.0
    name = "support"

    def find(self, tomogram, prompts, *, outliner=None, progress=None):
        depth, height, width = tomogram.shape
        z = int(np.median(prompts.points_zyx[:, 0]))
        cells = np.argwhere(np.ones((1, height, width))) + np.array([z, 0, 0])
        ones = np.ones(len(cells), np.float32)
        up = np.tile(np.float32([1, 0, 0]), (len(cells), 1))
        grid = np.zeros((depth, height, width), np.float32)
        step = round(self.spacing_angstrom / tomogram.voxel_size)
        places = cells[(cells[:, 1:] % step == 0).all(axis=1)]
        points = replace(
            Picks.from_points(places), rotations=along_z(np.tile([0, 0, 1.0], (len(places), 1)))
        )
        return Structures(
            prompts=prompts,
            ridges=Ridges("sheet", cells, 1, 0 * up, up, ones, ones, grid),
            labels=np.ones(len(cells), np.int64),
            points=points,
            half_width_angstrom=self.thickness_angstrom / 2,
        )


@pytest.fixture(autouse=True)
def named(monkeypatch):
    monkeypatch.setitem(STRUCTURES, "support", (__name__, "Support"))


@pytest.fixture
def path(tmp_path):
    data = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    write_volume(tmp_path / "TS_01.mrc", data, voxel_size=VOXEL)
    return tmp_path / "TS_01.mrc"


def test_every_door_takes_it(path, capsys):
    out = path.parent / "out"
    asked = ["--target", "support", "--prompt", "4,5,7", "--spacing", "50", "--out", str(out)]
    assert main(["pick", str(path), *asked, "--star", "relion31"]) == 0
    assert "found     1 support\n" in capsys.readouterr().out
    record = Record.open(out)
    record.check()
    assert record.content["target"] == {
        "name": "support",
        "spacing_angstrom": 50.0,
        "thickness_angstrom": 30.0,
    }
    mask = read_volume(record.files["semantic"]).data
    assert np.flatnonzero(mask.all(axis=(1, 2))).tolist() == [6, 7, 8]
    assert not mask[[0, 1, 2, 3, 4, 5, 9, 10, 11]].any()
    assert len(record.picks) == 4 * 6


def test_a_job_of_it_round_trips(path):
    job = Job(tomogram=path, prompts=((4, 5, 7),), out=path.parent / "out", target=Support())
    assert Job.from_json(json.loads(json.dumps(job.to_json()))).target == Support()


def test_picks_can_keep_away_from_it(path):
    from aitom_cryosam.cli import build_parser, excluding

    clicks = ["--prompt", "4,5,2", "--exclude-target", "support", "--exclude-prompt", "4,5,7"]
    asked = ["pick", str(path), *clicks, "--out", str(path.parent / "out")]
    args = build_parser(asked).parse_args(asked)
    assert excluding.structure_job(args).target == Support()
    assert args.exclude == [str(path.parent / "out" / "support" / "TS_01_semantic.mrc")]


def test_what_it_has_not_is_refused():
    with pytest.raises(InputError, match="A support has no diameter; expected spacing and thick"):
        structure("support", diameter=70.0)
    with pytest.raises(InputError, match="got 'vault'"):
        structure("vault")
