"""What all commands share: how they end, and how they show where they are."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from aitom_cryosam.cli import main, pick, progress
from aitom_cryosam.cli.progress import ShownProgress
from aitom_cryosam.simulation.files import write_simulation
from tests.toys import small_simulation

SHELL = f"{sys.executable} -m aitom_cryosam"


@pytest.fixture(scope="module")
def tomogram(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A file, and a click on one of its particles."""
    simulation = small_simulation()
    path = write_simulation(simulation, tmp_path_factory.mktemp("cli"), "TS_01")[0]
    return str(path), ",".join(f"{value:.1f}" for value in simulation.points_zyx[1, ::-1])


def test_the_package_is_a_command() -> None:
    shown = subprocess.run([*SHELL.split(), "--version"], capture_output=True, text=True)
    assert shown.stdout.startswith("cryosam ")


def test_the_logger_is_left_as_it_was(tmp_path: Path) -> None:
    """A program that calls `main` goes on to log as it had set."""
    logger = logging.getLogger("aitom_cryosam")
    before = logger.handlers[:], logger.level
    assert main(["cache", "list", str(tmp_path), "--quiet"]) == 2
    assert (logger.handlers, logger.level) == before


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (MemoryError(), "not enough memory; "),
        (RuntimeError("can't start new thread"), "the system starts no more threads"),
        (ImportError("libtorch_cpu.so: failed to map segment"), "not enough memory for the libr"),
    ],
)
def test_no_memory_and_no_threads_are_one_sentence(
    raised: Exception, says: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def run(_: object) -> int:
        raise raised

    monkeypatch.setattr(pick, "run", run)
    assert main(["pick", "a.mrc", "--out", "out"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"cryosam pick: {says}")
    assert error.count("\n") == 1


def test_a_closed_pipe_is_silent(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n")
    command = f"{SHELL} evaluate a.csv a.csv --radius 9 --voxel-size 1 | true; echo $PIPESTATUS"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n")
    command = f"{SHELL} evaluate a.csv a.csv --radius 9 --voxel-size 1 >/dev/full"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "cryosam evaluate: what it prints could not be written (No space left on device); any "
        "files that it wrote are whole.\n"
    )
    for command in ("--version", "pick --help"):
        done = subprocess.run(["bash", "-c", f"{SHELL} {command} >/dev/full"], capture_output=True)
        assert done.returncode == 1
        assert done.stderr.count(b"what it prints could not be written") == 1


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ("report", "report: 3 pages"),
        ("alignment 2", "alignment 2: 3 particles"),
        ("full search", "full search: 3 rotations"),
        ("proposal masks", "proposal masks: 3 walks"),
    ],
)
def test_a_stage_is_told_in_what_it_counts(stage: str, says: str, capsys) -> None:
    ShownProgress()(stage, 0, 3)
    assert capsys.readouterr().err == f"{says}\n"


