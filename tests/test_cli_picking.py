"""`cryosam-picking`: the positionals of AITom's script, and the ways to give it prompts."""

import json
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from aitom_cryosam.cli import picking
from aitom_cryosam.cli.picking import main
from aitom_cryosam.simulation.files import write_simulation
from tests.toys import small_simulation

ROW = [43.0, 30.0, 18.0]
CLICK = ["--prompt", "43,30,18"]


@pytest.fixture(autouse=True)
def no_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRYOSAM_PROMPTS", raising=False)


@pytest.fixture(scope="module")
def tomogram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    simulation = small_simulation()
    folder = tmp_path_factory.mktemp("world")
    return write_simulation(simulation, folder, "TS_01")[0]


@pytest.fixture
def op(monkeypatch: pytest.MonkeyPatch) -> dict:
    """The op that a run gets, in place of a run."""
    got: dict = {}

    class Picker:
        def __init__(self, op: dict, **_: object) -> None:
            got.update(op)

        def pick(self, _: str) -> list:
            return []

    monkeypatch.setattr("aitom_cryosam.aitom.cryosam.CryoSAMPicker", Picker)
    return got


def test_the_script_is_installed() -> None:
    assert entry_points(group="console_scripts")["cryosam-picking"].load() is main


def test_two_positionals_and_a_file_beside_the_tomogram(
    tomogram: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "TS_01.mrc.json"
    settings = {"diameter": 250.0, "top_k": 6, "cut": "none"}
    beside = tomogram.with_name("TS_01.prompts.json")
    beside.write_text(json.dumps({"prompts": [ROW], **settings}))
    assert main([str(tomogram), str(out)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"6 picks in {out}\n"
    assert "features: 206 planes" in shown.err
    items = json.loads(out.read_text())
    assert len(items) == 6
    for item in items:
        assert all(type(value) is int for value in item["peak"]["loc"])
    x, y, z = items[0]["peak"]["loc"]  # as Scipion's reader has it
    assert (0 <= x < 90, 0 <= y < 76, 0 <= z < 40) == (True, True, True)
    assert (
        min(
            max(abs(a - b) for a, b in zip(item["peak"]["loc"], ROW, strict=True)) for item in items
        )
        <= 2
    )
    before = out.read_bytes()
    out.write_text("of an earlier run")
    assert main([str(tomogram), str(out), "--quiet"]) == 0
    assert out.read_bytes() == before
    beside.unlink()


def test_typed_prompts_and_options(op: dict, tmp_path: Path) -> None:
    out = str(tmp_path / "out.json")
    typed = ["--prompt", "43,30,18", "--prompt=-1,2.5,3", "--contrast", "bright"]
    assert main(["a.mrc", out, *typed, "--voxel-size", "20", "--diameter", "250"]) == 0
    assert op == {
        "prompts": [ROW, [-1, 2.5, 3]],
        "voxel_size": 20,
        "contrast": "bright",
        "diameter": 250,
    }
    assert json.loads((tmp_path / "out.json").read_text()) == []


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("43,30,18", [ROW]),
        (" 43,30,18 1,2,3e1\n", [ROW, [1, 2, 30]]),
        ("clicks.star", "clicks.star"),
    ],
)
def test_prompts_of_the_environment(
    op: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, prompts: object
) -> None:
    monkeypatch.setenv("CRYOSAM_PROMPTS", text)
    (tmp_path / "a.prompts.json").write_text("[[1, 1, 1]]")  # not asked
    assert main([str(tmp_path / "a.mrc"), str(tmp_path / "out.json")]) == 0
    assert op == {"prompts": prompts}
    assert main(["a.mrc", str(tmp_path / "out.json"), "--prompts", "typed.csv"]) == 0
    assert op == {"prompts": "typed.csv"}


def test_rejected_places(op: dict, tmp_path: Path) -> None:
    asked = [str(tmp_path / "a.mrc"), str(tmp_path / "out.json"), "--prompt", "43,30,18"]
    assert main([*asked, "--reject", "1,2,3", "--reject", "4,5,6"]) == 0
    assert op == {"prompts": [ROW], "rejects": [[1, 2, 3], [4, 5, 6]]}
    assert main([*asked, "--rejects", "others.star"]) == 0
    assert op["rejects"] == "others.star"
    (tmp_path / "b.prompts.json").write_text("[[7, 8, 9]]")
    assert main([*asked, "--rejects", str(tmp_path / "b.prompts.json")]) == 0
    assert op["rejects"] == [[7, 8, 9]]
    op.clear()
    (tmp_path / "a.prompts.json").write_text(json.dumps({"prompts": [ROW], "rejects": [ROW]}))
    assert main([*asked[:2], "--reject", "1,2,3"]) == 0  # what is typed counts
    assert op == {"prompts": [ROW], "rejects": [[1, 2, 3]]}


def test_a_file_of_prompts_may_be_an_op_with_rejects(op: dict, tmp_path: Path) -> None:
    given = {"prompts": [ROW], "rejects": [[1, 2, 3]]}
    (tmp_path / "a.prompts.json").write_text(json.dumps(given))
    assert main([str(tmp_path / "a.mrc"), str(tmp_path / "out.json")]) == 0
    assert op == given


@pytest.mark.parametrize("name", ["a.prompts.json", "a.mrc.prompts.json"])
@pytest.mark.parametrize(
    "content", [[ROW], [{"peak": {"loc": ROW}, "val": 1.0}], {"prompts": [ROW]}]
)
def test_a_file_of_prompts(op: dict, tmp_path: Path, name: str, content: object) -> None:
    path = tmp_path / name
    path.write_text(json.dumps(content))
    assert main([str(tmp_path / "a.mrc"), str(tmp_path / "out.json")]) == 0
    assert op == {"prompts": [ROW]}
    op.clear()
    assert main(["b.mrc", str(tmp_path / "out.json"), "--prompts", str(path)]) == 0
    assert op == {"prompts": [ROW]}


@pytest.mark.parametrize(
    ("options", "content", "says"),
    [
        ([], None, "add --prompt X,Y,Z or --prompts FILE, set the variable CRYOSAM_PROMPTS, or wr"),
        ([], None, "into {folder}/a.prompts.json."),
        ([], "[[1, 2", "a.prompts.json holds no prompts; expected JSON as [[x, y, z], ...]"),
        ([], "3", "a.prompts.json holds no prompts"),
        ([], '[{"loc": 1}]', "a.prompts.json holds no prompts"),
        ([], '{"diametre": 250}', "CryoSAMPicker has no key 'diametre' in its op"),
        (["--prompt", "1,2"], None, "There is no file {folder}/a.mrc."),
        (["--prompt", "1,b,3"], None, "Expected prompts as X,Y,Z, got '1,b,3'."),
        (["--prompt", "1,2,3", "--prompts", "x"], None, "got both; leave one out"),
        (
            [*CLICK, "--reject", "1,2,3", "--rejects", "x"],
            None,
            "Expected --reject or --rejects, got both",
        ),
        (["--prompts", "no.prompts.json"], None, "There is no file no.prompts.json."),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    content: str | None,
    says: str,
) -> None:
    if content is not None:
        (tmp_path / "a.prompts.json").write_text(content)
    out = tmp_path / "out.json"
    assert main([str(tmp_path / "a.mrc"), str(out), *options]) == 2
    error = capsys.readouterr().err
    assert says.format(folder=tmp_path) in error
    assert error.startswith("cryosam picking: ")
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_tomogram_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "b.mrc"
    other.touch()
    assert main(["a.mrc", str(other), "--prompt", "1,2,3"]) == 2
    assert "Expected OUT.json as the second argument" in capsys.readouterr().err


def test_the_help_names_the_ways_to_give_prompts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = capsys.readouterr().out
    assert picking.VARIABLE in shown
    assert "TOMO.prompts.json" in shown
