"""The examples run from a folder of their own, as a user would type them."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from aitom_cryosam.cli import build_parser, main
from aitom_cryosam.errors import InputError
from aitom_cryosam.record import Record
from aitom_cryosam.settings import PRESETS
from aitom_cryosam.simulation.files import write_simulation
from aitom_cryosam.volumes.mrc import read_volume, write_volume
from tests.faults.world import write_tomogram
from tests.toys import small_simulation

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


@pytest.mark.parametrize("script", sorted((EXAMPLES / "slurm").iterdir()), ids=lambda one: one.name)
def test_a_batch_script_is_short_and_types_what_exists(script: Path) -> None:
    assert len(script.read_text("utf-8").splitlines()) <= 10
    subprocess.run(["bash", "-n", str(script)], check=True)
    [line] = re.findall(r"^cryosam (.+)$", script.read_text("utf-8"), re.MULTILINE)
    words = shlex.split(re.sub(r"\$(SLURM_ARRAY_TASK_ID|parts)", "3", line))
    build_parser(words).parse_args(words)  # ends the test if it refuses


@pytest.mark.parametrize(("again", "part"), [((), "5/8"), (("32",), "5/32")])
def test_a_part_of_a_job_array_can_be_done_again(
    again: Sequence[str], part: str, tmp_path: Path
) -> None:
    (tmp_path / "cryosam").write_text('#!/usr/bin/env bash\necho "$@"\n')
    (tmp_path / "cryosam").chmod(0o755)
    ran = subprocess.run(
        ["bash", str(EXAMPLES / "slurm" / "array.sbatch"), "a project", *again],
        env={
            "PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]]),
            "SLURM_ARRAY_TASK_ID": "5",
            "SLURM_ARRAY_TASK_COUNT": "8",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == f"project run a project --only {part} --workers 1\n"


STAND_INS = {
    "cryosam": 'exec "$PYTHON" -m aitom_cryosam "$@"',
    "dask": 'exec "$PYTHON" -m dask "$@"',
    # Each index of the array after the other, or all tasks, on this machine.
    "sbatch": """
of() { sed -n "s/^#SBATCH.*--$1=\\([0-9-]*\\).*/\\1/p" "$script"; }
script=$1; shift
export SLURM_JOB_ID=17 SLURM_CPUS_PER_TASK=1 SLURM_MEM_PER_CPU=$(($(of mem-per-cpu) * 1024))
if [ -z "$(of array)" ]; then SLURM_NTASKS=3 bash "$script" "$@"; exit; fi
for SLURM_ARRAY_TASK_ID in $(seq 1 "$TASKS"); do
    export SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_COUNT=$TASKS; bash "$script" "$@"
done""",
    "srun": """