def test_a_file_that_is_read_twice_is_warned_of_once(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("x,y,z,who\n1,2,3,Ann\n")
    assert main(["evaluate", "a.csv", "a.csv", "--radius", "9", "--voxel-size", "1"]) == 0
    said = capsys.readouterr().err
    assert said == "warning: a.csv: not read, as unknown: the column who.\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--ratios", "4,b"],
            "argument --ratios: expected auto or whole numbers R,R,..., got '4,b'",
        ),
        (["--cut", "high"], "argument --cut: expected auto, none or a score, got 'high'"),
        (["--unbinned-size", "1,2"], "expected three numbers X,Y,Z, got '1,2'"),
        (["--unbinned-size", "1,-2,3"], "expected numbers above 0, got '1,-2,3'"),
        (["--star", "relion6"], "unknown 'relion6'; expected relion5, relion4"),
    ],
)
def test_malformed_options_are_refused(options: list[str], says: str, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["pick", "a.mrc", "--out", "out", *options])
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--prompt", "-1,2,3"], "The prompt -1,2,3 lies outside TS_01"),
        (["--unbinned-size", "1,2,3"], "--unbinned-size needs --unbinned-pixel-size"),
        (["--unbinned-pixel-size", "0"], "Expected --unbinned-pixel-size above 0 Å, got 0."),
        (["--diameter", "30"], "is 1.5 voxels wide; expected 2 to 40 voxels"),
        (["--diameter", "900"], "is 45.0 voxels wide; expected 2 to 40 voxels"),
        (["--voxel-size", "200"], "no size that could be estimated"),
        (["--window", "3"], "The setting window has no effect with the segmenter contour; leave"),
        (["--candidate", "agreeing"], "candidate has no effect with the segmenter contour"),
        (["--token-size", "60"], "token_size has no effect with the encoder filterbank"),
    ],
)
def test_what_does_not_fit_the_tomogram(
    tomogram: tuple[str, str], tmp_path: Path, capsys, options: list[str], says: str
) -> None:
    path, click = tomogram
    arguments = ["--prompt", click, "--out", str(tmp_path), "--quiet", *options]
    assert main(["pick", path, *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("argv", [["export", "r", "--to", "cmm", "--out", "-"], ["validate", "-"]])
def test_a_dash_is_no_file(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    assert "a name of a file or folder after " in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["pick"], ["query"], ["project", "init"], ["doctor"]], ids=" ".join
)
def test_a_pixel_size_without_the_file_that_it_is_of_is_refused(
    tomogram: tuple[str, str], tmp_path: Path, capsys, command: list[str]
) -> None:
    out = ["--out", str(tmp_path / "out")] if command != ["doctor"] else []
    assert main([*command, tomogram[0], "--coords-angpix", "5", *out]) == 2
    assert "--coords-angpix is for a file of clicks, and there is none" in capsys.readouterr().err


def test_summary_and_picture(tomogram: tuple[str, str], tmp_path: Path, capsys) -> None:
    path, click = tomogram
    options = ["--prompt", click, "--out", str(tmp_path), "--picture", "--cut", "none"]
    options += ["--preset", "embedded"]
    assert main(["pick", path, *options, "--top-k", "4", "--diameter", "250"]) == 0
    shown, errors = capsys.readouterr()
    lines = shown.splitlines()
    assert lines[:2] == ["diameter  250 Å, given", "prompts   1 of 1 used"]
    assert lines[2].endswith(" of 4 proposals")
    assert lines[4].startswith("cut       none; the lowest pick has ")
    assert lines[-1].strip() == str(tmp_path / "TS_01_picks.png")
    assert (tmp_path / "TS_01_picks.png").exists()
    assert errors.splitlines() == [
        "Preset embedded: asked for.",
        "prompt masks: 6 walks",
        "features: 206 planes",
        "proposal masks: 24 walks",
    ]


def test_no_picks_says_what_to_try(tomogram: tuple[str, str], tmp_path: Path, capsys) -> None:
    path, click = tomogram
    options = ["--prompt", click, "--out", str(tmp_path), "--quiet", "--top-k", "4"]
    assert main(["pick", path, *options, "--cut", "1e9"]) == 0
    shown, errors = capsys.readouterr()
    assert shown == ""
    assert errors.startswith("warning: No picks. Left out: 4 below the cut. Try --contrast bright")
    assert (tmp_path / "TS_01_picks.star").exists()


def test_an_unbinned_size_in_other_units_is_doubted(
    tomogram: tuple[str, str], tmp_path: Path, capsys
) -> None:
    path, click = tomogram
    options = ["--prompt", click, "--out", str(tmp_path), "--quiet", "--top-k", "4", "--cut", "1e9"]
    options += ["--star", "relion5", "--unbinned-pixel-size", "10", "--unbinned-size", "180,152,40"]
    assert main(["pick", path, *options]) == 0
    errors = capsys.readouterr().err
    assert "Along z the unbinned size is 0.50 times the tomogram's extent" in errors
    assert "Along x" not in errors


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with ShownProgress() as shown:
        for done in range(0, 11, 5):
            shown("features", done, 10)
        shown("proposal masks", 1, 2)
    text = sys.stderr.getvalue()
    assert "features" in text
    assert "10/10 planes" in text
    assert "1/2 walks" in text


def test_lines_elsewhere(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    with ShownProgress() as shown:
        shown("features", 1, 10)
        monkeypatch.setattr(progress, "EVERY", 0)
        shown("features", 5, 10)
        shown("features", 10, 10)
    assert capsys.readouterr().err == "features: 10 planes\nfeatures: 5 of 10 planes\n"
    with ShownProgress(quiet=True) as shown:
        shown("features", 1, 10)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "cryosam: the following arguments are required: COMMAND"),
        ("pick a.mrc", "cryosam pick: the following arguments are required: --out"),
        ("project init a.mrc", "cryosam project init: the following arguments are required: --out"),
        (
            "pick a.mrc --out b --voxelsize 3",
            "there is no option --voxelsize; did you mean --voxel-size?",
        ),
        ("pick a.mrc --out b --apix 3", "no option --apix; did you mean --voxel-size?"),
        ("pick a.mrc --out b --gpu=0", "no option --gpu; did you mean --device cuda?"),
        ("pick a.mrc b.mrc --out c", "'b.mrc'; it takes one tomogram, and `cryosam project init`"),
        ("pick a.mrc --out b --prompt 1, 2, 3", "one argument too many, '2,'; numbers that belong"),
        ("pick a.mrc --out b --voxel-size 1.x", "--voxel-size: expected a number, got '1.x'"),
        ("pick a.mrc --out b --voxel-size 13,6", "expected a number, got '13,6'; write 13.6"),
        ("select a --out b --top 1.5", "argument --top: expected a whole number, got '1.5'"),
        ("picking a.mrc", "cryosam picking: the following arguments are required: OUT.json"),
    ],
)
def test_a_mistyped_command_is_one_line_of_usage_and_a_sentence(
    capsys, typed: str, says: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(typed.split())
    usage, sentence = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: cryosam ")
    assert usage.endswith(" --help")
    assert says in sentence


@pytest.mark.parametrize(
    "argv",
    [
        ["pick", "a.mrc", "--out", ""],
        ["pick", "a.mrc", "--out="],
        ["select", "", "--out", "b"],
        ["evaluate", "a.star", "b.star", "--radius", "9", "--json", " "],
        ["project", "init", "a.mrc", "--out", ""],
    ],
)
def test_an_empty_argument_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, argv: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    assert "nothing follows " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
