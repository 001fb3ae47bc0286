"""Errors: the problem once, the remedy in the words of each door."""

import ast
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import aitom_cryosam
from aitom_cryosam import Tomogram
from aitom_cryosam.aitom import CryoSAMPicker
from aitom_cryosam.cli import build_parser, main
from aitom_cryosam.cli.parser import options_of
from aitom_cryosam.doors import Door, program_of
from aitom_cryosam.errors import InputError, at_door
from aitom_cryosam.remedies import Remedy, missing_options
from aitom_cryosam.volumes.mrc import write_volume


def test_a_sentence_without_a_remedy_is_as_it_is() -> None:
    error = InputError("Expected a dog, got a cat.")
    for door in Door:
        assert error.worded(door) == str(error) == "Expected a dog, got a cat."


VALUES = {
    "size": 8.0,
    "model": "sam_vit_b",
    "url": "https://x.org/sam.pth",
    "folder": "weights",
    "path": "sam.pth",
    "contrast": "dark",
    "typed": "--contrast dark",
    "named": "contrast dark",
}


@pytest.mark.parametrize("door", Door)
@pytest.mark.parametrize("remedy", Remedy)
def test_every_door_has_words_for_every_remedy(door: Door, remedy: Remedy) -> None:
    words = remedy.worded(door, **VALUES)
    assert words
    assert not words.endswith((".", ";"))
    assert not re.search("[{<]", words)
    if door is not Door.PROJECT:
        assert ("--" in words) == (door is Door.COMMAND_LINE)


OF_OTHER_COMMANDS = {
    Remedy.TEMPLATE_VOXEL_SIZE, Remedy.REFERENCE_VOXEL_SIZE, Remedy.MAP_VOXEL_SIZE, Remedy.SHAPE,
    Remedy.OVERWRITE, Remedy.WEIGHTS_FOLDER, Remedy.RUN_AGAIN, Remedy.NO_CLASS,
    Remedy.NO_MIN_SCORE, Remedy.NO_SYMMETRY, Remedy.ANY_SYMMETRY, Remedy.TILT_RANGE,
    Remedy.OUT_FOLDER, Remedy.COUNT_UNPICKED, Remedy.TEMPLATE_CONTRAST, Remedy.BINNING,
    Remedy.COMPARED_CLASS,
}  # fmt: skip


def options_after(*typed: str) -> set[str]:
    parser = build_parser(list(typed))
    return options_of(parser, parser.parse_args(list(typed)))


@pytest.mark.parametrize("remedy", [one for one in Remedy if one not in OF_OTHER_COMMANDS])
def test_a_project_is_told_what_its_file_or_its_run_takes(remedy: Remedy) -> None:
    with program_of(Door.PROJECT) as running:
        running.options = options_after("project", "run", "p")
        assert not missing_options(remedy.said(**VALUES))
        assert " of `" not in remedy.said(**VALUES)


def test_an_option_of_another_command_is_named_with_it() -> None:
    with program_of(Door.COMMAND_LINE) as running:
        assert Remedy.DIAMETER.said() == "check --diameter and --voxel-size"
        running.options = options_after("average", "r", "--out", "o")
        assert Remedy.DIAMETER.said() == "check --diameter and --voxel-size of `cryosam pick`"
        assert Remedy.MORE_PICKS.said() == (
            "click on more particles, keep more proposals (`cryosam select RESULT --cut SCORE`), "
            "or add more tomograms"
        )
        running.options = options_after("picking", "a.mrc", "b.json")
        words = Remedy.NEARER_PROMPT_OR_WINDOW.said()
        assert words.endswith("--contrast, give its --diameter")
        for remedy in Remedy:
            assert not missing_options(remedy.said(**VALUES)), remedy


def test_a_command_that_cannot_be_told_a_size_says_which_can() -> None:
    with program_of(Door.COMMAND_LINE) as running:
        running.options = options_after("validate", "a")
        assert Remedy.SHAPE.said() == "add --tomo FILE, or --shape X,Y,Z in voxels"
        running.options = options_after("evaluate", "a", "b", "--radius", "1")
        assert Remedy.SHAPE.said() == (
            "convert the file to voxels first, by `cryosam export FILE --to warp --tomo TOMO`"
        )
        assert Remedy.PROMPT.said().startswith("add --prompt X,Y,Z of `cryosam pick` or --prompts")


