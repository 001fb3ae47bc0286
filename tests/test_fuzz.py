"""Damaged files of every kind: each is read or refused in one sentence, soon and in little memory.

CRYOSAM_FUZZ is the number of damaged files; `make fuzz` takes 20,000.
"""

import gzip
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from aitom_cryosam import CryoSAM, Settings, Tomogram
from aitom_cryosam.cache import Cache
from aitom_cryosam.cli.picking import _of_json
from aitom_cryosam.encoders.filterbank import FilterBankEncoder
from aitom_cryosam.errors import InputError
from aitom_cryosam.features import TriplanarFeatures
from aitom_cryosam.job import Job
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.picks import Picks
from aitom_cryosam.points.formats.registry import FORMATS
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tilt_series import read_tomograms_star
from aitom_cryosam.points.tomogram_info import TiltSeries, TomogramInfo
from aitom_cryosam.points.writing import project_files
from aitom_cryosam.record import Record
from aitom_cryosam.volumes.mrc import read_volume, write_volume
from tests.toys import small_simulation

CASES = int(os.environ.get("CRYOSAM_FUZZ", "1000"))
LONGEST = 2.0  # seconds for a file, on a machine that may have other work
MOST_MEMORY = 300e6  # bytes beyond what the process has taken before

SEVERAL = Picks.from_points([[12, 9, 7], [3.5, 4, 30], [10, 20, 14]], [0.9, 0.5, 0.25])
INFO = TomogramInfo("TS_01_10.80Apx", 10.8, (24, 32, 40), TiltSeries(1.35, (320, 256, 192)))
NUMBERS = [b"nan", b"inf", b"-1", b"0", b"1e400", b"9" * 400, b"9" * 5000, b"1e-400", b"", b"null"]
WORDS = [b"[" * 2000, b'{"a":' * 2000, b"\\ud800", b"\x1b[31m", b"#", b"data_", b"loop_\n", b"\0"]
INTEGERS = [0, -1, 1, 2**31 - 1, -(2**31), 65536, 60000, 401, 255, 1 << 24]


class Kind(NamedTuple):
    """Files of one kind: an honest one, and what reads it. Some lie among others."""

    content: bytes
    name: str
    read: Callable[[Path], object]
    header: int = 0  # bytes that are damaged as binary numbers


def points(path: Path) -> object:
    return read_points(
        path,
        voxel_size=INFO.voxel_size,
        tilt_series=INFO.tilt_series,
        shape_zyx=INFO.shape_zyx,
    )


def record(path: Path) -> None:
    found = Record.open(path)
    for get in (Record.check, Record.labels):
        get(found)
    _ = found.proposals, found.prompts, found.query, found.settings, found.masks
    _ = found.diameter_angstrom, found.seconds, found.warnings, found.provenance


def features(path: Path) -> None:
    cache = Cache(path.parents[1])
    assert cache.entries()
    data = np.random.default_rng(0).standard_normal((9, 14, 21)).astype(np.float32)
    tomogram = Tomogram.from_array(data, voxel_size=10)
    TriplanarFeatures.extract(tomogram, FilterBankEncoder(9.0), cache=cache)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    folder = tmp_path_factory.mktemp("honest")
    result = {}
    write_volume(
        folder / "a.mrc", np.arange(24 * 4 * 5).reshape(24, 4, 5).astype(np.int8), voxel_size=10
    )
    content = (folder / "a.mrc").read_bytes()
    result["mrc"] = Kind(content, "a.mrc", read_volume, header=1024)
    result["mrc.gz"] = Kind(gzip.compress(content, 1), "a.mrc.gz", read_volume)
    for name, form in FORMATS.items():
        files = project_files(name, f"a{form.ending}", [(SEVERAL, INFO)])
        for path, text in files.items():
            raw = text.encode() if isinstance(text, str) else text
            header = 16 if path.suffix == ".em" else 0
            result[f"{name}{path.suffix}"] = Kind(raw, f"a{path.suffix}", points, header)
    result["csv"] = Kind(b"x,y,z,score\n1,2,3,0.5\n4.5,5,6,1\n", "a.csv", points)
    result["prompts"] = Kind(b"[[1, 2, 3], [4, 5, 6.5]]", "a.prompts.json", _of_json)
    tomograms = (
        b"data_global\n\nloop_\n_rlnTomoName #1\n_rlnTomoTiltSeriesPixelSize #2\n"
        b"_rlnTomoSizeX #3\n_rlnTomoSizeY #4\n_rlnTomoSizeZ #5\n_rlnTomoTomogramBinning #6\n"
        b"TS_01 1.35 320 256 192 8\n"
    )
    result["tomograms"] = Kind(tomograms, "tomograms.star", read_tomograms_star)
    job = json.dumps(
        Job(tomogram=folder / "a.mrc", prompts=((1, 2, 3),), settings=Settings()).to_json()
    )
    result["job"] = Kind(job.encode(), "job.json", Job.read)
    return result


