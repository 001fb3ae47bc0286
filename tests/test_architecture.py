"""The order of the rooms, as docs/architecture.md states it, and what follows from it."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "aitom_cryosam"
NOTE = ROOT / "docs" / "architecture.md"


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted((ROOT / PACKAGE).rglob("*.py"))}


def imports(module: str) -> Iterator[str]:
    """The modules of the package that one imports anywhere, also late and for types alone."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else str(node.module) for name in inner]
        else:
            continue
        yield from (name for name in names if name in MODULES and name != module)


ARROWS = [(module, other) for module in MODULES for other in imports(module)]


def room(module: str) -> str:
    """The folder or file below the package; the package itself and its command are the roof."""
    return module.split(".")[1] if "." in module else "__init__"


def floors() -> list[list[str]]:
    """From the ground up, as the note has them."""
    text = NOTE.read_text(encoding="utf-8")
    block = re.search(r"## The order of imports\n.*?```text\n(.*?)```", text, re.S)
    assert block, f"{NOTE} has no block of text under 'The order of imports'"
    return [line.split() for line in block[1].splitlines() if line.strip()]


TOP = {
    *(".ci", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CITATION.cff"),
    *("CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "aitom_cryosam", "benchmarks"),
    *("docs", "examples", "mkdocs.yml", "pyproject.toml", "setup.py", "tests"),
}
"""What lies at the top level: what a project of Python has there, and nobody's notes."""


def test_nothing_else_lies_at_the_top_level() -> None:
    if not (ROOT / ".git").exists() or not which("git"):
        pytest.skip("no checkout of git")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    assert {Path(name).parts[0] for name in listed.split("\0") if name} == TOP


def test_every_room_has_its_floor() -> None:
    stated = [name for floor in floors() for name in floor]
    assert sorted(stated) == sorted({room(module) for module in MODULES}), (
        f"a room was added or removed: name it in {NOTE.name}, on the lowest floor it can be on"
    )


def test_every_room_has_its_subject() -> None:
    text = NOTE.read_text(encoding="utf-8")
    table = text.split("## Where to look\n")[1].split("\n## ")[0]
    named = re.findall(r"`(\w+)`", table.split("|---|")[1])
    assert sorted(named) == sorted({room(module) for module in MODULES}), (
        f"a room was added or removed: name it in {NOTE.name}, under what it is about"
    )


def test_imports_point_down() -> None:
    level = {name: height for height, floor in enumerate(floors()) for name in floor}
    upwards = [
        f"{module} imports {other}"
        for module, other in ARROWS
        if room(module) != room(other) and level.get(room(module), -1) <= level.get(room(other), -1)
    ]
    assert upwards == []


def circle(arrows: list[tuple[str, str]]) -> list[str]:
    """Modules that import each other in a circle, or none."""
    below: dict[str, set[str]] = {}
    for module, other in arrows:
        below.setdefault(module, set()).add(other)
    left = set(below)
    while left:
        free = {module for module in left if not below[module] & left}
        if not free:
            return sorted(left)
        left -= free
    return []


def test_no_circle() -> None:
    # A package that gathers its own modules' names is imported with each of them.
    arrows = [(one, other) for one, other in ARROWS if not one.startswith(f"{other}.")]
    assert circle(arrows) == []
    assert circle([("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]) == ["a", "b", "c", "d"]


def test_the_paper_s_steps_fit_on_a_few_pages() -> None:
    lines = [
        len(MODULES[f"{PACKAGE}.{module}"].read_text(encoding="utf-8").splitlines())
        for module in ("search", "competition", "picker")
    ]
    assert max(lines) <= 250
    assert sum(lines) <= 500


def loaded_with(module: str) -> set[str]:
    """What the statements at the top of a module, and of those that it imports there, name."""
    seen, left = {module}, [module]
    while left:
        for node in ast.parse(MODULES[left.pop()].read_text(encoding="utf-8")).body:
            for name in _names(node) - seen:
                seen.add(name)
                left += [name] if name in MODULES else []
    return seen


@pytest.mark.parametrize("door", ["cli", "picker", "job", "record", "aitom", "doctor"])
def test_no_door_loads_a_network_library(door: str) -> None:
    roots = {name.split(".")[0] for name in loaded_with(f"{PACKAGE}.{door}")}
    assert not roots & {"torch", "torchvision", "timm", "segment_anything"}


@pytest.mark.parametrize("door", ["picker", "job", "record", "napari.session"])
def test_no_run_holds_the_library_of_tables(door: str) -> None:
    """A run writes STAR files without pandas, which takes 66 MB and a third of a second."""
    assert "pandas" not in loaded_with(f"{PACKAGE}.{door}")


def test_what_loads_them() -> None:
    assert {"torch", "timm"} <= loaded_with(f"{PACKAGE}.encoders.dino")
    assert {"torch", "segment_anything.modeling"} <= loaded_with(f"{PACKAGE}.segmenters.sam")


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return set()
