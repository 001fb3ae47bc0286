"""A small tomogram, and `cryosam pick` on it as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from aitom_cryosam.record import Record
from aitom_cryosam.simulation.density import ribosome_like
from aitom_cryosam.simulation.settings import SimulationSettings
from aitom_cryosam.simulation.simulate import simulate
from aitom_cryosam.volumes.mrc import write_volume


def write_tomogram(path: Path, seed: int = 1) -> str:
    """A tomogram of 24 x 48 x 52 voxels; returns a click in it."""
    settings = SimulationSettings(
        shape_zyx=(24, 48, 52), voxel_size=20.0, membranes=0, denoise=15.0, snr=0.5, seed=seed
    )
    made = simulate([(ribosome_like(20.0), 4)], settings)
    write_volume(path, made.data, voxel_size=20.0)
    return ",".join(f"{value:g}" for value in made.points_zyx[0, ::-1])


class World:
    """A folder with a tomogram `TS.mrc`, results in `out`, temporary files in `tmp`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.tmp = folder / "tmp"
        self.tmp.mkdir(parents=True)
        self.tomogram = folder / "TS.mrc"
        self.click = write_tomogram(self.tomogram)

    def start(
        self, *options: str, code: str = "", out: Path | None = None, **streams: object
    ) -> "subprocess.Popen[str]":
        """Begin a run. `code` runs before it in its process, to put things in its way."""
        program = f"{code}\nimport sys\nfrom aitom_cryosam.cli import main\nsys.exit(main())"
        pick = ["pick", str(self.tomogram), "--prompt", self.click, "--out", str(out or self.out)]
        settings = ["--preset", "embedded", "--diameter", "250", "--cut", "none"]
        return subprocess.Popen(
            [sys.executable, "-c", program, *pick, *settings, *options],
            text=True,
            # A shell starts what it puts into the background with Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={**os.environ, "TMPDIR": str(self.tmp), "OMP_NUM_THREADS": "1"},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},  # type: ignore[call-overload]
        )

    def run(self, *options: str, **how: object) -> tuple[int, str]:
        """Status and stderr of a run."""
        process = self.start(*options, **how)  # type: ignore[arg-type]
        _, told = process.communicate(timeout=120)
        return process.returncode, told

    def state(self) -> str:
        """Whether there is no result, or a complete one, by the settings it was made with.

        A temporary folder that a killed run has left counts as nothing; a file is checked
        against its checksum.
        """
        if not self.out.exists():
            return "none"
        names = {path.name for path in self.out.iterdir() if not path.name.startswith(".")}
        if not names:
            return "none"
        record = Record.open(self.out)
        record.check()
        assert names == {path.name for path in record.files.values()}
        return f"top {record.settings.top_k}"

    def hidden(self) -> list[str]:
        """Temporary folders, in both places."""
        places = [place for place in (self.out, self.tmp) if place.exists()]
        return [path.name for place in places for path in place.iterdir() if path.name[0] == "."]

    def content(self) -> dict[str, bytes]:
        """The files of the result, without what differs from run to run."""
        found = {path.name: path.read_bytes() for path in self.out.iterdir()}
        record = json.loads(found.pop("TS_run.json"))
        return {**found, "counts": json.dumps(record["counts"]).encode()}


def plain(told: str) -> bool:
    """Whether what a process said is for people."""
    return "Traceback" not in told and "Exception ignored" not in told
