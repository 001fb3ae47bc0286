"""Damaged OME-Zarr images: each is read or refused in one sentence."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam.errors import InputError
from aitom_cryosam.tomogram import Tomogram
from tests.ome_zarr_images import THIRD, write_image

zarr = pytest.importorskip("zarr", reason="needs the package zarr")
VERSIONS = ["0.4"] if zarr.__version__.startswith("2.") else ["0.4", THIRD]

CASES = int(os.environ.get("CRYOSAM_FUZZ", "1000")) // 10
DATA = np.random.default_rng(0).standard_normal((6, 8, 10)).astype(np.float32)
NONSENSE = [
    None, True, -1, 0, 1, 7, 2**31, 10**40, -0.5, 1e308, float("nan"), float("inf"), "", "0", "x",
    "../..", "/", "\0", "\ud800", "c", "<i8", "|S3", "bool", "complex64", [], [1], [-1, 0, 2],
    [1e9, 1e9, 1e9], ["z"], [None], {}, {"a": 1}, {"id": "blosc"}, {"id": "nonsense"},
    {"name": "zstd"}, [{"name": "bytes"}], [{"type": "scale", "scale": [0, 1, 2]}],
]  # fmt: skip


def leaves(value, path=()):
    """The way to everything in a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, one in inner:
        yield from leaves(one, (*path, key))


def with_nonsense(text: bytes, rng: np.random.Generator) -> bytes:
    """One entry is another, is gone, or has another name."""
    content = json.loads(text)
    ways = [way for way in leaves(content) if way]
    way = ways[rng.integers(len(ways))]
    place = content
    for key in way[:-1]:
        place = place[key]
    action = rng.integers(4)
    if action == 0:
        del place[way[-1]]
    elif action == 1 and isinstance(place, dict):
        place["other"] = place.pop(way[-1])
    else:
        place[way[-1]] = NONSENSE[rng.integers(len(NONSENSE))]
    return json.dumps(content).encode("utf-8")


def with_other_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        changed[rng.integers(len(changed))] = rng.integers(256)
    return bytes(changed[: rng.integers(len(changed)) + 1] if rng.random() < 0.3 else changed)


def damaged(path: Path, rng: np.random.Generator) -> str:
    """Damage one file of an image, and say which."""
    files = sorted(one for one in path.rglob("*") if one.is_file())
    file = files[rng.integers(len(files))]
    content = file.read_bytes()
    if content[:1] == b"{" and content != b"{}" and rng.random() < 0.8:
        file.write_bytes(with_nonsense(content, rng))
    else:
        file.write_bytes(with_other_bytes(content, rng))
    return f"{file.relative_to(path)}: {file.read_bytes()[:400]!r}"


@pytest.mark.parametrize("version", VERSIONS)
def test_damaged_images(tmp_path, version):
    sound = write_image(tmp_path / "sound.zarr", DATA, version=version, chunk=4, sizes=(10, 20))
    rng = np.random.default_rng(3)
    refused = 0
    for number in range(CASES):
        path = tmp_path / "a.zarr"
        shutil.copytree(sound, path)
        said = damaged(path, rng)
        try:
            Tomogram.open(path, voxel_size=None if number % 3 else 10).check()
        except InputError as error:
            refused += 1
            if len(str(error)) > 400 or "\n" in str(error):
                pytest.fail(f"{error} for {said}")
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error} for {said}")
        shutil.rmtree(path)
    assert CASES / 5 < refused < CASES