trap 'kill $(jobs -p)' TERM
[ "$1" = --overlap ]; tasks=${2#--ntasks=}; shift 2
for _ in $(seq "$tasks"); do "$@" & done
wait""",
}
"""What a cluster has, in bash."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["array.sbatch", "dask.sbatch"])
def test_a_batch_script_picks_in_all_tomograms(name: str, tmp_path: Path) -> None:
    if name == "dask.sbatch":
        pytest.importorskip("distributed")
    (tmp_path / "bin").mkdir()
    for command, script in STAND_INS.items():
        (tmp_path / "bin" / command).write_text(f"#!/usr/bin/env bash\nset -eu\n{script}\n")
        (tmp_path / "bin" / command).chmod(0o755)
    (tmp_path / "recon").mkdir()
    clicks = [write_tomogram(tmp_path / "recon" / f"TS_0{i}.mrc", seed=i) for i in (1, 2)]
    few = ["--diameter", "250", "--cut", "none", "--top-k", "4", "--quiet"]
    query, project = str(tmp_path / "a.query"), str(tmp_path / "a project")
    tomogram = str(tmp_path / "recon" / "TS_01.mrc")
    assert main(["query", tomogram, "--prompt", clicks[0], *few, "--out", query]) == 0
    init = ["project", "init", str(tmp_path / "recon"), "--query", query, *few, "--out", project]
    assert main(init) == 0
    ran = subprocess.run(
        ["sbatch", str(EXAMPLES / "slurm" / name), project],
        env={
            **os.environ,
            "PATH": os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]),
            "PYTHON": sys.executable,
            "TASKS": "3",  # one has nothing to do
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for number in (1, 2):
        Record.open(Path(project) / "results" / f"TS_0{number}").check()
    assert not list(Path(project).glob("scheduler*"))  # nothing is left but the results


@pytest.fixture(scope="module")
def empiar() -> ModuleType:
    """examples/empiar_10499.py."""
    spec = importlib.util.spec_from_file_location("empiar", EXAMPLES / "empiar_10499.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """00255 and 00256 in voxels of 20 Å, and all.star with their first kind in pixels of 10 Å."""
    folder = tmp_path_factory.mktemp("empiar")
    rows = []
    for seed, name in enumerate(["00255", "00256"], 1):
        simulation = small_simulation(seed=seed)
        write_simulation(simulation, folder, name)
        (folder / f"{name}_truth_labels.mrc").unlink()
        for z, y, x in simulation.points_zyx[:8] * 2:
            rows.append(f"{name}.tomostar {x:.4f} {y:.4f} {z:.4f}")
    columns = ["MicrographName", "CoordinateX", "CoordinateY", "CoordinateZ"]
    header = [f"_rln{column} #{i}" for i, column in enumerate(columns, 1)]
    (folder / "all.star").write_text("\n".join(["data_", "", "loop_", *header, *rows, ""]))
    return folder


def run_empiar(empiar: ModuleType, folder: Path, out: Path, *options: str) -> int:
    files = [str(folder), str(folder / "all.star"), "--out", str(out)]
    return empiar.main([*files, "--coords-angpix", "10", "--preset", "embedded", *options])


def written(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.read_text().splitlines()[1:]]


WIDE = ("--diameter", "5000")  # refused by the picker at once: every run fails


def test_empiar_positions_are_mirrored_then_moved(empiar: ModuleType) -> None:
    points = np.array([[50.0, 10, 20]])
    shape = (100, 60, 80)
    assert empiar.positions(points, shape, "", (0, 0, 0)).tolist() == [[50, 10, 20]]
    # The paper's denoised volumes: z - 16, H - 1 - y, W - 1 - x.
    assert empiar.positions(points, shape, "xy", (0, 0, -16)).tolist() == [[34, 49, 59]]
    assert empiar.positions(points, shape, "z", (1, 2, 3)).tolist() == [[52, 12, 21]]
    for flip, offset in (("w", (0, 0, 0)), ("x", (0, 0))):
        with pytest.raises(InputError, match="Expected --offset X,Y,Z and axes"):
            empiar.positions(points, shape, flip, offset)


@pytest.mark.slow
def test_empiar_from_prompts_to_the_table(
    empiar: ModuleType, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--diameter", "250", "--ratios", "0,0.7")
    assert run_empiar(empiar, folder, tmp_path / "r.jsonl", *options) == 0
    rows = written(tmp_path / "r.jsonl")
    assert [(row["tomogram"], row["ratio"], row["n_prompts"]) for row in rows] == [
        ("00255.mrc", 0, 1),
        ("00255.mrc", 0.7, 6),
        ("00256.mrc", 0, 1),
        ("00256.mrc", 0.7, 6),
    ]
    # The coordinates fit the tomogram only if pixel size, axes and names are right.
    assert all(row["n_matched"] >= 7 and row["n_truth"] == 8 for row in rows)
    assert all(row["n_matched_prompts"] >= row["n_prompts"] - 1 for row in rows)
    table = capsys.readouterr().out.splitlines()[-2:]
    assert table[0].startswith("one ")
    assert "53.1  55.3  54.2" in table[0]
    assert "58.5  79.4  67.4" in table[1]


def test_empiar_encodes_each_plane_once_for_all_shares_and_seeds(
    empiar: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aitom_cryosam.encoders.network import NetworkEncoder
    from aitom_cryosam.segmenters.sam import SamSegmenter
    from tests.tiny_dino import write_tiny_dino
    from tests.tiny_models import write_tiny_sam

    shape = (20, 24, 28)
    noise = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    write_volume(tmp_path / "00255.mrc", noise, voxel_size=10.0)
    columns = ["MicrographName", "CoordinateX", "CoordinateY", "CoordinateZ"]
    rows = [f"00255 {x} {y} 10" for x in (9, 19) for y in (8, 16)]
    header = [f"_rln{column} #{i}" for i, column in enumerate(columns, 1)]
    (tmp_path / "all.star").write_text("\n".join(["data_", "", "loop_", *header, *rows, ""]))
    planes = {"features": 0, "embeddings": 0}
    for kind, owner, name in (
        ("features", NetworkEncoder, "encode"),
        ("embeddings", SamSegmenter, "embed"),
    ):
        original = getattr(owner, name)

        def counted(self, values, kind=kind, original=original):
            planes[kind] += len(values)
            return original(self, values)

        monkeypatch.setattr(owner, name, counted)
    # Random masks would end every walk at once.
    lenient = replace(PRESETS["paper"], tau_iou=0, tau_sim=-1, ratios=(8, 4), top_k=6)
    monkeypatch.setattr(empiar, "PRESETS", {"paper": lenient})
    options = ["--out", str(tmp_path / "r.jsonl"), "--diameter", "200", "--ratios", "0,0.5"]
    options += ["--seeds", "0,1", "--device", "cpu", "--results", str(tmp_path / "results")]
    for name, path in (
        ("dinov2_vitl14_reg", write_tiny_dino(tmp_path, "dinov2_vitl14_reg")),
        ("sam_vit_h", write_tiny_sam(tmp_path / "sam.pth")),
    ):
        options += ["--checkpoint", f"{name}={path}"]
    assert empiar.main([str(tmp_path), str(tmp_path / "all.star"), *options]) == 0
    assert [row["failed"] for row in written(tmp_path / "r.jsonl")] == [""] * 4
    assert planes["features"] == sum(shape)
    assert 0 < planes["embeddings"] <= sum(shape)
    folders = {path.name for path in (tmp_path / "results").iterdir()}
    assert folders == {f"00255_{share}_{seed}" for share in ("one", "50percent") for seed in "01"}
    semantic = read_volume(tmp_path / "results" / "00255_50percent_0" / "00255_semantic.mrc")
    assert set(np.unique(semantic.data)) == {0, 1}


def test_empiar_goes_on_after_an_interruption(
    empiar: ModuleType, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r.jsonl"
    assert run_empiar(empiar, folder, out, *WIDE, "--ratios", "0.1,0.7", "--limit", "1") == 0
    head, first, second = out.read_text().splitlines(keepends=True)
    marked = first.replace('"n_picks": 0', '"n_picks": 3')
    out.write_text(head + marked + second[:30])
    assert run_empiar(empiar, folder, out, *WIDE, "--ratios", "0.1,0.7", "--seeds", "0,1") == 0
    runs = [(row["tomogram"], row["ratio"], row["seed"], row["n_picks"]) for row in written(out)]
    assert runs == [
        ("00255.mrc", 0.1, 0, 3),
        ("00255.mrc", 0.1, 1, 0),
        ("00255.mrc", 0.7, 0, 0),
        ("00255.mrc", 0.7, 1, 0),
        ("00256.mrc", 0.1, 0, 0),
        ("00256.mrc", 0.1, 1, 0),
        ("00256.mrc", 0.7, 0, 0),
        ("00256.mrc", 0.7, 1, 0),
    ]
    assert "5000 Å" in written(out)[-1]["failed"]


def test_empiar_table_by_hand(empiar: ModuleType) -> None:
    counts = {"n_prompts": 1, "n_truth": 5, "seconds": 90, "failed": "", "ratio": 0.1}
    rows = [
        {**counts, "n_picks": 4, "n_matched": 3, "n_matched_prompts": 1},
        {**counts, "n_picks": 0, "n_matched": 0, "n_matched_prompts": 0, "failed": "no mask"},
    ]
    # Precision (3/4 + 0) / 2, recall (3/5 + 0) / 2; without the prompted (2/3) / 2 and (2/4) / 2.
    assert " ".join(empiar._table(rows).splitlines()[-1].split()) == (
        "10% 37.5 30.0 33.3 58.2 75.1 65.5 33.3 25.0 28.6 2 1 1.5"
    )
    everything_given = [{**rows[0], "n_truth": 1}]
    assert empiar._table(everything_given).splitlines()[-1].split()[7:10] == ["-", "-", "-"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--coords-angpix", "40"], "particles lie outside"),
        (["--offset", "0,0,-60"], "particles lie outside"),
        (["--pattern", "*.rec"], "No tomogram in"),
        (["--out", "/absent/folder/r.jsonl"], "not an existing folder"),
    ],
)
def test_empiar_bad_input_is_one_sentence(
    empiar: ModuleType,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    says: str,
) -> None:
    assert run_empiar(empiar, folder, tmp_path / "r.jsonl", *WIDE, *options) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_empiar_results_of_other_options_are_not_mixed(
    empiar: ModuleType, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.jsonl"
    assert run_empiar(empiar, folder, out, *WIDE, "--limit", "1", "--ratios", "0") == 0
    before = out.read_text()
    assert run_empiar(empiar, folder, out, *WIDE, "--radius", "50") == 2
    assert "begun with other options; choose another --out" in capsys.readouterr().err
    assert out.read_text() == before
    assert run_empiar(empiar, folder, out, *WIDE, "--ratios", "0") == 0
    assert len(written(out)) == 2


def test_empiar_leaves_out_tomograms_without_particles_and_refuses_two_of_one_name(
    empiar: ModuleType, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("00255.mrc", "00299.mrc"):
        (tmp_path / name).symlink_to(folder / "00255.mrc")
    (tmp_path / "all.star").symlink_to(folder / "all.star")
    options = (*WIDE, "--ratios", "0")
    assert run_empiar(empiar, tmp_path, tmp_path / "r.jsonl", *options) == 0
    assert "00299 is left out: " in capsys.readouterr().err
    assert [row["tomogram"] for row in written(tmp_path / "r.jsonl")] == ["00255.mrc"]
    (tmp_path / "00255_den.mrc").symlink_to(folder / "00255.mrc")
    assert run_empiar(empiar, tmp_path, tmp_path / "new.jsonl", *options) == 2
    assert "are both 00255; add --pattern." in capsys.readouterr().err