@pytest.fixture(scope="module")
def result_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("result")
    simulation = small_simulation()
    write_volume(folder / "TS_01.mrc", simulation.data, voxel_size=20.0)
    picker = CryoSAM(Settings(preset="embedded", cut="none", top_k=4, diameter_angstrom=250.0))
    found = picker.pick(Tomogram.open(folder / "TS_01.mrc"), [simulation.points_zyx[1, ::-1]])
    found.write(folder / "out")
    return folder / "out"


def damaged(content: bytes, rng: np.random.Generator, header: int) -> bytes:
    """One to three faults, as a broken copy, a bad disk or an odd program makes them."""
    raw = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if header and rng.random() < 0.7:
            slot = 4 * int(rng.integers(0, header // 4))
            value = rng.choice(INTEGERS) if rng.random() < 0.6 else rng.integers(-(2**31), 2**31)
            raw[slot : slot + 4] = int(value).to_bytes(4, "little", signed=True)
            continue
        fault = rng.integers(0, 6)
        at = int(rng.integers(0, len(raw) + 1))
        end = min(len(raw), at + int(rng.integers(1, 40)))
        if fault == 0:
            for place in rng.integers(0, max(len(raw), 1), 4) if raw else ():
                raw[place] = rng.integers(0, 256)
        elif fault == 1:
            del raw[at:]
        elif fault == 2:
            del raw[at:end]
        elif fault == 3:
            raw[at:at] = raw[at:end] * int(rng.integers(1, 5))
        elif fault == 4:
            found = [match.span() for match in re.finditer(rb"-?\d+\.?\d*", raw)]
            if found:
                start, stop = found[rng.integers(0, len(found))]
                raw[start:stop] = NUMBERS[rng.integers(0, len(NUMBERS))]
        else:
            raw[at:at] = WORDS[rng.integers(0, len(WORDS))]
    return bytes(raw)


@contextmanager
def bounded() -> Iterator[None]:
    """End what hangs, and see what it took."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = _most()
    previous = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 5 * LONGEST)
    start = time.process_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert time.process_time() - start < LONGEST
    assert _most() - before < MOST_MEMORY


def _most() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def attempt(kind: Kind, path: Path, content: bytes) -> bool:
    """Whether the file was read; else the sentence is our own."""
    path.write_bytes(content)
    try:
        with bounded():
            kind.read(path)
    except InputError as error:
        sentence = str(error)
        assert "\n" not in sentence.strip(), sentence
        assert len(sentence) > 20, sentence
        return False
    return True


NAMES = [
    "mrc",
    "mrc.gz",
    *[f"{name}{form.ending}" for name, form in FORMATS.items()],
    "dynamo.doc",
    "aitom.pickle",
    "csv",
    "prompts",
    "tomograms",
    "job",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_damaged_files(kinds: dict[str, Kind], tmp_path: Path, name: str) -> None:
    kind = kinds[name]
    share = 5 if name == "mrc" else 1
    rng = np.random.default_rng(sorted(kinds).index(name))
    refused = 0
    for _ in range(share * CASES // (len(NAMES) + 6)):
        content = damaged(kind.content, rng, kind.header)
        try:
            refused += not attempt(kind, tmp_path / kind.name, content)
        except BaseException:
            print(repr(content[:3000]))
            raise
    assert refused


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", ["run.json", "query.npz", "labels.mrc", "proposals.star"])
def test_damaged_results(result_folder: Path, ending: str) -> None:
    path = result_folder / f"TS_01_{ending}"
    content = path.read_bytes()
    rng = np.random.default_rng(len(ending))
    kind = Kind(content, path.name, lambda _: record(result_folder))
    tried = [
        attempt(kind, path, damaged(content, rng, 1024 if ending == "labels.mrc" else 0))
        for _ in range(CASES // (len(NAMES) + 6))
    ]
    assert not all(tried)
    path.write_bytes(content)
    record(result_folder)


@pytest.mark.filterwarnings("ignore")
def test_damaged_queries(result_folder: Path, tmp_path: Path) -> None:
    content = (result_folder / "TS_01_query.npz").read_bytes()
    rng = np.random.default_rng(5)
    kind = Kind(content, "q.npz", ParticleQuery.read)
    assert not all(
        attempt(kind, tmp_path / "q.npz", damaged(content, rng, 0))
        for _ in range(CASES // (len(NAMES) + 6))
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["signature.json", "z.npy"])
def test_damaged_caches(tmp_path: Path, name: str) -> None:
    data = np.random.default_rng(0).standard_normal((9, 14, 21)).astype(np.float32)
    tomogram = Tomogram.from_array(data, voxel_size=10)
    cache = Cache(tmp_path / "cache")
    TriplanarFeatures.extract(tomogram, FilterBankEncoder(9.0), cache=cache)
    path = cache.entries()[0].path / name
    content = path.read_bytes()
    kind = Kind(content, name, features)
    for _ in range(CASES // (8 * (len(NAMES) + 6)) + 2):
        assert attempt(kind, path, damaged(content, np.random.default_rng(_), 0))
        assert path.read_bytes() == content  # made again
