"""The examples run from a folder of their own, as a user would type them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "files"),
    [
        ([sys.executable, "pick_from_click.py"], ["example_picks.star", "example_labels.mrc"]),
        (["bash", "pick_from_click.sh"], ["TS_01_relion5.star", "TS_01_picks.png"]),
    ],
)
def test_example(command: list[str], files: list[str], tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(
        [command[0], str(EXAMPLES / command[1]), "out"],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        check=True,
        timeout=300,
    )
    assert {*files} <= {path.name for path in (tmp_path / "out").iterdir()}
