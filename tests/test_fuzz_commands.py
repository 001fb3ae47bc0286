"""Every command over damaged files: it works, or ends with one sentence of our own.

CRYOSAM_FUZZ is as in `test_fuzz`: a five hundredth of it for each command and kind of file.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aitom_cryosam.cli import main
from tests.test_fuzz import CASES, Kind, bounded, damaged, kinds, result_folder  # noqa: F401

EACH = max(CASES // 500, 2)
POINTS = ["relion5.star", "copick.json", "imod-model.mod", "dynamo.tbl", "cbox.cbox", "csv"]
GIVEN = ["--voxel-size", "10.8", "--shape", "40,32,24"]

# By name: what is typed for a damaged file, in a folder with an honest a.mrc and a.csv.
ON_POINTS: dict[str, Callable[[str], list[str]]] = {
    "export": lambda file: ["export", file, "--to", "warp", "--out", "new.star", *GIVEN],
    "validate": lambda file: ["validate", file],
    "evaluate": lambda file: ["evaluate", file, "a.csv", "--radius", "50", "--voxel-size", "10"],
    "truth": lambda file: ["evaluate", "a.csv", file, "--radius", "50", "--voxel-size", "10"],
    # The diameter is refused after the clicks are read: no run begins.
    "pick": lambda file: ["pick", "a.mrc", "--prompts", file, "--diameter", "1", "--out", "new"],
    "doctor": lambda file: ["doctor", "a.mrc", "--prompts", file],
}
ON_VOLUMES: dict[str, Callable[[str], list[str]]] = {
    "doctor": lambda file: ["doctor", file, "--prompt", "2,2,2"],
    "pick": lambda file: ["pick", file, "--prompt", "2,2,2", "--diameter", "1", "--out", "new"],
    "query": lambda file: ["query", file, "--prompt", "2,2,2", "--diameter", "1", "--out", "q"],
    "picking": lambda file: ["picking", file, "new.json", "--prompt", "2,2,2", "--diameter", "1"],
    "export": lambda file: [
        "export", "a.csv", "--to", "copick", "--out", "new.json", "--tomo", file,
    ],
}  # fmt: skip
ON_RESULTS: dict[str, Callable[[str], list[str]]] = {
    "report": lambda folder: ["report", folder, "--out", "new.html"],
    "select": lambda folder: ["select", folder, "--top", "1", "--out", "new"],
    "export": lambda folder: ["export", folder, "--to", "relion5", "--out", "new.star", *GIVEN],
    "average": lambda folder: ["average", folder, "--symmetry", "X", "--out", "new"],
    "refine": lambda folder: ["refine", folder, "--step", "-1", "--out", "new"],
}


def try_out(typed: list[str], capsys: pytest.CaptureFixture[str]) -> int:
    """Run a command in an otherwise empty folder; returns its status."""
    for made in Path().glob("new*"):
        shutil.rmtree(made) if made.is_dir() else made.unlink()
    try:
        with bounded():
            status = main([*typed, "--quiet"])
    except SystemExit as end:  # argparse
        status = int(end.code or 0)
    told = "".join(capsys.readouterr())
    assert status in (0, 1, 2), told
    assert not re.search(r"Traceback|\b[A-Z]\w*(Error|Exception)\b", told), told
    if status == 2:
        assert typed[0] == "validate" or f"cryosam {typed[0]}: " in told.splitlines()[-1], told
        assert not list(Path().glob("new*"))  # nor an empty folder
    return status


@pytest.fixture
def world(
    kinds: dict[str, Kind],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.mrc").write_bytes(kinds["mrc"].content)
    Path("a.csv").write_bytes(kinds["csv"].content)
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ON_POINTS)
def test_commands_on_points(
    kinds: dict[str, Kind],  # noqa: F811
    world: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    rng = np.random.default_rng(1)
    for kind in (kinds[one] for one in POINTS):
        file = f"damaged{Path(kind.name).suffix}"
        for _ in range(EACH):
            Path(file).write_bytes(damaged(kind.content, rng, 0))
            try_out(ON_POINTS[name](file), capsys)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ON_VOLUMES)
def test_commands_on_volumes(
    kinds: dict[str, Kind],  # noqa: F811
    world: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    rng = np.random.default_rng(2)
    for _ in range(3 * EACH):
        Path("damaged.mrc").write_bytes(damaged(kinds["mrc"].content, rng, 1024))
        try_out(ON_VOLUMES[name]("damaged.mrc"), capsys)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ON_RESULTS)
def test_commands_on_results(
    result_folder: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(result_folder, "result")
    main(ON_RESULTS[name]("result"))  # what is imported does not count
    rng = np.random.default_rng(3)
    for ending in ("run.json", "proposals.star", "trace.npz"):
        for _ in range(EACH):
            shutil.rmtree("result", ignore_errors=True)
            shutil.copytree(result_folder, "result")
            [path] = Path("result").glob(f"*_{ending}")
            path.write_bytes(damaged(path.read_bytes(), rng, 0))
            try_out(ON_RESULTS[name]("result"), capsys)
