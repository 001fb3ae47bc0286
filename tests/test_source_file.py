"""What is read must be a file: a folder, a pipe or a device is one sentence, in every reader."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aitom_cryosam import Tomogram
from aitom_cryosam.averaging.tilts import read_tilts
from aitom_cryosam.cli.picking import _of_json
from aitom_cryosam.cli.select import _numbers
from aitom_cryosam.errors import InputError
from aitom_cryosam.files import write_text
from aitom_cryosam.job import Job
from aitom_cryosam.particle_query import ParticleQuery
from aitom_cryosam.points.reading import read_points
from aitom_cryosam.points.tilt_series import read_tomograms_star
from aitom_cryosam.record import Record
from aitom_cryosam.source_file import reading
from aitom_cryosam.trace import Trace
from aitom_cryosam.volumes.mrc import read_volume

READERS: dict[str, Callable[[Path], object]] = {
    "points": lambda path: read_points(path, voxel_size=10),
    "tomograms": read_tomograms_star,
    "volume": read_volume,
    "tomogram": Tomogram.open,
    "record": Record.open,
    "job": Job.read,
    "query": ParticleQuery.read,
    "trace": Trace.read,
    "numbers": _numbers,
    "prompts": _of_json,
    "tilts": read_tilts,
}


@pytest.fixture(autouse=True)
def nothing_hangs() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX's")
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_never_waited_for(tmp_path: Path, name: str) -> None:
    pipe = tmp_path / "pipe.star"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"pipe\.star is a pipe or a device; expected a file"):
        READERS[name](pipe)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="the device of zeros is POSIX's")
@pytest.mark.parametrize("name", READERS)
def test_an_endless_device(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"a\.csv is a pipe or a device"):
        READERS[name](tmp_path / "a.csv")


@pytest.mark.parametrize("name", READERS)
def test_a_link_to_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.star").symlink_to("gone.star")
    with pytest.raises(InputError, match=r"a\.star is a link to gone\.star, which is not there"):
        READERS[name](tmp_path / "a.star")


@pytest.mark.parametrize("name", READERS)
def test_an_address(name: str) -> None:
    with pytest.raises(InputError, match="is an address; download the file first"):
        READERS[name](Path("https://example.org/TS_01.mrc"))


@pytest.mark.parametrize("name", [name for name in READERS if name != "record"])
def test_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is a folder; expected a file"):
        READERS[name](tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
@pytest.mark.parametrize("name", READERS)
def test_a_name_of_other_bytes_than_utf8(tmp_path: Path, name: str) -> None:
    path = tmp_path / os.fsdecode(b"T\xf6rn.star")
    path.touch()
    with pytest.raises(InputError, match="is not UTF-8, as the files that would hold it are"):
        READERS[name](path)


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
def test_a_folder_of_other_bytes_than_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"J\xf6rg")
    write_text(tmp_path / "a.html", f"<p>{folder}</p>")
    assert (tmp_path / "a.html").read_bytes().endswith(b"/J\xf6rg</p>")


@pytest.mark.parametrize("error", [ValueError("shape"), KeyError("x"), EOFError()])
def test_no_text_of_an_exception_reaches_the_user(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(InputError) as caught, reading(tmp_path / "x", "a list"):
        raise error
    assert str(caught.value) == f"{tmp_path / 'x'} is not a list."


def test_what_the_system_says_does(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="x cannot be read"), reading(tmp_path / "x", "a list"):
        (tmp_path / "x").read_bytes()


def test_prompts_in_a_thousand_brackets(tmp_path: Path) -> None:
    path = tmp_path / "a.prompts.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"a\.prompts\.json holds no prompts"):
        _of_json(path)