def test_pixels_of_a_truth_are_told_by_its_own_option() -> None:
    with program_of(Door.COMMAND_LINE) as running:
        running.options = options_after("evaluate", "a", "b", "--radius", "1")
        assert Remedy.COORDS_ANGPIX.said(size=8.0) == (
            "check --voxel-size, or add --truth-angpix 8 if that is the truth"
        )
        running.options = options_after("report", "a", "--out", "b")
        assert Remedy.COORDS_ANGPIX.said(size=8.0) == "add --truth-angpix 8"
        running.options = options_after("select", "a", "--out", "b")
        assert Remedy.COORDS_ANGPIX.said(size=8.0) == (
            "convert the file to voxels first, by `cryosam export FILE --to warp --coords-angpix 8`"
        )


def test_an_option_is_typed_with_dashes() -> None:
    assert Remedy.NO_MIN_SCORE.worded(Door.COMMAND_LINE) == "leave --min-score out"
    assert Remedy.NO_MIN_SCORE.said() == "leave min_score out"
    with program_of(Door.COMMAND_LINE):
        assert Remedy.NO_MIN_SCORE.said() == "leave --min-score out"


FOREIGN = re.compile(r"--(coords_angpix|normalized_coords|angpix_coords|nthreads|scheduler-file)")
"""Options of WarpTools, M and dask."""


def test_only_the_command_line_speaks_of_its_options() -> None:
    root = Path(aitom_cryosam.__file__).parent
    words = {"remedies.py", "report/next_steps.py"}  # the latter has whole command lines
    found = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name in words or name.startswith("cli/"):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = FOREIGN.sub("", node.value)
                if id(node) not in notes and re.search(r"(?<![-\w])--[a-z]", text):
                    found.append(f"{name}:{node.lineno}")
    assert not found


def test_values_are_named() -> None:
    error = InputError("Its pixels differ", Remedy.COORDS_ANGPIX, size=2.5)
    assert error.worded(Door.COMMAND_LINE) == (
        "Its pixels differ; check --voxel-size, or add --coords-angpix 2.5."
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # from another process


def test_another_remedy_for_the_same_problem() -> None:
    error = InputError("a.mrc: no voxel size", Remedy.VOXEL_SIZE)
    other = error.instead({Remedy.VOXEL_SIZE: Remedy.MAP_VOXEL_SIZE})
    assert other.worded(Door.COMMAND_LINE) == (
        "a.mrc: no voxel size; add --map-voxel-size ANGSTROM."
    )
    assert str(InputError("Wrong.").instead({Remedy.VOXEL_SIZE: Remedy.SHAPE})) == "Wrong."


def test_the_program_speaks_and_an_error_keeps_its_door() -> None:
    error = InputError("No prompt", Remedy.PROMPT)
    assert str(error) == "No prompt; give prompts as rows of x, y, z in voxels."
    with program_of(Door.COMMAND_LINE):
        assert str(error) == "No prompt; add --prompt X,Y,Z or --prompts FILE."
    assert str(error) == "No prompt; give prompts as rows of x, y, z in voxels."
    with pytest.raises(InputError), at_door(Door.NAPARI):
        raise error
    assert str(error) == "No prompt; click on a particle."


def test_one_problem_through_three_doors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mrc"
    write_volume(path, np.ones((4, 5, 6), np.float32), voxel_size=1.0)
    with pytest.raises(InputError, match=r"stands for unknown; give voxel_size in Å\.$"):
        Tomogram.open(path)
    picker = CryoSAMPicker({"preset": "embedded"})
    with pytest.raises(InputError, match=r"unknown; give voxel_size, Å, in the op\.$"):
        picker.pick(path, [[1, 1, 1]])
    typed = ["pick", str(path), "--prompt", "1,1,1", "--out", str(tmp_path / "out")]
    assert main(typed) == 2
    assert capsys.readouterr().err.endswith("unknown; add --voxel-size ANGSTROM.\n")
